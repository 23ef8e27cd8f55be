//! What the broker suite has shown, requirement by requirement and version by version: a table for the terminal and
//! `docs/conformance.md`.
//!
//! Outcomes come from the suite ([`results`]), the requirements' names and the known deviations from a hand-written
//! file ([`declared`]); [`table`] puts both together and complains where they contradict each other.

pub mod declared;
pub mod results;
pub mod table;

mod markdown;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::brokers::Broker;
use crate::paths;

/// The written table.
const DOCUMENT: &str = "docs/conformance.md";

/// What is to become of the written table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// It is written anew.
    Write,
    /// It must be what would be written.
    Check,
    /// It stays as it is, since only a part of the suite has run.
    Leave,
}

/// Where the suite leaves its outcomes.
#[must_use]
pub fn results_file() -> PathBuf {
    paths::target().join("conformance").join("results.json")
}

/// Prints the table of the suite's last run on these brokers, and writes or checks the document.
///
/// # Errors
/// A test has failed; a requirement lacks an accepting or a refusing test; tests and declared deviations contradict
/// each other; or the document is not what it should be. Of a partial run ([`Document::Leave`]) only failures count.
pub fn report(brokers: &[Broker], document: Document) -> Result<()> {
    let outcomes = results::read(&results_file())?;
    let whole = document != Document::Leave;
    if outcomes.is_empty() {
        ensure!(!whole, "the suite ran no test of a requirement");
        println!("no test of a requirement has that in its name");
        return Ok(());
    }
    let declared = declared::read(&paths::root())?;
    let table = table::Table::new(&declared, &outcomes, brokers);
    println!("{}", table.for_terminal(whole));
    let complaints = table.complaints(whole);
    if !complaints.is_empty() {
        bail!("the table does not hold:\n  {}", complaints.join("\n  "));
    }
    if !whole {
        println!("a partial run: {DOCUMENT} is left as it is");
        return Ok(());
    }
    if !outcomes.iter().all(|outcome| outcome.whole_run) {
        bail!("the suite says that it has left out some of its tests");
    }
    let path = paths::root().join(DOCUMENT);
    let text = markdown::document(&table, &declared);
    let present = fs::read_to_string(&path).unwrap_or_default();
    if present == text {
        println!("{DOCUMENT} is up to date");
    } else if document == Document::Check {
        bail!("{DOCUMENT} is not what the tests have shown: run `cargo xtask test` and commit the file");
    } else {
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{DOCUMENT} is written");
    }
    Ok(())
}
