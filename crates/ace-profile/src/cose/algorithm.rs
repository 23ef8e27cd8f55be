//! The algorithms of CWTs (RFC 9053, RFC 9864 §2), by their IANA names.

use std::fmt;
use std::str::FromStr;

use coset::iana::{self, EnumI64 as _};

use crate::Quoted;
use crate::jose::{self, Jwk, KeyType, UnknownAlgorithm};
use crate::limits;

/// How a CWT is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519. Written `EdDSA` (−8, RFC 9053 §2.2), also read as `Ed25519` (−19, RFC 9864 §2.2).
    EdDsa,
    /// ECDSA over P-256 with SHA-256: `ES256` (−7, RFC 9053 §2.1), also read as `ESP256` (−9, RFC 9864 §2.1).
    Es256,
    /// HMAC with SHA-256, cut to 64 bits (4, RFC 9053 §3.1).
    Hmac256Cut64,
    /// HMAC with SHA-256 (5, RFC 9053 §3.1).
    Hmac256,
    /// AES-GCM with a key of 128 bits (1, RFC 9053 §4.1).
    A128Gcm,
    /// AES-GCM with a key of 256 bits (3, RFC 9053 §4.1).
    A256Gcm,
    /// AES-CCM with a key of 128 bits, a tag of 64 and a nonce of 13 bytes (10, RFC 9053 §4.2).
    AesCcm16Tag64Key128,
}

/// What an algorithm does, and so in which structure it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Signature,
    Mac,
    Encryption,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::EdDsa,
        Self::Es256,
        Self::Hmac256Cut64,
        Self::Hmac256,
        Self::A128Gcm,
        Self::A256Gcm,
        Self::AesCcm16Tag64Key128,
    ];

    /// The name that IANA has for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Hmac256Cut64 => "HMAC 256/64",
            Self::Hmac256 => "HMAC 256/256",
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
            Self::AesCcm16Tag64Key128 => "AES-CCM-16-64-128",
        }
    }

    /// The algorithm of a signed JWT that does the same.
    #[must_use]
    pub const fn in_jose(self) -> Option<jose::Algorithm> {
        match self {
            Self::EdDsa => Some(jose::Algorithm::EdDsa),
            Self::Es256 => Some(jose::Algorithm::Es256),
            Self::Hmac256 => Some(jose::Algorithm::Hs256),
            Self::Hmac256Cut64 | Self::A128Gcm | Self::A256Gcm | Self::AesCcm16Tag64Key128 => None,
        }
    }

    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::EdDsa | Self::Es256 => Kind::Signature,
            Self::Hmac256Cut64 | Self::Hmac256 => Kind::Mac,
            Self::A128Gcm | Self::A256Gcm | Self::AesCcm16Tag64Key128 => Kind::Encryption,
        }
    }

    pub(super) const fn to_iana(self) -> iana::Algorithm {
        match self {
            Self::EdDsa => iana::Algorithm::EdDSA,
            Self::Es256 => iana::Algorithm::ES256,
            Self::Hmac256Cut64 => iana::Algorithm::HMAC_256_64,
            Self::Hmac256 => iana::Algorithm::HMAC_256_256,
            Self::A128Gcm => iana::Algorithm::A128GCM,
            Self::A256Gcm => iana::Algorithm::A256GCM,
            Self::AesCcm16Tag64Key128 => iana::Algorithm::AES_CCM_16_64_128,
        }
    }

    /// The algorithm that a header names by its number.
    pub(super) fn from_number(number: i64) -> Option<Self> {
        match iana::Algorithm::from_i64(number)? {
            iana::Algorithm::Ed25519 => Some(Self::EdDsa),
            iana::Algorithm::ESP256 => Some(Self::Es256),
            other => Self::ALL.into_iter().find(|algorithm| algorithm.to_iana() == other),
        }
    }

    /// Whether a key may be used so: its type and length fit, and its `alg`, `use` and `key_ops` do not forbid it. `alg` may be
    /// the name that JOSE has for the same, or IANA's for COSE. A private key should not lie about where tokens are only checked.
    pub(crate) fn fits(self, key: &Jwk) -> bool {
        let length = key.symmetric_bytes().map(<[u8]>::len);
        let (type_fits, usage, operation) = match self {
            Self::EdDsa => (key.key_type() == KeyType::Ed25519, "sig", "verify"),
            Self::Es256 => (key.key_type() == KeyType::P256, "sig", "verify"),
            Self::Hmac256Cut64 | Self::Hmac256 => {
                (length.is_some_and(|length| length >= limits::HS256_KEY_BYTES_MIN), "sig", "verify")
            }
            Self::A128Gcm | Self::AesCcm16Tag64Key128 => (length == Some(16), "enc", "decrypt"),
            Self::A256Gcm => (length == Some(32), "enc", "decrypt"),
        };
        type_fits
            && !key.is_private()
            && key.algorithm().is_none_or(|name| self.is_called(name))
            && key.usage().is_none_or(|one| one == usage)
            && key.allows(operation)
    }

    fn is_called(self, name: &str) -> bool {
        name.parse() == Ok(self) || self.in_jose().is_some_and(|algorithm| name.parse() == Ok(algorithm))
    }
}

/// How the algorithm of this number is called in a message.
pub(super) fn shown(number: i64) -> Quoted {
    match (Algorithm::from_number(number), iana::Algorithm::from_i64(number)) {
        (Some(known), _) => known.name().into(),
        (None, Some(other)) => Quoted::new(&format!("{other:?}")),
        (None, None) => Quoted::new(&number.to_string()),
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// IANA's names, compared exactly.
impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        match name {
            "Ed25519" => Ok(Self::EdDsa),
            "ESP256" => Ok(Self::Es256),
            _ => Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or(UnknownAlgorithm),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_round_trip() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            assert_eq!(Algorithm::from_number(algorithm.to_iana().to_i64()), Some(algorithm));
        }
        assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDsa));
        for name in ["", "HS256", "es256", "AES-CCM-16-128-128"] {
            assert_eq!(name.parse::<Algorithm>(), Err(UnknownAlgorithm), "{name:?}");
        }
        assert_eq!(
            (Algorithm::from_number(-19), Algorithm::from_number(-9)),
            (Some(Algorithm::EdDsa), Some(Algorithm::Es256))
        );
        for (number, name) in [(2, "A192GCM"), (-36, "ES512"), (-70_000, "-70000"), (i64::MIN, "-9223372036854775808")]
        {
            assert_eq!((Algorithm::from_number(number), shown(number)), (None, name.into()));
        }
    }

    #[test]
    fn a_key_says_what_it_is_for() {
        let key = |bytes: usize| Jwk::from_symmetric(&vec![7; bytes]).unwrap();
        let fitting =
            |key: &Jwk| Algorithm::ALL.into_iter().filter(|algorithm| algorithm.fits(key)).collect::<Vec<_>>();
        use Algorithm::{A128Gcm, A256Gcm, AesCcm16Tag64Key128, EdDsa, Es256, Hmac256, Hmac256Cut64};
        assert_eq!(fitting(&key(16)), [A128Gcm, AesCcm16Tag64Key128]);
        assert_eq!(fitting(&key(32)), [Hmac256Cut64, Hmac256, A256Gcm]);
        assert_eq!(fitting(&key(48)), [Hmac256Cut64, Hmac256]);
        assert_eq!(fitting(&key(32).with_use("sig")), [Hmac256Cut64, Hmac256]);
        assert_eq!(fitting(&key(32).with_use("enc")), [A256Gcm]);
        for (name, algorithm) in [("HS256", Hmac256), ("HMAC 256/256", Hmac256), ("HMAC 256/64", Hmac256Cut64)] {
            assert_eq!(fitting(&key(32).with_algorithm(name)), [algorithm], "{name}");
        }
        assert_eq!(fitting(&key(16).with_algorithm("AES-CCM-16-64-128")), [AesCcm16Tag64Key128]);
        assert_eq!(fitting(&key(32).with_algorithm("A256KW")), []);
        let ed25519 = Jwk::ed25519_from_seed(&[1; 32]).unwrap();
        assert_eq!(fitting(&ed25519), [], "it is private");
        assert_eq!(fitting(&ed25519.to_public().unwrap()), [EdDsa]);
        let p256 = Jwk::p256_from_scalar(&[1; 32]).unwrap().to_public().unwrap();
        assert_eq!(fitting(&p256), [Es256]);
        assert_eq!(fitting(&p256.with_algorithm("ESP256")), [Es256]);
    }
}
