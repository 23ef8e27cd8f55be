//! What an operator sees: configuration, reload, other clients, listeners without TLS, the end.

use aws_lc_rs::pbkdf2::{PBKDF2_HMAC_SHA512, derive};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::num::NonZeroU32;

use crate::support::case::cases;
use crate::support::key::random;
use crate::support::packet::kind;
use crate::support::{Attempt, Authority, Broker, Client, Connect, Ctx, Device, Key, Protocol, Setup, Way};

cases! {
    Refuse "V3" operating_other_clients_are_refused;
    Accept "V3" operating_other_clients_are_left_to_the_password_file_if_so_configured;
    Refuse "S2" operating_subject_gets_nothing_of_a_user_of_the_same_name;
    Accept "T3" operating_token_without_subject_is_accepted;
    Accept "C2" operating_one_plugin_per_listener_serves_each;
    Refuse "V3" operating_ace_material_is_never_left_to_the_password_file;
    Refuse "V3" operating_anonymous_is_refused_unless_allowed;
    Accept "C3" operating_challenge_works_without_tls;
    Refuse "C2" operating_exporter_proof_without_tls_is_refused;
    Accept "T3" operating_subject_is_the_user_name_in_the_log;
    Accept "T1" operating_reload_brings_new_keys;
    Refuse "T1" operating_reload_takes_old_keys_away;
    Accept "T6" operating_reload_brings_new_configuration;
    Refuse "T6" operating_broken_new_file_keeps_the_old_one_in_force;
    Refuse "T1" operating_broken_new_keys_keep_the_old_ones_in_force;
    Refuse "T3" operating_broken_file_stops_the_start;
    Refuse "T1" operating_broken_keys_stop_the_start;
    Accept "E1" operating_broker_ends_in_order_with_clients_connected;
}

fn operating_other_clients_are_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for protocol in [Protocol::V311, Protocol::V5] {
        for user in ["alice", "acerola", "Ace", ""] {
            let connect = Connect::credentials(protocol, "other", user.as_bytes(), b"secret");
            Attempt::make(broker.open(), &connect).refused(&broker, "token-missing");
        }
    }
}

/// Mosquitto's password file: PBKDF2 with HMAC-SHA-512.
pub fn password_line(user: &str, password: &str) -> String {
    let salt = random(12);
    let mut hash = [0; 64];
    let iterations = NonZeroU32::new(101).unwrap();
    derive(PBKDF2_HMAC_SHA512, iterations, &salt, password.as_bytes(), &mut hash);
    let (salt, hash) = (STANDARD.encode(salt), STANDARD.encode(hash));
    format!("{user}:$7$101${salt}${hash}\n")
}

fn deferring() -> Setup {
    let users = [password_line("alice", "open sesame"), password_line("ace", "{open sesame")];
    Setup::new()
        .mqtt(r#"other_clients = "defer""#)
        .mqtt(r#"public_subscribe = ["hello/#"]"#)
        .file("passwords", &users.concat())
        .file("acl", "user alice\ntopic readwrite home/#\ntopic read dev/#\n")
        .conf("password_file {dir}/passwords")
        .conf("acl_file {dir}/acl")
}

fn operating_other_clients_are_left_to_the_password_file_if_so_configured(ctx: &Ctx) {
    let broker = deferring().start(ctx);
    for protocol in [Protocol::V311, Protocol::V5] {
        let alice = Connect::credentials(protocol, "alice-client", b"alice", b"open sesame");
        let mut alice = Attempt::make(broker.open(), &alice).accepted();
        alice.round_trip("home/kitchen");
        let wrong = Connect::credentials(protocol, "eve", b"alice", b"guessed");
        let mut eve = broker.open();
        eve.connect(&wrong);
        assert_ne!(eve.expect(kind::CONNACK).reason(), 0);
        eve.expect_close();
        // Each kind of client is judged by its own rules.
        let device = broker.device("sensor");
        let mut device = device.enter(&broker, Way::UserName(Protocol::V5));
        device.round_trip("dev/a");
        assert_eq!(device.publish1("home/kitchen", b""), 0x87);
        assert_eq!(alice.subscribe(&["dev/a"]), [0]);
        device.publish1("dev/a", b"for alice");
        assert_eq!(alice.message().payload, b"for alice");
        if protocol == Protocol::V5 {
            assert_eq!(alice.publish1("dev/a", b""), 0x87);
        }
        alice.round_trip("home/kitchen");
    }
    broker.stop();
}

/// The subject becomes the client's user name; what the broker's own files grant to that name is not for it.
fn operating_subject_gets_nothing_of_a_user_of_the_same_name(ctx: &Ctx) {
    let broker = deferring().start(ctx);
    for way in [Way::Challenge, Way::UserName(Protocol::V5)] {
        let mut alice = broker.device("alice").enter(&broker, way);
        alice.round_trip("dev/a");
        assert_eq!(alice.publish1("home/kitchen", b""), 0x87);
        assert_eq!(alice.subscribe(&["home/kitchen", "hello/a"]), [0x87, 0]);
    }
}

fn operating_token_without_subject_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let authority = &broker.setup().authority;
    let device = Device::new(authority, "sensor", Key::ed25519(), |claims| claims.without("sub"));
    for way in [Way::Challenge, Way::Exporter, Way::UserName(Protocol::V311)] {
        device.enter(&broker, way).round_trip("dev/a");
    }
}

/// With `per_listener_settings` the broker loads the plugin once for each listener that names it.
fn operating_one_plugin_per_listener_serves_each(ctx: &Ctx) {
    let mut setup = Setup::new().plain_listener().websocket_listener();
    setup.is_per_listener = true;
    let mut broker = setup.start(ctx);
    let again = broker.setup().clone();
    for _ in 0..2 {
        let device = broker.device("sensor");
        let mut clients = [
            device.attempt(&broker, Way::Exporter).accepted(),
            broker.device("plain").attempt_over(broker.open_plain(), Way::Challenge).accepted(),
            broker.device("web").attempt_over(broker.open_websocket(), Way::Exporter).accepted(),
        ];
        for client in &mut clients {
            client.round_trip("dev/a");
            assert_eq!(client.publish1("secret", b""), 0x87);
        }
        device.with_key(Key::ed25519()).attempt(&broker, Way::Exporter).refused(&broker, "proof-wrong");
        broker.reload(&again);
        for client in &mut clients {
            client.round_trip("dev/a");
        }
    }
    broker.stop();
}

/// A refused token gets no second chance with a password file, even where the user name stands there.
fn operating_ace_material_is_never_left_to_the_password_file(ctx: &Ctx) {
    let broker = deferring().start(ctx);
    let thief = broker.device("thief").with_key(Key::ed25519());
    for way in [Way::Challenge, Way::Exporter, Way::UserName(Protocol::V311), Way::Draft00(Protocol::V311)] {
        thief.attempt(&broker, way).refused(&broker, "proof-wrong");
    }
    let ace = Connect::credentials(Protocol::V311, "ace-user", b"ace", b"{open sesame");
    Attempt::make(broker.open(), &ace).refused(&broker, "draft00-not-json");
}

fn operating_anonymous_is_refused_unless_allowed(ctx: &Ctx) {
    // The broker's own switch does not count: the plugin speaks first.
    let broker = Setup::new().conf("allow_anonymous true").mqtt(r#"public_publish = ["hello/#"]"#).start(ctx);
    for protocol in [Protocol::V311, Protocol::V5] {
        let anonymous = Connect::new(protocol, "anybody");
        Attempt::make(broker.open(), &anonymous).refused(&broker, "anonymous-not-allowed");
    }
}

fn operating_challenge_works_without_tls(ctx: &Ctx) {
    let broker = Setup::new().plain_listener().start(ctx);
    broker.device("sensor").attempt_over(broker.open_plain(), Way::Challenge).accepted().round_trip("dev/a");
}

fn operating_exporter_proof_without_tls_is_refused(ctx: &Ctx) {
    let mut broker = Setup::new().plain_listener().start(ctx);
    let device = broker.device("sensor");
    // The value of some TLS session, since there is none here; one is open beside it.
    let beside = broker.open();
    for way in crate::support::device::EXPORTER_WAYS {
        let connect = device.connect(&beside, way);
        Attempt::make(broker.open_plain(), &connect).refused(&broker, "exporter-without-tls");
    }
    broker.assert_alive();
}

fn operating_subject_is_the_user_name_in_the_log(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for (number, way) in [Way::Challenge, Way::Exporter, Way::UserName(Protocol::V311), Way::Draft00(Protocol::V311)]
        .into_iter()
        .enumerate()
    {
        let id = format!("client-{number}");
        let subject = format!("subject-{number}");
        let authority = &broker.setup().authority;
        let device = Device::new(authority, &id, Key::ed25519(), |claims| claims.set("sub", subject.as_str()));
        device.enter(&broker, way).ping();
        let user = format!("u'{subject}'");
        broker.wait_for_line(&["New client connected", &id, &user]);
    }
}

/// A change of keys: the old one goes, a new one comes.
fn rotated(broker: &Broker) -> Setup {
    let mut setup = broker.setup().clone();
    setup.authority = Authority::signing_with(Key::p256().named("new-key"));
    setup
}

fn operating_reload_brings_new_keys(ctx: &Ctx) {
    let mut broker = Setup::new().start(ctx);
    let mut connected = broker.device("connected").enter(&broker, Way::Challenge);
    let rotated = rotated(&broker);
    let device = Device::new(&rotated.authority, "sensor", Key::ed25519(), |claims| claims);
    device.attempt(&broker, Way::Challenge).refused(&broker, "key-unknown");
    broker.reload(&rotated);
    device.enter(&broker, Way::Challenge).round_trip("dev/a");
    connected.round_trip("dev/b");
}

fn operating_reload_takes_old_keys_away(ctx: &Ctx) {
    let mut broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    device.enter(&broker, Way::Challenge).round_trip("dev/a");
    broker.reload(&rotated(&broker));
    device.attempt(&broker, Way::Challenge).refused(&broker, "key-unknown");
}

/// Comes in with a token that is bound to no key.
fn bearer(broker: &Broker) -> Attempt {
    let authority = &broker.setup().authority;
    let device = Device::new(authority, "bearer", Key::ed25519(), |claims| claims.without("cnf"));
    let client: Client = broker.open();
    let connect = device.connect(&client, Way::Challenge);
    Attempt::make(client, &connect)
}

fn operating_reload_brings_new_configuration(ctx: &Ctx) {
    let mut broker = Setup::new().start(ctx);
    bearer(&broker).refused(&broker, "bearer-refused");
    let mut connected = broker.device("sensor").enter(&broker, Way::Challenge);
    assert_eq!(connected.publish1("hello/a", b""), 0x87);
    let setup = broker.setup().clone();
    broker.reload(&setup.tokens("allow_bearer = true").mqtt(r#"public_publish = ["hello/#"]"#));
    bearer(&broker).accepted().ping();
    assert!(connected.publish1("hello/a", b"") < 0x80);
    broker.stop();
}

fn operating_broken_new_file_keeps_the_old_one_in_force(ctx: &Ctx) {
    let mut broker = Setup::new().start(ctx);
    for (line, reason) in
        [("allow_bearer = ", "ace.toml:"), ("alow_bearer = true", "alow_bearer"), ("leeway = \"soon\"", "leeway")]
    {
        let broken = broker.setup().clone().tokens("allow_bearer = true").tokens(line);
        broker.reload(&broken);
        broker.wait_for_line(&["ace: ", "ace.toml:", reason]);
        bearer(&broker).refused(&broker, "bearer-refused");
        broker.device("sensor").enter(&broker, Way::Challenge).round_trip("dev/a");
    }
    broker.stop();
}

fn operating_broken_new_keys_keep_the_old_ones_in_force(ctx: &Ctx) {
    let mut broker = Setup::new().start(ctx);
    let stranger = rotated(&broker);
    for broken in ["", "{", "{\"keys\":7}", "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}]}"] {
        let setup = broker.setup().clone().file("as-jwks.json", broken);
        broker.reload(&setup);
        broker.wait_for_line(&["ace: ", "as-jwks.json"]);
        broker.device("sensor").enter(&broker, Way::Challenge).round_trip("dev/a");
    }
    Device::new(&stranger.authority, "stranger", Key::ed25519(), |claims| claims)
        .attempt(&broker, Way::Challenge)
        .refused(&broker, "key-unknown");
}

const GOOD: &str = r#"audience = "broker.test"
[[authorization_server]]
issuer = "https://as.test"
jwks = "{dir}/as-jwks.json"
"#;

/// Each broken configuration, and what the log must name: the line, and a word of the reason.
fn operating_broken_file_stops_the_start(ctx: &Ctx) {
    for (more, line, reason) in [
        ("[tokens]\nalow_bearer = true\n", 6, "alow_bearer"),
        ("[tokens]\nleeway = \"soon\"\n", 6, "soon"),
        ("[tokens]\nleeway = 5\n", 6, "leeway"),
        ("[tokens]\nallow_bearer = \"yes\"\n", 6, "allow_bearer"),
        ("[tokens\n", 5, ""),
        ("[mqtt]\npublic_publish = [\"a/#/b\"]\n", 6, "a/#/b"),
        ("[mqtt]\non_denied_publish = \"shout\"\n", 6, "on_denied_publish"),
        ("[mqtt]\nother_clients = \"maybe\"\n", 6, "other_clients"),
        ("[mqtt]\nauthz_info_topic = \"tokens/+\"\n", 6, "wildcard"),
        ("as_hint = \"http://as.test/token\"\n", 5, "https"),
        ("algorithms = [\"none\"]\n", 5, "none"),
    ] {
        let mut setup = Setup::new();
        setup.verbatim = Some(format!("{GOOD}{more}"));
        let (status, log) = Broker::start_in_vain(ctx, setup);
        assert!(!status.success(), "{more}: the broker came up");
        let place = format!("ace.toml:{line}");
        assert!(
            log.lines().any(|text| text.contains("ace: ") && text.contains(&place) && text.contains(reason)),
            "no line with {place} and {reason:?}:\n{log}"
        );
    }
}

fn operating_broken_keys_stop_the_start(ctx: &Ctx) {
    for broken in [
        "",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}]}",
    ] {
        let setup = Setup::new().file("as-jwks.json", broken);
        let (status, log) = Broker::start_in_vain(ctx, setup);
        assert!(!status.success(), "{broken}: the broker came up");
        assert!(log.lines().any(|text| text.contains("ace: ") && text.contains("as-jwks.json")), "{log}");
    }
    let mut missing = Setup::new();
    missing.verbatim = Some(GOOD.replace("as-jwks.json", "nowhere.json"));
    let (status, log) = Broker::start_in_vain(ctx, missing);
    assert!(!status.success() && log.contains("nowhere.json"), "{log}");
}

fn operating_broker_ends_in_order_with_clients_connected(ctx: &Ctx) {
    let broker = Setup::new().plain_listener().start(ctx);
    let mut clients = Vec::new();
    for (number, way) in [
        Way::Challenge,
        Way::Exporter,
        Way::UserName(Protocol::V311),
        Way::UserName(Protocol::V5),
        Way::Draft00(Protocol::V311),
    ]
    .into_iter()
    .enumerate()
    {
        let device = broker.device(&format!("sensor-{number}"));
        let mut client = device.enter(&broker, way);
        client.round_trip("dev/a");
        clients.push(client);
    }
    // One in the middle of a challenge, one in the middle of nothing.
    let device = broker.device("challenged");
    let waiting = broker.open();
    let connect = device.connect(&waiting, Way::Challenge);
    let waiting = Attempt::make(waiting, &connect);
    let (idle, plain) = (broker.open(), broker.open_plain());
    broker.stop();
    drop((waiting, idle, plain, clients));
}
