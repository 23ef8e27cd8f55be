//! One line per request, for the operator. Never a secret, a token or a key: what is logged is put together from
//! configured names, fixed texts and escaped ids.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Failures of the server itself.
    Error,
    /// Besides, refused requests.
    Warn,
    /// Besides, granted requests: one line for each request.
    Info,
    /// Besides, connections that failed before a request.
    Debug,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// Where log lines go.
type Sink = dyn Fn(&str) + Send + Sync;

/// A log: a level and a place for the lines.
#[derive(Clone)]
pub struct Log {
    level: Level,
    sink: Arc<Sink>,
}

impl Log {
    /// A log on standard error.
    pub fn to_stderr(level: Level) -> Self {
        // A log that cannot be written must not stop the server.
        Self::to(level, |line| drop(std::io::stderr().lock().write_all(format!("{line}\n").as_bytes())))
    }

    /// A log whose lines (without their line break) are handed to `sink`.
    pub fn to(level: Level, sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { level, sink: Arc::new(sink) }
    }

    /// Writes one line with time and level.
    pub fn write(&self, level: Level, message: fmt::Arguments<'_>) {
        if level > self.level {
            return;
        }
        (self.sink)(&format!("{} {} {message}", timestamp(SystemTime::now()), level.as_str()));
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("level", &self.level).finish_non_exhaustive()
    }
}

/// A time in UTC to the second (RFC 3339).
fn timestamp(time: SystemTime) -> String {
    OffsetDateTime::from(time)
        .replace_nanosecond(0)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "-".to_owned())
}

/// The longest part of a foreign text that is logged, in characters.
const FOREIGN_CHARACTERS: usize = 64;

/// A text from outside, in quotes, escaped and cut, so that it cannot forge a log line.
pub(crate) struct Foreign<'a>(pub(crate) &'a str);

impl fmt::Display for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(FOREIGN_CHARACTERS) {
            write!(f, "{}", character.escape_debug())?;
        }
        f.write_str(if characters.next().is_some() { "…\"" } else { "\"" })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_carry_time_and_level() {
        assert_eq!(timestamp(SystemTime::UNIX_EPOCH + Duration::from_millis(86_400_999)), "1970-01-02T00:00:00Z");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let log = Log::to(Level::Info, move |line| kept.lock().unwrap().push(line.to_owned()));
        log.write(Level::Warn, format_args!("seen"));
        log.write(Level::Debug, format_args!("not seen"));
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with("Z warn seen"), "{lines:?}");
    }

    #[test]
    fn foreign_text_cannot_break_out() {
        assert_eq!(Foreign("a\nb\"\u{1b}[31m").to_string(), r#""a\nb\"\u{1b}[31m""#);
        let long = Foreign(&"x".repeat(100)).to_string();
        assert_eq!(long.chars().filter(|c| *c == 'x').count(), 64);
        assert!(long.ends_with("…\""));
    }
}
