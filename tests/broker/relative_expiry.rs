//! T3: tokens that live for so long from when they are first seen (`exi`, RFC 9200, section 5.10.3).

use serde_json::Value;

use crate::support::case::cases;
use crate::support::cwt::{self, Cbor, Message};
use crate::support::{Broker, Ctx, Device, Key, Setup, Way, encode};

cases! {
    Accept "T3" t3_exi_lives_from_first_sight_and_ends;
    Accept "T3" t3_exi_in_a_cwt_lives_from_first_sight_and_ends;
    Accept "T3" t3_exi_keeps_its_end_across_a_restart;
    Refuse "T3" t3_exi_that_has_ended_is_refused_after_a_restart;
    Refuse "T3" t3_exi_of_a_lower_number_than_an_ended_one_is_refused;
    Refuse "T3" t3_exi_without_a_number_is_refused;
    Refuse "T3" t3_exi_without_state_dir_is_refused;
}

const AUDIENCE: &str = crate::support::authority::AUDIENCE;

/// A broker that remembers.
fn remembering() -> Setup {
    Setup::new().top(r#"state_dir = ".""#).tokens("leeway = \"0s\"")
}

/// A device whose token lives for so many seconds, and has this for its identifier.
fn device(broker: &Broker, id: &str, seconds: u64, jti: impl Into<Value>) -> Device {
    let authority = &broker.setup().authority;
    Device::new(authority, id, Key::ed25519(), |claims| claims.without("exp").set("exi", seconds).set("jti", jti))
}

fn numbered(number: u64) -> String {
    format!("{AUDIENCE}{number}")
}

fn expired(broker: &Broker, device: &Device) {
    for way in [Way::Challenge, Way::Exporter] {
        device.attempt(broker, way).refused(broker, "token-expired");
    }
}

/// It comes in, comes in again, and is put out when the time from the first sight is over.
fn lives_and_ends(broker: &Broker, device: &Device) {
    device.enter(broker, Way::Challenge).round_trip("dev/temperature");
    let mut client = device.enter(broker, Way::Exporter);
    client.round_trip("dev/temperature");
    client.expect_not_authorized();
    expired(broker, device);
}

fn t3_exi_lives_from_first_sight_and_ends(ctx: &Ctx) {
    let broker = remembering().start(ctx);
    lives_and_ends(&broker, &device(&broker, "sensor", 2, numbered(7)));
    let binary = encode(&[AUDIENCE.as_bytes(), &1_000_u64.to_be_bytes()].concat());
    // High byte first; more than the byte of the digit 7.
    lives_and_ends(&broker, &device(&broker, "other", 2, binary));
    broker.stop();
}

fn t3_exi_in_a_cwt_lives_from_first_sight_and_ends(ctx: &Ctx) {
    let broker = remembering().start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::ed25519());
    let claims = authority.claims("sensor", &key).without("exp").set("exi", 2);
    let mut claims = cwt::claims(&claims, cwt::cnf(&key));
    claims.push((7, Cbor::Bytes([AUDIENCE.as_bytes(), &[7]].concat())));
    let token = Message::new(-8, &authority.key, Cbor::Map(claims).write()).sign1(&authority.key);
    lives_and_ends(&broker, &Device { id: "sensor".to_owned(), key, token: cwt::text(&token) });
    broker.stop();
}

fn t3_exi_keeps_its_end_across_a_restart(ctx: &Ctx) {
    let broker = remembering().start(ctx);
    let device = device(&broker, "sensor", 6, numbered(7));
    drop(device.enter(&broker, Way::Challenge));
    let broker = broker.restart(ctx);
    let mut client = device.enter(&broker, Way::Challenge);
    client.round_trip("dev/temperature");
    client.expect_not_authorized();
    expired(&broker, &device);
    broker.stop();
}

fn t3_exi_that_has_ended_is_refused_after_a_restart(ctx: &Ctx) {
    let broker = remembering().start(ctx);
    let device = device(&broker, "sensor", 1, numbered(7));
    device.enter(&broker, Way::Challenge).expect_not_authorized();
    let broker = broker.restart(ctx);
    expired(&broker, &device);
    broker.stop();
}

fn t3_exi_of_a_lower_number_than_an_ended_one_is_refused(ctx: &Ctx) {
    let broker = remembering().start(ctx);
    device(&broker, "sensor", 1, numbered(7)).enter(&broker, Way::Challenge).expect_not_authorized();
    expired(&broker, &device(&broker, "older", 300, numbered(6)));
    device(&broker, "newer", 300, numbered(8)).enter(&broker, Way::Challenge).round_trip("dev/temperature");
    broker.stop();
}

fn t3_exi_without_a_number_is_refused(ctx: &Ctx) {
    let broker = remembering().start(ctx);
    for jti in [AUDIENCE, "7", "another.test7", ""] {
        device(&broker, "sensor", 300, jti).attempt(&broker, Way::Challenge).refused(&broker, "expiry-sequence");
    }
    broker.stop();
}

fn t3_exi_without_state_dir_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    device(&broker, "sensor", 300, numbered(7)).attempt(&broker, Way::Challenge).refused(&broker, "expiry-relative");
    broker.stop();
}
