//! Base images from minimal Debian systems (see [`crate::trees`]): what `debian:SUITE-slim` is where there is a registry.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::engine::Engine;
use crate::{process, trees};

/// What they are called, without the tag, which is as Debian's: `bookworm-slim`.
pub(super) const BASE: &str = "mosquitto-ace/debian";
/// A label with what the image was made from.
const LABEL: &str = "mosquitto-ace.tree";

/// The image of a suite, with its tag.
pub(super) fn name(suite: &str) -> String {
    format!("{BASE}:{suite}-slim")
}

/// Makes sure that the suite's image is there, and made from the tree that is there.
///
/// # Errors
/// There is no tree, or Docker does not take it.
pub(super) fn make(engine: &Engine, suite: &str) -> Result<()> {
    let tar = trees::fetch(suite, false)?;
    let tree = fs::metadata(&tar).with_context(|| format!("cannot look at {}", tar.display()))?;
    let made = tree.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let version = format!("{}-{}", made.map_or(0, |time| time.as_secs()), tree.len());
    let mut look = engine.command("docker");
    look.args(["image", "inspect", "--format"])
        .arg(format!("{{{{index .Config.Labels \"{LABEL}\"}}}}"))
        .arg(name(suite));
    if process::output_of(&mut look).is_ok_and(|label| label.trim() == version) {
        return Ok(());
    }
    eprintln!("{suite}: making the image {}", name(suite));
    let mut import = engine.command("docker");
    import.args(["import", "--change", &format!("LABEL {LABEL}={version}")]).arg(&tar).arg(name(suite));
    let status = import.stdin(Stdio::null()).stdout(Stdio::null()).status().context("cannot start docker")?;
    if !status.success() {
        bail!("`{}` failed: {status}", process::shown(&import));
    }
    Ok(())
}
