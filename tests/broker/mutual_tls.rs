//! L3: clients that show a certificate and bring nothing in CONNECT. L5: a token in CONNECT replaces what TLS gave.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use serde_json::{Value, json};

use crate::operating::password_line;
use crate::support::authority::AUDIENCE;
use crate::support::broker::PATIENCE;
use crate::support::case::cases;
use crate::support::client::Client;
use crate::support::packet::{DISCONNECT, Will, binary, kind};
use crate::support::pki::pki;
use crate::support::setup::MUTUAL;
use crate::support::{
    Attempt, Broker, Claims, Connect, Ctx, Device, Key, Protocol, Reply, Setup, Way, encode, now, tls,
};

cases! {
    Accept "L3" l3_the_certificates_key_is_the_tokens;
    Accept "L3" l3_the_token_names_the_certificate;
    Accept "L3" l3_a_token_for_the_certificate_may_come_in_connect;
    Accept "L3" l3_a_resumed_session_is_still_the_clients;
    Accept "L3" l3_a_newer_token_counts_at_once;
    Accept "L3" l3_placeholders_are_filled_in_for_each_client;
    Accept "L3" l3_a_will_is_sent_though_the_client_never_did_anything;
    Accept "L3" l3_queued_messages_reach_a_client_that_comes_back;
    Accept "L3" l3_sessions_survive_a_reload;
    Accept "L3" l3_over_websockets_too;
    Accept "L3" l3_other_clients_have_their_passwords;
    Accept "L3" l3_a_token_shown_on_one_listener_serves_on_another;
    Refuse "L3" l3_listeners_of_different_configurations_share_no_tokens;
    Refuse "L3" l3_a_certificate_without_a_token_brings_nothing;
    Refuse "L3" l3_the_certificate_of_another_key_brings_nothing;
    Refuse "L3" l3_a_token_for_another_certificate_is_refused;
    Refuse "L3" l3_a_proof_beside_a_certificate_is_refused;
    Refuse "L3" l3_nothing_beyond_the_scope;
    Refuse "L3" l3_the_session_ends_with_the_token;
    Refuse "L3" l3_a_client_that_comes_back_is_judged_anew;
    Accept "L5" l5_a_token_in_connect_replaces_what_tls_gave;
    Refuse "L5" l5_a_bad_token_in_connect_is_refused;
    Pin "E1" e1_sessions_stay_without_rights_on_2_0_11_with_settings_per_listener;
    Pin "L5" l5_a_token_in_the_user_name_is_not_seen_where_tls_gives_the_name;
}

const BY_TOKEN: usize = 0;
const BY_NAME: usize = 1;
const BY_SUBJECT: usize = 2;
const ALL: [usize; 3] = [BY_TOKEN, BY_NAME, BY_SUBJECT];

/// Listeners that ask for certificates: one that leaves user names alone, and two that make them.
fn setup() -> Setup {
    let with = |name: &'static str| [&MUTUAL[..], &[name]].concat();
    Setup::new()
        .listener(&MUTUAL)
        .listener(&with("use_identity_as_username true"))
        .listener(&with("use_subject_as_username true"))
}

/// A client's certificate and its key.
pub struct Holder {
    key: Key,
    certificate: CertificateDer<'static>,
}

impl Holder {
    pub fn new(key: Key) -> Self {
        let certificate = pki().client_certificate(&key, "common-name");
        Self { key, certificate }
    }

    /// The certificate's key.
    pub fn key(&self) -> Key {
        self.key.clone()
    }

    fn config(&self, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        tls::with_certificate(version, &self.certificate, &self.key, Resumption::disabled())
    }

    fn open(&self, broker: &Broker, listener: usize) -> Client {
        Client::tls(broker.port(listener), self.config(&TLS13))
    }

    /// Tries to come in with the certificate.
    pub fn attempt(&self, broker: &Broker, listener: usize, connect: &Connect) -> Attempt {
        Attempt::make(self.open(broker, listener), connect)
    }

    fn enter(&self, broker: &Broker, listener: usize, id: &str) -> Client {
        self.attempt(broker, listener, &Connect::new(Protocol::V5, id)).accepted()
    }

    /// The confirmation that names the certificate.
    fn confirmation(&self) -> Value {
        json!({ "x5t#S256": encode(digest(&SHA256, &self.certificate).as_ref()) })
    }

    /// A device whose token is bound to the certificate.
    pub fn device(&self, broker: &Broker, id: &str, change: impl FnOnce(Claims) -> Claims) -> Device {
        let claims = |claims: Claims| change(claims.set("cnf", self.confirmation()));
        Device::new(&broker.setup().authority, id, self.key.clone(), claims)
    }

    /// Shows the broker a token that is bound to the certificate.
    fn show(&self, broker: &Broker, device: &Device) {
        let connect = Connect::ace(&device.id, binary(device.token.as_bytes()));
        self.attempt(broker, BY_TOKEN, &connect).accepted().ping();
    }
}

/// Whether a message at QoS 1 is taken, even if nobody wants it.
fn may_publish(client: &mut Client, topic: &str) -> bool {
    let reason = client.publish1(topic, b"x");
    assert!(matches!(reason, 0 | 0x10 | 0x87), "{reason:#x}");
    reason < 0x80
}

fn l3_the_certificates_key_is_the_tokens(ctx: &Ctx) {
    let broker = setup().start(ctx);
    for key in [Key::ed25519(), Key::p256()] {
        let holder = Holder::new(key);
        broker.device_with("sensor", holder.key.clone()).enter(&broker, Way::Challenge).ping();
        for version in [&TLS12, &TLS13] {
            for listener in ALL {
                for protocol in [Protocol::V311, Protocol::V5] {
                    let client = Client::tls(broker.port(listener), holder.config(version));
                    Attempt::make(client, &Connect::new(protocol, "tls")).accepted().round_trip("dev/tls");
                }
            }
        }
    }
    broker.wait_for_line(&["New client connected", "as tls", "u'sensor'"]);
    broker.wait_for_line(&["New client connected", "as tls", "u'common-name'"]);
    broker.wait_for_line(&["New client connected", "as tls", "u'CN=common-name,O=devices'"]);
}

fn l3_the_token_names_the_certificate(ctx: &Ctx) {
    let broker = setup().start(ctx);
    for key in [Key::rsa(), Key::ed25519()] {
        let holder = Holder::new(key);
        holder.show(&broker, &holder.device(&broker, "sensor", |claims| claims));
        for listener in ALL {
            holder.enter(&broker, listener, "tls").round_trip("dev/tls");
        }
    }
}

fn l3_a_token_for_the_certificate_may_come_in_connect(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let holder = Holder::new(Key::rsa());
    let device = holder.device(&broker, "sensor", |claims| claims.without("sub"));
    for listener in ALL {
        let connect = Connect::ace("sensor", binary(device.token.as_bytes()));
        holder.attempt(&broker, listener, &connect).accepted().round_trip("dev/tls");
        // The broker holds it now, and asks for no other proof.
        let connect = Connect::ace("sensor", binary(b""));
        holder.attempt(&broker, listener, &connect).accepted().round_trip("dev/tls");
    }
    for protocol in [Protocol::V311, Protocol::V5] {
        let name = format!("ace{}", device.token);
        let connect = Connect::credentials(protocol, "sensor", name.as_bytes(), b"");
        holder.attempt(&broker, BY_TOKEN, &connect).accepted().round_trip("dev/tls");
    }
    broker.wait_for_line(&["New client connected", "as sensor", "u'ace-certificate-"]);
}

/// The resumed session has its secret from the handshake in which the certificate's key was proved.
fn l3_a_resumed_session_is_still_the_clients(ctx: &Ctx) {
    let broker = setup().start(ctx);
    for version in [&TLS12, &TLS13] {
        let holder = Holder::new(Key::p256());
        broker.device_with("sensor", holder.key.clone()).enter(&broker, Way::Challenge).ping();
        for listener in ALL {
            let resumption = Resumption::in_memory_sessions(8);
            let config = tls::with_certificate(version, &holder.certificate, &holder.key, resumption);
            let open = || Client::tls(broker.port(listener), Arc::clone(&config));
            Attempt::make(open(), &Connect::new(Protocol::V5, "tls")).accepted().round_trip("dev/tls");
            let again = open();
            assert!(again.is_resumed());
            Attempt::make(again, &Connect::new(Protocol::V5, "tls")).accepted().round_trip("dev/tls");
        }
    }
}

fn l3_a_newer_token_counts_at_once(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let holder = Holder::new(Key::ed25519());
    let device = holder.device(&broker, "sensor", |claims| claims);
    let newer = holder.device(&broker, "sensor", |claims| claims.scope(&[("more/#", &["pub"])]));
    for listener in [BY_NAME, BY_SUBJECT, BY_TOKEN] {
        holder.show(&broker, &device);
        let mut client = holder.enter(&broker, listener, "tls");
        assert!(may_publish(&mut client, "dev/tls") && !may_publish(&mut client, "more/x"));
        holder.show(&broker, &newer);
        assert!(may_publish(&mut client, "more/x") && !may_publish(&mut client, "dev/tls"));
    }
    // One that was let in by the broker alone, and had no token yet.
    let holder = Holder::new(Key::ed25519());
    let mut client = holder.enter(&broker, BY_NAME, "early");
    assert!(!may_publish(&mut client, "dev/tls"));
    holder.show(&broker, &holder.device(&broker, "late", |claims| claims));
    assert!(may_publish(&mut client, "dev/tls"));
}

/// Several clients may show one certificate: each has what its token gives a client of its id, and so it is with a newer token.
fn l3_placeholders_are_filled_in_for_each_client(ctx: &Ctx) {
    let broker = setup().server("scope_placeholders = true").start(ctx);
    let holder = Holder::new(Key::ed25519());
    let granting = |filter: &str| holder.device(&broker, "sensor", |claims| claims.scope(&[(filter, &["pub"])]));
    holder.show(&broker, &granting("old/{client_id}"));
    let ids = [(BY_TOKEN, "one"), (BY_NAME, "two"), (BY_SUBJECT, "a+b")];
    let mut clients = ids.map(|(listener, id)| (id, holder.enter(&broker, listener, id)));
    // The broker lets this one in without asking; it has no rights.
    broker.wait_for_line(&["New client connected", "a+b"]);
    for (id, client) in &mut clients[..2] {
        assert!(may_publish(client, &format!("old/{id}")) && !may_publish(client, "old/three"));
    }
    let (_, client) = &mut clients[2];
    assert!(!may_publish(client, "old/x") && !may_publish(client, "old/{client_id}"));
    broker.expect_refusal("a+b", "scope-placeholder");
    holder.show(&broker, &granting("new/{client_id}/{sub}"));
    for (id, client) in &mut clients[..2] {
        assert!(may_publish(client, &format!("new/{id}/sensor")) && !may_publish(client, &format!("old/{id}")));
        assert!(!may_publish(client, "new/{client_id}/sensor") && !may_publish(client, "new/three/sensor"));
    }
    let (_, client) = &mut clients[2];
    assert!(!may_publish(client, "new/x/sensor"));
    broker.wait_for_line(&["\"a+b\" does not have the rights of its newer token", "scope-placeholder"]);
}

fn l3_a_will_is_sent_though_the_client_never_did_anything(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let holder = Holder::new(Key::ed25519());
    holder.show(&broker, &holder.device(&broker, "sensor", |claims| claims));
    let mut witness = broker.device_scoped("witness", &[("#", &["sub"])]).enter(&broker, Way::Challenge);
    assert_eq!(witness.subscribe(&["#"]), [0]);
    for listener in ALL {
        for (topic, payload) in [("dev/will", "allowed"), ("other", "not")] {
            let will = Will { topic: topic.to_owned(), payload: format!("{payload} {listener}").into_bytes() };
            let connect = Connect { will: Some(will), ..Connect::new(Protocol::V311, "tls") };
            drop(holder.attempt(&broker, listener, &connect).accepted());
        }
        let message = witness.message();
        assert_eq!((message.topic.as_str(), message.payload), ("dev/will", format!("allowed {listener}").into_bytes()));
    }
    // The Wills that were not allowed are not to come, now that clients have come and gone after theirs.
    holder.enter(&broker, BY_TOKEN, "last").round_trip("dev/last");
    assert_eq!(witness.message().topic, "dev/last");
    assert!(witness.messages_so_far().is_empty());
}

/// What the broker asks about first is then not what the client does, but what is delivered to it.
fn l3_queued_messages_reach_a_client_that_comes_back(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let holder = Holder::new(Key::ed25519());
    let device = holder.device(&broker, "sensor", |claims| claims);
    let narrower = holder.device(&broker, "sensor", |claims| claims.scope(&[("dev/a", &["sub"])]));
    let mut publisher = broker.device("publisher").enter(&broker, Way::Challenge);
    for listener in ALL {
        let id = format!("tls-{listener}");
        let connect = Connect { clean_start: false, session_expiry: Some(300), ..Connect::new(Protocol::V5, &id) };
        holder.show(&broker, &device);
        let mut client = holder.attempt(&broker, listener, &connect).accepted();
        assert_eq!(client.subscribe_at(1, &["dev/a", "dev/b"]), [1, 1]);
        client.send(&DISCONNECT);
        client.expect_close();
        for topic in ["dev/b", "dev/a"] {
            assert!(may_publish(&mut publisher, topic));
        }
        let mut client = holder.attempt(&broker, listener, &connect).accepted();
        assert_eq!([client.message().topic, client.message().topic], ["dev/b", "dev/a"]);
        client.send(&DISCONNECT);
        client.expect_close();
        // By what the client may do when it comes back, not when it left.
        for topic in ["dev/b", "dev/a"] {
            assert!(may_publish(&mut publisher, topic));
        }
        holder.show(&broker, &narrower);
        let mut client = holder.attempt(&broker, listener, &connect).accepted();
        let topics: Vec<_> = client.messages_so_far().into_iter().map(|message| message.topic).collect();
        assert!(!topics.iter().any(|topic| topic == "dev/b"), "{topics:?}");
    }
}

/// The broker asks about each client again, or makes its user name of the certificate again.
fn l3_sessions_survive_a_reload(ctx: &Ctx) {
    let setup = setup();
    let mut broker = setup.clone().start(ctx);
    let holder = Holder::new(Key::ed25519());
    holder.show(&broker, &holder.device(&broker, "sensor", |claims| claims));
    let mut clients = ALL.map(|listener| holder.enter(&broker, listener, &format!("tls-{listener}")));
    let device = broker.device_scoped("brought", &[("more/#", &["pub", "sub"])]);
    let mut brought = device.attempt_over(holder.open(&broker, BY_NAME), Way::Challenge).accepted();
    for _ in 0..2 {
        for client in &mut clients {
            client.round_trip("dev/tls");
            assert!(!may_publish(client, "more/x"));
        }
        brought.round_trip("more/x");
        assert!(!may_publish(&mut brought, "dev/tls"));
        broker.reload(&setup);
    }
}

fn l3_over_websockets_too(ctx: &Ctx) {
    let settings = [&["protocol websockets"][..], &MUTUAL].concat();
    let broker = setup().listener(&settings).start(ctx);
    let holder = Holder::new(Key::ed25519());
    broker.device_with("sensor", holder.key.clone()).enter(&broker, Way::Challenge).ping();
    let open = |holder: &Holder| Client::websocket(broker.port(ALL.len()), holder.config(&TLS13));
    let connect = Connect::new(Protocol::V5, "socket");
    let mut client = Attempt::make(open(&holder), &connect).accepted();
    client.round_trip("dev/tls");
    assert!(!may_publish(&mut client, "other"));
    let stranger = Attempt::make(open(&Holder::new(Key::ed25519())), &connect);
    assert!(matches!(&stranger.reply, Reply::Connack(connack) if connack.reason() == 0x87), "{:02x?}", stranger.reply);
    broker.expect_refusal("socket", "certificate-without-token");
}

/// With `per_listener_settings` each listener has a plugin of its own.
fn l3_a_token_shown_on_one_listener_serves_on_another(ctx: &Ctx) {
    for is_per_listener in [false, true] {
        let mut setup = setup();
        setup.is_per_listener = is_per_listener;
        let broker = setup.start(ctx);
        let holder = Holder::new(Key::ed25519());
        let authority = &broker.setup().authority;
        let shown = |filter: &str| {
            let claims = |claims: Claims| claims.scope(&[(filter, &["pub", "sub"])]);
            Device::new(authority, "sensor", holder.key.clone(), claims).enter(&broker, Way::Challenge).ping();
        };
        shown("dev/#");
        let mut clients = ALL.map(|listener| holder.enter(&broker, listener, &format!("tls-{listener}")));
        for client in &mut clients {
            client.round_trip("dev/tls");
        }
        shown("more/#");
        for client in &mut clients {
            // Another listener's plugin looks for new tokens before it denies anything, and ten times a second.
            let deadline = Instant::now() + PATIENCE;
            while !may_publish(client, "more/x") {
                assert!(Instant::now() < deadline, "the newer token does not count");
            }
            assert!(!may_publish(client, "dev/tls"));
        }
    }
}

fn l3_listeners_of_different_configurations_share_no_tokens(ctx: &Ctx) {
    let setup = setup();
    let other = format!(
        "audience = {}\n[[authorization_server]]\nissuer = {}\njwks = \"as-jwks.json\"\n",
        json!(AUDIENCE),
        json!(setup.authority.issuer),
    );
    let settings = [&MUTUAL[..], &["plugin_opt_config_file {dir}/other.toml"]].concat();
    let mut setup = setup.file("other.toml", &other).listener(&settings);
    setup.is_per_listener = true;
    let broker = setup.start(ctx);
    let holder = Holder::new(Key::ed25519());
    let device = broker.device_with("sensor", holder.key.clone());
    device.enter(&broker, Way::Challenge).ping();
    holder.enter(&broker, BY_TOKEN, "tls").round_trip("dev/tls");
    let listener = ALL.len();
    holder.attempt(&broker, listener, &Connect::new(Protocol::V5, "tls")).refused(&broker, "certificate-without-token");
    // It takes tokens, and holds its own.
    device.attempt_over(holder.open(&broker, listener), Way::Challenge).accepted().ping();
    holder.enter(&broker, listener, "tls").round_trip("dev/tls");
}

fn l3_other_clients_have_their_passwords(ctx: &Ctx) {
    let setup = setup()
        .mqtt(r#"other_clients = "defer""#)
        .file("passwords", &password_line("alice", "open sesame"))
        .file("acl", "user alice\ntopic readwrite home/#\nuser common-name\ntopic readwrite named/#\n")
        .conf("password_file {dir}/passwords")
        .conf("acl_file {dir}/acl");
    let broker = setup.start(ctx);
    let holder = Holder::new(Key::ed25519());
    let alice = Connect::credentials(Protocol::V5, "alice", b"alice", b"open sesame");
    let mut alice = holder.attempt(&broker, BY_TOKEN, &alice).accepted();
    alice.round_trip("home/kitchen");
    assert!(!may_publish(&mut alice, "dev/tls"));
    // A certificate without a token has the rights that the broker's files give its name.
    let mut named = holder.enter(&broker, BY_NAME, "named");
    named.round_trip("named/x");
    assert!(!may_publish(&mut named, "dev/tls"));
    let wrong = Connect::credentials(Protocol::V5, "eve", b"alice", b"guessed");
    let mut eve = holder.open(&broker, BY_TOKEN);
    eve.connect(&wrong);
    assert_ne!(eve.expect(kind::CONNACK).reason(), 0);
}

fn l3_a_certificate_without_a_token_brings_nothing(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let holder = Holder::new(Key::ed25519());
    for protocol in [Protocol::V311, Protocol::V5] {
        let attempt = holder.attempt(&broker, BY_TOKEN, &Connect::new(protocol, "stranger"));
        attempt.refused(&broker, "certificate-without-token");
    }
    for listener in [BY_NAME, BY_SUBJECT] {
        let mut client = holder.enter(&broker, listener, "stranger");
        assert_eq!(client.subscribe(&["dev/tls", "#"]), [0x87, 0x87]);
        assert!(!may_publish(&mut client, "dev/tls"));
        client.publish0("dev/tls", b"x");
        client.expect_not_authorized();
    }
}

fn l3_the_certificate_of_another_key_brings_nothing(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let holder = Holder::new(Key::p256());
    broker.device_with("sensor", holder.key.clone()).enter(&broker, Way::Challenge).ping();
    holder.show(&broker, &holder.device(&broker, "sensor", |claims| claims));
    // The same name in it, and even the same key in another certificate than the one that a token names.
    let stranger = Holder::new(Key::p256());
    stranger
        .attempt(&broker, BY_TOKEN, &Connect::new(Protocol::V5, "sensor"))
        .refused(&broker, "certificate-without-token");
    assert!(!may_publish(&mut stranger.enter(&broker, BY_NAME, "sensor"), "dev/tls"));
    let named = Holder::new(Key::ed25519());
    named.show(&broker, &named.device(&broker, "other", |claims| claims));
    let renewed = Holder::new(named.key.clone());
    assert_ne!(named.certificate, renewed.certificate);
    renewed
        .attempt(&broker, BY_TOKEN, &Connect::new(Protocol::V5, "other"))
        .refused(&broker, "certificate-without-token");
}

fn l3_a_token_for_another_certificate_is_refused(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let holder = Holder::new(Key::ed25519());
    let device = holder.device(&broker, "sensor", |claims| claims);
    let stranger = Holder::new(Key::ed25519());
    let connect = Connect::ace("sensor", binary(device.token.as_bytes()));
    let name = format!("ace{}", device.token);
    let with_name = Connect::credentials(Protocol::V311, "sensor", name.as_bytes(), b"");
    for connect in [&connect, &with_name] {
        stranger.attempt(&broker, BY_TOKEN, connect).refused(&broker, "certificate-mismatch");
        // On a listener that asks for none.
        Attempt::make(broker.open(), connect).refused(&broker, "certificate-mismatch");
    }
    stranger.attempt(&broker, BY_NAME, &connect).refused(&broker, "certificate-mismatch");
    for wrong in [json!("AAAA"), json!(7), json!(encode(&[7; 33]))] {
        let claims = |claims: Claims| claims.set("cnf", json!({ "x5t#S256": wrong }));
        let device = Device::new(&broker.setup().authority, "sensor", holder.key.clone(), claims);
        let connect = Connect::ace("sensor", binary(device.token.as_bytes()));
        holder.attempt(&broker, BY_TOKEN, &connect).refused(&broker, "confirmation-malformed");
    }
    let both = json!({ "x5t#S256": holder.confirmation()["x5t#S256"], "jwk": holder.key.jwk() });
    let device = Device::new(&broker.setup().authority, "sensor", holder.key.clone(), |claims| claims.set("cnf", both));
    let connect = Connect::ace("sensor", binary(device.token.as_bytes()));
    holder.attempt(&broker, BY_TOKEN, &connect).refused(&broker, "confirmation-ambiguous");
}

fn l3_a_proof_beside_a_certificate_is_refused(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let holder = Holder::new(Key::ed25519());
    let device = holder.device(&broker, "sensor", |claims| claims);
    for way in [Way::Exporter, Way::UserName(Protocol::V311), Way::Draft00(Protocol::V5)] {
        device.attempt_over(holder.open(&broker, BY_TOKEN), way).refused(&broker, "proof-without-key");
    }
}

fn l3_nothing_beyond_the_scope(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let holder = Holder::new(Key::ed25519());
    holder.show(&broker, &holder.device(&broker, "sensor", |claims| claims));
    for listener in ALL {
        let mut client = holder.enter(&broker, listener, "tls");
        assert_eq!(client.subscribe(&["dev/+", "#", "other"]), [0, 0x87, 0x87]);
        assert_eq!(client.publish2("other", b"x"), 0x87);
        client.publish0("other", b"x");
        client.expect_not_authorized();
    }
}

fn l3_the_session_ends_with_the_token(ctx: &Ctx) {
    let broker = setup().tokens("leeway = \"0s\"").start(ctx);
    for (listener, id) in ALL.into_iter().zip(["one", "two", "three"]) {
        let holder = Holder::new(Key::ed25519());
        holder.show(&broker, &holder.device(&broker, id, |claims| claims.expires_in(5)));
        let mut client = holder.enter(&broker, listener, id);
        client.round_trip("dev/tls");
        client.expect_not_authorized();
        broker.wait_for_line(&[&format!("the session of client \"{id}\" ends: token-expired")]);
    }
}

/// Where the broker asks nobody, the session of a client that has gone must not serve the one that comes back, at the same
/// address in the broker's memory, when its token has expired meanwhile.
fn l3_a_client_that_comes_back_is_judged_anew(ctx: &Ctx) {
    let broker = setup().tokens("leeway = \"0s\"").start(ctx);
    let holder = Holder::new(Key::ed25519());
    let device = holder.device(&broker, "sensor", |claims| claims.expires_in(6));
    let end = now() + Duration::from_secs(6);
    holder.show(&broker, &device);
    let mut gone = 0;
    for allowed in [true, false] {
        for visit in 0..3 {
            let mut client = holder.enter(&broker, BY_NAME, "tls");
            assert_eq!(may_publish(&mut client, "dev/tls"), allowed, "allowed: {allowed}, visit {visit}");
            client.send(&DISCONNECT);
            client.expect_close();
            // Now its place is free for the next one.
            gone += 1;
            let deadline = Instant::now() + PATIENCE;
            let has_gone = |line: &&str| line.contains("Client tls ") && line.contains("disconnected");
            while broker.log().lines().filter(has_gone).count() < gone {
                assert!(Instant::now() < deadline, "the client does not go");
            }
        }
        while allowed && now() <= end {
            std::thread::yield_now();
        }
    }
}

/// Each way to bring a token; the exporter's are for the key of the new token, not the certificate's.
fn l5_a_token_in_connect_replaces_what_tls_gave(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let holder = Holder::new(Key::ed25519());
    holder.show(&broker, &holder.device(&broker, "sensor", |claims| claims));
    let device = broker.device_scoped("brought", &[("more/#", &["pub"])]);
    let replaced = |mut client: Client| {
        assert!(may_publish(&mut client, "more/x") && !may_publish(&mut client, "dev/tls"));
        // What comes later for the certificate does not matter to it any more.
        holder.show(&broker, &holder.device(&broker, "sensor", |claims| claims.set("n", 1)));
        assert!(may_publish(&mut client, "more/x") && !may_publish(&mut client, "dev/tls"));
    };
    for way in [Way::Exporter, Way::Challenge, Way::UserName(Protocol::V5), Way::Draft00(Protocol::V5)] {
        replaced(device.attempt_over(holder.open(&broker, BY_TOKEN), way).accepted());
    }
    for listener in [BY_NAME, BY_SUBJECT] {
        for way in [Way::Exporter, Way::Challenge] {
            replaced(device.attempt_over(holder.open(&broker, listener), way).accepted());
        }
    }
}

fn l5_a_bad_token_in_connect_is_refused(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let holder = Holder::new(Key::ed25519());
    holder.show(&broker, &holder.device(&broker, "sensor", |claims| claims));
    let device = broker.device("brought");
    let expired = Device::new(&broker.setup().authority, "brought", Key::ed25519(), |claims| claims.expires_in(-60));
    let listeners = [(BY_TOKEN, &[Way::Exporter, Way::UserName(Protocol::V5)][..]), (BY_NAME, &[Way::Exporter])];
    for (listener, ways) in listeners {
        for way in ways {
            let wrong = device.with_key(Key::ed25519()).attempt_over(holder.open(&broker, listener), *way);
            wrong.refused(&broker, "proof-wrong");
            expired.attempt_over(holder.open(&broker, listener), *way).refused(&broker, "token-expired");
        }
    }
    // A user name of the client's own beside the method is still none too many.
    let connect =
        Connect { user_name: Some(b"mine".to_vec()), ..Connect::ace("brought", binary(device.token.as_bytes())) };
    holder.attempt(&broker, BY_TOKEN, &connect).refused(&broker, "user-name-with-method");
}

fn l5_a_token_in_the_user_name_is_not_seen_where_tls_gives_the_name(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let holder = Holder::new(Key::ed25519());
    holder.show(&broker, &holder.device(&broker, "sensor", |claims| claims));
    let device = broker.device_scoped("brought", &[("more/#", &["pub"])]);
    for listener in [BY_NAME, BY_SUBJECT] {
        let attempt = device.attempt_over(holder.open(&broker, listener), Way::UserName(Protocol::V5));
        let mut client = attempt.accepted();
        assert!(may_publish(&mut client, "dev/tls") && !may_publish(&mut client, "more/x"));
    }
}

/// That broker calls plugins of single listeners for events only, never to let them do what is due.
fn e1_sessions_stay_without_rights_on_2_0_11_with_settings_per_listener(ctx: &Ctx) {
    let mut setup = setup().tokens("leeway = \"0s\"");
    setup.is_per_listener = true;
    let broker = setup.start(ctx);
    let holder = Holder::new(Key::ed25519());
    let device = holder.device(&broker, "sensor", |claims| claims.expires_in(2));
    let end = now() + Duration::from_secs(2);
    let connect = Connect::ace("sensor", binary(device.token.as_bytes()));
    let mut client = holder.attempt(&broker, BY_TOKEN, &connect).accepted();
    client.round_trip("dev/tls");
    if ctx.version.number != "2.0.11" {
        client.expect_not_authorized();
        return;
    }
    while now() <= end {
        std::thread::yield_now();
    }
    assert!(!may_publish(&mut client, "dev/tls"));
    assert_eq!(client.subscribe(&["dev/x"]), [0x87]);
    client.publish0("dev/tls", b"x");
    assert!(client.messages_so_far().is_empty());
}
