//! `as_hint`: what clients that are refused are told about where to get a token: the AS Request Creation Hints of
//! RFC 9200 §5.3, in the form of RFC 9431 §2.4.1.
//!
//! Of the parameters that may be in a hint, `AS` and `audience` are. `scope` and `kid` would tell a stranger what topics and
//! keys there are, and `cnonce` is for servers that cannot tell the time, which this one needs anyway.

use serde_json::json;

/// The longest URL, in bytes.
const URL_BYTES_MAX: usize = 1024;
/// How many bytes all hints may take together. A client may set a bound to the packets that it is sent, which a plugin is
/// not told: so the packet with the hints stays small.
pub(super) const HINTS_BYTES_MAX: usize = 4096;

/// The hint at one server, as JSON.
///
/// # Errors
/// What is wrong with the URL or the audience.
pub(super) fn hint(url: &str, audience: &str) -> Result<String, &'static str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("coaps://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?', '@'])) else {
        return Err("as_hint must be an https or coaps URL: where to ask for a token");
    };
    // RFC 3986 has no other characters; a fragment is never sent to a server.
    let in_urls = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
    if !rest.bytes().all(in_urls) {
        return Err("as_hint holds a character that a URL cannot hold, or a fragment");
    }
    if url.len() > URL_BYTES_MAX {
        return Err("as_hint is longer than 1024 bytes");
    }
    // MQTT 5 §1.5.4: such characters should not be in its texts.
    if audience.chars().any(char::is_control) {
        return Err("the audience that as_hint names holds a control character");
    }
    Ok(json!({ "AS": url, "audience": audience }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_server_and_audience() {
        let hint = hint("https://as.example/token?x=1", "broker \"one\"").unwrap();
        assert_eq!(hint, r#"{"AS":"https://as.example/token?x=1","audience":"broker \"one\""}"#);
        assert!(super::hint("coaps://[2001:db8::1]/token", "b").is_ok());
    }

    #[test]
    fn what_is_no_url_is_refused() {
        let long = format!("https://as.example/{}", "a".repeat(URL_BYTES_MAX));
        for (url, reason) in [
            ("", "https or coaps"),
            ("http://as.example/token", "https or coaps"),
            ("https://", "https or coaps"),
            ("https:///token", "https or coaps"),
            ("as.example", "https or coaps"),
            ("https://as.example/a b", "character"),
            ("https://as.example/\"", "character"),
            ("https://as.example/#part", "character"),
            ("https://as.example/\u{e9}", "character"),
            ("https://as.example/\n", "character"),
            (&long, "1024"),
        ] {
            let error = hint(url, "broker").unwrap_err();
            assert!(error.contains(reason), "{url}: {error}");
        }
        assert!(hint("https://as.example", "bro\nker").unwrap_err().contains("control"));
    }
}
