//! T2: tokens that only their server can read, and tokens that their server is asked about besides (RFC 7662, RFC 9200 §5.9).

use std::thread;

use serde_json::{Value, json};

use crate::support::case::cases;
use crate::support::introspector::{SECRET, asking};
use crate::support::{
    Answer, Authority, Claims, Ctx, Device, Gate, HttpsServer, Introspector, Key, Protocol, Setup, Way, now,
};

cases! {
    Accept "T2" t2_opaque_token_is_what_its_server_says;
    Accept "T2" t2_server_gives_the_symmetric_key;
    Accept "T2" t2_many_wait_for_one_answer;
    Accept "T2" t2_second_server_knows_the_token;
    Accept "T2" t2_signed_token_is_confirmed;
    Accept "T2" t2_signed_token_of_a_server_without_keys_is_asked_about;
    Accept "T2" t2_server_that_was_down_is_asked_when_it_is_back;
    Refuse "T2" t2_token_that_is_not_active_lets_nobody_in;
    Refuse "T2" t2_answers_for_others_let_nobody_in;
    Refuse "T2" t2_server_that_fails_lets_nobody_in;
    Refuse "T2" t2_token_of_nobodys_is_not_shown_to_anybody;
    Refuse "T2" t2_signed_token_ends_with_its_confirmation;
    Refuse "T2" t2_right_token_with_a_wrong_proof_lets_nobody_in;
}

/// The ways in which a token that is no JWT can come as it is.
const WAYS: [Way; 2] = [Way::Exporter, Way::Challenge];
const PATH: &str = "/introspect";

fn answer(said: &Value) -> Answer {
    Answer::ok("application/json", said.to_string().into_bytes())
}

/// What a server says that has nothing to say of a token but that it is active.
fn active() -> Value {
    json!({"active": true})
}

fn t2_opaque_token_is_what_its_server_says(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&[]).start(ctx);
    for way in WAYS {
        let device =
            introspector.device_with(&format!("{way:?}"), Key::p256(), |claims| claims.scope(&[("own/#", &["pub"])]));
        let mut client = device.enter(&broker, way);
        assert_eq!(
            (client.publish1("own/topic", b"x"), client.publish1("dev/a", b"x")),
            (0x10, 0x87),
            "nobody listens"
        );
        // And once more, by what is known.
        drop(client);
        drop(device.enter(&broker, way));
        assert_eq!(introspector.asked_about(&device), 1);
    }
    let requests = introspector.server.requests();
    for request in &requests {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", PATH));
        assert_eq!(request.field("token_type_hint").as_deref(), Some("access_token"));
        assert_eq!(request.basic(), Some(("broker".to_owned(), SECRET.to_owned())));
    }
    let log = broker.stop();
    assert!(log.contains("ace: introspection: active=2 inactive=0"), "the counters at the end: {log}");
}

/// What only the broker reads may have the key in clear.
fn t2_server_gives_the_symmetric_key(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&[]).start(ctx);
    for way in WAYS {
        let device = introspector.device_with(&format!("{way:?}"), Key::oct(32), |claims| claims);
        device.enter(&broker, way).round_trip("dev/a");
    }
}

/// Many clients with one token, all at the same time: the server is asked once.
fn t2_many_wait_for_one_answer(ctx: &Ctx) {
    let device = Introspector::stranger("device", Key::ed25519());
    let (gate, claims) = (Gate::shut(), Authority::new().claims("device", &device.key).set("active", true));
    let (said, wait) = (Value::Object(claims.0), gate.clone());
    let server = HttpsServer::start(move |_| answer(&said).when(&wait));
    let broker = asking(Setup::new(), &server.url(PATH), &["timeout = \"20s\""]).start(ctx);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..10)
            .map(|number| {
                let (device, broker) = (Device { id: format!("device {number}"), ..device.clone() }, &broker);
                scope.spawn(move || device.enter(broker, Way::Challenge))
            })
            .collect();
        server.wait_for_connections(1);
        gate.open();
        for client in clients {
            client.join().unwrap().round_trip("dev/a");
        }
    });
    assert_eq!(server.requests().len(), 1);
}

fn t2_second_server_knows_the_token(ctx: &Ctx) {
    let (first, second) = (Introspector::start(), Introspector::start());
    let setup = first.setup(&[]).server("[[authorization_server]]\nissuer = \"https://second.test\"");
    let broker = asking(setup, &second.server.url(PATH), &[]).start(ctx);
    let device = second.device_with("device", Key::ed25519(), |claims| claims.set("iss", "https://second.test"));
    device.enter(&broker, Way::Exporter).round_trip("dev/a");
    assert_eq!((first.asked_about(&device), second.asked_about(&device)), (1, 1));
    Introspector::stranger("stranger", Key::ed25519())
        .attempt(&broker, Way::Exporter)
        .refused(&broker, "token-inactive");
}

fn t2_signed_token_is_confirmed(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&["introspect_jwt = true"]).start(ctx);
    for way in [Way::Exporter, Way::Challenge, Way::UserName(Protocol::V311)] {
        let device = broker.device(&format!("{way:?}"));
        introspector.say(&device, active());
        device.enter(&broker, way).round_trip("dev/a");
        assert_eq!(introspector.asked_about(&device), 1);
    }
}

fn t2_signed_token_of_a_server_without_keys_is_asked_about(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&[]).keys_by_url(None).start(ctx);
    let device = broker.device("device");
    let claims = broker.setup().authority.claims("device", &device.key).set("active", true);
    introspector.say(&device, Value::Object(claims.0));
    device.enter(&broker, Way::Challenge).round_trip("dev/a");
    broker.device("stranger").attempt(&broker, Way::Challenge).refused(&broker, "token-inactive");
}

/// That it could not be asked is not remembered against a token.
fn t2_server_that_was_down_is_asked_when_it_is_back(ctx: &Ctx) {
    let port = crate::support::broker::free_port();
    let setup = asking(Setup::new(), &format!("https://localhost:{port}{PATH}"), &[]);
    let broker = setup.start(ctx);
    let mut device = Introspector::stranger("device", Key::ed25519());
    for way in WAYS {
        device.attempt(&broker, way).unavailable(&broker);
    }
    broker.wait_for_line(&["ace: the introspection endpoint", "cannot be reached"]);
    let introspector = Introspector::start_at(port);
    let claims = Authority::new().claims("device", &device.key).set("active", true);
    introspector.say(&device, Value::Object(claims.0));
    for way in WAYS {
        device.id = format!("device {way:?}");
        device.enter(&broker, way).round_trip("dev/a");
    }
    broker.wait_for_line(&["ace: the introspection endpoint", "can be asked again"]);
}

fn t2_token_that_is_not_active_lets_nobody_in(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&[]).start(ctx);
    for way in WAYS {
        let stranger = Introspector::stranger(&format!("{way:?}"), Key::ed25519());
        stranger.attempt(&broker, way).refused(&broker, "token-inactive");
        // The server is not asked each time.
        stranger.attempt(&broker, way).refused(&broker, "token-inactive");
        assert_eq!(introspector.asked_about(&stranger), 1);
    }
}

fn t2_answers_for_others_let_nobody_in(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&[]).start(ctx);
    type Change = fn(Claims) -> Claims;
    let cases: [(&str, Change); 5] = [
        ("audience-foreign", |claims| claims.set("aud", "another-broker")),
        ("issuer-foreign", |claims| claims.set("iss", "https://other.test")),
        ("token-expired", |claims| claims.expires_in(-60)),
        ("bearer-refused", |claims| claims.without("cnf")),
        ("expiry-missing", |claims| claims.without("exp")),
    ];
    for (code, change) in cases {
        for way in WAYS {
            let device = introspector.device_with(&format!("{code} {way:?}"), Key::ed25519(), change);
            device.attempt(&broker, way).refused(&broker, code);
        }
    }
}

/// A server that answers in any way but the right one: the client is told that it may come again, and the next server's answer counts.
fn t2_server_that_fails_lets_nobody_in(ctx: &Ctx) {
    let good = json!({"active": true, "aud": "broker"});
    let body = good.to_string().into_bytes();
    for fails in [
        Answer::status(500),
        Answer::status(401),
        Answer::status(429).header("Retry-After", "1"),
        Answer::redirect("/elsewhere"),
        Answer::closed(),
        Answer::never(),
        Answer::ok("application/json", b"{\"active\":tr".to_vec()),
        Answer::ok("application/json", b"{\"active\":\"true\"}".to_vec()),
        Answer::ok("text/html", body.clone()),
        Answer::ok("application/json", body.clone()).cut_after(60),
        Answer::ok("application/json", vec![b' '; 1024]).endless(),
    ] {
        let name = format!("{fails:?}");
        let server = HttpsServer::start(move |_| fails.clone());
        let broker = asking(Setup::new(), &server.url(PATH), &["timeout = \"500ms\""]).start(ctx);
        let mut inside = broker.device("inside").enter(&broker, Way::Exporter);
        let device = Introspector::stranger("device", Key::ed25519());
        device.attempt(&broker, Way::Challenge).unavailable(&broker);
        broker.wait_for_line(&["ace: the introspection endpoint", "what it has said counts"]);
        assert!(server.requests().iter().all(|request| request.target == PATH), "{name}");
        inside.round_trip("dev/a");
    }
}

fn t2_token_of_nobodys_is_not_shown_to_anybody(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&[]).start(ctx);
    let foreign = Authority { issuer: "https://unknown.test".into(), ..Authority::new() };
    let device = Device::new(&foreign, "foreign", Key::ed25519(), |claims| claims);
    device.attempt(&broker, Way::Challenge).refused(&broker, "issuer-unknown");
    let device = Device::new(&broker.setup().authority, "forged", Key::ed25519(), |claims| claims);
    let forged = Device { token: format!("{}AAAA", &device.token[..device.token.len() - 4]), ..device };
    forged.attempt(&broker, Way::Challenge).refused(&broker, "signature-wrong");
    let long = "t".repeat(32 * 1024 + 1);
    for (id, token, code) in [
        ("short", "short", "token-not-jwt"),
        ("two lines", "with a line\nend in it", "token-not-jwt"),
        ("not ASCII", "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", "token-not-jwt"),
        ("long", &long, "token-too-large"),
    ] {
        let device = Device { id: id.into(), token: token.into(), key: Key::ed25519() };
        device.attempt(&broker, Way::Challenge).refused(&broker, code);
    }
    assert!(introspector.server.requests().is_empty());
}

/// The answer can end a signed token sooner, and cannot let it live longer.
fn t2_signed_token_ends_with_its_confirmation(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&["introspect_jwt = true"]).tokens("leeway = \"0\"").start(ctx);
    let device = broker.device("sooner");
    introspector.say(&device, json!({"active": true, "exp": now().as_secs() + 2}));
    let mut client = device.enter(&broker, Way::Challenge);
    client.round_trip("dev/a");
    client.expect_not_authorized();
    let unknown = broker.device("unknown");
    unknown.attempt(&broker, Way::Challenge).refused(&broker, "token-inactive");
}

fn t2_right_token_with_a_wrong_proof_lets_nobody_in(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&[]).start(ctx);
    for way in WAYS {
        let device = introspector.device_with(&format!("{way:?}"), Key::ed25519(), |claims| claims);
        device.with_key(Key::ed25519()).attempt(&broker, way).refused(&broker, "proof-wrong");
    }
}
