//! Hostile input: refused with a reason, the broker alive, the other clients undisturbed.

use serde_json::{Value, json};

use crate::connecting::{device_holding, sharing_authority};
use crate::support::authority::mint_raw;
use crate::support::case::cases;
use crate::support::key::{hmac_sha256, random};
use crate::support::packet::{self, binary, kind};
use crate::support::{Attempt, Broker, Client, Connect, Ctx, Device, Key, Protocol, Reply, Setup, Way};

cases! {
    Refuse "V1" hostile_passwords_that_are_no_text;
    Refuse "V1" hostile_missing_user_name_or_password;
    Refuse "V1" hostile_user_names_and_passwords_of_64_kib;
    Refuse "C2" hostile_authentication_data_of_64_kib;
    Refuse "C1" hostile_client_id_of_64_kib;
    Refuse "C6" hostile_lengths_that_lie;
    Refuse "C3" hostile_answers_to_the_challenge;
    Refuse "T1" hostile_tokens_of_60_kib;
    Refuse "T1" hostile_json_nested_10000_deep_in_the_header;
    Refuse "T3" hostile_json_nested_10000_deep_in_the_claims;
    Refuse "S1" hostile_json_nested_deep_in_the_scope;
    Refuse "V4" hostile_json_nested_10000_deep_in_the_password;
    Refuse "S2" hostile_topic_of_65000_levels_published;
    Refuse "S3" hostile_filter_of_65000_levels_subscribed;
    Accept "S1" hostile_scope_with_a_filter_of_8000_levels;
    Accept "V1" hostile_macs_with_zero_bytes_are_read_whole;
    Accept "V1" hostile_signatures_with_zero_bytes_are_read_whole;
    Refuse "V1" hostile_macs_cut_at_a_zero_byte_are_refused;
    Refuse "C3" hostile_challenges_left_unanswered;
    Refuse "C1" hostile_auth_packets_out_of_place;
    Refuse "T1" hostile_texts_that_are_no_tokens;
}

/// A broker, and a client that must not notice anything.
struct Stage {
    broker: Broker,
    bystander: Client,
}

impl Stage {
    fn new(ctx: &Ctx) -> Self {
        Self::with(ctx, Setup::new())
    }

    fn with(ctx: &Ctx, setup: Setup) -> Self {
        let broker = setup.start(ctx);
        let bystander = broker.device("bystander").enter(&broker, Way::Challenge);
        Self { broker, bystander }
    }

    /// The CONNECT is refused for a reason that begins so, and nobody else notices.
    fn refuses(&mut self, connect: &Connect, code: &str) {
        Attempt::make(self.broker.open(), connect).refused(&self.broker, code);
        self.undisturbed();
    }

    /// The CONNECT is refused for whatever reason in kebab-case, and nobody else notices.
    fn refuses_somehow(&mut self, connect: &Connect) {
        let mut attempt = Attempt::make(self.broker.open(), connect);
        match &attempt.reply {
            Reply::Connack(connack) => assert_ne!(connack.reason(), 0, "{connack:02x?}"),
            other => panic!("{other:02x?}"),
        }
        attempt.client.expect_close();
        self.broker.expect_some_refusal(&connect.client_id);
        self.undisturbed();
    }

    fn undisturbed(&mut self) {
        self.bystander.round_trip("dev/bystander");
    }

    /// The broker serves newcomers, too, and ends in good order.
    fn finish(mut self) {
        self.undisturbed();
        self.broker.assert_alive();
        self.broker.stop();
    }
}

fn ace_user(device: &Device) -> Vec<u8> {
    format!("ace{}", device.token).into_bytes()
}

fn hostile_passwords_that_are_no_text(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    let device = stage.broker.device("device");
    let user = ace_user(&device);
    let bytes: Vec<u8> = (0..=255).rev().collect();
    for protocol in [Protocol::V311, Protocol::V5] {
        for password in
            [&b"\xff\xfe\xfd"[..], b"\xc3\x28\xa0\xa1", b"\xed\xa0\x80{\"access_token\"", b"\0", b"\0\xff", &bytes]
        {
            for user in [&user[..], b"ace", b"alice", b""] {
                let connect = Connect::credentials(protocol, "hostile", user, password);
                stage.refuses_somehow(&connect);
            }
        }
        // As long as a proof, so that it is checked as one.
        let connect = Connect::credentials(protocol, "hostile-proof", &user, &[0xff; 64]);
        stage.refuses(&connect, "proof-wrong");
    }
    stage.finish();
}

fn hostile_missing_user_name_or_password(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    let device = stage.broker.device("device");
    for protocol in [Protocol::V311, Protocol::V5] {
        let neither = Connect::new(protocol, "neither");
        stage.refuses_somehow(&neither);
        let mut no_password = Connect::new(protocol, "no-password");
        no_password.user_name = Some(ace_user(&device));
        stage.refuses(&no_password, "proof-missing");
        no_password.user_name = Some(b"ace".to_vec());
        no_password.client_id = "no-draft-password".to_owned();
        stage.refuses_somehow(&no_password);
    }
    let mut no_user_name = Connect::new(Protocol::V5, "no-user-name");
    no_user_name.password = Some(b"{}".to_vec());
    stage.refuses_somehow(&no_user_name);
    // MQTT 3.1.1 forbids it: the broker itself closes.
    no_user_name.protocol = Protocol::V311;
    let mut client = stage.broker.open();
    client.connect(&no_user_name);
    client.expect_close();
    stage.finish();
}

fn hostile_user_names_and_passwords_of_64_kib(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    let device = stage.broker.device("device");
    let letters = vec![b'A'; 65_535];
    let ace_letters = [b"ace", &letters[3..]].concat();
    let dots = [b"ace", vec![b'.'; 65_532].as_slice()].concat();
    let three_parts = [&ace_letters[..65_531], b".A.A"].concat();
    let user = ace_user(&device);
    for protocol in [Protocol::V311, Protocol::V5] {
        for name in [&letters, &ace_letters, &dots, &three_parts] {
            let connect = Connect::credentials(protocol, "hostile", name, b"password");
            stage.refuses_somehow(&connect);
        }
        for name in [&user[..], b"ace", b"alice"] {
            for password in [&letters[..], &[0xff; 65_535], &[0; 65_535]] {
                let connect = Connect::credentials(protocol, "hostile", name, password);
                stage.refuses_somehow(&connect);
            }
        }
        // Both at once make a CONNECT that newer brokers refuse unread, for its size.
        let mut client = stage.broker.open();
        client.connect(&Connect::credentials(protocol, "hostile", &letters, &letters));
        let came = client.expect_close();
        assert!(came.iter().all(|packet| packet.kind() == kind::CONNACK && packet.reason() != 0));
        stage.undisturbed();
    }
    stage.finish();
}

fn hostile_authentication_data_of_64_kib(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    for filling in [0, 0xff, b'A', b'.'] {
        let mut data = vec![filling; 65_535];
        stage.refuses_somehow(&Connect::ace("hostile", data.clone()));
        data[..2].copy_from_slice(&65_533u16.to_be_bytes());
        stage.refuses(&Connect::ace("hostile", data), "token-too-large");
    }
    stage.finish();
}

fn hostile_client_id_of_64_kib(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    let id = "i".repeat(65_535);
    for connect in [Connect::ace(&id, binary(b"no token")), Connect::credentials(Protocol::V311, &id, b"ace", b"{}")] {
        let mut client = stage.broker.open();
        client.connect(&connect);
        let came = client.expect_close();
        assert!(came.iter().all(|packet| packet.kind() == kind::CONNACK && packet.reason() != 0));
        stage.undisturbed();
    }
    stage.broker.wait_for_line(&["ace: refused", "\"iii"]);
    // A good token is good whatever the name.
    let mut device = stage.broker.device("device");
    device.id = id;
    let mut client = device.enter(&stage.broker, Way::Challenge);
    client.round_trip("dev/long");
    stage.finish();
}

fn hostile_lengths_that_lie(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    let token = stage.broker.device("hostile").token.into_bytes();
    let whole = u16::try_from(token.len()).unwrap();
    for (length, token, code) in [
        (whole + 1, &token[..], "authentication-data-truncated"),
        (u16::MAX, &token, "authentication-data-truncated"),
        (0x8000, b"", "authentication-data-truncated"),
        (1, b"", "authentication-data-truncated"),
        (0, &token, "proof-without-token"),
        (0, &token[..32], "proof-without-token"),
        (whole - 65, &token, "authentication-data-too-long"),
    ] {
        let data = [&length.to_be_bytes(), token].concat();
        stage.refuses(&Connect::ace("hostile", data), code);
    }
    // What is left of the token may look like one, with a signature that is too short; its end then stands for a proof.
    let data = [&(whole - 64).to_be_bytes(), &token[..]].concat();
    stage.refuses_somehow(&Connect::ace("hostile", data));
    // The property itself lies: that is the broker's to notice.
    let good = Connect::ace("hostile", binary(b"token")).encode();
    for at in [good.len() - 16, good.len() - 17] {
        let mut bytes = good.clone();
        bytes[at] = 0xff;
        let mut client = stage.broker.open();
        client.send(&bytes);
        client.send(&[0; 70_000]);
        client.expect_close();
        stage.undisturbed();
    }
    stage.finish();
}

fn hostile_answers_to_the_challenge(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    let device = stage.broker.device("device");
    for (answer, code) in [
        (vec![1; 1], "challenge-answer-truncated"),
        (vec![1; 7], "challenge-answer-truncated"),
        (vec![1; 8], "challenge-answer-truncated"),
        (vec![1; 9], "proof-length"),
        (vec![1; 71], "proof-length"),
        (vec![1; 72], "proof-wrong"),
        (vec![0; 72], "proof-wrong"),
        (vec![1; 73], "challenge-answer-too-long"),
        (vec![1; 65_535], "challenge-answer-too-long"),
    ] {
        let client = stage.broker.open();
        let connect = device.connect(&client, Way::Challenge);
        Attempt::make(client, &connect).answer(&answer).refused(&stage.broker, code);
        stage.undisturbed();
    }
    stage.finish();
}

/// The device with its claims, rewritten and signed by the authorization server all the same.
fn rewritten(broker: &Broker, header: impl FnOnce(String) -> String, claims: impl FnOnce(String) -> String) -> Device {
    let authority = &broker.setup().authority;
    let key = Key::ed25519();
    let usual = Value::Object(authority.claims("hostile", &key).0).to_string();
    let usual_header = json!({ "alg": "EdDSA", "kid": "as-key" }).to_string();
    let token = mint_raw(header(usual_header).as_bytes(), claims(usual).as_bytes(), |input| authority.key.sign(input));
    Device { id: "hostile".to_owned(), key, token }
}

/// `{…` with one more member, which nests deep.
fn with_nested(object: &str, open: &str, close: &str, depth: usize) -> String {
    let nested = format!("{}0{}", open.repeat(depth), close.repeat(depth));
    object.replacen('{', &format!("{{\"deep\":{nested},"), 1)
}

fn refused_every_way(stage: &mut Stage, device: &Device, code: &str) {
    for way in [Way::Challenge, Way::Exporter, Way::UserName(Protocol::V311), Way::UserName(Protocol::V5)] {
        device.attempt(&stage.broker, way).refused(&stage.broker, code);
        stage.undisturbed();
    }
}

fn hostile_tokens_of_60_kib(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    let authority = stage.broker.setup().authority.clone();
    let device = Device::new(&authority, "hostile", Key::ed25519(), |claims| claims.set("padding", "x".repeat(45_000)));
    assert!(device.token.len() > 60_000);
    refused_every_way(&mut stage, &device, "token-too-large");
    device.attempt(&stage.broker, Way::Draft00(Protocol::V311)).refused(&stage.broker, "draft00-too-large");
    stage.finish();
}

fn hostile_json_nested_10000_deep_in_the_header(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    for (open, close) in [("[", "]"), ("{\"\":", "}")] {
        let depth = 20_000 / open.len() / 2;
        let device = rewritten(&stage.broker, |header| with_nested(&header, open, close, depth), |claims| claims);
        refused_every_way(&mut stage, &device, "header-not-json");
    }
    stage.finish();
}

fn hostile_json_nested_10000_deep_in_the_claims(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    for (open, close) in [("[", "]"), ("{\"\":", "}")] {
        let depth = 20_000 / open.len() / 2;
        let device = rewritten(&stage.broker, |header| header, |claims| with_nested(&claims, open, close, depth));
        refused_every_way(&mut stage, &device, "claims-not-json");
    }
    stage.finish();
}

/// In base64url inside of base64url there is room for 7,000 levels.
fn hostile_json_nested_deep_in_the_scope(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    let nested = format!("{}{}", "[".repeat(7_000), "]".repeat(7_000));
    let authority = stage.broker.setup().authority.clone();
    let device = Device::new(&authority, "hostile", Key::ed25519(), |claims| {
        claims.set("scope", crate::support::encode(nested.as_bytes()))
    });
    refused_every_way(&mut stage, &device, "scope-");
    stage.finish();
}

fn hostile_json_nested_10000_deep_in_the_password(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    let good = stage.broker.device("hostile").signed_password(1, "nonce");
    for (open, close) in [("[", "]"), ("{\"\":", "}"), ("[", ""), ("{\"\":", "")] {
        let nested = format!("{}{}", open.repeat(5_000), close.repeat(5_000));
        let deeper = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for password in [nested, deeper, with_nested(&good.to_string(), open, close, 5_000)] {
            let connect = Connect::credentials(Protocol::V311, "hostile", b"ace", password.as_bytes());
            // Only what begins like an object is taken for the draft's form.
            let code = if password.starts_with('{') { "draft00-" } else { "token-missing" };
            stage.refuses(&connect, code);
        }
    }
    stage.finish();
}

/// More levels than the broker takes: it answers such packets itself, and the plugin may not even see them.
fn hostile_topic_of_65000_levels_published(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    for (way, protocol) in [(Way::Challenge, Protocol::V5), (Way::UserName(Protocol::V311), Protocol::V311)] {
        for topic in ["/".repeat(65_000), "a/".repeat(32_500), format!("dev{}", "/a".repeat(150))] {
            let mut client = stage.broker.device("hostile").enter(&stage.broker, way);
            client.send(&packet::publish(protocol, &topic, b"deep", 1, false, 7));
            if topic.starts_with("dev") {
                assert_eq!(client.expect(kind::PUBACK).reason() & 0x80, 0);
            } else {
                let came = client.expect_close();
                assert!(came.iter().all(|packet| packet.kind() == kind::DISCONNECT));
            }
            stage.undisturbed();
        }
    }
    stage.finish();
}

fn hostile_filter_of_65000_levels_subscribed(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    for (way, protocol) in [(Way::Challenge, Protocol::V5), (Way::UserName(Protocol::V311), Protocol::V311)] {
        for filter in [
            "/".repeat(65_000),
            "+/".repeat(32_500),
            format!("{}#", "+/".repeat(32_500)),
            format!("$share/g/{}", "+/".repeat(32_500)),
        ] {
            let mut client = stage.broker.device("hostile").enter(&stage.broker, way);
            client.send(&packet::subscribe(protocol, &[&filter], 0, 7));
            let came = client.expect_close();
            assert!(came.iter().all(|packet| packet.kind() == kind::DISCONNECT));
            stage.undisturbed();
        }
    }
    stage.finish();
}

fn hostile_scope_with_a_filter_of_8000_levels(ctx: &Ctx) {
    let stage = Stage::new(ctx);
    let deep = format!("{}#", "+/".repeat(8_000));
    let scope: &[(&str, &[&str])] = &[(&deep, &["pub", "sub"]), ("dev/#", &["pub", "sub"])];
    let device = stage.broker.device_scoped("hostile", scope);
    let mut client = device.enter(&stage.broker, Way::Challenge);
    client.round_trip("dev/a");
    assert_eq!(client.publish1("other/a/b/c", b""), 0x87);
    stage.finish();
}

/// The broker hands the password over as a C string. Once the session's exporter value is known, keys
/// are tried until the MAC has a zero byte where it hurts.
fn hostile_macs_with_zero_bytes_are_read_whole(ctx: &Ctx) {
    let (authority, shared) = sharing_authority();
    let mut stage = Stage::with(ctx, Setup::with(authority.clone()));
    for (protocol, position) in [
        (Protocol::V311, 0),
        (Protocol::V311, 15),
        (Protocol::V311, 30),
        (Protocol::V311, 31),
        (Protocol::V5, 0),
        (Protocol::V5, 31),
    ] {
        let client = stage.broker.open();
        let exporter = client.exporter();
        let secret = loop {
            let secret = random(32);
            if hmac_sha256(&secret, &exporter)[position] == 0 {
                break secret;
            }
        };
        let device = device_holding(&authority, &shared, "device", Key::symmetric(secret));
        let attempt = device.attempt_over(client, Way::UserName(protocol));
        attempt.accepted().round_trip("dev/zero");
        stage.undisturbed();
    }
    stage.finish();
}

fn hostile_signatures_with_zero_bytes_are_read_whole(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    for position in [0, 33, 63] {
        for make in [Key::ed25519, Key::p256] {
            let client = stage.broker.open();
            let exporter = client.exporter();
            // An ECDSA signature is another one each time, so the very one found must be sent.
            let (key, proof) = loop {
                let key = make();
                let proof = key.sign(&exporter);
                if proof[position] == 0 {
                    break (key, proof);
                }
            };
            let device = stage.broker.device_with("device", key);
            let user = ace_user(&device);
            let connect = Connect::credentials(Protocol::V311, "device", &user, &proof);
            Attempt::make(client, &connect).accepted().round_trip("dev/zero");
        }
    }
    stage.undisturbed();
    stage.finish();
}

/// What follows the zero byte must have been sent: memory behind a shorter password is not a proof.
fn hostile_macs_cut_at_a_zero_byte_are_refused(ctx: &Ctx) {
    let (authority, shared) = sharing_authority();
    let mut stage = Stage::with(ctx, Setup::with(authority.clone()));
    for position in [0, 8, 20] {
        let client = stage.broker.open();
        let exporter = client.exporter();
        let secret = loop {
            let secret = random(32);
            if hmac_sha256(&secret, &exporter)[position] == 0 {
                break secret;
            }
        };
        let device = device_holding(&authority, &shared, "device", Key::symmetric(secret));
        let mut connect = device.connect(&client, Way::UserName(Protocol::V311));
        connect.password.as_mut().unwrap().truncate(position + 1);
        Attempt::make(client, &connect).refused(&stage.broker, "proof-");
        stage.undisturbed();
    }
    stage.finish();
}

fn hostile_challenges_left_unanswered(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    let device = stage.broker.device("device");
    let mut waiting = Vec::new();
    for number in 0..100 {
        let client = stage.broker.open();
        let mut connect = device.connect(&client, Way::Challenge);
        connect.client_id = format!("waiting-{number}");
        let attempt = Attempt::make(client, &connect);
        attempt.nonce();
        if number % 2 == 0 {
            waiting.push(attempt);
        }
    }
    stage.undisturbed();
    // Nobody who has not answered may do anything.
    for attempt in &mut waiting {
        attempt.client.send(&packet::subscribe(Protocol::V5, &["dev/#"], 0, 1));
        let came = attempt.client.expect_close();
        assert!(came.iter().all(|packet| packet.kind() != kind::SUBACK));
    }
    stage.finish();
}

fn hostile_auth_packets_out_of_place(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    let device = stage.broker.device("device");
    let mut first = stage.broker.open();
    first.send(&packet::auth(0x18, Some(&[1; 72])));
    first.expect_close();
    stage.undisturbed();

    let mut again = device.enter(&stage.broker, Way::Challenge);
    again.send(&packet::auth(0x18, Some(&[1; 72])));
    again.expect_close();
    stage.undisturbed();

    // Without reason code and properties it passes the broker's own checks.
    for round in 0..20 {
        let device = stage.broker.device(&format!("empty-{}", round % 3));
        for way in [Way::Challenge, Way::Exporter] {
            let mut connected = device.enter(&stage.broker, way);
            connected.round_trip("dev/a");
            connected.send(&[0xf0, 0]);
            connected.expect_close();
            stage.undisturbed();
        }
    }

    let mut old = device.enter(&stage.broker, Way::UserName(Protocol::V5));
    old.send(&packet::auth(0x18, None));
    old.expect_close();
    stage.finish();
}

fn hostile_texts_that_are_no_tokens(ctx: &Ctx) {
    let mut stage = Stage::new(ctx);
    for text in [
        &b"."[..],
        b"..",
        b"...",
        b"....",
        b"a.b.c",
        b"e30.e30.",
        b"\0\0\0",
        b"\xff\xff.\xff.\xff",
        b"eyJhbGciOiJFZERTQSJ9..",
        b"%2e%2e",
        "tøken".as_bytes(),
    ] {
        stage.refuses_somehow(&Connect::ace("hostile", binary(text)));
    }
    stage.finish();
}
