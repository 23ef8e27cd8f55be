//! A certificate authority of the run's own, and the broker's certificate from it.

use std::sync::OnceLock;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;

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
        let authority = authority.pem();
        Pki { certificate: server.pem(), private_key: server_key.serialize_pem(), authority, roots }
    })
}
