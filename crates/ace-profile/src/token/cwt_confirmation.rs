//! The `cnf` claim of a CWT (RFC 8747 §3).

use super::confirmation::{Confirmed, KeysInClear};
use super::key_selection;
use crate::cbor::{self, Label, Map, Value};
use crate::cose::{self, Message, Secret};
use crate::jose::{Jwk, JwkSet, KeyError};
use crate::{Quoted, Refusal};

/// The methods (RFC 8747 §3.1).
const COSE_KEY: i64 = 1;
const ENCRYPTED_COSE_KEY: i64 = 2;
const KID: i64 = 3;

/// Reads the claim. `server_keys` are those of the token's issuer, of which the symmetric ones decrypt.
pub(super) fn read(cnf: &Value<'_>, in_clear: KeysInClear, server_keys: &JwkSet) -> Result<Confirmed, Refusal> {
    let cnf = cnf.as_map().ok_or(Refusal::ConfirmationMalformed)?;
    let mut methods =
        [COSE_KEY, ENCRYPTED_COSE_KEY, KID].into_iter().filter_map(|label| Some((label, cnf.get(label)?)));
    match (methods.next(), methods.next()) {
        (Some(_), Some(_)) => Err(Refusal::ConfirmationAmbiguous),
        (Some((COSE_KEY, key)), None) => {
            as_it_stands(key.as_map().ok_or(Refusal::ConfirmationMalformed)?, in_clear).map(Confirmed::Key)
        }
        (Some((ENCRYPTED_COSE_KEY, key)), None) => encrypted(key, server_keys).map(Confirmed::Key),
        (Some((_, kid)), None) => {
            let kid = kid.as_bytes().filter(|kid| !kid.is_empty()).ok_or(Refusal::ConfirmationMalformed)?;
            Ok(Confirmed::KeyId(cose::kid_name(kid).into_owned()))
        }
        (None, _) => Err(cnf.labels().next().map_or(Refusal::ConfirmationMalformed, |label| {
            let method = match label {
                Label::Int(number) => Quoted::new(&number.to_string()),
                Label::Text(text) => Quoted::new(text),
            };
            Refusal::ConfirmationUnsupported { method }
        })),
    }
}

/// A key that stands in the token (RFC 8747 §3.2).
fn as_it_stands(key: &Map<'_>, in_clear: KeysInClear) -> Result<Jwk, Refusal> {
    match cose::secret(key) {
        Secret::Symmetric if in_clear == KeysInClear::Public => return Err(Refusal::ConfirmationKeyInClear),
        Secret::Private => return Err(Refusal::ConfirmationKeyPrivate),
        Secret::Symmetric | Secret::No => {}
    }
    cose::read_key(key).map_err(|error| match error {
        KeyError::MemberMissing(_) | KeyError::MemberMalformed(_) | KeyError::NotJson(_) => {
            Refusal::ConfirmationMalformed
        }
        _ => Refusal::ConfirmationKeyUnusable,
    })
}

/// A symmetric key, encrypted for the broker (RFC 8747 §3.3): the plaintext is a `COSE_Key`.
fn encrypted(key: &Value<'_>, server_keys: &JwkSet) -> Result<Jwk, Refusal> {
    let message = Message::from_encrypt0(key).map_err(|refusal| match refusal {
        Refusal::AlgorithmUnsupported { algorithm } => Refusal::JweUnsupported { algorithm },
        Refusal::HeaderCritical => Refusal::JweExtension,
        _ => Refusal::JweMalformed,
    })?;
    let shared = key_selection::select_among(&message, server_keys).map_err(|refusal| match refusal {
        Refusal::KeyAmbiguous => Refusal::JweKeyAmbiguous,
        _ => Refusal::JweKeyMissing,
    })?;
    let plaintext = message.decrypt(shared).ok_or(Refusal::JweUndecryptable)?;
    let key = cbor::parse_map(&plaintext).map_err(|_| Refusal::JweNotAKey)?;
    if cose::secret(&key) != Secret::Symmetric {
        return Err(Refusal::JweNotAKey);
    }
    cose::read_key(&key).map_err(|error| match error {
        KeyError::SymmetricLength(_) => Refusal::ConfirmationKeyUnusable,
        _ => Refusal::JweNotAKey,
    })
}
