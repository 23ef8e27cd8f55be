//! Content encryption (RFC 9053 §4): AES-GCM by the cryptographic library, AES-CCM by RustCrypto, since the library does not have it.

use aes::Aes128;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ccm::aead::{AeadInOut as _, KeyInit as _};
use ccm::consts::{U8, U13};
use zeroize::Zeroizing;

use super::Algorithm;

/// Tag of 64 bits, length field of 16 (RFC 9053 §4.2).
type AesCcm16Tag64Key128 = ccm::Ccm<Aes128, U8, U13>;
const CCM_TAG_BYTES: usize = 8;

/// The length of the nonce, in bytes; `None` for what does not encrypt.
pub(super) const fn nonce_bytes(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::A128Gcm | Algorithm::A256Gcm => Some(12),
        Algorithm::AesCcm16Tag64Key128 => Some(13),
        Algorithm::EdDsa | Algorithm::Es256 | Algorithm::Hmac256Cut64 | Algorithm::Hmac256 => None,
    }
}

/// Decrypts. `None` for another key, altered content, or lengths that do not fit.
pub(super) fn open(
    algorithm: Algorithm,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut opened = Zeroizing::new(ciphertext.to_vec());
    let plaintext_bytes = match algorithm {
        Algorithm::AesCcm16Tag64Key128 => {
            let cipher = AesCcm16Tag64Key128::new_from_slice(key).ok()?;
            let nonce = <[u8; 13]>::try_from(nonce).ok()?;
            let plaintext_bytes = ciphertext.len().checked_sub(CCM_TAG_BYTES)?;
            let (text, tag) = opened.split_at_mut_checked(plaintext_bytes)?;
            let tag = <[u8; CCM_TAG_BYTES]>::try_from(&*tag).ok()?;
            cipher.decrypt_inout_detached(&nonce.into(), aad, text.into(), &tag.into()).ok()?;
            plaintext_bytes
        }
        _ => {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            gcm(algorithm, key)?.open_in_place(nonce, Aad::from(aad), &mut opened).ok()?.len()
        }
    };
    opened.truncate(plaintext_bytes);
    Some(opened)
}

/// Encrypts. `None` for lengths that do not fit.
pub(super) fn seal(algorithm: Algorithm, key: &[u8], nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
    let mut sealed = plaintext.to_vec();
    if algorithm == Algorithm::AesCcm16Tag64Key128 {
        let cipher = AesCcm16Tag64Key128::new_from_slice(key).ok()?;
        let nonce = <[u8; 13]>::try_from(nonce).ok()?;
        let tag = cipher.encrypt_inout_detached(&nonce.into(), aad, sealed.as_mut_slice().into()).ok()?;
        sealed.extend_from_slice(&tag);
    } else {
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        gcm(algorithm, key)?.seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed).ok()?;
    }
    Some(sealed)
}

fn gcm(algorithm: Algorithm, key: &[u8]) -> Option<LessSafeKey> {
    let algorithm = match algorithm {
        Algorithm::A128Gcm => &AES_128_GCM,
        Algorithm::A256Gcm => &AES_256_GCM,
        _ => return None,
    };
    UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_and_nothing_else() {
        for (algorithm, key_bytes) in
            [(Algorithm::A128Gcm, 16), (Algorithm::A256Gcm, 32), (Algorithm::AesCcm16Tag64Key128, 16)]
        {
            let (key, nonce) = (vec![1; key_bytes], vec![2; nonce_bytes(algorithm).unwrap()]);
            let sealed = seal(algorithm, &key, &nonce, b"aad", b"content").unwrap();
            assert_eq!(open(algorithm, &key, &nonce, b"aad", &sealed).unwrap().as_slice(), b"content");
            for at in 0..sealed.len() {
                let mut altered = sealed.clone();
                altered[at] ^= 1;
                assert!(open(algorithm, &key, &nonce, b"aad", &altered).is_none(), "{algorithm}, {at}");
            }
            assert!(open(algorithm, &key, &nonce, b"other", &sealed).is_none());
            assert!(open(algorithm, &vec![9; key_bytes], &nonce, b"aad", &sealed).is_none());
            assert!(open(algorithm, &key, &nonce[1..], b"aad", &sealed).is_none());
            assert!(open(algorithm, &key[1..], &nonce, b"aad", &sealed).is_none());
            for length in 0..sealed.len() {
                assert!(open(algorithm, &key, &nonce, b"aad", &sealed[..length]).is_none(), "{algorithm}, {length}");
            }
        }
        assert!(open(Algorithm::EdDsa, &[1; 16], &[2; 12], b"", &[0; 32]).is_none());
    }
}
