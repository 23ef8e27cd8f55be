//! `cargo xtask abi`: holds our declarations of the broker's interface against the headers of real brokers.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::brokers::Broker;
use crate::{paths, process};

/// The check itself, in C: it compiles where everything agrees.
const CHECK: &str = "xtask/abi_check.c";

/// Compiles the check for each of these brokers and prints one line for each.
///
/// # Errors
/// There is no C compiler, or a size, place, value or function differs: the error names each that does.
pub fn check(brokers: &[Broker]) -> Result<()> {
    let mut differing = Vec::new();
    for broker in brokers {
        let number = version_number(&broker.version)
            .with_context(|| format!("{} is not a version of three numbers", broker.version))?;
        let output = process::whole_output_of(compiler(broker, number).args([
            "-fsyntax-only",
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Wconversion",
            "-Werror",
        ]))?;
        if output.status.success() {
            println!("abi {}: {} sizes, places and values agree", broker.version, assertions(broker, number)?);
        } else {
            let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
            println!("abi {}: differs from include/mosquitto_ace_abi.h", broker.version);
            differing.push(format!("{}:\n{}", broker.version, errors_only(&complaints)));
        }
    }
    if !differing.is_empty() {
        bail!("include/mosquitto_ace_abi.h does not describe these brokers:\n{}", differing.join("\n"));
    }
    Ok(())
}

fn compiler(broker: &Broker, number: u32) -> Command {
    let mut command = Command::new("cc");
    let root = paths::root();
    command.arg("-isystem").arg(&broker.include).arg("-I").arg(root.join("include"));
    command.arg(format!("-DBROKER_VERSION={number}")).arg(root.join(CHECK)).env("LC_ALL", "C");
    command
}

/// How many assertions the compiler has seen: a check that checked nothing would be no check.
fn assertions(broker: &Broker, number: u32) -> Result<usize> {
    let expanded = process::output_of(compiler(broker, number).args(["-E", "-P"]))?;
    let count = expanded.matches("_Static_assert").count();
    if count == 0 {
        bail!("{CHECK} asserts nothing");
    }
    Ok(count)
}

/// The lines that name what differs, or everything if there are none.
fn errors_only(complaints: &str) -> String {
    let errors: Vec<&str> =
        complaints.lines().filter_map(|line| line.split_once("error: ").map(|(_, error)| error)).collect();
    if errors.is_empty() { complaints.to_owned() } else { errors.join("\n") }
}

/// 2.0.11 as 2000011, as Mosquitto itself writes it.
fn version_number(version: &str) -> Option<u32> {
    let mut parts = version.split('.').map(str::parse::<u32>);
    let (major, minor, patch) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    if parts.next().is_some() || minor > 999 || patch > 999 {
        return None;
    }
    major.checked_mul(1_000_000)?.checked_add(minor * 1000 + patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_version_becomes_a_number() {
        assert_eq!(version_number("2.0.11"), Some(2_000_011));
        assert_eq!(version_number("2.1.3"), Some(2_001_003));
        for other in ["2.1", "2.1.3.4", "2.1.x", "", "2.1.1000", "9999.0.0"] {
            assert_eq!(version_number(other), None, "{other}");
        }
    }

    #[test]
    fn only_the_differences_are_told() {
        let complaints = "a.c:1:1: error: static assertion failed: \"size of struct ace_opt\"\n  1 | SIZE(\n    | ^\n";
        assert_eq!(errors_only(complaints), "static assertion failed: \"size of struct ace_opt\"");
        assert_eq!(errors_only("cc: fatal\n"), "cc: fatal\n");
    }

    /// A declaration that is added to the header and forgotten in the check would never be compared.
    #[test]
    fn the_check_knows_every_declaration_of_the_header() {
        let header = fs::read_to_string(paths::root().join("include/mosquitto_ace_abi.h")).unwrap();
        let check = fs::read_to_string(paths::root().join(CHECK)).unwrap();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let code: String = header.split("*/").map(|part| part.split("/*").next().unwrap_or_default()).collect();
        let mut known = 0;
        for name in code.split(|c| !word(c)) {
            let constant = name.starts_with("ACE_");
            let declared = name.starts_with("ace_evt_") || name.starts_with("ace_fn_") || name == "ace_opt";
            if constant || declared {
                assert!(check.split(|c| !word(c)).any(|used| used == name), "abi_check.c lacks {name}");
                known += 1;
            }
        }
        assert!(known > 40, "only {known} names found");
    }
}
