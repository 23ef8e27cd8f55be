//! L2: clients that authenticate by TLS-PSK and bring nothing in CONNECT.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::operating::password_line;

use crate::support::broker::PATIENCE;
use crate::support::case::cases;
use crate::support::client::Client;
use crate::support::jwe::{self, Management};
use crate::support::packet::binary;
use crate::support::psk::Psk;
use crate::support::setup::CERTIFICATE;
use crate::support::{
    Attempt, Authority, Broker, Claims, Connect, Ctx, Device, Key, Protocol, Reply, Setup, Way, now, tls,
};

cases! {
    Accept "L2" l2_each_form_of_identity_names_the_token;
    Accept "L2" l2_the_token_itself_is_an_identity;
    Accept "L2" l2_with_the_identity_as_user_name;
    Accept "L2" l2_keys_of_any_bytes_are_taken;
    Accept "L2" l2_other_clients_have_their_passwords;
    Accept "L2" l2_identities_of_the_brokers_own_file_are_left_to_it;
    Accept "L2" l2_sessions_survive_a_reload;
    Accept "L5" l5_a_token_in_connect_replaces_what_the_psk_gave;
    Accept "L2" l2_a_newer_token_counts_at_once;
    Refuse "L2" l2_an_identity_that_names_no_token_is_refused;
    Refuse "L2" l2_another_key_fails_the_handshake;
    Refuse "L2" l2_an_expired_token_is_refused;
    Refuse "L2" l2_an_asymmetric_key_is_refused;
    Refuse "L2" l2_nothing_beyond_the_scope;
    Refuse "L2" l2_an_identity_that_is_not_taken_up_brings_nothing;
    Refuse "L2" l2_more_identities_than_one_needs_are_not_looked_at;
    Refuse "L2" l2_a_resumed_session_brings_nothing;
    Refuse "L2" l2_the_session_ends_with_the_token;
}

const PSK: usize = 0;
const PSK_BY_NAME: usize = 1;
const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

/// A broker with a listener for pre-shared keys, and one that takes the identity as the user name.
struct Bench {
    broker: Broker,
    shared: Key,
}

fn bench(ctx: &Ctx, change: impl FnOnce(Setup) -> Setup) -> Bench {
    let shared = Key::oct(32).named("shared");
    let setup = Setup::with(Authority::new().publishing(&shared))
        .listener(&["psk_hint ace"])
        .listener(&["psk_hint ace", "use_identity_as_username true"]);
    Bench { broker: change(setup).start(ctx), shared }
}

impl Bench {
    /// A device with a symmetric key.
    fn device(&self, id: &str, key: Key, change: impl FnOnce(Claims) -> Claims) -> Device {
        let secret = key.jwk().to_string();
        let jwe = jwe::encrypt(secret.as_bytes(), &self.shared, Management::Dir, "A256GCM");
        let authority = &self.broker.setup().authority;
        Device::new(authority, id, key, |claims| change(claims.set("cnf", json!({ "jwe": jwe }))))
    }

    /// The same, and the broker holds its token.
    fn known(&self, id: &str, key: Key) -> Device {
        let device = self.device(id, key, |claims| claims);
        self.show(&device);
        device
    }

    /// Shows the broker a device's token, on a connection that ends then.
    fn show(&self, device: &Device) {
        device.enter(&self.broker, Way::Challenge).ping();
    }

    fn attempt(&self, psk: &Psk, listener: usize, connect: &Connect) -> Attempt {
        Attempt::make(Client::psk(psk.open(self.broker.port(listener))), connect)
    }

    fn enter(&self, psk: &Psk, listener: usize, id: &str) -> Client {
        self.attempt(psk, listener, &Connect::new(Protocol::V5, id)).accepted()
    }

    /// The handshake fails, so that there is no answer to CONNECT.
    fn assert_fails(&self, psk: &Psk) {
        for listener in [PSK, PSK_BY_NAME] {
            let attempt = self.attempt(psk, listener, &Connect::new(Protocol::V5, "intruder"));
            assert!(matches!(attempt.reply, Reply::Closed), "{:02x?}", attempt.reply);
        }
    }
}

fn psk(identity: &str, device: &Device) -> Psk {
    Psk::new(identity.as_bytes(), device.key.secret())
}

/// Whether a message at QoS 1 is taken, even if nobody wants it.
fn may_publish(client: &mut Client, topic: &str) -> bool {
    let reason = client.publish1(topic, b"x");
    assert!(matches!(reason, 0 | 0x10 | 0x87), "{reason:#x}");
    reason < 0x80
}

fn l2_each_form_of_identity_names_the_token(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup);
    let device = bench.known("sensor", Key::oct(32).named("key-7"));
    let json = json!({ "cnf": { "jwk": { "kty": "oct", "kid": "key-7" } } }).to_string();
    for version in VERSIONS {
        for identity in ["key-7".as_bytes(), json.as_bytes(), b"\xa1\x08\xa1\x01\xa2\x01\x04\x02\x45key-7"] {
            for protocol in [Protocol::V5, Protocol::V311] {
                let psk = Psk::new(identity, device.key.secret()).option(version);
                let attempt = bench.attempt(&psk, PSK, &Connect::new(protocol, "sensor"));
                attempt.accepted().round_trip("dev/psk");
            }
        }
    }
    bench.broker.wait_for_line(&["New client connected", "as sensor", "u'sensor'"]);
}

fn l2_the_token_itself_is_an_identity(ctx: &Ctx) {
    let issuer = Key::oct(32);
    let device = Key::oct(32).named("d");
    let authority = Authority { issuer: "https://a".to_owned(), ..Authority::signing_with(issuer) };
    let setup = Setup::with(authority.clone()).audience("\"b\"").client_keys(&[&device]);
    let broker = setup.listener(&["psk_hint ace"]).start(ctx);
    let claims = authority.claims("s", &device).set("aud", "b").set("cnf", json!({ "kid": "d" }));
    let token = authority.token(&claims.without("iat").set("scope", json!([["dev/#", ["pub", "sub"]]])));
    assert!(token.len() <= 256, "{}", token.len());
    for version in VERSIONS {
        let psk = Psk::new(token.as_bytes(), device.secret()).option(version);
        let client = Client::psk(psk.open(broker.port(PSK)));
        Attempt::make(client, &Connect::new(Protocol::V5, "sensor")).accepted().round_trip("dev/psk");
    }
    // Now the broker holds it.
    let psk = Psk::new(b"d", device.secret());
    let client = Client::psk(psk.open(broker.port(PSK)));
    Attempt::make(client, &Connect::new(Protocol::V5, "sensor")).accepted().round_trip("dev/psk");
}

fn l2_with_the_identity_as_user_name(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup);
    let device = bench.known("sensor", Key::oct(32).named("key-7"));
    for version in VERSIONS {
        for round in 0..3 {
            let mut client = bench.enter(&psk("key-7", &device).option(version), PSK_BY_NAME, "sensor");
            // What is heard first of the client differs.
            match round {
                0 => client.round_trip("dev/psk"),
                1 => assert!(may_publish(&mut client, "dev/psk")),
                _ => assert_eq!(client.subscribe(&["dev/psk"]), [0]),
            }
            assert_eq!(client.publish1("other", b"x"), 0x87);
            assert_eq!(client.subscribe(&["#"]), [0x87]);
        }
    }
    bench.broker.wait_for_line(&["New client connected", "as sensor", "u'key-7'"]);
}

fn l2_keys_of_any_bytes_are_taken(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup);
    for (at, secret) in
        [vec![0xff; 16], [&[0, 0][..], &[7; 30]].concat(), vec![5; 64], vec![6; 65]].into_iter().enumerate()
    {
        let name = format!("key-{at}");
        let device = bench.known("sensor", Key::symmetric(secret).named(&name));
        for version in VERSIONS {
            bench.enter(&psk(&name, &device).option(version), PSK, "sensor").round_trip("dev/psk");
        }
    }
}

fn l2_a_newer_token_counts_at_once(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup);
    let key = Key::oct(32).named("key-7");
    let device = bench.known("sensor", key.clone());
    for listener in [PSK, PSK_BY_NAME] {
        let mut client = bench.enter(&psk("key-7", &device), listener, "tls");
        client.round_trip("dev/psk");
        assert!(!may_publish(&mut client, "more/x"));
        bench.show(&bench.device("sensor", key.clone(), |claims| claims.scope(&[("more/#", &["pub"])])));
        assert!(may_publish(&mut client, "more/x") && !may_publish(&mut client, "dev/x"));
        // Somebody else's token for the key is held from now on, but a session does not change hands.
        bench.show(&bench.device("other", key.clone(), |claims| claims.scope(&[("other/#", &["pub"])])));
        assert!(may_publish(&mut client, "more/x") && !may_publish(&mut client, "other/x"));
        bench.show(&device);
        assert!(may_publish(&mut client, "dev/x"));
    }
}

fn l2_an_identity_that_names_no_token_is_refused(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup);
    let device = bench.known("sensor", Key::oct(32).named("key-7"));
    for version in VERSIONS {
        bench.assert_fails(&psk("key-8", &device).option(version));
        bench.broker.expect_refusal("", "psk-identity-unknown");
        bench.assert_fails(&psk("{\"kid\":\"key-7\"}", &device).option(version));
        bench.broker.expect_refusal("", "psk-identity-malformed");
        bench.assert_fails(&psk("eyJhbGciOiJub25lIn0.e30.", &device).option(version));
        bench.broker.expect_refusal("", "algorithm-none");
    }
}

fn l2_another_key_fails_the_handshake(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup);
    bench.known("sensor", Key::oct(32).named("key-7"));
    for version in VERSIONS {
        bench.assert_fails(&Psk::new(b"key-7", Key::oct(32).secret()).option(version));
    }
    assert!(!bench.broker.log().contains("by TLS-PSK"));
}

fn l2_an_expired_token_is_refused(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup.tokens("leeway = \"0s\""));
    let device = bench.device("sensor", Key::oct(32).named("key-7"), |claims| claims.expires_in(2));
    let mut visit = device.enter(&bench.broker, Way::Challenge);
    visit.expect_not_authorized();
    bench.assert_fails(&psk("key-7", &device));
    bench.broker.expect_refusal("", "psk-identity-unknown");
}

fn l2_an_asymmetric_key_is_refused(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup);
    let key = Key::ed25519().named("key-7");
    bench.show(&bench.broker.device_with("sensor", key));
    bench.assert_fails(&Psk::new(b"key-7", &[7; 32]));
    bench.broker.expect_refusal("", "psk-key-not-symmetric");
}

fn l2_nothing_beyond_the_scope(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup);
    let device = bench.known("sensor", Key::oct(32).named("key-7"));
    for listener in [PSK, PSK_BY_NAME] {
        let mut client = bench.enter(&psk("key-7", &device), listener, "sensor");
        assert_eq!(client.subscribe(&["dev/+", "#", "other"]), [0, 0x87, 0x87]);
        assert_eq!(client.publish1("other", b"x"), 0x87);
        assert_eq!(client.publish2("other", b"x"), 0x87);
        client.publish0("other", b"x");
        client.expect_not_authorized();
    }
}

fn l2_a_resumed_session_brings_nothing(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup);
    let device = bench.known("sensor", Key::oct(32).named("key-7"));
    for (version, file) in VERSIONS.into_iter().zip(["session-2", "session-3"]) {
        let file = bench.broker.file(file);
        let first = psk("key-7", &device).option(version).option("-sess_out").option(&file);
        bench.enter(&first, PSK, "sensor").round_trip("dev/psk");
        assert!(file.metadata().is_ok_and(|file| file.len() > 0), "no session to resume");
        for listener in [PSK, PSK_BY_NAME] {
            let again = psk("key-8", &device).option(version).option("-sess_in").option(&file);
            assert_brings_nothing(bench.attempt(&again, listener, &Connect::new(Protocol::V5, "sensor")));
        }
    }
}

/// The client is not let in, or has no rights: by its identity alone, the broker lets it in itself.
fn assert_brings_nothing(mut attempt: Attempt) {
    match &attempt.reply {
        Reply::Closed => {}
        Reply::Connack(connack) if connack.reason() != 0 => {}
        Reply::Connack(_) => {
            assert_eq!(attempt.client.subscribe(&["dev/psk"]), [0x87]);
            assert_eq!(attempt.client.publish1("dev/psk", b"x"), 0x87);
        }
        Reply::Auth(auth) => panic!("{auth:02x?}"),
    }
}

/// OpenSSL asks the broker for the key, and then takes another way, on which nobody proves it.
fn l2_an_identity_that_is_not_taken_up_brings_nothing(ctx: &Ctx) {
    let by_both = [CERTIFICATE[0], CERTIFICATE[1], "psk_hint ace"];
    let with_name = [&by_both[..], &["use_identity_as_username true"]].concat();
    let bench = bench(ctx, |setup| setup.listener(&by_both).listener(&with_name));
    let device = bench.known("sensor", Key::oct(32).named("key-7"));
    let stranger = Psk::new(b"key-7", &[7; 32]).option("-tls1_3").option("-ciphersuites");
    for suite in ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"] {
        for listener in [PSK, PSK_BY_NAME, 2, 3] {
            let attempt =
                bench.attempt(&stranger.clone().option(suite), listener, &Connect::new(Protocol::V5, "sensor"));
            assert_brings_nothing(attempt);
        }
    }
    assert!(!bench.broker.log().contains("by TLS-PSK"));
    // Who has the key is let in there as elsewhere, but for 2.0.11, which takes certificates or keys. Where there is a
    // certificate, OpenSSL prefers suites that do not use the key: the client must offer those that do, and no others.
    if ctx.version.number != "2.0.11" {
        let known = psk("key-7", &device);
        for fitting in [["-tls1_2", "-cipher", "PSK"], ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"]] {
            let fits = fitting.iter().fold(known.clone(), Psk::option);
            let unfit = known.clone().option(fitting[0]);
            for listener in [2, 3] {
                bench.enter(&fits, listener, "sensor").round_trip("dev/psk");
                assert_brings_nothing(bench.attempt(&unfit, listener, &Connect::new(Protocol::V5, "sensor")));
            }
        }
    }
}

/// One handshake with many identities, of which none is known, is one line in the log and one more.
fn l2_more_identities_than_one_needs_are_not_looked_at(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup);
    bench.known("sensor", Key::oct(32).named("key-7"));
    let mut identities: Vec<Vec<u8>> = (0..200).map(|n| format!("unknown-{n}").into_bytes()).collect();
    identities.push(b"key-7".to_vec());
    let mut stream = TcpStream::connect(("127.0.0.1", bench.broker.port(PSK))).expect("a connection");
    stream.write_all(&client_hello(&identities)).expect("sent");
    bench.broker.expect_refusal("", "psk-identity-unknown");
    bench.broker.expect_refusal("", "psk-identities-too-many");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    // An alert, and the end.
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer.first(), Some(&21), "{answer:02x?}");
    assert_eq!(bench.broker.log().matches("ace: refused client \"\"").count(), 2);
}

/// A `ClientHello` of TLS 1.3 that offers these identities, with binders that are wrong.
fn client_hello(identities: &[Vec<u8>]) -> Vec<u8> {
    let extension = |kind: u8, content: &[u8]| [&[0, kind][..], &binary(content)].concat();
    let offered: Vec<u8> = identities.iter().flat_map(|identity| [binary(identity), vec![0; 4]].concat()).collect();
    let binders: Vec<u8> = identities.iter().flat_map(|_| [&[32][..], &[0; 32]].concat()).collect();
    let extensions = [
        // supported_versions: 1.3; supported_groups, signature_algorithms, psk_key_exchange_modes and key_share: the usual.
        extension(43, &[2, 3, 4]),
        extension(10, &binary(&[0, 0x17])),
        extension(13, &binary(&[4, 3])),
        extension(45, &[1, 1]),
        extension(51, &binary(&[])),
        extension(41, &[binary(&offered), binary(&binders)].concat()),
    ];
    let random = crate::support::key::random(32);
    let body = [&[3, 3][..], &random, &[0], &binary(&[0x13, 1]), &[1, 0], &binary(&extensions.concat())].concat();
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    let message = [&[1][..], &length[1..], &body].concat();
    [&[22, 3, 1][..], &binary(&message)].concat()
}

fn l2_other_clients_have_their_passwords(ctx: &Ctx) {
    let bench = bench(ctx, |setup| {
        setup
            .mqtt(r#"other_clients = "defer""#)
            .file("passwords", &password_line("alice", "open sesame"))
            .file("acl", "user alice\ntopic readwrite home/#\n")
            .conf("password_file {dir}/passwords")
            .conf("acl_file {dir}/acl")
    });
    let device = bench.known("sensor", Key::oct(32).named("key-7"));
    let alice = Connect::credentials(Protocol::V5, "alice", b"alice", b"open sesame");
    let mut client = bench.attempt(&psk("key-7", &device), PSK, &alice).accepted();
    client.round_trip("home/kitchen");
    assert!(!may_publish(&mut client, "dev/psk"));
    let wrong = Connect::credentials(Protocol::V5, "eve", b"alice", b"guessed");
    let attempt = bench.attempt(&psk("key-7", &device), PSK, &wrong);
    assert!(matches!(&attempt.reply, Reply::Connack(connack) if connack.reason() != 0), "{:02x?}", attempt.reply);
    // An identity that nobody else knows either.
    bench.assert_fails(&psk("key-8", &device));
}

/// Mosquitto before 2.1 asks its file first, and no plugin about an identity that is not in it.
fn l2_identities_of_the_brokers_own_file_are_left_to_it(ctx: &Ctx) {
    let own = Key::oct(16);
    let hex: String = own.secret().iter().map(|byte| format!("{byte:02x}")).collect();
    let bench = bench(ctx, |setup| {
        setup
            .mqtt(r#"other_clients = "defer""#)
            .file("psks", &format!("alice:{hex}\n"))
            .file("acl", "user alice\ntopic readwrite home/#\n")
            .conf("psk_file {dir}/psks")
            .conf("acl_file {dir}/acl")
    });
    let mut alice = bench.enter(&Psk::new(b"alice", own.secret()), PSK_BY_NAME, "alice");
    alice.round_trip("home/kitchen");
    assert!(!may_publish(&mut alice, "dev/psk"));
    // With such a file there is no TLS 1.3.
    let device = bench.device("sensor", Key::oct(32).named("key-7"), |claims| claims);
    device.attempt_over(bench.broker.open_with(tls::tls12()), Way::Challenge).accepted().ping();
    if ctx.version.number.starts_with("2.0") {
        bench.assert_fails(&psk("key-7", &device));
    } else {
        bench.enter(&psk("key-7", &device), PSK, "sensor").round_trip("dev/psk");
        bench.assert_fails(&psk("key-8", &device));
    }
}

fn l2_sessions_survive_a_reload(ctx: &Ctx) {
    let mut bench = bench(ctx, |setup| setup);
    let device = bench.known("sensor", Key::oct(32).named("key-7"));
    let mut clients =
        [(PSK, "one"), (PSK_BY_NAME, "other")].map(|(listener, id)| bench.enter(&psk("key-7", &device), listener, id));
    let setup = bench.broker.setup().clone();
    for _ in 0..2 {
        for client in &mut clients {
            client.round_trip("dev/psk");
            assert!(!may_publish(client, "other"));
        }
        bench.broker.reload(&setup);
    }
}

/// On a listener for pre-shared keys, where the name comes from TLS or does not.
fn l5_a_token_in_connect_replaces_what_the_psk_gave(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup);
    let started = now();
    let device = bench.known("sensor", Key::oct(32).named("key-7"));
    let brought = bench.broker.device_scoped("brought", &[("more/#", &["pub"])]);
    for version in VERSIONS {
        for listener in [PSK, PSK_BY_NAME] {
            let client = Client::psk(psk("key-7", &device).option(version).open(bench.broker.port(listener)));
            let mut client = brought.attempt_over(client, Way::Challenge).accepted();
            assert!(may_publish(&mut client, "more/x") && !may_publish(&mut client, "dev/psk"));
            // What comes later for the pre-shared key does not matter to it any more.
            bench.show(&device);
            assert!(may_publish(&mut client, "more/x") && !may_publish(&mut client, "dev/psk"));
        }
        // Its proofs must not be from before the broker's start, and are dated to the second.
        while now().as_secs() == started.as_secs() {
            std::thread::yield_now();
        }
        let client = Client::psk(psk("key-7", &device).option(version).open(bench.broker.port(PSK)));
        let mut client = brought.attempt_over(client, Way::Draft00Signed(Protocol::V5)).accepted();
        assert!(may_publish(&mut client, "more/x") && !may_publish(&mut client, "dev/psk"));
    }
}

fn l2_the_session_ends_with_the_token(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup.tokens("leeway = \"0s\""));
    for (listener, id) in [(PSK, "one"), (PSK_BY_NAME, "other")] {
        let device = bench.device("sensor", Key::oct(32).named("key-7"), |claims| claims.expires_in(6));
        bench.show(&device);
        let mut client = bench.enter(&psk("key-7", &device), listener, id);
        client.round_trip("dev/psk");
        let _: Vec<_> = client.expect_not_authorized();
        let line = bench.broker.wait_for_line(&[&format!("the session of client \"{id}\" ends: token-expired")]);
        assert!(line.contains("(token "), "{line}");
    }
}
