//! C4 and C9 with the project's own client.

use serde_json::json;

use crate::support::authority::AUDIENCE;
use crate::support::case::cases;
use crate::support::programs::{AuthorizationServer, CLIENT, ace_mqtt, keygen};
use crate::support::{Broker, Ctx, Setup};

cases! {
    Accept "C4" c4_client_comes_back_with_its_key_alone;
    Refuse "C4" c4_client_with_another_key_or_id_is_refused;
    Refuse "C9" c9_client_shows_where_to_get_a_token;
}

/// Publishes with these arguments; gives the exit code and what was said.
fn publish(ctx: &Ctx, broker: &Broker, arguments: &[&str]) -> (Option<i32>, String) {
    let mut client = ace_mqtt(ctx, broker, "pub", &[&["-t", "dev/a", "-m", "x", "-q", "1"], arguments].concat());
    (client.ended(), client.errors())
}

const DONE: (Option<i32>, String) = (Some(0), String::new());

/// A broker that holds a token of the client's, and the file with its key.
fn held(ctx: &Ctx) -> (Broker, String, AuthorizationServer) {
    let server = AuthorizationServer::start(ctx, "5m");
    let broker = server.setup().start(ctx);
    let credentials = server.credentials(ctx).display().to_string();
    assert_eq!(publish(ctx, &broker, &["-i", CLIENT, "--credentials", &credentials]), DONE);
    (broker, credentials, server)
}

fn c4_client_comes_back_with_its_key_alone(ctx: &Ctx) {
    let (broker, credentials, _server) = held(ctx);
    for _ in 0..2 {
        assert_eq!(publish(ctx, &broker, &["-i", CLIENT, "--auth", "stored", "--credentials", &credentials]), DONE);
    }
    broker.stop();
}

fn c4_client_with_another_key_or_id_is_refused(ctx: &Ctx) {
    let (broker, credentials, _server) = held(ctx);
    let stranger = keygen(ctx, &broker, "stranger.key").display().to_string();
    for (arguments, id, code) in [
        (["--key", &stranger], CLIENT, "proof-wrong"),
        (["--credentials", &credentials], "somebody-else", "token-not-held"),
    ] {
        let (exit, said) = publish(ctx, &broker, &[&["-i", id, "--auth", "stored"][..], &arguments].concat());
        assert_eq!(exit, Some(5), "{said}");
        assert_eq!(
            said,
            "ace-mqtt: the broker refused the connection: not authorized (0x87); the broker's log says why\n"
        );
        broker.expect_refusal(id, code);
    }
}

fn c9_client_shows_where_to_get_a_token(ctx: &Ctx) {
    let url = "https://as.test/token";
    let broker = Setup::new().server(&format!("as_hint = {}", json!(url))).start(ctx);
    let key = keygen(ctx, &broker, "sensor.key").display().to_string();
    let (exit, said) = publish(ctx, &broker, &["-i", CLIENT, "--auth", "stored", "--key", &key]);
    assert_eq!(exit, Some(5), "{said}");
    assert_eq!(
        said,
        format!(
            "ace-mqtt: the broker refused the connection: not authorized (0x87); get a token from {url:?} with audience {AUDIENCE:?}; \
             the broker's log says why\n"
        )
    );
}
