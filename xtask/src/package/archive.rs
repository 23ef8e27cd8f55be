//! The release archive: everything in one folder, for systems other than Debian and for those who place files by hand.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::contents;
use super::programs::Programs;
use super::release::Release;
use super::stage::Stage;
use crate::process;

/// Makes the archive and gives its file, in `out`.
///
/// # Errors
/// A file is missing, or tar fails.
pub(super) fn make(release: &Release, programs: &Programs, work: &Path, out: &Path) -> Result<PathBuf> {
    let name = format!("mosquitto-ace-{}-{}-linux-gnu", release.version, env::consts::ARCH);
    let folder = work.join("archive");
    contents::fill_archive(release, programs, &Stage::new(&folder.join(&name))?)?;
    let file = out.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.env("LC_ALL", "C").current_dir(&folder);
    tar.args(["--create", "--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.arg(format!("--mtime=@{}", release.epoch)).args(["--use-compress-program=gzip --best --no-name", "--file"]);
    process::output_of(tar.arg(&file).arg(&name))?;
    Ok(file)
}
