//! The broker's side of a proof: the key that a token is bound to.

use std::sync::Arc;

use crate::Refusal;
use crate::jose::signature::{self, SignatureFault};
use crate::jose::{Algorithm, Jwk, KeyError, KeyType};

/// The key that a token is bound to (RFC 7800 §3): the public half of a client's key, or a symmetric key
/// shared with it. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct ConfirmationKey {
    key: Arc<Jwk>,
    algorithm: Algorithm,
}

impl ConfirmationKey {
    /// Takes an Ed25519 or P-256 public key, or a symmetric key.
    ///
    /// # Errors
    /// [`KeyError::Unfit`] for an RSA key, for a private key, and for one that is meant for something else.
    pub fn from_jwk(key: &Jwk) -> Result<Self, KeyError> {
        if key.is_private() {
            return Err(KeyError::Unfit("checking proofs, as it is private"));
        }
        let algorithm = super::proof_algorithm(key, "verify")?;
        // Tokens are held for long, and what else they say about their keys can be long.
        Ok(Self { key: Arc::new(key.bare_with_kid()), algorithm })
    }

    /// Checks a proof over `message`. MACs are compared in constant time.
    ///
    /// # Errors
    /// [`Refusal::ProofMissing`], [`Refusal::ProofLength`] or [`Refusal::ProofWrong`].
    pub fn verify(&self, message: &[u8], proof: &[u8]) -> Result<(), Refusal> {
        if proof.is_empty() {
            return Err(Refusal::ProofMissing);
        }
        match signature::verify(self.key.material(), self.algorithm, message, proof) {
            Ok(()) => Ok(()),
            Err(SignatureFault::Length) => Err(Refusal::ProofLength { expected: self.proof_bytes() }),
            Err(SignatureFault::Wrong | SignatureFault::KeyType) => Err(Refusal::ProofWrong),
        }
    }

    /// Length of a proof with this key, in bytes: 32 for a MAC, 64 for a signature.
    #[must_use]
    pub fn proof_bytes(&self) -> usize {
        signature::length(self.key.material(), self.algorithm)
    }

    /// How proofs are made with this key: HS256, EdDSA or ES256.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The kind of key.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.key.key_type()
    }

    /// The bytes of a symmetric key, which TLS can take as a pre-shared one; `None` for any other.
    #[must_use]
    pub fn symmetric_bytes(&self) -> Option<&[u8]> {
        self.key.symmetric_bytes()
    }

    /// The key's `kid`, if it bears one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.key.kid()
    }

    /// The key's thumbprint (RFC 7638): what makes two tokens bound to the same key.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        self.key.thumbprint()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::proof::ProofKey;
    use crate::random::SystemRandom;

    fn pairs() -> Vec<(ProofKey, ConfirmationKey)> {
        let private = [
            Jwk::generate_ed25519(&mut SystemRandom).unwrap(),
            Jwk::generate_p256(&mut SystemRandom).unwrap(),
            Jwk::generate_symmetric(32, &mut SystemRandom).unwrap(),
            Jwk::generate_symmetric(16, &mut SystemRandom).unwrap(),
        ];
        let pair = |key: &Jwk| {
            let public = key.to_public().unwrap_or_else(|| key.clone());
            (ProofKey::from_jwk(key).unwrap(), ConfirmationKey::from_jwk(&public).unwrap())
        };
        private.iter().map(pair).collect()
    }

    #[test]
    fn a_proof_convinces_over_its_own_message_only() {
        for (proof_key, key) in pairs() {
            let proof = proof_key.prove(b"message").unwrap();
            assert_eq!(proof.len(), key.proof_bytes());
            assert_eq!(key.verify(b"message", &proof), Ok(()));
            assert_eq!(key.verify(b"another", &proof), Err(Refusal::ProofWrong));
            assert_eq!(key.verify(b"message", &vec![0; proof.len()]), Err(Refusal::ProofWrong));
            assert_eq!(key.verify(b"message", &[]), Err(Refusal::ProofMissing));
            let length = Err(Refusal::ProofLength { expected: key.proof_bytes() });
            assert_eq!(key.verify(b"message", &proof[1..]), length);
            assert_eq!(key.verify(b"message", &[&proof[..], &[0]].concat()), length);
        }
    }

    #[test]
    fn a_proof_with_another_key_does_not_convince() {
        for (index, (proof_key, _)) in pairs().iter().enumerate() {
            let proof = proof_key.prove(b"message").unwrap();
            let (_, other) = &pairs()[index];
            assert_eq!(other.verify(b"message", &proof), Err(Refusal::ProofWrong));
        }
    }

    #[test]
    fn keys_of_the_wrong_kind_or_purpose_are_not_taken() {
        let rsa = Jwk::generate_rsa(2048).unwrap();
        let ed25519 = Jwk::generate_ed25519(&mut SystemRandom).unwrap();
        let public = ed25519.to_public().unwrap();
        let signs_only = {
            let mut value = public.public_value().unwrap();
            value["key_ops"] = json!(["sign"]);
            Jwk::from_value(&value).unwrap()
        };
        for key in [
            rsa.to_public().unwrap(),
            ed25519,
            public.clone().with_use("enc"),
            public.clone().with_algorithm("ES256"),
            signs_only,
        ] {
            assert!(matches!(ConfirmationKey::from_jwk(&key), Err(KeyError::Unfit(_))), "{key:?}");
        }
        assert!(ConfirmationKey::from_jwk(&public.clone().with_use("sig").with_algorithm("EdDSA")).is_ok());
        assert!(matches!(ProofKey::from_jwk(&public), Err(KeyError::PrivateMissing)));
        assert!(matches!(ProofKey::from_jwk(&rsa), Err(KeyError::Unfit(_))));
    }

    #[test]
    fn rfc_2104_is_what_a_mac_is() {
        // RFC 4231 §4.3 has a key of 4 bytes, too short here; §4.2 has 20 bytes of 0x0b over "Hi There".
        let key = ConfirmationKey::from_jwk(&Jwk::from_symmetric(&[0x0b; 20]).unwrap()).unwrap();
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        let mac: Vec<u8> =
            (0..32).map(|index| u8::from_str_radix(&expected[2 * index..2 * index + 2], 16).unwrap()).collect();
        assert_eq!(key.verify(b"Hi There", &mac), Ok(()));
    }
}
