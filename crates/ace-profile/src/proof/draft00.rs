//! The dated proof, for clients whose TLS library has no exporter and whose MQTT version has no challenge.
//!
//! The proof is made over five lines: who connects, to whom, when, and a nonce. It is weaker than the
//! RFC's proofs, since nothing ties it to the connection: whoever reads it inside the TLS connection could
//! use it once elsewhere. Hence the window and the [`ReplayCache`](super::ReplayCache). This form is this
//! project's own; the RFC does not have it.

use aws_lc_rs::digest::{Context, SHA256};

use super::ConfirmationKey;
use crate::{Refusal, Timestamp};

/// What makes a dated proof fresh, as the client sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    /// The client's time, in seconds since the Unix epoch.
    pub ts: u64,
    /// The client's nonce, base64url as it was sent.
    pub nonce: String,
}

/// What a dated proof was made over, after it has been checked: the ticket to
/// [`ReplayCache::insert`](super::ReplayCache::insert), so that nobody can fill the cache without a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedFields {
    id: [u8; 32],
    ts: Timestamp,
}

impl SignedFields {
    /// Identifies key and signed text, and not the proof: an ECDSA signature can be altered and still verify.
    pub(super) const fn id(&self) -> [u8; 32] {
        self.id
    }

    /// The client's time.
    pub(super) const fn ts(&self) -> Timestamp {
        self.ts
    }
}

/// The text of a dated proof: five lines joined by line feeds, `ace-mqtt-v0`, client id, audience, `ts` in
/// decimal, nonce as sent.
#[must_use]
pub fn draft00_message(client_id: &str, audience: &str, ts: u64, nonce: &str) -> Vec<u8> {
    format!("ace-mqtt-v0\n{client_id}\n{audience}\n{ts}\n{nonce}").into_bytes()
}

/// Checks a dated proof. The client made it for one of the broker's names; any of `audiences` (those of
/// [`ValidatedToken::audience`](crate::token::ValidatedToken)) will do.
///
/// What this cannot tell is whether the proof is recent and new: hand the result to
/// [`ReplayCache::insert`](super::ReplayCache::insert).
///
/// # Errors
/// [`Refusal::Draft00ClientId`] for a client id that is empty or has control characters, which could be
/// read as other lines; [`Refusal::ProofMissing`], [`Refusal::ProofLength`], [`Refusal::ProofWrong`].
pub fn verify_draft00(
    key: &ConfirmationKey,
    client_id: &str,
    audiences: &[String],
    freshness: &Freshness,
    proof: &[u8],
) -> Result<SignedFields, Refusal> {
    if client_id.is_empty() || client_id.contains(char::is_control) {
        return Err(Refusal::Draft00ClientId);
    }
    let mut verdict = Refusal::ProofWrong;
    for audience in audiences {
        let message = draft00_message(client_id, audience, freshness.ts, &freshness.nonce);
        match key.verify(&message, proof) {
            Ok(()) => {
                return Ok(SignedFields {
                    id: identify(key, &message),
                    ts: Timestamp::from_unix_seconds(freshness.ts),
                });
            }
            Err(refusal) => verdict = refusal,
        }
    }
    Err(verdict)
}

/// One hash for key and text. The thumbprint has a fixed length, so the two cannot run into each other.
fn identify(key: &ConfirmationKey, message: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(key.thumbprint().as_bytes());
    context.update(message);
    let mut id = [0; 32];
    for (to, from) in id.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Jwk;
    use crate::proof::ProofKey;
    use crate::random::SystemRandom;

    fn names() -> Vec<String> {
        vec!["broker.example".to_owned(), "mqtt.example".to_owned()]
    }

    fn freshness() -> Freshness {
        Freshness { ts: 1_700_000_000, nonce: "AAECAwQFBgcICQoLDA0ODw".to_owned() }
    }

    fn pair() -> (ProofKey, ConfirmationKey) {
        let key = Jwk::generate_ed25519(&mut SystemRandom).unwrap();
        (ProofKey::from_jwk(&key).unwrap(), ConfirmationKey::from_jwk(&key.to_public().unwrap()).unwrap())
    }

    fn prove(key: &ProofKey, client_id: &str, audience: &str) -> Vec<u8> {
        key.prove(&draft00_message(client_id, audience, freshness().ts, &freshness().nonce)).unwrap()
    }

    #[test]
    fn the_text_is_five_lines() {
        let text = draft00_message("c-1", "broker.example", 1_700_000_000, "bm9uY2U");
        assert_eq!(text, b"ace-mqtt-v0\nc-1\nbroker.example\n1700000000\nbm9uY2U");
    }

    #[test]
    fn any_of_the_brokers_names_will_do() {
        let (proof_key, key) = pair();
        for name in names() {
            let proof = prove(&proof_key, "c-1", &name);
            assert!(verify_draft00(&key, "c-1", &names(), &freshness(), &proof).is_ok());
        }
        let proof = prove(&proof_key, "c-1", "elsewhere.example");
        assert_eq!(verify_draft00(&key, "c-1", &names(), &freshness(), &proof), Err(Refusal::ProofWrong));
        assert_eq!(verify_draft00(&key, "c-1", &[], &freshness(), &proof), Err(Refusal::ProofWrong));
    }

    #[test]
    fn each_line_counts() {
        let (proof_key, key) = pair();
        let proof = prove(&proof_key, "c-1", "broker.example");
        let wrong = Err(Refusal::ProofWrong);
        assert_eq!(verify_draft00(&key, "c-2", &names(), &freshness(), &proof), wrong);
        let later = Freshness { ts: freshness().ts + 1, ..freshness() };
        assert_eq!(verify_draft00(&key, "c-1", &names(), &later, &proof), wrong);
        let other = Freshness { nonce: "AAECAwQFBgcICQoLDA0OEA".to_owned(), ..freshness() };
        assert_eq!(verify_draft00(&key, "c-1", &names(), &other, &proof), wrong);
    }

    #[test]
    fn a_client_id_that_could_be_two_lines_is_refused() {
        let (proof_key, key) = pair();
        for client_id in ["", "a\nb", "a\u{0}"] {
            let proof = prove(&proof_key, client_id, "broker.example");
            let verdict = verify_draft00(&key, client_id, &names(), &freshness(), &proof);
            assert_eq!(verdict, Err(Refusal::Draft00ClientId), "{client_id:?}");
        }
    }

    #[test]
    fn an_altered_ecdsa_signature_identifies_the_same_proof() {
        let private = Jwk::generate_p256(&mut SystemRandom).unwrap();
        let (proof_key, key) =
            (ProofKey::from_jwk(&private).unwrap(), ConfirmationKey::from_jwk(&private.to_public().unwrap()).unwrap());
        // Two signatures over one text differ, as ES256 draws a random number for each.
        let (one, other) = (prove(&proof_key, "c", "mqtt.example"), prove(&proof_key, "c", "mqtt.example"));
        assert_ne!(one, other);
        let fields = |proof: &[u8]| verify_draft00(&key, "c", &names(), &freshness(), proof).unwrap();
        assert_eq!(fields(&one), fields(&other));
    }
}
