//! E2: a new token on a connection that is there already (RFC 9431, section 4).

use std::time::Duration;

use crate::support::case::cases;
use crate::support::client::Event;
use crate::support::packet::{self, binary, kind};
use crate::support::{Broker, Client, Ctx, Device, Key, PATIENCE, Protocol, Setup, Way, now, secrets};

cases! {
    Accept "E2" e2_the_new_scope_holds_at_once;
    Accept "E2" e2_the_new_token_may_bind_another_key;
    Accept "E2" e2_the_new_tokens_expiry_counts;
    Refuse "E2" e2_proof_by_another_key_is_refused;
    Refuse "E2" e2_exporter_proof_is_refused;
    Refuse "E2" e2_token_of_another_subject_is_refused;
    Refuse "E2" e2_expired_token_is_refused;
    Refuse "E2" e2_client_without_the_method_cannot;
    Pin "E2" e2_without_tls_a_refusal_is_a_connack_on_2_0_11;
    Refuse "A5" a5_no_message_outside_the_new_scope_is_delivered;
    Accept "A5" a5_drop_keeps_the_subscriber_and_delivers_nothing;
}

/// Sends the new token; gives the broker's nonce.
fn ask(client: &mut Client, device: &Device) -> Vec<u8> {
    client.send(&packet::auth(0x19, Some(&binary(device.token.as_bytes()))));
    let auth = client.expect(kind::AUTH);
    assert_eq!(auth.reason(), 0x18);
    auth.authentication_data().expect("a nonce")
}

/// Re-authenticates with success.
pub fn renew(client: &mut Client, device: &Device) {
    let nonce = ask(client, device);
    answer(client, device, &nonce);
    assert_eq!(client.expect(kind::AUTH).reason(), 0);
}

fn answer(client: &mut Client, device: &Device, nonce: &[u8]) {
    let data = device.challenge_answer(nonce);
    secrets::register(&data);
    client.send(&packet::auth(0x18, Some(&data)));
}

/// The re-authentication is refused: the connection ends, with reason 0x87, and the log says why.
fn expect_refused(broker: &Broker, client: &mut Client, code: &str) {
    let came = client.expect_close();
    let reasons: Vec<_> = came.iter().map(|packet| (packet.kind(), packet.reason())).collect();
    assert_eq!(reasons, [(kind::DISCONNECT, 0x87)], "{came:02x?}");
    broker.expect_refusal("sensor", code);
}

fn device_with_scope(broker: &Broker, scope: &[(&str, &[&str])]) -> Device {
    broker.device_scoped("sensor", scope)
}

fn e2_the_new_scope_holds_at_once(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for way in [Way::Challenge, Way::Exporter] {
        let mut client = broker.device("sensor").enter(&broker, way);
        client.round_trip("dev/a");
        renew(&mut client, &device_with_scope(&broker, &[("other/#", &["pub", "sub"])]));
        client.round_trip("other/a");
        assert_eq!(client.publish1("dev/a", b""), 0x87);
        renew(&mut client, &broker.device("sensor"));
        client.round_trip("dev/a");
        assert_eq!(client.subscribe(&["other/a"]), [0x87]);
    }
    broker.stop();
}

fn e2_the_new_token_may_bind_another_key(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut client = broker.device_with("sensor", Key::ed25519()).enter(&broker, Way::Challenge);
    renew(&mut client, &broker.device_with("sensor", Key::p256()));
    client.round_trip("dev/a");
}

fn e2_the_new_tokens_expiry_counts(ctx: &Ctx) {
    let broker = Setup::new().tokens(r#"leeway = "0s""#).start(ctx);
    let exp = now().as_secs() + 2;
    let authority = &broker.setup().authority;
    let device = Device::new(authority, "sensor", Key::ed25519(), |claims| claims.set("exp", exp));
    let mut client = device.enter(&broker, Way::Challenge);
    renew(&mut client, &broker.device("sensor"));
    while now() < Duration::from_secs(exp + 1) {
        client.round_trip("dev/a");
    }
    // And a shorter one ends the session sooner.
    let exp = now().as_secs() + 2;
    let shorter = Device::new(authority, "sensor", Key::ed25519(), |claims| claims.set("exp", exp));
    renew(&mut client, &shorter);
    client.expect_not_authorized();
    assert!(now() <= Duration::from_secs(exp + 1));
}

fn e2_proof_by_another_key_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    let new = broker.device("sensor");
    let nonce = ask(&mut client, &new);
    answer(&mut client, &new.with_key(Key::ed25519()), &nonce);
    expect_refused(&broker, &mut client, "proof-wrong");
}

/// The exporter's value is the same for the whole TLS session: a proof over it could be an old one.
fn e2_exporter_proof_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for way in [Way::Challenge, Way::Exporter] {
        let device = broker.device("sensor");
        let mut client = device.enter(&broker, way);
        let data = [binary(device.token.as_bytes()), device.key.sign(&client.exporter())].concat();
        client.send(&packet::auth(0x19, Some(&data)));
        expect_refused(&broker, &mut client, "proof-in-reauthentication");
    }
}

fn e2_token_of_another_subject_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    let other = broker.device("somebody-else");
    let nonce = ask(&mut client, &other);
    answer(&mut client, &other, &nonce);
    expect_refused(&broker, &mut client, "identity-changed");
}

fn e2_expired_token_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    let authority = &broker.setup().authority;
    let expired = Device::new(authority, "sensor", Key::ed25519(), |claims| claims.expires_in(-60));
    client.send(&packet::auth(0x19, Some(&binary(expired.token.as_bytes()))));
    expect_refused(&broker, &mut client, "token-expired");
}

/// MQTT lets only those use AUTH who have named a method in CONNECT: the broker itself sees to that.
fn e2_client_without_the_method_cannot(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let mut client = device.enter(&broker, Way::UserName(Protocol::V5));
    client.send(&packet::auth(0x19, Some(&binary(device.token.as_bytes()))));
    client.expect_close();
}

fn e2_without_tls_a_refusal_is_a_connack_on_2_0_11(ctx: &Ctx) {
    let broker = Setup::new().plain_listener().start(ctx);
    let mut client = broker.device("sensor").attempt_over(broker.open_plain(), Way::Challenge).accepted();
    client.send(&packet::auth(0x19, Some(&binary(b"no token"))));
    let told = client.expect_close().first().map(|packet| (packet.kind(), packet.reason()));
    let expected = if ctx.version.number == "2.0.11" { kind::CONNACK } else { kind::DISCONNECT };
    assert_eq!(told, Some((expected, 0x87)));
    broker.expect_refusal("sensor", "token-not-jwt");
}

/// A subscriber to `dev/a` whose new token does not allow it any more, and another who publishes there.
fn narrowed(broker: &Broker) -> (Client, Client) {
    let mut client = broker.device("sensor").enter(broker, Way::Challenge);
    assert_eq!(client.subscribe(&["dev/a"]), [0]);
    renew(&mut client, &device_with_scope(broker, &[("other/#", &["pub", "sub"])]));
    (client, broker.device("publisher").enter(broker, Way::Challenge))
}

/// What is denied in the broker's turn in which the client came in counts as queued from before, and is dropped without a
/// word: so more than one message is sent.
fn a5_no_message_outside_the_new_scope_is_delivered(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (mut client, mut publisher) = narrowed(&broker);
    let deadline = now() + PATIENCE;
    let first = loop {
        assert!(now() < deadline, "the subscriber was not disconnected");
        assert_eq!(publisher.publish1("dev/a", b"not for the sensor") & 0x80, 0);
        match client.next(Duration::from_millis(50)) {
            Event::Silence => {}
            Event::Packet(packet) => break packet,
            Event::Closed => panic!("closed without a DISCONNECT"),
        }
    };
    assert_eq!((first.kind(), first.reason()), (kind::DISCONNECT, 0x87));
    assert!(client.expect_close().iter().all(|packet| packet.kind() == kind::DISCONNECT));
}

fn a5_drop_keeps_the_subscriber_and_delivers_nothing(ctx: &Ctx) {
    let broker = Setup::new().mqtt(r#"on_denied_delivery = "drop""#).start(ctx);
    let (mut client, mut publisher) = narrowed(&broker);
    // A disconnection would come with one of the next turns of the broker's loop.
    for _ in 0..30 {
        assert_eq!(publisher.publish1("dev/a", b"not for the sensor") & 0x80, 0);
        client.round_trip("other/a");
    }
    assert!(client.messages_so_far().is_empty());
}
