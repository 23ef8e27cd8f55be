//! SHA-256 digests: what tokens are known by here and in the token revocation list, never by their text.

use std::fmt;

use ace_profile::base64url;
use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Which hash function a name in binary form is made with: sha-256 (RFC 6920 §9.4).
const SHA_256_SUITE: u8 = 1;

/// A SHA-256 digest. Written as base64url text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sha256([u8; 32]);

impl Sha256 {
    /// The digest behind a token's hash (RFC 9770 §4): of the token's text as the client was given it in JSON.
    pub(crate) fn of_token(token: &str) -> Self {
        Self::of(token.as_bytes())
    }

    /// What a token is looked up by: of a JWT without its signature, of an opaque token as it is.
    ///
    /// An ECDSA signature can be altered and still verify, so that one JWT has more than one good text. None of them
    /// may outlive a revocation.
    pub(crate) fn identity_of(token: &str) -> Self {
        Self::of(token.rsplit_once('.').map_or(token, |(signed, _)| signed).as_bytes())
    }

    fn of(bytes: &[u8]) -> Self {
        let mut digest = [0; 32];
        digest.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(digest)
    }

    /// The binary form that names the hash function too (RFC 6920 §6).
    pub(crate) fn binary_form(&self) -> [u8; 33] {
        let mut form = [SHA_256_SUITE; 33];
        if let Some((_, rest)) = form.split_first_mut() {
            rest.copy_from_slice(&self.0);
        }
        form
    }

    /// Whether the 16 digits that the log shows of a token are those of this digest.
    pub(crate) fn has_fingerprint(&self, digits: &str) -> bool {
        self.to_string() == digits
    }
}

/// The token's fingerprint in the log: the first eight bytes in lower-case hexadecimal digits.
impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}…")
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = base64url::decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| de::Error::custom("not the base64url text of a SHA-256 digest"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_form_names_the_hash_function() {
        // printf abc | sha256sum
        let form = Sha256::of_token("abc").binary_form();
        assert_eq!(form[..5], [0x01, 0xba, 0x78, 0x16, 0xbf]);
        assert_eq!((form.len(), form[32]), (33, 0xad));
    }

    #[test]
    fn a_jwt_is_one_token_under_any_signature() {
        assert_eq!(Sha256::identity_of("a.b.c"), Sha256::identity_of("a.b.d"));
        assert_ne!(Sha256::identity_of("a.b.c"), Sha256::identity_of("a.c.c"));
        assert_ne!(Sha256::of_token("a.b.c"), Sha256::of_token("a.b.d"));
        assert_eq!(Sha256::identity_of("opaque"), Sha256::of_token("opaque"));
    }

    #[test]
    fn the_log_and_the_ledger_tell_the_same_fingerprint() {
        let digest = Sha256::of_token("abc");
        assert_eq!(digest.to_string(), ace_profile::Fingerprint::of(b"abc").to_string());
        assert!(digest.has_fingerprint("ba7816bf8f01cfea"));
        assert!(!digest.has_fingerprint("ba7816bf8f01cfe") && !digest.has_fingerprint(""));
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        let digest = Sha256::of_token("abc");
        let text = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Sha256>(&text).unwrap(), digest);
        assert!(serde_json::from_str::<Sha256>("\"AAAA\"").is_err());
        assert!(serde_json::from_str::<Sha256>("\"!\"").is_err());
    }
}
