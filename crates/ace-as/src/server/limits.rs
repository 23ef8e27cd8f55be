//! Every bound of the server on what strangers may take up.

use std::time::Duration;

/// The largest request head, in bytes.
pub(super) const HEAD_BYTES: usize = 16 * 1024;

/// Bounds in time and number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at a time; more wait in the kernel's queue.
    pub(super) connections: usize,
    /// For the TLS handshake.
    pub(super) handshake: Duration,
    /// For a request's head, and for an idle connection.
    pub(super) head: Duration,
    /// For a request's body and its answer together.
    pub(super) request: Duration,
    /// For a whole connection, however busy.
    pub(super) connection: Duration,
    /// For requests under way when the server stops.
    pub(super) shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            request: Duration::from_secs(10),
            connection: Duration::from_secs(120),
            shutdown: Duration::from_secs(5),
        }
    }
}
