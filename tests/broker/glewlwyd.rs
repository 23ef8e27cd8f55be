//! AS7: tokens of glewlwyd, an authorization server that others have written.

use serde_json::json;

use crate::shown_keys::showing;
use crate::support::case::cases;
use crate::support::foreign::{Foreign, GLEWLWYD_RESOURCE};
use crate::support::{Attempt, Ctx, Device, Key, Protocol, Setup, Way};
use crate::tokens::bearer_connects;

cases! {
    Accept "AS7" as7_glewlwyd_signs_tokens_and_binds_them_by_dpop;
    Accept "AS7" as7_glewlwyd_signs_tokens_for_bearers;
    Refuse "AS7" as7_glewlwyd_ends_a_session_by_revoking_its_token;
}

const TOKEN: &str = "/oidc/token";

fn setup(server: &Foreign) -> Setup {
    server.setup().audience(&json!(GLEWLWYD_RESOURCE).to_string())
}

fn bearer(server: &Foreign) -> Device {
    let token = server.token(TOKEN, "sensor", GLEWLWYD_RESOURCE, None);
    Device { id: "sensor".to_owned(), key: Key::ed25519(), token }
}

fn as7_glewlwyd_signs_tokens_and_binds_them_by_dpop(ctx: &Ctx) {
    let server = Foreign::glewlwyd(ctx, &Key::p256().named("first"));
    let broker = setup(&server).start(ctx);
    let key = Key::p256();
    let token = server.token(TOKEN, "sensor", GLEWLWYD_RESOURCE, Some(&key));
    let device = Device { id: "sensor".to_owned(), key, token };
    let shown = device.key.jwk();
    showing(&broker, &device, Protocol::V311, Some(shown)).accepted().round_trip("dev/a");
    let other = Key::p256();
    let thief = device.with_key(other.clone());
    showing(&broker, &thief, Protocol::V311, Some(other.jwk())).refused(&broker, "shown-key-mismatch");
}

fn as7_glewlwyd_signs_tokens_for_bearers(ctx: &Ctx) {
    let server = Foreign::glewlwyd(ctx, &Key::p256().named("first"));
    let broker = setup(&server).tokens("allow_bearer = true").start(ctx);
    let device = bearer(&server);
    // Before the keys are there, it is not known that there is nothing to prove: any answer to the challenge does.
    is_served(device.attempt(&broker, Way::Challenge));
    let [_, by_name @ ..] = bearer_connects(&device.token);
    for connect in by_name {
        is_served(Attempt::make(broker.open(), &connect));
    }
}

/// What is granted is let through, and nothing else.
fn is_served(attempt: Attempt) {
    let mut client = attempt.accepted();
    client.round_trip("dev/a");
    assert_eq!(client.subscribe(&["other/a"]), [if client.protocol == Protocol::V5 { 0x87 } else { 0x80 }]);
}

/// It tells a client about that client's own tokens alone, so here the broker asks in the name of the client.
fn as7_glewlwyd_ends_a_session_by_revoking_its_token(ctx: &Ctx) {
    let server = Foreign::glewlwyd(ctx, &Key::p256().named("first"));
    let lines = ["cache = \"2s\"", "timeout = \"1s\"", "introspect_jwt = true"];
    let setup = server.asked(setup(&server), "sensor", &lines);
    let broker = setup.tokens("allow_bearer = true").start(ctx);
    let device = bearer(&server);
    let mut client = device.enter(&broker, Way::Challenge);
    client.round_trip("dev/a");
    server.revoke("/oidc/revoke", "sensor", &device.token);
    client.expect_not_authorized();
    device.attempt(&broker, Way::Challenge).refused(&broker, "token-inactive");
}
