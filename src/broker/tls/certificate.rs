//! The certificate that a client has shown in its TLS handshake.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use super::connection::Connection;
use super::openssl::CertificateFunctions;
use super::registry;
use crate::broker::Client;

/// The longest certificate that is looked at, in bytes. OpenSSL takes no longer chain than this by itself.
const CERTIFICATE_BYTES_MAX: usize = 100 * 1024;

/// A client's certificate. It has been judged by the broker as its configuration says, and the client has proved the key.
pub struct PeerCertificate {
    x509: NonNull<c_void>,
    functions: CertificateFunctions,
}

impl PeerCertificate {
    /// The certificate of this client; `None` if it has shown none. Found by the client's own address, never by what was read
    /// last.
    #[must_use]
    pub fn of_client(client: &Client<'_>) -> Option<Self> {
        let functions = registry::certificate_functions()?;
        Some(Self { x509: client.certificate()?, functions })
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> Option<Vec<u8>> {
        self.functions.certificate_der(self.x509, CERTIFICATE_BYTES_MAX)
    }

    /// Its public key in DER: a `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn public_key_der(&self) -> Option<Vec<u8>> {
        self.functions.public_key_der(self.x509, CERTIFICATE_BYTES_MAX)
    }

    /// Whether the broker makes this user name of the certificate: its common name (`use_identity_as_username`) or its whole
    /// subject (`use_subject_as_username`).
    #[must_use]
    pub fn gives_user_name(&self, name: &CStr) -> bool {
        let name = name.to_bytes();
        self.functions.common_name(self.x509, name.len()).is_some_and(|common| common == name)
            || self.functions.subject(self.x509, name.len()).is_some_and(|subject| subject == name)
    }

    /// The connection that was read last, if it is the one that this certificate was shown on: OpenSSL keeps one copy for each
    /// session, so one that other connections resume does not tell.
    #[must_use]
    pub fn connection(&self) -> Option<Connection> {
        registry::last_read_with_certificate(self.x509)
    }
}

impl Drop for PeerCertificate {
    fn drop(&mut self) {
        self.functions.free(self.x509);
    }
}
