//! The names of key management and content encryption (RFC 7518 §4.1, §5.1).

use std::fmt;
use std::str::FromStr;

/// How the recipient gets at the content's key (RFC 7518 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Management {
    /// `dir`: the shared key is the content's key.
    Direct,
    /// `A128KW`: the content's key is wrapped with the shared key of 16 bytes.
    A128Kw,
    /// `A256KW`: the content's key is wrapped with the shared key of 32 bytes.
    A256Kw,
    /// `ECDH-ES`: the content's key is agreed upon with the recipient's public key, P-256 or X25519.
    EcdhEs,
    /// `ECDH-ES+A128KW`: so is a key that the content's key is wrapped with.
    EcdhEsA128Kw,
    /// `ECDH-ES+A256KW`: the same with a longer one.
    EcdhEsA256Kw,
    /// `RSA-OAEP-256`: the content's key is encrypted with the recipient's public key.
    RsaOaep256,
}

/// How the content is encrypted (RFC 7518 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// `A128GCM`.
    A128Gcm,
    /// `A256GCM`.
    A256Gcm,
    /// `A128CBC-HS256`: AES-128 in CBC mode, under a MAC.
    A128CbcHs256,
}

/// A name that is none of the supported ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown JWE algorithm")]
pub struct UnknownJweAlgorithm;

impl Management {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Direct,
        Self::A128Kw,
        Self::A256Kw,
        Self::EcdhEs,
        Self::EcdhEsA128Kw,
        Self::EcdhEsA256Kw,
        Self::RsaOaep256,
    ];

    /// The name in a JWE header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "dir",
            Self::A128Kw => "A128KW",
            Self::A256Kw => "A256KW",
            Self::EcdhEs => "ECDH-ES",
            Self::EcdhEsA128Kw => "ECDH-ES+A128KW",
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
            Self::RsaOaep256 => "RSA-OAEP-256",
        }
    }

    /// Whether the recipient's private key is needed, not one that is shared.
    #[must_use]
    pub const fn is_asymmetric(self) -> bool {
        self.agrees() || matches!(self, Self::RsaOaep256)
    }

    /// Whether a key is agreed upon.
    pub(super) const fn agrees(self) -> bool {
        matches!(self, Self::EcdhEs | Self::EcdhEsA128Kw | Self::EcdhEsA256Kw)
    }

    /// Length of the key that the content's key is wrapped with, in bytes.
    pub(super) const fn wrapping_key_bytes(self) -> Option<usize> {
        match self {
            Self::A128Kw | Self::EcdhEsA128Kw => Some(16),
            Self::A256Kw | Self::EcdhEsA256Kw => Some(32),
            Self::Direct | Self::EcdhEs | Self::RsaOaep256 => None,
        }
    }
}

impl Encryption {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::A128Gcm, Self::A256Gcm, Self::A128CbcHs256];

    /// The name in a JWE header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
            Self::A128CbcHs256 => "A128CBC-HS256",
        }
    }

    /// Length of the content's key, in bytes.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A256Gcm | Self::A128CbcHs256 => 32,
        }
    }
}

impl FromStr for Management {
    type Err = UnknownJweAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownJweAlgorithm> {
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or(UnknownJweAlgorithm)
    }
}

impl FromStr for Encryption {
    type Err = UnknownJweAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownJweAlgorithm> {
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or(UnknownJweAlgorithm)
    }
}

impl fmt::Display for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
