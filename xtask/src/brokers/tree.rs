//! One broker's folder: its unpacked packages and the scripts that start its programs.
//!
//! ```text
//! 2.0.11/stamp              the exact version of Debian's package, and the suite: written last
//! 2.0.11/mosquitto          starts the broker; also mosquitto_pub, mosquitto_sub, mosquitto_passwd
//! 2.0.11/root/              every package but libc
//! 2.0.11/libc/              libc and its loader
//! ```
//!
//! A broker runs with the libraries of its own suite. The plugin, however, is built on this machine and
//! may need the libc of this machine: where that one is newer than the broker's, the broker is started
//! with it (a newer libc runs older programs; the other way round does not work).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::index::Broker;
use super::release::upstream;
use crate::process;

/// Mosquitto's programs that get a starting script, and where they are in the tree.
const PROGRAMS: [(&str, &str); 4] = [
    ("mosquitto", "usr/sbin/mosquitto"),
    ("mosquitto_pub", "usr/bin/mosquitto_pub"),
    ("mosquitto_sub", "usr/bin/mosquitto_sub"),
    ("mosquitto_passwd", "usr/bin/mosquitto_passwd"),
];

/// What nobody needs here.
const LEFT_OUT: [&str; 3] = ["usr/share/doc", "usr/share/man", "usr/share/locale"];

/// Unpacks the packages into `folder` and writes starting scripts and stamp.
///
/// # Errors
/// A package cannot be unpacked, or a program or library is not where Debian keeps it.
pub(super) fn build(folder: &Path, packages: &[PathBuf], debian_version: &str, suite: &str) -> Result<()> {
    let (root, libc) = (folder.join("root"), folder.join("libc"));
    for part in [&root, &libc] {
        fs::create_dir_all(part).with_context(|| format!("cannot make {}", part.display()))?;
    }
    let mut libc_version = None;
    for package in packages {
        let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let of_libc = name.starts_with("libc6_") || name.starts_with("libc-gconv");
        if let Some(version) = name.strip_prefix("libc6_") {
            libc_version = version.split(['-', '+', '_']).next().map(str::to_owned);
        }
        let target = if of_libc { &libc } else { &root };
        process::output_of(Command::new("dpkg-deb").arg("--extract").arg(package).arg(target))?;
    }
    for part in LEFT_OUT {
        let part = root.join(part);
        if part.exists() {
            fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
        }
    }
    let layout = Layout::find(folder, &libc_version.context("no libc6 among the packages")?)?;
    // Some packages leave the links named by the libraries' sonames to the machine's ldconfig.
    let folders = layout.libraries.iter().map(|path| folder.join(path));
    process::output_of(Command::new("/sbin/ldconfig").arg("-n").args(folders))?;
    for (name, program) in PROGRAMS {
        if !root.join(program).is_file() {
            bail!("{program} is not in Debian's packages of mosquitto {debian_version}");
        }
        let script = folder.join(name);
        fs::write(&script, layout.script(name, program, debian_version))
            .and_then(|()| fs::set_permissions(&script, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write {}", script.display()))?;
    }
    check_start(folder, upstream(debian_version))?;
    let stamp = folder.join("stamp");
    fs::write(&stamp, format!("{debian_version} {suite}\n"))
        .with_context(|| format!("cannot write {}", stamp.display()))
}

/// Lets the broker and a client say their version: whatever a library lacks shows here.
fn check_start(folder: &Path, version: &str) -> Result<()> {
    for (program, argument, expected) in [
        ("mosquitto", "-h", format!("mosquitto version {version}")),
        ("mosquitto_pub", "--version", format!("mosquitto_pub version {version}")),
    ] {
        // Both end with a code of failure when asked for this.
        let output = process::whole_output_of(Command::new(folder.join(program)).arg(argument))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !said.starts_with(&expected) {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("{program} of this tree does not run: {}{}", complaint.trim(), said.trim());
        }
    }
    Ok(())
}

/// What a finished folder holds; none if it is not finished.
#[must_use]
pub(super) fn open(folder: &Path) -> Option<Broker> {
    let stamp = fs::read_to_string(folder.join("stamp")).ok()?;
    let (debian_version, suite) = stamp.trim().split_once(' ')?;
    let complete = PROGRAMS.iter().all(|(name, _)| folder.join(name).is_file());
    complete.then(|| Broker {
        version: upstream(debian_version).to_owned(),
        debian_version: debian_version.to_owned(),
        suite: suite.to_owned(),
        launcher: folder.join("mosquitto"),
        mosquitto_pub: folder.join("mosquitto_pub"),
        mosquitto_sub: folder.join("mosquitto_sub"),
        mosquitto_passwd: folder.join("mosquitto_passwd"),
        include: folder.join("root/usr/include"),
        root: folder.join("root"),
    })
}

/// Where the libraries are in a tree, relative to its folder.
#[derive(Debug)]
struct Layout {
    /// Folders of libraries other than libc.
    libraries: Vec<String>,
    /// Folders of libc.
    libc: Vec<String>,
    /// The program that loads programs and their libraries.
    loader: String,
    /// The second part of libc's version: 36 of 2.36.
    libc_minor: u32,
}

impl Layout {
    fn find(folder: &Path, libc_version: &str) -> Result<Self> {
        let libc_minor = libc_version
            .strip_prefix("2.")
            .and_then(|minor| minor.split('.').next())
            .and_then(|minor| minor.parse().ok())
            .with_context(|| format!("libc {libc_version} is not one that the starting scripts know"))?;
        let multiarch = subfolders(&folder.join("root/usr/lib"))
            .into_iter()
            .find(|name| folder.join("root/usr/lib").join(name).join("libmosquitto.so.1").exists())
            .context("libmosquitto.so.1 is not below usr/lib/")?;
        let existing = |tree: &str| -> Vec<String> {
            [
                format!("{tree}/usr/lib/{multiarch}"),
                format!("{tree}/lib/{multiarch}"),
                format!("{tree}/usr/lib/{multiarch}/systemd"),
            ]
            .into_iter()
            .filter(|path| folder.join(path).is_dir())
            .collect()
        };
        let libc = existing("libc");
        let loader = libc
            .iter()
            .find_map(|path| {
                files(&folder.join(path)).into_iter().find(|name| is_loader(name)).map(|name| format!("{path}/{name}"))
            })
            .context("libc's loader is not in its package")?;
        Ok(Self { libraries: existing("root"), libc, loader, libc_minor })
    }

    /// A script that becomes the program.
    fn script(&self, name: &str, program: &str, debian_version: &str) -> String {
        let here =
            |folders: &[String]| folders.iter().map(|path| format!("$here/{path}")).collect::<Vec<_>>().join(":");
        format!(
            r#"#!/bin/sh
# Becomes {name} of mosquitto {debian_version}, with the libraries of its own Debian suite.
# The machine's libc is used where it is as new or newer: plugins built on this machine may need it.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
export OPENSSL_CONF=/dev/null
export OPENSSL_MODULES="$here/{first}/ossl-modules"
libraries="{libraries}"
machine=$(getconf GNU_LIBC_VERSION 2>/dev/null)
case $machine in
"glibc 2."*) minor=${{machine#glibc 2.}} ;;
*) minor=0 ;;
esac
if [ "${{minor%%.*}}" -ge {libc_minor} ]; then
    LD_LIBRARY_PATH=$libraries exec "$here/root/{program}" "$@"
fi
unset LD_LIBRARY_PATH
exec "$here/{loader}" --inhibit-cache --argv0 {name} --library-path "$libraries:{libc}" "$here/root/{program}" "$@"
"#,
            first = self.libraries.first().map_or("root", String::as_str),
            libraries = here(&self.libraries),
            libc = here(&self.libc),
            libc_minor = self.libc_minor,
            loader = self.loader,
        )
    }
}

fn is_loader(name: &str) -> bool {
    (name.starts_with("ld-linux") || name.starts_with("ld64.so")) && name.contains(".so.")
}

fn subfolders(folder: &Path) -> Vec<String> {
    names(folder, Path::is_dir)
}

fn files(folder: &Path) -> Vec<String> {
    names(folder, Path::is_file)
}

fn names(folder: &Path, wanted: fn(&Path) -> bool) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| wanted(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_is_known_on_each_architecture() {
        for name in
            ["ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "ld-linux-armhf.so.3", "ld-linux.so.2", "ld64.so.2"]
        {
            assert!(is_loader(name), "{name}");
        }
        for name in ["ld-2.31.so", "libc.so.6", "ld.so"] {
            assert!(!is_loader(name), "{name}");
        }
    }

    #[test]
    fn an_unfinished_folder_is_no_broker() {
        let folder = tempfile::tempdir().unwrap();
        assert!(open(folder.path()).is_none());
        for (name, _) in PROGRAMS {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert!(open(folder.path()).is_none());
        fs::write(folder.path().join("stamp"), "2.0.21-1~bpo12+1 bookworm-backports\n").unwrap();
        let broker = open(folder.path()).unwrap();
        assert_eq!((broker.version.as_str(), broker.suite.as_str()), ("2.0.21", "bookworm-backports"));
        fs::remove_file(folder.path().join("mosquitto_sub")).unwrap();
        assert!(open(folder.path()).is_none());
    }
}
