//! Metrics as retained messages, for those whose token lets them subscribe there.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::support::case::cases;
use crate::support::{Attempt, Broker, Client, Connect, Ctx, PATIENCE, Protocol, Setup, Way};

cases! {
    Accept "" metrics_topics_reach_those_whose_token_says_so;
    Refuse "" metrics_topics_reach_nobody_else;
    Accept "" metrics_topics_may_be_below_sys;
    Accept "" metrics_topics_follow_a_reload;
}

const PREFIX: &str = "metrics/ace";

fn publishing(prefix: &str) -> Setup {
    Setup::new().plain_listener().metrics(&format!("topic_prefix = \"{prefix}\"")).metrics("interval = \"1s\"")
}

/// A reader of these topics, who has subscribed.
fn reader(broker: &Broker, filter: &str) -> Client {
    let device = broker.device_scoped("reader", &[(filter, &["sub"])]);
    let mut client = device.enter(broker, Way::Challenge);
    assert_eq!(client.subscribe(&[filter]), [0]);
    client
}

/// Takes messages until the topic has this number; gives all that have come.
fn read_until(client: &mut Client, topic: &str, number: &str) -> BTreeMap<String, String> {
    let (mut read, deadline) = (BTreeMap::new(), Instant::now() + PATIENCE);
    while read.get(topic).map(String::as_str) != Some(number) {
        assert!(Instant::now() < deadline, "{topic} is not {number}: {read:?}");
        let message = client.message();
        read.insert(message.topic, String::from_utf8(message.payload).unwrap());
    }
    read
}

fn refuse(broker: &Broker, id: &str) {
    drop(Attempt::make(broker.open_plain(), &Connect::credentials(Protocol::V311, id, b"alice", b"secret")));
    broker.expect_refusal(id, "token-missing");
}

fn metrics_topics_reach_those_whose_token_says_so(ctx: &Ctx) {
    let broker = publishing(PREFIX).start(ctx);
    let mut client = reader(&broker, "metrics/ace/#");
    let refused = "metrics/ace/refusals_total/token-missing";
    for number in 1..=3 {
        refuse(&broker, "other");
        let read = read_until(&mut client, refused, &number.to_string());
        assert!(read.keys().all(|topic| topic.starts_with("metrics/ace/")), "{read:?}");
    }
    // They are retained: who comes later, or again, has them at once.
    drop(client);
    let mut client = reader(&broker, "metrics/ace/#");
    let read = read_until(&mut client, refused, "3");
    assert_eq!(read.get("metrics/ace/connections_total/other/refused").map(String::as_str), Some("3"), "{read:?}");
    assert!(!read.contains_key("metrics/ace/refusals_total/proof-wrong"), "what has never happened has no topic");
    read_until(&mut client, "metrics/ace/sessions/token", "1");
}

fn metrics_topics_reach_nobody_else(ctx: &Ctx) {
    let broker = publishing(PREFIX).start(ctx);
    let mut other = broker.device("sensor").enter(&broker, Way::Challenge);
    assert_eq!(other.subscribe(&["metrics/ace/#", "metrics/#", "#", "metrics/ace/sessions/token"]), [0x87; 4]);
    // One topic alone, and no right to publish any.
    let mut client = reader(&broker, "metrics/ace/sessions/+");
    let read = read_until(&mut client, "metrics/ace/sessions/token", "2");
    assert!(read.keys().all(|topic| topic.starts_with("metrics/ace/sessions/")), "{read:?}");
    assert_eq!(client.publish1("metrics/ace/sessions/token", b"100"), 0x87);
    other.round_trip("dev/a");
    assert!(other.messages_so_far().is_empty());
}

fn metrics_topics_may_be_below_sys(ctx: &Ctx) {
    let broker = publishing("$SYS/broker/ace").start(ctx);
    let everything = broker.device_scoped("everything", &[("#", &["sub"])]);
    let mut everything = everything.enter(&broker, Way::Challenge);
    assert_eq!(everything.subscribe(&["#"]), [0]);
    let mut client = reader(&broker, "$SYS/broker/ace/#");
    read_until(&mut client, "$SYS/broker/ace/sessions/token", "2");
    assert!(
        everything.messages_so_far().is_empty(),
        "wildcards at the beginning do not lead there (MQTT 5, section 4.7.2)"
    );
}

fn metrics_topics_follow_a_reload(ctx: &Ctx) {
    let mut broker = publishing("first").start(ctx);
    let device = broker.device_scoped("reader", &[("first/#", &["sub"]), ("second/#", &["sub"])]);
    let mut client = device.enter(&broker, Way::Challenge);
    assert_eq!(client.subscribe(&["first/sessions/#", "second/sessions/#"]), [0, 0]);
    read_until(&mut client, "first/sessions/token", "1");
    let mut moved = publishing("second");
    moved.authority = broker.setup().authority.clone();
    broker.reload(&moved);
    let read = read_until(&mut client, "second/sessions/token", "1");
    assert_eq!(read.get("first/sessions/token").map(String::as_str), Some(""), "the old ones are taken away: {read:?}");
}
