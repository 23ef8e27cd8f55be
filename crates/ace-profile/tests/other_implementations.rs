//! Tokens, encrypted keys and proofs that other implementations made (`vectors/make_joserfc.py`, `vectors/make_jose.mjs`, `vectors/make_cwt.py`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that meets something unexpected stops there")]

use ace_profile::Timestamp;
use ace_profile::base64url;
use ace_profile::jose::{Jwk, JwkSet};
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
    assert_eq!(accepted(include_str!("vectors/joserfc.json")), 10);
}

/// Signed by each algorithm, and the same inside each form of encryption.
#[test]
fn tokens_and_proofs_of_jose_are_accepted() {
    assert_eq!(accepted(include_str!("vectors/jose.json")), 40);
}

/// Checks JWTs and proofs; gives their number.
fn accepted(vectors: &str) -> usize {
    let vectors: Value = serde_json::from_str(vectors).unwrap();
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
    cases.len()
}

/// What `vectors/make_cwt.py` has made, and a broker that trusts its issuer.
struct Cwts {
    vectors: Value,
    validator: Validator,
    now: Timestamp,
}

impl Cwts {
    fn load() -> Self {
        let vectors: Value = serde_json::from_str(include_str!("vectors/cwt.json")).unwrap();
        let server = AuthorizationServer {
            issuer: text(&vectors, "issuer").to_owned(),
            keys: JwkSet::from_json(&vectors["jwks"].to_string()).unwrap(),
            ..AuthorizationServer::default()
        };
        let client_keys = JwkSet::from_json(&vectors["client_keys"].to_string()).unwrap();
        let policy = Policy { audience: vec![text(&vectors, "audience").to_owned()], ..Policy::default() };
        let now = Timestamp::from_unix_seconds(vectors["now"].as_u64().unwrap());
        Self { validator: Validator::new(vec![server], client_keys, policy), now, vectors }
    }

    fn cases(&self) -> &[Value] {
        self.vectors["cases"].as_array().unwrap()
    }
}

#[test]
fn cwts_and_proofs_of_python_cwt_and_pycose_are_accepted() {
    let cwts = Cwts::load();
    let message = bytes(text(&cwts.vectors, "message"));
    assert_eq!(cwts.cases().len(), 204);
    for case in cwts.cases() {
        let name = text(case, "name");
        let token = bytes(text(case, "token"));
        let valid = match cwts.validator.validate(&token, cwts.now) {
            Ok(valid) => valid,
            Err(refusal) => panic!("{name}: {refusal}"),
        };
        assert_eq!(valid.subject.as_deref(), Some("device-7"), "{name}");
        assert_eq!(valid.scope, Scope::from_aif_value(&json!([["sensors/#", ["pub"]]])).unwrap(), "{name}");
        let key = valid.key().unwrap();
        let expected = Jwk::from_value(&cwts.vectors["keys"][text(case, "thumbprint_of")]).unwrap();
        assert_eq!(key.thumbprint(), expected.thumbprint(), "{name}");
        let mut proof = bytes(text(case, "proof"));
        assert_eq!(key.verify(&message, &proof), Ok(()), "{name}");
        proof[9] ^= 1;
        assert!(key.verify(&message, &proof).is_err(), "{name}");
        // In JSON a client was given it so, and the same is remembered of it.
        let in_text = cwts.validator.validate(&base64url::encode(&token), cwts.now).unwrap();
        assert_eq!((in_text.fingerprint, &in_text.hashes), (valid.fingerprint, &valid.hashes), "{name}");
    }
}

#[test]
fn a_cwt_with_a_flipped_bit_is_refused() {
    let cwts = Cwts::load();
    for (index, case) in cwts.cases().iter().enumerate() {
        let (name, token) = (text(case, "name"), bytes(text(case, "token")));
        for at in 0..token.len() {
            // Every bit of some, and one of each byte of the others.
            for bit in if index % 16 == 0 { 0..8 } else { at % 8..at % 8 + 1 } {
                let mut altered = token.clone();
                altered[at] ^= 1 << bit;
                assert!(cwts.validator.validate(&altered, cwts.now).is_err(), "{name}, byte {at}, bit {bit}");
            }
        }
        for length in 0..token.len() {
            assert!(cwts.validator.validate(&token[..length], cwts.now).is_err(), "{name}, {length} bytes");
        }
    }
}

#[test]
fn tricks_with_cwts_are_refused_for_what_they_are() {
    let cwts = Cwts::load();
    let refused = cwts.vectors["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 101);
    for (index, case) in refused.iter().enumerate() {
        let token = bytes(text(case, "token"));
        match cwts.validator.validate(&token, cwts.now) {
            Err(refusal) => assert_eq!(refusal.code(), text(case, "code"), "{index}: {refusal}"),
            Ok(_) => panic!("{index}, {}: accepted", text(case, "code")),
        }
    }
}
