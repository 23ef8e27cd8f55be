//! E1 and A5: what ends with a token (RFC 9431, sections 2.2.5 and 3.3).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::Duration;

use crate::support::case::cases;
use crate::support::client::Event;
use crate::support::packet::kind;
use crate::support::{Attempt, Broker, Client, Ctx, Device, Key, PATIENCE, Protocol, Setup, Way, now};

cases! {
    Accept "A5" a5_messages_are_delivered_until_the_token_expires;
    Refuse "A5" a5_no_message_is_delivered_after_expiry;
    Refuse "A5" a5_no_message_is_delivered_to_mqtt311_after_expiry;
    Accept "E1" e1_a_valid_token_keeps_an_idle_client_connected;
    Accept "E1" e1_sessions_end_while_the_log_is_a_topic;
    Accept "E1" e1_the_leeway_is_added_to_the_sessions_end;
    Refuse "E1" e1_idle_client_is_disconnected_within_a_second_of_expiry;
    Refuse "E1" e1_idle_mqtt311_client_is_disconnected_within_a_second_of_expiry;
    Refuse "E1" e1_idle_client_is_disconnected_within_a_second_of_the_leeways_end;
    Refuse "E1" e1_expired_client_may_not_publish_nor_subscribe;
    Refuse "E1" e1_expired_token_is_refused_at_connect;
    Refuse "E1" e1_a_dropped_challenge_of_a_namesake_does_not_keep_an_expired_client;
    Refuse "E1" e1_an_expired_client_that_the_broker_lost_may_do_nothing;
    Refuse "A3" a3_a_dropped_challenge_of_a_namesake_does_not_keep_a_refused_publisher;
}

const V311: Way = Way::UserName(Protocol::V311);

/// How long after expiry an idle client may still be there.
const GRACE: Duration = Duration::from_secs(1);

fn strict() -> Setup {
    Setup::new().tokens(r#"leeway = "0s""#)
}

/// A device whose token expires in one to two seconds, and when.
fn short_lived(broker: &Broker, id: &str) -> (Device, Duration) {
    let exp = now().as_secs() + 2;
    let device = Device::new(&broker.setup().authority, id, Key::ed25519(), |claims| claims.set("exp", exp));
    (device, Duration::from_secs(exp))
}

/// The client is disconnected as it should be, between `end` and a second later.
fn expect_end(client: &mut Client, end: Duration) {
    client.expect_not_authorized();
    let after = now();
    assert!(after >= end, "{:?} too early", end.saturating_sub(after));
    let late = after.saturating_sub(end);
    assert!(late <= GRACE, "disconnected {late:?} after the end");
}

fn e1_idle_client_is_disconnected_within_a_second_of_expiry(ctx: &Ctx) {
    let broker = strict().start(ctx);
    for way in [Way::Challenge, Way::Exporter] {
        let (device, expiry) = short_lived(&broker, "sensor");
        expect_end(&mut device.enter(&broker, way), expiry);
    }
    broker.stop();
}

fn e1_idle_mqtt311_client_is_disconnected_within_a_second_of_expiry(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let (device, expiry) = short_lived(&broker, "sensor");
    expect_end(&mut device.enter(&broker, V311), expiry);
}

fn e1_idle_client_is_disconnected_within_a_second_of_the_leeways_end(ctx: &Ctx) {
    let broker = Setup::new().tokens(r#"leeway = "1500ms""#).start(ctx);
    let (device, expiry) = short_lived(&broker, "sensor");
    let mut client = device.enter(&broker, Way::Challenge);
    expect_end(&mut client, expiry + Duration::from_millis(1500));
}

fn e1_the_leeway_is_added_to_the_sessions_end(ctx: &Ctx) {
    let broker = Setup::new().tokens(r#"leeway = "1m""#).start(ctx);
    let (device, expiry) = short_lived(&broker, "sensor");
    let mut client = device.enter(&broker, Way::Challenge);
    while now() < expiry + GRACE {
        client.round_trip("dev/a");
    }
}

fn e1_a_valid_token_keeps_an_idle_client_connected(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    let mut old = broker.device("old-sensor").enter(&broker, V311);
    // When another one's token has ended, so that the timer has done its work.
    let (device, expiry) = short_lived(&broker, "short-lived");
    expect_end(&mut device.enter(&broker, Way::Challenge), expiry);
    client.round_trip("dev/a");
    old.round_trip("dev/a");
}

/// Publishes as fast as the broker answers, from before the expiry until the client has gone: each
/// publish after the expiry is refused, whatever the timer does.
fn e1_expired_client_may_not_publish_nor_subscribe(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = broker.device_scoped("witness", &[("#", &["sub"])]).enter(&broker, Way::Challenge);
    assert_eq!(witness.subscribe(&["dev/#"]), [0]);
    let (device, expiry) = short_lived(&broker, "sensor");
    let mut client = device.enter(&broker, Way::Challenge);
    let mut sent_in_time = 0;
    loop {
        let before = now();
        let sent = format!("{}", before.as_micros());
        let publish = crate::support::packet::publish(Protocol::V5, "dev/a", sent.as_bytes(), 1, false, 7);
        client.send(&publish);
        match client.next(PATIENCE) {
            Event::Packet(answer) if answer.kind() == kind::PUBACK => {
                if answer.reason() < 0x80 {
                    assert!(before < expiry, "published {:?} late", before - expiry);
                    sent_in_time += 1;
                } else {
                    assert!(now() >= expiry, "refused before the expiry");
                }
            }
            Event::Packet(other) => {
                assert_eq!((other.kind(), other.reason()), (kind::DISCONNECT, 0x87));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(sent_in_time > 0, "nothing was published before the expiry");
    let latest = Duration::from_micros(
        witness
            .messages_so_far()
            .iter()
            .map(|message| std::str::from_utf8(&message.payload).unwrap().parse().unwrap())
            .max()
            .unwrap(),
    );
    assert!(latest < expiry);
}

fn e1_expired_token_is_refused_at_connect(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let device = Device::new(&broker.setup().authority, "sensor", Key::ed25519(), |claims| claims.expires_in(0));
    for way in [Way::Challenge, Way::Exporter, V311] {
        device.attempt(&broker, way).refused(&broker, "token-expired");
    }
}

/// A publisher sends its clock every five milliseconds until `subscriber` has gone and the token
/// expired; gives the times that were delivered, and the one that was sent last.
fn deliveries(broker: &Broker, subscriber: &mut Client, expiry: Duration) -> (Vec<Duration>, Duration) {
    let mut publisher = broker.device("publisher").enter(broker, Way::Challenge);
    let over = AtomicBool::new(false);
    scope(|threads| {
        let publishing = threads.spawn(|| {
            let mut last = now();
            while !over.load(Ordering::Relaxed) || last < expiry {
                last = now();
                let text = last.as_micros().to_string();
                assert_eq!(publisher.publish1("dev/clock", text.as_bytes()) & 0x80, 0);
                std::thread::sleep(Duration::from_millis(5));
            }
            last
        });
        let messages = subscriber.expect_not_authorized();
        over.store(true, Ordering::Relaxed);
        let times = messages
            .iter()
            .map(|message| {
                let text = std::str::from_utf8(&message.payload).unwrap();
                Duration::from_micros(text.parse().unwrap())
            })
            .collect();
        (times, publishing.join().unwrap())
    })
}

fn no_delivery_after_expiry(ctx: &Ctx, way: Way) {
    let broker = strict().start(ctx);
    let (device, expiry) = short_lived(&broker, "subscriber");
    let mut subscriber = device.enter(&broker, way);
    assert_eq!(subscriber.subscribe(&["dev/clock"]), [0]);
    let (times, last_sent) = deliveries(&broker, &mut subscriber, expiry);
    assert!(times.iter().all(|time| *time <= expiry), "delivered after expiry");
    assert!(last_sent >= expiry, "nothing was sent after the expiry");
}

fn a5_no_message_is_delivered_after_expiry(ctx: &Ctx) {
    no_delivery_after_expiry(ctx, Way::Challenge);
}

fn a5_no_message_is_delivered_to_mqtt311_after_expiry(ctx: &Ctx) {
    no_delivery_after_expiry(ctx, V311);
}

fn a5_messages_are_delivered_until_the_token_expires(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let (device, expiry) = short_lived(&broker, "subscriber");
    let mut subscriber = device.enter(&broker, Way::Challenge);
    assert_eq!(subscriber.subscribe(&["dev/clock"]), [0]);
    let (times, _) = deliveries(&broker, &mut subscriber, expiry);
    let last = times.iter().max().expect("messages");
    let missed = expiry.saturating_sub(*last);
    assert!(missed < GRACE, "the last message came {missed:?} before the expiry");
}

/// Somebody asks for a challenge under the client's id and leaves. Mosquitto 2.0.11 then forgets that the client is
/// there, and cannot disconnect it by its id.
fn drop_a_challenge(broker: &Broker, device: &Device) {
    let namesake = broker.open();
    let connect = device.connect(&namesake, Way::Challenge);
    let attempt = Attempt::make(namesake, &connect);
    attempt.nonce();
    drop(attempt);
    // When the next one is served, the broker has seen the last one go.
    broker.device("other").enter(broker, Way::Challenge).round_trip("dev/a");
}

fn e1_a_dropped_challenge_of_a_namesake_does_not_keep_an_expired_client(ctx: &Ctx) {
    let broker = strict().start(ctx);
    for way in [Way::Challenge, V311] {
        let (device, expiry) = short_lived(&broker, "sensor");
        let mut client = device.enter(&broker, way);
        drop_a_challenge(&broker, &device);
        expect_end(&mut client, expiry);
    }
}

fn a3_a_dropped_challenge_of_a_namesake_does_not_keep_a_refused_publisher(ctx: &Ctx) {
    let broker = strict().start(ctx);
    for way in [Way::Challenge, V311] {
        let device = broker.device("sensor");
        let mut client = device.enter(&broker, way);
        drop_a_challenge(&broker, &device);
        client.publish0("secret", b"");
        client.expect_not_authorized();
    }
}

/// The same, with another connection under the client's id by the time that its token expires: that one is what the broker
/// disconnects when it is asked to.
fn e1_an_expired_client_that_the_broker_lost_may_do_nothing(ctx: &Ctx) {
    let broker = strict().plain_listener().start(ctx);
    let mut witness = broker.device_scoped("witness", &[("#", &["sub"])]).enter(&broker, Way::Challenge);
    assert_eq!(witness.subscribe(&["dev/late"]), [0]);
    for plain in [false, true] {
        let (device, expiry) = short_lived(&broker, "sensor");
        let open = || if plain { broker.open_plain() } else { broker.open() };
        let mut client = device.attempt_over(open(), Way::Challenge).accepted();
        drop_a_challenge(&broker, &device);
        let _namesake = broker.device("sensor").attempt_over(open(), Way::Challenge).accepted();
        wait_until(expiry + GRACE);
        client.publish0("dev/late", b"by the expired");
        broker.device("other").enter(&broker, Way::Challenge).round_trip("dev/a");
        assert!(witness.messages_so_far().is_empty(), "an expired client published");
    }
}

/// Lets time pass: what must not happen afterwards has no event to wait for.
pub fn wait_until(time: Duration) {
    std::thread::sleep(time.saturating_sub(now()));
}

/// The broker asks whether its subscribers may have a line of the log while the plugin is writing it.
fn e1_sessions_end_while_the_log_is_a_topic(ctx: &Ctx) {
    let mut broker = Setup::new().conf("log_dest topic").tokens(r#"leeway = "0s""#).start(ctx);
    let mut reader = broker.device_scoped("reader", &[("$SYS/broker/log/#", &["sub"])]).enter(&broker, Way::Exporter);
    assert_eq!(reader.subscribe(&["$SYS/broker/log/#"]), [0]);
    let authority = &broker.setup().authority;
    for way in [Way::Challenge, Way::UserName(Protocol::V311)] {
        let device = Device::new(authority, "sensor", Key::ed25519(), |claims| claims.expires_in(1));
        let mut client = device.enter(&broker, way);
        client.expect_not_authorized();
        broker.wait_for_line(&["session of client \"sensor\" ends: token-expired"]);
    }
    broker.device("other").with_key(Key::ed25519()).attempt(&broker, Way::Exporter).refused(&broker, "proof-wrong");
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let message = reader.message();
        if String::from_utf8_lossy(&message.payload).contains("proof-wrong") {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the log is not published");
    }
    broker.assert_alive();
    broker.stop();
}
