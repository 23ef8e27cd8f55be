//! What came out, for the table requirement × broker version.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::case::Case;

static RESULTS: Mutex<Vec<Value>> = Mutex::new(Vec::new());

/// Notes one outcome; `failure` is what went wrong.
pub fn record(case: &Case, version: &str, failure: Option<&str>) {
    if case.requirement.is_empty() {
        return;
    }
    let mut results = RESULTS.lock().unwrap_or_else(PoisonError::into_inner);
    results.push(json!({
        "requirement": case.requirement,
        "kind": case.kind.word(),
        "name": case.name,
        "version": version,
        "outcome": if failure.is_none() { "passed" } else { "failed" },
        "note": failure.unwrap_or_default(),
    }));
}

/// Writes all outcomes; `whole` says whether every case was run, none left out by a filter.
pub fn write(file: &Path, whole: bool) -> std::io::Result<()> {
    let mut results = RESULTS.lock().unwrap_or_else(PoisonError::into_inner);
    results
        .sort_by_key(|result| ["requirement", "name", "version"].map(|part| result[part].as_str().map(str::to_owned)));
    for result in results.iter_mut() {
        result["whole_run"] = json!(whole);
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(&*results).map_err(std::io::Error::other)?;
    std::fs::write(file, text + "\n")
}
