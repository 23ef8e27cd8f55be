//! The outer form of a CWT (RFC 8392 §6, RFC 9052 §2): tags, and an array of a length that is known.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_array_heads_are_looked_at() {
        for bytes in [&b"\xd2\x84"[..], b"\xd1\x84", b"\xd0\x83", b"\xd8\x3d\xd2\x84", b"\xd8\x3d\xd0\x83\x40"] {
            assert!(looks_like_cwt(bytes), "{bytes:02x?}");
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
        }
    }
}
