//! What a token is called in a revocation list (RFC 9770 §4).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

use crate::base64url;

/// The suite identifier of SHA-256 in front of a hash (RFC 6920 §9.4).
const SHA_256: u8 = 1;

/// The hash of a token, as a revocation list has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash over a text (RFC 9770 §4.4, RFC 6920 §6).
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Self(hash)
    }

    /// A hash as it is sent; `None` for another algorithm, or a length that does not fit.
    #[must_use]
    pub fn from_sent(sent: &[u8]) -> Option<Self> {
        match sent.split_first() {
            Some((&SHA_256, hash)) => hash.try_into().ok().map(Self),
            _ => None,
        }
    }

    /// The hash as it is sent: the algorithm's number, and the 32 bytes.
    #[must_use]
    pub fn to_sent(self) -> [u8; 33] {
        let mut sent = [SHA_256; 33];
        if let Some(hash) = sent.last_chunk_mut::<32>() {
            *hash = self.0;
        }
        sent
    }
}

/// The first bytes: enough to tell hashes apart in a message of a test.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The hashes by which a token can be found in a list: two for a JWT, since it cannot be told from the token whether the client
/// was given it in JSON or in CBOR (RFC 9770 §4.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHashes {
    in_json: TokenHash,
    in_cbor: TokenHash,
}

impl TokenHashes {
    /// The hashes of a token that is text: a JWT, or an opaque one.
    #[must_use]
    pub fn of_text(token: &str) -> Self {
        Self { in_json: TokenHash::of(token), in_cbor: TokenHash::of(&base64url::encode(token.as_bytes())) }
    }

    /// The hashes, of the token as text and of it as bytes, as [`Self::both`] gives them.
    #[must_use]
    pub const fn from_both([in_json, in_cbor]: [TokenHash; 2]) -> Self {
        Self { in_json, in_cbor }
    }

    /// Both.
    #[must_use]
    pub const fn both(&self) -> [TokenHash; 2] {
        [self.in_json, self.in_cbor]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_sha_256_of_the_text_behind_its_number() {
        // SHA-256 of "abc", FIPS 180-4's first example.
        let sent = TokenHash::of("abc").to_sent();
        assert_eq!(sent[..5], [0x01, 0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(TokenHash::from_sent(&sent), Some(TokenHash::of("abc")));
        assert_eq!(TokenHashes::of_text("abc").both(), [TokenHash::of("abc"), TokenHash::of("YWJj")]);
    }

    #[test]
    fn other_algorithms_and_lengths_are_no_hashes() {
        let sent = TokenHash::of("abc").to_sent();
        let other = [&[2], &sent[1..]].concat();
        for bad in [&[][..], &sent[..32], &[&sent[..], &[0]].concat(), &other] {
            assert_eq!(TokenHash::from_sent(bad), None, "{bad:?}");
        }
    }
}
