//! Which brokers there are to test against.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// One unpatched Mosquitto.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its upstream version: `2.0.11`.
    pub number: String,
    /// The program that starts it.
    pub launcher: PathBuf,
}

/// Reads the list that `cargo xtask brokers` leaves behind.
///
/// # Errors
/// A sentence for the person who started the suite.
pub fn read(list: &Path) -> Result<Vec<Version>, String> {
    let advice = "run `cargo xtask brokers` first, or set ACE_BROKERS to its brokers.json";
    let text = std::fs::read_to_string(list).map_err(|error| format!("{}: {error}: {advice}", list.display()))?;
    let document: Value =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}: {advice}", list.display()))?;
    let folder = list.parent().unwrap_or(Path::new("."));
    let entries = document
        .as_array()
        .or_else(|| document.get("brokers").and_then(Value::as_array))
        .ok_or_else(|| format!("{}: no list of brokers: {advice}", list.display()))?;
    let mut versions = Vec::new();
    for entry in entries {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        let (Some(number), Some(launcher)) = (text("version"), text("launcher")) else {
            return Err(format!("{}: an entry without version or launcher: {advice}", list.display()));
        };
        versions.push(Version { number: number.to_owned(), launcher: folder.join(launcher) });
    }
    if versions.is_empty() {
        return Err(format!("{}: the list is empty: {advice}", list.display()));
    }
    Ok(versions)
}
