//! C: connecting with MQTT 5 and authentication method `ace` (RFC 9431, section 2.2.4).

use std::collections::HashSet;

use serde_json::json;

use crate::support::case::cases;
use crate::support::jwe::{self, Management};
use crate::support::packet::{Packet, binary, property};
use crate::support::{Attempt, Authority, Broker, Client, Connect, Ctx, Device, Key, Reply, Setup, Way, encode, tls};

cases! {
    Accept "C1" c1_method_ace_is_accepted;
    Refuse "C1" c1_another_method_is_refused_as_bad;
    Refuse "C1" c1_a_user_name_beside_the_method_is_refused;
    Refuse "C1" c1_user_name_and_password_beside_the_method_are_refused;
    Pin "C1" c1_a_password_alone_beside_the_method_goes_unseen;
    Accept "C2" c2_exporter_proof_by_ed25519_is_accepted;
    Accept "C2" c2_exporter_proof_by_p256_is_accepted;
    Accept "C2" c2_exporter_proof_by_symmetric_key_is_accepted;
    Accept "C2" c2_exporter_proof_over_tls12_is_accepted;
    Refuse "C2" c2_exporter_proof_by_another_key_is_refused;
    Refuse "C2" c2_exporter_proof_of_another_session_is_refused;
    Refuse "C2" c2_exporter_proof_by_another_key_over_tls12_is_refused;
    Refuse "C2" c2_exporter_value_without_context_over_tls12_is_refused;
    Accept "C3" c3_challenge_is_answered_by_ed25519;
    Accept "C3" c3_challenge_is_answered_by_p256;
    Accept "C3" c3_challenge_is_answered_by_symmetric_key;
    Accept "C3" c3_challenge_is_answered_over_tls12;
    Refuse "C3" c3_challenge_answered_by_another_key_is_refused;
    Refuse "C3" c3_proof_over_the_broker_nonce_alone_is_refused;
    Refuse "C3" c3_expired_token_gets_no_challenge_passed;
    Accept "C4" c4_a_held_token_is_proved_without_being_sent;
    Refuse "C4" c4_a_held_token_is_not_given_to_another_key;
    Refuse "C4" c4_nothing_is_held_for_another_client_id;
    Accept "C6" c6_nonces_differ_and_each_can_be_answered;
    Refuse "C6" c6_bytes_behind_the_proof_are_refused;
    Refuse "C6" c6_length_field_beyond_the_data_is_refused;
    Refuse "C6" c6_short_length_field_is_refused;
    Refuse "C6" c6_data_too_short_for_a_length_is_refused;
    Refuse "C6" c6_answer_without_a_whole_nonce_is_refused;
    Refuse "C6" c6_answer_with_bytes_behind_the_proof_is_refused;
    Accept "C9" c9_success_carries_no_hint;
    Refuse "C9" c9_empty_token_with_none_stored_is_refused;
    Refuse "C9" c9_missing_authentication_data_is_refused;
    Refuse "C9" c9_nothing_follows_the_connack_to_a_refused_answer;
    Pin "C9" c9_without_tls_the_broker_adds_a_disconnect_to_a_refused_answer;
    Accept "C10" c10_a_good_client_leaves_no_refusal_in_the_log;
    Refuse "C10" c10_malformed_data_bad_token_and_bad_proof_are_told_apart_in_the_log_only;
}

/// An authorization server that shares a key with the broker, to hide symmetric keys in tokens.
pub fn sharing_authority() -> (Authority, Key) {
    let shared = Key::oct(32).named("shared");
    (Authority::new().publishing(&shared), shared)
}

/// A device with a symmetric key, which its token carries encrypted.
pub fn symmetric_device(authority: &Authority, shared: &Key, id: &str) -> Device {
    device_holding(authority, shared, id, Key::oct(32))
}

/// The same with this symmetric key.
pub fn device_holding(authority: &Authority, shared: &Key, id: &str, key: Key) -> Device {
    let secret = json!({ "kty": "oct", "k": encode(key.secret()) }).to_string();
    let jwe = jwe::encrypt(secret.as_bytes(), shared, Management::Dir, "A256GCM");
    Device::new(authority, id, key, |claims| claims.set("cnf", json!({ "jwe": jwe })))
}

fn comes_in_and_is_served(mut client: Client) {
    client.round_trip("dev/temperature");
}

fn c1_method_ace_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    comes_in_and_is_served(device.enter(&broker, Way::Challenge));
    comes_in_and_is_served(device.enter(&broker, Way::Exporter));
    broker.stop();
}

fn c1_another_method_is_refused_as_bad(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for method in ["SCRAM-SHA-1", "ACE", "ace ", "ac"] {
        let device = broker.device("sensor");
        let mut connect = Connect::ace("sensor", binary(device.token.as_bytes()));
        connect.method = Some(method.to_owned());
        let mut attempt = Attempt::make(broker.open(), &connect);
        let Reply::Connack(connack) = &attempt.reply else {
            panic!("{method:?}: {:02x?}", attempt.reply);
        };
        assert_eq!(connack.reason(), 0x8c, "{method:?}: {connack:02x?}");
        attempt.client.expect_close();
    }
}

fn c1_a_user_name_beside_the_method_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    for way in [Way::Challenge, Way::Exporter] {
        let client = broker.open();
        let mut connect = device.connect(&client, way);
        connect.user_name = Some(b"sensor".to_vec());
        Attempt::make(client, &connect).refused(&broker, "user-name-with-method");
    }
}

fn c1_user_name_and_password_beside_the_method_are_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let client = broker.open();
    let mut connect = device.connect(&client, Way::Exporter);
    connect.user_name = Some(format!("ace{}", device.token).into_bytes());
    connect.password = Some(device.key.sign(&client.exporter()));
    Attempt::make(client, &connect).refused(&broker, "user-name-with-method");
}

/// The broker hands a plugin the user name of such a CONNECT, never the password.
fn c1_a_password_alone_beside_the_method_goes_unseen(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let client = broker.open();
    let mut connect = device.connect(&client, Way::Exporter);
    connect.password = Some(b"nobody reads this".to_vec());
    comes_in_and_is_served(Attempt::make(client, &connect).accepted());
}

fn c2_exporter_proof_by_ed25519_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device_with("sensor", Key::ed25519());
    comes_in_and_is_served(device.enter(&broker, Way::Exporter));
}

fn c2_exporter_proof_by_p256_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device_with("sensor", Key::p256());
    comes_in_and_is_served(device.enter(&broker, Way::Exporter));
}

fn c2_exporter_proof_by_symmetric_key_is_accepted(ctx: &Ctx) {
    let (authority, shared) = sharing_authority();
    let broker = Setup::with(authority).start(ctx);
    let device = symmetric_device(&broker.setup().authority, &shared, "sensor");
    comes_in_and_is_served(device.enter(&broker, Way::Exporter));
}

fn c2_exporter_proof_over_tls12_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let attempt = device.attempt_over(broker.open_with(tls::tls12()), Way::Exporter);
    comes_in_and_is_served(attempt.accepted());
}

fn c2_exporter_proof_by_another_key_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for (own, other) in [(Key::ed25519(), Key::ed25519()), (Key::p256(), Key::p256()), (Key::ed25519(), Key::p256())] {
        let thief = broker.device_with("sensor", own).with_key(other);
        thief.attempt(&broker, Way::Exporter).refused(&broker, "proof-wrong");
    }
}

fn c2_exporter_proof_of_another_session_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let elsewhere = broker.open();
    let connect = device.connect(&elsewhere, Way::Exporter);
    Attempt::make(broker.open(), &connect).refused(&broker, "proof-wrong");
    // Where it belongs, the very same CONNECT is good.
    Attempt::make(elsewhere, &connect).accepted();
}

fn c2_exporter_proof_by_another_key_over_tls12_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let thief = broker.device("sensor").with_key(Key::ed25519());
    thief.attempt_over(broker.open_with(tls::tls12()), Way::Exporter).refused(&broker, "proof-wrong");
}

/// On TLS 1.2 an empty context and no context give different values; the RFC means the empty one.
fn c2_exporter_value_without_context_over_tls12_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let client = broker.open_with(tls::tls12());
    let contextless = client.export(None);
    assert_ne!(contextless, client.exporter());
    let data = [binary(device.token.as_bytes()), device.key.sign(&contextless)].concat();
    Attempt::make(client, &Connect::ace("sensor", data)).refused(&broker, "proof-wrong");
}

fn c3_challenge_is_answered_by_ed25519(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device_with("sensor", Key::ed25519());
    comes_in_and_is_served(device.enter(&broker, Way::Challenge));
}

fn c3_challenge_is_answered_by_p256(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device_with("sensor", Key::p256());
    comes_in_and_is_served(device.enter(&broker, Way::Challenge));
}

fn c3_challenge_is_answered_by_symmetric_key(ctx: &Ctx) {
    let (authority, shared) = sharing_authority();
    let broker = Setup::with(authority).start(ctx);
    let device = symmetric_device(&broker.setup().authority, &shared, "sensor");
    comes_in_and_is_served(device.enter(&broker, Way::Challenge));
}

fn c3_challenge_is_answered_over_tls12(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let attempt = device.attempt_over(broker.open_with(tls::tls12()), Way::Challenge);
    comes_in_and_is_served(attempt.accepted());
}

fn c3_challenge_answered_by_another_key_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for (own, other) in [(Key::ed25519(), Key::ed25519()), (Key::p256(), Key::p256()), (Key::p256(), Key::ed25519())] {
        let thief = broker.device_with("sensor", own).with_key(other);
        thief.attempt(&broker, Way::Challenge).refused(&broker, "proof-wrong");
    }
}

fn c3_proof_over_the_broker_nonce_alone_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let attempt = challenged(&broker, &device);
    let answer = [vec![7; 8], device.key.sign(&attempt.nonce())].concat();
    attempt.answer(&answer).refused(&broker, "proof-wrong");
}

fn c3_expired_token_gets_no_challenge_passed(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = Device::new(&broker.setup().authority, "sensor", Key::ed25519(), |claims| claims.expires_in(-60));
    device.attempt(&broker, Way::Challenge).refused(&broker, "token-expired");
}

/// Sends the CONNECT of C3 and leaves the challenge unanswered.
fn challenged(broker: &Broker, device: &Device) -> Attempt {
    let client = broker.open();
    let connect = device.connect(&client, Way::Challenge);
    Attempt::make(client, &connect)
}

fn c6_nonces_differ_and_each_can_be_answered(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut nonces = HashSet::new();
    for number in 0..16 {
        let device = broker.device(&format!("sensor-{number}"));
        let attempt = challenged(&broker, &device);
        let nonce = attempt.nonce();
        let answer = device.challenge_answer(&nonce);
        assert!(nonces.insert(nonce), "a nonce came twice");
        attempt.answer(&answer).accepted();
    }
}

fn c6_bytes_behind_the_proof_are_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    for (trailing, code) in [(1, "authentication-data-too-long"), (1000, "authentication-data-too-long")] {
        let client = broker.open();
        let mut connect = device.connect(&client, Way::Exporter);
        connect.data.as_mut().unwrap().extend(std::iter::repeat_n(0, trailing));
        Attempt::make(client, &connect).refused(&broker, code);
    }
}

fn c6_length_field_beyond_the_data_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let length = u16::try_from(device.token.len()).unwrap();
    for lie in [length + 1, u16::MAX] {
        let data = [&lie.to_be_bytes(), device.token.as_bytes()].concat();
        Attempt::make(broker.open(), &Connect::ace("sensor", data)).refused(&broker, "authentication-data-truncated");
    }
}

/// The rest of the token then stands where the proof should.
fn c6_short_length_field_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let client = broker.open();
    let mut data = device.connect(&client, Way::Exporter).data.unwrap();
    data[..2].copy_from_slice(&1u16.to_be_bytes());
    Attempt::make(client, &Connect::ace("sensor", data)).refused(&broker, "authentication-data-too-long");
}

fn c6_data_too_short_for_a_length_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    Attempt::make(broker.open(), &Connect::ace("sensor", vec![0])).refused(&broker, "authentication-data-truncated");
}

fn c6_answer_without_a_whole_nonce_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    for bytes in [1, 7, 8] {
        challenged(&broker, &device).answer(&vec![7; bytes]).refused(&broker, "challenge-answer-truncated");
    }
}

fn c6_answer_with_bytes_behind_the_proof_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let attempt = challenged(&broker, &device);
    let mut answer = device.challenge_answer(&attempt.nonce());
    answer.push(0);
    attempt.answer(&answer).refused(&broker, "challenge-answer-too-long");
}

fn c9_success_carries_no_hint(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    for way in [Way::Exporter, Way::Challenge] {
        let attempt = device.attempt(&broker, way);
        let Reply::Connack(connack) = &attempt.reply else {
            panic!("{:02x?}", attempt.reply);
        };
        assert_eq!(connack.reason(), 0);
        let hints =
            connack.properties().into_iter().filter(|(identifier, _)| *identifier == property::USER_PROPERTY).count();
        assert_eq!(hints, 0, "{connack:02x?}");
    }
}

fn c9_empty_token_with_none_stored_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    Attempt::make(broker.open(), &Connect::ace("sensor", vec![0, 0])).refused(&broker, "token-not-held");
}

fn c9_missing_authentication_data_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut connect = Connect::ace("sensor", Vec::new());
    Attempt::make(broker.open(), &connect).refused(&broker, "token-not-held");
    connect.data = None;
    Attempt::make(broker.open(), &connect).refused(&broker, "token-not-held");
}

/// What follows the CONNACKs to refused answers, one answer after the other.
fn after_refused_answers(device: &Device, open: impl Fn() -> Client) -> Vec<Vec<u8>> {
    let wrong = [vec![7; 8 + 64], vec![7; 8 + 32], vec![7; 3]];
    let after = |answer: Vec<u8>| {
        let client = open();
        let connect = device.connect(&client, Way::Challenge);
        let mut attempt = Attempt::make(client, &connect).answer(&answer);
        assert!(matches!(attempt.reply, Reply::Connack(_)));
        attempt.client.expect_close().iter().map(Packet::reason).collect()
    };
    wrong.map(after).into()
}

fn c9_nothing_follows_the_connack_to_a_refused_answer(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let after = after_refused_answers(&broker.device("sensor"), || broker.open());
    assert!(after.iter().all(Vec::is_empty), "{after:02x?}");
}

/// Where we cannot write to the client, a refused answer to a challenge and a refused CONNECT differ by what the broker
/// itself puts behind the CONNACK: DISCONNECT 0x82 from some version on. It is the same whatever was wrong with the answer.
fn c9_without_tls_the_broker_adds_a_disconnect_to_a_refused_answer(ctx: &Ctx) {
    let broker = Setup::new().plain_listener().start(ctx);
    let expected: &[u8] = if ctx.version.number == "2.0.11" { &[] } else { &[0x82] };
    let after = after_refused_answers(&broker.device("sensor"), || broker.open_plain());
    assert!(after.iter().all(|after| after == expected), "{after:02x?}");
}

/// A client that the broker has seen the token of, and its CONNECT without the token.
fn held(broker: &Broker) -> (Device, Connect) {
    let device = broker.device("sensor");
    comes_in_and_is_served(device.enter(broker, Way::Challenge));
    (device, Connect::ace("sensor", binary(b"")))
}

fn c4_a_held_token_is_proved_without_being_sent(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (device, connect) = held(&broker);
    for _ in 0..2 {
        let challenged = Attempt::make(broker.open(), &connect);
        let answer = device.challenge_answer(&challenged.nonce());
        comes_in_and_is_served(challenged.answer(&answer).accepted());
    }
}

fn c4_a_held_token_is_not_given_to_another_key(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (device, connect) = held(&broker);
    let thief = device.with_key(Key::ed25519());
    let challenged = Attempt::make(broker.open(), &connect);
    let answer = thief.challenge_answer(&challenged.nonce());
    challenged.answer(&answer).refused(&broker, "proof-wrong");
}

fn c4_nothing_is_held_for_another_client_id(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    held(&broker);
    Attempt::make(broker.open(), &Connect::ace("somebody-else", binary(b""))).refused(&broker, "token-not-held");
}

fn c10_a_good_client_leaves_no_refusal_in_the_log(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    comes_in_and_is_served(device.enter(&broker, Way::Exporter));
    comes_in_and_is_served(device.enter(&broker, Way::Challenge));
    let log = broker.stop();
    assert!(!log.contains("ace: refused"), "{log}");
}

fn c10_malformed_data_bad_token_and_bad_proof_are_told_apart_in_the_log_only(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");

    let malformed = Connect::ace("malformed", binary(b"this is no token"));
    let malformed = Attempt::make(broker.open(), &malformed).refused(&broker, "token-not-jwt");

    let mut forged = device.token.clone().into_bytes();
    let signature = device.token.rfind('.').unwrap() + 1;
    forged[signature] = if forged[signature] == b'A' { b'B' } else { b'A' };
    let mut forger = device.with_token(std::str::from_utf8(&forged).unwrap());
    forger.id = "forger".to_owned();
    let forged = forger.attempt(&broker, Way::Challenge).refused(&broker, "signature-wrong");

    let mut thief = device.with_key(Key::ed25519());
    thief.id = "thief".to_owned();
    let stolen = thief.attempt(&broker, Way::Challenge).refused(&broker, "proof-wrong");

    assert_eq!(malformed, forged, "the client can tell the reasons apart");
    assert_eq!(forged, stolen, "the client can tell the reasons apart");
    for client in ["malformed", "forger", "thief"] {
        let named = format!("\"{client}\"");
        let log = broker.log();
        let lines = log.lines().filter(|line| line.contains("ace: refused") && line.contains(&named)).count();
        assert_eq!(lines, 1, "one line for {client}:\n{log}");
    }
}
