//! The Authentication Data of CONNECT, and of the AUTH that re-authenticates (RFC 9431 §2.2.4.2).
//!
//! ```text
//! token length (2 bytes, big-endian) | token | proof over the TLS exporter's bytes, or nothing
//! ```

use std::fmt;

use crate::limits;
use crate::{Fingerprint, Refusal};

/// What the Authentication Data says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AuthenticationData<'a> {
    /// A token, and a proof over the TLS exporter's bytes (RFC 9431 §2.2.4.2.1).
    WithProof {
        /// The token, not validated.
        token: &'a [u8],
        /// The proof, not verified; neither empty nor longer than [`limits::PROOF_BYTES_MAX`].
        proof: &'a [u8],
    },
    /// A token alone: the client asks for a challenge (RFC 9431 §2.2.4.2.2).
    Challenge {
        /// The token, not validated.
        token: &'a [u8],
    },
    /// No token: a challenge for the token that the broker has stored for this client (RFC 9431 §2.2.4.2.2).
    StoredToken,
}

/// A token or proof that the encoding has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("token and proof are too long for the authentication data")]
pub struct TooLong;

impl<'a> AuthenticationData<'a> {
    /// Reads the Authentication Data. A missing property is handed in as no bytes at all.
    ///
    /// # Errors
    /// [`Refusal::AuthenticationDataTruncated`] if the length field says more than follows,
    /// [`Refusal::TokenTooLarge`], [`Refusal::AuthenticationDataTooLong`], [`Refusal::ProofWithoutToken`].
    pub fn parse(data: &'a [u8]) -> Result<Self, Refusal> {
        if data.is_empty() {
            return Ok(Self::StoredToken);
        }
        let (length, rest) = data.split_first_chunk::<2>().ok_or(Refusal::AuthenticationDataTruncated)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (token, proof) = rest.split_at_checked(length).ok_or(Refusal::AuthenticationDataTruncated)?;
        if token.is_empty() {
            return if proof.is_empty() { Ok(Self::StoredToken) } else { Err(Refusal::ProofWithoutToken) };
        }
        if token.len() > limits::TOKEN_BYTES {
            return Err(Refusal::TokenTooLarge { bytes: token.len() });
        }
        match proof.len() {
            0 => Ok(Self::Challenge { token }),
            bytes if bytes > limits::PROOF_BYTES_MAX => Err(Refusal::AuthenticationDataTooLong { bytes }),
            _ => Ok(Self::WithProof { token, proof }),
        }
    }

    /// Writes the Authentication Data.
    ///
    /// # Errors
    /// [`TooLong`] if it does not fit MQTT's binary data (65,535 bytes, MQTT 5 §1.5.6).
    pub fn encode(&self) -> Result<Vec<u8>, TooLong> {
        let (token, proof) = match *self {
            Self::WithProof { token, proof } => (token, proof),
            Self::Challenge { token } => (token, &[][..]),
            Self::StoredToken => (&[][..], &[][..]),
        };
        let length = u16::try_from(token.len()).map_err(|_| TooLong)?;
        let data = [&length.to_be_bytes()[..], token, proof].concat();
        if data.len() > usize::from(u16::MAX) { Err(TooLong) } else { Ok(data) }
    }
}

/// Shows the form and the token's fingerprint.
impl fmt::Debug for AuthenticationData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithProof { token, .. } => write!(f, "WithProof({})", Fingerprint::of(token)),
            Self::Challenge { token } => write!(f, "Challenge({})", Fingerprint::of(token)),
            Self::StoredToken => f.write_str("StoredToken"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_three_forms_are_told_apart() {
        assert_eq!(
            AuthenticationData::parse(b"\x00\x03tokMAC"),
            Ok(AuthenticationData::WithProof { token: b"tok", proof: b"MAC" })
        );
        assert_eq!(AuthenticationData::parse(b"\x00\x03tok"), Ok(AuthenticationData::Challenge { token: b"tok" }));
        assert_eq!(AuthenticationData::parse(b"\x00\x00"), Ok(AuthenticationData::StoredToken));
        assert_eq!(AuthenticationData::parse(b""), Ok(AuthenticationData::StoredToken));
    }

    #[test]
    fn length_fields_that_lie_are_refused() {
        for data in [&b"\x00"[..], b"\x00\x01", b"\x00\x04tok", b"\xff\xfftoken", b"\x01\x00a"] {
            assert_eq!(AuthenticationData::parse(data), Err(Refusal::AuthenticationDataTruncated), "{data:?}");
        }
        assert_eq!(AuthenticationData::parse(b"\x00\x00MAC"), Err(Refusal::ProofWithoutToken));
        let trailing = [&b"\x00\x01t"[..], &[1; 65]].concat();
        assert_eq!(AuthenticationData::parse(&trailing), Err(Refusal::AuthenticationDataTooLong { bytes: 65 }));
    }

    #[test]
    fn large_tokens_are_refused_and_binary_ones_taken() {
        let large = vec![b't'; 60 * 1024];
        let data = AuthenticationData::Challenge { token: &large }.encode().unwrap();
        assert_eq!(AuthenticationData::parse(&data), Err(Refusal::TokenTooLarge { bytes: 60 * 1024 }));
        assert_eq!(
            AuthenticationData::parse(b"\x00\x02\xd2\x84"),
            Ok(AuthenticationData::Challenge { token: b"\xd2\x84" })
        );
    }

    #[test]
    fn what_has_no_room_is_not_encoded() {
        let long = vec![b't'; 65_536];
        assert_eq!(AuthenticationData::Challenge { token: &long }.encode(), Err(TooLong));
        let data = AuthenticationData::WithProof { token: &long[..65_500], proof: &[1; 34] };
        assert_eq!(data.encode(), Err(TooLong));
        assert_eq!(
            AuthenticationData::Challenge { token: &long[..65_533] }.encode().map(|data| data.len()),
            Ok(65_535)
        );
    }

    #[test]
    fn debug_shows_neither_token_nor_proof() {
        let shown = format!("{:?}", AuthenticationData::WithProof { token: b"secret-token", proof: b"secret-proof" });
        assert!(!shown.contains("secret"), "{shown}");
    }

    proptest! {
        #[test]
        fn parse_undoes_encode(token in proptest::collection::vec(any::<u8>(), 1..300), proof in proptest::collection::vec(any::<u8>(), 0..=64)) {
            let data = match proof.as_slice() {
                [] => AuthenticationData::Challenge { token: &token },
                proof => AuthenticationData::WithProof { token: &token, proof },
            };
            let encoded = data.encode().unwrap();
            prop_assert_eq!(AuthenticationData::parse(&encoded), Ok(data));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(data) = AuthenticationData::parse(&bytes) {
                prop_assert!(bytes.is_empty() || data.encode() == Ok(bytes));
            }
        }
    }
}
