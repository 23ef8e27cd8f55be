//! The `cnf` claim: which key the client has to prove (RFC 7800 §3), or which certificate it has to show (RFC 8705 §3.1).

use serde_json::{Map, Value};

use super::{CertificateThumbprint, Confirmation};
use crate::jose::{Jwk, JwkSet, KeyError, jwe};
use crate::proof::{ConfirmationKey, KeyThumbprint};
use crate::{Quoted, Refusal};

/// The methods that are known here: the key itself, the name of a key, an encrypted key, the thumbprint of a key (RFC 9449 §6.1), a
/// certificate.
const METHODS: [&str; 5] = ["jwk", "kid", "jwe", "jkt", "x5t#S256"];

/// What a `cnf` names, in whatever it is written.
#[derive(Debug)]
pub(super) enum Confirmed {
    /// A key that stands in it.
    Key(Jwk),
    /// The name of a key.
    KeyId(String),
    /// The thumbprint of a key.
    Thumbprint(KeyThumbprint),
    /// A certificate.
    Certificate(CertificateThumbprint),
}

impl Confirmed {
    /// What the client has to show. `client_keys` are the ones that a name may mean, and after them those that `earlier` knows.
    /// A key of the issuer is never a client's.
    pub(super) fn resolve(
        self,
        client_keys: &JwkSet,
        earlier: impl Fn(&str) -> Option<ConfirmationKey>,
    ) -> Result<Confirmation, Refusal> {
        let key = match self {
            Self::Key(key) => key,
            Self::KeyId(kid) => match by_name(&kid, client_keys) {
                Err(unknown @ Refusal::ConfirmationKeyUnknown { .. }) => {
                    return earlier(&kid).map(Confirmation::Key).ok_or(unknown);
                }
                known => known?,
            },
            Self::Thumbprint(thumbprint) => return Ok(Confirmation::Thumbprint(thumbprint)),
            Self::Certificate(thumbprint) => return Ok(Confirmation::Certificate(thumbprint)),
        };
        ConfirmationKey::from_jwk(&key).map(Confirmation::Key).map_err(|_| Refusal::ConfirmationKeyUnusable)
    }
}

/// Whether a symmetric key may stand in `cnf` as it is: in what others can read it would be given away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeysInClear {
    /// In a token, which is signed and not encrypted (RFC 7800 §3.3).
    Public,
    /// In an answer to the broker alone (RFC 9200 §5.9.2), or in a token that is encrypted for it.
    Any,
}

/// Reads the claim in JSON. `server_keys` are those that decrypt what the token's issuer encrypts.
pub(super) fn read(cnf: &Value, in_clear: KeysInClear, server_keys: &JwkSet) -> Result<Confirmed, Refusal> {
    let cnf = cnf.as_object().ok_or(Refusal::ConfirmationMalformed)?;
    let mut methods = METHODS.into_iter().filter_map(|method| cnf.get(method).map(|value| (method, value)));
    let method = match (methods.next(), methods.next()) {
        (Some(method), None) => method,
        (Some(_), Some(_)) => return Err(Refusal::ConfirmationAmbiguous),
        (None, _) => {
            return Err(cnf.keys().next().map_or(Refusal::ConfirmationMalformed, |method| {
                Refusal::ConfirmationUnsupported { method: Quoted::new(method) }
            }));
        }
    };
    match method {
        ("jwk", value) => {
            as_it_stands(value.as_object().ok_or(Refusal::ConfirmationMalformed)?, value, in_clear).map(Confirmed::Key)
        }
        ("kid", value) => {
            value.as_str().map(|kid| Confirmed::KeyId(kid.to_owned())).ok_or(Refusal::ConfirmationMalformed)
        }
        ("jwe", value) => {
            encrypted(value.as_str().ok_or(Refusal::ConfirmationMalformed)?, server_keys).map(Confirmed::Key)
        }
        ("jkt", value) => {
            let thumbprint = value.as_str().and_then(KeyThumbprint::from_base64url);
            thumbprint.map(Confirmed::Thumbprint).ok_or(Refusal::ConfirmationMalformed)
        }
        (_, value) => {
            let thumbprint = value.as_str().and_then(CertificateThumbprint::from_base64url);
            thumbprint.map(Confirmed::Certificate).ok_or(Refusal::ConfirmationMalformed)
        }
    }
}

/// A key that stands in the token (RFC 7800 §3.2), a public one, or in an answer about it. Whatever would let a reader of the token make
/// proofs is refused before anything else is looked at.
fn as_it_stands(members: &Map<String, Value>, value: &Value, in_clear: KeysInClear) -> Result<Jwk, Refusal> {
    let is_symmetric = members.get("kty").is_some_and(|kty| kty == "oct") || members.contains_key("k");
    if is_symmetric && in_clear == KeysInClear::Public {
        return Err(Refusal::ConfirmationKeyInClear);
    }
    if members.contains_key("d") {
        return Err(Refusal::ConfirmationKeyPrivate);
    }
    Jwk::from_value(value).map_err(|error| match error {
        KeyError::MemberMissing(_) | KeyError::MemberMalformed(_) | KeyError::NotJson(_) => {
            Refusal::ConfirmationMalformed
        }
        _ => Refusal::ConfirmationKeyUnusable,
    })
}

/// A client key that the configuration knows (RFC 7800 §3.4).
fn by_name(kid: &str, client_keys: &JwkSet) -> Result<Jwk, Refusal> {
    let mut named = client_keys.with_kid(kid);
    match (named.next(), named.next()) {
        (None, _) => Err(Refusal::ConfirmationKeyUnknown { kid: Quoted::new(kid) }),
        (Some(key), None) => Ok(key.clone()),
        (Some(_), Some(_)) => Err(Refusal::ConfirmationKeyAmbiguous { kid: Quoted::new(kid) }),
    }
}

/// A symmetric key, encrypted for the broker (RFC 7800 §3.3): the plaintext is a JWK.
fn encrypted(jwe: &str, server_keys: &JwkSet) -> Result<Jwk, Refusal> {
    let plaintext = jwe::decrypt(jwe, server_keys)?;
    let text = std::str::from_utf8(&plaintext).map_err(|_| Refusal::JweNotAKey)?;
    let key = Jwk::from_json(text).map_err(|error| match error {
        KeyError::SymmetricLength(_) => Refusal::ConfirmationKeyUnusable,
        _ => Refusal::JweNotAKey,
    })?;
    if key.symmetric_bytes().is_none() {
        return Err(Refusal::JweNotAKey);
    }
    Ok(key)
}

#[cfg(test)]
#[path = "confirmation_tests.rs"]
mod tests;
