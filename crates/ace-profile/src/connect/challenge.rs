//! The challenge and its answer, in AUTH (RFC 9431 §2.2.4.2.2).

use crate::Refusal;
use crate::limits::{NONCE_BYTES, PROOF_BYTES_MAX};

/// What the client answers to a challenge: its own nonce and a proof over both nonces
/// ([`challenge_message`](crate::proof::challenge_message)).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChallengeAnswer<'a> {
    /// The client's nonce.
    pub client_nonce: [u8; NONCE_BYTES],
    /// The proof, not verified; neither empty nor longer than [`PROOF_BYTES_MAX`].
    pub proof: &'a [u8],
}

impl<'a> ChallengeAnswer<'a> {
    /// Reads the Authentication Data of the client's AUTH.
    ///
    /// # Errors
    /// [`Refusal::ChallengeAnswerTruncated`] or [`Refusal::ChallengeAnswerTooLong`].
    pub fn parse(data: &'a [u8]) -> Result<Self, Refusal> {
        let truncated = Refusal::ChallengeAnswerTruncated { bytes: data.len() };
        let (client_nonce, proof) = data.split_first_chunk::<NONCE_BYTES>().ok_or(truncated.clone())?;
        match proof.len() {
            0 => Err(truncated),
            bytes if bytes > PROOF_BYTES_MAX => Err(Refusal::ChallengeAnswerTooLong { bytes: data.len() }),
            _ => Ok(Self { client_nonce: *client_nonce, proof }),
        }
    }

    /// Writes the Authentication Data of the client's AUTH.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [&self.client_nonce, self.proof].concat()
    }
}

/// Shows that it is an answer, and nothing of it.
impl std::fmt::Debug for ChallengeAnswer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChallengeAnswer").finish_non_exhaustive()
    }
}

/// Writes the Authentication Data of the broker's AUTH: its nonce, which must be unpredictable and used once.
#[must_use]
pub fn encode_challenge(broker_nonce: &[u8; NONCE_BYTES]) -> Vec<u8> {
    broker_nonce.to_vec()
}

/// Reads the Authentication Data of the broker's AUTH, on the client's side: `None` if it is not a nonce.
#[must_use]
pub fn parse_challenge(data: &[u8]) -> Option<[u8; NONCE_BYTES]> {
    data.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_and_long_answers_are_refused() {
        for bytes in [0, 7, 8] {
            assert_eq!(ChallengeAnswer::parse(&vec![1; bytes]), Err(Refusal::ChallengeAnswerTruncated { bytes }));
        }
        assert!(ChallengeAnswer::parse(&[1; 9]).is_ok() && ChallengeAnswer::parse(&[1; 72]).is_ok());
        assert_eq!(ChallengeAnswer::parse(&[1; 73]), Err(Refusal::ChallengeAnswerTooLong { bytes: 73 }));
    }

    #[test]
    fn the_clients_side_takes_a_nonce_of_eight_bytes_only() {
        assert_eq!(parse_challenge(&encode_challenge(&[7; 8])), Some([7; 8]));
        assert_eq!(parse_challenge(&[7; 7]), None);
        assert_eq!(parse_challenge(&[7; 9]), None);
    }

    #[test]
    fn debug_shows_nothing_of_the_answer() {
        let answer = ChallengeAnswer { client_nonce: [77; 8], proof: b"secret" };
        assert_eq!(format!("{answer:?}"), "ChallengeAnswer { .. }");
    }

    proptest! {
        #[test]
        fn parse_undoes_encode(client_nonce: [u8; 8], proof in proptest::collection::vec(any::<u8>(), 1..=64)) {
            let answer = ChallengeAnswer { client_nonce, proof: &proof };
            let encoded = answer.encode();
            prop_assert_eq!(ChallengeAnswer::parse(&encoded), Ok(answer));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = ChallengeAnswer::parse(&bytes);
        }
    }
}
