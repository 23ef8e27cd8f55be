//! Foreign text made safe for the log: bounded and escaped.

use std::fmt;

use crate::limits;

/// A piece of text that somebody else wrote (an issuer, a `kid`, a topic filter), bounded to
/// [`limits::QUOTED_CHARS`] characters and with control characters, quotes and backslashes escaped, so
/// that it can neither flood a log nor forge a line in it.
///
/// Never put a token, a key or a MAC into one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Quoted(String);

impl Quoted {
    /// Takes the beginning of `text`, escaped.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut escaped: String = text.chars().take(limits::QUOTED_CHARS).flat_map(char::escape_debug).collect();
        if text.chars().nth(limits::QUOTED_CHARS).is_some() {
            escaped.push('…');
        }
        Self(escaped)
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

impl fmt::Debug for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<&str> for Quoted {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_cannot_forge_a_log_line() {
        assert_eq!(Quoted::new("a\nb\"c\u{1b}").to_string(), r#""a\nb\"c\u{1b}""#);
    }

    #[test]
    fn long_text_is_cut_and_marked() {
        let exact = "x".repeat(limits::QUOTED_CHARS);
        assert_eq!(Quoted::new(&exact).to_string(), format!("\"{exact}\""));
        assert_eq!(Quoted::new(&format!("{exact}y")).to_string(), format!("\"{exact}…\""));
    }
}
