//! C9 with AS discovery: clients that are refused are told where to get a token (RFC 9431, section 2.4.1).

use serde_json::{Value, json};

use crate::support::authority::AUDIENCE;
use crate::support::case::cases;
use crate::support::packet::{self, Packet, binary, kind};
use crate::support::{Attempt, Broker, Client, Connect, Ctx, Device, Key, Protocol, Reply, Setup, Way, tls};

cases! {
    Accept "C9" c9_success_carries_no_hint_with_discovery_on;
    Refuse "C9" c9_hint_is_the_same_whatever_was_wrong;
    Refuse "C9" c9_hint_is_the_same_over_tls12;
    Refuse "C9" c9_each_server_with_a_hint_is_named_in_order;
    Refuse "C9" c9_hints_come_and_go_with_a_reload;
    Accept "C9" c9_a_reload_tells_nobody_who_is_connected;
    Refuse "C9" c9_refused_clients_leave_others_connections_alone;
    Refuse "E2" e2_a_refused_reauthentication_carries_no_hint;
    Refuse "V3" v3_mqtt311_has_no_discovery;
    Pin "C9" c9_without_tls_and_over_websockets_the_connack_carries_no_hint;
}

const URL: &str = "https://as.test/token";

fn hinting() -> Setup {
    Setup::new().server(&format!("as_hint = {}", json!(URL)))
}

/// The client is refused by this CONNACK, and nothing follows.
fn connack(broker: &Broker, mut attempt: Attempt) -> Packet {
    let Reply::Connack(connack) = &attempt.reply else { panic!("not refused by CONNACK: {:02x?}", attempt.reply) };
    assert_eq!(connack.reason(), 0x87, "{connack:02x?}");
    let after = attempt.client.expect_close();
    assert!(after.is_empty(), "after the CONNACK came {after:02x?}");
    broker.expect_some_refusal(&attempt.client_id);
    connack.clone()
}

/// What a CONNACK's hints say.
fn hints(connack: &Packet) -> Vec<Value> {
    let named = connack.user_properties().into_iter();
    named
        .map(|(name, value)| {
            assert_eq!(name, "ace_as_hint");
            serde_json::from_str(&value).expect("a JSON object")
        })
        .collect()
}

/// All that can be wrong with a client of MQTT 5 that has to do with ACE, and nothing that a reason code of MQTT's is for.
fn refused_in_all_ways(broker: &Broker, open: impl Fn() -> Client) -> Vec<Packet> {
    let good = broker.device("sensor");
    let thief = good.with_key(Key::ed25519());
    let expired = Device::new(&broker.setup().authority, "sensor", Key::ed25519(), |claims| claims.expires_in(-60));
    let foreign = Device::new(&crate::support::Authority::new(), "sensor", Key::ed25519(), |claims| claims);
    let ways = [
        Way::Exporter,
        Way::Challenge,
        Way::UserName(Protocol::V5),
        Way::UserNameText(Protocol::V5),
        Way::Draft00(Protocol::V5),
        Way::Draft00Signed(Protocol::V5),
    ];
    let mut refused = Vec::new();
    for device in [&thief, &expired, &foreign, &good.with_token("not.a.token")] {
        refused.extend(ways.map(|way| connack(broker, device.attempt_over(open(), way))));
    }
    // Answers to a challenge that are none, or too short.
    for answer in [vec![7; 8 + 64], vec![7; 8 + 32], vec![7; 3], Vec::new()] {
        let client = open();
        let connect = good.connect(&client, Way::Challenge);
        refused.push(connack(broker, Attempt::make(client, &connect).answer(&answer)));
    }
    let mut with_user_name = Connect::ace("nobody", binary(good.token.as_bytes()));
    with_user_name.user_name = Some(b"somebody".to_vec());
    let no_data = Connect { data: None, ..Connect::ace("nobody", Vec::new()) };
    for connect in [
        with_user_name,
        no_data,
        Connect::ace("nobody", Vec::new()),
        Connect::ace("nobody", binary(b"")),
        Connect::ace("nobody", vec![0xff, 0xff, 1]),
        Connect::new(Protocol::V5, "nobody"),
        Connect::credentials(Protocol::V5, "nobody", b"somebody", b"secret"),
        Connect::credentials(Protocol::V5, "nobody", b"ace", b"{"),
    ] {
        refused.push(connack(broker, Attempt::make(open(), &connect)));
    }
    refused
}

fn expect_all_the_same(refused: &[Packet]) {
    let hint = json!({ "AS": URL, "audience": AUDIENCE }).to_string();
    let property = [&[packet::property::USER_PROPERTY][..], &binary(b"ace_as_hint"), &binary(hint.as_bytes())].concat();
    // Both lengths are of one byte here.
    let length = u8::try_from(property.len()).expect("a short hint");
    let body = [&[0x00, 0x87, length][..], &property].concat();
    assert!(refused.len() > 30);
    for connack in refused {
        assert_eq!((connack.first, &connack.body), (0x20, &body), "{connack:02x?}");
    }
}

fn c9_success_carries_no_hint_with_discovery_on(ctx: &Ctx) {
    let broker = hinting().start(ctx);
    for way in [Way::Exporter, Way::Challenge, Way::UserName(Protocol::V5), Way::Draft00(Protocol::V5)] {
        let attempt = broker.device("sensor").attempt(&broker, way);
        let Reply::Connack(connack) = &attempt.reply else { panic!("{:02x?}", attempt.reply) };
        assert_eq!((connack.reason(), hints(connack)), (0, Vec::new()));
        attempt.accepted().round_trip("dev/a");
    }
    broker.stop();
}

fn c9_hint_is_the_same_whatever_was_wrong(ctx: &Ctx) {
    let mut broker = hinting().start(ctx);
    expect_all_the_same(&refused_in_all_ways(&broker, || broker.open()));
    broker.assert_alive();
    broker.stop();
}

fn c9_hint_is_the_same_over_tls12(ctx: &Ctx) {
    let mut broker = hinting().start(ctx);
    expect_all_the_same(&refused_in_all_ways(&broker, || broker.open_with(tls::tls12())));
    broker.assert_alive();
}

fn c9_each_server_with_a_hint_is_named_in_order(ctx: &Ctx) {
    // Long enough for lengths of two bytes.
    let long = format!("https://second.test/{}", "a".repeat(200));
    let broker = hinting()
        .audience("[\"broker.test\", \"its other name\"]")
        .server("[[authorization_server]]\nissuer = \"https://silent.test\"\njwks = \"{dir}/as-jwks.json\"")
        .server("[[authorization_server]]\nissuer = \"https://second.test\"\njwks = \"{dir}/as-jwks.json\"")
        .server(&format!("as_hint = {}", json!(long)))
        .start(ctx);
    let expected = [json!({ "AS": URL, "audience": AUDIENCE }), json!({ "AS": long, "audience": AUDIENCE })];
    let empty = Attempt::make(broker.open(), &Connect::ace("nobody", binary(b"")));
    let thief = broker.device("sensor").with_key(Key::ed25519()).attempt(&broker, Way::Challenge);
    let (empty, thief) = (connack(&broker, empty), connack(&broker, thief));
    assert_eq!(hints(&empty), expected);
    assert_eq!(empty, thief);
}

fn c9_hints_come_and_go_with_a_reload(ctx: &Ctx) {
    let mut broker = Setup::new().start(ctx);
    let plain = broker.setup().clone();
    let with_hint = plain.clone().server(&format!("as_hint = {}", json!(URL)));
    let hints_now = |broker: &Broker| {
        let attempt = Attempt::make(broker.open(), &Connect::ace("nobody", binary(b"")));
        hints(&connack(broker, attempt)).len()
    };
    assert_eq!(hints_now(&broker), 0);
    broker.reload(&with_hint);
    wait_for_reloads(&broker, 1);
    assert_eq!(hints_now(&broker), 1);
    broker.reload(&plain);
    wait_for_reloads(&broker, 2);
    assert_eq!(hints_now(&broker), 0);
}

/// The plugin has read its configuration so many times again.
fn wait_for_reloads(broker: &Broker, times: usize) {
    while broker.log().matches("ace.toml read again").count() < times {
        broker.wait_for_line(&["ace.toml read again"]);
        std::thread::yield_now();
    }
}

/// At a reload the broker asks about each client anew. One that must leave has had its CONNACK long ago.
fn c9_a_reload_tells_nobody_who_is_connected(ctx: &Ctx) {
    let mut broker = hinting().mqtt("allow_anonymous = true").mqtt("public_subscribe = [\"hello\"]").start(ctx);
    let mut kept = broker.device("sensor").enter(&broker, Way::UserName(Protocol::V5));
    let mut anonymous = Attempt::make(broker.open(), &Connect::new(Protocol::V5, "anonymous")).accepted();
    assert_eq!(anonymous.subscribe(&["hello"]), [0]);
    kept.round_trip("dev/a");
    // The connection that was read from last is that of the client which must leave.
    anonymous.ping();
    let mut stricter = hinting();
    stricter.authority = broker.setup().authority.clone();
    broker.reload(&stricter);
    let came = anonymous.expect_close();
    assert!(came.iter().all(|packet| packet.kind() == kind::DISCONNECT), "{came:02x?}");
    kept.round_trip("dev/a");
    assert!(kept.messages_so_far().is_empty());
}

/// What is written for a client that is refused must not reach another, however near the two are.
fn c9_refused_clients_leave_others_connections_alone(ctx: &Ctx) {
    let mut broker = hinting().plain_listener().websocket_listener().start(ctx);
    let mut bystander = broker.device("bystander").enter(&broker, Way::Challenge);
    for open in [Broker::open, Broker::open_plain, Broker::open_websocket] {
        for connect in [Connect::ace("nobody", binary(b"")), Connect::new(Protocol::V5, "nobody")] {
            // Its TLS connection is the one that was read from last when the other is refused.
            bystander.ping();
            let mut refused = Attempt::make(open(&broker), &connect);
            assert!(
                matches!(&refused.reply, Reply::Connack(connack) if connack.reason() == 0x87),
                "{:?}",
                refused.reply
            );
            refused.client.expect_close();
            bystander.round_trip("dev/a");
        }
    }
    broker.assert_alive();
}

fn e2_a_refused_reauthentication_carries_no_hint(ctx: &Ctx) {
    let broker = hinting().start(ctx);
    let device = broker.device("sensor");
    for answered in [false, true] {
        let mut client = device.enter(&broker, Way::Challenge);
        let token = if answered { device.token.as_bytes() } else { b"not.a.token" };
        client.send(&packet::auth(0x19, Some(&binary(token))));
        if answered {
            client.expect(kind::AUTH);
            client.send(&packet::auth(0x18, Some(&[7; 8 + 64])));
        }
        let came = client.expect_close();
        let told: Vec<_> = came.iter().map(|packet| (packet.kind(), packet.reason(), hints(packet).len())).collect();
        assert_eq!(told, [(kind::DISCONNECT, 0x87, 0)], "{came:02x?}");
    }
}

fn v3_mqtt311_has_no_discovery(ctx: &Ctx) {
    let mut broker = hinting().start(ctx);
    let thief = broker.device("sensor").with_key(Key::ed25519());
    let mut attempts = vec![Attempt::make(broker.open(), &Connect::new(Protocol::V311, "nobody"))];
    attempts.extend(
        [Way::UserName(Protocol::V311), Way::Draft00(Protocol::V311), Way::Draft00Signed(Protocol::V311)]
            .map(|way| thief.attempt(&broker, way)),
    );
    for mut attempt in attempts {
        let Reply::Connack(connack) = &attempt.reply else { panic!("{:02x?}", attempt.reply) };
        assert_eq!((connack.first, &connack.body[..]), (0x20, &[0, 5][..]));
        assert!(attempt.client.expect_close().is_empty());
    }
    broker.assert_alive();
}

/// There a plugin cannot write to the client: the broker's CONNACK goes out, as without discovery.
fn c9_without_tls_and_over_websockets_the_connack_carries_no_hint(ctx: &Ctx) {
    let mut broker = hinting().plain_listener().websocket_listener().start(ctx);
    let thief = broker.device("sensor").with_key(Key::ed25519());
    for open in [Broker::open_plain, Broker::open_websocket] {
        let attempts = [
            Attempt::make(open(&broker), &Connect::ace("nobody", binary(b""))),
            Attempt::make(open(&broker), &Connect::new(Protocol::V5, "nobody")),
            thief.attempt_over(open(&broker), Way::Challenge),
        ];
        for mut attempt in attempts {
            let Reply::Connack(connack) = &attempt.reply else { panic!("{:02x?}", attempt.reply) };
            assert_eq!((connack.first, &connack.body[..]), (0x20, &[0, 0x87, 0][..]));
            attempt.client.expect_close();
        }
    }
    broker.assert_alive();
}
