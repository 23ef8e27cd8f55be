//! Running other programs: with their output shown, or kept and told only when they fail.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// The command as a reader could type it: arguments with blanks or other special characters are quoted.
#[must_use]
pub fn shown(command: &Command) -> String {
    let mut text = quoted(command.get_program());
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&quoted(argument));
    }
    text
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs the command with its output going where ours goes.
///
/// # Errors
/// The program cannot be started, or ends with anything but success.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs the command, which gets no input, and returns what it wrote to its standard output.
///
/// # Errors
/// The program cannot be started, or ends with anything but success: the error then holds what it wrote.
pub fn output_of(command: &mut Command) -> Result<String> {
    let output = whole_output_of(command)?;
    if !output.status.success() {
        bail!(
            "`{}` failed: {}\n{}{}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs the command, which gets no input, whatever its end.
///
/// # Errors
/// The program cannot be started.
pub fn whole_output_of(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| cannot_start(command))
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", shown(command))
}

/// Whether a program of that name can be started.
#[must_use]
pub fn exists(program: &str) -> bool {
    let outcome = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    !matches!(outcome, Err(error) if error.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_can_be_typed() {
        let mut command = Command::new("ace-mqtt");
        command.args(["pub", "-t", "sensors/a b", "-m", "it's", ""]);
        assert_eq!(shown(&command), r"ace-mqtt pub -t 'sensors/a b' -m 'it'\''s' ''");
    }

    #[test]
    fn a_failure_tells_the_command_and_its_output() {
        let error = output_of(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit 3") && text.contains("out\n") && text.contains("err\n"), "{text}");
    }

    #[test]
    fn a_missing_program_is_known_to_be_missing() {
        assert!(exists("sh"));
        assert!(!exists("no-such-program-of-that-name"));
    }
}
