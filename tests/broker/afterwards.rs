//! C8 and R: what outlives a connection (RFC 9431, sections 2.2.6, 2.3 and 5).

use std::time::Duration;

use crate::expiry::wait_until;
use crate::support::case::cases;
use crate::support::packet::{Will, kind};
use crate::support::{Attempt, Broker, Client, Ctx, Device, Key, Reply, Setup, Way, now};

cases! {
    Accept "C8" c8_queued_messages_within_the_new_scope_are_delivered;
    Refuse "C8" c8_queued_messages_outside_the_new_scope_are_not_delivered;
    Refuse "C8" c8_continuation_needs_a_proof;
    Accept "R2" r2_retained_message_is_delivered_while_the_publishers_token_is_valid;
    Accept "R2" r2_a_newer_token_of_the_publisher_extends_it;
    Refuse "R2" r2_retained_message_is_not_delivered_after_the_publishers_token;
    Accept "R2" r2_retained_message_is_delivered_after_a_restart;
    Refuse "R2" r2_retained_message_is_not_delivered_after_restart_and_expiry;
    Refuse "R2" r2_without_state_dir_a_publisher_counts_as_expired_after_a_restart;
    Accept "R2" r2_a_damaged_state_file_costs_no_start;
    Pin "R2" r2_the_broker_asks_only_if_check_retain_source_is_set;
    Accept "R3" r3_will_within_the_scope_is_sent_when_the_token_expires;
    Refuse "R3" r3_will_outside_the_scope_is_not_sent_when_the_token_expires;
    Accept "R4" r4_session_is_whole_after_expiry;
    Refuse "R4" r4_expired_token_does_not_get_the_session_back;
}

/// With `check_retain_source`, without which the broker does not ask about the publishers of retained messages.
fn strict() -> Setup {
    Setup::new().tokens(r#"leeway = "0s""#).conf("check_retain_source true")
}

fn short_lived(broker: &Broker, id: &str) -> (Device, Duration) {
    let exp = now().as_secs() + 2;
    let authority = &broker.setup().authority;
    let device = Device::new(authority, id, Key::ed25519(), |claims| claims.set("exp", exp));
    (device, Duration::from_secs(exp))
}

/// Comes in with a session that outlives the connection.
fn continued(broker: &Broker, device: &Device) -> Attempt {
    let client = broker.open();
    let mut connect = device.connect(&client, Way::Exporter);
    connect.clean_start = false;
    connect.session_expiry = Some(300);
    Attempt::make(client, &connect)
}

/// The first flag of a CONNACK: the broker has the session still.
fn session_present(attempt: &Attempt) -> bool {
    matches!(&attempt.reply, Reply::Connack(connack) if connack.body[0] & 1 == 1)
}

/// A client with a session that subscribes to `dev/queue`, leaves, and is sent a message.
fn queue_a_message(broker: &Broker, device: &Device) {
    let mut client = continued(broker, device).accepted();
    assert_eq!(client.subscribe_at(1, &["dev/queue"]), [1]);
    client.send(&[0xe0, 0]);
    client.expect_close();
    publish(broker, "dev/queue");
}

fn publish(broker: &Broker, topic: &str) {
    let mut publisher = broker.device("publisher").enter(broker, Way::Challenge);
    assert_eq!(publisher.publish1(topic, b"queued") & 0x80, 0);
}

fn c8_queued_messages_within_the_new_scope_are_delivered(ctx: &Ctx) {
    let broker = strict().start(ctx);
    queue_a_message(&broker, &broker.device("sensor"));
    let attempt = continued(&broker, &broker.device("sensor"));
    assert!(session_present(&attempt));
    let message = attempt.accepted().message();
    assert_eq!((message.topic.as_str(), &message.payload[..]), ("dev/queue", &b"queued"[..]));
}

fn c8_queued_messages_outside_the_new_scope_are_not_delivered(ctx: &Ctx) {
    let broker = strict().start(ctx);
    queue_a_message(&broker, &broker.device("sensor"));
    let narrower = broker.device_scoped("sensor", &[("other/#", &["pub", "sub"])]);
    let mut client = continued(&broker, &narrower).accepted();
    client.round_trip("other/a");
    assert!(client.messages_so_far().is_empty());
}

fn c8_continuation_needs_a_proof(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let device = broker.device("sensor");
    queue_a_message(&broker, &device);
    continued(&broker, &device.with_key(Key::ed25519())).refused(&broker, "proof-wrong");
    // The thief has changed nothing.
    let attempt = continued(&broker, &device);
    assert!(session_present(&attempt));
    attempt.accepted().message();
}

/// Somebody new subscribes: what is retained for him?
fn retained(broker: &Broker) -> usize {
    let mut client = broker.device("newcomer").enter(broker, Way::Challenge);
    assert_eq!(client.subscribe(&["dev/retained"]), [0]);
    client.messages_so_far().len()
}

fn retain(broker: &Broker, device: &Device) -> Client {
    let mut publisher = device.enter(broker, Way::Challenge);
    assert_eq!(publisher.publish_retained("dev/retained", b"kept") & 0x80, 0);
    publisher
}

fn r2_retained_message_is_delivered_while_the_publishers_token_is_valid(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let publisher = retain(&broker, &broker.device("publisher"));
    assert_eq!(retained(&broker), 1);
    drop(publisher);
    assert_eq!(retained(&broker), 1);
}

fn r2_retained_message_is_not_delivered_after_the_publishers_token(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let (device, expiry) = short_lived(&broker, "publisher");
    let mut publisher = retain(&broker, &device);
    publisher.expect_not_authorized();
    assert!(now() >= expiry);
    assert_eq!(retained(&broker), 0);
}

fn r2_a_newer_token_of_the_publisher_extends_it(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let (device, _) = short_lived(&broker, "publisher");
    let mut publisher = retain(&broker, &device);
    publisher.expect_not_authorized();
    broker.device("publisher").enter(&broker, Way::Challenge).ping();
    assert_eq!(retained(&broker), 1);
}

/// A broker that keeps what is retained across restarts.
fn persistent() -> Setup {
    strict().conf("persistence true").conf("persistence_location {dir}/")
}

fn r2_retained_message_is_delivered_after_a_restart(ctx: &Ctx) {
    let broker = persistent().top(r#"state_dir = ".""#).start(ctx);
    drop(retain(&broker, &broker.device("publisher")));
    assert_eq!(retained(&broker), 1);
    let broker = broker.restart(ctx).restart(ctx);
    assert_eq!(retained(&broker), 1);
}

fn r2_retained_message_is_not_delivered_after_restart_and_expiry(ctx: &Ctx) {
    let broker = persistent().top(r#"state_dir = ".""#).start(ctx);
    let authority = &broker.setup().authority;
    let exp = now().as_secs() + 4;
    let device = Device::new(authority, "publisher", Key::ed25519(), |claims| claims.set("exp", exp));
    drop(retain(&broker, &device));
    let broker = broker.restart(ctx);
    assert_eq!(retained(&broker), 1, "the token is still valid");
    wait_until(Duration::from_secs(exp));
    assert_eq!(retained(&broker), 0);
}

fn r2_without_state_dir_a_publisher_counts_as_expired_after_a_restart(ctx: &Ctx) {
    let broker = persistent().start(ctx);
    drop(retain(&broker, &broker.device("publisher")));
    let broker = broker.restart(ctx);
    assert_eq!(retained(&broker), 0);
    // It is still there: seen again, its publisher counts.
    broker.device("publisher").enter(&broker, Way::Challenge).ping();
    assert_eq!(retained(&broker), 1);
}

fn r2_a_damaged_state_file_costs_no_start(ctx: &Ctx) {
    let broker = persistent().top(r#"state_dir = ".""#).start(ctx);
    drop(retain(&broker, &broker.device("publisher")));
    // What is written at the end is damaged before the next start.
    let state = broker.file("publishers.json");
    let mut broker = broker.restart_after(ctx, || std::fs::write(&state, "{").expect("the state file"));
    broker.wait_for_line(&["ace: ", "publishers.json", "damaged"]);
    broker.assert_alive();
}

/// Its manual says that it is set by default; it is not.
fn r2_the_broker_asks_only_if_check_retain_source_is_set(ctx: &Ctx) {
    let broker = Setup::new().tokens(r#"leeway = "0s""#).start(ctx);
    let (device, _) = short_lived(&broker, "publisher");
    retain(&broker, &device).expect_not_authorized();
    assert_eq!(retained(&broker), 1);
}

/// A client with this Will stays until its token ends: what is sent of the Will?
fn will_at_expiry(ctx: &Ctx, topic: &str) -> Vec<String> {
    let broker = strict().start(ctx);
    let mut witness = broker.device_scoped("witness", &[("#", &["pub", "sub"])]).enter(&broker, Way::Challenge);
    assert_eq!(witness.subscribe(&["#"]), [0]);
    let (device, _) = short_lived(&broker, "sensor");
    let client = broker.open();
    let mut connect = device.connect(&client, Way::Exporter);
    connect.will = Some(Will { topic: topic.to_owned(), payload: b"gone".to_vec() });
    Attempt::make(client, &connect).accepted().expect_not_authorized();
    witness.messages_so_far().into_iter().map(|message| message.topic).collect()
}

fn r3_will_within_the_scope_is_sent_when_the_token_expires(ctx: &Ctx) {
    assert_eq!(will_at_expiry(ctx, "dev/last-words"), ["dev/last-words"]);
}

fn r3_will_outside_the_scope_is_not_sent_when_the_token_expires(ctx: &Ctx) {
    assert!(will_at_expiry(ctx, "other/last-words").is_empty());
}

/// A client whose token expires while it has a session to come back to.
fn expire_with_a_session(broker: &Broker) -> Device {
    let (device, _) = short_lived(broker, "sensor");
    let mut client = continued(broker, &device).accepted();
    assert_eq!(client.subscribe_at(1, &["dev/queue"]), [1]);
    client.expect_not_authorized();
    publish(broker, "dev/queue");
    device
}

fn r4_session_is_whole_after_expiry(ctx: &Ctx) {
    let broker = strict().start(ctx);
    expire_with_a_session(&broker);
    let attempt = continued(&broker, &broker.device("sensor"));
    assert!(session_present(&attempt));
    let mut client = attempt.accepted();
    assert_eq!(client.message().payload, b"queued");
    // The subscription is there as well.
    publish(&broker, "dev/queue");
    assert_eq!(client.expect(kind::PUBLISH).kind(), kind::PUBLISH);
}

fn r4_expired_token_does_not_get_the_session_back(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let expired = expire_with_a_session(&broker);
    continued(&broker, &expired).refused(&broker, "token-expired");
}
