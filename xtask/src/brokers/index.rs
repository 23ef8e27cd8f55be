//! `target/brokers/brokers.json`: which brokers are there, for the tests and the demo to read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One fetched broker. All paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broker {
    /// Mosquitto's own version, such as `2.0.11`.
    pub version: String,
    /// The exact version of Debian's package, such as `2.0.11-1.2+deb12u2`.
    pub debian_version: String,
    /// The Debian suite it came from, such as `bookworm`.
    pub suite: String,
    /// Starts the broker: takes Mosquitto's arguments, becomes the broker's process (same process id).
    pub launcher: PathBuf,
    /// Starts this version's `mosquitto_pub`.
    pub mosquitto_pub: PathBuf,
    /// Starts this version's `mosquitto_sub`.
    pub mosquitto_sub: PathBuf,
    /// Starts this version's `mosquitto_passwd`.
    pub mosquitto_passwd: PathBuf,
    /// This version's C headers (`mosquitto.h`, `mosquitto_plugin.h`, `mosquitto_broker.h`, …).
    pub include: PathBuf,
    /// The unpacked packages.
    pub root: PathBuf,
}

/// Reads the index: the brokers in ascending order of their versions.
///
/// # Errors
/// The file is missing (the error says which command makes it) or is not what [`write()`] writes.
pub fn read(path: &Path) -> Result<Vec<Broker>> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("no brokers at {}: run `cargo xtask brokers` first", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged: run `cargo xtask brokers --force`", path.display()))
}

/// Writes the index in one step: a reader finds the old file or the new one, never half a file.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, brokers: &[Broker]) -> Result<()> {
    let draft = path.with_extension(format!("json.{}", std::process::id()));
    let text = serde_json::to_string_pretty(brokers)? + "\n";
    fs::write(&draft, text).with_context(|| format!("cannot write {}", draft.display()))?;
    fs::rename(&draft, path).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("brokers.json");
        let broker = Broker {
            version: "2.0.11".into(),
            debian_version: "2.0.11-1.2".into(),
            suite: "bookworm".into(),
            launcher: "/b/mosquitto".into(),
            mosquitto_pub: "/b/mosquitto_pub".into(),
            mosquitto_sub: "/b/mosquitto_sub".into(),
            mosquitto_passwd: "/b/mosquitto_passwd".into(),
            include: "/b/root/usr/include".into(),
            root: "/b/root".into(),
        };
        write(&path, std::slice::from_ref(&broker)).unwrap();
        assert_eq!(read(&path).unwrap(), [broker]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_missing_index_says_what_to_run() {
        let error = read(Path::new("/nonexistent/brokers.json")).unwrap_err();
        assert!(error.to_string().contains("cargo xtask brokers"));
    }
}
