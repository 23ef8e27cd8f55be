//! Encrypted texts in compact form (RFC 7516 §3.1), as far as a symmetric proof-of-possession key needs
//! them on its way to the broker (RFC 7800 §3.3): key management `dir` and `A256KW`, contents under
//! `A128GCM` and `A256GCM` (RFC 7518 §4.4, §4.5, §5.3).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Jwk, JwkSet, KeyError, compact};
use crate::base64url;
use crate::json;
use crate::limits;
use crate::random::Random;
use crate::{Quoted, Refusal};

/// Length of AES-GCM's nonce, in bytes (RFC 7518 §5.3).
const NONCE_BYTES: usize = 12;
/// Length of AES-GCM's tag, in bytes.
const TAG_BYTES: usize = 16;
/// How much AES key wrap adds to a key, in bytes (RFC 3394 §2.2.1).
const WRAP_BYTES: usize = 8;

/// How the recipient gets at the content's key (RFC 7518 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Management {
    /// `dir`: the shared key is the content's key.
    Direct,
    /// `A256KW`: the content's key is wrapped with the shared key of 32 bytes.
    A256Kw,
}

/// How the content is encrypted (RFC 7518 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// `A128GCM`.
    A128Gcm,
    /// `A256GCM`.
    A256Gcm,
}

/// A name that is none of the supported ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown JWE algorithm; known are dir and A256KW with A128GCM and A256GCM")]
pub struct UnknownJweAlgorithm;

impl Management {
    /// The name in a JWE header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "dir",
            Self::A256Kw => "A256KW",
        }
    }
}

impl Encryption {
    /// The name in a JWE header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
        }
    }

    /// Length of the content's key, in bytes.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A256Gcm => 32,
        }
    }

    fn key(self, bytes: &[u8]) -> Option<LessSafeKey> {
        let algorithm = match self {
            Self::A128Gcm => &AES_128_GCM,
            Self::A256Gcm => &AES_256_GCM,
        };
        UnboundKey::new(algorithm, bytes).ok().map(LessSafeKey::new)
    }
}

impl FromStr for Management {
    type Err = UnknownJweAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownJweAlgorithm> {
        match name {
            "dir" => Ok(Self::Direct),
            "A256KW" => Ok(Self::A256Kw),
            _ => Err(UnknownJweAlgorithm),
        }
    }
}

impl FromStr for Encryption {
    type Err = UnknownJweAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownJweAlgorithm> {
        match name {
            "A128GCM" => Ok(Self::A128Gcm),
            "A256GCM" => Ok(Self::A256Gcm),
            _ => Err(UnknownJweAlgorithm),
        }
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

/// Whether `key` may be used for this: a symmetric key of the right length, not meant for signatures, its
/// `alg` absent or the one used (for `dir` that is the content's, RFC 7518 §4.5).
fn fits(key: &Jwk, management: Management, encryption: Encryption, operation: &str) -> bool {
    let (algorithm, bytes, wrap_operation) = match management {
        Management::Direct => (encryption.name(), encryption.key_bytes(), None),
        Management::A256Kw => {
            (management.name(), 32, Some(if operation == "encrypt" { "wrapKey" } else { "unwrapKey" }))
        }
    };
    let accepted_names = [algorithm, management.name()];
    key.symmetric_bytes().is_some_and(|key| key.len() == bytes)
        && key.usage() != Some("sig")
        && key.algorithm().is_none_or(|name| accepted_names.contains(&name))
        && key.allows(wrap_operation.unwrap_or(operation))
}

/// Encrypts `plaintext` for whoever shares `recipient` and gives the compact form. The header bears the
/// key's `kid`, and `cty` if one is handed in (`jwk+json` for a key).
///
/// # Errors
/// [`KeyError::Unfit`] if the key is of the wrong type, length or use; [`KeyError::RandomUnavailable`];
/// [`KeyError::OperationFailed`].
pub fn encrypt(
    plaintext: &[u8],
    recipient: &Jwk,
    management: Management,
    encryption: Encryption,
    cty: Option<&str>,
    random: &mut dyn Random,
) -> Result<String, KeyError> {
    if !fits(recipient, management, encryption, "encrypt") {
        return Err(KeyError::Unfit(management.name()));
    }
    let shared = recipient.symmetric_bytes().ok_or(KeyError::Unfit(management.name()))?;
    let mut content_key = Zeroizing::new(vec![0; encryption.key_bytes()]);
    let wrapped = match management {
        Management::Direct => {
            content_key.copy_from_slice(shared);
            Vec::new()
        }
        Management::A256Kw => {
            random.fill(&mut content_key)?;
            let mut wrapped = vec![0; content_key.len() + WRAP_BYTES];
            AesKek::new(&AES_256, shared)
                .and_then(|kek| kek.wrap(&content_key, &mut wrapped).map(drop))
                .map_err(|_| KeyError::OperationFailed)?;
            wrapped
        }
    };
    let mut nonce = [0; NONCE_BYTES];
    random.fill(&mut nonce)?;

    let mut header = Map::new();
    header.insert("alg".into(), management.name().into());
    header.insert("enc".into(), encryption.name().into());
    if let Some(kid) = recipient.kid() {
        header.insert("kid".into(), kid.into());
    }
    if let Some(cty) = cty {
        header.insert("cty".into(), cty.into());
    }
    let header = base64url::encode(Value::Object(header).to_string().as_bytes());

    let mut sealed = Zeroizing::new(plaintext.to_vec());
    let tag = encryption
        .key(&content_key)
        .ok_or(KeyError::OperationFailed)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(header.as_bytes()), &mut sealed)
        .map_err(|_| KeyError::OperationFailed)?;
    let pieces = [wrapped.as_slice(), &nonce, &sealed, tag.as_ref()].map(base64url::encode);
    Ok(format!("{header}.{}", pieces.join(".")))
}

/// Decrypts with the one key of `keys` that the header names by `kid`, or that alone fits.
///
/// # Errors
/// A [`Refusal`] of the `Jwe…` family.
pub fn decrypt(jwe: &str, keys: &JwkSet) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    if jwe.len() > limits::JWE_BYTES {
        return Err(Refusal::JweMalformed);
    }
    let pieces = compact::split::<5>(jwe).ok_or(Refusal::JweMalformed)?;
    let decode = |piece: &str| base64url::decode(piece.as_bytes()).map_err(|_| Refusal::JweMalformed);
    let [protected, wrapped, nonce, sealed, tag] = pieces;
    let header = json::parse_object(&decode(protected)?).map_err(|_| Refusal::JweMalformed)?;
    let (wrapped, nonce, mut sealed, tag) = (decode(wrapped)?, decode(nonce)?, decode(sealed)?, decode(tag)?);

    if header.contains_key("crit") || header.contains_key("zip") {
        return Err(Refusal::JweExtension);
    }
    let management: Management = named(&header, "alg")?;
    let encryption: Encryption = named(&header, "enc")?;
    let key = select(&header, keys, management, encryption)?;
    let shared = key.symmetric_bytes().ok_or(Refusal::JweKeyMissing)?;

    let wrapped_bytes = match management {
        Management::Direct => 0,
        Management::A256Kw => encryption.key_bytes() + WRAP_BYTES,
    };
    let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).map_err(|_| Refusal::JweMalformed)?;
    if wrapped.len() != wrapped_bytes || tag.len() != TAG_BYTES {
        return Err(Refusal::JweMalformed);
    }
    let mut content_key = Zeroizing::new(vec![0; encryption.key_bytes()]);
    match management {
        Management::Direct => content_key.copy_from_slice(shared),
        Management::A256Kw => AesKek::new(&AES_256, shared)
            .and_then(|kek| kek.unwrap(&wrapped, &mut content_key).map(drop))
            .map_err(|_| Refusal::JweUndecryptable)?,
    }
    sealed.extend_from_slice(&tag);
    let mut opened = Zeroizing::new(sealed);
    let plaintext_bytes = encryption
        .key(&content_key)
        .ok_or(Refusal::JweUndecryptable)?
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(protected.as_bytes()), &mut opened)
        .map_err(|_| Refusal::JweUndecryptable)?
        .len();
    opened.truncate(plaintext_bytes);
    Ok(opened)
}

/// A header member that names one of the supported algorithms.
fn named<T: FromStr>(header: &Map<String, Value>, member: &str) -> Result<T, Refusal> {
    let name = header.get(member).and_then(Value::as_str).ok_or(Refusal::JweMalformed)?;
    name.parse().map_err(|_| Refusal::JweUnsupported { algorithm: Quoted::new(name) })
}

/// The one key to decrypt with.
fn select<'a>(
    header: &Map<String, Value>,
    keys: &'a JwkSet,
    management: Management,
    encryption: Encryption,
) -> Result<&'a Jwk, Refusal> {
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.as_str()),
        Some(_) => return Err(Refusal::JweMalformed),
    };
    let mut fitting = keys
        .keys()
        .iter()
        .filter(|key| kid.is_none() || key.kid() == kid)
        .filter(|key| fits(key, management, encryption, "decrypt"));
    match (fitting.next(), fitting.next()) {
        (None, _) => Err(Refusal::JweKeyMissing),
        (Some(key), None) => Ok(key),
        (Some(_), Some(_)) => Err(Refusal::JweKeyAmbiguous),
    }
}

#[cfg(test)]
#[path = "jwe_tests.rs"]
mod tests;
