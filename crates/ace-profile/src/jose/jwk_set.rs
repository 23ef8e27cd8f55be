//! A set of keys (RFC 7517 §5): those of an authorization server, or of the clients.

use serde_json::Value;

use super::{Algorithm, Jwk, KeyError, KeyType};
use crate::json;
use crate::limits;

/// The keys of a JWK set, in the order of the set.
#[derive(Debug, Clone, Default)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    skipped: Vec<(usize, KeyError)>,
}

/// A set that cannot be read, and which of its keys is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkSetError {
    /// The set itself is at fault.
    #[error("{0}")]
    Set(#[source] KeyError),
    /// The key at this place, counted from 0, is at fault.
    #[error("key {index}: {error}")]
    Key {
        /// The key's place in the set.
        index: usize,
        /// What is wrong with it.
        #[source]
        error: KeyError,
    },
}

impl JwkSet {
    /// Reads a set from its JSON text. Keys of a type or curve that this crate does not have are skipped
    /// (RFC 7517 §5), and can be asked for with [`JwkSet::skipped`]; a malformed or weak one spoils the set.
    ///
    /// # Errors
    /// A [`JwkSetError`] that says which key is at fault and why.
    pub fn from_json(text: &str) -> Result<Self, JwkSetError> {
        let mut set = Self::default();
        for (index, value) in values(text.as_bytes())?.iter().enumerate() {
            match Jwk::from_value(value) {
                Ok(key) => set.keys.push(key),
                Err(error @ (KeyError::TypeUnsupported(_) | KeyError::CurveUnsupported(_))) => {
                    set.skipped.push((index, error));
                }
                Err(error) => return Err(JwkSetError::Key { index, error }),
            }
        }
        Ok(set)
    }

    /// Reads a set that a server publishes. Only public keys are taken from it: a symmetric or private one is skipped, and so is
    /// every key that is malformed, weak or of an unknown kind, since the set is not the operator's to mend and one bad key is no reason to lose
    /// the others. [`JwkSet::skipped`] tells of all of them.
    ///
    /// # Errors
    /// A [`JwkSetError::Set`] if it is no set, or has no key that a signature could be verified with.
    pub fn from_published_json(text: &[u8]) -> Result<Self, JwkSetError> {
        let mut set = Self::default();
        for (index, value) in values(text)?.iter().enumerate() {
            match Jwk::from_value(value) {
                Ok(key) if key.is_private() || key.key_type() == KeyType::Symmetric => {
                    set.skipped.push((index, KeyError::NotPublic));
                }
                Ok(key) => set.keys.push(key),
                Err(error) => set.skipped.push((index, error)),
            }
        }
        let verifies = |key: &Jwk| Algorithm::ALL.iter().any(|algorithm| key.can_verify(*algorithm));
        if set.keys.iter().any(verifies) { Ok(set) } else { Err(JwkSetError::Set(KeyError::Unfit("signatures"))) }
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// The keys that were skipped: their place in the set, counted from 0, and why.
    #[must_use]
    pub fn skipped(&self) -> &[(usize, KeyError)] {
        &self.skipped
    }

    /// The keys that bear this `kid`.
    pub fn with_kid<'a>(&'a self, kid: &'a str) -> impl Iterator<Item = &'a Jwk> {
        self.keys.iter().filter(move |key| key.kid() == Some(kid))
    }

    /// The set as JSON with the public halves only; symmetric keys are left out. This is what an
    /// authorization server publishes.
    #[must_use]
    pub fn public_value(&self) -> Value {
        let keys: Vec<Value> = self.keys.iter().filter_map(Jwk::public_value).collect();
        serde_json::json!({ "keys": keys })
    }

    /// The set as JSON with everything: for key files. The value is a secret, and is not wiped when dropped.
    #[must_use]
    pub fn secret_value(&self) -> Value {
        let keys: Vec<Value> = self.keys.iter().map(Jwk::secret_value).collect();
        serde_json::json!({ "keys": keys })
    }
}

/// The keys of a set as they are written.
fn values(text: &[u8]) -> Result<Vec<Value>, JwkSetError> {
    if text.len() > limits::JWKS_BYTES {
        return Err(JwkSetError::Set(KeyError::TooLarge));
    }
    let mut object = json::parse_object(text).map_err(|fault| JwkSetError::Set(KeyError::NotJson(fault)))?;
    let Some(Value::Array(values)) = object.remove("keys") else {
        return Err(JwkSetError::Set(KeyError::NotASet));
    };
    if values.len() > limits::JWKS_KEYS { Err(JwkSetError::Set(KeyError::TooLarge)) } else { Ok(values) }
}

impl FromIterator<Jwk> for JwkSet {
    fn from_iter<I: IntoIterator<Item = Jwk>>(keys: I) -> Self {
        Self { keys: keys.into_iter().collect(), skipped: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const SYMMETRIC: &str = r#"{"kty":"oct","kid":"s","k":"AAECAwQFBgcICQoLDA0ODw"}"#;

    #[test]
    fn unknown_types_are_skipped_and_told() {
        let text = format!(r#"{{"keys":[{{"kty":"AKP"}},{ED25519},{{"kty":"EC","crv":"P-521"}}],"more":1}}"#);
        let set = JwkSet::from_json(&text).unwrap();
        assert_eq!(set.keys().len(), 1);
        assert_eq!(set.skipped().iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(set.with_kid("a").count(), 1);
        assert_eq!(set.with_kid("b").count(), 0);
    }

    #[test]
    fn a_bad_key_spoils_the_set_and_is_named() {
        let text = format!(r#"{{"keys":[{ED25519},{{"kty":"oct","k":"AAEC"}}]}}"#);
        let error = JwkSet::from_json(&text).unwrap_err();
        assert_eq!(error, JwkSetError::Key { index: 1, error: KeyError::SymmetricLength(3) });
    }

    #[test]
    fn of_a_published_set_the_good_public_keys_are_taken() {
        let private = Jwk::ed25519_from_seed(&[7; 32]).unwrap().with_kid("p").secret_value();
        let weak = r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#;
        let text = format!(r#"{{"keys":[{SYMMETRIC},{private},{weak},7,{{"kty":"AKP"}},{ED25519}]}}"#);
        let set = JwkSet::from_published_json(text.as_bytes()).unwrap();
        assert_eq!(set.keys().iter().map(Jwk::kid).collect::<Vec<_>>(), [Some("a")]);
        assert_eq!(set.skipped().iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(set.skipped()[0].1, KeyError::NotPublic);
        assert_eq!(set.skipped()[1].1, KeyError::NotPublic);
    }

    #[test]
    fn a_published_set_that_verifies_nothing_is_refused() {
        let for_encryption = ED25519.replace("\"kid\"", "\"use\":\"enc\",\"kid\"");
        for text in ["", "[]", "{}", r#"{"keys":[]}"#, &format!("{{\"keys\":[{SYMMETRIC},{for_encryption}]}}")] {
            assert!(matches!(JwkSet::from_published_json(text.as_bytes()), Err(JwkSetError::Set(_))), "{text}");
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, ED25519] {
            assert!(matches!(JwkSet::from_json(text), Err(JwkSetError::Set(_))), "{text}");
        }
        let many = vec!["{\"kty\":\"x\"}"; limits::JWKS_KEYS + 1].join(",");
        let text = format!("{{\"keys\":[{many}]}}");
        assert_eq!(JwkSet::from_json(&text).unwrap_err(), JwkSetError::Set(KeyError::TooLarge));
        let long = " ".repeat(limits::JWKS_BYTES + 1);
        assert_eq!(JwkSet::from_json(&long).unwrap_err(), JwkSetError::Set(KeyError::TooLarge));
    }

    #[test]
    fn a_published_set_holds_no_secret() {
        let private = Jwk::ed25519_from_seed(&[7; 32]).unwrap().with_kid("p");
        let set: JwkSet = [private, Jwk::from_json(SYMMETRIC).unwrap()].into_iter().collect();
        let published = set.public_value();
        assert_eq!(published["keys"].as_array().unwrap().len(), 1);
        assert!(published["keys"][0].get("d").is_none());
        let whole = JwkSet::from_json(&set.secret_value().to_string()).unwrap();
        assert!(whole.keys()[0].is_private() && whole.keys()[1].symmetric_bytes().is_some());
    }
}
