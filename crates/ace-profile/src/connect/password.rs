//! The password of a CONNECT, as far as the broker lets a plugin see it (RFC 9431 §6; brokers that give no
//! length give a C string, which a MAC with a zero byte in it cuts short).

use std::borrow::Cow;
use std::fmt;

use crate::Refusal;
use crate::base64url;

/// The bytes of a password.
#[derive(Clone, Copy)]
pub struct PasswordBytes<'a> {
    /// The password if its length is known; else what stands before the first zero byte.
    pub as_sent: &'a [u8],
    /// The memory that may be read from the password's beginning on: at least `as_sent`. What lies behind
    /// the true password in it is arbitrary.
    pub readable: &'a [u8],
    /// Whether `as_sent` is the whole password.
    pub exact: bool,
}

impl<'a> PasswordBytes<'a> {
    /// A password of known length.
    #[must_use]
    pub const fn exact(password: &'a [u8]) -> Self {
        Self { as_sent: password, readable: password, exact: true }
    }

    /// A password of unknown length, in memory of which `readable` may be read.
    #[must_use]
    pub fn c_string(readable: &'a [u8]) -> Self {
        let end = readable.iter().position(|byte| *byte == 0).unwrap_or(readable.len());
        let (as_sent, _) = readable.split_at_checked(end).unwrap_or((readable, &[]));
        Self { as_sent, readable, exact: false }
    }

    /// No password at all.
    #[must_use]
    pub const fn absent() -> Self {
        Self::exact(&[])
    }

    /// Whether there is no password, or an empty one. One of unknown length that begins with a zero byte
    /// looks the same; that matters only to tokens without a key, which need none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.as_sent.is_empty()
    }

    /// The proof in this password, given how long a proof with the token's key is
    /// ([`ConfirmationKey::proof_bytes`](crate::proof::ConfirmationKey::proof_bytes)): the bytes themselves,
    /// or base64url text for client libraries that only take text. At most one of the two has the right
    /// length, so nothing has to be tried twice.
    ///
    /// Where the length is unknown and the bytes seem to end early, the missing ones are read from behind
    /// the first zero. If the password really ended there, they are arbitrary and the proof is just wrong.
    ///
    /// # Errors
    /// [`Refusal::ProofMissing`] or [`Refusal::ProofLength`].
    pub fn proof(&self, expected: usize) -> Result<Cow<'a, [u8]>, Refusal> {
        if self.as_sent.len() == expected {
            return Ok(Cow::Borrowed(self.as_sent));
        }
        if let Ok(decoded) = base64url::decode(self.as_sent)
            && decoded.len() == expected
        {
            return Ok(Cow::Owned(decoded));
        }
        if !self.exact
            && self.as_sent.len() < expected
            && let Some(binary) = self.readable.get(..expected)
        {
            return Ok(Cow::Borrowed(binary));
        }
        Err(if self.is_empty() { Refusal::ProofMissing } else { Refusal::ProofLength { expected } })
    }
}

/// Shows how much there is, and nothing of it.
impl fmt::Debug for PasswordBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = if self.exact { "" } else { " or more" };
        write!(f, "PasswordBytes({}{known} bytes)", self.as_sent.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A broker's copy of a password: a zero byte behind it, then whatever the allocator left there.
    fn copied(password: &[u8]) -> Vec<u8> {
        let mut memory = password.to_vec();
        memory.push(0);
        memory.resize((memory.len() + 8).next_multiple_of(16), 0xaa);
        memory
    }

    #[test]
    fn binary_and_text_are_taken() {
        let mac: Vec<u8> = (1..=32).collect();
        let text = base64url::encode(&mac);
        assert_eq!(PasswordBytes::exact(&mac).proof(32).as_deref(), Ok(&mac[..]));
        assert_eq!(PasswordBytes::exact(text.as_bytes()).proof(32).as_deref(), Ok(&mac[..]));
        let memory = copied(text.as_bytes());
        assert_eq!(PasswordBytes::c_string(&memory).proof(32).as_deref(), Ok(&mac[..]));
    }

    #[test]
    fn other_lengths_are_refused() {
        let length = Err(Refusal::ProofLength { expected: 32 });
        for password in [&[1; 31][..], &[1; 33], b"AAAA", &[b'A'; 44], &[1, 0, 2]] {
            assert_eq!(PasswordBytes::exact(password).proof(32), length, "{password:?}");
        }
        assert_eq!(PasswordBytes::exact(b"").proof(32), Err(Refusal::ProofMissing));
        assert_eq!(PasswordBytes::absent().proof(32), Err(Refusal::ProofMissing));
        assert_eq!(PasswordBytes::c_string(&[0; 16]).proof(32), Err(Refusal::ProofMissing));
        assert_eq!(PasswordBytes::c_string(&[1, 0]).proof(32), length);
        assert_eq!(PasswordBytes::c_string(&copied(&[1; 33])).proof(32), length);
    }

    #[test]
    fn a_mac_of_known_length_is_not_filled_up() {
        let memory = [7; 64];
        let password = PasswordBytes { as_sent: &memory[..16], readable: &memory, exact: true };
        assert_eq!(password.proof(32), Err(Refusal::ProofLength { expected: 32 }));
    }

    #[test]
    fn debug_shows_no_password() {
        assert_eq!(format!("{:?}", PasswordBytes::exact(b"secret")), "PasswordBytes(6 bytes)");
        assert_eq!(format!("{:?}", PasswordBytes::c_string(b"secret\0")), "PasswordBytes(6 or more bytes)");
    }

    proptest! {
        #[test]
        fn a_mac_with_zero_bytes_survives_a_c_string(mut mac: [u8; 32], zeros in proptest::collection::vec(0..32_usize, 0..4)) {
            for index in zeros {
                mac[index] = 0;
            }
            let memory = copied(&mac);
            let password = PasswordBytes::c_string(&memory);
            prop_assert_eq!(password.proof(32).map(Cow::into_owned), Ok(mac.to_vec()));
        }

        #[test]
        fn arbitrary_memory_never_panics(memory in proptest::collection::vec(any::<u8>(), 0..100), expected in 0..80_usize) {
            if let Ok(proof) = PasswordBytes::c_string(&memory).proof(expected) {
                prop_assert_eq!(proof.len(), expected);
            }
        }
    }
}
