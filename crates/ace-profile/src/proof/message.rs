//! The messages that the RFC's own proofs are made over.

use crate::limits::NONCE_BYTES;

/// The label of the TLS exporter (RFC 9431 §2.2.4.2.1, §6; RFC 8446 §7.5, RFC 5705). The context is present
/// and of zero length, which on TLS 1.2 is not the same as no context.
pub const EXPORTER_LABEL: &str = "EXPORTER-ACE-MQTT-Sign-Challenge";

/// How many bytes are exported; the proof is made over exactly these (RFC 9431 §2.2.4.2.1).
pub const EXPORTER_BYTES: usize = 32;

/// The message of the challenge: the broker's nonce, then the client's (RFC 9431 §2.2.4.2.2).
#[must_use]
pub fn challenge_message(broker_nonce: &[u8; NONCE_BYTES], client_nonce: &[u8; NONCE_BYTES]) -> [u8; 2 * NONCE_BYTES] {
    let mut message = [0; 2 * NONCE_BYTES];
    for (to, from) in message.iter_mut().zip(broker_nonce.iter().chain(client_nonce)) {
        *to = *from;
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_nonce_comes_first() {
        let message = challenge_message(&[1, 2, 3, 4, 5, 6, 7, 8], &[9, 10, 11, 12, 13, 14, 15, 16]);
        assert_eq!(message.to_vec(), (1..=16).collect::<Vec<u8>>());
    }
}
