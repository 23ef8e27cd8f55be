//! AS Request Creation Hints (RFC 9200 §5.3) as a broker that refuses a client puts them into its CONNACK: where to get a token, and what to ask for
//! (RFC 9431 §2.4.1). They come from the network and are shown to people, so they are bounded and escaped; nothing is done by itself on their word.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// Name of the user property that holds a hint.
pub(crate) const USER_PROPERTY: &str = "ace_as_hint";
/// Hints of one CONNACK that are read.
pub(crate) const HINTS: usize = 8;
/// Longest hint that is read, in bytes.
const HINT_BYTES: usize = 8 * 1024;
/// Longest URL, in bytes.
const URL_BYTES: usize = 2 * 1024;

/// Where to get a token, and what to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsHint {
    /// The authorization server's token endpoint: an https or coaps URL.
    pub as_url: String,
    /// The broker's name, for the `audience` parameter.
    pub audience: Option<String>,
    /// The scope to ask for, for the `scope` parameter: text as it came, or the JSON text of an array.
    pub scope: Option<String>,
    /// The key that a token was bound to and that the broker has no token for.
    pub kid: Option<String>,
    /// A nonce for the `cnonce` parameter, for brokers without a clock (RFC 9200 §5.3.1), in base64url.
    pub cnonce: Option<String>,
}

/// The JSON object. Parameters that this client does not know are for others.
#[derive(Deserialize)]
struct Document {
    #[serde(rename = "AS")]
    as_url: String,
    audience: Option<String>,
    scope: Option<Value>,
    kid: Option<String>,
    cnonce: Option<String>,
}

impl AsHint {
    /// Reads a hint. `None` if it is none: the refusal that it came with counts all the same.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > HINT_BYTES {
            return None;
        }
        let document: Document = serde_json::from_str(text).ok()?;
        let is_url = document.as_url.len() <= URL_BYTES
            && (document.as_url.starts_with("https://") || document.as_url.starts_with("coaps://"))
            && document.as_url.chars().all(|c| c.is_ascii_graphic());
        is_url.then(|| Self {
            as_url: document.as_url,
            audience: document.audience,
            scope: document.scope.map(|scope| match scope {
                Value::String(text) => text,
                other => other.to_string(),
            }),
            kid: document.kid,
            cnonce: document.cnonce,
        })
    }
}

/// What to do, with everything that came from the broker escaped.
impl fmt::Display for AsHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "get a token from {:?}", self.as_url)?;
        let parameters =
            [("audience", &self.audience), ("scope", &self.scope), ("kid", &self.kid), ("cnonce", &self.cnonce)];
        let named = parameters.iter().filter_map(|(name, value)| value.as_ref().map(|value| (name, value)));
        for (index, (name, value)) in named.enumerate() {
            write!(f, "{} {name} {value:?}", if index == 0 { " with" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hint_is_read_whole() {
        let text =
            r#"{"AS":"https://as.example/token","audience":"b","scope":"c2Nv","kid":"k","cnonce":"bm9u","later":[1]}"#;
        let hint = AsHint::parse(text).unwrap();
        assert_eq!(
            hint.to_string(),
            r#"get a token from "https://as.example/token" with audience "b", scope "c2Nv", kid "k", cnonce "bm9u""#
        );
        let bare = AsHint::parse(r#"{"AS":"coaps://[2001:db8::1]/token"}"#).unwrap();
        assert_eq!(bare.to_string(), r#"get a token from "coaps://[2001:db8::1]/token""#);
        let array = AsHint::parse(r#"{"AS":"https://a","scope":[["t",["pub"]]]}"#).unwrap();
        assert_eq!(array.scope.as_deref(), Some(r#"[["t",["pub"]]]"#));
    }

    #[test]
    fn what_is_no_hint_is_left_out() {
        let long = format!(r#"{{"AS":"https://{}"}}"#, "a".repeat(URL_BYTES));
        let huge = format!(r#"{{"AS":"https://a","audience":"{}"}}"#, "a".repeat(HINT_BYTES));
        let deep = format!(r#"{{"AS":"https://a","scope":{}1{}}}"#, "[".repeat(3000), "]".repeat(3000));
        for text in [
            "",
            "https://as.example",
            "[]",
            "{}",
            r#"{"AS":1}"#,
            r#"{"AS":"http://as.example"}"#,
            r#"{"AS":"https://a b"}"#,
            r#"{"AS":"https://a\u001b[2J"}"#,
            r#"{"AS":"https://a","AS":"https://b"}"#,
            r#"{"AS":"https://a","audience":1}"#,
            &long,
            &huge,
            &deep,
        ] {
            assert_eq!(AsHint::parse(text), None, "{text}");
        }
    }

    #[test]
    fn text_from_the_network_is_escaped() {
        let hint = AsHint::parse(r#"{"AS":"https://a","audience":"b\u001b[2J\n"}"#).unwrap();
        assert!(!hint.to_string().contains(char::is_control), "{hint}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}") {
            let _ = AsHint::parse(&text);
        }
    }
}
