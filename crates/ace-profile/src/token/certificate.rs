//! Tokens that are bound to a client's certificate (RFC 8705 §3.1).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

use crate::base64url;

/// The SHA-256 of a certificate in DER: `x5t#S256` (RFC 8705 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CertificateThumbprint([u8; 32]);

impl CertificateThumbprint {
    /// The thumbprint of a certificate in DER.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        let hash = digest(&SHA256, der);
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// Reads base64url without padding.
    #[must_use]
    pub fn from_base64url(text: &str) -> Option<Self> {
        base64url::decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// A name that the thumbprint of no key has.
    #[must_use]
    pub fn name(&self) -> String {
        format!("x5t#S256:{self}")
    }
}

/// As it stands in a token.
impl fmt::Display for CertificateThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for CertificateThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sha_256_in_base64url() {
        // The SHA-256 of "abc" is the example of FIPS 180.
        let thumbprint = CertificateThumbprint::of(b"abc");
        assert_eq!(thumbprint.to_string(), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        assert_eq!(CertificateThumbprint::from_base64url(&thumbprint.to_string()), Some(thumbprint));
        for text in ["", "ungWv48", "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=", "ba7816bf8f01cfea414140de5dae2223"]
        {
            assert_eq!(CertificateThumbprint::from_base64url(text), None, "{text}");
        }
    }
}
