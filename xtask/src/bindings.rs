//! `cargo xtask bindings`: the Rust form of include/mosquitto_ace_abi.h, made by Debian's `bindgen` program.
//!
//! The result is checked in, so that a build of the plugin needs neither bindgen nor libclang.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{paths, process, setup};

const HEADER: &str = "include/mosquitto_ace_abi.h";
const BINDINGS: &str = "src/broker/abi.rs";
const FIRST_LINE: &str =
    "// Generated from include/mosquitto_ace_abi.h by `cargo xtask bindings`: change that file, not this one.";

/// Writes the bindings; with `check` compares instead.
///
/// # Errors
/// bindgen or rustfmt fail, or with `check` the bindings are not those of the header.
pub fn make(check: bool) -> Result<()> {
    setup::ensure(&[setup::BINDGEN])?;
    let path = paths::root().join(BINDINGS);
    let made = formatted(&raw()?)?;
    if !check {
        fs::write(&path, made).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{BINDINGS} is made from {HEADER}");
        return Ok(());
    }
    let present = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    if present != made {
        bail!("{BINDINGS} is not what {HEADER} gives: run `cargo xtask bindings` and commit the result");
    }
    println!("{BINDINGS} is what {HEADER} gives");
    Ok(())
}

fn raw() -> Result<String> {
    let mut bindgen = Command::new("bindgen");
    bindgen.current_dir(paths::root()).arg(HEADER).args([
        "--allowlist-type=ace_.*",
        "--allowlist-var=ACE_.*",
        "--use-core",
        "--ctypes-prefix=core::ffi",
        "--no-layout-tests",
        "--no-prepend-enum-name",
        "--no-doc-comments",
        "--disable-header-comment",
    ]);
    // libclang comes without the headers that belong to a compiler, such as stddef.h: the C compiler has them.
    let headers = process::output_of(Command::new("cc").arg("-print-file-name=include"))?;
    bindgen.args(["--", "-isystem", headers.trim()]);
    Ok(process::output_of(&mut bindgen)?
        .lines()
        .filter(|line| !is_unused_name(line))
        .flat_map(|line| [line, "\n"])
        .collect())
}

/// libc's own names of the integers of fixed width: older versions of bindgen write them, though nothing uses them.
fn is_unused_name(line: &str) -> bool {
    line.trim_start().starts_with("pub type __uint") || line.trim_start().starts_with("pub type __int")
}

/// The checkout's own formatting, whatever formatting bindgen has.
fn formatted(code: &str) -> Result<String> {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.current_dir(paths::root()).args(["--edition=2024", "--config-path=rustfmt.toml", "--emit=stdout"]);
    let mut child = rustfmt
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start rustfmt: run `rustup component add rustfmt`")?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(format!("{FIRST_LINE}\n\n{code}").as_bytes()).context("rustfmt does not take the bindings")?;
    }
    let output = child.wait_with_output().context("rustfmt gives no answer")?;
    if !output.status.success() {
        bail!("rustfmt does not understand the bindings: {}", output.status);
    }
    String::from_utf8(output.stdout).context("rustfmt's answer is not text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unused_names_are_left_out() {
        assert!(is_unused_name("pub type __uint16_t = core::ffi::c_ushort;"));
        assert!(!is_unused_name("pub type __time_t = core::ffi::c_long;"));
        assert!(!is_unused_name("    pub payloadlen: u32,"));
    }

    #[test]
    fn the_bindings_begin_with_a_warning_and_are_formatted() {
        let made = formatted("pub  type a=u8;").unwrap();
        assert_eq!(made, format!("{FIRST_LINE}\n\npub type a = u8;\n"));
    }
}
