//! What a broker knows and wants when it validates tokens.

use std::str::FromStr;
use std::time::Duration;

use crate::cose;
#[cfg(doc)]
use crate::jose::Jwk;
use crate::jose::{Algorithm, JwkSet};
use crate::scope::ScopeFormat;

/// An authorization server that this broker takes tokens from.
#[derive(Debug, Clone, Default)]
pub struct AuthorizationServer {
    /// The `iss` of its tokens (RFC 7519 §4.1.1), compared byte for byte.
    pub issuer: String,
    /// Its public keys, the keys shared with it for HS256, and those with which it encrypts for this broker.
    pub keys: JwkSet,
    /// What it encrypts for this broker is decrypted with these, and with those of `keys` that can ([`Jwk::can_decrypt`]). No signature
    /// is ever checked with them.
    pub decryption_keys: JwkSet,
    /// The algorithms that its tokens may be signed with; `None` for whatever its keys allow.
    pub algorithms: Option<AllowedAlgorithms>,
    /// The form in which its tokens carry their scope.
    pub scope_format: ScopeFormat,
    /// Whether placeholders in its tokens' filters are filled in: see [`Scope::filled_in`](crate::scope::Scope::filled_in).
    pub scope_placeholders: bool,
}

/// The algorithms that an authorization server's tokens may be protected with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedAlgorithms {
    jose: Vec<Algorithm>,
    cose: Vec<cose::Algorithm>,
}

/// A name that is no algorithm of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown algorithm; known are EdDSA (or Ed25519), ES256, RS256, PS256, HS256, and for CWTs HMAC 256/64, HMAC 256/256, A128GCM, \
     A256GCM, AES-CCM-16-64-128"
)]
pub struct UnknownTokenAlgorithm;

impl AllowedAlgorithms {
    /// Whether a JWT may be signed so.
    #[must_use]
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.jose.contains(&algorithm)
    }

    /// Whether a CWT may be protected so.
    #[must_use]
    pub fn allows_in_cose(&self, algorithm: cose::Algorithm) -> bool {
        self.cose.contains(&algorithm)
    }
}

/// One by its name: that of JOSE, which allows the same in a CWT, or IANA's of COSE for what a JWT does not have.
impl FromStr for AllowedAlgorithms {
    type Err = UnknownTokenAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownTokenAlgorithm> {
        if let Ok(algorithm) = name.parse::<Algorithm>() {
            return Ok(vec![algorithm].into());
        }
        let algorithm = name.parse::<cose::Algorithm>().map_err(|_| UnknownTokenAlgorithm)?;
        Ok(Self {
            jose: algorithm.in_jose().filter(|_| algorithm != cose::Algorithm::Hmac256).into_iter().collect(),
            cose: vec![algorithm],
        })
    }
}

impl From<Vec<Algorithm>> for AllowedAlgorithms {
    fn from(jose: Vec<Algorithm>) -> Self {
        let same = |algorithm: &cose::Algorithm| algorithm.in_jose().is_some_and(|name| jose.contains(&name));
        let cose = cose::Algorithm::ALL.into_iter().filter(same).collect();
        Self { jose, cose }
    }
}

impl FromIterator<Self> for AllowedAlgorithms {
    fn from_iter<I: IntoIterator<Item = Self>>(several: I) -> Self {
        several.into_iter().fold(Self::default(), |mut all, one| {
            all.jose.extend(one.jose);
            all.cose.extend(one.cose);
            all
        })
    }
}

/// What is asked of every token, whoever issued it.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// The names of this broker; a token's `aud` has to hold one of them (RFC 7519 §4.1.3). A broker
    /// without a name accepts no token.
    pub audience: Vec<String>,
    /// How far the clocks of broker and authorization server may differ. A token is good until `exp` plus
    /// this.
    pub leeway: Duration,
    /// Whether a token that is bound to no key is accepted.
    pub allow_bearer: bool,
    /// Whether a token without `exp` is accepted. One whose lifetime is relative (`exi`) has an end.
    pub allow_no_expiry: bool,
    /// Whether a token is accepted whose only lifetime is relative (`exi`). For those who remember when they first saw it:
    /// [`ValidatedToken::first_sight`](super::ValidatedToken::first_sight).
    pub allow_relative_expiry: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_jose_allows_the_same_in_a_cwt() {
        let allowed = |names: &[&str]| names.iter().map(|name| name.parse::<AllowedAlgorithms>().unwrap()).collect();
        let both: AllowedAlgorithms = allowed(&["ES256", "HS256"]);
        assert!(both.allows(Algorithm::Es256) && both.allows_in_cose(cose::Algorithm::Es256));
        assert!(both.allows(Algorithm::Hs256) && both.allows_in_cose(cose::Algorithm::Hmac256));
        assert!(!both.allows(Algorithm::EdDsa) && !both.allows_in_cose(cose::Algorithm::Hmac256Cut64));
        let only_cose: AllowedAlgorithms = allowed(&["HMAC 256/256", "AES-CCM-16-64-128"]);
        assert!(!only_cose.allows(Algorithm::Hs256) && only_cose.allows_in_cose(cose::Algorithm::Hmac256));
        assert!(only_cose.allows_in_cose(cose::Algorithm::AesCcm16Tag64Key128));
        let same: AllowedAlgorithms = allowed(&["ESP256"]);
        assert!(same.allows(Algorithm::Es256) && same.allows_in_cose(cose::Algorithm::Es256));
        for name in ["", "none", "hs256", "A192GCM"] {
            assert_eq!(name.parse::<AllowedAlgorithms>(), Err(UnknownTokenAlgorithm), "{name:?}");
        }
    }
}
