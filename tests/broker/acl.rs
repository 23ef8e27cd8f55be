//! A: what becomes of messages and subscriptions outside the scope (RFC 9431, sections 3.1 to 3.3 and 6).

use crate::support::case::cases;
use crate::support::packet::{self, kind};
use crate::support::{Broker, Client, Ctx, Protocol, Setup, Way};

cases! {
    Accept "A1" a1_publish_within_the_scope_is_forwarded;
    Refuse "A1" a1_publish_outside_the_scope_is_not_forwarded;
    Refuse "A1" a1_topic_alias_stands_for_its_topic;
    Accept "A2" a2_client_can_publish_on_after_a_refused_publish;
    Refuse "A2" a2_refused_publish_at_qos1_gets_puback_0x87;
    Refuse "A2" a2_refused_publish_at_qos2_gets_pubrec_0x87;
    Accept "A3" a3_publish_at_qos0_within_the_scope_keeps_the_connection;
    Accept "A3" a3_drop_keeps_the_connection_and_forwards_nothing;
    Refuse "A3" a3_refused_publish_at_qos0_disconnects_with_0x87;
    Refuse "A3" a3_refused_publish_disconnects_mqtt311_at_every_qos;
    Refuse "A3" a3_only_the_one_who_published_is_disconnected;
    Accept "A4" a4_the_other_filters_of_the_packet_are_subscribed;
    Refuse "A4" a4_refused_filter_gets_0x87;
    Refuse "A4" a4_refused_filter_gets_0x80_on_mqtt311;
    Pin "A6" a6_refusals_are_0x87_whether_the_topic_is_in_use_or_not;
}

const V311: Way = Way::UserName(Protocol::V311);

/// One who may see everything, and has subscribed to it.
fn witness(broker: &Broker) -> Client {
    let device = broker.device_scoped("witness", &[("#", &["pub", "sub"])]);
    let mut witness = device.enter(broker, Way::Challenge);
    assert_eq!(witness.subscribe(&["#"]), [0]);
    witness
}

fn a1_publish_within_the_scope_is_forwarded(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut witness = witness(&broker);
    for way in [Way::Challenge, V311] {
        let mut client = broker.device("sensor").enter(&broker, way);
        client.publish0("dev/a", b"at most once");
        assert_eq!(client.publish1("dev/b", b"at least once"), 0);
        assert_eq!(client.publish2("dev/c", b"exactly once"), 0);
        for (topic, payload) in
            [("dev/a", &b"at most once"[..]), ("dev/b", b"at least once"), ("dev/c", b"exactly once")]
        {
            let message = witness.message();
            assert_eq!(message.topic, topic);
            assert_eq!(message.payload, payload);
        }
    }
}

fn a1_publish_outside_the_scope_is_not_forwarded(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut witness = witness(&broker);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    assert_eq!(client.publish1("secret", b"1"), 0x87);
    assert_eq!(client.publish2("secret", b"2"), 0x87);
    client.publish0("secret", b"0");
    client.expect_close();
    let mut client = broker.device("sensor").enter(&broker, V311);
    client.publish0("secret", b"0");
    client.expect_close();
    assert_eq!(witness.publish1("fence", b""), 0);
    assert_eq!(witness.message().topic, "fence");
    assert!(witness.messages_so_far().is_empty());
}

/// An alias hides the topic from the packet, not from the check.
fn a1_topic_alias_stands_for_its_topic(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut witness = witness(&broker);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    for (topic, alias, reason) in [("dev/a", 1, 0), ("secret", 2, 0x87), ("", 2, 0x87), ("", 1, 0)] {
        client.send(&packet::publish_aliased(topic, alias, b"aliased", 7));
        assert_eq!(client.expect(kind::PUBACK).reason(), reason, "{topic:?} {alias}");
    }
    // Once more under the first one's number.
    for (topic, reason) in [("secret", 0x87), ("", 0x87)] {
        client.send(&packet::publish_aliased(topic, 1, b"aliased", 7));
        assert_eq!(client.expect(kind::PUBACK).reason(), reason, "{topic:?}");
    }
    let topics: Vec<_> = witness.messages_so_far().into_iter().map(|message| message.topic).collect();
    assert_eq!(topics, ["dev/a", "dev/a"]);
}

fn a2_client_can_publish_on_after_a_refused_publish(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    for _ in 0..3 {
        assert_eq!(client.publish1("secret", b""), 0x87);
        assert_eq!(client.publish2("secret", b""), 0x87);
        client.round_trip("dev/a");
    }
}

fn a2_refused_publish_at_qos1_gets_puback_0x87(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for way in [Way::Challenge, Way::UserName(Protocol::V5)] {
        let mut client = broker.device("sensor").enter(&broker, way);
        assert_eq!(client.publish1("secret", b""), 0x87);
        client.ping();
    }
}

fn a2_refused_publish_at_qos2_gets_pubrec_0x87(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    assert_eq!(client.publish2("secret", b""), 0x87);
    client.ping();
}

fn a3_publish_at_qos0_within_the_scope_keeps_the_connection(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for way in [Way::Challenge, V311] {
        let mut client = broker.device("sensor").enter(&broker, way);
        client.publish0("dev/a", b"");
        client.round_trip("dev/a");
    }
}

fn a3_drop_keeps_the_connection_and_forwards_nothing(ctx: &Ctx) {
    let broker = Setup::new().mqtt(r#"on_denied_publish = "drop""#).start(ctx);
    let mut witness = witness(&broker);
    for way in [Way::Challenge, V311] {
        let mut client = broker.device("sensor").enter(&broker, way);
        client.publish0("secret", b"");
        client.publish1("secret", b"");
        // A kick would come with a later turn of the broker's loop: this takes several of them.
        for _ in 0..3 {
            client.round_trip("dev/a");
        }
        let topics: Vec<_> = witness.messages_so_far().into_iter().map(|message| message.topic).collect();
        assert_eq!(topics, ["dev/a"; 3]);
    }
}

fn a3_refused_publish_at_qos0_disconnects_with_0x87(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for way in [Way::Challenge, Way::Exporter, Way::UserName(Protocol::V5)] {
        let mut client = broker.device("sensor").enter(&broker, way);
        client.publish0("secret", b"");
        client.expect_not_authorized();
    }
}

fn a3_refused_publish_disconnects_mqtt311_at_every_qos(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for qos in 0..3 {
        let mut client = broker.device("sensor").enter(&broker, V311);
        let publish = packet::publish(Protocol::V311, "secret", b"", qos, false, 7);
        client.send(&publish);
        for packet in client.expect_close() {
            assert!(matches!(packet.kind(), kind::PUBACK | kind::PUBREC));
        }
    }
}

fn a3_only_the_one_who_published_is_disconnected(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut others: Vec<_> = (0..5)
        .map(|number| {
            let device = broker.device(&format!("other-{number}"));
            device.enter(&broker, if number % 2 == 0 { Way::Challenge } else { V311 })
        })
        .collect();
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    client.publish0("secret", b"");
    client.expect_not_authorized();
    for other in &mut others {
        other.round_trip("dev/a");
    }
}

fn a4_the_other_filters_of_the_packet_are_subscribed(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for (way, refused) in [(Way::Challenge, 0x87), (V311, 0x80)] {
        let mut client = broker.device("sensor").enter(&broker, way);
        assert_eq!(client.subscribe(&["dev/a", "secret", "dev/b/#", "#"]), [0, refused, 0, refused]);
        client.publish0("dev/a", b"a");
        client.publish0("dev/b/c", b"b");
        assert_eq!(client.message().topic, "dev/a");
        assert_eq!(client.message().topic, "dev/b/c");
    }
}

fn a4_refused_filter_gets_0x87(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut publisher = witness(&broker);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    assert_eq!(client.subscribe(&["secret"]), [0x87]);
    assert_eq!(publisher.publish1("secret", b""), 0);
    assert!(client.messages_so_far().is_empty());
}

fn a4_refused_filter_gets_0x80_on_mqtt311(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut publisher = witness(&broker);
    let mut client = broker.device("sensor").enter(&broker, V311);
    assert_eq!(client.subscribe(&["secret"]), [0x80]);
    assert_eq!(publisher.publish1("secret", b""), 0);
    assert!(client.messages_so_far().is_empty());
}

/// The broker puts 0x87 into every acknowledgement of what a plugin denies. At least it says nothing of the topic.
fn a6_refusals_are_0x87_whether_the_topic_is_in_use_or_not(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut witness = witness(&broker);
    assert_eq!(witness.publish_retained("secret/in-use", b"kept"), 0);
    for way in [Way::Challenge, Way::UserName(Protocol::V5)] {
        let mut client = broker.device("sensor").enter(&broker, way);
        for topic in ["secret/in-use", "secret/not-in-use"] {
            assert_eq!(client.subscribe(&[topic]), [0x87], "{topic}");
            assert_eq!(client.publish1(topic, b""), 0x87, "{topic}");
            assert_eq!(client.publish2(topic, b""), 0x87, "{topic}");
        }
        assert!(client.messages_so_far().is_empty());
    }
}
