//! Cargo, always with the same choice of packages: another choice would have it build the dependencies again, with
//! other features.

use std::env;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{paths, process};

/// What is delivered: the plugin, the authorization server, the client, and the example that the tests run.
const DELIVERED: [&str; 4] = ["mosquitto-ace", "ace-as", "ace-mqtt", "ace-example-rust"];

/// Builds what is delivered as it is delivered.
///
/// # Errors
/// It does not compile.
pub fn build_release() -> Result<()> {
    let mut command = cargo("build");
    command.arg("--release");
    for package in DELIVERED {
        command.args(["--package", package]);
    }
    process::run(&mut command)
}

/// `cargo test` for the whole workspace; the caller says which of its tests.
#[must_use]
pub fn test() -> Command {
    let mut command = cargo("test");
    command.args(["--quiet", "--workspace"]);
    command
}

/// The names of all integration tests in the workspace.
///
/// # Errors
/// Cargo cannot be asked, or its answer is not understood.
pub fn integration_tests() -> Result<Vec<String>> {
    let mut command = cargo("metadata");
    let text = process::output_of(command.args(["--no-deps", "--format-version", "1"]))?;
    let metadata: Metadata = serde_json::from_str(&text).context("cargo's metadata is not what it should be")?;
    let targets = metadata.packages.into_iter().flat_map(|package| package.targets);
    let mut names: Vec<String> =
        targets.filter(|target| target.kind.iter().any(|kind| kind == "test")).map(|target| target.name).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// The part of `cargo metadata` that is of interest.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// The cargo that runs us, in the checkout.
fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(paths::root()).arg(command);
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_suite_is_one_of_the_integration_tests() {
        assert!(integration_tests().unwrap().iter().any(|name| name == "broker"));
    }
}
