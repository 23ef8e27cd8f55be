//! The outer form of a CWT (RFC 8392 §6, RFC 9052 §2): tags, and an array of a length that is known.

use std::borrow::Cow;

use coset::CborSerializable as _;
use coset::cbor::value::Value as CosetValue;

use crate::base64url;
use crate::limits;

/// The tag of CWTs (RFC 8392 §6).
pub(super) const CWT: u64 = 61;
/// The tags of the structures (RFC 9052 §2).
pub(super) const ENCRYPT0: u64 = 16;
pub(super) const MAC0: u64 = 17;
pub(super) const SIGN1: u64 = 18;

/// The heads of an array of three and of one of four items.
const ARRAY_OF_THREE: u8 = 0x83;
const ARRAY_OF_FOUR: u8 = 0x84;

/// Whether this begins as a tagged `COSE_Sign1` (18), `COSE_Mac0` (17) or `COSE_Encrypt0` (16) does, with or without the tag of
/// CWTs (61) around it.
///
/// This is a test of looks, cheap and without decoding, to tell tokens from user names.
pub(crate) fn looks_like_cwt(bytes: &[u8]) -> bool {
    let inner = bytes.strip_prefix(&[0xd8, 61]).unwrap_or(bytes);
    matches!(inner, [0xd1 | 0xd2, ARRAY_OF_FOUR, ..] | [0xd0, ARRAY_OF_THREE, ..])
}

/// The CWT that this is, or the base64url text of (RFC 9770 §4.3.1).
pub(crate) fn cwt(token: &[u8]) -> Option<Cow<'_, [u8]>> {
    if looks_like_cwt(token) {
        return Some(Cow::Borrowed(token));
    }
    // What begins so in base64url is little: other tokens are not decoded for nothing.
    let may_be =
        token.len() <= limits::TOKEN_TEXT_BYTES && matches!(token, [b'0', b'I' | b'Y' | b'o', ..] | [b'2', b'D', ..]);
    let decoded = may_be.then(|| base64url::decode(token).ok())??;
    (looks_like_cwt(&decoded) && is_one_item(&decoded)).then_some(Cow::Owned(decoded))
}

/// Whether this is one item of CBOR and nothing else. Two bytes alone say too little about a text: some opaque tokens begin so by
/// chance.
fn is_one_item(bytes: &[u8]) -> bool {
    let mut decoder = minicbor::Decoder::new(bytes);
    decoder.skip().is_ok() && decoder.position() == bytes.len()
}

/// A structure with its tag.
pub(super) fn tagged(tag: u64, structure: CosetValue) -> Option<Vec<u8>> {
    CosetValue::Tag(tag, Box::new(structure)).to_vec().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_array_heads_are_looked_at() {
        for bytes in [&b"\xd2\x84"[..], b"\xd1\x84", b"\xd0\x83", b"\xd8\x3d\xd2\x84", b"\xd8\x3d\xd0\x83\x40"] {
            assert!(looks_like_cwt(bytes), "{bytes:02x?}");
            assert!(matches!(cwt(bytes), Some(Cow::Borrowed(found)) if found == bytes));
            // In base64url only a whole item counts.
            let items = if bytes.contains(&0x83) { 3 } else { 4 } - bytes.iter().filter(|byte| **byte == 0x40).count();
            let whole = [bytes, &vec![0xf6; items]].concat();
            assert_eq!(cwt(base64url::encode(&whole).as_bytes()).as_deref(), Some(&whole[..]));
            assert_eq!(cwt(base64url::encode(&whole[..whole.len() - 1]).as_bytes()), None);
            assert_eq!(cwt(base64url::encode(&[&whole[..], &[0xf6]].concat()).as_bytes()), None);
        }
        for bytes in [
            &b""[..],
            b"\xd2",
            b"\xd2\x83",
            b"\xd0\x84",
            b"\xd2\x9f",
            b"\xd8\x62\x84",
            b"\xd8\x3d\xd8\x3d\xd2\x84",
            b"\x84\x43",
            b"eyJ.a.b",
        ] {
            assert!(!looks_like_cwt(bytes), "{bytes:02x?}");
            assert_eq!(cwt(bytes), None);
            assert_eq!(cwt(base64url::encode(bytes).as_bytes()), None);
        }
    }
}
