//! Why a TLS connection gives no challenge.

use thiserror::Error;

/// Why the exporter's value cannot serve as a challenge (RFC 9431 §2.2.4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExporterError {
    /// The connection has gone.
    #[error("the TLS connection has ended")]
    Gone,
    /// The value of a resumed session is not bound to a new handshake with certificates.
    #[error("the TLS session was resumed")]
    Resumed,
    /// Without it, TLS 1.2's exporter does not identify the connection (RFC 7627).
    #[error("TLS 1.2 without the extended master secret")]
    NoExtendedMasterSecret,
    /// The value has been used on this connection.
    #[error("the exporter's value has been used on this TLS session")]
    Used,
    /// Older than TLS 1.2, or not what the broker's OpenSSL can export from.
    #[error("the TLS version has no exporter that can be used")]
    Unavailable,
}
