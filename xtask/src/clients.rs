//! `cargo xtask clients`: what the examples need from PyPI and npm, for the tests to run them; installed nowhere.
//!
//! It is kept in `target/clients/`, in a folder for each example of that name: `python-paho/venv/` by its list of packages with
//! their hashes, `mqtt-js/node_modules/` by its lock file. What the examples in C and C++ need comes from Debian's packages (see
//! [`crate::setup`]), and the one in Rust is a package of this workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{paths, process};

/// Makes sure that everything is there; gives the folders.
///
/// # Errors
/// Something cannot be had.
pub fn fetch() -> Result<[PathBuf; 2]> {
    Ok([python_paho()?, mqtt_js()?])
}

fn python_paho() -> Result<PathBuf> {
    installed("python-paho", "requirements-exporter.txt", &[], |place| {
        let venv = place.join("venv");
        process::output_of(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]);
        process::output_of(pip.arg("--requirement").arg(place.join("requirements-exporter.txt"))).map(drop)
    })
}

fn mqtt_js() -> Result<PathBuf> {
    installed("mqtt-js", "package-lock.json", &["package.json", ".npmrc"], |place| {
        process::output_of(Command::new("npm").args(["ci", "--silent"]).current_dir(place)).map(drop)
    })
}

/// Has the packages of this example installed, unless they have been by the same list.
fn installed(example: &str, list: &str, more: &[&str], install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let (files, place) = (paths::root().join("examples").join(example), paths::clients().join(example));
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    for name in more.iter().chain([&list]) {
        fs::copy(files.join(name), place.join(name)).with_context(|| format!("cannot copy {name} of {example}"))?;
    }
    // Written last: by what they have been installed.
    let stamp = place.join("installed");
    let wanted = fs::read(files.join(list)).with_context(|| format!("cannot read {list} of {example}"))?;
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(place);
    }
    eprintln!("{example}: installing its packages");
    install(&place)?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is installed must be what was looked at when the list was written.
    #[test]
    fn every_package_has_its_hash_and_no_lock_file_names_a_registry() {
        let list = |name: &str| fs::read_to_string(paths::root().join("examples/python-paho").join(name)).unwrap();
        let (fewer, all) = (list("requirements.txt"), list("requirements-exporter.txt"));
        for list in [&fewer, &all] {
            let packages: Vec<&str> = list.lines().filter(|line| line.contains("==")).collect();
            assert!(!packages.is_empty());
            assert!(packages.iter().all(|line| line.ends_with('\\')), "a package without a hash");
        }
        assert!(all.contains(&fewer), "the longer list has another paho");
        let lock = fs::read_to_string(paths::root().join("examples/mqtt-js/package-lock.json")).unwrap();
        assert!(lock.contains("\"integrity\"") && !lock.contains("\"resolved\""));
    }
}
