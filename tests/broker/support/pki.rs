//! A certificate authority of the run's own, and the broker's certificate from it.

use std::sync::OnceLock;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::key::Key;

/// What the broker and its clients need for TLS.
pub struct Pki {
    /// The broker's certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM.
    pub private_key: String,
    /// The authority's certificate, PEM.
    pub authority: String,
    /// The authority that clients trust.
    pub roots: RootCertStore,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    /// A certificate for a client's key, with this common name in its subject; DER.
    pub fn client_certificate(&self, key: &Key, common_name: &str) -> CertificateDer<'static> {
        let key = KeyPair::try_from(key.pkcs8()).expect("a key for a certificate");
        let mut params = CertificateParams::new(Vec::new()).expect("client");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "devices");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.signed_by(&key, &self.issuer).expect("client certificate").der().clone()
    }
}

/// The one of this run.
pub fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).expect("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().expect("authority key");
        let authority = params.self_signed(&authority_key).expect("authority");
        let issuer = Issuer::new(params, authority_key);
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let server_key = KeyPair::generate().expect("server key");
        let server = CertificateParams::new(names)
            .expect("server names")
            .signed_by(&server_key, &issuer)
            .expect("server certificate");
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).expect("a trusted authority");
        Pki {
            certificate: server.pem(),
            private_key: server_key.serialize_pem(),
            roots,
            authority: authority.pem(),
            issuer,
        }
    })
}
