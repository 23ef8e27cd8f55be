//! S: which topics a scope opens (RFC 9431, section 3; MQTT 5, section 4.7).

use serde_json::{Value, json};

use crate::support::case::cases;
use crate::support::packet::{Will, kind};
use crate::support::{Attempt, Broker, Client, Connect, Ctx, Device, Key, Protocol, Setup, Way, encode};

cases! {
    Accept "S1" s1_aif_in_base64url_is_understood;
    Accept "S1" s1_aif_array_in_place_is_understood;
    Refuse "S1" s1_scope_that_is_no_aif_is_refused;
    Accept "S2" s2_publish_that_one_filter_matches_is_forwarded;
    Accept "S2" s2_will_within_the_scope_is_sent;
    Refuse "S2" s2_publish_that_no_filter_matches_is_refused;
    Refuse "S2" s2_pub_does_not_give_sub_nor_sub_pub;
    Refuse "S2" s2_leading_wildcard_does_not_match_dollar_topics;
    Refuse "S2" s2_will_outside_the_scope_is_never_sent;
    Accept "S3" s3_covered_filters_may_be_subscribed;
    Refuse "S3" s3_filters_wider_than_the_scope_are_refused;
    Refuse "S3" s3_leading_wildcard_does_not_cover_dollar_filters;
    Refuse "S3" s3_filters_are_not_added_up;
    Accept "S4" s4_shared_subscription_is_judged_by_its_filter;
    Refuse "S4" s4_shared_subscription_outside_the_scope_is_refused;
    Accept "S5" s5_empty_scope_connects;
    Refuse "S5" s5_empty_scope_opens_no_topic;
    Refuse "S5" s5_unknown_permission_is_refused;
    Refuse "S5" s5_empty_permission_list_is_refused;
    Refuse "S5" s5_malformed_filter_is_refused;
    Accept "S6" s6_public_topics_are_open_to_a_client_with_another_scope;
    Accept "S6" s6_public_topics_are_open_to_the_anonymous;
    Refuse "S6" s6_nothing_else_is_open_to_the_anonymous;
    Refuse "S6" s6_public_in_one_direction_is_not_public_in_the_other;
}

const BOTH: &[&str] = &["pub", "sub"];

/// A client with this scope.
fn scoped(broker: &Broker, id: &str, scope: &[(&str, &[&str])]) -> Client {
    broker.device_scoped(id, scope).enter(broker, Way::Challenge)
}

fn device_with_scope_claim(broker: &Broker, claim: Option<Value>) -> Device {
    let authority = &broker.setup().authority;
    Device::new(authority, "sensor", Key::ed25519(), |claims| match claim {
        Some(value) => claims.set("scope", value),
        None => claims.without("scope"),
    })
}

fn s1_aif_in_base64url_is_understood(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let text = r#"[["one/+/temperature",["pub","sub"]],["two",["sub","pub"]]]"#;
    let claim = json!(encode(text.as_bytes()));
    let device = device_with_scope_claim(&broker, Some(claim));
    let mut client = device.enter(&broker, Way::Challenge);
    client.round_trip("one/room/temperature");
    client.round_trip("two");
    assert_eq!(client.publish1("one/temperature", b""), 0x87);
}

fn s1_aif_array_in_place_is_understood(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let claim = json!([["one/#", ["pub", "sub"]]]);
    let device = device_with_scope_claim(&broker, Some(claim));
    let mut client = device.enter(&broker, Way::Challenge);
    client.round_trip("one");
    client.round_trip("one/more");
    assert_eq!(client.publish1("two", b""), 0x87);
}

fn s1_scope_that_is_no_aif_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for (claim, code) in [
        (json!("read write"), "scope-not-aif"),
        (json!("%%%"), "scope-not-aif"),
        (json!(encode(b"[[")), "scope-not-aif"),
        (json!(encode(br#"{"dev/#":["pub"]}"#)), "scope-not-aif"),
        (json!(7), "scope-not-aif"),
        (json!({}), "scope-not-aif"),
        (json!([["dev/#"]]), "scope-not-aif"),
        (json!([["dev/#", "pub"]]), "scope-not-aif"),
        (json!([["dev/#", ["pub"], ["sub"]]]), "scope-not-aif"),
        (json!(["dev/#", ["pub"]]), "scope-not-aif"),
    ] {
        device_with_scope_claim(&broker, Some(claim)).attempt(&broker, Way::Challenge).refused(&broker, code);
    }
}

fn s2_publish_that_one_filter_matches_is_forwarded(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let scope: &[(&str, &[&str])] =
        &[("a/+/c", BOTH), ("b/#", BOTH), ("+/only", BOTH), ("$own/#", BOTH), ("d//e", BOTH)];
    let mut client = scoped(&broker, "sensor", scope);
    for topic in ["a/x/c", "a//c", "b", "b/c/d/e", "z/only", "/only", "$own/x", "d//e"] {
        client.round_trip(topic);
    }
}

/// Lets a client with this Will go without saying goodbye, and gives what a witness has received
/// when a later message of another client has come.
fn will_of(ctx: &Ctx, topic: &str) -> Vec<String> {
    let broker = Setup::new().start(ctx);
    let mut witness = scoped(&broker, "witness", &[("#", BOTH)]);
    assert_eq!(witness.subscribe(&["#"]), [0]);
    let device = broker.device("sensor");
    let client = broker.open();
    let mut connect = device.connect(&client, Way::Exporter);
    connect.will = Some(Will { topic: topic.to_owned(), payload: b"gone".to_vec() });
    let attempt = Attempt::make(client, &connect);
    drop(attempt);
    // "closed its connection" or "disconnected", by version.
    broker.wait_for_line(&["Client sensor", "connect"]);
    assert_eq!(witness.publish1("fence", b""), 0);
    let mut topics = Vec::new();
    loop {
        let message = witness.message();
        if message.topic == "fence" {
            return topics;
        }
        topics.push(message.topic);
    }
}

fn s2_will_within_the_scope_is_sent(ctx: &Ctx) {
    assert_eq!(will_of(ctx, "dev/last-words"), ["dev/last-words"]);
}

fn s2_will_outside_the_scope_is_never_sent(ctx: &Ctx) {
    assert!(will_of(ctx, "other/last-words").is_empty());
}

fn s2_publish_that_no_filter_matches_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut witness = scoped(&broker, "witness", &[("#", BOTH)]);
    assert_eq!(witness.subscribe(&["#"]), [0]);
    let mut client = scoped(&broker, "sensor", &[("a/+/c", BOTH), ("b/#", BOTH)]);
    for topic in ["a/x", "a/x/d", "a/x/c/", "/a/x/c", "a/x/y/c", "bb", "A/x/c", "c", "a/c"] {
        assert_eq!(client.publish1(topic, b"no"), 0x87, "{topic}");
    }
    assert_eq!(client.publish1("b", b"yes"), 0);
    assert_eq!(witness.message().topic, "b");
    assert!(witness.messages_so_far().is_empty());
}

fn s2_pub_does_not_give_sub_nor_sub_pub(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let scope: &[(&str, &[&str])] = &[("out", &["pub"]), ("in", &["sub"])];
    let mut client = scoped(&broker, "sensor", scope);
    assert_eq!(client.subscribe(&["out", "in"]), [0x87, 0]);
    assert_eq!(client.publish1("in", b""), 0x87);
    assert!(client.publish1("out", b"") < 0x80);
}

fn s2_leading_wildcard_does_not_match_dollar_topics(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut client = scoped(&broker, "sensor", &[("#", BOTH), ("+/x", BOTH)]);
    for topic in ["$own", "$own/x"] {
        assert_eq!(client.publish1(topic, b""), 0x87, "{topic}");
    }
    client.round_trip("own/x");
}

fn s3_covered_filters_may_be_subscribed(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let scope: &[(&str, &[&str])] = &[("a/+", &["sub"]), ("b/#", &["sub"]), ("$SYS/#", &["sub"])];
    let mut client = scoped(&broker, "sensor", scope);
    let filters = ["a/b", "a/+", "a/", "b", "b/#", "b/+", "b/+/c", "b/c/#", "$SYS/#", "$SYS/broker/uptime"];
    assert_eq!(client.subscribe(&filters), [0; 10]);
}

fn s3_filters_wider_than_the_scope_are_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let scope: &[(&str, &[&str])] = &[("a/+", &["sub"]), ("b/#", &["sub"]), ("c/d", &["sub"])];
    let mut client = scoped(&broker, "sensor", scope);
    let filters = ["a/#", "a", "a/b/c", "+/b", "#", "+", "+/+", "+/#", "c/+", "c/#", "/a/b"];
    assert_eq!(client.subscribe(&filters), [0x87; 11]);
}

fn s3_leading_wildcard_does_not_cover_dollar_filters(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut client = scoped(&broker, "sensor", &[("#", BOTH), ("+/broker/#", BOTH)]);
    assert_eq!(client.subscribe(&["$SYS/#", "$SYS/broker/uptime", "$own", "#", "+/+"]), [0x87, 0x87, 0x87, 0, 0]);
}

fn s3_filters_are_not_added_up(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    // Together they match all that "a/#" can, but none covers it alone.
    let scope: &[(&str, &[&str])] = &[("a", BOTH), ("a/+", BOTH), ("a/+/#", BOTH)];
    let mut client = scoped(&broker, "sensor", scope);
    assert_eq!(client.subscribe(&["a/#", "a", "a/+", "a/+/#"]), [0x87, 0, 0, 0]);
}

fn s4_shared_subscription_is_judged_by_its_filter(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut client = scoped(&broker, "sensor", &[("a/#", BOTH)]);
    assert_eq!(client.subscribe(&["$share/group/a/+", "$share/a/a"]), [0, 0]);
    assert_eq!(client.publish1("a/b", b"shared"), 0);
    assert_eq!(client.message().topic, "a/b");
}

fn s4_shared_subscription_outside_the_scope_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let scope: &[(&str, &[&str])] = &[("a/#", BOTH), ("$share/#", BOTH)];
    let mut client = scoped(&broker, "sensor", scope);
    assert_eq!(client.subscribe(&["$share/group/b", "$share/group/#", "$share/a/b/c", "$share/group/+"]), [0x87; 4]);
}

fn s5_empty_scope_connects(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for claim in [Some(json!([])), Some(json!(encode(b"[]"))), None] {
        let device = device_with_scope_claim(&broker, claim);
        for way in [Way::Challenge, Way::Exporter] {
            device.enter(&broker, way).ping();
        }
    }
}

fn s5_empty_scope_opens_no_topic(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for claim in [Some(json!([])), Some(json!(encode(b"[]"))), None] {
        let mut client = device_with_scope_claim(&broker, claim).enter(&broker, Way::Challenge);
        assert_eq!(client.subscribe(&["dev/a", "#", "$SYS/#"]), [0x87; 3]);
        assert_eq!(client.publish1("dev/a", b""), 0x87);
    }
}

fn s5_unknown_permission_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for word in ["read", "PUB", "publish", ""] {
        let claim = json!([["dev/#", ["pub", word]]]);
        device_with_scope_claim(&broker, Some(claim))
            .attempt(&broker, Way::Challenge)
            .refused(&broker, "scope-unknown-permission");
    }
}

fn s5_empty_permission_list_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let claim = json!([["dev/#", ["pub"]], ["more/#", []]]);
    device_with_scope_claim(&broker, Some(claim))
        .attempt(&broker, Way::Challenge)
        .refused(&broker, "scope-empty-permissions");
}

fn s5_malformed_filter_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for filter in ["", "a/#/b", "a#", "a+/b", "#/a", "a\u{0}b"] {
        let claim = json!([[filter, ["pub"]]]);
        device_with_scope_claim(&broker, Some(claim))
            .attempt(&broker, Way::Challenge)
            .refused(&broker, "scope-malformed-filter");
    }
}

fn public() -> Setup {
    Setup::new().mqtt(r#"public_publish = ["hello/#"]"#).mqtt(r#"public_subscribe = ["hello/#", "news/+"]"#)
}

fn s6_public_topics_are_open_to_a_client_with_another_scope(ctx: &Ctx) {
    let broker = public().start(ctx);
    for way in [Way::Challenge, Way::UserName(Protocol::V311)] {
        let mut client = broker.device("sensor").enter(&broker, way);
        client.round_trip("hello/world");
        client.round_trip("dev/own");
        assert_eq!(client.subscribe(&["news/today"]), [0]);
    }
}

fn s6_public_topics_are_open_to_the_anonymous(ctx: &Ctx) {
    let broker = public().mqtt("allow_anonymous = true").start(ctx);
    for protocol in [Protocol::V311, Protocol::V5] {
        let anonymous = Connect::new(protocol, "anybody");
        let mut client = Attempt::make(broker.open(), &anonymous).accepted();
        client.round_trip("hello/world");
        assert_eq!(client.subscribe(&["news/today"]), [0]);
    }
}

fn s6_nothing_else_is_open_to_the_anonymous(ctx: &Ctx) {
    let broker = public().mqtt("allow_anonymous = true").start(ctx);
    let anonymous = Connect::new(Protocol::V5, "anybody");
    let mut client = Attempt::make(broker.open(), &anonymous).accepted();
    assert_eq!(client.subscribe(&["dev/a", "#", "hello/#", "$SYS/#", "news/#"]), [0x87, 0x87, 0, 0x87, 0x87]);
    assert_eq!(client.publish1("dev/a", b""), 0x87);
    assert_eq!(client.publish1("news/today", b""), 0x87);
}

fn s6_public_in_one_direction_is_not_public_in_the_other(ctx: &Ctx) {
    let broker = public().start(ctx);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    assert_eq!(client.publish1("news/today", b"false"), 0x87);
    client.publish0("news/today", b"false");
    client.expect_not_authorized();
    let mut client = broker.device("sensor").enter(&broker, Way::UserName(Protocol::V311));
    client.send(&crate::support::packet::publish(Protocol::V311, "news/today", b"false", 1, false, 7));
    let before = client.expect_close();
    assert!(before.iter().all(|packet| packet.kind() == kind::PUBACK));
}
