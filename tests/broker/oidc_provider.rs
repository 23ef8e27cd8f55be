//! AS7: tokens of oidc-provider, an authorization server that others have written.

use crate::shown_keys::showing;
use crate::support::case::cases;
use crate::support::foreign::{Foreign, resource};
use crate::support::{Broker, Ctx, Device, Key, Protocol, Way};

cases! {
    Accept "AS7" as7_oidc_provider_signs_tokens_for_a_registered_key;
    Accept "AS7" as7_oidc_provider_is_asked_about_opaque_tokens;
    Accept "AS7" as7_oidc_provider_binds_tokens_by_dpop;
    Refuse "AS7" as7_oidc_provider_tokens_for_others_or_for_nobodys_key_are_refused;
    Refuse "AS7" as7_oidc_provider_ends_a_session_by_revoking_its_token;
    Accept "AS7" as7_oidc_provider_changes_its_key;
}

const TOKEN: &str = "/token";

fn signing_key() -> Key {
    Key::p256().named("first")
}

/// A client with this token and key.
fn device(server: &Foreign, client: &str, resource: &str, key: &Key) -> Device {
    let token = server.token(TOKEN, client, resource, None);
    Device { id: client.to_owned(), key: key.clone(), token }
}

/// A broker that asks the server about opaque tokens, once it knows where.
fn asking(ctx: &Ctx, server: &Foreign, lines: &[&str]) -> Broker {
    let broker = server.asked(server.setup(), "broker", lines).start(ctx);
    broker.wait_for_line(&["the keys of", "are in force"]);
    broker
}

/// What is granted is let through, and nothing else.
fn is_served(broker: &Broker, device: &Device, way: Way) {
    let mut client = device.enter(broker, way);
    client.round_trip("dev/a");
    assert_eq!(client.subscribe(&["other/a"]), [if client.protocol == Protocol::V5 { 0x87 } else { 0x80 }]);
}

fn as7_oidc_provider_signs_tokens_for_a_registered_key(ctx: &Ctx) {
    let key = Key::p256();
    let server = Foreign::oidc_provider(ctx, &signing_key(), &key);
    let broker = server.setup().start(ctx);
    let device = device(&server, "sensor", &resource("signed"), &key);
    for way in [Way::Challenge, Way::Exporter, Way::UserName(Protocol::V311), Way::Draft00(Protocol::V5)] {
        is_served(&broker, &device, way);
    }
    device.with_key(Key::p256()).attempt(&broker, Way::Challenge).refused(&broker, "proof-wrong");
}

fn as7_oidc_provider_is_asked_about_opaque_tokens(ctx: &Ctx) {
    let key = Key::ed25519();
    let server = Foreign::oidc_provider(ctx, &signing_key(), &key);
    let broker = asking(ctx, &server, &[]);
    let device = device(&server, "sensor", &resource("opaque"), &key);
    for way in [Way::Challenge, Way::Exporter, Way::UserName(Protocol::V311), Way::Draft00(Protocol::V5)] {
        is_served(&broker, &device, way);
    }
    device.with_key(Key::ed25519()).attempt(&broker, Way::Challenge).refused(&broker, "proof-wrong");
}

fn as7_oidc_provider_binds_tokens_by_dpop(ctx: &Ctx) {
    let server = Foreign::oidc_provider(ctx, &signing_key(), &Key::ed25519());
    let broker = asking(ctx, &server, &[]);
    for form in ["signed", "opaque"] {
        for key in [Key::ed25519(), Key::p256()] {
            let token = server.token(TOKEN, "plain", &resource(form), Some(&key));
            let device = Device { id: "plain".to_owned(), key, token };
            let shown = device.key.jwk();
            showing(&broker, &device, Protocol::V311, Some(shown)).accepted().round_trip("dev/a");
            let other = Key::ed25519();
            let thief = device.with_key(other.clone());
            showing(&broker, &thief, Protocol::V311, Some(other.jwk())).refused(&broker, "shown-key-mismatch");
        }
    }
}

fn as7_oidc_provider_tokens_for_others_or_for_nobodys_key_are_refused(ctx: &Ctx) {
    let key = Key::ed25519();
    let server = Foreign::oidc_provider(ctx, &signing_key(), &key);
    let broker = asking(ctx, &server, &[]);
    for form in ["signed", "opaque"] {
        let elsewhere = device(&server, "sensor", &format!("mqtts://elsewhere.test/{form}"), &key);
        elsewhere.attempt(&broker, Way::Challenge).refused(&broker, "audience-foreign");
        let bearer = device(&server, "plain", &resource(form), &key);
        bearer.attempt(&broker, Way::Challenge).refused(&broker, "bearer-refused");
    }
}

fn as7_oidc_provider_ends_a_session_by_revoking_its_token(ctx: &Ctx) {
    let key = Key::ed25519();
    let server = Foreign::oidc_provider(ctx, &signing_key(), &key);
    let broker = asking(ctx, &server, &["cache = \"2s\"", "timeout = \"1s\""]);
    let device = device(&server, "sensor", &resource("opaque"), &key);
    let mut client = device.enter(&broker, Way::Challenge);
    client.round_trip("dev/a");
    server.revoke("/token/revocation", "sensor", &device.token);
    client.expect_not_authorized();
    device.attempt(&broker, Way::Challenge).refused(&broker, "token-inactive");
}

/// Ours is a server that has not kept the old key.
fn as7_oidc_provider_changes_its_key(ctx: &Ctx) {
    let key = Key::ed25519();
    let mut server = Foreign::oidc_provider(ctx, &signing_key(), &key);
    let broker = server.setup().start(ctx);
    let old = device(&server, "sensor", &resource("signed"), &key);
    is_served(&broker, &old, Way::Challenge);
    server.go_on_with(ctx, &Key::p256().named("second"), &key);
    let new = device(&server, "sensor", &resource("signed"), &key);
    is_served(&broker, &new, Way::Challenge);
    old.attempt(&broker, Way::Challenge).refused(&broker, "key-unknown");
}
