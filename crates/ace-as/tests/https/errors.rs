//! Every refusal of the token endpoint, by its code.

use serde_json::json;

use crate::token::ed25519;
use crate::trial::{ACE_JSON, Answer, FORM, GATEWAY_SECRET, Trial, basic, scope};

fn raw(trial: &Trial, authorization: Option<&str>, content_type: &str, body: &str) -> Answer {
    let mut headers = vec![("content-type", content_type)];
    headers.extend(authorization.map(|value| ("authorization", value)));
    trial.post("/token", &headers, body.as_bytes())
}

#[test]
fn invalid_client() {
    let trial = Trial::start();
    let grant = "grant_type=client_credentials";
    let wrong = [
        raw(&trial, Some(&basic("sensor", "wrong")), FORM, grant),
        raw(&trial, Some(&basic("nobody", "wrong")), FORM, grant),
        raw(&trial, Some(&basic("gateway", "")), FORM, grant),
        raw(&trial, Some(&basic("sensor", &trial.secret("dashboard"))), FORM, grant),
        raw(&trial, Some("Bearer abc"), FORM, grant),
        raw(&trial, Some("Basic ###"), FORM, grant),
        raw(&trial, None, FORM, grant),
        raw(&trial, None, FORM, &format!("{grant}&client_id=sensor")),
        raw(&trial, None, FORM, &format!("{grant}&client_id=sensor&client_secret=wrong")),
        trial.ace("/token", &json!({ "client_id": "sensor", "client_secret": "wrong" })),
        trial.ace("/token", &json!({})),
    ];
    for answer in wrong {
        assert_eq!(answer.error(), (401, "invalid_client"));
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "), "{:?}", answer.json);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let unknown = raw(&trial, Some(&basic("nobody", "wrong")), FORM, grant);
    let known = raw(&trial, Some(&basic("sensor", "wrong")), FORM, grant);
    assert_eq!(unknown.json, known.json, "whether an id exists is not told");
}

#[test]
fn invalid_request() {
    let trial = Trial::start();
    let authorization = basic("gateway", GATEWAY_SECRET);
    let form = |body: &str| raw(&trial, Some(&authorization), FORM, body).error().0;
    let grant = "grant_type=client_credentials&audience=broker.example";
    for body in [
        "audience=broker.example",
        &format!("{grant}&audience=broker.example"),
        &format!("{grant}&scope=%ff"),
        &format!("{grant}&client_id=sensor"),
        &format!("{grant}&client_secret=twice"),
        &format!("{grant}&req_cnf=nonsense"),
        &format!("{grant}&req_cnf=%7B%7D"),
        "grant_type=client_credentials",
        "grant_type=client_credentials&audience=bare.example",
    ] {
        assert_eq!(form(body), 400, "{body}");
        assert_eq!(raw(&trial, Some(&authorization), FORM, body).json["error"], "invalid_request", "{body}");
    }
    for body in ["", "[]", "{", "{\"audience\":7}", "{\"grant_type\":[]}", "{\"audience\":\"a\",\"audience\":\"b\"}"] {
        let answer = raw(&trial, Some(&authorization), ACE_JSON, body);
        assert_eq!(answer.error(), (400, "invalid_request"), "{body}");
        assert_eq!(answer.header("content-type"), Some(ACE_JSON));
    }
    for content_type in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
        assert_eq!(raw(&trial, Some(&authorization), content_type, grant).error(), (415, "invalid_request"));
    }
}

#[test]
fn private_keys_are_not_taken() {
    let trial = Trial::start();
    let mut key = ed25519();
    key["d"] = json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    let answer = trial.sensor(&[("req_cnf", &json!({ "jwk": key }).to_string())]);
    assert_eq!(answer.error(), (400, "invalid_request"));
    assert!(answer.json["error_description"].as_str().unwrap().contains("private key"));
}

#[test]
fn unauthorized_client() {
    let trial = Trial::start();
    let answer = trial.form("/token", ("broker", &trial.secret("broker")), &[("grant_type", "client_credentials")]);
    assert_eq!(answer.error(), (400, "unauthorized_client"));
}

#[test]
fn unsupported_grant_type() {
    let trial = Trial::start();
    let secret = trial.secret("sensor");
    for grant in ["password", "authorization_code", "CLIENT_CREDENTIALS"] {
        let answer = trial.form("/token", ("sensor", &secret), &[("grant_type", grant)]);
        assert_eq!(answer.error(), (400, "unsupported_grant_type"));
    }
    let body = json!({ "client_id": "sensor", "client_secret": secret, "grant_type": "refresh_token" });
    assert_eq!(trial.ace("/token", &body).error(), (400, "unsupported_grant_type"));
}

#[test]
fn invalid_scope() {
    let trial = Trial::start();
    for text in [
        "read write".to_owned(),
        "not base64url!".to_owned(),
        scope(&json!({})),
        scope(&json!([["sensors/#", []]])),
        scope(&json!([["sensors/#", ["admin"]]])),
        scope(&json!([["sensors/#/x", ["pub"]]])),
        scope(&json!([["private/#", ["pub"]]])),
        scope(&json!([["sensors/#", ["sub"]]])),
        "[[\"sensors/#\"".to_owned(),
    ] {
        let answer = trial.sensor(&[("scope", &text)]);
        assert_eq!(answer.error(), (400, "invalid_scope"), "{text}");
    }
}

#[test]
fn invalid_target() {
    let trial = Trial::start();
    let unknown = trial.sensor(&[("audience", "nowhere.example")]);
    assert_eq!(unknown.error(), (400, "invalid_target"));
    let foreign = trial.sensor(&[("audience", "opaque.example")]);
    assert_eq!(foreign.json, unknown.json, "whether an audience exists is not told");
}

#[test]
fn unsupported_pop_key() {
    let trial = Trial::start();
    for req_cnf in [
        json!({ "kid": "mine" }),
        json!({ "jwk": { "kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" } }),
        json!({ "jwk": { "kty": "EC", "crv": "P-521", "x": "", "y": "" } }),
        json!({ "COSE_Key": {} }),
    ] {
        let answer = trial.sensor(&[("req_cnf", &req_cnf.to_string())]);
        assert_eq!(answer.error(), (400, "unsupported_pop_key"), "{req_cnf}");
    }
}

#[test]
fn incompatible_ace_profiles() {
    let trial = Trial::start();
    assert_eq!(trial.sensor(&[("ace_profile", "coap_dtls")]).error(), (400, "incompatible_ace_profiles"));
    assert_eq!(trial.sensor(&[("ace_profile", "mqtt_tls")]).status, 200);
    assert_eq!(trial.sensor(&[("ace_profile", "")]).status, 200);
}
