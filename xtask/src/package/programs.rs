//! What is compiled: built on this machine, or in a Debian 12 tree where this machine's glibc is newer than the promised one;
//! checked, and stripped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::elf::{self, Glibc};
use super::inside;
use crate::{cargo, paths, process};

/// The suite that is built in: the oldest one that the packages are for.
const OLDEST: &str = "bookworm";

/// A folder with the plugin and the programs, ready to be packaged.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds, checks and strips all of them, into a folder of their own.
    ///
    /// # Errors
    /// Something does not compile, or would not run on every promised system.
    pub(super) fn build(in_tree: bool, folder: &Path) -> Result<Self> {
        let built = if in_tree || Glibc::of_machine()? > elf::PROMISED { build_in_tree()? } else { build_here()? };
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let programs = Self::existing(folder);
        for (from, to) in [
            ("libmosquitto_ace.so", programs.plugin()),
            ("ace-as", programs.program("ace-as")),
            ("ace-mqtt", programs.program("ace-mqtt")),
        ] {
            strip(&built.join(from), &to)?;
            let needs = elf::check(&to)?;
            eprintln!("{from}: needs glibc {}", needs.glibc);
        }
        elf::check_entry_points(&programs.plugin())?;
        Ok(programs)
    }

    /// Those that were built into this folder before.
    pub(super) fn existing(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf() }
    }

    pub(super) fn plugin(&self) -> PathBuf {
        self.folder.join("libmosquitto_ace.so")
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn build_here() -> Result<PathBuf> {
    cargo::build_release()?;
    Ok(paths::target().join("release"))
}

/// Builds with this machine's Rust and its sources of crates, and the tree's C compiler and libraries.
fn build_in_tree() -> Result<PathBuf> {
    let target = paths::packages().join(format!("build-{OLDEST}"));
    fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
    // The tree has no network to cargo's taste: what is missing is fetched before.
    process::run(cargo::fetch().arg("--quiet"))?;
    let tree = inside::Tree::unpack(OLDEST, &paths::packages())?;
    eprintln!("{OLDEST}: installing a C compiler");
    tree.apt(&["gcc", "libc6-dev"])?;
    let mut seen = vec![paths::root(), target.clone()];
    seen.extend(cargo::homes()?);
    let command = cargo::release_build_offline(&target);
    eprintln!("{OLDEST}: building");
    tree.run_with(&seen, &command)?;
    Ok(target.join("release"))
}

/// Copies a file without what only debuggers read.
fn strip(from: &Path, to: &Path) -> Result<()> {
    let mut strip = Command::new("strip");
    strip.args(["--strip-unneeded", "--remove-section=.comment", "-o"]).arg(to).arg(from);
    process::output_of(&mut strip).map(drop)
}
