//! L1, L6, T7, R1: tokens that are published to the `authz-info` topic (RFC 9431, sections 2.2.1 and 2.2.2).

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ClientConfig;
use serde_json::json;

use crate::operating::password_line;
use crate::support::broker::free_port;
use crate::support::case::cases;
use crate::support::packet::{self, Will, kind};
use crate::support::pki::pki;
use crate::support::tls;
use crate::support::{
    Attempt, Authority, Broker, Client, Connect, Ctx, Device, Key, Protocol, Reply, Setup, Way, encode,
};

cases! {
    Accept "L1" l1_a_published_token_is_held;
    Accept "L1" l1_whoever_is_connected_may_publish_a_token;
    Accept "L1" l1_with_settings_per_listener_a_token_is_held_for_all_of_one_configuration;
    Accept "L1" l1_below_a_mount_point_the_topic_begins_with_it;
    Accept "L1" l1_clients_that_no_plugin_was_asked_about_may_too;
    Refuse "L1" l1_a_bad_token_ends_the_connection_of_such_clients;
    Accept "L1" l1_a_subscriber_of_everything_stays_and_is_given_the_rest;
    Refuse "L1" l1_a_bad_token_is_not_held_and_gets_0x87_at_qos_1_and_2;
    Refuse "L1" l1_a_bad_token_at_qos_0_disconnects_with_0x87;
    Refuse "L1" l1_a_bad_token_disconnects_mqtt311_at_every_qos;
    Refuse "L1" l1_no_token_at_all_at_qos_0_disconnects_with_0x99;
    Pin "L1" l1_no_token_at_all_at_qos_1_and_2_gets_0x87;
    Pin "L1" l1_over_websockets_the_broker_disconnects_with_its_own_reason;
    Refuse "L1" l1_a_bearer_token_is_not_held;
    Refuse "L1" l1_nobody_may_subscribe;
    Refuse "L1" l1_nothing_is_delivered_queued_or_retained;
    Refuse "L1" l1_a_topic_alias_hides_nothing;
    Refuse "L1" l1_bridges_are_given_no_token;
    Refuse "L1" l1_a_will_is_no_token;
    Refuse "L1" l1_beyond_the_rate_tokens_are_not_looked_at;
    Refuse "L1" l1_without_the_topic_it_is_like_any_other;
    Accept "L6" l6_clients_that_bring_nothing_may_publish_a_token;
    Accept "L6" l6_with_allow_anonymous_they_may_do_what_is_public_too;
    Accept "L6" l6_after_a_reload_they_may_do_what_the_new_configuration_says;
    Refuse "L6" l6_for_the_topic_alone_not_even_what_is_public;
    Refuse "L6" l6_without_either_they_are_refused;
    Accept "T7" t7_the_newest_token_of_a_key_is_the_one_that_is_held;
    Refuse "T7" t7_the_older_token_gives_nothing_any_more;
    Accept "R1" r1_a_token_outlives_its_connection;
    Refuse "R1" r1_a_token_is_held_until_it_expires_and_no_longer;
    Refuse "R1" r1_beyond_the_bound_the_soonest_to_expire_is_dropped;
    Refuse "T4" t4_a_kid_names_no_key_of_another_subject;
}

const TOPIC: &str = "authz-info";
const PROTOCOLS: [Protocol; 2] = [Protocol::V311, Protocol::V5];

fn setup() -> Setup {
    Setup::new().mqtt("authz_info_topic = \"authz-info\"").tokens("leeway = \"0s\"")
}

/// One who brings nothing.
fn anonymous(broker: &Broker, protocol: Protocol) -> Client {
    Attempt::make(broker.open(), &Connect::new(protocol, "uploader")).accepted()
}

/// A device whose token carries its key, under this name.
fn named(broker: &Broker, id: &str, kid: &str) -> Device {
    broker.device_with(id, Key::ed25519().named(kid))
}

/// The same with a token that only names the key: it is taken if the other one is held.
fn naming(broker: &Broker, device: &Device) -> Device {
    let authority = &broker.setup().authority;
    let cnf = json!({ "kid": device.key.kid });
    device.with_token(&authority.token(&authority.claims(&device.id, &device.key).set("cnf", cnf)))
}

fn assert_held(broker: &Broker, device: &Device) {
    naming(broker, device).enter(broker, Way::Challenge).round_trip("dev/held");
}

fn assert_not_held(broker: &Broker, device: &Device) {
    naming(broker, device).attempt(broker, Way::Challenge).refused(broker, "confirmation-key-unknown");
}

/// A token that is fine but for its signature.
fn forged(broker: &Broker, device: &Device) -> String {
    let stranger = Authority { key: Key::ed25519().named("as-key"), ..broker.setup().authority.clone() };
    stranger.token(&stranger.claims(&device.id, &device.key))
}

/// Publishes at any quality of service; the reason code of the answer at 1 and 2, of which no subscribers is a good one.
fn publish(client: &mut Client, qos: u8, payload: &[u8]) -> u8 {
    let reason = match qos {
        0 => {
            client.publish0(TOPIC, payload);
            0
        }
        1 => client.publish1(TOPIC, payload),
        _ => client.publish2(TOPIC, payload),
    };
    if reason == 0x10 { 0 } else { reason }
}

/// The log's word on a token.
fn expect_token_refused(broker: &Broker, client_id: &str, code: &str) {
    broker.wait_for_line(&["ace: refused a token of client", &format!("\"{client_id}\""), &format!(": {code}: ")]);
}

/// Somebody who is sent everything.
fn witness(broker: &Broker) -> Client {
    let mut witness = broker.device_scoped("witness", &[("#", &["pub", "sub"])]).enter(broker, Way::Challenge);
    assert_eq!(witness.subscribe(&["#"]), [0]);
    witness
}

fn topics(client: &mut Client) -> Vec<String> {
    client.messages_so_far().into_iter().map(|message| message.topic).collect()
}

fn l1_a_published_token_is_held(ctx: &Ctx) {
    let broker = setup().start(ctx);
    for protocol in PROTOCOLS {
        for qos in 0..=2 {
            for twice in [false, true] {
                let kid = format!("{protocol:?}-{qos}-{twice}");
                let device = named(&broker, "device", &kid);
                assert_not_held(&broker, &device);
                let text = if twice { encode(device.token.as_bytes()) } else { device.token.clone() };
                let mut client = anonymous(&broker, protocol);
                assert_eq!(publish(&mut client, qos, text.as_bytes()), 0, "{kid}");
                client.ping();
                assert_held(&broker, &device);
            }
        }
    }
    broker.wait_for_line(&["ace: took a token from client \"uploader\"", "(token "]);
    broker.stop();
}

fn l1_whoever_is_connected_may_publish_a_token(ctx: &Ctx) {
    let broker = setup()
        .mqtt("other_clients = \"defer\"")
        .conf("password_file {dir}/passwords")
        .file("passwords", &password_line("alice", "open sesame"))
        .websocket_listener()
        .plain_listener()
        .start(ctx);
    let with_token = broker.device_scoped("nobody", &[]);
    let connect = |id| Connect::new(Protocol::V5, id);
    let clients = [
        with_token.enter(&broker, Way::Exporter),
        broker.device_scoped("nobody-311", &[]).enter(&broker, Way::UserName(Protocol::V311)),
        Attempt::make(broker.open_plain(), &connect("plain")).accepted(),
        Attempt::make(broker.open_websocket(), &connect("websocket")).accepted(),
        Attempt::make(broker.open(), &Connect::credentials(Protocol::V5, "foreign", b"alice", b"open sesame"))
            .accepted(),
    ];
    for (number, mut client) in clients.into_iter().enumerate() {
        let device = named(&broker, "device", &format!("k{number}"));
        assert_eq!(publish(&mut client, 1, device.token.as_bytes()), 0, "{number}");
        client.ping();
        assert_held(&broker, &device);
    }
}

fn l1_with_settings_per_listener_a_token_is_held_for_all_of_one_configuration(ctx: &Ctx) {
    let mut setup = setup().websocket_listener();
    setup.is_per_listener = true;
    let broker = setup.start(ctx);
    let mut witness = witness(&broker);
    let device = named(&broker, "device", "k");
    let connect = Connect::new(Protocol::V5, "uploader");
    let mut elsewhere = Attempt::make(broker.open_websocket(), &connect).accepted();
    assert_not_held(&broker, &device);
    assert_eq!(publish(&mut elsewhere, 1, device.token.as_bytes()), 0);
    assert_held(&broker, &device);
    assert_eq!(topics(&mut witness), ["dev/held"]);
}

fn l1_below_a_mount_point_the_topic_begins_with_it(ctx: &Ctx) {
    let port = free_port();
    let broker = Setup::new()
        .mqtt("authz_info_topic = \"site/authz-info\"")
        .conf(&format!("listener {port} 127.0.0.1"))
        .conf("certfile {dir}/server.crt")
        .conf("keyfile {dir}/server.key")
        .conf("mount_point site/")
        .start(ctx);
    let mut witness = witness(&broker);
    let device = named(&broker, "device", "k");
    let client = Client::tls(port, tls::tls13());
    let mut client = Attempt::make(client, &Connect::new(Protocol::V5, "uploader")).accepted();
    assert_eq!(publish(&mut client, 1, device.token.as_bytes()), 0);
    assert_eq!(client.subscribe(&[TOPIC]), [0x87]);
    assert_held(&broker, &device);
    assert_eq!(topics(&mut witness), ["dev/held"]);
}

/// A broker with one more listener, on which clients are known by their certificates: it asks no plugin whether to let them
/// in. And what such a client needs.
fn with_certificates(ctx: &Ctx) -> (Broker, impl Fn(&str, Option<Will>) -> Client + use<>) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let port = free_port();
    let broker = setup()
        .file("clients-ca.crt", &authority.pem())
        .conf(&format!("listener {port} 127.0.0.1"))
        .conf("certfile {dir}/server.crt")
        .conf("keyfile {dir}/server.key")
        .conf("cafile {dir}/clients-ca.crt")
        .conf("require_certificate true")
        .conf("use_identity_as_username true")
        .start(ctx);
    let open = move |name: &str, will: Option<Will>| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(pki().roots.clone())
            .with_client_auth_cert(vec![certificate.der().clone()], key.into())
            .unwrap();
        let connect = Connect { will, ..Connect::new(Protocol::V5, name) };
        Attempt::make(Client::tls(port, Arc::new(config)), &connect).accepted()
    };
    (broker, open)
}

fn l1_clients_that_no_plugin_was_asked_about_may_too(ctx: &Ctx) {
    let (broker, open) = with_certificates(ctx);
    for round in 0..3 {
        // The same one comes again, perhaps to the same place in the broker's memory.
        let mut client = open("known", None);
        for qos in 0..=2 {
            let device = named(&broker, "device", &format!("k{round}-{qos}"));
            assert_eq!(publish(&mut client, qos, device.token.as_bytes()), 0);
            client.ping();
            assert_held(&broker, &device);
        }
        client.send(&[0xe0, 0]);
        client.expect_close();
    }
}

fn l1_a_bad_token_ends_the_connection_of_such_clients(ctx: &Ctx) {
    let (broker, open) = with_certificates(ctx);
    let mut witness = witness(&broker);
    let device = named(&broker, "device", "k");
    let mut client = open("known", None);
    assert_eq!(publish(&mut client, 1, forged(&broker, &device).as_bytes()), 0x87);
    assert_eq!(client.subscribe(&[TOPIC]), [0x87]);
    client.publish0(TOPIC, forged(&broker, &device).as_bytes());
    client.expect_not_authorized();
    let mut client = open("known", None);
    client.publish0(TOPIC, b"no token");
    let came = client.expect_close();
    assert_eq!(came.first().map(|packet| (packet.kind(), packet.reason())), Some((kind::DISCONNECT, 0x99)));
    // What it leaves behind is no token.
    let will = Will { topic: TOPIC.to_owned(), payload: device.token.clone().into_bytes() };
    let mut client = open("known", Some(will));
    client.ping();
    client.send(&[0, 0]);
    client.expect_close();
    broker.wait_for_line(&["ace: denied client \"known\"", "a Will", ": authz-info-will"]);
    assert_not_held(&broker, &device);
    assert_eq!(topics(&mut witness), [""; 0]);
}

fn l1_a_subscriber_of_everything_stays_and_is_given_the_rest(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let mut witness = witness(&broker);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    let device = named(&broker, "device", "k");
    assert_eq!(publish(&mut client, 1, device.token.as_bytes()), 0);
    // Topics whose names are as long, and others.
    for topic in ["dev/abcdef", "dev/a"] {
        assert_eq!(client.publish_retained(topic, b"payload"), 0);
    }
    let messages = witness.messages_so_far();
    let shown: Vec<_> = messages.iter().map(|message| (message.topic.as_str(), message.payload.as_slice())).collect();
    assert_eq!(shown, [("dev/abcdef", &b"payload"[..]), ("dev/a", b"payload")]);
    let mut late = self::witness(&broker);
    assert_eq!(topics(&mut late).len(), 2);
}

fn l1_a_bad_token_is_not_held_and_gets_0x87_at_qos_1_and_2(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let mut client = anonymous(&broker, Protocol::V5);
    let device = named(&broker, "device", "k");
    let authority = &broker.setup().authority;
    let claims = authority.claims("device", &device.key);
    for (token, code) in [
        (forged(&broker, &device), "signature-wrong"),
        (authority.token(&claims.clone().expires_in(-10)), "token-expired"),
        (authority.token(&claims.clone().set("aud", "other")), "audience-foreign"),
        (authority.token(&claims.set("cnf", json!({ "jwk": Key::oct(32).jwk() }))), "confirmation-key-in-clear"),
    ] {
        assert_eq!(publish(&mut client, 1, token.as_bytes()), 0x87, "{code}");
        assert_eq!(publish(&mut client, 2, token.as_bytes()), 0x87, "{code}");
        expect_token_refused(&broker, "uploader", code);
    }
    client.ping();
    assert_not_held(&broker, &device);
    assert_eq!(publish(&mut client, 1, device.token.as_bytes()), 0);
    assert_held(&broker, &device);
}

fn l1_a_bad_token_at_qos_0_disconnects_with_0x87(ctx: &Ctx) {
    // That line is about messages outside the scope.
    let broker = setup().mqtt("on_denied_publish = \"drop\"").start(ctx);
    let device = named(&broker, "device", "k");
    let bad = forged(&broker, &device);
    for mut client in [anonymous(&broker, Protocol::V5), broker.device("sensor").enter(&broker, Way::Exporter)] {
        client.publish0(TOPIC, bad.as_bytes());
        client.expect_not_authorized();
    }
    expect_token_refused(&broker, "sensor", "signature-wrong");
    assert_not_held(&broker, &device);
}

fn l1_a_bad_token_disconnects_mqtt311_at_every_qos(ctx: &Ctx) {
    let broker = setup().start(ctx);
    for payload in [forged(&broker, &broker.device("device")).into_bytes(), b"no token".to_vec()] {
        for qos in 0..=2 {
            let mut client = anonymous(&broker, Protocol::V311);
            client.send(&packet::publish(Protocol::V311, TOPIC, &payload, qos, false, 1));
            client.expect_not_authorized();
        }
    }
}

/// None of these parses to a token.
fn nonsense() -> [Vec<u8>; 6] {
    let huge = format!("ew..{}", "a".repeat(40_000));
    [
        Vec::new(),
        b"no token".to_vec(),
        b"\x00\xff\xfe".to_vec(),
        br#"{"access_token": "eyJ.e30."}"#.to_vec(),
        b"eyJh.e30.AAAA".to_vec(),
        huge.into_bytes(),
    ]
}

fn l1_no_token_at_all_at_qos_0_disconnects_with_0x99(ctx: &Ctx) {
    let broker = setup().start(ctx);
    for payload in nonsense() {
        for mut client in [anonymous(&broker, Protocol::V5), broker.device("sensor").enter(&broker, Way::Exporter)] {
            client.publish0(TOPIC, &payload);
            let came = client.expect_close();
            let first = came.iter().find(|packet| packet.kind() == kind::DISCONNECT).expect("a DISCONNECT");
            assert_eq!(first.reason(), 0x99, "{payload:02x?}: {came:02x?}");
        }
    }
    expect_token_refused(&broker, "uploader", "token-not-jwt");
    expect_token_refused(&broker, "uploader", "token-too-large");
    expect_token_refused(&broker, "uploader", "header-not-json");
}

fn l1_no_token_at_all_at_qos_1_and_2_gets_0x87(ctx: &Ctx) {
    let broker = setup().mqtt("authz_info_rate = 0").start(ctx);
    let mut client = anonymous(&broker, Protocol::V5);
    for payload in nonsense() {
        for qos in [1, 2] {
            assert_eq!(publish(&mut client, qos, &payload), 0x87, "{qos}: {payload:02x?}");
        }
    }
    client.ping();
}

fn l1_over_websockets_the_broker_disconnects_with_its_own_reason(ctx: &Ctx) {
    let broker = setup().websocket_listener().start(ctx);
    for payload in [forged(&broker, &broker.device("device")).into_bytes(), b"no token".to_vec()] {
        let mut client = broker.open_websocket();
        client.connect(&Connect::new(Protocol::V5, "uploader"));
        client.expect_accepted();
        client.publish0(TOPIC, &payload);
        let came = client.expect_close();
        assert!(came.iter().all(|packet| packet.kind() == kind::DISCONNECT && packet.reason() == 0x98), "{came:02x?}");
    }
}

fn l1_a_bearer_token_is_not_held(ctx: &Ctx) {
    let broker = setup().tokens("allow_bearer = true").start(ctx);
    let device = broker.device("device");
    let authority = &broker.setup().authority;
    let bearer = authority.token(&authority.claims("device", &device.key).without("cnf"));
    let mut client = anonymous(&broker, Protocol::V5);
    assert_eq!(publish(&mut client, 1, bearer.as_bytes()), 0x87);
    expect_token_refused(&broker, "uploader", "authz-info-bearer");
    client.publish0(TOPIC, bearer.as_bytes());
    client.expect_not_authorized();
}

fn l1_nobody_may_subscribe(ctx: &Ctx) {
    let broker = setup().start(ctx);
    for (way, refused) in [(Way::Challenge, 0x87), (Way::UserName(Protocol::V311), 0x80)] {
        let mut client = broker.device_scoped("all", &[("#", &["pub", "sub"])]).enter(&broker, way);
        let codes = client.subscribe(&[TOPIC, "$share/group/authz-info", "dev/a", "authz-info/#", "+", "#"]);
        assert_eq!(codes, [refused, refused, 0, 0, 0, 0]);
        client.ping();
    }
    let mut client = anonymous(&broker, Protocol::V5);
    assert_eq!(client.subscribe(&[TOPIC, "#"]), [0x87, 0x87]);
    broker.wait_for_line(&["ace: denied client \"all\"", "subscribe to \"authz-info\": authz-info-publish-only"]);
    broker.wait_for_line(&["ace: denied client \"uploader\"", "subscribe to \"#\": authz-info-only"]);
}

fn l1_nothing_is_delivered_queued_or_retained(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let all: &[(&str, &[&str])] = &[("#", &["pub", "sub"]), ("$#", &["pub", "sub"])];
    let sleeper = broker.device_scoped("sleeper", &all[..1]);
    let filters = ["#", "+", "authz-info/#", "$share/group/#", "$share/other/+"];
    let connect_sleeper = |clean: bool| {
        let client = broker.open();
        let mut connect = sleeper.connect(&client, Way::Exporter);
        (connect.clean_start, connect.session_expiry) = (clean, Some(300));
        Attempt::make(client, &connect).accepted()
    };
    let mut asleep = connect_sleeper(true);
    assert_eq!(asleep.subscribe_at(1, &filters), [1; 5]);
    asleep.send(&[0xe0, 0]);
    asleep.expect_close();
    let mut awake = broker.device_scoped("awake", &all[..1]).enter(&broker, Way::Challenge);
    assert_eq!(awake.subscribe(&filters), [0; 5]);
    let device = named(&broker, "device", "k");
    for protocol in PROTOCOLS {
        let mut client = anonymous(&broker, protocol);
        for qos in 0..=2 {
            client.send(&packet::publish(protocol, TOPIC, device.token.as_bytes(), qos, true, 5));
            match qos {
                1 => assert!(client.expect(kind::PUBACK).reason() < 0x80),
                2 => {
                    assert!(client.expect(kind::PUBREC).reason() < 0x80);
                    client.send(&packet::pubrel(5));
                    client.expect(kind::PUBCOMP);
                }
                _ => client.ping(),
            }
        }
    }
    assert_held(&broker, &device);
    let held = |topics: Vec<String>| topics.into_iter().filter(|topic| topic != "dev/held").collect::<Vec<_>>();
    assert_eq!(held(topics(&mut awake)), [""; 0]);
    let mut asleep = connect_sleeper(false);
    assert_eq!(held(topics(&mut asleep)), [""; 0]);
    let mut late = broker.device_scoped("late", &all[..1]).enter(&broker, Way::Challenge);
    assert_eq!(late.subscribe(&filters[..3]), [0; 3]);
    assert_eq!(held(topics(&mut late)), [""; 0]);
    // They could have been given something.
    assert_eq!(awake.publish_retained("fence", b""), 0);
    for client in [&mut awake, &mut asleep, &mut late] {
        assert_eq!(client.message().topic, "fence");
    }
}

fn l1_a_topic_alias_hides_nothing(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let mut witness = witness(&broker);
    let device = named(&broker, "device", "k");
    let bad = forged(&broker, &device);
    let mut client = anonymous(&broker, Protocol::V5);
    for (topic, token, good) in
        [(TOPIC, &device.token, true), ("", &bad, false), ("", &device.token, true), ("", &device.token, true)]
    {
        client.send(&packet::publish_aliased(topic, 1, token.as_bytes(), 7));
        let reason = client.expect(kind::PUBACK).reason();
        assert_eq!(reason < 0x80, good, "{reason:#x}");
    }
    assert_held(&broker, &device);
    assert_eq!(topics(&mut witness), ["dev/held"]);
}

fn l1_bridges_are_given_no_token(ctx: &Ctx) {
    let mut far = Setup::new().conf("allow_anonymous true").plain_listener();
    far.has_plugin = false;
    let far = far.start(ctx);
    let mut end = far.open_plain();
    end.connect(&Connect::new(Protocol::V5, "far-end"));
    end.expect_accepted();
    assert_eq!(end.subscribe(&["#"]), [0]);
    let broker = setup()
        .conf("connection bridge")
        .conf(&format!("address 127.0.0.1:{}", far.plain_port()))
        .conf("topic # out 2")
        .conf("topic authz-info out 2")
        .conf("topic authz-info in 2")
        .conf("topic fence in 2")
        .conf("notifications false")
        .start(ctx);
    let mut sender = broker.device_scoped("sender", &[("#", &["pub", "sub"])]).enter(&broker, Way::Challenge);
    // Until the bridge stands.
    while topics(&mut end).is_empty() {
        assert_eq!(sender.publish1("dev/before", b"") & 0x80, 0);
    }
    let device = named(&broker, "device", "k");
    for protocol in PROTOCOLS {
        let mut client = anonymous(&broker, protocol);
        for qos in 0..=2 {
            assert_eq!(publish(&mut client, qos, device.token.as_bytes()), 0);
        }
        client.publish_retained(TOPIC, device.token.as_bytes());
        client.ping();
    }
    // And what another has as a Will.
    let mut connect = Connect::new(Protocol::V311, "dying");
    connect.will = Some(Will { topic: TOPIC.to_owned(), payload: device.token.clone().into_bytes() });
    let mut dying = Attempt::make(broker.open(), &connect).accepted();
    dying.send(&[0, 0]);
    dying.expect_close();
    assert_eq!(sender.publish1("dev/after", b"") & 0x80, 0);
    let mut came = Vec::new();
    while came.last().is_none_or(|last| last != "dev/after") {
        came.push(end.message().topic);
    }
    came.retain(|topic| !topic.starts_with("dev/"));
    assert_eq!(came, [""; 0]);
    assert_held(&broker, &device);
    // Nor does one that comes over a bridge go on; nobody could be told what becomes of it, so it is not taken either.
    let mut witness = witness(&broker);
    let other = named(&broker, "other", "other");
    assert_eq!(end.publish_retained(TOPIC, other.token.as_bytes()) & 0x80, 0);
    assert_eq!(end.publish1("fence", b"") & 0x80, 0);
    assert_eq!(witness.message().topic, "fence");
    assert_not_held(&broker, &other);
}

fn l1_a_will_is_no_token(ctx: &Ctx) {
    let broker = setup().mqtt("allow_anonymous = true").mqtt("public_publish = [\"#\"]").start(ctx);
    let mut witness = witness(&broker);
    let device = named(&broker, "device", "k");
    let with_will = |mut connect: Connect, client: Client| {
        connect.will = Some(Will { topic: TOPIC.to_owned(), payload: device.token.clone().into_bytes() });
        let mut client = Attempt::make(client, &connect).accepted();
        client.send(&[0, 0]);
        client.expect_close();
    };
    for protocol in PROTOCOLS {
        with_will(Connect::new(protocol, "anonymous"), broker.open());
    }
    let client = broker.open();
    let all = broker.device_scoped("all", &[("#", &["pub", "sub"])]);
    with_will(all.connect(&client, Way::Exporter), client);
    broker.wait_for_line(&["ace: denied client \"anonymous\"", "a Will", ": authz-info-will"]);
    broker.wait_for_line(&["ace: denied client \"all\"", "a Will", ": authz-info-will"]);
    assert_not_held(&broker, &device);
    assert_eq!(topics(&mut witness), [""; 0]);
}

/// Publishes good tokens at once, at QoS 0 and 1 in turns; gives how many were refused at QoS 1.
fn burst(client: &mut Client, token: &str) -> usize {
    const COUNT: u16 = 50;
    for number in 1..=COUNT {
        client.send(&packet::publish(Protocol::V5, TOPIC, token.as_bytes(), 0, false, 0));
        client.send(&packet::publish(Protocol::V5, TOPIC, token.as_bytes(), 1, false, number));
    }
    (1..=COUNT).filter(|_| client.expect(kind::PUBACK).reason() == 0x87).count()
}

fn l1_beyond_the_rate_tokens_are_not_looked_at(ctx: &Ctx) {
    // Without that line the broker disconnects clients without a user name when it reloads.
    let base = setup().conf("allow_anonymous true");
    let mut broker = base.clone().mqtt("authz_info_rate = 1").start(ctx);
    let device = broker.device("device");
    let mut client = anonymous(&broker, Protocol::V5);
    // On a slow machine one more in a second may be looked at.
    assert!(burst(&mut client, &device.token) > 25);
    expect_token_refused(&broker, "uploader", "authz-info-rate");
    client.ping();
    let mut another = broker.device("another").enter(&broker, Way::Challenge);
    assert_eq!(publish(&mut another, 1, device.token.as_bytes()), 0);
    // The same for all together.
    broker.reload(&base.mqtt("authz_info_rate = 0").mqtt("authz_info_rate_total = 1"));
    let refused = burst(&mut client, &device.token) + burst(&mut another, &device.token);
    assert!(refused > 50);
    expect_token_refused(&broker, "uploader", "authz-info-rate-total");
    for client in [&mut client, &mut another] {
        client.ping();
    }
    let log = broker.log();
    for code in ["authz-info-rate", "authz-info-rate-total"] {
        assert_eq!(log.matches(&format!(": {code}: ")).count(), 1, "{code}");
    }
}

fn l1_without_the_topic_it_is_like_any_other(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut witness = witness(&broker);
    assert_eq!(witness.subscribe(&[TOPIC]), [0]);
    assert_eq!(witness.publish1(TOPIC, b"hello"), 0);
    assert_eq!(witness.message().payload, b"hello");
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    let device = named(&broker, "device", "k");
    assert_eq!(client.publish1(TOPIC, device.token.as_bytes()), 0x87);
    assert_not_held(&broker, &device);
}

fn l6_clients_that_bring_nothing_may_publish_a_token(ctx: &Ctx) {
    for other in ["refuse", "defer"] {
        let broker = setup().mqtt(&format!("other_clients = \"{other}\"")).start(ctx);
        for protocol in PROTOCOLS {
            let device = named(&broker, "device", "k");
            let mut client = anonymous(&broker, protocol);
            assert_eq!(publish(&mut client, 1, device.token.as_bytes()), 0);
            assert_held(&broker, &device);
        }
        broker.wait_for_line(&["ace: admitted client \"uploader\"", "by the authz-info topic only"]);
    }
}

fn l6_with_allow_anonymous_they_may_do_what_is_public_too(ctx: &Ctx) {
    let broker = setup()
        .mqtt("allow_anonymous = true")
        .mqtt("public_publish = [\"hello/#\"]")
        .mqtt("public_subscribe = [\"hello/#\"]")
        .start(ctx);
    for protocol in PROTOCOLS {
        let device = named(&broker, "device", "k");
        let mut client = anonymous(&broker, protocol);
        client.round_trip("hello/a");
        assert_eq!(publish(&mut client, 1, device.token.as_bytes()), 0);
        assert_held(&broker, &device);
    }
}

const PUBLIC: [&str; 2] = ["public_publish = [\"hello/#\"]", "public_subscribe = [\"hello/#\"]"];

fn l6_after_a_reload_they_may_do_what_the_new_configuration_says(ctx: &Ctx) {
    let base = Setup::new().conf("allow_anonymous true").mqtt(PUBLIC[0]).mqtt(PUBLIC[1]);
    let (topic, anonymous_too) = ("authz_info_topic = \"authz-info\"", "allow_anonymous = true");
    let alone = base.clone().mqtt(topic);
    let both = alone.clone().mqtt(anonymous_too);
    let public = base.clone().mqtt(anonymous_too);
    let mut broker = alone.clone().start(ctx);
    let device = named(&broker, "device", "k");
    let mut client = anonymous(&broker, Protocol::V5);
    let check = |client: &mut Client, says_topic: bool, says_public: bool| {
        assert_eq!(publish(client, 1, device.token.as_bytes()) < 0x80, says_topic);
        assert_eq!(client.publish1("hello/a", b"") < 0x80, says_public);
        client.ping();
    };
    check(&mut client, true, false);
    broker.reload(&both);
    check(&mut client, true, true);
    broker.reload(&alone);
    check(&mut client, true, false);
    broker.reload(&public);
    check(&mut client, false, true);
    broker.reload(&both);
    check(&mut client, true, true);
    broker.reload(&base);
    client.expect_close();
    let nothing = Connect::new(Protocol::V5, "uploader");
    Attempt::make(broker.open(), &nothing).refused(&broker, "anonymous-not-allowed");
}

fn l6_for_the_topic_alone_not_even_what_is_public(ctx: &Ctx) {
    let broker = setup().mqtt(PUBLIC[0]).mqtt(PUBLIC[1]).start(ctx);
    let mut client = anonymous(&broker, Protocol::V5);
    assert_eq!(client.publish1("hello/a", b""), 0x87);
    assert_eq!(client.publish2("hello/a", b""), 0x87);
    assert_eq!(client.subscribe(&["hello/#", "#"]), [0x87, 0x87]);
    client.publish0("hello/a", b"");
    client.expect_not_authorized();
    broker.wait_for_line(&["ace: denied client \"uploader\"", "publish to \"hello/a\": authz-info-only"]);
    let mut client = anonymous(&broker, Protocol::V311);
    assert_eq!(client.subscribe(&["hello/#"]), [0x80]);
    client.publish0("hello/a", b"");
    client.expect_close();
    // Nor as a Will.
    let mut witness = witness(&broker);
    let mut connect = Connect::new(Protocol::V311, "dying");
    connect.will = Some(Will { topic: "hello/a".to_owned(), payload: Vec::new() });
    let mut dying = Attempt::make(broker.open(), &connect).accepted();
    dying.send(&[0, 0]);
    dying.expect_close();
    assert_eq!(topics(&mut witness), [""; 0]);
    // Others may do what is public, as ever.
    broker.device("sensor").enter(&broker, Way::Challenge).round_trip("hello/a");
}

fn l6_without_either_they_are_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for protocol in PROTOCOLS {
        let connect = Connect::new(protocol, "uploader");
        Attempt::make(broker.open(), &connect).refused(&broker, "anonymous-not-allowed");
    }
    // The topic is for those who bring nothing, not for those who bring something else.
    let broker = setup().start(ctx);
    for protocol in PROTOCOLS {
        let connect = Connect::credentials(protocol, "uploader", b"somebody", b"else");
        Attempt::make(broker.open(), &connect).refused(&broker, "token-missing");
    }
}

/// Comes in with an empty token, if the broker holds one for it.
fn with_held_token(broker: &Broker, device: &Device) -> Attempt {
    let attempt = Attempt::make(broker.open(), &Connect::ace(&device.id, vec![0, 0]));
    if !matches!(attempt.reply, Reply::Auth(_)) {
        return attempt;
    }
    let answer = device.challenge_answer(&attempt.nonce());
    attempt.answer(&answer)
}

/// The device with another token for the same key.
fn renewed(broker: &Broker, device: &Device, scope: &[(&str, &[&str])]) -> Device {
    let authority = &broker.setup().authority;
    device.with_token(&authority.token(&authority.claims(&device.id, &device.key).scope(scope)))
}

/// A device has been there with a token for `dev/#`; meanwhile somebody has published one for `new/#`.
fn replaced(broker: &Broker) -> Client {
    let device = broker.device("device");
    device.enter(broker, Way::Challenge).round_trip("dev/a");
    let newer = renewed(broker, &device, &[("new/#", &["pub", "sub"])]);
    let mut client = anonymous(broker, Protocol::V5);
    assert_eq!(publish(&mut client, 1, newer.token.as_bytes()), 0);
    with_held_token(broker, &device).accepted()
}

fn t7_the_newest_token_of_a_key_is_the_one_that_is_held(ctx: &Ctx) {
    let broker = setup().start(ctx);
    replaced(&broker).round_trip("new/a");
    // Likewise when it comes in CONNECT.
    let device = broker.device("other");
    let mut client = anonymous(&broker, Protocol::V5);
    assert_eq!(publish(&mut client, 1, device.token.as_bytes()), 0);
    renewed(&broker, &device, &[("new/#", &["pub", "sub"])]).enter(&broker, Way::Exporter).round_trip("new/a");
    with_held_token(&broker, &device).accepted().round_trip("new/a");
}

fn t7_the_older_token_gives_nothing_any_more(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let mut client = replaced(&broker);
    assert_eq!(client.publish1("dev/a", b""), 0x87);
    assert_eq!(client.subscribe(&["dev/a"]), [0x87]);
}

fn r1_a_token_outlives_its_connection(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let device = broker.device("device");
    for _ in 0..3 {
        device.enter(&broker, Way::Challenge).round_trip("dev/a");
        with_held_token(&broker, &device).accepted().round_trip("dev/a");
    }
    let published = named(&broker, "published", "k");
    assert_eq!(publish(&mut anonymous(&broker, Protocol::V5), 1, published.token.as_bytes()), 0);
    assert_held(&broker, &published);
}

fn r1_a_token_is_held_until_it_expires_and_no_longer(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let authority = &broker.setup().authority;
    let device = named(&broker, "device", "k");
    let brief = authority.token(&authority.claims("device", &device.key).expires_in(3));
    let device = device.with_token(&brief);
    let mut client = device.enter(&broker, Way::Challenge);
    let published = named(&broker, "published", "p");
    let brief = authority.token(&authority.claims("published", &published.key).expires_in(3));
    assert_eq!(publish(&mut anonymous(&broker, Protocol::V5), 1, brief.as_bytes()), 0);
    // The session ends with its token; by then the other one has expired, too, within a second.
    client.expect_not_authorized();
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while challenged(&broker, &published) {
        assert!(std::time::Instant::now() < deadline, "still held");
    }
    assert_not_held(&broker, &published);
    with_held_token(&broker, &device).refused(&broker, "token-not-held");
    assert_not_held(&broker, &device);
}

fn r1_beyond_the_bound_the_soonest_to_expire_is_dropped(ctx: &Ctx) {
    let base = setup();
    let mut broker = base.clone().tokens("held_max = 2").start(ctx);
    let authority = broker.setup().authority.clone();
    let published = |broker: &Broker, id: &str, seconds: i64| {
        let device = named(broker, id, id);
        let token = authority.token(&authority.claims(id, &device.key).expires_in(seconds));
        let reason = publish(&mut anonymous(broker, Protocol::V5), 1, token.as_bytes());
        (device, reason)
    };
    let (first, one) = published(&broker, "first", 200);
    let (second, two) = published(&broker, "second", 100);
    let (third, three) = published(&broker, "third", 300);
    assert_eq!([one, two, three], [0, 0, 0]);
    let (_, refused) = published(&broker, "fourth", 50);
    assert_eq!(refused, 0x87);
    expect_token_refused(&broker, "uploader", "authz-info-full");
    // Nothing is wrong with such a token, and nobody goes for it.
    let mut client = anonymous(&broker, Protocol::V5);
    let unheld = authority.token(&authority.claims("fifth", &Key::ed25519()).expires_in(50));
    client.publish0(TOPIC, unheld.as_bytes());
    client.ping();
    assert_not_held(&broker, &second);
    assert!(challenged(&broker, &first) && challenged(&broker, &third));
    // A smaller bound holds at once.
    broker.reload(&base.tokens("held_max = 1"));
    assert!(!challenged(&broker, &first) && challenged(&broker, &third));
}

/// Whether the broker holds a token with this device's key, without anything being proved or held by asking.
fn challenged(broker: &Broker, device: &Device) -> bool {
    let client = broker.open();
    let connect = naming(broker, device).connect(&client, Way::Challenge);
    matches!(Attempt::make(client, &connect).reply, Reply::Auth(_))
}

fn t4_a_kid_names_no_key_of_another_subject(ctx: &Ctx) {
    let broker = setup().start(ctx);
    let device = named(&broker, "device", "k");
    assert_eq!(publish(&mut anonymous(&broker, Protocol::V5), 1, device.token.as_bytes()), 0);
    // Somebody else's key of the same name.
    let thief = named(&broker, "thief", "k");
    assert_not_held(&broker, &thief);
    assert_eq!(publish(&mut anonymous(&broker, Protocol::V5), 1, thief.token.as_bytes()), 0);
    assert_held(&broker, &device);
    let stolen = naming(&broker, &device).with_key(thief.key.clone());
    stolen.attempt(&broker, Way::Challenge).refused(&broker, "proof-wrong");
    // A key of the authorization server is nobody's.
    let mut own = device.clone();
    own.key = Key::ed25519().named("as-key");
    assert_not_held(&broker, &own);
}
