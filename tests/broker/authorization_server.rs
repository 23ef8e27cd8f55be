//! AS1 to AS5 and K1: the project's own authorization server and client, and what the brokers make of their tokens.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::support::authority::now;
use crate::support::case::cases;
use crate::support::programs::{AuthorizationServer, CLIENT, ace_mqtt};
use crate::support::{Broker, Ctx};

cases! {
    Accept "AS1" as1_token_lets_its_client_in;
    Refuse "AS1" as1_wrong_secret_brings_no_token;
    Accept "AS2" as2_symmetric_key_reaches_client_and_broker;
    Refuse "AS2" as2_no_symmetric_key_without_a_key_shared_with_the_broker;
    Accept "AS3" as3_resource_server_learns_what_a_token_says;
    Refuse "AS3" as3_client_learns_nothing_of_a_token;
    Accept "AS3" as3_reference_token_lets_its_client_in_each_form;
    Refuse "AS3" as3_reference_token_that_is_revoked_ends_its_session;
    Accept "AS4" as4_what_is_asked_for_and_allowed_is_granted;
    Refuse "AS4" as4_what_is_not_allowed_is_not_granted;
    Accept "AS5" as5_published_keys_verify_the_tokens;
    Refuse "AS5" as5_revoked_token_ends_its_session;
    Accept "K1" k1_client_proves_in_each_form;
    Refuse "K1" k1_client_leaves_a_broker_with_another_key;
}

/// How often the clock is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// Publishes at QoS 1 with these arguments; gives the exit code and what was said.
fn publish(ctx: &Ctx, broker: &Broker, topic: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let common = ["-i", CLIENT, "-t", topic, "-m", "x", "-q", "1"];
    let mut client = ace_mqtt(ctx, broker, "pub", &[&common[..], arguments].concat());
    (client.ended(), client.errors())
}

const DONE: (Option<i32>, String) = (Some(0), String::new());

fn started(ctx: &Ctx) -> (AuthorizationServer, Broker) {
    let server = AuthorizationServer::start(ctx, "5m");
    let broker = server.setup().start(ctx);
    (server, broker)
}

/// The server, started anew with a line of its configuration changed.
fn change(ctx: &Ctx, server: &mut AuthorizationServer, from: &str, to: &str) {
    server.stop();
    server.change(from, to);
    server.go_on(ctx);
}

/// The token in a file of credentials.
fn token_in(credentials: &str) -> String {
    let text = fs::read_to_string(credentials).expect("the credentials");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    document["access_token"].as_str().expect("a token").to_owned()
}

fn as1_token_lets_its_client_in(ctx: &Ctx) {
    let (server, broker) = started(ctx);
    assert_eq!(publish(ctx, &broker, "dev/a", &server.arguments()), DONE);
    broker.wait_for_line(&["admitted client", CLIENT]);
    broker.stop();
}

fn as1_wrong_secret_brings_no_token(ctx: &Ctx) {
    let (mut server, broker) = started(ctx);
    change(ctx, &mut server, "secret_file = \"sensor.secret\"", "secret = \"another-secret-0123456789\"");
    let (exit, said) = publish(ctx, &broker, "dev/a", &server.arguments());
    assert_ne!(exit, Some(0), "{said}");
    assert!(said.contains("refused the token: invalid_client (HTTP 401)"), "{said}");
    assert!(!broker.stop().contains("admitted client"));
}

fn as2_symmetric_key_reaches_client_and_broker(ctx: &Ctx) {
    let (server, broker) = started(ctx);
    assert_eq!(publish(ctx, &broker, "dev/a", &[server.arguments(), vec!["--symmetric"]].concat()), DONE);
    broker.stop();
}

fn as2_no_symmetric_key_without_a_key_shared_with_the_broker(ctx: &Ctx) {
    let (mut server, broker) = started(ctx);
    change(ctx, &mut server, "shared_key = ", "# shared_key = ");
    let (exit, said) = publish(ctx, &broker, "dev/a", &[server.arguments(), vec!["--symmetric"]].concat());
    assert_ne!(exit, Some(0), "{said}");
    assert!(said.contains("refused the token: invalid_request (HTTP 400)"), "{said}");
    assert!(!broker.stop().contains("admitted client"));
}

fn as3_resource_server_learns_what_a_token_says(ctx: &Ctx) {
    let server = AuthorizationServer::start(ctx, "5m");
    let token = token_in(&server.credentials(ctx).display().to_string());
    let (status, answer) = server.post("/introspect", "broker", &format!("token={token}"));
    assert_eq!((status, &answer["active"], &answer["client_id"]), (200, &json!(true), &json!(CLIENT)));
    assert!(answer["cnf"]["jwk"].is_object() && answer["scope"].is_string(), "{answer}");
}

fn as3_client_learns_nothing_of_a_token(ctx: &Ctx) {
    let server = AuthorizationServer::start(ctx, "5m");
    let token = token_in(&server.credentials(ctx).display().to_string());
    let (status, answer) = server.post("/introspect", CLIENT, &format!("token={token}"));
    assert_eq!((status, &answer["error"]), (403, &json!("unauthorized_client")));
    assert!(answer.get("active").is_none());
}

/// A server whose tokens only it can read, and a broker that asks it.
fn with_reference_tokens(ctx: &Ctx) -> (AuthorizationServer, Broker) {
    let mut server = AuthorizationServer::start(ctx, "5m");
    change(ctx, &mut server, "# token_format = ", "token_format = ");
    let broker = server
        .setup()
        .file("as-ca.pem", &server.authority())
        .file("broker.secret", &server.secret("broker"))
        .server("[authorization_server.introspection]")
        .server(&format!("url = {}", json!(server.url("/introspect"))))
        .server("client_id = \"broker\"")
        .server("client_secret_file = \"{dir}/broker.secret\"")
        .server("ca_file = \"{dir}/as-ca.pem\"")
        .server("cache = \"2s\"")
        .server("timeout = \"1s\"")
        .start(ctx);
    (server, broker)
}

fn as3_reference_token_lets_its_client_in_each_form(ctx: &Ctx) {
    let (server, broker) = with_reference_tokens(ctx);
    let credentials = server.credentials(ctx).display().to_string();
    assert!(!token_in(&credentials).contains('.'), "no JWT");
    for way in ["exporter", "challenge", "username", "draft00"] {
        assert_eq!(publish(ctx, &broker, "dev/a", &["--credentials", &credentials, "--auth", way]), DONE, "{way}");
    }
    let symmetric = [server.arguments(), vec!["--symmetric"]].concat();
    assert_eq!(publish(ctx, &broker, "dev/a", &symmetric), DONE);
    broker.stop();
}

/// A token is revoked: its session ends, and it lets nobody in any more, both for this reason.
fn expect_the_end_by_revocation(ctx: &Ctx, server: &AuthorizationServer, broker: &Broker, code: &str) {
    let credentials = server.credentials(ctx).display().to_string();
    let mut client = ace_mqtt(ctx, broker, "sub", &["-i", CLIENT, "-t", "dev/a", "-d", "--credentials", &credentials]);
    client.wait_until("subscribed", |_, errors| errors.contains("subscribed to"));
    let (status, _) = server.post("/revoke", "administrator", &format!("token={}", token_in(&credentials)));
    assert_eq!(status, 200);
    assert_eq!(client.ended(), Some(7), "{}", client.errors());
    broker.wait_for_line(&["session of client", CLIENT, &format!("ends: {code}")]);
    assert_eq!(publish(ctx, broker, "dev/a", &["--credentials", &credentials]).0, Some(5));
    broker.expect_refusal(CLIENT, code);
}

fn as3_reference_token_that_is_revoked_ends_its_session(ctx: &Ctx) {
    let (server, broker) = with_reference_tokens(ctx);
    expect_the_end_by_revocation(ctx, &server, &broker, "token-inactive");
}

/// More than the client is allowed, which is `dev/#`.
const ALL: [&str; 2] = ["--scope", r##"[["#",["pub","sub"]]]"##];

fn as4_what_is_asked_for_and_allowed_is_granted(ctx: &Ctx) {
    let (server, broker) = started(ctx);
    assert_eq!(publish(ctx, &broker, "dev/a", &[server.arguments(), ALL.to_vec()].concat()), DONE);
    broker.stop();
}

fn as4_what_is_not_allowed_is_not_granted(ctx: &Ctx) {
    let (server, broker) = started(ctx);
    let (exit, said) = publish(ctx, &broker, "other/a", &[server.arguments(), ALL.to_vec()].concat());
    assert_ne!(exit, Some(0), "{said}");
    assert!(said.contains("not authorized (0x87)"), "{said}");
    // The token was good: what was refused is the message.
    broker.wait_for_line(&["admitted client", CLIENT]);
}

fn as5_published_keys_verify_the_tokens(ctx: &Ctx) {
    let server = AuthorizationServer::start(ctx, "5m");
    let mut setup = server.setup();
    let published = server.get("/jwks.json");
    setup.authority.jwks = published["keys"].as_array().expect("keys").clone();
    let broker = setup.start(ctx);
    assert_eq!(publish(ctx, &broker, "dev/a", &server.arguments()), DONE);
    broker.stop();
}

fn as5_revoked_token_ends_its_session(ctx: &Ctx) {
    let server = AuthorizationServer::start(ctx, "5m");
    let broker = server
        .setup()
        .file("as-ca.pem", &server.authority())
        .server("[authorization_server.revocation_list]")
        .server(&format!("url = {}", json!(server.url("/revoke/trl"))))
        .server("interval = \"1s\"")
        .server("client_id = \"broker\"")
        .server("client_secret_file = \"{dir}/broker.secret\"")
        .server("ca_file = \"{dir}/as-ca.pem\"")
        .file("broker.secret", &server.secret("broker"))
        .start(ctx);
    expect_the_end_by_revocation(ctx, &server, &broker, "token-revoked");
}

fn k1_client_proves_in_each_form(ctx: &Ctx) {
    let (server, broker) = started(ctx);
    let started = now().as_secs();
    let credentials = server.credentials(ctx).display().to_string();
    for way in ["exporter", "challenge", "username", "draft00", "draft00-time"] {
        // A proof over a time, which is in whole seconds, must be younger than the broker.
        while way == "draft00-time" && now().as_secs() <= started {
            sleep(GLANCE);
        }
        assert_eq!(publish(ctx, &broker, "dev/a", &["--credentials", &credentials, "--auth", way]), DONE, "{way}");
    }
    broker.stop();
}

/// The server tells of the key that `ace-as init` made, which is not this broker's.
fn k1_client_leaves_a_broker_with_another_key(ctx: &Ctx) {
    let (mut server, broker) = started(ctx);
    change(ctx, &mut server, "# public_key = ", "public_key = ");
    let (exit, said) = publish(ctx, &broker, "dev/a", &server.arguments());
    assert_ne!(exit, Some(0), "{said}");
    assert!(said.contains("certificate is not for the key that the authorization server named"), "{said}");
    assert!(!broker.stop().contains("admitted client"));
}
