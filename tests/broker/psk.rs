//! L2: clients that authenticate by TLS-PSK and bring nothing in CONNECT.

use serde_json::json;

use crate::support::case::cases;
use crate::support::client::Client;
use crate::support::jwe::{self, Management};
use crate::support::psk::Psk;
use crate::support::{Attempt, Authority, Broker, Claims, Connect, Ctx, Device, Key, Protocol, Reply, Setup, Way};

cases! {
    Accept "L2" l2_each_form_of_identity_names_the_token;
    Accept "L2" l2_the_token_itself_is_an_identity;
    Accept "L2" l2_with_the_identity_as_user_name;
    Accept "L2" l2_keys_of_any_bytes_are_taken;
    Accept "L2" l2_a_newer_token_counts_at_once;
    Refuse "L2" l2_an_identity_that_names_no_token_is_refused;
    Refuse "L2" l2_another_key_fails_the_handshake;
    Refuse "L2" l2_an_expired_token_is_refused;
    Refuse "L2" l2_an_asymmetric_key_is_refused;
    Refuse "L2" l2_nothing_beyond_the_scope;
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
            let mut attempt = bench.attempt(&again, listener, &Connect::new(Protocol::V5, "sensor"));
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
    }
}

fn l2_the_session_ends_with_the_token(ctx: &Ctx) {
    let bench = bench(ctx, |setup| setup.tokens("leeway = \"0s\""));
    for (listener, id) in [(PSK, "one"), (PSK_BY_NAME, "other")] {
        let device = bench.device("sensor", Key::oct(32).named("key-7"), |claims| claims.expires_in(4));
        bench.show(&device);
        let mut client = bench.enter(&psk("key-7", &device), listener, id);
        client.round_trip("dev/psk");
        let _: Vec<_> = client.expect_not_authorized();
        let line = bench.broker.wait_for_line(&[&format!("the session of client \"{id}\" ends: token-expired")]);
        assert!(line.contains("(token "), "{line}");
    }
}
