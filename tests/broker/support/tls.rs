//! The client's side of TLS: which version, and whether sessions may be resumed.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};

use super::key::Key;
use super::pki::pki;

/// The label of the exporter value that clients sign (RFC 9431, section 2.2.4.2.1).
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-ACE-MQTT-Sign-Challenge";

fn config(version: &'static SupportedProtocolVersion, resumption: Resumption) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a TLS version that is there")
        .with_root_certificates(pki().roots.clone())
        .with_no_client_auth();
    config.resumption = resumption;
    Arc::new(config)
}

/// The same for a client that shows a certificate.
pub fn with_certificate(
    version: &'static SupportedProtocolVersion,
    certificate: &CertificateDer<'static>,
    key: &Key,
    resumption: Resumption,
) -> Arc<ClientConfig> {
    let key = PrivateKeyDer::Pkcs8(key.pkcs8().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a TLS version that is there")
        .with_root_certificates(pki().roots.clone())
        .with_client_auth_cert(vec![certificate.clone()], key)
        .expect("a certificate of the key");
    config.resumption = resumption;
    Arc::new(config)
}

/// TLS 1.3, each connection a session of its own.
pub fn tls13() -> Arc<ClientConfig> {
    config(&TLS13, Resumption::disabled())
}

/// TLS 1.2, each connection a session of its own.
pub fn tls12() -> Arc<ClientConfig> {
    config(&TLS12, Resumption::disabled())
}

/// A configuration whose later connections resume the first one's session, if the broker lets them.
pub fn resuming(version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    config(version, Resumption::in_memory_sessions(8))
}
