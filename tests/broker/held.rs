//! R1 and T7: the token that the broker keeps when a connection has ended (RFC 9431, sections 2.2.2, 2.2.4.2 and 2.4.2).

use std::time::Duration;

use crate::expiry::wait_until;
use crate::support::case::cases;
use crate::support::packet::{self, binary, kind};
use crate::support::{Attempt, Broker, Client, Connect, Ctx, Device, Key, Protocol, Setup, Way, now};

cases! {
    Accept "R1" r1_a_token_outlives_its_connection_however_it_came;
    Refuse "R1" r1_a_token_is_gone_when_it_has_expired;
    Refuse "R1" r1_a_challenge_does_not_keep_an_expired_token;
    Refuse "R1" r1_a_token_does_not_outlive_the_broker;
    Accept "T7" t7_the_token_last_shown_of_a_key_is_held;
    Refuse "T7" t7_the_token_before_does_not_count_any_more;
    Refuse "T7" t7_the_token_before_a_renewal_does_not_count_any_more;
}

const BOTH: &[&str] = &["pub", "sub"];

/// Leaves in order.
fn leave(mut client: Client) {
    client.send(&[0xe0, 0]);
    client.expect_close();
}

/// Comes without a token, and is challenged for the one that is held, if one is.
fn ask(broker: &Broker, device: &Device) -> Attempt {
    Attempt::make(broker.open(), &Connect::ace(&device.id, binary(b"")))
}

/// Comes in without a token.
fn enter_without(broker: &Broker, device: &Device) -> Client {
    let challenged = ask(broker, device);
    let answer = device.challenge_answer(&challenged.nonce());
    challenged.answer(&answer).accepted()
}

/// A device whose token ends in so many seconds, and when it does.
fn brief(broker: &Broker, seconds: u64) -> (Device, Duration) {
    let exp = now().as_secs() + seconds;
    let device = Device::new(&broker.setup().authority, "sensor", Key::ed25519(), |claims| claims.set("exp", exp));
    (device, Duration::from_secs(exp))
}

fn strict() -> Setup {
    Setup::new().tokens(r#"leeway = "0s""#)
}

fn r1_a_token_outlives_its_connection_however_it_came(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let ways = [
        Way::Challenge,
        Way::Exporter,
        Way::UserName(Protocol::V311),
        Way::Draft00(Protocol::V5),
        Way::UserNameText(Protocol::V5),
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let device = broker.device(&format!("sensor-{number}"));
        leave(device.enter(&broker, way));
        // Nor is it used up.
        for _ in 0..2 {
            let mut client = enter_without(&broker, &device);
            client.round_trip("dev/a");
            assert_eq!(client.publish1("secret", b""), 0x87, "{way:?}");
            leave(client);
        }
    }
}

fn r1_a_token_is_gone_when_it_has_expired(ctx: &Ctx) {
    let broker = strict().start(ctx);
    // Its client stays until then.
    let (device, _) = brief(&broker, 2);
    device.enter(&broker, Way::Challenge).expect_not_authorized();
    ask(&broker, &device).refused(&broker, "token-not-held");
    // Its client has left before.
    let (device, expiry) = brief(&broker, 4);
    leave(device.enter(&broker, Way::Challenge));
    leave(enter_without(&broker, &device));
    wait_until(expiry);
    ask(&broker, &device).refused(&broker, "token-not-held");
}

fn r1_a_challenge_does_not_keep_an_expired_token(ctx: &Ctx) {
    let broker = strict().start(ctx);
    let (device, expiry) = brief(&broker, 4);
    leave(device.enter(&broker, Way::Challenge));
    let challenged = ask(&broker, &device);
    let answer = device.challenge_answer(&challenged.nonce());
    wait_until(expiry);
    challenged.answer(&answer).refused(&broker, "token-expired");
}

/// Tokens are kept in memory only, whatever else outlives a restart.
fn r1_a_token_does_not_outlive_the_broker(ctx: &Ctx) {
    let broker = Setup::new().top(r#"state_dir = ".""#).start(ctx);
    let device = broker.device("sensor");
    leave(device.enter(&broker, Way::Challenge));
    leave(enter_without(&broker, &device));
    let broker = broker.restart(ctx);
    ask(&broker, &device).refused(&broker, "token-not-held");
    // From the next time on that it is shown, it is held again.
    leave(device.enter(&broker, Way::Challenge));
    leave(enter_without(&broker, &device));
}

/// Two tokens for one key: one for `dev/#`, one for `other/#`.
fn two_tokens(broker: &Broker) -> (Device, Device) {
    let key = Key::ed25519();
    let authority = &broker.setup().authority;
    let of = |filter: &str| Device::new(authority, "sensor", key.clone(), |claims| claims.scope(&[(filter, BOTH)]));
    (of("dev/#"), of("other/#"))
}

fn t7_the_token_last_shown_of_a_key_is_held(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (one, other) = two_tokens(&broker);
    for (shown, topic) in [(&one, "dev/a"), (&other, "other/a"), (&one, "dev/a")] {
        leave(shown.enter(&broker, Way::Exporter));
        let mut client = enter_without(&broker, shown);
        client.round_trip(topic);
        leave(client);
    }
}

/// What only the first token allows is refused, what the second one allows is not.
fn counts_no_more(mut client: Client) {
    assert_eq!(client.publish1("dev/a", b""), 0x87);
    assert_eq!(client.subscribe(&["dev/a", "dev/#", "other/a"]), [0x87, 0x87, 0]);
    client.round_trip("other/a");
    leave(client);
}

fn t7_the_token_before_does_not_count_any_more(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (before, newer) = two_tokens(&broker);
    leave(before.enter(&broker, Way::Challenge));
    leave(newer.enter(&broker, Way::Challenge));
    counts_no_more(enter_without(&broker, &before));
}

fn t7_the_token_before_a_renewal_does_not_count_any_more(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (before, newer) = two_tokens(&broker);
    let mut client = before.enter(&broker, Way::Challenge);
    client.round_trip("dev/a");
    client.send(&packet::auth(0x19, Some(&binary(newer.token.as_bytes()))));
    let nonce = client.expect(kind::AUTH).authentication_data().expect("a nonce");
    client.send(&packet::auth(0x18, Some(&newer.challenge_answer(&nonce))));
    assert_eq!(client.expect(kind::AUTH).reason(), 0);
    leave(client);
    counts_no_more(enter_without(&broker, &before));
}
