//! E4: tokens that their server has revoked (RFC 9431, section 4; RFC 9770).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::support::case::cases;
use crate::support::cwt::{self, Cbor, Message};
use crate::support::packet::{self, binary};
use crate::support::pki::pki;
use crate::support::{
    Answer, Authority, Broker, Ctx, Device, HttpsServer, Key, PATIENCE, Protocol, Setup, Way, encode, secrets,
};

cases! {
    Accept "E4" e4_tokens_that_are_not_revoked_keep_working;
    Refuse "E4" e4_revoked_token_ends_its_session_within_the_interval;
    Refuse "E4" e4_revoked_token_is_refused_at_connect;
    Refuse "E4" e4_token_that_was_given_in_cbor_is_found_to_be_revoked;
    Refuse "E4" e4_altered_signature_does_not_bring_a_revoked_token_back;
    Refuse "E4" e4_a_revoked_cwt_does_not_come_back_written_in_another_way;
    Refuse "E4" e4_revoked_token_is_not_held_any_more;
    Refuse "E4" e4_revoked_token_brings_nothing_in_a_reauthentication;
    Refuse "E4" e4_message_of_a_publisher_with_a_revoked_token_is_not_delivered;
    Refuse "E4" e4_message_of_a_publisher_revoked_during_a_restart_is_not_delivered;
    Refuse "E4" e4_changes_are_asked_for_where_the_server_keeps_them;
    Accept "E4" e4_a_list_that_cannot_be_had_disturbs_nobody;
    Refuse "E4" e4_what_is_known_stays_known_without_the_server;
    Refuse "E4" e4_a_server_that_cannot_be_verified_is_not_believed;
    Accept "E4" e4_a_redirect_is_not_followed;
    Refuse "E4" e4_a_reload_brings_the_list_and_the_brokers_secret;
}

const MEDIA_TYPE: &str = "application/ace-trl+cbor";
const WAYS: [Way; 3] = [Way::Exporter, Way::Challenge, Way::UserName(Protocol::V311)];
/// What may pass between a revocation and the end of a session: the interval, a request, and a look at its answer. Far more
/// than it takes, and less than a second interval.
const GRACE: Duration = Duration::from_millis(1900);

/// What a list has of a token, in CBOR: SHA-256's number and the hash (RFC 9770, section 4.4).
fn hash(text: &str) -> Vec<u8> {
    [&[0x58, 33, 0x01][..], digest(&SHA256, text.as_bytes()).as_ref()].concat()
}

fn array(items: &[Vec<u8>]) -> Vec<u8> {
    assert!(items.len() < 24);
    [vec![0x80 | u8::try_from(items.len()).unwrap()], items.concat()].concat()
}

/// A server that has revoked what a case says.
struct Revoker {
    server: HttpsServer,
    revoked: Arc<Mutex<BTreeSet<Vec<u8>>>>,
}

impl Revoker {
    fn start() -> Self {
        Self::start_at(0, Arc::default())
    }

    fn start_at(port: u16, revoked: Arc<Mutex<BTreeSet<Vec<u8>>>>) -> Self {
        let list = Arc::clone(&revoked);
        let server = HttpsServer::start_at(port, move |_| {
            let hashes: Vec<_> = list.lock().unwrap().iter().cloned().collect();
            Answer::ok(MEDIA_TYPE, [&[0xa1, 0x00][..], &array(&hashes)].concat())
        });
        Self { server, revoked }
    }

    fn revoke(&self, device: &Device) {
        self.revoke_text(&device.token);
    }

    fn revoke_text(&self, text: &str) {
        self.revoked.lock().unwrap().insert(hash(text));
    }

    /// Waits until a request that was begun after now has been answered and taken up.
    fn settle(&self) {
        self.server.wait_for(2);
    }
}

fn asking(port: u16) -> Setup {
    Setup::new()
        .file("as-ca.pem", &pki().authority)
        .server("[authorization_server.revocation_list]")
        .server(&format!("url = \"https://localhost:{port}/trl\""))
        .server("interval = \"1s\"")
        .server("ca_file = \"{dir}/as-ca.pem\"")
}

fn start(ctx: &Ctx) -> (Revoker, Broker) {
    let revoker = Revoker::start();
    let broker = asking(revoker.server.port()).start(ctx);
    (revoker, broker)
}

fn e4_tokens_that_are_not_revoked_keep_working(ctx: &Ctx) {
    let (revoker, broker) = start(ctx);
    revoker.revoke_text("another token");
    let mut clients: Vec<_> = WAYS.iter().map(|way| broker.device(&format!("{way:?}")).enter(&broker, *way)).collect();
    revoker.settle();
    for client in &mut clients {
        client.round_trip("dev/a");
    }
    broker.device("late").enter(&broker, Way::Challenge).ping();
    assert!(revoker.server.requests().iter().all(|request| request.target == "/trl"));
    assert!(revoker.server.requests().iter().all(|request| request.authorization.is_none()));
    broker.stop();
}

fn e4_revoked_token_ends_its_session_within_the_interval(ctx: &Ctx) {
    let (revoker, broker) = start(ctx);
    let mut others = broker.device("other").enter(&broker, Way::Challenge);
    for way in WAYS {
        let device = broker.device(&format!("{way:?}"));
        let mut client = device.enter(&broker, way);
        client.round_trip("dev/a");
        revoker.revoke(&device);
        let begin = Instant::now();
        client.expect_not_authorized();
        assert!(begin.elapsed() <= GRACE, "{way:?}: {:?}", begin.elapsed());
        broker.wait_for_line(&["session of client", &format!("{way:?}"), "ends: token-revoked"]);
    }
    others.round_trip("dev/a");
    broker.stop();
}

fn e4_revoked_token_is_refused_at_connect(ctx: &Ctx) {
    let (revoker, mut broker) = start(ctx);
    let devices = WAYS.map(|way| (way, broker.device(&format!("{way:?}"))));
    for (_, device) in &devices {
        revoker.revoke(device);
    }
    revoker.settle();
    for (way, device) in devices {
        device.attempt(&broker, way).refused(&broker, "token-revoked");
    }
    broker.assert_alive();
}

/// The list then has the hash of the token in base64url (RFC 9770, section 4.2.1).
fn e4_token_that_was_given_in_cbor_is_found_to_be_revoked(ctx: &Ctx) {
    let (revoker, broker) = start(ctx);
    let device = broker.device("sensor");
    let mut client = device.enter(&broker, Way::Exporter);
    revoker.revoke_text(&encode(device.token.as_bytes()));
    client.expect_not_authorized();
}

/// An ES256 signature can be altered so that it still verifies: the token has another hash then.
fn e4_altered_signature_does_not_bring_a_revoked_token_back(ctx: &Ctx) {
    let revoker = Revoker::start();
    let mut setup = asking(revoker.server.port());
    setup.authority = Authority::signing_with(Key::p256().named("as-p256"));
    let broker = setup.start(ctx);
    let device = broker.device("sensor");
    let altered = device.with_token(&altered(&device.token));
    altered.enter(&broker, Way::Challenge).round_trip("dev/a");
    revoker.revoke(&device);
    revoker.settle();
    for way in WAYS {
        altered.attempt(&broker, way).refused(&broker, "token-revoked");
    }
}

/// The token with the signature's s replaced by n - s, n being the order of P-256.
fn altered(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = twin(&URL_SAFE_NO_PAD.decode(signature).unwrap());
    format!("{signed}.{}", encode(&signature))
}

/// The other signature of ECDSA that verifies where this one does.
fn twin(signature: &[u8]) -> Vec<u8> {
    let mut signature = signature.to_vec();
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let mut borrow = 0;
    for at in (0..32).rev() {
        let digit = i32::from_str_radix(&order[2 * at..2 * at + 2], 16).unwrap();
        let difference = digit - i32::from(signature[32 + at]) - borrow;
        borrow = i32::from(difference < 0);
        signature[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    signature
}

/// Its tag, an unprotected `kid` and which of two signatures it has, nobody has signed (RFC 9770, section 13.9).
fn e4_a_revoked_cwt_does_not_come_back_written_in_another_way(ctx: &Ctx) {
    let revoker = Revoker::start();
    let mut setup = asking(revoker.server.port());
    setup.authority = Authority::signing_with(Key::p256().named("as-p256"));
    let broker = setup.start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::ed25519());
    let claims = cwt::claims(&authority.claims("sensor", &key), cwt::cnf(&key));
    let message =
        Message { protected: vec![(1, Cbor::Int(-7))], unprotected: Vec::new(), content: Cbor::Map(claims).write() };
    let given = [vec![0xd8, 61], message.sign1(&authority.key)].concat();
    let signature = given[given.len() - 64..].to_vec();
    let kid = (4, Cbor::Bytes(b"as-p256".to_vec()));
    let with_kid = Message { unprotected: vec![kid], ..message.clone() };
    let written = [
        given.clone(),
        given[2..].to_vec(),
        message.with_signature(cwt::SIGN1, twin(&signature)),
        with_kid.with_signature(cwt::SIGN1, signature.clone()),
        [vec![0xd8, 61], with_kid.with_signature(cwt::SIGN1, twin(&signature))].concat(),
    ];
    let devices = written.map(|token| Device { id: "sensor".to_owned(), key: key.clone(), token: cwt::text(&token) });
    for device in &devices {
        device.enter(&broker, Way::Challenge).round_trip("dev/a");
    }
    revoker.revoke(&devices[0]);
    revoker.settle();
    for device in &devices {
        for way in WAYS {
            device.attempt(&broker, way).refused(&broker, "token-revoked");
        }
    }
    broker.stop();
}

fn e4_revoked_token_is_not_held_any_more(ctx: &Ctx) {
    let (revoker, broker) = start(ctx);
    let device = broker.device("sensor");
    drop(device.enter(&broker, Way::Challenge));
    let stored = device.with_token("");
    stored.enter(&broker, Way::Challenge).ping();
    revoker.revoke(&device);
    revoker.settle();
    stored.attempt(&broker, Way::Challenge).refused(&broker, "token-not-held");
}

fn e4_revoked_token_brings_nothing_in_a_reauthentication(ctx: &Ctx) {
    let (revoker, broker) = start(ctx);
    let device = broker.device("sensor");
    let mut client = device.enter(&broker, Way::Challenge);
    let authority = &broker.setup().authority;
    let fresh = Device::new(authority, "sensor", device.key.clone(), |claims| claims.expires_in(200));
    revoker.revoke(&fresh);
    revoker.settle();
    client.round_trip("dev/a");
    client.send(&packet::auth(0x19, Some(&binary(fresh.token.as_bytes()))));
    client.expect_not_authorized();
    broker.expect_refusal("sensor", "token-revoked");
}

fn retaining(port: u16) -> Setup {
    asking(port).conf("check_retain_source true")
}

/// A publisher that has retained a message and left.
fn retain(broker: &Broker) -> Device {
    let device = broker.device("publisher");
    let mut publisher = device.enter(broker, Way::Challenge);
    assert!(publisher.publish_retained("dev/state", b"on") < 0x80);
    device
}

fn is_delivered(broker: &Broker) -> bool {
    let mut reader = broker.device("reader").enter(broker, Way::Challenge);
    reader.subscribe(&["dev/state"]);
    reader.ping();
    !reader.messages_so_far().is_empty()
}

fn e4_message_of_a_publisher_with_a_revoked_token_is_not_delivered(ctx: &Ctx) {
    let revoker = Revoker::start();
    let broker = retaining(revoker.server.port()).start(ctx);
    let device = retain(&broker);
    assert!(is_delivered(&broker));
    revoker.revoke(&device);
    revoker.settle();
    assert!(!is_delivered(&broker));
}

fn e4_message_of_a_publisher_revoked_during_a_restart_is_not_delivered(ctx: &Ctx) {
    let revoker = Revoker::start();
    let setup = retaining(revoker.server.port())
        .top("state_dir = \"{dir}\"")
        .conf("persistence true")
        .conf("persistence_location {dir}/");
    let broker = setup.start(ctx);
    let device = retain(&broker);
    let broker = broker.restart(ctx);
    assert!(is_delivered(&broker));
    let broker = broker.restart_after(ctx, || revoker.revoke(&device));
    revoker.settle();
    assert!(!is_delivered(&broker));
}

fn e4_changes_are_asked_for_where_the_server_keeps_them(ctx: &Ctx) {
    let change: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let latest = Arc::clone(&change);
    let server = HttpsServer::start(move |request| {
        // As a whole up to change 7; since then at most one more.
        let change = latest.lock().unwrap().clone();
        let body = match (request.target.as_str(), change) {
            ("/trl", _) => [&[0xa2, 0x00, 0x80, 0x02, 7][..]].concat(),
            ("/trl?diff=0&cursor=7", Some(hash)) => {
                let entry = array(&[array(&[]), array(&[hash])]);
                [&[0xa3, 0x01][..], &array(&[entry]), &[0x02, 8, 0x03, 0xf4]].concat()
            }
            ("/trl?diff=0&cursor=7", None) => vec![0xa3, 0x01, 0x80, 0x02, 7, 0x03, 0xf4],
            ("/trl?diff=0&cursor=8", _) => vec![0xa3, 0x01, 0x80, 0x02, 8, 0x03, 0xf4],
            _ => return Answer::status(400),
        };
        Answer::ok(MEDIA_TYPE, body)
    });
    let broker = asking(server.port()).start(ctx);
    let device = broker.device("sensor");
    let mut client = device.enter(&broker, Way::Exporter);
    server.wait_for(2);
    client.round_trip("dev/a");
    *change.lock().unwrap() = Some(hash(&device.token));
    client.expect_not_authorized();
    server.wait_for(2);
    let targets: Vec<_> = server.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets.iter().filter(|target| *target == "/trl").count(), 1, "{targets:?}");
    assert_eq!(targets.last().map(String::as_str), Some("/trl?diff=0&cursor=8"));
    device.attempt(&broker, Way::Exporter).refused(&broker, "token-revoked");
}

fn e4_a_list_that_cannot_be_had_disturbs_nobody(ctx: &Ctx) {
    for (answer, complaint) in [
        (Answer::status(503), "status 503"),
        (Answer::ok("text/html", b"<html>".to_vec()), "another type"),
        (Answer::ok(MEDIA_TYPE, b"nonsense".to_vec()), "not of the form"),
        (Answer::ok(MEDIA_TYPE, vec![0; 5 * 1024 * 1024]), "more than 4194304 bytes"),
    ] {
        let server = HttpsServer::start(move |_| answer.clone());
        let mut broker = asking(server.port()).start(ctx);
        broker.wait_for_line(&["the revocation list https://localhost:", complaint]);
        broker.device("sensor").enter(&broker, Way::Challenge).round_trip("dev/a");
        server.wait_for(2);
        broker.assert_alive();
        let log = broker.stop();
        assert_eq!(log.matches("the revocation list").count(), 1, "told once: {log}");
    }
}

fn e4_what_is_known_stays_known_without_the_server(ctx: &Ctx) {
    let (revoker, broker) = start(ctx);
    let (bad, good) = (broker.device("bad"), broker.device("good"));
    revoker.revoke(&bad);
    revoker.settle();
    let (port, revoked) = (revoker.server.port(), Arc::clone(&revoker.revoked));
    drop(revoker);
    broker.wait_for_line(&["the revocation list", "cannot be reached"]);
    bad.attempt(&broker, Way::Challenge).refused(&broker, "token-revoked");
    let mut client = good.enter(&broker, Way::Challenge);
    client.round_trip("dev/a");
    let revoker = Revoker::start_at(port, revoked);
    broker.wait_for_line(&["the revocation list", "can be had again"]);
    revoker.revoke(&good);
    client.expect_not_authorized();
}

/// The broker trusts another authority than the server's.
fn e4_a_server_that_cannot_be_verified_is_not_believed(ctx: &Ctx) {
    let revoker = Revoker::start();
    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let setup = asking(revoker.server.port()).file("as-ca.pem", &stranger.cert.pem());
    let broker = setup.start(ctx);
    broker.wait_for_line(&["the revocation list", "TLS failed"]);
    assert!(revoker.server.requests().is_empty(), "it was asked nothing");
    broker.device("sensor").enter(&broker, Way::Challenge).round_trip("dev/a");
}

fn e4_a_redirect_is_not_followed(ctx: &Ctx) {
    let elsewhere = Revoker::start();
    let location = elsewhere.server.url("/trl");
    let server = HttpsServer::start(move |_| Answer::redirect(&location));
    let broker = asking(server.port()).start(ctx);
    let device = broker.device("sensor");
    elsewhere.revoke(&device);
    broker.wait_for_line(&["the revocation list", "status 302"]);
    device.enter(&broker, Way::Challenge).round_trip("dev/a");
    server.wait_for(1);
    assert!(elsewhere.server.requests().is_empty());
}

fn e4_a_reload_brings_the_list_and_the_brokers_secret(ctx: &Ctx) {
    let revoker = Revoker::start();
    let mut broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let mut client = device.enter(&broker, Way::Challenge);
    revoker.revoke(&device);
    client.round_trip("dev/a");
    let secret = encode(&crate::support::key::random(18));
    secrets::register_text(&secret);
    let authorization = format!("Basic {}", STANDARD.encode(format!("the+broker:{secret}")));
    secrets::register_text(&authorization["Basic ".len()..]);
    let mut setup = asking(revoker.server.port())
        .server("client_id = \"the broker\"")
        .server("client_secret_file = \"{dir}/secret\"")
        .file("secret", &format!("{secret}\n"));
    setup.authority = broker.setup().authority.clone();
    broker.reload(&setup);
    client.expect_not_authorized();
    let deadline = Instant::now() + PATIENCE;
    while revoker.server.requests().is_empty() {
        assert!(Instant::now() < deadline);
    }
    assert!(revoker.server.requests().iter().all(|request| request.authorization.as_ref() == Some(&authorization)));
}
