//! Standard output, with a closed pipe told apart from other failures, and standard error.

use std::io::{self, Write};

use super::Failure;

/// Writes bytes and flushes. `false` if nobody reads any more.
pub(crate) fn write(parts: &[&[u8]]) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    let result = parts.iter().try_for_each(|part| out.write_all(part)).and_then(|()| out.flush());
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Stream("standard output", error)),
    }
}

/// Writes a line of text.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    write(&[text.as_bytes(), b"\n"]).map(|_| ())
}

/// Says something on standard error, in a line of its own. Nothing can be done if that is gone.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "ace-mqtt: {text}");
}
