//! The examples in `mosquitto-conf/`: each starts a broker that does what the example promises, and refuses what it says. The one
//! behind a proxy has a file of its own.

use serde_json::{Value, json};

use crate::mutual_tls::Holder;
use crate::operating::password_line;
use crate::support::case::cases;
use crate::support::introspector::{Introspector, SECRET};
use crate::support::jwe::{self, Management};
use crate::support::pki::pki;
use crate::support::programs::{AuthorizationServer, CLIENT, ace_mqtt};
use crate::support::psk::Psk;
use crate::support::{
    Answer, Attempt, Authority, Broker, Client, Connect, Ctx, Device, Example, HttpsServer, Key, Protocol, Reply, Way,
    tls,
};

cases! {
    Accept "" example_plain_takes_tokens_by_the_servers_file;
    Accept "" example_plain_finds_the_servers_keys_by_its_name;
    Refuse "" example_plain_refuses_clients_without_a_token;
    Accept "" example_beside_passwords_serves_both;
    Refuse "" example_beside_passwords_leaves_no_bad_token_to_the_password_file;
    Accept "" example_beside_certificates_serves_both;
    Refuse "" example_beside_certificates_lets_nobody_in_without_either;
    Accept "" example_certificates_serves_by_certificate;
    Refuse "" example_certificates_refuses_one_without_a_token;
    Accept "" example_psk_serves_by_pre_shared_key;
    Refuse "" example_psk_refuses_unknown_identities_and_wrong_keys;
    Accept "" example_websockets_serves_challenges;
    Refuse "" example_websockets_refuses_wrong_proofs;
    Accept "" example_several_servers_takes_the_tokens_of_each;
    Refuse "" example_several_servers_keeps_them_apart;
    Refuse "" example_several_servers_names_where_tokens_come_from;
}

/// The only further listener of an example.
const SECOND: usize = 0;

/// A server with the name that the examples have.
fn example_authority(kid: &str) -> Authority {
    Authority { issuer: "https://as.example".to_owned(), ..Authority::signing_with(Key::ed25519().named(kid)) }
}

fn start(ctx: &Ctx, conf: &str) -> Broker {
    Example::read(conf).start(ctx, &Authority::new())
}

/// A client that brings nothing in CONNECT.
fn bare(id: &str) -> Connect {
    Connect::new(Protocol::V5, id)
}

/// The broker, not the plugin, says that the client may not come in.
fn refused_by_the_broker(broker: &Broker, attempt: &Attempt) {
    let Reply::Connack(connack) = &attempt.reply else { panic!("{:02x?}", attempt.reply) };
    assert_eq!(connack.reason(), 0x87, "{connack:02x?}");
    let by_the_plugin = format!("refused client \"{}\"", attempt.client_id);
    assert!(!broker.log().contains(&by_the_plugin), "{}", broker.log());
}

fn example_plain_takes_tokens_by_the_servers_file(ctx: &Ctx) {
    let broker = start(ctx, "mosquitto.conf");
    let mut client = broker.device("sensor").enter(&broker, Way::Exporter);
    client.round_trip("dev/a");
    assert_eq!(client.publish1("other/a", b""), 0x87);
    broker.stop();
}

/// A broker with the plain example whose server is asked for its keys. Its certificate is from an authority of its own.
fn plain(ctx: &Ctx) -> (AuthorizationServer, Broker) {
    let mut server = AuthorizationServer::start(ctx, "5m");
    let issuer = server.found_by_issuer(ctx);
    let example = Example::read("mosquitto.conf")
        .edit("\njwks = \"as-jwks.json\"\n", "\n")
        .edit("#ca_file = \"/etc/mosquitto/as-ca.pem\"", "ca_file = \"/etc/mosquitto/as-ca.pem\"")
        .file("as-ca.pem", &server.authority());
    let broker = example.start(ctx, &Authority { issuer, ..Authority::new() });
    (server, broker)
}

fn example_plain_finds_the_servers_keys_by_its_name(ctx: &Ctx) {
    let (server, broker) = plain(ctx);
    let message = ["-i", CLIENT, "-m", "x", "-q", "1", "-t"];
    let mut publish = ace_mqtt(ctx, &broker, "pub", &[&message[..], &["dev/a"], &server.arguments()].concat());
    assert_eq!((publish.ended(), publish.errors()), (Some(0), String::new()));
    let credentials = server.credentials(ctx).display().to_string();
    let with_them = ["other/a", "--credentials", &credentials];
    let mut denied = ace_mqtt(ctx, &broker, "pub", &[&message[..], &with_them].concat());
    assert_ne!(denied.ended(), Some(0), "{}", denied.errors());
    broker.wait_for_line(&["denied client", CLIENT, "\"other/a\": outside-scope"]);
    broker.stop();
}

fn example_plain_refuses_clients_without_a_token(ctx: &Ctx) {
    let (_server, broker) = plain(ctx);
    Attempt::make(broker.open(), &bare("nobody")).refused(&broker, "anonymous-not-allowed");
    let alice = Connect::credentials(Protocol::V311, "alice", b"alice", b"secret");
    Attempt::make(broker.open(), &alice).refused(&broker, "token-missing");
    broker.device("stranger").attempt(&broker, Way::Challenge).refused(&broker, "key-unknown");
    broker.stop();
}

fn beside_passwords(ctx: &Ctx) -> Broker {
    let example = Example::read("ace-beside-passwords.conf")
        .file("passwd", &password_line("alice", "open sesame"))
        .file("acl", "user alice\ntopic readwrite home/#\n");
    example.start(ctx, &Authority::new())
}

fn example_beside_passwords_serves_both(ctx: &Ctx) {
    let broker = beside_passwords(ctx);
    // The user name of this one is the old client's. What the file says of that is nothing to it.
    let mut new = broker.device("alice").enter(&broker, Way::Exporter);
    new.round_trip("dev/a");
    assert_eq!(new.publish1("home/kitchen", b""), 0x87);
    for protocol in [Protocol::V311, Protocol::V5] {
        let connect = Connect::credentials(protocol, "old", b"alice", b"open sesame");
        let mut old = Attempt::make(broker.open(), &connect).accepted();
        old.round_trip("home/kitchen");
        let reason = old.publish1("dev/a", b"from the old client");
        assert_eq!(reason, if protocol == Protocol::V5 { 0x87 } else { 0 });
    }
    assert!(new.messages_so_far().is_empty());
    broker.stop();
}

fn example_beside_passwords_leaves_no_bad_token_to_the_password_file(ctx: &Ctx) {
    let broker = beside_passwords(ctx);
    let thief = broker.device("thief").with_key(Key::ed25519());
    for way in [Way::Exporter, Way::Challenge, Way::UserName(Protocol::V311)] {
        thief.attempt(&broker, way).refused(&broker, "proof-wrong");
    }
    let wrong = Connect::credentials(Protocol::V5, "wrong", b"alice", b"wrong");
    refused_by_the_broker(&broker, &Attempt::make(broker.open(), &wrong));
    refused_by_the_broker(&broker, &Attempt::make(broker.open(), &bare("nobody")));
    broker.stop();
}

/// Whether a client without a certificate fails where they are required, by TLS 1.2 and 1.3.
fn without_certificate(broker: &Broker) -> [bool; 2] {
    [tls::tls12(), tls::tls13()].map(|config| Client::fails_in_handshake(broker.port(SECOND), config))
}

fn beside_certificates(ctx: &Ctx) -> Broker {
    let example = Example::read("ace-beside-certificates.conf").file("acl", "pattern readwrite machines/%u/#\n");
    example.start(ctx, &Authority::new())
}

fn example_beside_certificates_serves_both(ctx: &Ctx) {
    let broker = beside_certificates(ctx);
    let mut old = Holder::new(Key::p256()).attempt(&broker, SECOND, &bare("old")).accepted();
    old.round_trip("machines/common-name/speed");
    assert_eq!(old.publish1("machines/another/speed", b""), 0x87);
    assert_eq!(old.publish1("dev/a", b""), 0x87);
    let mut new = broker.device("new").enter(&broker, Way::Exporter);
    new.round_trip("dev/a");
    assert_eq!(new.publish1("machines/new/speed", b""), 0x87);
    broker.stop();
}

fn example_beside_certificates_lets_nobody_in_without_either(ctx: &Ctx) {
    let broker = beside_certificates(ctx);
    refused_by_the_broker(&broker, &Attempt::make(broker.open(), &bare("nobody")));
    assert_eq!(without_certificate(&broker), [true, true]);
    broker.stop();
}

fn example_certificates_serves_by_certificate(ctx: &Ctx) {
    let broker = start(ctx, "ace-certificates.conf");
    let by_key = Holder::new(Key::p256());
    broker.device_with("sensor", by_key.key()).enter(&broker, Way::Challenge).ping();
    by_key.attempt(&broker, SECOND, &bare("by-key")).accepted().round_trip("dev/a");
    // One that is bound to the certificate itself is shown on the listener that asks for it.
    let by_certificate = Holder::new(Key::rsa());
    let device = by_certificate.device(&broker, "pump", |claims| claims);
    let shown = Connect::ace("pump", crate::support::packet::binary(device.token.as_bytes()));
    by_certificate.attempt(&broker, SECOND, &shown).accepted().ping();
    let mut client = by_certificate.attempt(&broker, SECOND, &bare("by-certificate")).accepted();
    client.round_trip("dev/a");
    assert_eq!(client.publish1("other/a", b""), 0x87);
    broker.stop();
}

fn example_certificates_refuses_one_without_a_token(ctx: &Ctx) {
    let broker = start(ctx, "ace-certificates.conf");
    let holder = Holder::new(Key::p256());
    holder.attempt(&broker, SECOND, &bare("holder")).refused(&broker, "certificate-without-token");
    assert_eq!(without_certificate(&broker), [true, true]);
    let device = holder.device(&broker, "pump", |claims| claims);
    let elsewhere = Connect::ace("pump", crate::support::packet::binary(device.token.as_bytes()));
    Attempt::make(broker.open(), &elsewhere).refused(&broker, "certificate-mismatch");
    broker.stop();
}

/// A broker that shares a key with its server, and a device with a symmetric one that the broker has been shown.
fn psk(ctx: &Ctx) -> (Broker, Device) {
    let shared = Key::oct(32).named("shared");
    let broker = Example::read("ace-psk.conf").start(ctx, &Authority::new().publishing(&shared));
    let key = Key::oct(32).named("key-7");
    let jwe = jwe::encrypt(key.jwk().to_string().as_bytes(), &shared, Management::A256Kw, "A256GCM");
    let claims = |claims: crate::support::Claims| claims.set("cnf", json!({ "jwe": jwe }));
    let device = Device::new(&broker.setup().authority, "sensor", key, claims);
    device.enter(&broker, Way::Challenge).ping();
    (broker, device)
}

fn attempt_by_psk(broker: &Broker, identity: &str, key: &Key) -> Attempt {
    let stream = Psk::new(identity.as_bytes(), key.secret()).open(broker.port(SECOND));
    Attempt::make(Client::psk(stream), &bare("by-psk"))
}

fn example_psk_serves_by_pre_shared_key(ctx: &Ctx) {
    let (broker, device) = psk(ctx);
    let mut client = attempt_by_psk(&broker, "key-7", &device.key).accepted();
    client.round_trip("dev/a");
    assert_eq!(client.publish1("other/a", b""), 0x87);
    broker.stop();
}

fn example_psk_refuses_unknown_identities_and_wrong_keys(ctx: &Ctx) {
    let (broker, device) = psk(ctx);
    for (identity, key) in [("key-8", &device.key), ("key-7", &Key::oct(32))] {
        let attempt = attempt_by_psk(&broker, identity, key);
        assert!(matches!(attempt.reply, Reply::Closed), "{identity}: {:02x?}", attempt.reply);
    }
    broker.expect_refusal("", "psk-identity-unknown");
    broker.stop();
}

fn websocket(broker: &Broker) -> Client {
    Client::websocket(broker.port(SECOND), tls::tls13())
}

fn example_websockets_serves_challenges(ctx: &Ctx) {
    let broker = start(ctx, "ace-websockets.conf");
    let device = broker.device("page");
    for way in [Way::Challenge, Way::Exporter] {
        let mut client = device.attempt_over(websocket(&broker), way).accepted();
        client.round_trip("dev/a");
        assert_eq!(client.publish1("other/a", b""), 0x87);
    }
    device.enter(&broker, Way::Challenge).round_trip("dev/a");
    broker.stop();
}

fn example_websockets_refuses_wrong_proofs(ctx: &Ctx) {
    let broker = start(ctx, "ace-websockets.conf");
    let thief = broker.device("thief").with_key(Key::ed25519());
    thief.attempt_over(websocket(&broker), Way::Challenge).refused(&broker, "proof-wrong");
    Attempt::make(websocket(&broker), &bare("nobody")).refused(&broker, "anonymous-not-allowed");
    broker.stop();
}

/// The path of the company's server, and what is found by it.
const REALM: &str = "/realms/plant";

/// A broker with three servers, and what the tests know of each.
struct Three {
    broker: Broker,
    devices: Authority,
    people: Authority,
    partner: Introspector,
    _login: HttpsServer,
}

fn three(ctx: &Ctx) -> Three {
    let devices = example_authority("of-the-devices");
    let key = Key::ed25519().named("of-the-people");
    let set = json!({ "keys": [key.jwk()] }).to_string();
    let login = HttpsServer::start(move |request| {
        let base = format!("https://{}", request.header("host").unwrap_or_default());
        let metadata = json!({ "issuer": format!("{base}{REALM}"), "jwks_uri": format!("{base}/keys") });
        match request.target.as_str() {
            "/.well-known/oauth-authorization-server/realms/plant" => {
                Answer::ok("application/json", metadata.to_string().into_bytes())
            }
            "/keys" => Answer::ok("application/jwk-set+json", set.clone().into_bytes()),
            _ => Answer::status(404),
        }
    });
    let people = Authority { issuer: login.url(REALM), ..Authority::signing_with(key) };
    let partner = Introspector::start();
    let example = Example::read("ace-several-servers.conf")
        .edit("https://login.example/realms/plant", &people.issuer)
        .edit("https://partner.example/introspect", &partner.server.url("/introspect"))
        .file("login-ca.pem", &pki().authority)
        .file("partner-ca.pem", &pki().authority)
        .file("partner.secret", SECRET);
    let broker = example.start_as_it_is(ctx, &devices);
    Three { broker, devices, people, partner, _login: login }
}

impl Three {
    /// A client of the devices' server.
    fn device(&self) -> Device {
        Device::new(&self.devices, "device", Key::ed25519(), |claims| claims)
    }

    /// A client of the company's, whose rights are in words.
    fn person(&self) -> Device {
        let words = "openid mqtt:pub:plant/+/command mqtt:sub:plant/#";
        Device::new(&self.people, "person", Key::ed25519(), |claims| claims.set("scope", words))
    }

    /// A client of the partner's.
    fn foreigner(&self) -> Device {
        let claims = |claims: crate::support::Claims| claims.set("iss", "https://partner.example");
        self.partner.device_with("foreigner", Key::ed25519(), claims)
    }
}

fn example_several_servers_takes_the_tokens_of_each(ctx: &Ctx) {
    let three = three(ctx);
    let broker = &three.broker;
    broker.wait_for_line(&["ace: the keys of ", "are in force: 1"]);
    three.device().enter(broker, Way::Challenge).round_trip("dev/a");
    let mut person = three.person().enter(broker, Way::Challenge);
    person.round_trip("plant/1/command");
    assert_eq!(person.publish1("plant/1/speed", b""), 0x87);
    let foreigner = three.foreigner();
    foreigner.enter(broker, Way::Challenge).round_trip("dev/a");
    assert_eq!(three.partner.asked_about(&foreigner), 1);
    assert_eq!(three.partner.server.requests().len(), 1, "asked about its own client only");
    three.broker.stop();
}

fn example_several_servers_keeps_them_apart(ctx: &Ctx) {
    let three = three(ctx);
    let broker = &three.broker;
    broker.wait_for_line(&["ace: the keys of ", "are in force: 1"]);
    // Signed by one, in the name of another.
    for (signer, name) in [(&three.devices, &three.people.issuer), (&three.people, &three.devices.issuer)] {
        let device = Device::new(signer, "liar", Key::ed25519(), |claims| claims.set("iss", name.as_str()));
        device.attempt(broker, Way::Challenge).refused(broker, "key-unknown");
    }
    let unknown = Authority { issuer: "https://nobody.example".to_owned(), ..Authority::new() };
    let unknown = Device::new(&unknown, "unknown", Key::ed25519(), |claims| claims);
    unknown.attempt(broker, Way::Challenge).refused(broker, "issuer-unknown");
    // Rights in words count where they are configured, and nowhere else.
    let words = Device::new(&three.devices, "words", Key::ed25519(), |claims| claims.set("scope", "mqtt:pub:dev/#"));
    words.attempt(broker, Way::Challenge).refused(broker, "scope-not-aif");
    Introspector::stranger("stranger", Key::ed25519())
        .attempt(broker, Way::Challenge)
        .refused(broker, "token-inactive");
    three.broker.stop();
}

fn example_several_servers_names_where_tokens_come_from(ctx: &Ctx) {
    let three = three(ctx);
    let thief = three.device().with_key(Key::ed25519());
    let connack = thief.attempt(&three.broker, Way::Exporter).refused(&three.broker, "proof-wrong");
    let hints: Vec<Value> =
        connack.user_properties().iter().map(|(_, value)| serde_json::from_str(value).expect("JSON")).collect();
    let urls: Vec<&str> = hints.iter().filter_map(|hint| hint["AS"].as_str()).collect();
    assert_eq!(urls, ["https://as.example/token"]);
    three.broker.stop();
}
