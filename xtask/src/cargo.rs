//! Cargo, always with the same choice of packages: another choice would have it build the dependencies again, with
//! other features.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::{paths, process};

/// What is delivered: the plugin, the authorization server, the client.
pub(crate) const DELIVERED: [&str; 3] = ["mosquitto-ace", "ace-as", "ace-mqtt"];
/// The example that the tests run as it is built for use.
const EXAMPLE: &str = "ace-example-rust";

/// Builds what is delivered as it is delivered, and the example that the tests run beside it.
///
/// # Errors
/// It does not compile.
pub fn build_release() -> Result<()> {
    process::run(release_build().args(["--package", EXAMPLE]))
}

/// The command that builds what is delivered.
pub(crate) fn release_build() -> Command {
    let mut command = cargo("build");
    command.arg("--release");
    for package in DELIVERED {
        command.args(["--package", package]);
    }
    command
}

/// The command that builds what is delivered, in another folder, without looking for anything in the network.
pub(crate) fn release_build_offline(target: &Path) -> Command {
    let mut command = release_build();
    command.args(["--locked", "--offline", "--target-dir"]).arg(target);
    command
}

/// The command that fetches the sources of everything in Cargo.lock.
pub(crate) fn fetch() -> Command {
    let mut command = cargo("fetch");
    command.arg("--locked");
    command
}

/// Where cargo keeps sources, and where the compiler is: folders of this machine.
///
/// # Errors
/// The compiler cannot be asked.
pub(crate) fn homes() -> Result<Vec<PathBuf>> {
    let home = |name: &str, usual: &str| {
        let named = env::var_os(name).map(PathBuf::from);
        named.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(usual)))
    };
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let toolchain = process::output_of(rustc.current_dir(paths::root()).args(["--print", "sysroot"]))?;
    let mut folders: Vec<PathBuf> =
        home("CARGO_HOME", ".cargo").into_iter().chain(home("RUSTUP_HOME", ".rustup")).collect();
    folders.push(PathBuf::from(toolchain.trim()));
    folders.retain(|folder| folder.is_dir());
    Ok(folders)
}

/// A library from a registry that is compiled into something of ours.
#[derive(Clone, Debug)]
pub(crate) struct Library {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Its licences, as an SPDX expression.
    pub(crate) license: Option<String>,
    /// The folder of its sources.
    pub(crate) folder: PathBuf,
}

/// What is compiled into these packages of the workspace, by name and version: neither what only builds or tests them, nor the
/// workspace's own.
///
/// # Errors
/// Cargo cannot be asked, or its answer is not understood.
pub(crate) fn libraries(packages: &[&str]) -> Result<Vec<Library>> {
    let mut tree = cargo("tree");
    tree.args(["--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe", "--format", "{p}"]);
    for package in packages {
        tree.args(["--package", package]);
    }
    let tree = process::output_of(&mut tree)?;
    let used: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?.strip_prefix('v')?))
        })
        .collect();
    let mut command = cargo("metadata");
    let text = process::output_of(command.args(["--locked", "--format-version", "1"]))?;
    let metadata: Metadata = serde_json::from_str(&text).context("cargo's metadata is not what it should be")?;
    let mut libraries: Vec<Library> = metadata
        .packages
        .into_iter()
        .filter(|package| package.source.is_some() && used.contains(&(package.name.as_str(), package.version.as_str())))
        .map(|package| Library {
            folder: package.manifest_path.parent().map(PathBuf::from).unwrap_or_default(),
            name: package.name,
            version: package.version,
            license: package.license,
        })
        .collect();
    libraries.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    Ok(libraries)
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

/// Builds the plugin's integration test of this name, and gives its program.
///
/// # Errors
/// It does not compile, or cargo does not say where it is.
pub fn test_program(name: &str) -> Result<PathBuf> {
    let mut command = cargo("test");
    command.args(["--workspace", "--no-run", "--test", name, "--message-format", "json-render-diagnostics"]);
    let output = command.stderr(Stdio::inherit()).stdin(Stdio::null()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the test {name} does not compile");
    let text = String::from_utf8_lossy(&output.stdout);
    let artifacts = text.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    let program = artifacts.filter(|artifact| artifact.target.name == name).find_map(|artifact| artifact.executable);
    program.with_context(|| format!("cargo does not say where the test {name} is"))
}

/// The part of cargo's messages that is of interest.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<PathBuf>,
}

/// The part of `cargo metadata` that is of interest.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// None if it is of the workspace.
    source: Option<String>,
    manifest_path: PathBuf,
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
