//! A token as the text of its own: in a user name behind `ace`, or as the payload of a message to the `authz-info` topic.

use std::borrow::Cow;

use crate::base64url;
use crate::jose::looks_like_jwt;
use crate::limits;

/// The longest text in which a token of [`limits::TOKEN_BYTES`] can come: four characters of base64url for three bytes.
const TEXT_BYTES: usize = limits::TOKEN_BYTES.div_ceil(3) * 4;

/// The token in a text, if there is one.
///
/// RFC 9431 §6 wants the token base64url-encoded. A JWT consists of base64url pieces already, so it is taken
/// as it is and encoded once more. Only what looks like a JWT counts. A text that is too long for any token is not looked at.
#[must_use]
pub fn token_text(text: &[u8]) -> Option<Cow<'_, str>> {
    if looks_like_jwt(text) {
        return std::str::from_utf8(text).ok().map(Cow::Borrowed);
    }
    let encoded = text.len() <= TEXT_BYTES;
    let decoded = encoded.then(|| base64url::decode(text).ok())?.filter(|decoded| looks_like_jwt(decoded))?;
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwt_is_taken_as_it_is_and_encoded_once_more() {
        let token = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJhIn0.c2ln";
        assert!(matches!(token_text(token.as_bytes()), Some(Cow::Borrowed(text)) if text == token));
        let encoded = base64url::encode(token.as_bytes());
        assert!(matches!(token_text(encoded.as_bytes()), Some(Cow::Owned(text)) if text == token));
        let twice = base64url::encode(encoded.as_bytes());
        for other in ["", "hello", "{}", &twice, &format!("{encoded}=="), "eyJ.\u{e9}."] {
            assert_eq!(token_text(other.as_bytes()), None, "{other:?}");
        }
        assert_eq!(token_text(b"eyJ\xff"), None);
    }

    #[test]
    fn what_no_token_can_need_is_not_decoded() {
        let longest = format!("ew..{}", "a".repeat(limits::TOKEN_BYTES - 4));
        assert!(token_text(base64url::encode(longest.as_bytes()).as_bytes()).is_some());
        let longer = format!("ew..{}", "a".repeat(limits::TOKEN_BYTES));
        assert_eq!(token_text(base64url::encode(longer.as_bytes()).as_bytes()), None);
    }
}
