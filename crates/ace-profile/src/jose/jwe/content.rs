//! The content under its key: AES-GCM (RFC 7518 §5.3) and AES-CBC with HMAC (§5.2).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use super::Encryption;
use crate::jose::KeyError;
use crate::random::Random;

/// Length of AES-GCM's nonce, in bytes (RFC 7518 §5.3).
const GCM_NONCE_BYTES: usize = 12;
/// Length of AES-CBC's initialisation vector, in bytes.
const CBC_IV_BYTES: usize = 16;
/// Length of the tag, in bytes: of AES-GCM's, and of the half of HMAC-SHA-256 that is sent (RFC 7518 §5.2.3).
pub(super) const TAG_BYTES: usize = 16;

/// A content as it travels.
pub(super) struct Sealed {
    pub(super) iv: Vec<u8>,
    pub(super) text: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

impl Encryption {
    /// Length of nonce or initialisation vector, in bytes.
    pub(super) const fn iv_bytes(self) -> usize {
        match self {
            Self::A128Gcm | Self::A256Gcm => GCM_NONCE_BYTES,
            Self::A128CbcHs256 => CBC_IV_BYTES,
        }
    }

    /// Decrypts; `None` if anything at all is wrong. The tag is checked before anything is decrypted.
    pub(super) fn open(self, key: &[u8], protected: &str, sealed: Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let Sealed { iv, text, tag } = sealed;
        let mut opened = Zeroizing::new(text);
        let plaintext_bytes = match self.gcm(key) {
            Some(cipher) => {
                opened.extend_from_slice(&tag);
                let nonce = Nonce::assume_unique_for_key(iv.try_into().ok()?);
                cipher.open_in_place(nonce, Aad::from(protected.as_bytes()), &mut opened).ok()?.len()
            }
            None => {
                let (mac_key, cipher_key) = halves(key)?;
                verify_slices_are_equal(&mac(mac_key, protected, &iv, &opened)?, &tag).ok()?;
                let cipher = UnboundCipherKey::new(&AES_128, cipher_key).and_then(PaddedBlockDecryptingKey::cbc_pkcs7);
                let context = DecryptionContext::Iv128(FixedLength::from(<[u8; CBC_IV_BYTES]>::try_from(iv).ok()?));
                cipher.ok()?.decrypt(&mut opened, context).ok()?.len()
            }
        };
        opened.truncate(plaintext_bytes);
        Some(opened)
    }

    /// Encrypts.
    pub(super) fn seal(
        self,
        key: &[u8],
        protected: &str,
        plaintext: &[u8],
        random: &mut dyn Random,
    ) -> Result<Sealed, KeyError> {
        let mut iv = vec![0; self.iv_bytes()];
        random.fill(&mut iv)?;
        let mut text = plaintext.to_vec();
        self.seal_with(key, protected, &iv, &mut text)
            .map(|tag| Sealed { iv, text, tag })
            .ok_or(KeyError::OperationFailed)
    }

    fn seal_with(self, key: &[u8], protected: &str, iv: &[u8], text: &mut Vec<u8>) -> Option<Vec<u8>> {
        if let Some(cipher) = self.gcm(key) {
            let nonce = Nonce::assume_unique_for_key(iv.try_into().ok()?);
            let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(protected.as_bytes()), text).ok()?;
            return Some(tag.as_ref().to_vec());
        }
        let (mac_key, cipher_key) = halves(key)?;
        let cipher = UnboundCipherKey::new(&AES_128, cipher_key).and_then(PaddedBlockEncryptingKey::cbc_pkcs7).ok()?;
        let context = EncryptionContext::Iv128(FixedLength::from(<[u8; CBC_IV_BYTES]>::try_from(iv).ok()?));
        cipher.less_safe_encrypt(text, context).ok()?;
        mac(mac_key, protected, iv, text)
    }

    /// AES-GCM under this key; `None` for AES-CBC.
    fn gcm(self, key: &[u8]) -> Option<LessSafeKey> {
        let algorithm = match self {
            Self::A128Gcm => &AES_128_GCM,
            Self::A256Gcm => &AES_256_GCM,
            Self::A128CbcHs256 => return None,
        };
        UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
    }
}

/// The MAC's key and the cipher's (RFC 7518 §5.2.2.1).
fn halves(key: &[u8]) -> Option<(&[u8], &[u8])> {
    key.split_at_checked(16).filter(|(mac, cipher)| mac.len() == cipher.len())
}

/// The first half of the MAC over everything, and over the header's length in bits (RFC 7518 §5.2.2.1).
fn mac(key: &[u8], protected: &str, iv: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    let header_bits = u64::try_from(protected.len()).ok()?.checked_mul(8)?;
    for part in [protected.as_bytes(), iv, text, &header_bits.to_be_bytes()] {
        context.update(part);
    }
    context.sign().as_ref().get(..TAG_BYTES).map(<[u8]>::to_vec)
}
