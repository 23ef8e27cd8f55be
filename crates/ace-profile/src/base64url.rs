//! base64url without padding (RFC 4648 §5, RFC 7515 §2), strictly: one text for one sequence of bytes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// A text is not base64url: a character outside the alphabet (padding, white space and line breaks count),
/// an impossible length, or bits left over that are not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not base64url without padding")]
pub struct NotBase64Url;

/// Encodes, without padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Encodes a secret; the text is wiped when dropped.
#[must_use]
pub fn encode_secret(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(encode(bytes))
}

/// Decodes. The left-over bits of the last character must be zero, so that no second text decodes to the
/// same bytes: a token altered in its last character would otherwise pass as another token.
///
/// # Errors
/// [`NotBase64Url`], without a hint at the text's content.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, NotBase64Url> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| NotBase64Url)
}

/// Decodes a secret; the bytes are wiped when dropped.
///
/// # Errors
/// [`NotBase64Url`], as for [`decode`].
pub fn decode_secret(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotBase64Url> {
    decode(text).map(Zeroizing::new)
}

/// Whether `byte` is a character of the base64url alphabet.
#[must_use]
pub const fn is_symbol(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vectors_of_rfc_4648_without_padding() {
        for (plain, text) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")] {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text.as_bytes()).unwrap(), plain.as_bytes());
        }
        assert_eq!(encode(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn padding_other_alphabets_and_left_over_bits_are_refused() {
        for text in ["Zg==", "Zg=", "+/8", "Zh", "Zm9", "Z", "Zm 9v", "Zm9v\n", "Zm\u{e9}"] {
            assert_eq!(decode(text.as_bytes()), Err(NotBase64Url), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = encode(&bytes);
            prop_assert!(text.bytes().all(is_symbol));
            prop_assert_eq!(decode(text.as_bytes()).unwrap(), bytes);
        }

        #[test]
        fn whatever_decodes_is_canonical(text in "[A-Za-z0-9_=+/-]{0,24}") {
            if let Ok(bytes) = decode(text.as_bytes()) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
