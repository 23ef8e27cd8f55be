//! Programs of Debian's, unpacked into a folder of their own with all the libraries that they need; installed nowhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::brokers::{WorkFolder, apt, sources};
use crate::process;

/// The Debian suite that they come from.
const SUITE: &str = "bookworm";
/// What nobody needs here.
const LEFT_OUT: [&str; 4] = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/glewlwyd/webapp"];

/// What to unpack.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// The folder's name, and the package whose version counts.
    pub(crate) name: &'static str,
    /// The packages; those that they depend on come with them.
    pub(crate) packages: &'static [&'static str],
    /// Where the programs are in the tree. For each there is a script of the same name in the folder, which starts it.
    pub(crate) programs: &'static [&'static str],
    /// The option with which the first program says its version.
    pub(crate) version: &'static str,
}

impl Unpacked {
    /// Makes sure that it is there, below `folder`; gives its own folder.
    ///
    /// # Errors
    /// It cannot be downloaded or unpacked, or does not run.
    pub(crate) fn fetch(&self, folder: &Path) -> Result<PathBuf> {
        let name = self.name;
        let place = folder.join(name);
        if place.join("stamp").is_file() {
            return Ok(place);
        }
        eprintln!("{name}: reading the package lists of Debian {SUITE}");
        let work = WorkFolder::new(folder)?;
        let apt = apt::Apt::open(&work.path().join("apt"), &sources::mirror(Path::new("/etc/apt"))?, &[SUITE])?;
        let version = apt.candidate(name)?.with_context(|| format!("the suite has no package {name}"))?;
        eprintln!("{name}: downloading {} packages", apt.count(self.packages)?);
        let made = work.path().join("tree");
        let root = made.join("root");
        fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
        for package in apt.download(self.packages)? {
            let file = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // The machine's own libc does, if it is not older: programs that it starts need theirs.
            if !file.starts_with("libc6_") && !file.starts_with("libc-") {
                process::output_of(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&root))?;
            }
        }
        for part in LEFT_OUT {
            let part = root.join(part);
            if part.exists() {
                fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
            }
        }
        let multiarch = multiarch(&root.join("usr/lib"))?;
        let scripts: Vec<PathBuf> = self.programs.iter().map(|program| made.join(last(program))).collect();
        for (script, program) in scripts.iter().zip(self.programs) {
            fs::write(script, launcher(program, &multiarch))
                .and_then(|()| fs::set_permissions(script, fs::Permissions::from_mode(0o755)))
                .with_context(|| format!("cannot write {}", script.display()))?;
        }
        for script in scripts.iter().take(1) {
            let said = process::output_of(Command::new(script).arg(self.version))?;
            if said.trim().is_empty() {
                bail!("{name} of this tree does not run");
            }
        }
        fs::write(made.join("stamp"), format!("{version} {SUITE}\n")).context("cannot write the stamp")?;
        if place.exists() {
            fs::remove_dir_all(&place).with_context(|| format!("cannot replace {}", place.display()))?;
        }
        fs::rename(&made, &place).with_context(|| format!("cannot make {}", place.display()))?;
        Ok(place)
    }
}

/// The folder with the architecture's own libraries: `x86_64-linux-gnu`, for example.
fn multiarch(libraries: &Path) -> Result<String> {
    let entries = fs::read_dir(libraries).with_context(|| format!("cannot read {}", libraries.display()))?;
    let mut names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .find(|name| name.contains("-linux-gnu"))
        .with_context(|| format!("{} has no folder for this architecture", libraries.display()))
}

fn last(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// A script that becomes the program, with the libraries that came with it.
fn launcher(program: &str, multiarch: &str) -> String {
    let name = last(program);
    format!(
        r#"#!/bin/sh
# Becomes {name}, with the libraries of its own Debian suite.
root=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/root
LD_LIBRARY_PATH="$root/usr/lib/{multiarch}:$root/lib/{multiarch}" exec "$root/{program}" "$@"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_starts_the_program_in_its_tree() {
        let script = launcher("usr/sbin/haproxy", "x86_64-linux-gnu");
        assert!(script.contains("exec \"$root/usr/sbin/haproxy\""), "{script}");
        assert!(script.contains("# Becomes haproxy,") && script.contains("$root/lib/x86_64-linux-gnu"), "{script}");
    }

    #[test]
    fn the_architectures_folder_is_found() {
        let folder = tempfile::tempdir().unwrap();
        assert!(multiarch(folder.path()).is_err());
        for name in ["python3", "aarch64-linux-gnu"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        assert_eq!(multiarch(folder.path()).unwrap(), "aarch64-linux-gnu");
    }
}
