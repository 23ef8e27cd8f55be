//! `cargo xtask package`: Debian packages and a release archive, in `target/packages/`.
//!
//! What the packages say to dpkg is in `packaging/`; which files they have is in `contents.rs`. The same sources give the same
//! packages, byte for byte, on one machine.

mod archive;
mod contents;
mod deb;
mod elf;
mod inside;
mod manual;
mod programs;
mod release;
mod stage;
mod third_party;
pub mod trial;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::brokers::{WorkFolder, remove_abandoned};
use crate::{paths, process, setup};
use programs::Programs;
use release::Release;

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// The Debian packages: `mosquitto-ace`, `ace-as`, `ace-mqtt`.
    pub packages: Vec<PathBuf>,
    /// The release archive.
    pub archive: PathBuf,
}

/// Builds everything and makes the packages, the archive, and `SHA256SUMS` of them.
///
/// `in_tree` has it built in a Debian 12 tree, as it is anyway where this machine's glibc is newer than Debian 12's.
///
/// # Errors
/// Something does not compile, or what is compiled needs more than is promised, or a tool is missing.
pub fn make(in_tree: bool) -> Result<Made> {
    setup::ensure(setup::PACKAGE)?;
    let folder = paths::packages();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    remove_abandoned(&folder);
    let programs = Programs::build(in_tree, &folder.join("programs"))?;
    // Packages of an earlier version must not pass for this one's.
    for file in contents::files_in(&folder)? {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    let made = assemble(&Release::of_checkout()?, &programs, &folder)?;
    let names = made.packages.iter().chain([&made.archive]).filter_map(|path| path.file_name());
    let sums = process::output_of(Command::new("sha256sum").current_dir(&folder).arg("--").args(names))?;
    fs::write(folder.join("SHA256SUMS"), sums).context("cannot write SHA256SUMS")?;
    Ok(made)
}

/// Makes packages and archive of what is built.
fn assemble(release: &Release, programs: &Programs, out: &Path) -> Result<Made> {
    let work = WorkFolder::new(out)?;
    let packages = contents::PACKAGES
        .iter()
        .map(|package| deb::make(package, release, programs, work.path(), out))
        .collect::<Result<_>>()?;
    Ok(Made { packages, archive: archive::make(release, programs, work.path(), out)? })
}
