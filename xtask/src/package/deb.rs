//! One Debian package, of a folder with its files: control data, dependencies, digests, archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::contents::{self, debian_changelog};
use super::programs::Programs;
use super::release::Release;
use super::stage::Stage;
use crate::{paths, process};

/// The scripts that dpkg runs; a package has those that are in its folder below `packaging/`.
const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

/// Makes the package and gives its file, in `out`.
///
/// # Errors
/// A file is missing, or one of dpkg's programs fails.
pub(super) fn make(package: &str, release: &Release, programs: &Programs, work: &Path, out: &Path) -> Result<PathBuf> {
    let stage = Stage::new(&work.join("debian").join(package))?;
    contents::fill(package, release, programs, &stage)?;
    let conffiles = stage.conffiles()?;
    if !conffiles.is_empty() {
        stage.text(&(conffiles.join("\n") + "\n"), "DEBIAN/conffiles")?;
    }
    let scripts = paths::root().join("packaging").join(package);
    for name in SCRIPTS {
        if scripts.join(name).is_file() {
            stage.program(&scripts.join(name), &format!("DEBIAN/{name}"))?;
        }
    }
    stage.text(&stage.digests("md5sum")?, "DEBIAN/md5sums")?;
    control(package, release, &compiled(package, release), work)?;
    let file = out.join(format!("{package}_{}_{}.deb", release.debian_version(), release.architecture));
    let mut build = Command::new("dpkg-deb");
    build.env("SOURCE_DATE_EPOCH", release.epoch.to_string());
    build.args(["--root-owner-group", "-Zxz", "--threads-max=1", "--build"]).arg(stage.root()).arg(&file);
    process::output_of(&mut build)?;
    Ok(file)
}

/// The compiled file of a package, in its stage.
fn compiled(package: &str, release: &Release) -> String {
    match package {
        "mosquitto-ace" => format!("usr/lib/{}/mosquitto/libmosquitto_ace.so", release.multiarch),
        program => format!("usr/bin/{program}"),
    }
}

/// Writes `DEBIAN/control`: what `packaging/control` says, and what the compiled file depends on.
fn control(package: &str, release: &Release, compiled: &str, work: &Path) -> Result<()> {
    let debian = work.join("debian");
    let write = |name: &str, text: &str| {
        let path = debian.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    let template = paths::root().join("packaging/control");
    let text = fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
    write("control", &text.replace("@MAINTAINER@", &release.maintainer))?;
    write("changelog", &debian_changelog(release)?)?;
    let substitutions = format!("debian/{package}.substvars");
    let mut depends = Command::new("dpkg-shlibdeps");
    depends.current_dir(work).env("LC_ALL", "C");
    depends.arg(format!("-T{substitutions}")).arg(format!("-edebian/{package}/{compiled}"));
    process::output_of(&mut depends)?;
    let mut control = Command::new("dpkg-gencontrol");
    control.current_dir(work).env("LC_ALL", "C").env("SOURCE_DATE_EPOCH", release.epoch.to_string());
    control.arg(format!("-p{package}")).arg(format!("-T{substitutions}")).arg(format!("-Pdebian/{package}"));
    control.arg(format!("-fdebian/{package}.files"));
    process::output_of(&mut control)?;
    Ok(())
}
