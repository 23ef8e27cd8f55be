//! `cargo xtask servers`: authorization servers that others have written, for the tests to ask; installed nowhere.
//!
//! They are kept in `target/servers/`: `oidc-provider/` with its packages from npm, by the lock file in the checkout, and
//! `glewlwyd/` with Debian's packages, unpacked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::brokers::{WorkFolder, apt, sources};
use crate::{paths, process};

/// The Debian suite that glewlwyd comes from.
const SUITE: &str = "bookworm";
/// The files that oidc-provider is installed by and runs with.
const OIDC_PROVIDER: [&str; 4] = ["package.json", "package-lock.json", ".npmrc", "server.mjs"];
/// What nobody needs here.
const LEFT_OUT: [&str; 4] = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/glewlwyd/webapp"];

/// Makes sure that all servers are there; gives their folders.
///
/// # Errors
/// One cannot be had.
pub fn fetch() -> Result<[PathBuf; 2]> {
    let folder = paths::servers();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok([oidc_provider(&folder)?, glewlwyd(&folder)?])
}

/// Installs it where the lock file has changed since, or where it has not been.
fn oidc_provider(folder: &Path) -> Result<PathBuf> {
    let place = folder.join("oidc-provider");
    let files = paths::root().join("tests/interop/oidc-provider");
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    for name in OIDC_PROVIDER {
        fs::copy(files.join(name), place.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    // Written last: by what it has been installed.
    let (wanted, installed) = (place.join("package-lock.json"), place.join("installed-lock.json"));
    let lock = fs::read(&wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
    if fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(place);
    }
    eprintln!("oidc-provider: installing its packages from npm");
    process::output_of(Command::new("npm").args(["ci", "--silent"]).current_dir(&place))?;
    fs::write(&installed, lock).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(place)
}

fn glewlwyd(folder: &Path) -> Result<PathBuf> {
    let place = folder.join("glewlwyd");
    if place.join("stamp").is_file() {
        return Ok(place);
    }
    eprintln!("glewlwyd: reading the package lists of Debian {SUITE}");
    let work = WorkFolder::new(folder)?;
    let apt = apt::Apt::open(&work.path().join("apt"), &sources::mirror(Path::new("/etc/apt"))?, &[SUITE])?;
    let version = apt.candidate("glewlwyd")?.context("the suite has no package glewlwyd")?;
    // What asks an operator for a database's password is not needed: there is a file.
    let wanted = ["glewlwyd", "dbconfig-no-thanks"];
    eprintln!("glewlwyd: downloading {} packages", apt.count(&wanted)?);
    let made = work.path().join("tree");
    let root = made.join("root");
    fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
    for package in apt.download(&wanted)? {
        let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The machine's own libc does, if it is not older: programs that it starts need theirs.
        if !name.starts_with("libc6_") && !name.starts_with("libc-") {
            process::output_of(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&root))?;
        }
    }
    for part in LEFT_OUT {
        let part = root.join(part);
        if part.exists() {
            fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
        }
    }
    for name in ["glewlwyd", "sqlite3"] {
        let script = made.join(name);
        fs::write(&script, launcher(&root, name)?)
            .and_then(|()| fs::set_permissions(&script, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write {}", script.display()))?;
    }
    let said = process::output_of(Command::new(made.join("glewlwyd")).arg("--version"))?;
    if said.trim().is_empty() {
        bail!("glewlwyd of this tree does not run");
    }
    fs::write(made.join("stamp"), format!("{version} {SUITE}\n")).context("cannot write the stamp")?;
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("cannot replace {}", place.display()))?;
    }
    fs::rename(&made, &place).with_context(|| format!("cannot make {}", place.display()))?;
    Ok(place)
}

/// A script that becomes the program, with the libraries that came with it.
fn launcher(root: &Path, name: &str) -> Result<String> {
    let libraries = root.join("usr/lib");
    let entries = fs::read_dir(&libraries).with_context(|| format!("cannot read {}", libraries.display()))?;
    let multiarch = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .find(|folder| libraries.join(folder).join("libulfius.so.2.7").exists())
        .context("libulfius is not below usr/lib/")?;
    Ok(format!(
        r#"#!/bin/sh
# Becomes {name}, with the libraries of its own Debian suite.
root=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/root
LD_LIBRARY_PATH="$root/usr/lib/{multiarch}:$root/lib/{multiarch}" exec "$root/usr/bin/{name}" "$@"
"#
    ))
}
