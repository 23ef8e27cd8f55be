//! Signatures and MACs over bytes, shared by tokens ([`super::jws`]) and proofs ([`crate::proof`]).

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaParameters, UnparsedPublicKey,
};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256};

use super::jwk::uncompressed;
use super::rsa::RsaKey;
use super::{Algorithm, KeyError, Material};

/// Why a signature or MAC was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureFault {
    /// Its length is not the one that the algorithm gives with this key.
    Length,
    /// It does not verify.
    Wrong,
    /// The key is of another type than the algorithm's.
    KeyType,
}

/// Length of a signature or MAC of this algorithm under this key, in bytes. ECDSA's is that of r ‖ s
/// (RFC 7518 §3.4), never of the DER form.
pub(crate) fn length(material: &Material, algorithm: Algorithm) -> usize {
    match (algorithm, material) {
        (Algorithm::Hs256, _) => 32,
        (Algorithm::EdDsa | Algorithm::Es256, _) => 64,
        (Algorithm::Rs256 | Algorithm::Ps256, Material::Rsa(key)) => key.modulus.len(),
        (Algorithm::Rs256 | Algorithm::Ps256, _) => 0,
    }
}

/// Checks a signature or MAC. MACs are compared in constant time.
pub(crate) fn verify(
    material: &Material,
    algorithm: Algorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureFault> {
    if signature.len() != length(material, algorithm) {
        return Err(SignatureFault::Length);
    }
    let verdict = match (algorithm, material) {
        (Algorithm::EdDsa, Material::Ed25519 { public, .. }) => {
            UnparsedPublicKey::new(&ED25519, public).verify(message, signature)
        }
        (Algorithm::Es256, Material::P256 { x, y, .. }) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, uncompressed(x, y)).verify(message, signature)
        }
        (Algorithm::Rs256, Material::Rsa(key)) => verify_rsa(key, &RSA_PKCS1_2048_8192_SHA256, message, signature),
        (Algorithm::Ps256, Material::Rsa(key)) => verify_rsa(key, &RSA_PSS_2048_8192_SHA256, message, signature),
        (Algorithm::Hs256, Material::Symmetric(bytes)) => {
            hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, bytes), message, signature)
        }
        _ => return Err(SignatureFault::KeyType),
    };
    verdict.map_err(|_| SignatureFault::Wrong)
}

fn verify_rsa(
    key: &RsaKey,
    parameters: &RsaParameters,
    message: &[u8],
    signature: &[u8],
) -> Result<(), aws_lc_rs::error::Unspecified> {
    key.public_components().verify(parameters, message, signature)
}

/// The order of P-256 (FIPS 186-5, SP 800-186 §3.2.1.3), big-endian.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The other signature that verifies where this one of ES256 does: r ‖ n − s, n being the order of the curve. `None` if it is not
/// of that form.
pub(crate) fn ecdsa_twin(signature: &[u8]) -> Option<Vec<u8>> {
    let mut twin = <[u8; 64]>::try_from(signature).ok()?;
    let mut borrow = false;
    for (digit, order) in twin.iter_mut().skip(32).zip(P256_ORDER).rev() {
        let (difference, first) = order.overflowing_sub(*digit);
        let (difference, second) = difference.overflowing_sub(u8::from(borrow));
        (*digit, borrow) = (difference, first || second);
    }
    Some(twin.to_vec())
}

/// Makes a signature or MAC.
pub(crate) fn sign(material: &Material, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    match (algorithm, material) {
        (Algorithm::EdDsa, Material::Ed25519 { public, seed }) => {
            let seed = seed.as_ref().ok_or(KeyError::PrivateMissing)?;
            let pair = Ed25519KeyPair::from_seed_and_public_key(seed.as_slice(), public)
                .map_err(|_| KeyError::HalvesDiffer)?;
            let signature = pair.try_sign(message).map_err(|_| KeyError::OperationFailed)?;
            Ok(signature.as_ref().to_vec())
        }
        (Algorithm::Es256, Material::P256 { x, y, scalar }) => {
            let scalar = scalar.as_ref().ok_or(KeyError::PrivateMissing)?;
            let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, scalar.as_slice(), &uncompressed(x, y))
                .map_err(|_| KeyError::HalvesDiffer)?;
            let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| KeyError::OperationFailed)?;
            Ok(signature.as_ref().to_vec())
        }
        (Algorithm::Rs256, Material::Rsa(key)) => sign_rsa(key, &RSA_PKCS1_SHA256, message),
        (Algorithm::Ps256, Material::Rsa(key)) => sign_rsa(key, &RSA_PSS_SHA256, message),
        (Algorithm::Hs256, Material::Symmetric(bytes)) => {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), message);
            Ok(tag.as_ref().to_vec())
        }
        _ => Err(KeyError::Unfit(algorithm.name())),
    }
}

fn sign_rsa(key: &RsaKey, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let pair = key.key_pair()?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature).map_err(|_| KeyError::OperationFailed)?;
    Ok(signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Jwk;
    use crate::random::SystemRandom as Random;

    fn keys() -> Vec<(Algorithm, Jwk)> {
        let rsa = Jwk::generate_rsa(2048).unwrap();
        vec![
            (Algorithm::EdDsa, Jwk::generate_ed25519(&mut Random).unwrap()),
            (Algorithm::Es256, Jwk::generate_p256(&mut Random).unwrap()),
            (Algorithm::Rs256, rsa.clone()),
            (Algorithm::Ps256, rsa),
            (Algorithm::Hs256, Jwk::generate_symmetric(32, &mut Random).unwrap()),
        ]
    }

    #[test]
    fn each_algorithm_verifies_what_it_signed_and_nothing_else() {
        for (algorithm, key) in keys() {
            let signature = sign(key.material(), algorithm, b"message").unwrap();
            let public = key.to_public().unwrap_or_else(|| key.clone());
            let check = |message: &[u8], signature: &[u8]| verify(public.material(), algorithm, message, signature);
            assert_eq!(check(b"message", &signature), Ok(()), "{algorithm}");
            assert_eq!(check(b"messagf", &signature), Err(SignatureFault::Wrong), "{algorithm}");
            for index in [0, signature.len() / 2, signature.len() - 1] {
                let mut altered = signature.clone();
                altered[index] ^= 1;
                assert_eq!(check(b"message", &altered), Err(SignatureFault::Wrong), "{algorithm} {index}");
            }
            let zeros = vec![0; signature.len()];
            assert_eq!(check(b"message", &zeros), Err(SignatureFault::Wrong), "{algorithm}");
            assert_eq!(check(b"message", &signature[1..]), Err(SignatureFault::Length), "{algorithm}");
            assert_eq!(check(b"message", &[]), Err(SignatureFault::Length), "{algorithm}");
        }
    }

    #[test]
    fn a_key_of_another_type_neither_signs_nor_verifies() {
        for (algorithm, _) in keys() {
            for (other, key) in keys() {
                let both_rsa = key.key_type() == crate::jose::KeyType::Rsa
                    && matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256);
                if algorithm == other || both_rsa {
                    continue;
                }
                assert_eq!(sign(key.material(), algorithm, b"m"), Err(KeyError::Unfit(algorithm.name())));
                let zeros = vec![0; length(key.material(), algorithm)];
                assert_eq!(verify(key.material(), algorithm, b"m", &zeros), Err(SignatureFault::KeyType));
            }
        }
    }

    #[test]
    fn a_public_key_does_not_sign() {
        for (algorithm, key) in keys() {
            if let Some(public) = key.to_public() {
                assert_eq!(sign(public.material(), algorithm, b"m"), Err(KeyError::PrivateMissing), "{algorithm}");
            }
        }
    }

    #[test]
    fn rs256_and_ps256_are_not_interchangeable() {
        let key = Jwk::generate_rsa(2048).unwrap();
        let signature = sign(key.material(), Algorithm::Rs256, b"m").unwrap();
        assert_eq!(verify(key.material(), Algorithm::Ps256, b"m", &signature), Err(SignatureFault::Wrong));
    }

    #[test]
    fn der_encoded_ecdsa_is_refused_by_its_length() {
        use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = Jwk::generate_p256(&mut Random).unwrap();
        let Material::P256 { x, y, scalar: Some(scalar) } = key.material() else { panic!("not a private P-256 key") };
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            scalar.as_slice(),
            &uncompressed(x, y),
        )
        .unwrap();
        let der = pair.sign(&SystemRandom::new(), b"m").unwrap();
        assert_eq!(verify(key.material(), Algorithm::Es256, b"m", der.as_ref()), Err(SignatureFault::Length));
        // Cut or filled to the right length it is still no signature.
        let mut cut = der.as_ref().to_vec();
        cut.resize(64, 0);
        assert_eq!(verify(key.material(), Algorithm::Es256, b"m", &cut), Err(SignatureFault::Wrong));
    }
}
