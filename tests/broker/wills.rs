//! C7 and R3: Wills, at CONNECT and when they are sent (RFC 9431, sections 2.2.4.1, 2.4.1 and 5).

use std::time::Duration;

use crate::support::case::cases;
use crate::support::packet::{self, Will, binary, kind};
use crate::support::{Attempt, Broker, Client, Connect, Ctx, Device, Key, Protocol, Reply, Setup, Way, now};

cases! {
    Accept "C7" c7_will_within_the_scope_is_accepted_and_sent;
    Accept "C7" c7_will_for_a_public_topic_is_accepted_and_sent;
    Refuse "C7" c7_will_outside_the_scope_is_never_sent;
    Refuse "C7" c7_will_of_the_anonymous_is_for_public_topics_only;
    Refuse "C7" c7_will_for_a_topic_to_subscribe_to_is_never_sent;
    Pin "C7" c7_will_outside_the_scope_ends_the_session_where_the_broker_tells_of_it;
    Pin "C7" c7_with_persistence_the_broker_does_not_tell_of_wills;
    Pin "C7" c7_with_settings_per_listener_the_broker_does_not_tell_of_wills;
    Accept "R3" r3_retained_will_is_there_for_newcomers_while_the_token_is_valid;
    Refuse "R3" r3_retained_will_is_not_there_for_newcomers_after_the_token;
    Refuse "R3" r3_retained_will_outside_the_scope_is_not_kept;
    Accept "R3" r3_delayed_will_is_sent_even_after_the_token;
    Refuse "R3" r3_delayed_will_outside_the_scope_is_not_sent;
    Refuse "R3" r3_delayed_will_of_a_session_that_goes_on_is_not_sent;
    Accept "R3" r3_will_of_a_session_taken_over_is_sent_by_its_own_token;
    Refuse "R3" r3_will_of_a_session_taken_over_is_not_helped_by_the_new_token;
    Refuse "R3" r3_will_is_judged_by_the_newest_token_of_its_session;
}

pub const WAYS: [Way; 4] = [Way::Exporter, Way::Challenge, Way::UserName(Protocol::V311), Way::Draft00(Protocol::V5)];

fn tells_of_wills(ctx: &Ctx) -> bool {
    !ctx.version.number.starts_with("2.0.")
}

/// With `check_retain_source`, without which the broker does not ask about the publishers of retained messages.
fn strict() -> Setup {
    Setup::new().tokens(r#"leeway = "0s""#).conf("check_retain_source true")
}

/// Somebody who is sent everything.
pub fn witness(broker: &Broker) -> Client {
    let mut witness = broker.device_scoped("witness", &[("#", &["pub", "sub"])]).enter(broker, Way::Challenge);
    assert_eq!(witness.subscribe(&["#"]), [0]);
    witness
}

/// Comes in with a Will for this topic, the CONNECT changed as the test wants it.
pub fn with_will(broker: &Broker, device: &Device, way: Way, topic: &str, change: impl FnOnce(&mut Connect)) -> Client {
    let client = broker.open();
    let mut connect = device.connect(&client, way);
    connect.will = Some(Will { topic: topic.to_owned(), payload: b"gone".to_vec() });
    change(&mut connect);
    let attempt = Attempt::make(client, &connect);
    if way == Way::Challenge && matches!(attempt.reply, Reply::Auth(_)) {
        let answer = device.challenge_answer(&attempt.nonce());
        return attempt.answer(&answer).accepted();
    }
    attempt.accepted()
}

/// Leaves in disorder, and waits until the broker has let go of the connection: by then the Will has been judged, unless it
/// has a delay.
pub fn break_off(mut client: Client) {
    // No packet of MQTT begins so.
    client.send(&[0, 0]);
    client.expect_close();
}

pub fn topics(witness: &mut Client) -> Vec<String> {
    witness.messages_so_far().into_iter().map(|message| message.topic).collect()
}

fn c7_will_within_the_scope_is_accepted_and_sent(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    for way in WAYS {
        let mut client = with_will(&broker, &broker.device("sensor"), way, "dev/last-words", |_| {});
        client.round_trip("dev/a");
        assert_eq!(topics(&mut witness), ["dev/a"], "{way:?}");
        break_off(client);
        assert_eq!(topics(&mut witness), ["dev/last-words"], "{way:?}");
    }
    // A session that outlives the connection.
    let client = with_will(&broker, &broker.device("sensor"), Way::Challenge, "dev/last-words", |connect| {
        connect.session_expiry = Some(300);
    });
    break_off(client);
    assert_eq!(topics(&mut witness), ["dev/last-words"]);
    assert!(!broker.log().contains("to set a Will"));
}

fn c7_will_for_a_public_topic_is_accepted_and_sent(ctx: &Ctx) {
    let broker = strict().mqtt("allow_anonymous = true").mqtt("public_publish = [\"hello/#\"]").start(ctx);
    let mut witness = witness(&broker);
    let client = with_will(&broker, &broker.device("sensor"), Way::Challenge, "hello/sensor", |_| {});
    break_off(client);
    let mut anonymous = Connect::new(Protocol::V5, "anonymous");
    anonymous.will = Some(Will { topic: "hello/anonymous".to_owned(), payload: Vec::new() });
    break_off(Attempt::make(broker.open(), &anonymous).accepted());
    assert_eq!(topics(&mut witness), ["hello/sensor", "hello/anonymous"]);
}

/// Stays as long as it is let, then breaks off.
pub fn end(ctx: &Ctx, mut client: Client) {
    if tells_of_wills(ctx) {
        client.expect_not_authorized();
    } else {
        client.ping();
        break_off(client);
    }
}

fn c7_will_outside_the_scope_is_never_sent(ctx: &Ctx) {
    let mut broker = strict().start(ctx);
    let mut witness = witness(&broker);
    for way in WAYS {
        for session_expiry in [None, Some(300)] {
            let device = broker.device("sensor");
            let client = with_will(&broker, &device, way, "secret/last-words", |connect| {
                connect.session_expiry = session_expiry;
            });
            end(ctx, client);
        }
    }
    assert!(topics(&mut witness).is_empty());
    assert!(broker.log().contains("secret/last-words"));
    broker.assert_alive();
    broker.stop();
}

fn c7_will_of_the_anonymous_is_for_public_topics_only(ctx: &Ctx) {
    let broker = strict().mqtt("allow_anonymous = true").mqtt("public_publish = [\"hello/#\"]").start(ctx);
    let mut witness = witness(&broker);
    let mut anonymous = Connect::new(Protocol::V5, "anonymous");
    anonymous.will = Some(Will { topic: "dev/anonymous".to_owned(), payload: Vec::new() });
    end(ctx, Attempt::make(broker.open(), &anonymous).accepted());
    assert!(topics(&mut witness).is_empty());
}

fn c7_will_for_a_topic_to_subscribe_to_is_never_sent(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    let listener = broker.device_scoped("listener", &[("dev/#", &["sub"]), ("own/#", &["pub"])]);
    end(ctx, with_will(&broker, &listener, Way::Challenge, "dev/last-words", |_| {}));
    assert!(topics(&mut witness).is_empty());
}

/// 2.1 tells of a Will when its CONNACK 0 has gone out: the client is let in, and put out at once. 2.0 does not tell before
/// the Will would be sent: the client stays, and its Will is not sent.
fn c7_will_outside_the_scope_ends_the_session_where_the_broker_tells_of_it(ctx: &Ctx) {
    let broker = strict().start(ctx);
    for way in WAYS {
        let mut client = with_will(&broker, &broker.device("sensor"), way, "secret/last-words", |_| {});
        if tells_of_wills(ctx) {
            let began = now();
            client.expect_not_authorized();
            assert!(now() - began < Duration::from_secs(1));
            broker.wait_for_line(&[
                "ace: denied",
                "\"sensor\"",
                "to set a Will for \"secret/last-words\": outside-scope",
            ]);
        } else {
            client.round_trip("dev/a");
            assert!(!broker.log().contains("to set a Will"));
        }
    }
}

/// The client stays, and its Will is not sent.
fn expect_only_the_will_to_be_dropped(broker: &Broker) {
    let mut witness = witness(broker);
    let mut client = with_will(broker, &broker.device("sensor"), Way::Challenge, "secret/last-words", |_| {});
    client.round_trip("dev/a");
    assert_eq!(topics(&mut witness), ["dev/a"]);
    break_off(client);
    break_off(with_will(broker, &broker.device("sensor"), Way::Challenge, "dev/last-words", |_| {}));
    assert_eq!(topics(&mut witness), ["dev/last-words"]);
}

fn c7_with_persistence_the_broker_does_not_tell_of_wills(ctx: &Ctx) {
    let broker = strict().conf("persistence true").conf("persistence_location {dir}/").start(ctx);
    expect_only_the_will_to_be_dropped(&broker);
    let log = broker.stop();
    // 2.1 complains of a persistence plugin; the next line is ours, and says what is meant.
    let complaint = log.contains("cannot be used with a persistence plugin");
    let explained = log.contains("the broker does not tell of Wills when they are set");
    assert_eq!((complaint, explained), (tells_of_wills(ctx), tells_of_wills(ctx)), "{log}");
}

fn c7_with_settings_per_listener_the_broker_does_not_tell_of_wills(ctx: &Ctx) {
    let mut setup = strict();
    setup.is_per_listener = true;
    expect_only_the_will_to_be_dropped(&setup.start(ctx));
}

/// Somebody new subscribes: what is retained for him?
fn retained(broker: &Broker, topic: &str) -> Vec<String> {
    let mut client = broker.device_scoped("newcomer", &[("#", &["sub"])]).enter(broker, Way::Challenge);
    assert_eq!(client.subscribe(&[topic]), [0]);
    topics(&mut client)
}

pub fn retain(connect: &mut Connect) {
    connect.will_retain = true;
}

fn r3_retained_will_is_there_for_newcomers_while_the_token_is_valid(ctx: &Ctx) {
    let broker = strict().start(ctx);
    break_off(with_will(&broker, &broker.device("sensor"), Way::Challenge, "dev/state", retain));
    assert_eq!(retained(&broker, "dev/state"), ["dev/state"]);
}

fn short_lived(broker: &Broker) -> Device {
    let exp = now().as_secs() + 2;
    Device::new(&broker.setup().authority, "sensor", Key::ed25519(), |claims| claims.set("exp", exp))
}

/// Those who are there when the token ends are sent the Will; kept it is only as long as the token.
fn r3_retained_will_is_not_there_for_newcomers_after_the_token(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    let mut client = with_will(&broker, &short_lived(&broker), Way::Challenge, "dev/state", retain);
    client.expect_not_authorized();
    assert_eq!(topics(&mut witness), ["dev/state"]);
    assert!(retained(&broker, "dev/state").is_empty());
}

fn r3_retained_will_outside_the_scope_is_not_kept(ctx: &Ctx) {
    // Whatever is kept would be given out.
    let broker = Setup::new().start(ctx);
    end(ctx, with_will(&broker, &broker.device("sensor"), Way::Challenge, "secret/state", retain));
    assert!(retained(&broker, "secret/state").is_empty());
    break_off(with_will(&broker, &broker.device("sensor"), Way::Challenge, "dev/state", retain));
    assert_eq!(retained(&broker, "dev/state"), ["dev/state"]);
}

/// A Will that waits this many seconds, of a session that waits longer.
pub fn delayed(seconds: u32) -> impl Fn(&mut Connect) {
    move |connect| {
        connect.clean_start = false;
        connect.session_expiry = Some(300);
        connect.will_delay = Some(seconds);
    }
}

/// The first Will that comes is one that has been waiting as long as any: those that were to come have come.
pub fn expect_only_the_control(broker: &Broker, witness: &mut Client) {
    let control = broker.device("control");
    break_off(with_will(broker, &control, Way::Challenge, "dev/control", delayed(1)));
    assert_eq!(witness.message().topic, "dev/control");
    assert!(topics(witness).is_empty());
}

fn r3_delayed_will_is_sent_even_after_the_token(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    let device = short_lived(&broker);
    let exp = now().as_secs() + 2;
    break_off(with_will(&broker, &device, Way::Challenge, "dev/last-words", delayed(3)));
    assert_eq!(witness.message().topic, "dev/last-words");
    assert!(now().as_secs() >= exp, "the token was valid still: this shows nothing");
}

fn r3_delayed_will_outside_the_scope_is_not_sent(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    end(ctx, with_will(&broker, &broker.device("sensor"), Way::Challenge, "secret/last-words", delayed(1)));
    expect_only_the_control(&broker, &mut witness);
}

/// MQTT 5, section 3.1.3.2.2: whoever comes back in time takes the Will back.
fn r3_delayed_will_of_a_session_that_goes_on_is_not_sent(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    break_off(with_will(&broker, &broker.device("sensor"), Way::Challenge, "dev/last-words", delayed(1)));
    let device = broker.device("sensor");
    let mut connect = Connect::ace("sensor", binary(device.token.as_bytes()));
    connect.clean_start = false;
    let attempt = Attempt::make(broker.open(), &connect);
    let answer = device.challenge_answer(&attempt.nonce());
    let mut client = attempt.answer(&answer).accepted();
    expect_only_the_control(&broker, &mut witness);
    client.ping();
}

/// The new connection's token says nothing of the old one's Will, nor does it take anything from it.
fn r3_will_of_a_session_taken_over_is_sent_by_its_own_token(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    for way in WAYS {
        let mut old = with_will(&broker, &broker.device("sensor"), way, "dev/last-words", |_| {});
        let namesake = broker.device_scoped("sensor", &[("other/#", &["pub", "sub"])]);
        let mut new = namesake.enter(&broker, Way::Challenge);
        old.expect_close();
        assert_eq!(topics(&mut witness), ["dev/last-words"], "{way:?}");
        new.round_trip("other/a");
        assert_eq!(topics(&mut witness), ["other/a"]);
    }
}

fn r3_will_of_a_session_taken_over_is_not_helped_by_the_new_token(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    for way in WAYS {
        let mut old = with_will(&broker, &broker.device("sensor"), way, "other/last-words", |_| {});
        let namesake = broker.device_scoped("sensor", &[("other/#", &["pub", "sub"])]);
        let mut new = namesake.enter(&broker, Way::Challenge);
        old.expect_close();
        new.round_trip("other/a");
        assert_eq!(topics(&mut witness), ["other/a"], "{way:?}");
        new.send(&[0xe0, 0]);
        new.expect_close();
    }
}

fn r3_will_is_judged_by_the_newest_token_of_its_session(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let mut witness = witness(&broker);
    for (scope, expected) in
        [(&[("other/#", &["pub"][..])], &[][..]), (&[("dev/#", &["pub"][..])], &["dev/last-words"])]
    {
        let mut client = with_will(&broker, &broker.device("sensor"), Way::Challenge, "dev/last-words", |_| {});
        let renewed = broker.device_scoped("sensor", scope);
        client.send(&packet::auth(0x19, Some(&binary(renewed.token.as_bytes()))));
        let nonce = client.expect(kind::AUTH).authentication_data().expect("a nonce");
        client.send(&packet::auth(0x18, Some(&renewed.challenge_answer(&nonce))));
        assert_eq!(client.expect(kind::AUTH).reason(), 0);
        break_off(client);
        assert_eq!(topics(&mut witness), expected);
    }
}
