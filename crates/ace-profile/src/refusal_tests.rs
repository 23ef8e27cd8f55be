//! Every reason is reached: the catalogue of what clients and attackers send, and what each is refused for.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::Timestamp;
use crate::base64url;
use crate::connect::{AuthenticationData, ChallengeAnswer, Draft00, PskIdentity};
use crate::cose;
use crate::jose::{Algorithm, Jwk, JwkSet, jws};
use crate::proof::{ConfirmationKey, Freshness, ProofKey, ReplayCache, ShownKey, draft00_message, verify_draft00};
use crate::random::SystemRandom;
use crate::scope::ScopeFormat;
use crate::token::fixture::{Fixture, ISSUER, NOW};
use crate::token::{AuthorizationServer, IntrospectionAnswer, Policy, Validator};

/// What was sent, and what it was refused for.
type Case = (&'static str, Refusal);

/// The refusal of something that has to be refused.
fn refused<T>(verdict: Result<T, Refusal>) -> Refusal {
    match verdict {
        Err(refusal) => refusal,
        Ok(_) => panic!("accepted what has to be refused"),
    }
}

fn encodings() -> Vec<Case> {
    let data = |bytes: &[u8]| refused(AuthenticationData::parse(bytes));
    let draft = |bytes: &[u8]| refused(Draft00::parse(bytes));
    let dated = |value: Value| draft(value.to_string().as_bytes());
    vec![
        ("authentication-data-truncated", data(b"\x00\x09token")),
        ("authentication-data-too-long", data(&[&b"\x00\x01t"[..], &[7; 65]].concat())),
        ("proof-without-token", data(b"\x00\x00proof")),
        ("challenge-answer-truncated", refused(ChallengeAnswer::parse(&[1; 8]))),
        ("challenge-answer-too-long", refused(ChallengeAnswer::parse(&[1; 80]))),
        ("draft00-too-large", draft(&[b' '; 60_000])),
        ("draft00-not-json", draft(b"{")),
        ("draft00-member-missing", dated(json!({"access_token": "t"}))),
        ("draft00-member-malformed", dated(json!({"access_token": "t", "mac": 1}))),
        ("shown-key-malformed", dated(json!({"access_token": "t", "mac": "AQ", "jwk": 1}))),
        ("shown-key-not-public", dated(json!({"access_token": "t", "mac": "AQ", "jwk": {"kty": "oct"}}))),
        ("shown-key-unusable", dated(json!({"access_token": "t", "mac": "AQ", "jwk": {"kty": "AKP"}}))),
        ("psk-identity-malformed", refused(PskIdentity::parse(b"{}"))),
        ("draft00-member-unknown", dated(json!({"access_token": "t", "mac": "AQ", "x": 1}))),
    ]
}

fn forms_and_headers() -> Vec<Case> {
    let fixture = Fixture::new();
    let token = |token: &str| refused(fixture.validate(token));
    let header = |header: Value| token(&fixture.sign_raw(&header, fixture.claims().to_string().as_bytes()));
    let of_other = fixture.with("iss", json!("https://other.example"));
    vec![
        ("token-too-large", token(&"a".repeat(60 * 1024))),
        ("token-not-jwt", token("opaque")),
        ("jwe-content-type", token(&fixture.encrypt(fixture.sign(&fixture.claims()).as_bytes()))),
        ("jwe-nested", token(&fixture.encrypt_token(&fixture.encrypt(b"")))),
        ("jwe-issuer-foreign", token(&fixture.encrypt_token(&fixture.sign(&of_other)))),
        ("header-not-json", token("e30x.e30.AA")),
        ("header-member-malformed", header(json!({"alg": "EdDSA", "kid": 1}))),
        ("header-critical", header(json!({"alg": "EdDSA", "crit": ["x"]}))),
        ("header-compressed", header(json!({"alg": "EdDSA", "zip": "DEF"}))),
        ("token-nested", header(json!({"alg": "EdDSA", "cty": "JWT"}))),
        ("algorithm-none", header(json!({"alg": "none"}))),
        ("algorithm-unsupported", header(json!({"alg": "ES512"}))),
        ("key-unknown", header(json!({"alg": "EdDSA", "kid": "nobody"}))),
        ("key-missing", header(json!({"alg": "RS256"}))),
        ("claims-not-json", token(&fixture.sign_raw(&json!({"alg": "EdDSA"}), b"{"))),
    ]
}

/// CWTs that are refused: `tests/other_implementations.rs` has many more, made by others.
fn cwts() -> Vec<Case> {
    let shared = Jwk::from_symmetric(&[4; 16]).unwrap().with_kid("ccm");
    let server = |issuer: &str| AuthorizationServer {
        issuer: issuer.to_owned(),
        keys: [shared.clone()].into_iter().collect(),
        ..AuthorizationServer::default()
    };
    let broker = Validator::new(vec![server("a"), server("b")], JwkSet::default(), Policy::default());
    let token = |token: &[u8]| refused(broker.validate(token, Timestamp::from_unix_seconds(NOW)));
    let algorithm = cose::Algorithm::AesCcm16Tag64Key128;
    let encrypted = |content: &[u8], key: &Jwk| {
        cose::encrypt(content, key, algorithm, &cose::Headers::of(key), &mut SystemRandom).unwrap()
    };
    let other = Jwk::from_symmetric(&[5; 16]).unwrap();
    vec![
        ("cwt-not-cbor", token(b"\xd2\x84\x18\x00")),
        ("cose-malformed", token(b"\xd2\x84\x01\x02\x03\x04")),
        ("cose-payload-detached", token(b"\xd2\x84\x43\xa1\x01\x27\xa0\xf6\x40")),
        ("cose-header-unprotected", token(b"\xd2\x84\x40\xa1\x01\x27\x40\x40")),
        ("cose-header-twice", token(b"\xd2\x84\x43\xa1\x01\x27\xa1\x01\x27\x40\x40")),
        ("cose-algorithm-misplaced", token(b"\xd2\x84\x43\xa1\x01\x05\xa0\x40\x40")),
        ("claims-not-cbor", token(b"\xd2\x84\x43\xa1\x01\x27\xa0\x41\x01\x40")),
        ("cwt-key-missing", token(&encrypted(b"", &other.clone().with_kid("other")))),
        ("cwt-undecryptable", token(&encrypted(b"", &other))),
        ("cwt-issuer-unproved", token(&encrypted(b"\xa1\x01\x61a", &shared))),
    ]
}

fn signatures() -> Vec<Case> {
    let mut fixture = Fixture::new();
    let good = fixture.sign(&fixture.claims());
    let (input, _) = good.rsplit_once('.').unwrap();
    let length = refused(fixture.validate(&format!("{input}.{}", base64url::encode(&[0x30; 70]))));
    let wrong = refused(fixture.validate(&format!("{input}.{}", base64url::encode(&[0; 64]))));
    fixture.algorithms = Some(vec![Algorithm::Es256]);
    let not_allowed = refused(fixture.validate(&good));
    fixture.algorithms = None;
    fixture.more_keys = vec![Jwk::ed25519_from_seed(&[9; 32]).unwrap().to_public().unwrap().with_kid("as-1")];
    let ambiguous = refused(fixture.validate(&good));

    let rsa = Jwk::generate_rsa(2048).unwrap().with_kid("rsa").to_public().unwrap();
    let secret = Jwk::from_symmetric(rsa.public_value().unwrap().to_string().as_bytes()).unwrap().with_kid("rsa");
    let claims = fixture.claims().to_string();
    let confused = jws::sign(claims.as_bytes(), &secret, Algorithm::Hs256, None).unwrap();
    fixture.more_keys = vec![rsa];
    let mismatch = refused(fixture.validate(&confused));
    vec![
        ("signature-length", length),
        ("signature-wrong", wrong),
        ("algorithm-not-allowed", not_allowed),
        ("key-ambiguous", ambiguous),
        ("algorithm-key-mismatch", mismatch),
    ]
}

fn claims() -> Vec<Case> {
    let fixture = Fixture::new();
    let with = |claim: &str, value: Value| refused(fixture.judge(&fixture.with(claim, value)));
    let without = |claim: &str| refused(fixture.judge(&fixture.without(claim)));
    let mut relative = fixture.without("exp");
    relative["exi"] = json!(60);
    let nameless = refused(fixture.judge(&relative));
    relative["jti"] = json!("broker.example7");
    let words = Fixture {
        scope_format: ScopeFormat::Words { claim: Some("topics".to_owned()) },
        scope_placeholders: true,
        ..Fixture::new()
    };
    let mut unfit = words.with("topics", json!("mqtt:pub:{sub}"));
    unfit["sub"] = json!("a/b");
    vec![
        ("claim-malformed", with("exp", json!("1900000000"))),
        ("issuer-missing", without("iss")),
        ("issuer-unknown", with("iss", json!("https://attacker.example"))),
        ("audience-missing", without("aud")),
        ("audience-foreign", with("aud", json!("another.example"))),
        ("token-expired", with("exp", json!(NOW - 60))),
        ("token-not-yet-valid", with("nbf", json!(NOW + 60))),
        ("token-from-the-future", with("iat", json!(NOW + 60))),
        ("expiry-missing", without("exp")),
        ("expiry-sequence", nameless),
        ("expiry-relative", refused(fixture.judge(&relative))),
        ("subject-unusable", with("sub", json!("a\u{7}b"))),
        ("bearer-refused", without("cnf")),
        ("scope-not-aif", with("scope", json!("openid profile"))),
        ("scope-not-words", refused(words.judge(&words.with("topics", json!(7))))),
        ("scope-malformed-word", refused(words.judge(&words.with("topics", json!("mqtt:pub"))))),
        ("scope-placeholder", refused(words.judge(&unfit))),
        ("scope-unknown-permission", with("scope", json!([["a", ["read"]]]))),
        ("scope-empty-permissions", with("scope", json!([["a", []]]))),
        ("scope-malformed-filter", with("scope", json!([["a/#/b", ["pub"]]]))),
        ("scope-too-large", with("scope", json!(vec![json!([]); limits::FILTERS + 1]))),
    ]
}

fn answers() -> Vec<Case> {
    let fixture = Fixture::new();
    let answered = |answer: &Value| {
        let answer = IntrospectionAnswer::parse(answer.to_string().as_bytes()).unwrap();
        let now = Timestamp::from_unix_seconds(NOW);
        refused(fixture.validator().validate_introspected("opaque", ISSUER, &answer, now, |_| None))
    };
    vec![
        ("token-inactive", answered(&json!({"active": false}))),
        ("issuer-foreign", answered(&json!({"active": true, "iss": "https://attacker.example"}))),
    ]
}

fn confirmations() -> Vec<Case> {
    let mut fixture = Fixture::new();
    fixture.client_keys = (1..3).map(|byte| Jwk::from_symmetric(&[byte; 16]).unwrap().with_kid("twice")).collect();
    let cnf = |value: Value| refused(fixture.judge(&fixture.with("cnf", value)));
    let public = fixture.client.public_value().unwrap();
    let private = fixture.client.secret_value();
    let symmetric = json!({"kty": "oct", "k": base64url::encode(&[7; 32])});
    let rsa = Jwk::generate_rsa(2048).unwrap().public_value().unwrap();
    let jwe = |header: Value| {
        let header = base64url::encode(header.to_string().as_bytes());
        cnf(
            json!({ "jwe": format!("{header}.{}.{}.AAAA.{}", base64url::encode(&[1; 24]), base64url::encode(&[1; 12]), base64url::encode(&[1; 16])) }),
        )
    };
    let mut two_shared = Fixture::new();
    two_shared.more_keys = vec![Jwk::from_symmetric(&[9; 32]).unwrap().with_kid("shared")];
    let encrypted = two_shared.encrypt(symmetric.to_string().as_bytes());
    let ambiguous = refused(two_shared.judge(&two_shared.with("cnf", json!({ "jwe": encrypted }))));
    vec![
        ("confirmation-malformed", cnf(json!(7))),
        ("confirmation-unsupported", cnf(json!({"jku": "https://attacker.example"}))),
        ("confirmation-ambiguous", cnf(json!({"jwk": public, "kid": "a"}))),
        ("confirmation-key-unusable", cnf(json!({"jwk": rsa}))),
        ("confirmation-key-private", cnf(json!({"jwk": private}))),
        ("confirmation-key-in-clear", cnf(json!({"jwk": symmetric}))),
        ("confirmation-key-unknown", cnf(json!({"kid": "as-1"}))),
        ("confirmation-key-ambiguous", cnf(json!({"kid": "twice"}))),
        ("jwe-malformed", cnf(json!({"jwe": "a.b.c"}))),
        ("jwe-unsupported", jwe(json!({"alg": "RSA-OAEP", "enc": "A128GCM"}))),
        ("jwe-extension", jwe(json!({"alg": "A256KW", "enc": "A128GCM", "zip": "DEF"}))),
        ("jwe-key-missing", jwe(json!({"alg": "A256KW", "enc": "A128GCM", "kid": "nobody"}))),
        ("jwe-key-ambiguous", ambiguous),
        ("jwe-undecryptable", jwe(json!({"alg": "A256KW", "enc": "A128GCM"}))),
        ("jwe-not-a-key", cnf(json!({"jwe": fixture.encrypt(b"no key")}))),
    ]
}

fn proofs() -> Vec<Case> {
    let private = Jwk::ed25519_from_seed(&[3; 32]).unwrap();
    let key = ConfirmationKey::from_jwk(&private.to_public().unwrap()).unwrap();
    let fixture = Fixture::new();
    let thumbprint = fixture.judge(&fixture.with("cnf", json!({"jkt": base64url::encode(&[7; 32])}))).unwrap();
    let audience = ["broker.example".to_owned()];
    let checked = |client_id: &str, ts: u64| {
        let freshness = Freshness { ts, nonce: "AAECAwQFBgcICQoLDA0ODw".to_owned() };
        let message = draft00_message(client_id, &audience[0], ts, &freshness.nonce);
        let proof = ProofKey::from_jwk(&private).unwrap().prove(&message).unwrap();
        verify_draft00(&key, client_id, &audience, &freshness, &proof)
    };
    let now = Timestamp::from_unix_seconds(NOW);
    let mut cache = ReplayCache::with_capacity(Duration::from_secs(60), Timestamp::from_unix_seconds(NOW - 30), 1);
    let mut insert = |client_id: &str, ts: u64| cache.insert(&checked(client_id, ts).unwrap(), now);
    insert("c", NOW).unwrap();
    let (replayed, full) = (refused(insert("c", NOW)), refused(insert("d", NOW)));
    let (early, outside) = (refused(insert("c", NOW - 31)), refused(insert("c", NOW + 61)));
    vec![
        ("shown-key-missing", refused(thumbprint.key_for_proof())),
        ("shown-key-mismatch", refused(thumbprint.with_shown_key(&ShownKey::of(&private).unwrap()))),
        ("proof-missing", refused(key.verify(b"m", b""))),
        ("proof-length", refused(key.verify(b"m", &[1; 63]))),
        ("proof-wrong", refused(key.verify(b"m", &[0; 64]))),
        ("draft00-client-id", refused(checked("a\nb", NOW))),
        ("draft00-outside-window", outside),
        ("draft00-before-start", early),
        ("draft00-replayed", replayed),
        ("replay-cache-full", full),
    ]
}

#[test]
fn every_reason_is_reached() {
    let cases =
        [encodings(), forms_and_headers(), cwts(), signatures(), claims(), answers(), confirmations(), proofs()]
            .concat();
    for (expected, refusal) in &cases {
        assert_eq!(refusal.code(), *expected, "{refusal}");
        let text = refusal.to_string();
        assert!(text.starts_with(|first: char| first.is_lowercase() || first.is_ascii_digit()), "{text}");
        assert!(!text.ends_with('.') && !text.contains("eyJ") && text.len() < 250, "{text}");
    }
    let reached: HashSet<&str> = cases.iter().map(|(_, refusal)| refusal.code()).collect();
    let never: Vec<_> = Refusal::CODES.iter().filter(|code| !reached.contains(*code)).collect();
    assert!(never.is_empty(), "never reached: {never:?}");
}

#[test]
fn codes_are_unique_and_speak_kebab_case() {
    let unique: HashSet<_> = Refusal::CODES.iter().collect();
    assert_eq!(unique.len(), Refusal::CODES.len());
    for code in Refusal::CODES {
        assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{code}");
    }
}

#[test]
fn text_code_and_kind_belong_together() {
    let refusal = Refusal::TokenTooLarge { bytes: 60_000 };
    assert_eq!(refusal.to_string(), "the token has 60000 bytes, more than 32768");
    assert_eq!(refusal.code(), "token-too-large");
    assert_eq!(refusal.kind(), RefusalKind::Malformed);
    assert_eq!(Refusal::ProofWrong.kind(), RefusalKind::Proof);
}

#[test]
fn foreign_text_cannot_break_the_line() {
    let refusal = Refusal::KeyUnknown { kid: Quoted::new("a\nforged line"), issuer: "https://as.example".into() };
    assert!(!refusal.to_string().contains('\n'));
}
