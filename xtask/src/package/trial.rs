//! `cargo xtask package test`: the packages in clean Debian systems, as an administrator would use them.
//!
//! What is tried is in the scripts in `packaging/tests/`; here is in which order, and in what. No service manager runs in a tree:
//! the service's unit is checked, and its program is run as its user, but not in its sandbox.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::Mode;
use rustix::process::umask;

use super::inside::Tree;
use super::programs::Programs;
use super::release::Release;
use super::{Made, assemble};
use crate::brokers::WorkFolder;
use crate::{paths, process, setup};

/// The suites that the packages are for.
const SUITES: [&str; 2] = ["bookworm", "trixie"];

/// Tries the packages in these suites; in all without any.
///
/// # Errors
/// Something is not as it should be: the error tells what, with the output of the script that has found it.
pub fn run(made: &Made, suites: &[String]) -> Result<()> {
    setup::ensure(&[setup::IPROUTE])?;
    for suite in suites {
        ensure!(SUITES.contains(&suite.as_str()), "no packages for {suite:?}: there are {}", SUITES.join(", "));
    }
    let wanted = SUITES.iter().filter(|suite| suites.is_empty() || suites.iter().any(|named| named == *suite));
    let work = WorkFolder::new(&trial_folder()?)?;
    step("the packages are the same, made again", || made_again(made, work.path()))?;
    let older = work.path().join("old");
    for package in &made.packages {
        make_older(package, &older, work.path())?;
    }
    let mut tried = 0;
    for suite in wanted {
        tried += try_in(suite, made, &older, work.path())?;
    }
    println!("{tried} passed, 0 failed");
    Ok(())
}

fn trial_folder() -> Result<PathBuf> {
    let folder = paths::packages().join("trial");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    crate::brokers::remove_abandoned(&folder);
    Ok(folder)
}

/// Everything that is tried in one suite; gives how many things that were.
fn try_in(suite: &str, made: &Made, older: &Path, work: &Path) -> Result<usize> {
    let mut tried = 0;
    let mut step = |name: &str, what: &mut dyn FnMut() -> Result<()>| {
        tried += 1;
        step(&format!("{suite}: {name}"), what)
    };
    let tree = Tree::unpack(suite, &work.join("trees"))?;
    copy_all(&paths::root().join("packaging/tests"), &tree.path("/trial"))?;
    fs::write(tree.path("/trial/plain.conf"), "listener 1883\nallow_anonymous true\n")
        .context("cannot write plain.conf")?;
    for package in &made.packages {
        copy_into(package, &tree.path("/trial/new"))?;
    }
    copy_all(older, &tree.path("/trial/old"))?;
    copy_into(&made.archive, &tree.path("/trial"))?;
    let packages = |folder: &str| -> Result<Vec<String>> {
        let files = super::contents::files_in(&tree.path(folder))?;
        Ok(files.iter().map(|path| format!("{folder}/{}", path.file_name().unwrap_or_default().display())).collect())
    };
    let install = |folder: &str| -> Result<()> {
        let files = packages(folder)?;
        tree.apt(&files.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let script = |name: &str| tree.script(&format!("/trial/{name}.sh"), &[]).map(|said| print!("{said}"));

    step("they install", &mut || install("/trial/new"))?;
    step("their files are there, and the broker is what it was", &mut || script("installed"))?;
    step("the example as it comes does not start", &mut || script("unedited"))?;
    step("after two edits the broker serves", &mut || script("serves"))?;
    step("they leave nothing but what they should", &mut || script("removed"))?;
    step("an older version installs", &mut || {
        fs::remove_dir_all(tree.path("/trial/ace")).context("cannot remove what the tests before have made")?;
        install("/trial/old")
    })?;
    step("the upgrade keeps edits and restarts what runs", &mut || script("upgraded"))?;
    step("the service is one that systemd takes", &mut || {
        tree.apt(&["systemd"])?;
        script("unit")
    })?;
    step("they leave nothing, again", &mut || script("removed"))?;
    step("the archive does without them", &mut || script("archive"))?;
    Ok(tried)
}

fn step(name: &str, mut what: impl FnMut() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    what().with_context(|| format!("{name}: failed"))?;
    println!("{name}: passed in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Makes packages and archive a second time, in another folder and with another umask, and compares them byte by byte.
fn made_again(made: &Made, work: &Path) -> Result<()> {
    let out = work.join("again");
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let programs = Programs::existing(&paths::packages().join("programs"));
    let before = umask(Mode::RWXG | Mode::RWXO);
    let again = Release::of_checkout().and_then(|release| assemble(&release, &programs, &out));
    umask(before);
    let again = again?;
    let pairs = made.packages.iter().zip(&again.packages).chain([(&made.archive, &again.archive)]);
    for (first, second) in pairs {
        same(first, second)?;
    }
    Ok(())
}

fn same(first: &Path, second: &Path) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    if read(first)? != read(second)? {
        bail!("{} is not what it was when it was made before", first.display());
    }
    Ok(())
}

/// A package of a lower version, whose files below `/etc` are not those of this one.
fn make_older(package: &Path, out: &Path, work: &Path) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let name = package.file_name().context("a package without a name")?;
    let folder = work.join("older").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    process::output_of(Command::new("dpkg-deb").arg("--raw-extract").arg(package).arg(&folder))?;
    let control = folder.join("DEBIAN/control");
    edit(&control, |text| {
        let lines = text.lines().map(|line| if line.starts_with("Version:") { "Version: 0.0.1-1" } else { line });
        lines.flat_map(|line| [line, "\n"]).collect()
    })?;
    let conffiles = fs::read_to_string(folder.join("DEBIAN/conffiles")).unwrap_or_default();
    for file in conffiles.lines() {
        edit(&folder.join(file.trim_start_matches('/')), |text| text + "# As it was in an earlier version.\n")?;
    }
    let mut build = Command::new("dpkg-deb");
    process::output_of(build.args(["--root-owner-group", "-Znone", "--build"]).arg(&folder).arg(out.join(name)))
        .map(drop)
}

fn edit(path: &Path, change: impl FnOnce(String) -> String) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    fs::write(path, change(text)).with_context(|| format!("cannot write {}", path.display()))
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    super::contents::files_in(from)?.iter().try_for_each(|path| copy_into(path, to))
}

fn copy_into(file: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let to = folder.join(file.file_name().unwrap_or_default());
    fs::copy(file, &to).with_context(|| format!("cannot write {}", to.display())).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_differ_in_a_byte_are_not_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&one, "x").unwrap();
        fs::write(&other, "x").unwrap();
        assert!(same(&one, &other).is_ok());
        fs::write(&other, "y").unwrap();
        assert!(same(&one, &other).is_err());
    }

    #[test]
    fn every_script_is_run() {
        let source = fs::read_to_string(paths::root().join("xtask/src/package/trial.rs")).unwrap();
        for path in super::super::contents::files_in(&paths::root().join("packaging/tests")).unwrap() {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            assert!(name == "lib" || source.contains(&format!("script(\"{name}\")")), "{name}");
        }
    }
}
