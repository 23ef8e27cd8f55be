//! Encrypted texts in compact form (RFC 7516 §3.1): tokens that are encrypted for the broker, and symmetric proof-of-possession keys on
//! their way to it (RFC 7800 §3.3).
//!
//! Keys are shared (`dir`, `A128KW`, `A256KW`), or the broker has a private key of its own (`ECDH-ES` on P-256 and X25519, with and
//! without key wrapping, and `RSA-OAEP-256`). Encryption alone says nothing about the sender: what is believed is decided in
//! [`crate::token`].
//!
//! Whatever goes wrong in decryption is one refusal, and takes the same way: a content's key that cannot be had is replaced by a
//! random one, under which the content does not decrypt (RFC 7516 §11.5).

mod agreement;
mod algorithms;
mod content;
mod header;

use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap as _};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

pub use algorithms::{Encryption, Management, UnknownJweAlgorithm};

use self::content::{Sealed, TAG_BYTES};
use self::header::Header;
use super::{Jwk, JwkSet, KeyError, KeyType, Material, compact};
use crate::Refusal;
use crate::base64url;
use crate::limits;
use crate::random::{Random, SystemRandom};

/// How much AES key wrap adds to a key, in bytes (RFC 3394 §2.2.1).
const WRAP_BYTES: usize = 8;

/// An encrypted text that has the right form.
pub struct Jwe<'a> {
    header: Header,
    protected: &'a str,
    encrypted_key: Vec<u8>,
    iv: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

impl<'a> Jwe<'a> {
    /// Reads form and header.
    ///
    /// # Errors
    /// [`Refusal::JweMalformed`], [`Refusal::JweUnsupported`] or [`Refusal::JweExtension`].
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > limits::TOKEN_BYTES {
            return Err(Refusal::TokenTooLarge { bytes: text.len() });
        }
        let [protected, encrypted_key, iv, ciphertext, tag] = compact::split::<5>(text).ok_or(Refusal::JweMalformed)?;
        let decode = |piece: &str| base64url::decode(piece.as_bytes()).map_err(|_| Refusal::JweMalformed);
        let header = Header::parse(&decode(protected)?)?;
        let jwe = Self {
            protected,
            encrypted_key: decode(encrypted_key)?,
            iv: decode(iv)?,
            ciphertext: decode(ciphertext)?,
            tag: decode(tag)?,
            header,
        };
        if jwe.iv.len() != jwe.header.encryption.iv_bytes() || jwe.tag.len() != TAG_BYTES {
            return Err(Refusal::JweMalformed);
        }
        if jwe.encrypted_key_bytes().is_some_and(|bytes| jwe.encrypted_key.len() != bytes) {
            return Err(Refusal::JweMalformed);
        }
        Ok(jwe)
    }

    /// How long the encrypted key is, in bytes; `None` if that depends on the recipient's key.
    fn encrypted_key_bytes(&self) -> Option<usize> {
        let Header { management, encryption, .. } = self.header;
        match management {
            Management::Direct | Management::EcdhEs => Some(0),
            Management::RsaOaep256 => None,
            _ => Some(encryption.key_bytes() + WRAP_BYTES),
        }
    }

    /// Whether the header says that the content is a JWT (`cty`, RFC 7519 §5.2).
    #[must_use]
    pub const fn holds_jwt(&self) -> bool {
        self.header.holds_jwt
    }

    /// The issuer that the header names (RFC 7519 §5.3), if it does. Only good for finding the key.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.header.issuer.as_deref()
    }

    /// The one of these keys to decrypt with: the one that the header names by `kid`, or that alone fits. The same key under several
    /// entries is one key.
    ///
    /// # Errors
    /// [`Refusal::JweKeyMissing`] or [`Refusal::JweKeyAmbiguous`].
    pub fn select<'k>(&self, keys: &'k JwkSet) -> Result<&'k Jwk, Refusal> {
        let kid = self.header.kid.as_deref();
        let mut fitting = keys
            .keys()
            .iter()
            .filter(|key| kid.is_none() || key.kid() == kid)
            .filter(|key| decrypts(key, &self.header));
        let key = fitting.next().ok_or(Refusal::JweKeyMissing)?;
        match fitting.next() {
            None => Ok(key),
            Some(other) if fitting.chain([other]).all(|other| other.thumbprint() == key.thumbprint()) => Ok(key),
            Some(_) => Err(Refusal::JweKeyAmbiguous),
        }
    }

    /// Decrypts with this key.
    ///
    /// # Errors
    /// [`Refusal::JweKeyMissing`] if the key does not fit, [`Refusal::JweUndecryptable`] for everything else.
    pub fn decrypt(&self, key: &Jwk) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        if !decrypts(key, &self.header) {
            return Err(Refusal::JweKeyMissing);
        }
        let encryption = self.header.encryption;
        let mut instead = Zeroizing::new(vec![0; encryption.key_bytes()]);
        SystemRandom.fill(&mut instead).map_err(|_| Refusal::JweUndecryptable)?;
        let content_key = self.content_key(key).filter(|found| found.len() == instead.len()).unwrap_or(instead);
        let sealed = Sealed { iv: self.iv.clone(), text: self.ciphertext.clone(), tag: self.tag.clone() };
        encryption.open(&content_key, self.protected, sealed).ok_or(Refusal::JweUndecryptable)
    }

    fn content_key(&self, key: &Jwk) -> Option<Zeroizing<Vec<u8>>> {
        let Header { management, encryption, agreement, .. } = &self.header;
        let (management, encryption) = (*management, *encryption);
        if management == Management::RsaOaep256 {
            let Material::Rsa(key) = key.material() else { return None };
            return key.decrypt_oaep(&self.encrypted_key);
        }
        let shared = match agreement {
            Some(contribution) => agreement::agree(key.material(), contribution, management, encryption)?,
            None => Zeroizing::new(key.symmetric_bytes()?.to_vec()),
        };
        if management.wrapping_key_bytes().is_none() {
            return Some(shared);
        }
        let mut unwrapped = Zeroizing::new(vec![0; encryption.key_bytes()]);
        let bytes = wrapping_key(&shared)?.unwrap(&self.encrypted_key, &mut unwrapped).ok()?.len();
        (bytes == unwrapped.len()).then_some(unwrapped)
    }
}

fn wrapping_key(bytes: &[u8]) -> Option<AesKek> {
    let algorithm: &'static aws_lc_rs::key_wrap::AesBlockCipher = if bytes.len() == 16 { &AES_128 } else { &AES_256 };
    AesKek::new(algorithm, bytes).ok()
}

/// Whether a text has five pieces, as an encrypted one has, and not three.
pub(crate) fn is_compact(text: &str) -> bool {
    compact::split::<5>(text).is_some() && compact::looks_like_jwt(text.as_bytes())
}

/// Whether this key decrypts what has such a header.
fn decrypts(key: &Jwk, header: &Header) -> bool {
    let management = header.management;
    if !management.is_asymmetric() {
        return shares(key, management, header.encryption, "decrypt");
    }
    let operations: &[&str] =
        if management.agrees() { &["deriveKey", "deriveBits"] } else { &["decrypt", "unwrapKey"] };
    let type_fits = match &header.agreement {
        Some(contribution) => contribution.ephemeral.key_type() == key.key_type(),
        None => key.key_type() == KeyType::Rsa,
    };
    type_fits
        && is_private_for_decryption(key)
        && key.algorithm().is_none_or(|name| name == management.name())
        && operations.iter().any(|operation| key.allows(operation))
}

/// Whether this is a private key that decrypts, by its type and length, and says so: by its `use`, or by an `alg` of key management.
pub(super) fn is_private_for_decryption(key: &Jwk) -> bool {
    let is_usable = match key.material() {
        Material::P256 { scalar, .. } => scalar.is_some(),
        Material::X25519 { private, .. } => private.is_some(),
        Material::Rsa(rsa) => rsa.is_private() && rsa.bits() <= limits::RSA_DECRYPTION_BITS_MAX,
        Material::Ed25519 { .. } | Material::Symmetric(_) => false,
    };
    let management: Option<Management> = key.algorithm().and_then(|name| name.parse().ok());
    let says_so = match (key.usage(), key.algorithm()) {
        (Some("enc"), None) => true,
        (Some("enc") | None, Some(_)) => management.is_some_and(Management::is_asymmetric),
        _ => false,
    };
    is_usable && says_so
}

/// Whether `key` may be used for this: a symmetric key of the right length, not meant for signatures, its
/// `alg` absent or the one used (for `dir` that is the content's, RFC 7518 §4.5).
fn shares(key: &Jwk, management: Management, encryption: Encryption, operation: &str) -> bool {
    let (algorithm, bytes, wrap_operation) = match management.wrapping_key_bytes() {
        None => (encryption.name(), encryption.key_bytes(), None),
        Some(bytes) => (management.name(), bytes, Some(if operation == "encrypt" { "wrapKey" } else { "unwrapKey" })),
    };
    let accepted_names = [algorithm, management.name()];
    !management.is_asymmetric()
        && key.symmetric_bytes().is_some_and(|key| key.len() == bytes)
        && key.usage() != Some("sig")
        && key.algorithm().is_none_or(|name| accepted_names.contains(&name))
        && key.allows(wrap_operation.unwrap_or(operation))
}

/// Encrypts `plaintext` for whoever shares `recipient` and gives the compact form. The header bears the
/// key's `kid`, and `cty` if one is handed in (`jwk+json` for a key).
///
/// # Errors
/// [`KeyError::Unfit`] if the key is of the wrong type, length or use, or the key management is not by a shared key;
/// [`KeyError::RandomUnavailable`]; [`KeyError::OperationFailed`].
pub fn encrypt(
    plaintext: &[u8],
    recipient: &Jwk,
    management: Management,
    encryption: Encryption,
    cty: Option<&str>,
    random: &mut dyn Random,
) -> Result<String, KeyError> {
    if !shares(recipient, management, encryption, "encrypt") {
        return Err(KeyError::Unfit(management.name()));
    }
    let shared = recipient.symmetric_bytes().ok_or(KeyError::Unfit(management.name()))?;
    let mut content_key = Zeroizing::new(vec![0; encryption.key_bytes()]);
    let wrapped = if management == Management::Direct {
        content_key.copy_from_slice(shared);
        Vec::new()
    } else {
        random.fill(&mut content_key)?;
        let mut wrapped = vec![0; content_key.len() + WRAP_BYTES];
        let wrapping_key = wrapping_key(shared).ok_or(KeyError::OperationFailed)?;
        wrapping_key.wrap(&content_key, &mut wrapped).map_err(|_| KeyError::OperationFailed)?;
        wrapped
    };

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
    let Sealed { iv, text, tag } = encryption.seal(&content_key, &header, plaintext, random)?;
    let pieces = [wrapped, iv, text, tag].map(|piece| base64url::encode(&piece));
    Ok(format!("{header}.{}", pieces.join(".")))
}

/// Decrypts a short text, a key say, with the one key of `keys` that the header names by `kid`, or that alone fits.
///
/// # Errors
/// A [`Refusal`] of the `Jwe…` family.
pub fn decrypt(jwe: &str, keys: &JwkSet) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    if jwe.len() > limits::JWE_BYTES {
        return Err(Refusal::JweMalformed);
    }
    let jwe = Jwe::parse(jwe)?;
    jwe.decrypt(jwe.select(keys)?)
}

#[cfg(test)]
mod tests;
