//! The outcomes that the broker suite leaves in `target/conformance/results.json`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// What a test shows about its requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What is allowed is let through.
    Accept,
    /// What is forbidden is refused.
    Refuse,
    /// The stock broker cannot do what is asked; the test pins down what happens instead.
    Pin,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// As it should.
    Passed,
    /// Not as it should.
    Failed,
}

/// One test on one broker.
#[derive(Clone, Debug, Deserialize)]
pub struct Outcome {
    /// The requirement's number: `C3`.
    pub requirement: String,
    /// What the test shows.
    pub kind: Kind,
    /// The test's name.
    pub name: String,
    /// The broker's exact version: `2.0.11`.
    pub version: String,
    /// How it ended.
    pub outcome: End,
    /// Whether every test of the suite has run with it.
    pub whole_run: bool,
}

/// Reads the suite's outcomes.
///
/// # Errors
/// The file is missing or damaged.
pub fn read(path: &Path) -> Result<Vec<Outcome>> {
    let text = fs::read_to_string(path).with_context(|| format!("the suite left no {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not what the suite writes", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        fs::write(
            &path,
            r#"[{"requirement":"C3","kind":"pin","name":"c3_x","version":"2.0.11","outcome":"passed","note":"","whole_run":true}]"#,
        )
        .unwrap();
        let outcomes = read(&path).unwrap();
        let outcome = outcomes.first().unwrap();
        assert_eq!((outcome.kind, outcome.outcome, outcome.whole_run), (Kind::Pin, End::Passed, true));
    }

    #[test]
    fn what_is_missing_or_damaged_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        assert!(read(&path).is_err());
        fs::write(&path, r#"[{"requirement":"C3"}]"#).unwrap();
        assert!(read(&path).is_err());
        fs::write(&path, "[]").unwrap();
        assert!(read(&path).unwrap().is_empty());
    }
}
