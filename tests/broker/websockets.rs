//! The same over WebSocket, where the broker frames what it sends by itself.

use crate::support::case::cases;
use crate::support::packet::kind;
use crate::support::{Ctx, Device, Key, Protocol, Setup, Way, now};

cases! {
    Accept "C3" websocket_challenge_is_answered;
    Accept "C2" websocket_exporter_proof_is_accepted;
    Accept "V1" websocket_user_name_form_is_accepted;
    Refuse "C2" websocket_proof_by_another_key_is_refused;
    Pin "A3" websocket_refused_publish_at_qos0_closes_with_the_brokers_own_reason;
    Pin "E1" websocket_idle_client_is_closed_with_the_brokers_own_reason;
}

const V311: Way = Way::UserName(Protocol::V311);

fn comes_in(ctx: &Ctx, way: Way) {
    let broker = Setup::new().websocket_listener().start(ctx);
    let device = broker.device("sensor");
    let mut client = device.attempt_over(broker.open_websocket(), way).accepted();
    client.round_trip("dev/a");
    broker.stop();
}

fn websocket_challenge_is_answered(ctx: &Ctx) {
    comes_in(ctx, Way::Challenge);
}

fn websocket_exporter_proof_is_accepted(ctx: &Ctx) {
    comes_in(ctx, Way::Exporter);
}

fn websocket_user_name_form_is_accepted(ctx: &Ctx) {
    comes_in(ctx, V311);
}

fn websocket_proof_by_another_key_is_refused(ctx: &Ctx) {
    let mut broker = Setup::new().websocket_listener().start(ctx);
    let thief = broker.device("thief").with_key(Key::ed25519());
    for way in [Way::Challenge, Way::Exporter, V311] {
        thief.attempt_over(broker.open_websocket(), way).refused(&broker, "proof-wrong");
    }
    broker.assert_alive();
}

/// The plugin cannot put a packet of its own into the broker's frames: what arrives is the broker's
/// DISCONNECT 0x98, Administrative action.
fn websocket_refused_publish_at_qos0_closes_with_the_brokers_own_reason(ctx: &Ctx) {
    let broker = Setup::new().websocket_listener().start(ctx);
    let device = broker.device("sensor");
    let mut client = device.attempt_over(broker.open_websocket(), Way::Challenge).accepted();
    client.publish0("secret", b"");
    expect_administrative_close(&mut client);
}

fn websocket_idle_client_is_closed_with_the_brokers_own_reason(ctx: &Ctx) {
    let broker = Setup::new().websocket_listener().tokens(r#"leeway = "0s""#).start(ctx);
    let exp = now().as_secs() + 2;
    let authority = &broker.setup().authority;
    let device = Device::new(authority, "sensor", Key::ed25519(), |claims| claims.set("exp", exp));
    let mut client = device.attempt_over(broker.open_websocket(), Way::Challenge).accepted();
    expect_administrative_close(&mut client);
    let end = now().as_secs_f64();
    assert!(end >= exp as f64 && end <= exp as f64 + 1.0, "closed at {end}, expiry {exp}");
}

fn expect_administrative_close(client: &mut crate::support::Client) {
    let came = client.expect_close();
    assert!(came.iter().all(|packet| packet.kind() == kind::DISCONNECT && packet.reason() == 0x98), "{came:02x?}");
}
