//! The only trace of a token that may be logged.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// The first 8 bytes of the SHA-256 of a token as it was sent: enough to find its line in the log of the
/// authorization server or of another broker, and no help in guessing the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 8]);

impl Fingerprint {
    /// The fingerprint of `token`.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        let hash = digest(&SHA256, token);
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        Self(first)
    }

    /// The 8 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// Sixteen lower-case hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_beginning_of_the_sha_256() {
        // SHA-256 of "abc", FIPS 180-4's first example.
        assert_eq!(Fingerprint::of(b"abc").to_string(), "ba7816bf8f01cfea");
        assert_eq!(format!("{:?}", Fingerprint::of(b"abc")), "ba7816bf8f01cfea");
        assert_ne!(Fingerprint::of(b"abc"), Fingerprint::of(b"abd"));
    }
}
