//! Proof of possession: showing that one holds the key that a token is bound to (RFC 9431 §2.2.4).
//!
//! A proof is a MAC (HS256) or a signature (Ed25519, ES256) over a message that the other side knows to be
//! fresh: bytes exported from the TLS session, two nonces of a challenge, or, for clients that can do
//! neither, a dated text that is accepted once.

mod confirmation_key;
mod draft00;
mod message;
mod proof_key;
mod replay;
mod shown_key;

pub use confirmation_key::ConfirmationKey;
pub use draft00::{Freshness, SignedFields, draft00_message, verify_draft00};
pub use message::{EXPORTER_BYTES, EXPORTER_LABEL, challenge_message};
pub use proof_key::ProofKey;
pub use replay::ReplayCache;
pub use shown_key::{KeyThumbprint, ShownKey};

use crate::jose::{Algorithm, Jwk, KeyError, KeyType};

/// The algorithm of proofs with a key of this kind. RSA has none: this profile does not use it.
const fn algorithm_of(key_type: KeyType) -> Option<Algorithm> {
    match key_type {
        KeyType::Ed25519 => Some(Algorithm::EdDsa),
        KeyType::P256 => Some(Algorithm::Es256),
        KeyType::Symmetric => Some(Algorithm::Hs256),
        KeyType::Rsa | KeyType::X25519 => None,
    }
}

/// The algorithm of proofs with this key, if neither its type nor its `alg`, `use` and `key_ops` speak
/// against it.
fn proof_algorithm(key: &Jwk, operation: &str) -> Result<Algorithm, KeyError> {
    let unfit = KeyError::Unfit("proof of possession");
    let algorithm = algorithm_of(key.key_type()).ok_or(unfit.clone())?;
    let algorithm_fits = key.algorithm().is_none_or(|name| name.parse() == Ok(algorithm));
    let usage_fits = key.usage().is_none_or(|usage| usage == "sig");
    if algorithm_fits && usage_fits && key.allows(operation) { Ok(algorithm) } else { Err(unfit) }
}
