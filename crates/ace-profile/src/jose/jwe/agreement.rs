//! A key that sender and recipient agree upon (RFC 7518 §4.6): ECDH on P-256 or X25519, and the Concat KDF.

use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::header::Contribution;
use super::{Encryption, Management};
use crate::jose::Material;
use crate::jose::jwk::uncompressed;

/// The key for the content or, where that is wrapped, for the wrapping. `None` if the sender's point leads to none: X25519 has points
/// with which every agreement gives zero.
pub(super) fn agree(
    recipient: &Material,
    contribution: &Contribution,
    management: Management,
    encryption: Encryption,
) -> Option<Zeroizing<Vec<u8>>> {
    let (purpose, bytes) = match management.wrapping_key_bytes() {
        Some(bytes) => (management.name(), bytes),
        None => (encryption.name(), encryption.key_bytes()),
    };
    let (algorithm, private, public) = match (recipient, contribution.ephemeral.material()) {
        (Material::P256 { scalar: Some(scalar), .. }, Material::P256 { x, y, .. }) => {
            (&ECDH_P256, scalar, uncompressed(x, y).to_vec())
        }
        (Material::X25519 { private: Some(private), .. }, Material::X25519 { public, .. }) => {
            (&X25519, private, public.to_vec())
        }
        _ => return None,
    };
    let private = PrivateKey::from_private_key(algorithm, private.as_slice()).ok()?;
    agreement::agree(&private, UnparsedPublicKey::new(algorithm, public), (), |secret| {
        derive(secret, purpose, contribution, bytes).ok_or(())
    })
    .ok()
}

/// The Concat KDF (RFC 7518 §4.6.2) for a key that is no longer than SHA-256: one round of it.
fn derive(secret: &[u8], purpose: &str, contribution: &Contribution, bytes: usize) -> Option<Zeroizing<Vec<u8>>> {
    let length = |length: usize| u32::try_from(length).ok().map(u32::to_be_bytes);
    let mut input = Zeroizing::new(Vec::with_capacity(secret.len() + 64));
    input.extend_from_slice(&1_u32.to_be_bytes());
    input.extend_from_slice(secret);
    for part in [purpose.as_bytes(), &contribution.party_u, &contribution.party_v] {
        input.extend_from_slice(&length(part.len())?);
        input.extend_from_slice(part);
    }
    input.extend_from_slice(&length(bytes * 8)?);
    let derived = digest(&SHA256, &input);
    derived.as_ref().get(..bytes).map(|key| Zeroizing::new(key.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base64url;
    use crate::jose::Jwk;
    use crate::random::SystemRandom;

    /// RFC 7518 appendix C.
    #[test]
    fn the_example_of_rfc_7518() {
        let ephemeral = Jwk::from_json(
            r#"{"kty":"EC","crv":"P-256","x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0","y":"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"}"#,
        )
        .unwrap();
        let bob = Jwk::from_json(
            r#"{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}"#,
        )
        .unwrap();
        let contribution = Contribution { ephemeral, party_u: b"Alice".to_vec(), party_v: b"Bob".to_vec() };
        let key = agree(bob.material(), &contribution, Management::EcdhEs, Encryption::A128Gcm).unwrap();
        assert_eq!(base64url::encode(&key), "VqqN6vgjbSBcIijNcacQGg");
    }

    #[test]
    fn points_that_always_give_zero_are_no_contribution() {
        let recipient = Jwk::generate_x25519(&mut SystemRandom).unwrap();
        let agree_with = |public: [u8; 32]| {
            let ephemeral = Jwk::bare(Material::X25519 { public, private: None });
            let contribution = Contribution { ephemeral, party_u: Vec::new(), party_v: Vec::new() };
            agree(recipient.material(), &contribution, Management::EcdhEs, Encryption::A256Gcm)
        };
        let mut one = [0; 32];
        one[0] = 1;
        assert!(agree_with([0; 32]).is_none() && agree_with(one).is_none());
        let Material::X25519 { public, .. } = Jwk::generate_x25519(&mut SystemRandom).unwrap().material().clone()
        else {
            panic!("another key")
        };
        assert!(agree_with(public).is_some());
    }

    #[test]
    fn keys_of_different_curves_agree_on_nothing() {
        let recipient = Jwk::generate_x25519(&mut SystemRandom).unwrap();
        let ephemeral = Jwk::generate_p256(&mut SystemRandom).unwrap().to_public().unwrap();
        let contribution = Contribution { ephemeral, party_u: Vec::new(), party_v: Vec::new() };
        assert!(agree(recipient.material(), &contribution, Management::EcdhEs, Encryption::A256Gcm).is_none());
    }
}
