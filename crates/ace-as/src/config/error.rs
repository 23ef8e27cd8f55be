//! Why a configuration was refused: file, line and reason, never the text of the line, which may hold a secret.

use std::fmt;
use std::path::{Path, PathBuf};

/// A configuration that was refused. Displays as `file:line: reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file that holds the mistake.
    pub file: PathBuf,
    /// The line, counted from 1, where one is to blame.
    pub line: Option<usize>,
    /// What is wrong, as a lower-case sentence without secrets.
    pub reason: String,
}

impl ConfigError {
    /// A mistake of a file as a whole.
    pub(crate) fn whole(file: &Path, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, reason: reason.into() }
    }

    /// A mistake at a byte offset of the file's text.
    pub(crate) fn at(file: &Path, text: &str, offset: usize, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: Some(line_of(text, offset)), reason: reason.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// The line, counted from 1, that holds the byte at `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_counted_from_one() {
        assert_eq!(line_of("a\nb\nc", 0), 1);
        assert_eq!(line_of("a\nb\nc", 1), 1);
        assert_eq!(line_of("a\nb\nc", 2), 2);
        assert_eq!(line_of("a\nb\nc", 99), 3);
    }

    #[test]
    fn the_text_names_file_line_and_reason() {
        let error = ConfigError::at(Path::new("as.toml"), "one\ntwo", 5, "no such thing");
        assert_eq!(error.to_string(), "as.toml:2: no such thing");
        assert_eq!(ConfigError::whole(Path::new("x"), "gone").to_string(), "x: gone");
    }
}
