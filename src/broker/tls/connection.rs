//! One client's TLS connection.

use ace_profile::proof::{EXPORTER_BYTES, EXPORTER_LABEL};
use ace_resource_server::ExporterError;

use super::openssl::{TLS_1_2, TLS_1_3};
use super::registry::KEY_BYTES_MAX;

/// How many bytes are held back: more than an answer to a challenge has, and so few that the kernel keeps no more memory for it
/// than for other connections.
const HELD_BACK: std::ffi::c_int = 64 * 1024;

/// A TLS connection of a client. May be kept after the connection has gone: it is then known to be gone, even if another
/// has its place in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    pub(super) address: usize,
    pub(super) generation: u64,
}

impl Connection {
    pub(super) const fn new(address: usize, generation: u64) -> Self {
        Self { address, generation }
    }

    /// The value that the client proves possession of its key over. Given out once per connection.
    ///
    /// # Errors
    /// [`ExporterError`] says why it may not be used.
    pub fn export(&self) -> Result<[u8; EXPORTER_BYTES], ExporterError> {
        self.with(|openssl, ssl, entry| {
            // OpenSSL says so of a session by a pre-shared key, too, which is one of its own.
            if openssl.is_resumed(ssl) && !entry.handshake.is_by_selected_key() {
                return Err(ExporterError::Resumed);
            }
            match openssl.version(ssl) {
                TLS_1_3 => {}
                TLS_1_2 if openssl.has_extended_master_secret(ssl) => {}
                TLS_1_2 => return Err(ExporterError::NoExtendedMasterSecret),
                _ => return Err(ExporterError::Unavailable),
            }
            if std::mem::replace(&mut entry.exported, true) {
                return Err(ExporterError::Used);
            }
            openssl.export(ssl, EXPORTER_LABEL).ok_or(ExporterError::Unavailable)
        })
        .unwrap_or(Err(ExporterError::Gone))
    }

    /// The raw public key that the client has proved in its handshake, if it came with one: a `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn raw_public_key(&self) -> Option<Vec<u8>> {
        self.with(|openssl, ssl, _| {
            let functions = openssl.raw_keys?;
            if openssl.is_handshake_finished(ssl) { functions.peer_key_der(ssl, KEY_BYTES_MAX) } else { None }
        })?
    }

    /// Sends an MQTT packet to the client ahead of whatever the broker sends next. `false` if it could not be sent, which
    /// leaves the connection as it was.
    #[must_use]
    pub fn send(&self, packet: &[u8]) -> bool {
        self.with(|openssl, ssl, _| openssl.write(ssl, packet)).unwrap_or(false)
    }

    /// Cuts the connection under the broker, which then finds that the client has gone.
    pub fn cut(&self) {
        self.with(|openssl, ssl, _| openssl.shut_socket_down(ssl));
    }

    /// Has what the client sends from now on wait in the kernel, until [`Self::let_input_through`]. What gets through all the same:
    /// the end of what the client sends, and more than any answer has. `false` if it cannot be held back.
    #[must_use]
    pub fn hold_input_back(&self) -> bool {
        self.with(|openssl, ssl, _| openssl.set_low_water(ssl, HELD_BACK)).unwrap_or(false)
    }

    /// Ends what [`Self::hold_input_back`] began. What has come meanwhile is reported to the broker at once.
    pub fn let_input_through(&self) {
        self.with(|openssl, ssl, _| openssl.set_low_water(ssl, 1));
    }

    /// Whether the connection is still there. While it is, the broker's client behind it is, too.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.with(|_, _, _| ()).is_some()
    }

    /// Whether this is still the same connection as another.
    #[must_use]
    pub const fn is_same(&self, other: &Self) -> bool {
        self.address == other.address && self.generation == other.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_nobody_knows_has_gone() {
        let gone = Connection::new(0x1000, 7);
        assert_eq!(gone.export(), Err(ExporterError::Gone));
        assert!(!gone.send(b"\xe0\x00"));
        assert!(!gone.is_alive());
        assert!(!gone.hold_input_back());
    }
}
