//! `cargo xtask promtool`: Prometheus' own program that judges metrics, for the tests; installed nowhere.
//!
//! It is a program without libraries of its own, taken out of Debian's package into `target/tools/promtool`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::brokers::{WorkFolder, apt, sources};
use crate::{paths, process};

/// The Debian suite that it comes from.
const SUITE: &str = "bookworm";

/// Makes sure that it is there; gives its path.
///
/// # Errors
/// It cannot be had, or does not run.
pub fn fetch() -> Result<PathBuf> {
    let place = paths::promtool();
    if place.is_file() {
        return Ok(place);
    }
    let folder = place.parent().unwrap_or(&place);
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    eprintln!("promtool: reading the package lists of Debian {SUITE}, then about 20 MB");
    let work = WorkFolder::new(folder)?;
    let apt = apt::Apt::open(&work.path().join("apt"), &sources::mirror(Path::new("/etc/apt"))?, &[SUITE])?;
    let package = apt.download_alone("prometheus")?;
    let tree = work.path().join("tree");
    process::output_of(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&tree))?;
    let program = tree.join("usr/bin/promtool");
    let said = process::output_of(Command::new(&program).arg("--version"))?;
    if !said.contains("promtool") {
        bail!("promtool of Debian's package does not run");
    }
    fs::rename(&program, &place).with_context(|| format!("cannot make {}", place.display()))?;
    Ok(place)
}
