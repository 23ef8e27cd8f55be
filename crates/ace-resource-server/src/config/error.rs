//! Why a configuration cannot be used: which file, which line, what for.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{}: {reason}", path.display(), Line(*line))]
pub struct ConfigError {
    /// The file with the mistake.
    pub path: PathBuf,
    /// The line, counted from 1, where one can be told.
    pub line: Option<usize>,
    /// What is wrong, and where it helps, what would be right.
    pub reason: String,
}

impl ConfigError {
    pub(super) fn new(path: &Path, reason: impl fmt::Display) -> Self {
        Self { path: path.into(), line: None, reason: reason.to_string() }
    }

    /// A mistake at a place in the file's text, told by its offset in bytes. The line stands behind the reason: there are
    /// no secrets in a configuration file, they are in files of their own.
    pub(super) fn at(path: &Path, text: &str, offset: usize, reason: impl fmt::Display) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let number = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let line: String = text.lines().nth(number - 1).unwrap_or_default().trim().chars().take(LINE_SHOWN).collect();
        let reason = if line.is_empty() { reason.to_string() } else { format!("{reason} (in: {line})") };
        Self { path: path.into(), line: Some(number), reason }
    }
}

/// How many characters of a line are shown.
const LINE_SHOWN: usize = 80;

/// `:12`, or nothing.
struct Line(Option<usize>);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}
