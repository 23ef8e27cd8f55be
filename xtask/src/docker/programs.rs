//! This machine's build of the programs, for images: put where the Dockerfile takes them from, and checked to run there.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{cargo, paths, process};

/// The C library of each suite that containers are made of, by the second part of its version.
const LIBC: [(&str, u32); 3] = [("bookworm", 36), ("trixie", 41), ("forky", 41)];
/// What the images take.
const NAMES: [&str; 4] = ["libmosquitto_ace.so", "ace-as", "ace-mqtt", "network-tests"];

fn folder() -> PathBuf {
    paths::root().join("docker/programs")
}

/// Builds them and puts them into `docker/programs/`.
///
/// # Errors
/// They do not compile, or cannot be copied.
pub(super) fn put() -> Result<()> {
    println!("building the plugin, the authorization server, the client and the tests");
    cargo::build_release()?;
    let tests = cargo::test_program("network")?;
    for name in NAMES {
        let from = if name == "network-tests" { tests.clone() } else { paths::release_program(name) };
        let (fresh, place) = (folder().join(format!("{name}.new")), folder().join(name));
        // What compiling leaves for debuggers is ten times the rest.
        process::output_of(Command::new("strip").args(["--strip-debug", "-o"]).arg(&fresh).arg(&from))?;
        // One that is as it was keeps its time: the images that have it need not be made again.
        let (new, old) = (fs::read(&fresh), fs::read(&place));
        if matches!((&new, &old), (Ok(new), Ok(old)) if new == old) {
            fs::remove_file(&fresh).with_context(|| format!("cannot remove {}", fresh.display()))?;
        } else {
            fs::rename(&fresh, &place).with_context(|| format!("cannot make {}", place.display()))?;
        }
    }
    Ok(())
}

/// Whether they run with the C library of this suite.
///
/// # Errors
/// One does not: this machine's is newer.
pub(super) fn check(suite: &str) -> Result<()> {
    let Some((_, libc)) = LIBC.iter().find(|(name, _)| *name == suite) else { return Ok(()) };
    for name in NAMES {
        let path = folder().join(name);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let needed = newest_libc(&bytes);
        if needed > *libc {
            bail!(
                "{name} was built for glibc 2.{needed}, and Debian {suite} has 2.{libc}: build on Debian 12, or have the \
                 programs compiled in a container (PROGRAMS=container)"
            );
        }
    }
    Ok(())
}

/// The newest symbol version `GLIBC_2.NN` that a program or library asks for, as its second part.
fn newest_libc(program: &[u8]) -> u32 {
    const MARK: &[u8] = b"GLIBC_2.";
    let after = program.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    let minors = after.filter_map(|(at, _)| {
        let digits = program.get(at + MARK.len()..)?.iter().take_while(|byte| byte.is_ascii_digit()).take(3);
        String::from_utf8_lossy(&digits.copied().collect::<Vec<u8>>()).parse().ok()
    });
    minors.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_counts() {
        assert_eq!(newest_libc(b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.17\0GLIBCXX_3.4\0GLIBC_2."), 34);
        assert_eq!(newest_libc(b"nothing"), 0);
    }
}
