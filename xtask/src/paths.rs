//! Where things are in this checkout. Nothing here creates anything.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the checkout: the folder of the workspace's `Cargo.toml`.
#[must_use]
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Cargo's target folder: `CARGO_TARGET_DIR` if set (relative to the checkout), else `target/`.
#[must_use]
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The folder in which `cargo xtask brokers` keeps the brokers.
#[must_use]
pub fn brokers() -> PathBuf {
    target().join("brokers")
}

/// The folder in which `cargo xtask servers` keeps the authorization servers that others have written.
#[must_use]
pub fn servers() -> PathBuf {
    target().join("servers")
}

/// The folder in which `cargo xtask tree` keeps minimal Debian systems.
#[must_use]
pub fn trees() -> PathBuf {
    target().join("trees")
}

/// The folder in which `cargo xtask clients` keeps what the examples need.
#[must_use]
pub fn clients() -> PathBuf {
    target().join("clients")
}

/// The folder in which `cargo xtask package` leaves what it makes.
#[must_use]
pub fn packages() -> PathBuf {
    target().join("packages")
}

/// Prometheus' program that judges metrics, as `cargo xtask promtool` leaves it.
#[must_use]
pub fn promtool() -> PathBuf {
    target().join("tools").join("promtool")
}

/// The list of fetched brokers, see [`crate::brokers::index`].
#[must_use]
pub fn broker_index() -> PathBuf {
    brokers().join("brokers.json")
}

/// The plugin as `cargo build --release` leaves it.
#[must_use]
pub fn plugin() -> PathBuf {
    target().join("release").join("libmosquitto_ace.so")
}

/// A program of the workspace as `cargo build --release` leaves it.
#[must_use]
pub fn release_program(name: &str) -> PathBuf {
    target().join("release").join(name)
}
