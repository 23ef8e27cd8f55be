//! E3: only a client that has authenticated by a token may re-authenticate on the same connection (RFC 9431, section 4). And
//! what a client does to miss nothing while it does (E2).

use crate::support::case::cases;
use crate::support::packet::{self, binary, kind};
use crate::support::{Attempt, Broker, Client, Connect, Ctx, Device, Protocol, Setup, Way};

cases! {
    Accept "E2" e2_subscribing_again_brings_what_came_during_the_reauthentication;
    Accept "E3" e3_whoever_came_with_a_token_by_the_method_may_reauthenticate;
    Refuse "E3" e3_anonymous_client_cannot_reauthenticate;
    Refuse "E3" e3_client_left_to_others_cannot_reauthenticate;
    Refuse "E3" e3_client_that_was_not_let_in_cannot_reauthenticate;
}

fn e3_whoever_came_with_a_token_by_the_method_may_reauthenticate(ctx: &Ctx) {
    let broker = Setup::new().tokens("allow_bearer = true").start(ctx);
    let device = broker.device("sensor");
    let by_exporter = device.enter(&broker, Way::Exporter);
    renew(by_exporter, &broker);
    let by_challenge = broker.device("sensor").enter(&broker, Way::Challenge);
    renew(by_challenge, &broker);
    // The newest token of the client is held: it is proved without being sent.
    let device = broker.device("sensor");
    device.enter(&broker, Way::Challenge);
    let attempt = Attempt::make(broker.open(), &Connect::ace("sensor", binary(b"")));
    let answer = device.challenge_answer(&attempt.nonce());
    renew(attempt.answer(&answer).accepted(), &broker);
    broker.stop();
}

/// Retain Handling 2, "do not send retained messages", and QoS 1, as a subscription's options.
const AGAIN_WITHOUT_RETAINED: u8 = 0x21;

/// The brokers hold messages back until the re-authentication is over, and then until the next packet that has them send some.
fn e2_subscribing_again_brings_what_came_during_the_reauthentication(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut publisher = broker.device("publisher").enter(&broker, Way::Challenge);
    assert_eq!(publisher.publish_retained("dev/a", b"from before"), 0x10, "nobody subscribes yet");
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    assert_eq!(client.subscribe_at(1, &["dev/a"]), [1]);
    assert_eq!(client.message().payload, b"from before");

    let fresh = broker.device("sensor");
    client.send(&packet::auth(0x19, Some(&binary(fresh.token.as_bytes()))));
    let nonce = client.expect(kind::AUTH).authentication_data().expect("a nonce");
    assert_eq!(publisher.publish1("dev/a", b"meanwhile"), 0);
    client.send(&packet::auth(0x18, Some(&fresh.challenge_answer(&nonce))));
    assert_eq!(client.expect(kind::AUTH).reason(), 0);
    assert_eq!(client.subscribe_at(AGAIN_WITHOUT_RETAINED, &["dev/a"]), [1]);
    assert_eq!(client.message().payload, b"meanwhile");
    assert!(client.messages_so_far().is_empty());
}

/// Re-authenticates with a token for other topics, and uses them.
fn renew(mut client: Client, broker: &Broker) {
    let fresh = broker.device_scoped("sensor", &[("other/#", &["pub", "sub"])]);
    client.send(&packet::auth(0x19, Some(&binary(fresh.token.as_bytes()))));
    let auth = client.expect(kind::AUTH);
    let answer = fresh.challenge_answer(&auth.authentication_data().expect("a nonce"));
    client.send(&packet::auth(0x18, Some(&answer)));
    assert_eq!(client.expect(kind::AUTH).reason(), 0);
    client.round_trip("other/a");
    assert_eq!(client.publish1("dev/a", b""), 0x87);
}

/// The client tries to become one with a token: its connection ends, without a challenge, and nobody is admitted.
fn expect_refused(broker: &Broker, mut client: Client, device: &Device) {
    client.send(&packet::auth(0x19, Some(&binary(device.token.as_bytes()))));
    let came = client.expect_close();
    assert!(came.iter().all(|packet| packet.kind() == kind::DISCONNECT && packet.reason() >= 0x80), "{came:02x?}");
    assert!(!broker.log().contains("by re-authentication"));
}

fn e3_anonymous_client_cannot_reauthenticate(ctx: &Ctx) {
    let mut broker = Setup::new().mqtt("allow_anonymous = true").mqtt("public_publish = [\"hello\"]").start(ctx);
    let mut client = Attempt::make(broker.open(), &Connect::new(Protocol::V5, "sensor")).accepted();
    client.ping();
    expect_refused(&broker, client, &broker.device("sensor"));
    broker.assert_alive();
}

fn e3_client_left_to_others_cannot_reauthenticate(ctx: &Ctx) {
    let mut broker = Setup::new().conf("allow_anonymous true").mqtt("other_clients = \"defer\"").start(ctx);
    let mut client = Attempt::make(broker.open(), &Connect::new(Protocol::V5, "sensor")).accepted();
    client.ping();
    expect_refused(&broker, client, &broker.device("sensor"));
    broker.assert_alive();
}

/// AUTH 0x19 instead of the answer to the challenge: the client is not connected yet.
fn e3_client_that_was_not_let_in_cannot_reauthenticate(ctx: &Ctx) {
    let mut broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let attempt = Attempt::make(broker.open(), &Connect::ace("sensor", binary(device.token.as_bytes())));
    attempt.nonce();
    expect_refused(&broker, attempt.client, &device);
    broker.assert_alive();
}
