//! A token on its own: in a user name behind `ace`, or as the payload of a message to the `authz-info` topic.

use std::borrow::Cow;

use crate::base64url;
use crate::cose::{self, looks_like_cwt};
use crate::jose::looks_like_jwt;
use crate::limits;

/// The token in a text or in bytes, if there is one.
///
/// RFC 9431 §6 wants the token base64url-encoded. A JWT consists of base64url pieces already, so it is taken
/// as it is and encoded once more; and a CWT as it is, where bytes may stand. Only what looks like either counts. A text that is too long for any token is not looked at.
#[must_use]
pub fn token_text(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if looks_like_token(text) {
        return Some(Cow::Borrowed(text));
    }
    let encoded = text.len() <= limits::TOKEN_TEXT_BYTES;
    let decoded = encoded.then(|| base64url::decode(text).ok())?.filter(|decoded| looks_like_token(decoded))?;
    Some(Cow::Owned(decoded))
}

/// Whether this has the outer form of a token that says itself what it is.
fn looks_like_token(bytes: &[u8]) -> bool {
    looks_like_jwt(bytes) || looks_like_cwt(bytes)
}

/// The fewest bytes that an opaque token can have: what can be guessed is none (RFC 6749 §10.10 wants 128 bits at least).
const OPAQUE_BYTES_MIN: usize = 16;

/// Whether a token is one that only its server can read: neither a signed JWT, nor a CWT in base64url, nor anything but visible
/// ASCII (RFC 6749 appendix A.12).
#[must_use]
pub fn is_opaque(token: &str) -> bool {
    let is_signed_jwt = || looks_like_jwt(token.as_bytes()) && token.bytes().filter(|byte| *byte == b'.').count() == 2;
    token.len() >= OPAQUE_BYTES_MIN
        && token.len() <= limits::TOKEN_BYTES
        && token.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
        && !is_signed_jwt()
        && cose::cwt(token.as_bytes()).is_none()
}

/// The opaque token in a text, base64url-encoded as RFC 9431 §6 wants it, if there is one.
pub(super) fn opaque_token_text(text: &[u8]) -> Option<String> {
    if text.len() > limits::TOKEN_TEXT_BYTES {
        return None;
    }
    String::from_utf8(base64url::decode(text).ok()?).ok().filter(|token| is_opaque(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwt_is_taken_as_it_is_and_encoded_once_more() {
        let token = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJhIn0.c2ln";
        assert!(matches!(token_text(token.as_bytes()), Some(Cow::Borrowed(text)) if text == token.as_bytes()));
        let encoded = base64url::encode(token.as_bytes());
        assert!(matches!(token_text(encoded.as_bytes()), Some(Cow::Owned(text)) if text == token.as_bytes()));
        let twice = base64url::encode(encoded.as_bytes());
        for other in ["", "hello", "{}", &twice, &format!("{encoded}=="), "eyJ.\u{e9}."] {
            assert_eq!(token_text(other.as_bytes()), None, "{other:?}");
        }
        assert_eq!(token_text(b"eyJ\xff"), None);
    }

    #[test]
    fn a_cwt_is_taken_as_it_is_and_encoded() {
        for cwt in [&b"\xd2\x84\x43"[..], b"\xd8\x3d\xd1\x84", b"\xd0\x83\x00\xff"] {
            assert!(matches!(token_text(cwt), Some(Cow::Borrowed(bytes)) if bytes == cwt));
            let encoded = base64url::encode(cwt);
            assert!(matches!(token_text(encoded.as_bytes()), Some(Cow::Owned(bytes)) if bytes == cwt));
        }
    }

    #[test]
    fn opaque_tokens_are_visible_ascii_and_too_long_to_be_guessed() {
        for token in
            ["2YotnFZFEjr1zCsicMWpAA", "0oRtnFZFEjr1zCsicMWpAA", "mF_9.B5f-4.1JqM/~+ ", "eyJhbGciOiJkaXIifQ..AA.AA.AA"]
        {
            assert!(is_opaque(token), "{token}");
            assert_eq!(opaque_token_text(base64url::encode(token.as_bytes()).as_bytes()).as_deref(), Some(token));
        }
        let long = "t".repeat(limits::TOKEN_BYTES + 1);
        let jwt = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJhIn0.c2ln";
        let cwt = base64url::encode(b"\xd2\x84\x43\xa1\x01\x27\xa0\x48payload!\x40");
        for other in ["", "shorter-than-16", jwt, &cwt, "2YotnFZFEjr1zCsicMW\n", "2YotnFZFEjr1zCsic\u{e9}", &long] {
            assert!(!is_opaque(other), "{other}");
            assert_eq!(opaque_token_text(base64url::encode(other.as_bytes()).as_bytes()), None, "{other}");
        }
        assert_eq!(opaque_token_text(b"2YotnFZFEjr1zCsicMWpAA"), None, "it is to be encoded");
    }

    #[test]
    fn what_no_token_can_need_is_not_decoded() {
        let longest = format!("ew..{}", "a".repeat(limits::TOKEN_BYTES - 4));
        assert!(token_text(base64url::encode(longest.as_bytes()).as_bytes()).is_some());
        let longer = format!("ew..{}", "a".repeat(limits::TOKEN_BYTES));
        assert_eq!(token_text(base64url::encode(longer.as_bytes()).as_bytes()), None);
    }
}
