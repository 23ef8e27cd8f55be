//! The compact serialisations' outer form: base64url pieces between dots (RFC 7515 §3.1, RFC 7516 §3.1).

use crate::base64url;

/// Splits `text` at its dots into exactly `N` pieces; pieces may be empty.
pub(crate) fn split<const N: usize>(text: &str) -> Option<[&str; N]> {
    let mut rest = text.split('.');
    let mut pieces = [""; N];
    for piece in &mut pieces {
        *piece = rest.next()?;
    }
    rest.next().is_none().then_some(pieces)
}

/// Whether `text` has the outer form of a JWT: three pieces (signed) or five (encrypted) of base64url
/// characters, the first of which begins as the encoding of `{` does.
///
/// This is a test of looks, cheap and without decoding, to tell tokens from user names.
#[must_use]
pub fn looks_like_jwt(text: &[u8]) -> bool {
    // '{' is 0b01111011: its first six bits are the symbol 'e', the other two begin one of the last sixteen.
    let opens_object = matches!(text, [b'e', b'w'..=b'z' | b'0'..=b'9' | b'-' | b'_', ..]);
    let dots = text.iter().filter(|byte| **byte == b'.').count();
    opens_object && (dots == 2 || dots == 4) && text.iter().all(|byte| *byte == b'.' || base64url::is_symbol(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_into_exactly_as_many_pieces() {
        assert_eq!(split::<3>("a.b.c"), Some(["a", "b", "c"]));
        assert_eq!(split::<3>(".."), Some(["", "", ""]));
        assert_eq!(split::<3>("a.b"), None);
        assert_eq!(split::<3>("a.b.c.d"), None);
        assert_eq!(split::<3>(""), None);
    }

    #[test]
    fn every_encoding_of_an_object_looks_like_one() {
        for second in 0..=255_u8 {
            let token = format!("{}.e30.", base64url::encode(&[b'{', second]));
            assert!(looks_like_jwt(token.as_bytes()), "{token}");
        }
    }

    #[test]
    fn names_do_not_look_like_tokens() {
        for name in ["", "rola", "foo.bar.baz", "e.b.c", "eyJ.a", "eyJ.a.b.c", "eyJ.ä.b", "eyJ.a .b", "..", "eA.b.c"] {
            assert!(!looks_like_jwt(name.as_bytes()), "{name:?}");
        }
        assert!(looks_like_jwt(b"eyJ.a.b") && looks_like_jwt(b"eyJ.a.b.c.d") && looks_like_jwt(b"ew.."));
    }
}
