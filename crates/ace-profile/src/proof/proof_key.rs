//! The client's side of a proof: the key that its token is bound to, private half included.

use crate::jose::signature;
use crate::jose::{Algorithm, Jwk, KeyError};

/// A key that proofs are made with.
#[derive(Debug, Clone)]
pub struct ProofKey {
    key: Jwk,
    algorithm: Algorithm,
}

impl ProofKey {
    /// Takes a private Ed25519 or P-256 key, or a symmetric key.
    ///
    /// # Errors
    /// [`KeyError::Unfit`] for an RSA key and for one that is meant for something else,
    /// [`KeyError::PrivateMissing`] for a public key.
    pub fn from_jwk(key: &Jwk) -> Result<Self, KeyError> {
        let algorithm = super::proof_algorithm(key, "sign")?;
        if !key.is_private() && key.symmetric_bytes().is_none() {
            return Err(KeyError::PrivateMissing);
        }
        Ok(Self { key: key.clone(), algorithm })
    }

    /// Makes a proof over `message`: the 32 bytes of the TLS exporter, [`challenge_message`](super::challenge_message)
    /// or [`draft00_message`](super::draft00_message).
    ///
    /// # Errors
    /// [`KeyError::OperationFailed`] if the cryptographic library fails.
    pub fn prove(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        signature::sign(self.key.material(), self.algorithm, message)
    }

    /// How proofs are made with this key: HS256, EdDSA or ES256.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key that a token has to be bound to, for a token request's `req_cnf` (RFC 9201 §3.1); `None` for
    /// a symmetric key, which has no public half.
    #[must_use]
    pub fn public_key(&self) -> Option<Jwk> {
        self.key.to_public()
    }
}
