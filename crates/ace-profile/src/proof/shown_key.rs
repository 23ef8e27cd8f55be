//! The key that a client shows because its token only names it by a thumbprint (RFC 9449 §6.1, RFC 7638).

use std::fmt;

use serde_json::Value;

use super::ConfirmationKey;
use crate::Refusal;
use crate::base64url;
use crate::jose::{Jwk, KeyError};

/// Length of a thumbprint, in bytes: SHA-256.
const THUMBPRINT_BYTES: usize = 32;

/// The thumbprint of a key (RFC 7638 §3.1), as a token names it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyThumbprint(String);

impl KeyThumbprint {
    /// Reads base64url without padding.
    #[must_use]
    pub fn from_base64url(text: &str) -> Option<Self> {
        let bytes = base64url::decode(text.as_bytes()).ok().filter(|bytes| bytes.len() == THUMBPRINT_BYTES)?;
        // Written anew: the same bytes are the same thumbprint.
        Some(Self(base64url::encode(&bytes)))
    }

    /// As [`Jwk::thumbprint`] and [`ConfirmationKey::thumbprint`] give it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A public key that a client has shown. It says nothing by itself: it may be anybody's.
#[derive(Debug, Clone)]
pub struct ShownKey {
    key: ConfirmationKey,
    public: Value,
}

impl ShownKey {
    /// Reads a JWK. What its `kid` says is passed over: nobody but the client has said it.
    ///
    /// # Errors
    /// [`Refusal::ShownKeyMalformed`], [`Refusal::ShownKeyNotPublic`] for a private or symmetric key, [`Refusal::ShownKeyUnusable`] for
    /// one that proofs cannot be made with.
    pub fn from_jwk(jwk: &Value) -> Result<Self, Refusal> {
        let members = jwk.as_object().ok_or(Refusal::ShownKeyMalformed)?;
        let is_secret = ["d", "k"].iter().any(|member| members.contains_key(*member));
        if is_secret || members.get("kty").is_some_and(|kty| kty == "oct") {
            return Err(Refusal::ShownKeyNotPublic);
        }
        let key = Jwk::from_value(jwk).map_err(|error| match error {
            KeyError::MemberMissing(_) | KeyError::MemberMalformed(_) => Refusal::ShownKeyMalformed,
            _ => Refusal::ShownKeyUnusable,
        })?;
        Self::of(&key).map_err(|_| Refusal::ShownKeyUnusable)
    }

    /// The public half of this key.
    ///
    /// # Errors
    /// [`KeyError::Unfit`] for a key that has none, or that proofs cannot be made with.
    pub fn of(key: &Jwk) -> Result<Self, KeyError> {
        let unfit = KeyError::Unfit("proof of possession");
        let bare = key.to_public().ok_or(unfit.clone())?.without_kid();
        let key = ConfirmationKey::from_jwk(&bare)?;
        Ok(Self { key, public: bare.public_value().ok_or(unfit)? })
    }

    /// The key, as a JWK.
    #[must_use]
    pub const fn as_jwk(&self) -> &Value {
        &self.public
    }

    /// Its thumbprint.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        self.key.thumbprint()
    }

    /// The key, for a token that is bound to it.
    pub(crate) const fn key(&self) -> &ConfirmationKey {
        &self.key
    }
}

/// Keys are the same if their thumbprints are.
impl PartialEq for ShownKey {
    fn eq(&self, other: &Self) -> bool {
        self.thumbprint() == other.thumbprint()
    }
}

impl Eq for ShownKey {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::proof::ProofKey;
    use crate::random::SystemRandom;

    #[test]
    fn a_public_key_is_taken_without_its_name() {
        for key in [Jwk::generate_ed25519(&mut SystemRandom).unwrap(), Jwk::generate_p256(&mut SystemRandom).unwrap()] {
            let shown = ShownKey::from_jwk(&key.clone().with_kid("mine").public_value().unwrap()).unwrap();
            assert_eq!((shown.thumbprint(), shown.key().kid()), (key.thumbprint(), None));
            assert_eq!(shown, ShownKey::of(&key).unwrap());
            assert_eq!(ShownKey::from_jwk(shown.as_jwk()).as_ref(), Ok(&shown));
            let proof = ProofKey::from_jwk(&key).unwrap().prove(b"m").unwrap();
            assert_eq!(shown.key().verify(b"m", &proof), Ok(()));
        }
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let private = Jwk::generate_ed25519(&mut SystemRandom).unwrap();
        let symmetric = Jwk::generate_symmetric(32, &mut SystemRandom).unwrap();
        for jwk in [private.secret_value(), symmetric.secret_value(), json!({"kty": "oct"}), json!({"k": "AAAA"})] {
            assert_eq!(ShownKey::from_jwk(&jwk), Err(Refusal::ShownKeyNotPublic));
        }
        for jwk in [json!(null), json!("key"), json!({}), json!({"kty": 1}), json!({"kty": "OKP", "crv": "Ed25519"})] {
            assert_eq!(ShownKey::from_jwk(&jwk), Err(Refusal::ShownKeyMalformed), "{jwk}");
        }
        let mut for_encryption = private.public_value().unwrap();
        for_encryption["use"] = json!("enc");
        let rsa = Jwk::generate_rsa(2048).unwrap().public_value().unwrap();
        for jwk in [rsa, for_encryption, json!({"kty": "AKP"})] {
            assert_eq!(ShownKey::from_jwk(&jwk), Err(Refusal::ShownKeyUnusable), "{jwk}");
        }
        assert!(ShownKey::of(&symmetric).is_err());
    }

    #[test]
    fn thumbprints_are_of_32_bytes() {
        let text = base64url::encode(&[7; 32]);
        assert_eq!(KeyThumbprint::from_base64url(&text).unwrap().as_str(), text);
        for text in ["", "AAAA", &base64url::encode(&[7; 31]), &base64url::encode(&[7; 33]), &format!("{text}=")] {
            assert_eq!(KeyThumbprint::from_base64url(text), None, "{text}");
        }
    }
}
