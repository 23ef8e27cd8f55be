//! What a compiled file needs from the machine that it runs on, and what it offers: read with binutils' programs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// The newest glibc that what is delivered may need: that of Debian 12.
pub(super) const PROMISED: Glibc = Glibc { major: 2, minor: 36 };

/// The libraries that what is delivered may name: parts of glibc, and the one that unwinds the stack.
const ALLOWED: [&str; 3] = ["libc.so.6", "libgcc_s.so.1", "libm.so.6"];

/// All that the plugin offers to the broker.
const ENTRY_POINTS: [&str; 3] = ["mosquitto_plugin_cleanup", "mosquitto_plugin_init", "mosquitto_plugin_version"];

/// A version of glibc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Glibc {
    major: u32,
    minor: u32,
}

impl std::fmt::Display for Glibc {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}", self.major, self.minor)
    }
}

impl Glibc {
    /// Reads `2.34` or `2.2.5`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(str::parse);
        Some(Self { major: parts.next()?.ok()?, minor: parts.next()?.ok()? })
    }

    /// The one of this machine.
    ///
    /// # Errors
    /// The machine's C library is not glibc.
    pub(super) fn of_machine() -> Result<Self> {
        let said = process::output_of(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
        said.trim().strip_prefix("glibc ").and_then(Self::parse).with_context(|| format!("no version of glibc: {said}"))
    }
}

/// What a file needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Needs {
    /// The libraries that it names.
    libraries: BTreeSet<String>,
    /// The newest version of glibc that one of its symbols is of.
    pub(super) glibc: Glibc,
}

/// Makes sure that the file runs on every system that it is promised for.
///
/// # Errors
/// It needs a newer glibc or another library, or cannot be read.
pub(super) fn check(file: &Path) -> Result<Needs> {
    let needs = parse(&process::output_of(Command::new("objdump").arg("--private-headers").arg(file))?)
        .with_context(|| format!("cannot tell what {} needs", file.display()))?;
    needs.judge().with_context(|| format!("{} is not to be delivered", file.display()))?;
    Ok(needs)
}

/// Makes sure that the plugin offers its entry points and nothing else.
///
/// # Errors
/// It does not, or cannot be read.
pub(super) fn check_entry_points(plugin: &Path) -> Result<()> {
    let mut nm = Command::new("nm");
    let said = process::output_of(nm.args(["--dynamic", "--defined-only", "--format=posix"]).arg(plugin))?;
    let offered: BTreeSet<&str> = said.lines().filter_map(|line| line.split_whitespace().next()).collect();
    if offered != BTreeSet::from(ENTRY_POINTS) {
        bail!("{} is to offer {}, and offers {offered:?}", plugin.display(), ENTRY_POINTS.join(", "));
    }
    Ok(())
}

impl Needs {
    fn judge(&self) -> Result<()> {
        let foreign: Vec<&str> = self.libraries.iter().map(String::as_str).filter(|name| !is_allowed(name)).collect();
        if !foreign.is_empty() {
            bail!("it needs {}: nothing but glibc and libgcc_s is promised to be there", foreign.join(", "));
        }
        if self.glibc > PROMISED {
            bail!(
                "it needs glibc {}, and {PROMISED} is promised to do: build it in an older system (`--in-tree`)",
                self.glibc
            );
        }
        Ok(())
    }
}

fn is_allowed(library: &str) -> bool {
    ALLOWED.contains(&library) || library.starts_with("ld-linux")
}

/// Reads what `objdump --private-headers` says.
fn parse(said: &str) -> Result<Needs> {
    let mut libraries = BTreeSet::new();
    let mut versions = Vec::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["NEEDED", library] => {
                libraries.insert((*library).to_owned());
            }
            // hash, flags, number, name: a version that is required.
            [hash, _, _, name] if hash.starts_with("0x") => {
                if let Some(version) = name.strip_prefix("GLIBC_") {
                    versions.push(Glibc::parse(version).with_context(|| format!("no version of glibc: {name}"))?);
                }
            }
            _ => {}
        }
    }
    let glibc = versions.into_iter().max().context("it names no version of glibc")?;
    Ok(Needs { libraries, glibc })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "
x:     file format elf64-x86-64

Dynamic Section:
  NEEDED               libgcc_s.so.1
  NEEDED               libc.so.6
  INIT                 0x0000000000041000

Version References:
  required from libgcc_s.so.1:
    0x0b792650 0x00 03 GCC_3.0
  required from libc.so.6:
    0x09691a75 0x00 02 GLIBC_2.2.5
    0x069691b4 0x00 07 GLIBC_2.34
    0x06969197 0x00 05 GLIBC_2.9
";

    #[test]
    fn the_newest_version_counts_and_not_the_last() {
        let needs = parse(SAID).unwrap();
        assert_eq!(needs.glibc, Glibc { major: 2, minor: 34 });
        assert_eq!(needs.libraries.iter().map(String::as_str).collect::<Vec<_>>(), ["libc.so.6", "libgcc_s.so.1"]);
        assert!(needs.judge().is_ok());
    }

    #[test]
    fn what_needs_a_newer_glibc_is_not_delivered() {
        let error = parse(&SAID.replace("GLIBC_2.9", "GLIBC_2.38")).unwrap().judge().unwrap_err().to_string();
        assert!(error.contains("2.38") && error.contains("--in-tree"), "{error}");
        assert!(parse(&SAID.replace("GLIBC_2.9", "GLIBC_2.36")).unwrap().judge().is_ok());
    }

    #[test]
    fn what_needs_another_library_is_not_delivered() {
        let error = parse(&SAID.replace("libgcc_s.so.1\n", "libssl.so.3\n")).unwrap().judge().unwrap_err().to_string();
        assert!(error.contains("libssl.so.3"), "{error}");
    }

    #[test]
    fn a_file_without_versions_is_not_taken_for_an_old_one() {
        assert!(parse("").is_err());
        assert!(parse(&SAID.replace("GLIBC_2.9", "GLIBC_PRIVATE")).is_err());
    }

    #[test]
    fn a_real_program_is_read() {
        let needs = check(Path::new("/bin/true")).unwrap();
        assert!(needs.libraries.contains("libc.so.6"));
        assert!(check_entry_points(Path::new("/bin/true")).is_err());
    }
}
