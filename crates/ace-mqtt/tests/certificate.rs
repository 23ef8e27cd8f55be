//! Mutual TLS: the certificate with which a client authenticates below MQTT.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ace_mqtt::{Authentication, Client, ClientCertificate, ConnectOptions, Error, TlsOptions, TlsVersion, TokenClient};
use peer::Peer;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;

/// An authority, and the certificate that it has given to a client, in files.
struct Identity {
    folder: tempfile::TempDir,
    authority: CertificateDer<'static>,
    certificate: Vec<u8>,
}

impl Identity {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&authority_key).unwrap().der().clone();
        let key = KeyPair::generate().unwrap();
        let params_of_client = CertificateParams::new(vec!["sensor".to_owned()]).unwrap();
        let certificate = params_of_client.signed_by(&key, &Issuer::new(params, authority_key)).unwrap();
        std::fs::write(folder.path().join("sensor.crt"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("sensor.key"), key.serialize_pem()).unwrap();
        Self { folder, authority, certificate: certificate.der().to_vec() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn to_show(&self) -> ClientCertificate {
        ClientCertificate { chain: self.file("sensor.crt"), key: self.file("sensor.key") }
    }
}

fn anonymous(peer: &Peer) -> ConnectOptions {
    let mut options = peer.options();
    options.authentication = Authentication::None;
    options
}

#[test]
fn l3_the_certificate_is_shown_to_a_server_that_asks_for_it() {
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let identity = Identity::new();
        let expected = identity.certificate.clone();
        let peer = Peer::demanding(identity.authority.clone(), move |session| {
            let connect = session.welcome();
            assert_eq!(session.certificate(), Some(expected));
            assert_eq!((connect.method, connect.user_name), (None, None));
            session.expect(0xe0);
        });
        let mut options = anonymous(&peer);
        options.tls.version = version;
        options.tls.client_certificate = Some(identity.to_show());
        Client::connect(&options, None).unwrap().disconnect().unwrap();
        peer.finish();
    }
}

#[test]
fn a_server_that_misses_the_certificate_says_so() {
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let identity = Identity::new();
        let peer = Peer::demanding(identity.authority.clone(), |session| assert!(!session.handshake()));
        let mut options = anonymous(&peer);
        options.tls.version = version;
        let error = Client::connect(&options, None).unwrap_err();
        // On TLS 1.3 the handshake is over for the client before the server has seen what is missing.
        match version {
            TlsVersion::V12 => assert!(matches!(error, Error::Tls { .. }), "{error}"),
            _ => assert!(matches!(error, Error::ConnectionLost { .. }), "{error}"),
        }
        assert!(error.to_string().contains("client certificate"), "{error}");
        peer.finish();
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let (identity, other) = (Identity::new(), Identity::new());
    let encrypted = identity.file("encrypted.key");
    std::fs::write(&encrypted, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
        .unwrap();
    let (chain, key) = (identity.file("sensor.crt"), identity.file("sensor.key"));
    let peer = Peer::start(Vec::new());
    for (chain, key, named) in [
        (&key, &key, &key),
        (&chain, &chain, &chain),
        (&chain, &encrypted, &encrypted),
        (&identity.file("missing"), &key, &identity.file("missing")),
        (&chain, &identity.file("missing"), &identity.file("missing")),
        // The key of another certificate.
        (&chain, &other.file("sensor.key"), &chain),
    ] {
        let mut options = anonymous(&peer);
        options.tls.client_certificate = Some(ClientCertificate { chain: chain.clone(), key: key.clone() });
        let Err(Error::File { path, .. }) = Client::connect(&options, None) else { panic!("{chain:?} {key:?}") };
        assert_eq!(&path, named);
    }
}

#[test]
fn an_authorization_server_is_shown_no_certificate() {
    let identity = Identity::new();
    let trust = TlsOptions { client_certificate: Some(identity.to_show()), ..TlsOptions::default() };
    assert!(matches!(TokenClient::new("https://as.example/token", &trust), Err(Error::Invalid(_))));
}

#[test]
fn l3_the_command_line_takes_certificate_and_key() {
    let identity = Identity::new();
    let expected = identity.certificate.clone();
    let peer = Peer::demanding(identity.authority.clone(), move |session| {
        session.welcome();
        assert_eq!(session.certificate(), Some(expected));
        session.expect(0x30);
        session.expect(0xe0);
    });
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let output = Command::new(env!("CARGO_BIN_EXE_ace-mqtt"))
        .args(["pub", "-h", "localhost", "-p", &peer.port.to_string(), "--cafile", &text(&peer.ca())])
        .args(["--cert", &text(&identity.file("sensor.crt")), "--cert-key", &text(&identity.file("sensor.key"))])
        .args(["--auth", "none", "-t", "a", "-m", "x"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    peer.finish();
}
