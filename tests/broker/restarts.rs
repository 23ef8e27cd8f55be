//! R2 and R4: retained messages and subscriptions across expiry, restarts and whatever becomes of the state file.

use std::time::Duration;
use std::{fs, io};

use crate::expiry::wait_until;
use crate::support::case::cases;
use crate::support::packet::{self, binary, kind};
use crate::support::{Attempt, Broker, Client, Ctx, Device, Key, Protocol, Setup, Way, now};
use crate::wills::{break_off, retain as retained_will, topics, with_will};

cases! {
    Accept "R2" r2_valid_ones_are_delivered_before_and_after_restarts_and_expired_ones_are_not;
    Accept "R2" r2_reauthentication_extends_it;
    Refuse "R2" r2_a_token_of_another_subject_does_not_extend_it;
    Accept "R2" r2_a_token_of_another_subject_does_not_end_it;
    Refuse "R2" r2_a_newer_token_without_the_topic_ends_it;
    Accept "R2" r2_a_missing_state_file_is_told_of_and_made_again;
    Refuse "R2" r2_a_damaged_state_file_is_told_of_and_believed_in_nothing;
    Accept "R4" r4_every_kind_of_subscription_outlives_expiry;
    Accept "R4" r4_after_a_restart_messages_are_queued_while_the_token_is_valid;
    Refuse "R4" r4_after_a_restart_nothing_is_queued_beyond_the_token;
    Refuse "R4" r4_without_state_dir_nothing_is_queued_until_the_client_is_back;
}

/// With `check_retain_source`, without which the broker does not ask about the publishers of retained messages.
fn strict() -> Setup {
    Setup::new().tokens(r#"leeway = "0s""#).conf("check_retain_source true")
}

/// A broker that keeps what is retained, and a plugin that keeps who retained it.
fn lasting() -> Setup {
    strict().conf("persistence true").conf("persistence_location {dir}/").top(r#"state_dir = ".""#)
}

/// A device whose token ends in so many seconds, and when it does.
fn brief(broker: &Broker, id: &str, seconds: u64) -> (Device, Duration) {
    let exp = now().as_secs() + seconds;
    let device = Device::new(&broker.setup().authority, id, Key::ed25519(), |claims| claims.set("exp", exp));
    (device, Duration::from_secs(exp))
}

fn retain(broker: &Broker, device: &Device, topic: &str) -> Client {
    let mut publisher = device.enter(broker, Way::Challenge);
    assert_eq!(publisher.publish_retained(topic, b"kept") & 0x80, 0);
    publisher
}

/// Somebody new subscribes: of which topics is something retained for him?
fn retained(broker: &Broker) -> Vec<String> {
    let mut client = broker.device("newcomer").enter(broker, Way::Challenge);
    assert_eq!(client.subscribe(&["dev/#"]), [0]);
    let mut topics = topics(&mut client);
    topics.sort();
    topics
}

fn r2_valid_ones_are_delivered_before_and_after_restarts_and_expired_ones_are_not(ctx: &Ctx) {
    let mut broker = lasting().start(ctx);
    let (brief, _) = brief(&broker, "brief", 2);
    let mut publisher = retain(&broker, &brief, "dev/brief");
    drop(retain(&broker, &broker.device("lasting"), "dev/lasting"));
    break_off(with_will(&broker, &broker.device("gone"), Way::Exporter, "dev/will", retained_will));
    publisher.expect_not_authorized();
    for _ in 0..3 {
        assert_eq!(retained(&broker), ["dev/lasting", "dev/will"]);
        broker = broker.restart(ctx);
    }
    // It is not lost: its publisher has but to come back with a new token.
    broker.device("brief").enter(&broker, Way::Challenge).ping();
    assert_eq!(retained(&broker), ["dev/brief", "dev/lasting", "dev/will"]);
    broker = broker.restart(ctx);
    assert_eq!(retained(&broker), ["dev/brief", "dev/lasting", "dev/will"]);
}

fn r2_reauthentication_extends_it(ctx: &Ctx) {
    let mut broker = lasting().start(ctx);
    let (device, expiry) = brief(&broker, "publisher", 3);
    let mut publisher = retain(&broker, &device, "dev/a");
    let newer = broker.device("publisher");
    publisher.send(&packet::auth(0x19, Some(&binary(newer.token.as_bytes()))));
    let nonce = publisher.expect(kind::AUTH).authentication_data().expect("a nonce");
    publisher.send(&packet::auth(0x18, Some(&newer.challenge_answer(&nonce))));
    assert_eq!(publisher.expect(kind::AUTH).reason(), 0);
    drop(publisher);
    wait_until(expiry);
    assert_eq!(retained(&broker), ["dev/a"]);
    broker = broker.restart(ctx);
    assert_eq!(retained(&broker), ["dev/a"]);
}

/// Somebody else, under the client id that the publisher had.
fn namesake(broker: &Broker) -> Device {
    let authority = &broker.setup().authority;
    Device::new(authority, "publisher", Key::ed25519(), |claims| claims.set("sub", "somebody-else"))
}

fn r2_a_token_of_another_subject_does_not_extend_it(ctx: &Ctx) {
    let mut broker = lasting().start(ctx);
    let (device, _) = brief(&broker, "publisher", 2);
    retain(&broker, &device, "dev/a").expect_not_authorized();
    namesake(&broker).enter(&broker, Way::Challenge).ping();
    assert!(retained(&broker).is_empty());
    broker = broker.restart(ctx);
    assert!(retained(&broker).is_empty());
}

fn r2_a_token_of_another_subject_does_not_end_it(ctx: &Ctx) {
    let mut broker = lasting().start(ctx);
    drop(retain(&broker, &broker.device("publisher"), "dev/a"));
    namesake(&broker).enter(&broker, Way::Challenge).ping();
    assert_eq!(retained(&broker), ["dev/a"]);
    broker = broker.restart(ctx);
    assert_eq!(retained(&broker), ["dev/a"]);
}

fn r2_a_newer_token_without_the_topic_ends_it(ctx: &Ctx) {
    let broker = lasting().start(ctx);
    drop(retain(&broker, &broker.device("publisher"), "dev/a"));
    broker.device_scoped("publisher", &[("other/#", &["pub"])]).enter(&broker, Way::Challenge).ping();
    assert!(retained(&broker).is_empty());
    assert!(retained(&broker.restart(ctx)).is_empty());
}

/// Restarts the broker with what has become of the state file: its publishers count as expired, until they come back.
fn restart_without_state(ctx: &Ctx, broker: Broker, meanwhile: impl FnOnce() -> io::Result<()>, said: &str) -> Broker {
    let mut broker = broker.restart_after(ctx, || meanwhile().expect("the state file"));
    broker.wait_for_line(&["ace: ", "publishers.json", said]);
    broker.assert_alive();
    assert!(retained(&broker).is_empty());
    broker.device("publisher").enter(&broker, Way::Challenge).ping();
    assert_eq!(retained(&broker), ["dev/a"]);
    // It has been written anew.
    let broker = broker.restart(ctx);
    assert_eq!(retained(&broker), ["dev/a"]);
    broker
}

fn r2_a_missing_state_file_is_told_of_and_made_again(ctx: &Ctx) {
    let broker = lasting().start(ctx);
    broker.wait_for_line(&["ace: ", "publishers.json", "no such file yet"]);
    drop(retain(&broker, &broker.device("publisher"), "dev/a"));
    let file = broker.file("publishers.json");
    restart_without_state(ctx, broker, || fs::remove_file(&file), "no such file yet").stop();
}

fn r2_a_damaged_state_file_is_told_of_and_believed_in_nothing(ctx: &Ctx) {
    let mut broker = lasting().start(ctx);
    drop(retain(&broker, &broker.device("publisher"), "dev/a"));
    let file = broker.file("publishers.json");
    let damages: [fn(Vec<u8>) -> Vec<u8>; 4] = [
        |_| Vec::new(),
        |whole| whole[..whole.len() / 2].to_vec(),
        |mut whole| {
            whole[0] = 0xff;
            whole
        },
        |_| br#"{"version":99,"publishers":[]}"#.to_vec(),
    ];
    for damage in damages {
        let damage = || fs::write(&file, damage(fs::read(&file)?));
        broker = restart_without_state(ctx, broker, damage, "it is not used");
    }
    broker.stop();
}

/// Comes in with a session that outlives the connection.
fn continued(broker: &Broker, device: &Device, way: Way) -> Attempt {
    device.attempt_changed(broker.open(), way, |connect| {
        connect.clean_start = false;
        connect.session_expiry = Some(300);
    })
}

const FILTERS: [&str; 4] = ["dev/plain", "dev/+/x", "dev/deep/#", "$share/group/dev/shared"];
const TOPICS: [&str; 4] = ["dev/1/x", "dev/deep/1/2", "dev/plain", "dev/shared"];

fn r4_every_kind_of_subscription_outlives_expiry(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut publisher = broker.device("publisher").enter(&broker, Way::Challenge);
    let mut publish_to_all = || {
        for topic in TOPICS {
            assert_eq!(publisher.publish1(topic, b""), 0, "{topic}");
        }
    };
    for (number, way) in [Way::Challenge, Way::UserName(Protocol::V311)].into_iter().enumerate() {
        let id = format!("sensor-{number}");
        let come = |device: &Device| continued(&broker, device, way);
        let mut client = come(&brief(&broker, &id, 2).0).accepted();
        assert_eq!(client.subscribe_at(1, &FILTERS), [1; 4]);
        client.expect_not_authorized();
        publish_to_all();
        let attempt = come(&broker.device(&id));
        assert!(attempt.session_present(), "{way:?}");
        let mut client = attempt.accepted();
        for _ in 0..2 {
            let mut came: Vec<_> = TOPICS.iter().map(|_| client.message_acknowledged().topic).collect();
            came.sort();
            assert_eq!(came, TOPICS, "{way:?}");
            assert!(client.messages_so_far().is_empty(), "{way:?}");
            publish_to_all();
        }
        let clean = broker.device(&id).enter(&broker, way);
        client.expect_close();
        drop(clean);
    }
}

const V311: Way = Way::UserName(Protocol::V311);

/// A client with a session that subscribes to `dev/a`, and leaves.
fn subscribe_and_leave(broker: &Broker, device: &Device, way: Way) {
    let mut client = continued(broker, device, way).accepted();
    assert_eq!(client.subscribe_at(1, &["dev/a"]), [1]);
    client.send(&[0xe0, 0]);
    client.expect_close();
}

fn publish(broker: &Broker, payload: &[u8]) {
    let mut publisher = broker.device("publisher").enter(broker, Way::Challenge);
    assert_eq!(publisher.publish1("dev/a", payload) & 0x80, 0);
}

/// The client is back: its subscription is there, and what comes first is what is published now.
fn nothing_was_queued(broker: &Broker, id: &str, way: Way) {
    let attempt = continued(broker, &broker.device(id), way);
    assert!(attempt.session_present(), "{id}");
    let mut client = attempt.accepted();
    publish(broker, b"from now on");
    assert_eq!(client.message_acknowledged().payload, b"from now on", "{id}");
}

fn r4_after_a_restart_messages_are_queued_while_the_token_is_valid(ctx: &Ctx) {
    let broker = lasting().start(ctx);
    for (id, way) in [("five", Way::Challenge), ("three", V311)] {
        subscribe_and_leave(&broker, &broker.device(id), way);
    }
    publish(&broker, b"before");
    let broker = broker.restart(ctx);
    publish(&broker, b"after");
    for (id, way) in [("five", Way::Challenge), ("three", V311)] {
        let attempt = continued(&broker, &broker.device(id), way);
        assert!(attempt.session_present(), "{id}");
        let mut client = attempt.accepted();
        assert_eq!(client.message_acknowledged().payload, b"before", "{id}");
        assert_eq!(client.message_acknowledged().payload, b"after", "{id}");
        assert!(client.messages_so_far().is_empty(), "{id}");
    }
}

/// What the plugin knows after a restart is what the last token allowed, and until when.
fn r4_after_a_restart_nothing_is_queued_beyond_the_token(ctx: &Ctx) {
    let broker = lasting().start(ctx);
    let (brief, expiry) = brief(&broker, "expired", 3);
    subscribe_and_leave(&broker, &brief, Way::Challenge);
    subscribe_and_leave(&broker, &broker.device("narrowed"), Way::Challenge);
    let narrower = broker.device_scoped("narrowed", &[("other/#", &["pub", "sub"])]);
    continued(&broker, &narrower, Way::Challenge).accepted().ping();
    let broker = broker.restart(ctx);
    wait_until(expiry);
    publish(&broker, b"for nobody");
    nothing_was_queued(&broker, "expired", Way::Challenge);
    nothing_was_queued(&broker, "narrowed", Way::Challenge);
}

fn r4_without_state_dir_nothing_is_queued_until_the_client_is_back(ctx: &Ctx) {
    let broker = strict().conf("persistence true").conf("persistence_location {dir}/").start(ctx);
    subscribe_and_leave(&broker, &broker.device("sensor"), Way::Challenge);
    let broker = broker.restart(ctx);
    publish(&broker, b"for nobody");
    nothing_was_queued(&broker, "sensor", Way::Challenge);
}
