//! `cargo xtask servers`: servers that others have written, for the tests to deal with; installed nowhere.
//!
//! They are kept in `target/servers/`: `oidc-provider/` with its packages from npm, by the lock file in the checkout, and
//! `glewlwyd/` and `haproxy/` with Debian's packages, unpacked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::debian::Unpacked;
use crate::{paths, process};

/// The files that oidc-provider is installed by and runs with.
const OIDC_PROVIDER: [&str; 4] = ["package.json", "package-lock.json", ".npmrc", "server.mjs"];
/// An authorization server. What asks an operator for a database's password is not needed: there is a file.
const GLEWLWYD: Unpacked = Unpacked {
    name: "glewlwyd",
    packages: &["glewlwyd", "dbconfig-no-thanks"],
    programs: &["usr/bin/glewlwyd", "usr/bin/sqlite3"],
    version: "--version",
};
/// A proxy that ends TLS in front of the broker.
const HAPROXY: Unpacked =
    Unpacked { name: "haproxy", packages: &["haproxy"], programs: &["usr/sbin/haproxy"], version: "-v" };

/// Makes sure that all servers are there; gives their folders.
///
/// # Errors
/// One cannot be had.
pub fn fetch() -> Result<[PathBuf; 3]> {
    let folder = paths::servers();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok([oidc_provider(&folder)?, GLEWLWYD.fetch(&folder)?, HAPROXY.fetch(&folder)?])
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
