//! What a broker makes of tokens that are encrypted for it.

use serde_json::{Value, json};

use super::*;
use crate::base64url;
use crate::jose::jwe::{Encryption, Management};
use crate::random::SystemRandom;
use crate::revocation::TokenHashes;
use crate::token::fixture::{Fixture, ISSUER, NOW};
use crate::token::{Policy, Validator};
use crate::{Fingerprint, Timestamp};

fn code(fixture: &Fixture, token: &str) -> &'static str {
    fixture.validate(token).unwrap_err().code()
}

/// Encrypted with this key, whatever is inside.
fn encrypt(text: &str, key: &Jwk, cty: Option<&str>) -> String {
    jwe::encrypt(text.as_bytes(), key, Management::A256Kw, Encryption::A256Gcm, cty, &mut SystemRandom).unwrap()
}

#[test]
fn a_signed_token_inside_is_judged_by_all_rules() {
    let fixture = Fixture::new();
    let inner = fixture.sign(&fixture.claims());
    let token = fixture.encrypt_token(&inner);
    let valid = fixture.validate(&token).unwrap();
    assert_eq!((valid.issuer.as_str(), valid.subject.as_deref()), (ISSUER, Some("device-7")));
    // By what was sent, it is known to the log and to revocation lists.
    assert_eq!((valid.fingerprint, valid.hashes), (Fingerprint::of(token.as_bytes()), TokenHashes::of_text(&token)));
    let judged = |claims: &Value| code(&fixture, &fixture.encrypt_token(&fixture.sign(claims)));
    assert_eq!(judged(&fixture.with("exp", json!(NOW - 60))), "token-expired");
    assert_eq!(judged(&fixture.with("aud", json!("another.example"))), "audience-foreign");
    assert_eq!(judged(&fixture.with("iss", json!("https://attacker.example"))), "issuer-unknown");
    let (input, _) = inner.rsplit_once('.').unwrap();
    let forged = format!("{input}.{}", base64url::encode(&[7; 64]));
    assert_eq!(code(&fixture, &fixture.encrypt_token(&forged)), "signature-wrong");
    let unsigned = fixture.sign_raw(&json!({"alg": "none"}), fixture.claims().to_string().as_bytes());
    assert_eq!(code(&fixture, &fixture.encrypt_token(&unsigned)), "algorithm-none");
}

#[test]
fn encryption_alone_proves_no_issuer() {
    let fixture = Fixture::new();
    let claims = fixture.claims().to_string();
    assert_eq!(code(&fixture, &encrypt(&claims, &fixture.shared, None)), "jwe-content-type");
    assert_eq!(code(&fixture, &encrypt(&claims, &fixture.shared, Some("JWT"))), "token-not-jwt");
    let inner = fixture.sign(&fixture.claims());
    for cty in [None, Some("jwk+json"), Some("CWT"), Some("")] {
        assert_eq!(code(&fixture, &encrypt(&inner, &fixture.shared, cty)), "jwe-content-type", "{cty:?}");
    }
    for cty in ["jwt", "application/jwt", "at+jwt"] {
        assert!(fixture.validate(&encrypt(&inner, &fixture.shared, Some(cty))).is_ok(), "{cty}");
    }
}

#[test]
fn a_symmetric_key_may_stand_in_what_is_encrypted() {
    let fixture = Fixture::new();
    let key = Jwk::from_symmetric(&[9; 32]).unwrap();
    let inner = fixture.sign(&fixture.with("cnf", json!({"jwk": key.secret_value()})));
    assert_eq!(code(&fixture, &inner), "confirmation-key-in-clear");
    let valid = fixture.validate(&fixture.encrypt_token(&inner)).unwrap();
    assert_eq!(valid.key().and_then(|key| key.symmetric_bytes()), Some(&[9; 32][..]));
    // A private key of the client's has no place in a token at all.
    let private = fixture.sign(&fixture.with("cnf", json!({"jwk": fixture.client.secret_value()})));
    assert_eq!(code(&fixture, &fixture.encrypt_token(&private)), "confirmation-key-private");
}

#[test]
fn nothing_is_encrypted_twice_nor_wrapped_in_a_signed_token() {
    let fixture = Fixture::new();
    let inner = fixture.encrypt_token(&fixture.sign(&fixture.claims()));
    assert_eq!(code(&fixture, &fixture.encrypt_token(&inner)), "jwe-nested");
    let wrapping = fixture.sign_raw(&json!({"alg": "EdDSA", "cty": "JWT"}), inner.as_bytes());
    assert_eq!(code(&fixture, &wrapping), "token-nested");
    assert_eq!(code(&fixture, &fixture.encrypt_token(&wrapping)), "token-nested");
}

/// Two servers, each with keys of its own and one that both use.
#[test]
fn a_token_must_be_encrypted_with_a_key_for_its_issuer() {
    let signing = |seed: u8| Jwk::ed25519_from_seed(&[seed; 32]).unwrap().with_kid(format!("sign-{seed}"));
    let shared = |byte: u8, kid: &str| Jwk::from_symmetric(&[byte; 32]).unwrap().with_kid(kid).with_use("enc");
    let both = shared(9, "both");
    let server = |issuer: &str, seed: u8| AuthorizationServer {
        issuer: issuer.to_owned(),
        // Both have named their key in the same way.
        keys: [signing(seed).to_public().unwrap(), shared(seed, "own")].into_iter().collect(),
        decryption_keys: [both.clone()].into_iter().collect(),
        ..AuthorizationServer::default()
    };
    let policy = Policy { audience: vec!["broker.example".to_owned()], ..Policy::default() };
    let servers = vec![server("https://one.example", 1), server("https://two.example", 2)];
    let validator = Validator::new(servers, crate::jose::JwkSet::default(), policy);
    let fixture = Fixture::new();
    let token = |issuer: &str, seed: u8, key: &Jwk| {
        let claims = fixture.with("iss", json!(issuer)).to_string();
        let inner = crate::jose::jws::sign(claims.as_bytes(), &signing(seed), crate::jose::Algorithm::EdDsa, None);
        encrypt(&inner.unwrap(), key, Some("JWT"))
    };
    let judge = |token: &str| {
        let valid = validator.validate(token, Timestamp::from_unix_seconds(NOW));
        valid.map(|token| token.issuer).map_err(|refusal| refusal.code())
    };
    for (issuer, seed) in [("https://one.example", 1), ("https://two.example", 2)] {
        assert_eq!(judge(&token(issuer, seed, &shared(seed, "own"))).as_deref(), Ok(issuer));
        assert_eq!(judge(&token(issuer, seed, &both)).as_deref(), Ok(issuer));
        assert_eq!(judge(&token(issuer, seed, &shared(3 - seed, "own"))), Err("jwe-issuer-foreign"));
    }
    assert_eq!(judge(&token("https://one.example", 1, &shared(7, "own"))), Err("jwe-undecryptable"));
    assert_eq!(judge(&token("https://one.example", 1, &shared(1, "other"))), Err("jwe-key-missing"));
}

#[test]
fn decryption_keys_check_no_signature() {
    let mut fixture = Fixture::new();
    let key = Jwk::from_symmetric(&[7; 32]).unwrap().with_kid("decrypts");
    fixture.decryption_keys = vec![key.clone()];
    let claims = fixture.claims().to_string();
    let token = crate::jose::jws::sign(claims.as_bytes(), &key, crate::jose::Algorithm::Hs256, None).unwrap();
    assert_eq!(code(&fixture, &token), "key-unknown");
    assert!(fixture.validate(&encrypt(&fixture.sign(&fixture.claims()), &key, Some("JWT"))).is_ok());
    // Keys in the confirmation are decrypted with them as well.
    let pop = Jwk::from_symmetric(&[8; 32]).unwrap();
    let encrypted = encrypt(&pop.secret_value().to_string(), &key, Some("jwk+json"));
    let valid = fixture.judge(&fixture.with("cnf", json!({"jwe": encrypted}))).unwrap();
    assert_eq!(valid.key().map(|key| key.thumbprint()), Some(pop.thumbprint()));
}

#[test]
fn other_keys_of_a_server_leave_what_decrypts() {
    let fixture = Fixture::new();
    let token = fixture.encrypt_token(&fixture.sign(&fixture.claims()));
    let renewed = [fixture.signing.to_public().unwrap()].into_iter().collect();
    let validator = fixture.validator().with_keys(ISSUER, renewed);
    assert!(validator.validate(&token, Timestamp::from_unix_seconds(NOW)).is_ok());
}

#[test]
fn two_keys_that_fit_are_not_tried_in_turn() {
    let mut fixture = Fixture::new();
    fixture.more_keys = vec![Jwk::from_symmetric(&[9; 32]).unwrap().with_kid("shared")];
    let token = fixture.encrypt_token(&fixture.sign(&fixture.claims()));
    assert_eq!(code(&fixture, &token), "jwe-key-ambiguous");
}

#[test]
fn a_token_that_is_too_long_is_not_looked_at() {
    let fixture = Fixture::new();
    let inner = fixture.sign(&fixture.with("filler", json!("x".repeat(limits::TOKEN_BYTES))));
    assert_eq!(code(&fixture, &fixture.encrypt_token(&inner)), "token-too-large");
}
