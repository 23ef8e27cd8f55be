//! `cargo xtask tree`: minimal Debian systems, one tar file per suite, in `target/trees/`.
//!
//! They are what container images are made of where no registry can be reached, and what packages are tried in. Nothing
//! outside of `target/` changes. Each has the machine's own Debian mirror in its apt sources, and of the machine's apt
//! settings those that decide how the mirror is reached, so that more can be installed in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::brokers::sources::Mirror;
use crate::brokers::{WorkFolder, apt, remove_abandoned, sources};
use crate::{paths, process, setup};

/// The Debian suites that a tree can be made of, oldest first.
pub const SUITES: [&str; 4] = ["bookworm", "trixie", "forky", "sid"];
/// How long one tree may take, in seconds.
const PATIENCE: &str = "900";

/// Makes sure that the suite's tree is there; gives its tar file, not compressed, with numeric owners and device files.
///
/// `force` makes it again. Progress goes to the standard error.
///
/// # Errors
/// There is no such suite, what makes trees cannot be installed, or the mirror does not have the suite.
pub fn fetch(suite: &str, force: bool) -> Result<PathBuf> {
    if !SUITES.contains(&suite) {
        bail!("no tree of {suite:?}: there are {}", SUITES.join(", "));
    }
    let folder = paths::trees();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (tar, stamp) = (folder.join(format!("{suite}.tar")), folder.join(format!("{suite}.stamp")));
    setup::ensure(&[setup::MMDEBSTRAP])?;
    let mirror = sources::mirror(Path::new("/etc/apt"))?;
    let recipe = Recipe { mirror, settings: apt::kept_settings()? };
    let wanted = process::shown(&recipe.command(suite, Path::new("-"))) + "\n" + &recipe.source(suite);
    if !force && tar.is_file() && fs::read_to_string(&stamp).is_ok_and(|made_by| made_by == wanted) {
        return Ok(tar);
    }
    eprintln!("{suite}: making a minimal Debian from {}", recipe.mirror.uri);
    let start = Instant::now();
    remove_abandoned(&folder);
    let work = WorkFolder::new(&folder)?;
    let made = work.path().join("tree.tar");
    recipe.make(suite, work.path(), &made)?;
    // The stamp belongs to the tar file that is there: away with the old one before the new tar file comes.
    if stamp.exists() {
        fs::remove_file(&stamp).with_context(|| format!("cannot remove {}", stamp.display()))?;
    }
    fs::rename(&made, &tar).with_context(|| format!("cannot make {}", tar.display()))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    let size = fs::metadata(&tar).map_or(0, |tar| tar.len()) / 1_000_000;
    eprintln!("{suite}: {} ({size} MB), made in {} s", tar.display(), start.elapsed().as_secs());
    Ok(tar)
}

/// What a tree is made by.
struct Recipe {
    mirror: Mirror,
    /// Settings of the machine's apt, each a whole line.
    settings: Vec<String>,
}

impl Recipe {
    fn make(&self, suite: &str, work: &Path, tar: &Path) -> Result<()> {
        let source = work.join("debian.sources");
        fs::write(&source, self.source(suite)).with_context(|| format!("cannot write {}", source.display()))?;
        let source = File::open(&source).with_context(|| format!("cannot read {}", source.display()))?;
        let mut command = self.command(suite, tar);
        let output = command.stdin(source).output().with_context(|| "cannot start mmdebstrap".to_owned())?;
        match output.status.code() {
            Some(0) => Ok(()),
            Some(124) => bail!("{suite}: no tree after {PATIENCE} s: is the mirror reachable?"),
            _ => bail!(
                "`{}` failed: {}\n{}",
                process::shown(&command),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }

    /// The program that makes the tree; the apt source goes to its standard input.
    fn command(&self, suite: &str, tar: &Path) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=30", PATIENCE, "mmdebstrap", "--quiet", "--variant=minbase", "--format=tar"]);
        // Nothing in a tree has to outlive a loss of power while it is made.
        command.arg("--dpkgopt=force-unsafe-io");
        for setting in &self.settings {
            command.arg(format!("--aptopt={setting}"));
        }
        if self.mirror.uri.starts_with("https:") {
            command.arg("--include=ca-certificates");
        }
        command.args([suite]).arg(tar).arg("-");
        command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn source(&self, suite: &str) -> String {
        apt::source(&self.mirror, &[suite])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_that_is_not_debians_is_not_asked_for() {
        let error = fetch("noble", false).unwrap_err().to_string();
        assert!(error.contains("bookworm, trixie, forky, sid"), "{error}");
    }

    #[test]
    fn the_machines_way_to_the_mirror_is_kept() {
        let recipe = Recipe {
            mirror: Mirror { uri: "https://mirror.example/debian".into(), trust: vec!["Trusted: yes".into()] },
            settings: vec![r#"Acquire::http::Proxy "http://proxy.example:3128";"#.into()],
        };
        let shown = process::shown(&recipe.command("trixie", Path::new("t.tar")));
        assert!(shown.contains(r#"'--aptopt=Acquire::http::Proxy "http://proxy.example:3128";'"#), "{shown}");
        assert!(shown.contains("--include=ca-certificates") && shown.ends_with("trixie t.tar -"), "{shown}");
        assert_eq!(
            recipe.source("trixie"),
            "Types: deb\nURIs: https://mirror.example/debian\nSuites: trixie\nComponents: main\nTrusted: yes\n"
        );
    }
}
