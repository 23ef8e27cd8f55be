//! RSA keys (RFC 7518 §6.3): their components, and how to make new ones.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{
    KeyPairComponents, KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{RsaKeyPair, RsaPublicKeyComponents};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{KeyError, member};
use crate::base64url;
use crate::limits;

/// An RSA key; big-endian integers without leading zeros.
#[derive(Clone)]
pub(crate) struct RsaKey {
    pub(super) modulus: Vec<u8>,
    pub(super) exponent: Vec<u8>,
    private: Option<RsaPrivate>,
    /// The key as the cryptographic library decrypts with it: to make that of the components costs as much as a decryption.
    decrypting: Arc<OnceLock<Option<OaepPrivateDecryptingKey>>>,
}

/// The private half with the CRT parameters, which the cryptographic library needs.
#[derive(Clone)]
struct RsaPrivate {
    d: Zeroizing<Vec<u8>>,
    p: Zeroizing<Vec<u8>>,
    q: Zeroizing<Vec<u8>>,
    dp: Zeroizing<Vec<u8>>,
    dq: Zeroizing<Vec<u8>>,
    qi: Zeroizing<Vec<u8>>,
}

impl RsaKey {
    /// Reads the members of a JWK of type RSA.
    pub(super) fn from_members(object: &Map<String, Value>) -> Result<Self, KeyError> {
        let private = if object.contains_key("d") {
            if object.contains_key("oth") {
                return Err(KeyError::MemberMalformed("oth"));
            }
            Some(RsaPrivate {
                d: member::required_bytes(object, "d")?,
                p: member::required_bytes(object, "p")?,
                q: member::required_bytes(object, "q")?,
                dp: member::required_bytes(object, "dp")?,
                dq: member::required_bytes(object, "dq")?,
                qi: member::required_bytes(object, "qi")?,
            })
        } else {
            None
        };
        let key = Self {
            modulus: without_leading_zeros(&member::required_bytes(object, "n")?).to_vec(),
            exponent: without_leading_zeros(&member::required_bytes(object, "e")?).to_vec(),
            private,
            decrypting: Arc::default(),
        };
        key.check()?;
        Ok(key)
    }

    /// Makes a new key of 2048, 3072 or 4096 bits, with the cryptographic library's own randomness.
    pub(super) fn generate(bits: usize) -> Result<Self, KeyError> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            _ => return Err(KeyError::RsaLength(bits)),
        };
        let pair = RsaKeyPair::generate(size).map_err(|_| KeyError::OperationFailed)?;
        let pkcs8 = pair.as_der().map_err(|_| KeyError::OperationFailed)?;
        let key = Self::from_pkcs8(pkcs8.as_ref()).ok_or(KeyError::RsaInvalid)?;
        key.check()?;
        Ok(key)
    }

    /// Takes the integers out of a PKCS #8 document (RFC 5208 §5 around RFC 8017 §A.1.2).
    fn from_pkcs8(pkcs8: &[u8]) -> Option<Self> {
        const INTEGER: u8 = 0x02;
        const OCTET_STRING: u8 = 0x04;
        const SEQUENCE: u8 = 0x30;
        let (info, _) = der_element(pkcs8, SEQUENCE)?;
        let (_version, info) = der_element(info, INTEGER)?;
        let (_algorithm, info) = der_element(info, SEQUENCE)?;
        let (key, _) = der_element(info, OCTET_STRING)?;
        let (key, _) = der_element(key, SEQUENCE)?;
        let (_version, mut rest) = der_element(key, INTEGER)?;
        let mut integer = || {
            let (value, behind) = der_element(rest, INTEGER)?;
            rest = behind;
            Some(Zeroizing::new(without_leading_zeros(value).to_vec()))
        };
        let (modulus, exponent) = (integer()?, integer()?);
        let (d, p, q, dp, dq, qi) = (integer()?, integer()?, integer()?, integer()?, integer()?, integer()?);
        let private = Some(RsaPrivate { d, p, q, dp, dq, qi });
        Some(Self { modulus: modulus.to_vec(), exponent: exponent.to_vec(), private, decrypting: Arc::default() })
    }

    /// Refuses lengths out of bounds, exponents with which anybody can sign (1) or nobody, and halves that
    /// do not belong together.
    fn check(&self) -> Result<(), KeyError> {
        let bits = bit_length(&self.modulus);
        if !(limits::RSA_BITS_MIN..=limits::RSA_BITS_MAX).contains(&bits) {
            return Err(KeyError::RsaLength(bits));
        }
        let odd = self.exponent.last().is_some_and(|last| last & 1 == 1);
        if !odd || self.exponent == [1] || bit_length(&self.exponent) > 33 {
            return Err(KeyError::RsaInvalid);
        }
        if self.private.is_some() {
            self.key_pair()?;
        }
        Ok(())
    }

    /// Whether the private half is there.
    pub(super) const fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// The same key without its private half.
    pub(super) fn to_public(&self) -> Self {
        Self {
            modulus: self.modulus.clone(),
            exponent: self.exponent.clone(),
            private: None,
            decrypting: Arc::default(),
        }
    }

    /// The public half, for the cryptographic library.
    pub(super) fn public_components(&self) -> RsaPublicKeyComponents<&[u8]> {
        RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent }
    }

    /// Both halves, for the cryptographic library, which checks that they belong together.
    pub(super) fn key_pair(&self) -> Result<RsaKeyPair, KeyError> {
        let private = self.private.as_ref().ok_or(KeyError::PrivateMissing)?;
        RsaKeyPair::from_components(&KeyPairComponents {
            public_key: self.public_components(),
            d: private.d.as_slice(),
            p: private.p.as_slice(),
            q: private.q.as_slice(),
            dP: private.dp.as_slice(),
            dQ: private.dq.as_slice(),
            qInv: private.qi.as_slice(),
        })
        .map_err(|_| KeyError::RsaInvalid)
    }

    /// Length of the modulus, in bits.
    pub(super) fn bits(&self) -> usize {
        bit_length(&self.modulus)
    }

    /// Decrypts what was encrypted by RSAES-OAEP with SHA-256 (RFC 8017 §7.1). `None` for whatever goes wrong.
    pub(super) fn decrypt_oaep(&self, ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let key = self.decrypting.get_or_init(|| self.decrypting_key()).as_ref()?;
        let mut plaintext = Zeroizing::new(vec![0; key.min_output_size()]);
        let bytes = key.decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut plaintext, None).ok()?.len();
        plaintext.truncate(bytes);
        Some(plaintext)
    }

    fn decrypting_key(&self) -> Option<OaepPrivateDecryptingKey> {
        let pair = self.key_pair().ok()?;
        let pkcs8 = pair.as_der().ok()?;
        PrivateDecryptingKey::from_pkcs8(pkcs8.as_ref()).and_then(|key| Ok(OaepPrivateDecryptingKey::new(key)?)).ok()
    }

    /// Adds the members of the public half.
    pub(super) fn write_public(&self, object: &mut Map<String, Value>) {
        object.insert("n".into(), base64url::encode(&self.modulus).into());
        object.insert("e".into(), base64url::encode(&self.exponent).into());
    }

    /// Adds the members of the private half, if there is one.
    pub(super) fn write_private(&self, object: &mut Map<String, Value>) {
        let Some(private) = &self.private else { return };
        let members = [
            ("d", &private.d),
            ("p", &private.p),
            ("q", &private.q),
            ("dp", &private.dp),
            ("dq", &private.dq),
            ("qi", &private.qi),
        ];
        for (name, value) in members {
            object.insert(name.into(), base64url::encode(value).into());
        }
    }
}

/// The integer's significant bytes.
fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// The number of significant bits of an integer without leading zero bytes.
fn bit_length(bytes: &[u8]) -> usize {
    bytes.first().map_or(0, |first| bytes.len() * 8 - first.leading_zeros() as usize)
}

/// Takes one DER element with the given tag off the front: its content, and what follows it (X.690 §8.1).
fn der_element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    if first < 0x80 {
        return rest.split_at_checked(usize::from(first));
    }
    let length_bytes = usize::from(first & 0x7f);
    if length_bytes > 4 {
        return None;
    }
    let (length, rest) = rest.split_at_checked(length_bytes)?;
    let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bits_are_counted_from_the_first_significant_one() {
        assert_eq!(bit_length(without_leading_zeros(&[0, 0, 1, 0])), 9);
        assert_eq!(bit_length(&[0x80]), 8);
        assert_eq!(bit_length(&[]), 0);
    }

    #[test]
    fn other_sizes_are_not_generated() {
        assert_eq!(RsaKey::generate(1024).err(), Some(KeyError::RsaLength(1024)));
    }

    proptest! {
        #[test]
        fn arbitrary_der_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = RsaKey::from_pkcs8(&bytes);
            let mut sequence = vec![0x30, 0x82, 0, bytes.len() as u8];
            sequence.extend(&bytes);
            let _ = RsaKey::from_pkcs8(&sequence);
        }
    }
}
