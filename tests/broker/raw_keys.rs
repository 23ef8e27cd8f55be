//! L4: clients that show a raw public key (RFC 7250) where the broker asks for certificates.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::aws_lc_rs::{default_provider, sign};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::operating::password_line;
use crate::support::broker::PATIENCE;
use crate::support::case::cases;
use crate::support::client::Client;
use crate::support::pki::pki;
use crate::support::setup::{CERTIFICATE, MUTUAL};
use crate::support::{Attempt, Broker, Connect, Ctx, Device, Key, Protocol, Setup, Way, tls};

cases! {
    Accept "L4" l4_a_raw_public_key_is_the_tokens;
    Accept "L4" l4_certificates_are_judged_as_ever;
    Refuse "L4" l4_an_unknown_key_fails_the_handshake;
    Refuse "L4" l4_a_raw_public_key_stands_for_its_token_only;
    Refuse "L4" l4_raw_public_keys_are_off_by_default;
    Pin "L4" l4_on_2_0_a_listener_for_pre_shared_keys_must_be_there;
}

const LISTENER: usize = 0;

/// Mosquitto 2.0 keeps the client with a connection only where some listener is for pre-shared keys.
pub fn setup() -> Setup {
    Setup::new().mqtt("raw_public_keys = true").listener(&MUTUAL).listener(&["psk_hint ace"])
}

pub fn has_raw_keys(ctx: &Ctx) -> bool {
    // Its OpenSSL is older than 3.2.
    ctx.version.number != "2.0.11"
}

/// A client's side that shows a raw public key, and no certificate.
fn raw(key: &Key) -> Arc<ClientConfig> {
    let private = PrivateKeyDer::Pkcs8(key.pkcs8().into());
    let signing = sign::any_supported_type(&private).expect("a key to sign with");
    let public = signing.public_key().expect("its public half");
    let shown = CertifiedKey::new(vec![CertificateDer::from(public.to_vec())], signing);
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(pki().roots.clone())
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::new(shown))));
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

fn open(broker: &Broker, key: &Key) -> Client {
    Client::tls(broker.port(LISTENER), raw(key))
}

pub fn enter(broker: &Broker, key: &Key, protocol: Protocol, id: &str) -> Client {
    Attempt::make(open(broker, key), &Connect::new(protocol, id)).accepted()
}

/// A device whose token is held.
pub fn known(broker: &Broker, id: &str, key: Key) -> Device {
    let device = broker.device_with(id, key);
    device.enter(broker, Way::Challenge).ping();
    device
}

/// The handshake fails. On TLS 1.3 the client has finished by then, and is told when it reads.
fn assert_fails(broker: &Broker, config: Arc<ClientConfig>) {
    let name = ServerName::try_from("localhost").expect("a name");
    let socket = TcpStream::connect(("127.0.0.1", broker.port(LISTENER))).expect("a connection");
    socket.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    let mut stream = StreamOwned::new(ClientConnection::new(config, name).expect("a TLS client"), socket);
    let _ = stream.write_all(&Connect::new(Protocol::V5, "intruder").encode()).and_then(|()| stream.flush());
    let mut answer = [0; 64];
    let read = stream.read(&mut answer);
    let error = read.expect_err("the broker answers in MQTT");
    assert!(!matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
}

fn l4_a_raw_public_key_is_the_tokens(ctx: &Ctx) {
    let broker = setup().start(ctx);
    for key in [Key::ed25519(), Key::p256()] {
        let device = known(&broker, "sensor", key);
        if !has_raw_keys(ctx) {
            assert_fails(&broker, raw(&device.key));
            broker.wait_for_line(&["ace: raw_public_keys: the broker's OpenSSL has none"]);
            continue;
        }
        for protocol in [Protocol::V311, Protocol::V5] {
            enter(&broker, &device.key, protocol, "raw").round_trip("dev/raw");
        }
        let mut client = enter(&broker, &device.key, Protocol::V5, "raw");
        assert_eq!(client.subscribe(&["#"]), [0x87]);
        assert_eq!(client.publish1("other", b"x"), 0x87);
        // A token in CONNECT replaces it.
        let brought = broker.device_scoped("brought", &[("more/#", &["pub", "sub"])]);
        for way in [Way::Exporter, Way::Challenge, Way::UserName(Protocol::V5)] {
            let mut client = brought.attempt_over(open(&broker, &device.key), way).accepted();
            client.round_trip("more/x");
            assert_eq!(client.publish1("dev/raw", b"x"), 0x87);
        }
    }
    if has_raw_keys(ctx) {
        broker.wait_for_line(&["ace: admitted client \"raw\"", "by raw public key"]);
    }
}

fn l4_certificates_are_judged_as_ever(ctx: &Ctx) {
    for raw_public_keys in [false, true] {
        let setup = Setup::new().mqtt(&format!("raw_public_keys = {raw_public_keys}"));
        let broker = setup.listener(&MUTUAL).listener(&["psk_hint ace"]).start(ctx);
        let device = known(&broker, "sensor", Key::p256());
        let shown = |certificate: &CertificateDer<'static>| {
            tls::with_certificate(&TLS13, certificate, &device.key, Resumption::disabled())
        };
        let good = pki().client_certificate(&device.key, "sensor");
        let client = Client::tls(broker.port(LISTENER), shown(&good));
        Attempt::make(client, &Connect::new(Protocol::V5, "sensor")).accepted().round_trip("dev/x");
        // The right key in a certificate that nobody vouches for, and no certificate at all.
        let key = KeyPair::try_from(device.key.pkcs8()).expect("a key");
        let params = CertificateParams::new(Vec::new()).expect("a certificate");
        let own = params.self_signed(&key).expect("a certificate").der().clone();
        assert_fails(&broker, shown(&own));
        assert_fails(&broker, tls::tls13());
        // Clients of listeners that ask for none are not asked.
        broker.device("other").enter(&broker, Way::Exporter).round_trip("dev/x");
    }
}

fn l4_an_unknown_key_fails_the_handshake(ctx: &Ctx) {
    let broker = setup().tokens("leeway = \"0s\"").mqtt("allow_anonymous = true").start(ctx);
    known(&broker, "sensor", Key::ed25519());
    assert_fails(&broker, raw(&Key::ed25519()));
    assert_fails(&broker, raw(&Key::rsa()));
    let expiring = Device::new(&broker.setup().authority, "expiring", Key::ed25519(), |claims| claims.expires_in(2));
    expiring.enter(&broker, Way::Challenge).expect_not_authorized();
    assert_fails(&broker, raw(&expiring.key));
}

/// Whoever cannot show a certificate must not get in with a password, or as nobody, because it has a token for something else.
fn l4_a_raw_public_key_stands_for_its_token_only(ctx: &Ctx) {
    let setup = setup()
        .mqtt("allow_anonymous = true")
        .mqtt(r#"other_clients = "defer""#)
        .mqtt(r#"public_subscribe = ["hello/#"]"#)
        .file("passwords", &password_line("alice", "open sesame"))
        .conf("password_file {dir}/passwords");
    let broker = setup.start(ctx);
    let device = known(&broker, "sensor", Key::ed25519());
    if !has_raw_keys(ctx) {
        return assert_fails(&broker, raw(&device.key));
    }
    let alice = Connect::credentials(Protocol::V5, "alice", b"alice", b"open sesame");
    Attempt::make(open(&broker, &device.key), &alice).refused(&broker, "raw-key-without-token");
    let other = Connect { method: Some("SCRAM".to_owned()), ..Connect::new(Protocol::V5, "scram") };
    Attempt::make(open(&broker, &device.key), &other).refused(&broker, "raw-key-without-token");
    enter(&broker, &device.key, Protocol::V5, "raw").round_trip("dev/x");
    // A resumed session is still one of that key.
    let mut config = (*raw(&device.key)).clone();
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    let open = || Client::tls(broker.port(LISTENER), Arc::clone(&config));
    Attempt::make(open(), &Connect::new(Protocol::V5, "raw")).accepted().round_trip("dev/x");
    for (connect, is_let_in) in [(alice, false), (Connect::new(Protocol::V5, "raw"), true)] {
        let again = open();
        assert!(again.is_resumed());
        let attempt = Attempt::make(again, &connect);
        if is_let_in {
            attempt.accepted().round_trip("dev/x");
        } else {
            attempt.refused(&broker, "raw-key-without-token");
        }
    }
}

fn l4_raw_public_keys_are_off_by_default(ctx: &Ctx) {
    let broker = Setup::new().listener(&MUTUAL).listener(&["psk_hint ace"]).start(ctx);
    let device = known(&broker, "sensor", Key::ed25519());
    assert_fails(&broker, raw(&device.key));
}

/// Otherwise it does not tell which connection is a client's.
fn l4_on_2_0_a_listener_for_pre_shared_keys_must_be_there(ctx: &Ctx) {
    let broker = Setup::new().mqtt("raw_public_keys = true").listener(&MUTUAL).listener(&CERTIFICATE).start(ctx);
    let device = known(&broker, "sensor", Key::ed25519());
    if ctx.version.number.starts_with("2.0") {
        assert_fails(&broker, raw(&device.key));
    } else {
        enter(&broker, &device.key, Protocol::V5, "raw").round_trip("dev/raw");
    }
}
