//! R3: Wills whose time comes when the token has expired, or when somebody else has the client's id.

use std::time::Duration;

use crate::support::case::cases;
use crate::support::packet::kind;
use crate::support::{Attempt, Broker, Connect, Ctx, Device, Key, Reply, Setup, Way, now};
use crate::wills::{WAYS, break_off, delayed, end, expect_only_the_control, topics, with_will, witness};

cases! {
    Accept "R3" r3_will_is_sent_at_expiry_however_the_client_came;
    Accept "R3" r3_delayed_will_of_a_client_put_out_at_expiry_is_sent;
    Refuse "R3" r3_delayed_will_outside_the_scope_is_not_sent_after_expiry;
    Pin "R3" r3_delayed_will_is_dropped_when_a_namesake_starts_anew;
    Refuse "R3" r3_delayed_will_is_not_helped_by_a_namesake_who_starts_anew;
    Refuse "R3" r3_a_namesake_who_is_refused_sets_no_will_free;
}

fn strict() -> Setup {
    Setup::new().tokens(r#"leeway = "0s""#)
}

/// A device whose token ends in two seconds, and when it does.
fn brief(broker: &Broker) -> (Device, Duration) {
    let exp = now().as_secs() + 2;
    let device = Device::new(&broker.setup().authority, "sensor", Key::ed25519(), |claims| claims.set("exp", exp));
    (device, Duration::from_secs(exp))
}

fn r3_will_is_sent_at_expiry_however_the_client_came(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    for way in WAYS {
        let mut client = with_will(&broker, &brief(&broker).0, way, "dev/last-words", |_| {});
        client.expect_not_authorized();
        assert_eq!(topics(&mut witness), ["dev/last-words"], "{way:?}");
    }
}

fn r3_delayed_will_of_a_client_put_out_at_expiry_is_sent(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    let (device, expiry) = brief(&broker);
    let mut client = with_will(&broker, &device, Way::Challenge, "dev/last-words", delayed(1));
    client.expect_not_authorized();
    assert_eq!(witness.message().topic, "dev/last-words");
    assert!(now() > expiry);
    assert!(topics(&mut witness).is_empty());
}

fn r3_delayed_will_outside_the_scope_is_not_sent_after_expiry(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    // Some brokers put it out for its Will before, the others when its token ends.
    let mut client = with_will(&broker, &brief(&broker).0, Way::Challenge, "secret/last-words", delayed(1));
    client.expect_not_authorized();
    expect_only_the_control(&broker, &mut witness);
}

/// A namesake comes with a clean start, which ends the session that the Will belongs to.
fn starts_anew(broker: &Broker) {
    let namesake = broker.device_scoped("sensor", &[("other/#", &["pub", "sub"])]);
    namesake.enter(broker, Way::Challenge).ping();
}

/// With the session's end a Will's time has come, delay or not (MQTT 5, section 3.1.3.2.2). The broker asks nobody, and forgets
/// the Will; one without a delay it sends.
fn r3_delayed_will_is_dropped_when_a_namesake_starts_anew(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    // The client has gone before, or goes by the namesake's coming.
    for has_gone in [true, false] {
        let client = with_will(&broker, &broker.device("sensor"), Way::Challenge, "dev/last-words", delayed(1));
        let mut there = None;
        if has_gone {
            break_off(client);
        } else {
            there = Some(client);
        }
        starts_anew(&broker);
        drop(there);
        expect_only_the_control(&broker, &mut witness);
    }
}

fn r3_delayed_will_is_not_helped_by_a_namesake_who_starts_anew(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    end(ctx, with_will(&broker, &broker.device("sensor"), Way::Challenge, "other/last-words", delayed(250)));
    starts_anew(&broker);
    assert!(topics(&mut witness).is_empty());
}

/// Neither the Will of the client that is there, nor their own.
fn r3_a_namesake_who_is_refused_sets_no_will_free(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    let device = broker.device("sensor");
    let mut client = with_will(&broker, &device, Way::Challenge, "dev/last-words", |_| {});
    let thief = device.with_key(Key::ed25519());
    for way in WAYS {
        let with_a_will = |connect: &mut Connect| {
            let topic = "dev/of-the-thief".to_owned();
            connect.will = Some(crate::support::packet::Will { topic, payload: Vec::new() });
        };
        let attempt: Attempt = thief.attempt_changed(broker.open(), way, with_a_will);
        assert!(matches!(&attempt.reply, Reply::Connack(connack) if connack.reason() != 0), "{way:?}");
        attempt.refused(&broker, "proof-wrong");
    }
    client.round_trip("dev/a");
    assert_eq!(topics(&mut witness), ["dev/a"]);
    client.send(&[0xe0, 0]);
    assert!(client.expect_close().iter().all(|packet| packet.kind() != kind::PUBLISH));
    assert!(topics(&mut witness).is_empty());
}
