//! Secrets of clients and resource servers: kept as digests only, compared in constant time, never shown.

use std::fmt;

use aws_lc_rs::{constant_time, digest};

/// Secrets shorter than this are accepted with a warning: they can be guessed.
pub(crate) const ADVISABLE_BYTES: usize = 16;

/// The SHA-256 digest of a secret. It does for secrets made at random, which is what these are: no person types them,
/// so no slow password hash is needed, which would let strangers keep the server busy.
#[derive(Clone)]
pub(crate) struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// The digest of a secret in clear.
    pub(crate) fn of(secret: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, secret).as_ref());
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits, as `sha256sum` prints them.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            if pair.starts_with('+') {
                return None;
            }
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// A digest that no known secret has: compared with when an id is unknown, so that the answer takes as long as
    /// for a known one.
    pub(crate) const fn of_nobody() -> Self {
        Self([0; 32])
    }

    /// Whether `presented` is the secret; the time it takes does not depend on where they differ.
    pub(crate) fn verify(&self, presented: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &Self::of(presented).0).is_ok()
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_passes() {
        let digest = SecretDigest::of(b"correct horse");
        assert!(digest.verify(b"correct horse"));
        assert!(!digest.verify(b"correct horsf"));
        assert!(!digest.verify(b""));
        assert!(!SecretDigest::of_nobody().verify(b""));
    }

    #[test]
    fn hexadecimal_digests_are_read_strictly() {
        // printf abc | sha256sum
        let digest =
            SecretDigest::from_hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad").unwrap();
        assert!(digest.verify(b"abc"));
        assert!(SecretDigest::from_hex("ba78").is_none());
        assert!(SecretDigest::from_hex(&"+a".repeat(32)).is_none());
        assert!(SecretDigest::from_hex(&"zz".repeat(32)).is_none());
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", SecretDigest::of(b"abc")), "SecretDigest(…)");
    }
}
