//! Tokens, encrypted keys and proofs that another implementation made (`vectors/make_joserfc.py`).
#![allow(clippy::unwrap_used, reason = "a test that meets something unexpected stops there")]

use ace_profile::Timestamp;
use ace_profile::jose::JwkSet;
use ace_profile::scope::Scope;
use ace_profile::token::{AuthorizationServer, Policy, Validator};
use serde_json::{Value, json};

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn tokens_and_proofs_of_joserfc_are_accepted() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/joserfc.json")).unwrap();
    let server = AuthorizationServer {
        issuer: text(&vectors, "issuer").to_owned(),
        keys: JwkSet::from_json(&vectors["jwks"].to_string()).unwrap(),
        ..AuthorizationServer::default()
    };
    let policy = Policy { audience: vec![text(&vectors, "audience").to_owned()], ..Policy::default() };
    let validator = Validator::new(vec![server], JwkSet::default(), policy);
    let now = Timestamp::from_unix_seconds(vectors["now"].as_u64().unwrap());
    let message = bytes(text(&vectors, "message"));

    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 10);
    for case in cases {
        let name = text(case, "name");
        let valid = match validator.validate(text(case, "token"), now) {
            Ok(valid) => valid,
            Err(refusal) => panic!("{name}: {refusal}"),
        };
        assert_eq!(valid.subject.as_deref(), Some("device-7"), "{name}");
        assert_eq!(valid.scope, Scope::from_aif_value(&json!([["sensors/#", ["pub"]]])).unwrap(), "{name}");
        let key = valid.key().unwrap();
        assert_eq!(key.thumbprint(), text(case, "thumbprint"), "{name}");
        let mut proof = bytes(text(case, "proof"));
        assert_eq!(key.verify(&message, &proof), Ok(()), "{name}");
        proof[9] ^= 1;
        assert!(key.verify(&message, &proof).is_err(), "{name}");
    }
}
