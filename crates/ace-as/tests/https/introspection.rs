//! `POST /introspect`: what brokers learn about tokens.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::token::ed25519;
use crate::trial::{ACE_JSON, FORM, OTHER_BROKER_SECRET, Trial};

const INACTIVE: fn() -> Value = || json!({ "active": false });

#[test]
fn a_good_token_is_active() {
    let trial = Trial::start();
    let answer = trial.sensor(&[("req_cnf", &json!({ "jwk": ed25519() }).to_string())]);
    let found = trial.introspect(answer.token());
    assert_eq!(found["active"], true);
    assert_eq!(found["iss"], "https://localhost:8443");
    assert_eq!((&found["sub"], &found["client_id"]), (&json!("sensor"), &json!("sensor")));
    assert_eq!(found["aud"], "broker.example");
    assert_eq!(found["scope"], answer.json["scope"]);
    assert_eq!(found["cnf"], json!({ "jwk": ed25519() }));
    assert_eq!(found["token_type"], "PoP");
    assert_eq!(found["exp"].as_u64().unwrap() - found["iat"].as_u64().unwrap(), 3600);
}

#[test]
fn a_symmetric_key_is_told_to_its_broker() {
    let trial = Trial::start();
    let answer = trial.sensor(&[]);
    assert_eq!(trial.introspect(answer.token())["cnf"], answer.json["cnf"]);
}

#[test]
fn opaque_tokens_are_known_here_only() {
    let trial = Trial::start();
    let answer = trial.gateway(&[("audience", "opaque.example")]);
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert!(!answer.token().contains('.'));
    assert_eq!(answer.token().len(), 43);
    let body = json!({ "client_id": "other-broker", "client_secret": OTHER_BROKER_SECRET, "token": answer.token() });
    let found = trial.ace("/introspect", &body);
    assert_eq!(found.header("content-type"), Some(ACE_JSON));
    assert_eq!(found.header("cache-control"), Some("no-store"));
    assert_eq!(found.json["active"], true);
    // All that a JWT would say of itself.
    assert_eq!(found.json["iss"], "https://localhost:8443");
    assert_eq!((&found.json["sub"], &found.json["client_id"]), (&json!("the gateway"), &json!("gateway")));
    assert_eq!(found.json["aud"], "opaque.example");
    assert_eq!(found.json["scope"], answer.json["scope"]);
    assert_eq!(found.json["exp"].as_u64().unwrap() - found.json["iat"].as_u64().unwrap(), 600);
    assert_eq!(answer.json["expires_in"], 600);
    assert_eq!(found.json["cnf"], answer.json["cnf"]);
    assert_eq!(found.json["token_type"], "PoP");
    assert_eq!(trial.introspect(answer.token()), INACTIVE(), "the first broker is not its audience");
}

#[test]
fn tokens_of_other_audiences_are_inactive() {
    let trial = Trial::start();
    let key = json!({ "jwk": ed25519() }).to_string();
    let bare = trial.gateway(&[("audience", "bare.example"), ("req_cnf", &key)]);
    assert_eq!(trial.introspect(bare.token()), INACTIVE());
    let ours = trial.gateway(&[("audience", "broker.example"), ("req_cnf", &key)]);
    let other = trial.form("/introspect", ("other-broker", OTHER_BROKER_SECRET), &[("token", ours.token())]);
    assert_eq!(other.json, INACTIVE());
    let right = trial.form("/introspect", ("other-broker", OTHER_BROKER_SECRET), &[("token", bare.token())]);
    assert_eq!(right.json["active"], true);
}

#[test]
fn what_is_no_token_of_ours_is_inactive() {
    let trial = Trial::start();
    let stranger = Trial::start();
    let token = trial.sensor(&[]).token().to_owned();
    let mut altered = token.clone().into_bytes();
    let middle = altered.len() / 2;
    altered[middle] = if altered[middle] == b'A' { b'B' } else { b'A' };
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (_, claims) = signed.split_once('.').unwrap();
    // {"alg":"none"}
    let unsigned = format!("eyJhbGciOiJub25lIn0.{claims}.");
    for token in [
        "x",
        "a.b.c",
        &"x".repeat(40_000),
        &format!("{token}A"),
        &String::from_utf8(altered).unwrap(),
        &unsigned,
        &format!("eyJhbGciOiJub25lIn0.{claims}.{signature}"),
        stranger.sensor(&[]).token(),
    ] {
        assert_eq!(trial.introspect(token), INACTIVE(), "{token:.40}");
    }
}

#[test]
fn expired_tokens_are_inactive() {
    let trial = Trial::start();
    for client in ["fleeting", "fleeting-opaque"] {
        let answer = trial.form("/token", (client, "fleeting-secret-0123456"), &[("grant_type", "client_credentials")]);
        assert_eq!(answer.json["expires_in"], 1, "{}", answer.json);
        let deadline = Instant::now() + Duration::from_secs(10);
        while trial.introspect(answer.token()) != INACTIVE() {
            assert!(Instant::now() < deadline, "a token of one second is alive after ten");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn only_resource_servers_may_ask() {
    let trial = Trial::start();
    let token = trial.sensor(&[]).token().to_owned();
    let ask = |id: &str, secret: &str| trial.form("/introspect", (id, secret), &[("token", &token)]);
    assert_eq!(ask("broker", "wrong").error(), (401, "invalid_client"));
    assert_eq!(ask("sensor", &trial.secret("sensor")).error(), (403, "unauthorized_client"));
    let anonymous = trial.post("/introspect", &[("content-type", FORM)], format!("token={token}").as_bytes());
    assert_eq!(anonymous.error(), (401, "invalid_client"));
    let nothing = trial.form("/introspect", ("broker", &trial.secret("broker")), &[]);
    assert_eq!(nothing.error(), (400, "invalid_request"));
}
