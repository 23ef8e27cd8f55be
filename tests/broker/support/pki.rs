//! A certificate authority of the run's own, the certificate from it that servers show, and others that nobody should trust.

use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::key::Key;

/// A certificate and its key.
pub struct Identity {
    /// The certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM.
    pub private_key: String,
}

/// What the broker and its clients need for TLS.
pub struct Pki {
    /// What the broker shows, and other servers on this machine: for `localhost` and 127.0.0.1.
    pub server: Identity,
    /// The authority's certificate, PEM.
    pub authority: String,
    /// The authority that clients trust.
    pub roots: RootCertStore,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    /// For another server than the one that shows it.
    pub fn of_another_name(&self) -> Identity {
        identity(&self.issuer, &["as.test"], |_| ())
    }

    /// One that was good until some years ago.
    pub fn expired(&self) -> Identity {
        identity(&self.issuer, &LOCAL, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 12, 31);
        })
    }

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

/// The names of this machine.
const LOCAL: [&str; 2] = ["localhost", "127.0.0.1"];

/// One for this machine, from an authority that nobody knows.
pub fn of_unknown_authority() -> Identity {
    identity(&authority("nobody").1, &LOCAL, |_| ())
}

fn identity(issuer: &Issuer<'_, KeyPair>, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("server names");
    change(&mut params);
    let key = KeyPair::generate().expect("server key");
    let certificate = params.signed_by(&key, issuer).expect("server certificate").pem();
    Identity { certificate, private_key: key.serialize_pem() }
}

/// A new authority with this name: its certificate, and what signs in its name.
fn authority(name: &str) -> (Certificate, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::new()).expect("authority");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("authority key");
    let certificate = params.self_signed(&key).expect("authority");
    (certificate, Issuer::new(params, key))
}

/// The one of this run.
pub fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(|| {
        let (authority, issuer) = authority("the suite");
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).expect("a trusted authority");
        Pki { server: identity(&issuer, &LOCAL, |_| ()), roots, authority: authority.pem(), issuer }
    })
}
