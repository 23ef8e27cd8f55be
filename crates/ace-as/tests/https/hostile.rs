//! Callers that mean harm: oversized, malformed, slow. The server refuses, stays up, and says nothing it should not.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::json;

use crate::trial::{ACE_JSON, FORM, GATEWAY_SECRET, OTHER_BROKER_SECRET, Trial, basic, encode, scope};

const PATIENCE: Duration = Duration::from_secs(20);

fn alive(trial: &Trial) {
    assert_eq!(trial.sensor(&[]).status, 200);
}

#[test]
fn bodies_are_bounded() {
    let trial = Trial::start();
    let fits = format!("{}{}", "a=", "x".repeat(64 * 1024 - 2));
    let answer = trial.post("/token", &[("content-type", FORM)], fits.as_bytes());
    assert_eq!(answer.error(), (401, "invalid_client"), "64 KiB are read");
    let answer = trial.post("/token", &[("content-type", FORM)], format!("{fits}x").as_bytes());
    assert_eq!(answer.error(), (413, "invalid_request"));
    for size in [300_000, 1024 * 1024] {
        let answer = trial.post("/introspect", &[("content-type", ACE_JSON)], &vec![b' '; size]);
        assert_eq!(answer.error(), (413, "invalid_request"));
    }
    let endless = format!(
        "POST /token HTTP/1.1\r\nhost: localhost\r\ncontent-type: {FORM}\r\ncontent-length: 99999999999\r\n\r\n"
    );
    assert!(trial.raw(endless.as_bytes(), PATIENCE).starts_with("HTTP/1.1 413 "));

    let chunked = format!(
        "POST /token HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: {FORM}\r\ntransfer-encoding: chunked\r\n\r\n\
         20000\r\n{}\r\n0\r\n\r\n",
        "x".repeat(0x20000)
    );
    assert!(trial.raw(chunked.as_bytes(), PATIENCE).starts_with("HTTP/1.1 413 "));
    alive(&trial);
}

#[test]
fn json_is_bounded_in_depth() {
    let trial = Trial::start();
    let authorization = basic("sensor", &trial.secret("sensor"));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let headers = [("content-type", ACE_JSON), ("authorization", authorization.as_str())];
    for body in [deep.clone(), format!("{{\"scope\":{deep}}}"), format!("{{\"req_cnf\":{{\"jwk\":{deep}}}}}")] {
        assert_eq!(trial.post("/token", &headers, body.as_bytes()).error(), (400, "invalid_request"));
    }
    assert_eq!(trial.sensor(&[("req_cnf", &deep)]).error(), (400, "invalid_request"));
    assert_eq!(trial.sensor(&[("scope", &deep)]).error(), (400, "invalid_scope"));
    alive(&trial);
}

#[test]
fn what_is_not_text_is_refused() {
    let trial = Trial::start();
    let bytes: Vec<u8> = (0..=255).collect();
    for content_type in [FORM, ACE_JSON] {
        let answer = trial.post("/token", &[("content-type", content_type)], &bytes);
        assert_eq!(answer.error(), (400, "invalid_request"));
    }
    let head = format!(
        "POST /token HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {FORM}\r\ncontent-length: 0\r\n"
    );
    let mut request = head.into_bytes();
    request.extend_from_slice(b"authorization: Basic \xff\xfe\r\n\r\n");
    assert!(trial.raw(&request, PATIENCE).starts_with("HTTP/1.1 401 "));
    assert!(trial.raw(b"\x00\x01\x02\x03\r\n\r\n", PATIENCE).starts_with("HTTP/1.1 400 "));
    alive(&trial);
}

#[test]
fn scopes_are_bounded() {
    let trial = Trial::start();
    let many: Vec<_> = (0..5000).map(|number| json!([format!("{number}"), ["pub"]])).collect();
    assert_eq!(trial.sensor(&[("scope", &scope(&json!(many)))]).error(), (413, "invalid_request"));
    let many: Vec<_> = (0..4097).map(|_| json!(["a", ["pub"]])).collect();
    let body = json!({ "client_id": "sensor", "client_secret": trial.secret("sensor"), "scope": many });
    assert_eq!(trial.ace("/token", &body).error(), (400, "invalid_scope"));

    // Fits into a request, but not into a token that a broker would read.
    let long: Vec<_> =
        (0..3).map(|number| json!([format!("sensors/{number}/{}", "x".repeat(9000)), ["pub"]])).collect();
    assert_eq!(trial.sensor(&[("scope", &scope(&json!(long)))]).error(), (400, "invalid_scope"));
    alive(&trial);
}

#[test]
fn heads_are_bounded() {
    let trial = Trial::start();
    let request = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    let answer = trial.raw(request.as_bytes(), PATIENCE);
    // The server closes with most of the request unread, so the reset may overtake its answer.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let request = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(2000));
    assert!(trial.raw(request.as_bytes(), PATIENCE).starts_with("HTTP/1.1 431 "));
    alive(&trial);
}

#[test]
fn what_is_not_tls_is_dropped() {
    let trial = Trial::start();
    let mut socket = trial.tcp(PATIENCE);
    socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // A reset is as good as an orderly close.
    let _ = socket.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "nothing is answered in clear");
    alive(&trial);
}

#[test]
fn silent_connections_do_not_keep_others_out() {
    let trial = Trial::start();
    let silent: Vec<_> = (0..100).map(|_| trial.tcp(PATIENCE)).collect();
    alive(&trial);
    drop(silent);
}

#[test]
fn log_lines_cannot_be_forged() {
    let trial = Trial::start();
    trial.form("/token", ("x\n2026-01-01T00:00:00Z info forged", "y"), &[("grant_type", "client_credentials")]);
    let log = trial.log();
    assert!(log.iter().all(|line| !line.contains('\n')), "{log:?}");
    assert!(log.iter().any(|line| line.contains(r#"client="x\n2026-01-01T00:00:00Z info forged""#)), "{log:?}");
}

#[test]
fn nothing_secret_is_logged() {
    let mut trial = Trial::start();
    let sensor_secret = trial.secret("sensor");
    let mut secrets = vec![GATEWAY_SECRET.to_owned(), encode(GATEWAY_SECRET), OTHER_BROKER_SECRET.to_owned()];
    secrets.extend(["sensor", "dashboard", "broker", "administrator"].map(|id| trial.secret(id)));
    secrets.extend([basic("sensor", &sensor_secret), basic("gateway", GATEWAY_SECRET)]);

    for answer in [
        trial.sensor(&[]),
        trial.gateway(&[("audience", "opaque.example")]),
        trial.sensor(&[("req_cnf", &json!({ "jwk": crate::token::ed25519() }).to_string())]),
    ] {
        let token = answer.token().to_owned();
        secrets.extend(token.split('.').map(str::to_owned));
        secrets.extend(answer.json["cnf"]["jwk"]["k"].as_str().map(str::to_owned));
        trial.introspect(&token);
        trial.form("/introspect", ("other-broker", OTHER_BROKER_SECRET), &[("token", &token)]);
        trial.form("/introspect", ("sensor", &sensor_secret), &[("token", &token)]);
        trial.form("/revoke", ("sensor", &sensor_secret), &[("token", &token)]);
        trial.form("/revoke", ("administrator", &trial.secret("administrator")), &[("token", &token)]);
        trial.get_as("/revoke/trl", ("broker", &trial.secret("broker")));
        trial.get(&format!("/revoke/trl?token={token}"));
        trial.form("/token", ("sensor", &token), &[("grant_type", &token), ("audience", "x")]);
    }
    let body =
        json!({ "client_id": "gateway", "client_secret": GATEWAY_SECRET, "audience": "broker.example", "scope": 7 });
    trial.ace("/token", &body);
    trial.get(&format!("/token?client_secret={sensor_secret}"));
    trial.get(&format!("/introspect/{sensor_secret}"));
    for name in ["signing-key.jwk", "broker-shared-key.jwk"] {
        let key: serde_json::Value = serde_json::from_str(&trial.read(name)).unwrap();
        secrets.extend(["d", "k"].iter().filter_map(|member| key[member].as_str()).map(str::to_owned));
    }
    trial.stop();

    let log = trial.log().join("\n");
    assert!(log.lines().count() > 15, "the requests are logged:\n{log}");
    assert!(log.contains(r#"client="sensor" audience="broker.example" status=200"#), "{log}");
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        assert!(!log.contains(secret.as_str()), "{secret} is in the log");
    }
}
