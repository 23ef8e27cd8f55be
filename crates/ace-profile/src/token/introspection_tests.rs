//! What is made of a server's answers about tokens.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::proof::ProofKey;
use crate::token::fixture::{Fixture, ISSUER, LEEWAY, NOW};
use crate::token::{AskedWith, Confirmation, ValidatedToken};
use crate::{Timestamp, base64url};

const TOKEN: &str = "2YotnFZFEjr1zCsicMWpAA";

/// What the broker makes of an answer with these members, now.
fn judge(fixture: &Fixture, mut answer: Value) -> Result<ValidatedToken, Refusal> {
    answer["active"] = json!(true);
    let answer = IntrospectionAnswer::parse(answer.to_string().as_bytes()).unwrap();
    let now = Timestamp::from_unix_seconds(NOW);
    fixture.validator().validate_introspected(TOKEN, ISSUER, &answer, now, |_| None)
}

#[test]
fn a_good_answer_is_a_token() {
    let fixture = Fixture::new();
    let token = judge(&fixture, fixture.claims()).unwrap();
    assert_eq!((token.issuer.as_str(), token.subject.as_deref()), (ISSUER, Some("device-7")));
    assert_eq!(token.audience, ["broker.example"]);
    assert_eq!(token.expires, Some(Timestamp::from_unix_seconds(NOW + 600).saturating_add(LEEWAY)));
    assert_eq!(token.fingerprint, crate::Fingerprint::of(TOKEN.as_bytes()));
    let proof = ProofKey::from_jwk(&fixture.client).unwrap().prove(b"m").unwrap();
    token.key().unwrap().verify(b"m", &proof).unwrap();
    assert!(crate::scope::Matcher::new(&token.scope).may_publish(b"sensors/1"));
}

#[test]
fn issuer_and_audience_may_be_left_out_but_not_be_others() {
    let fixture = Fixture::new();
    assert_eq!(judge(&fixture, fixture.without("iss")).unwrap().issuer, ISSUER);
    assert_eq!(judge(&fixture, fixture.without("aud")).unwrap().audience, ["broker.example", "mqtt.example"]);
    for (claim, value, code) in [
        ("iss", json!("https://other.example"), "issuer-foreign"),
        ("iss", json!(1), "claim-malformed"),
        ("aud", json!("another.example"), "audience-foreign"),
        ("aud", json!([]), "audience-missing"),
        ("aud", json!(1), "claim-malformed"),
        ("exp", json!(NOW - 60), "token-expired"),
        ("exp", json!("soon"), "claim-malformed"),
        ("nbf", json!(NOW + 60), "token-not-yet-valid"),
        ("iat", json!(NOW + 60), "token-from-the-future"),
        ("sub", json!("a\nb"), "subject-unusable"),
        ("cnf", json!({"jku": "https://attacker.example"}), "confirmation-unsupported"),
        ("scope", json!([["a/#/b", ["pub"]]]), "scope-malformed-filter"),
    ] {
        assert_eq!(judge(&fixture, fixture.with(claim, value.clone())).unwrap_err().code(), code, "{claim}: {value}");
    }
    assert_eq!(judge(&fixture, fixture.without("exp")).unwrap_err().code(), "expiry-missing");
    assert_eq!(judge(&fixture, fixture.without("cnf")).unwrap_err().code(), "bearer-refused");
}

/// An answer goes to the broker alone, so a symmetric key may stand in it as it is (RFC 9200 §5.9.2): in a token it may not.
#[test]
fn a_symmetric_key_may_stand_in_an_answer_in_clear() {
    let fixture = Fixture::new();
    let jwk = json!({"kty": "oct", "kid": "k", "k": base64url::encode(&[7; 32])});
    let with_key = fixture.with("cnf", json!({ "jwk": jwk }));
    let token = judge(&fixture, with_key.clone()).unwrap();
    let proof = ProofKey::from_jwk(&crate::jose::Jwk::from_symmetric(&[7; 32]).unwrap()).unwrap().prove(b"m").unwrap();
    assert!(matches!(&token.confirmation, Confirmation::Key(key) if key.verify(b"m", &proof).is_ok()));
    assert_eq!(fixture.judge(&with_key).unwrap_err(), Refusal::ConfirmationKeyInClear);
    let short = json!({"kty": "oct", "k": base64url::encode(&[7; 8])});
    let short = judge(&fixture, fixture.with("cnf", json!({ "jwk": short })));
    assert_eq!(short.err(), Some(Refusal::ConfirmationKeyUnusable));
    let private = fixture.with("cnf", json!({"jwk": fixture.client.secret_value()}));
    assert_eq!(judge(&fixture, private).err(), Some(Refusal::ConfirmationKeyPrivate));
}

#[test]
fn an_inactive_token_is_refused_whatever_else_is_said() {
    let fixture = Fixture::new();
    let answer = IntrospectionAnswer::parse(fixture.with("active", json!(false)).to_string().as_bytes()).unwrap();
    let now = Timestamp::from_unix_seconds(NOW);
    let validator = fixture.validator();
    let opaque = validator.validate_introspected(TOKEN, ISSUER, &answer, now, |_| None);
    assert_eq!(opaque.err(), Some(Refusal::TokenInactive));
    let jwt = fixture.judge(&fixture.claims()).unwrap();
    assert_eq!(validator.confirm_introspected(&jwt, TOKEN, &answer, now).err(), Some(Refusal::TokenInactive));
}

/// What a signed token says counts; the answer can only take away from it.
#[test]
fn a_signed_token_is_confirmed() {
    let fixture = Fixture::new();
    let jwt = fixture.judge(&fixture.claims()).unwrap();
    let now = Timestamp::from_unix_seconds(NOW);
    let confirm = |answer: Value| {
        let answer = IntrospectionAnswer::parse(answer.to_string().as_bytes()).unwrap();
        fixture.validator().confirm_introspected(&jwt, TOKEN, &answer, now)
    };
    assert_eq!(confirm(json!({"active": true})).unwrap().expires, jwt.expires);
    assert_eq!(confirm(json!({"active": true, "exp": NOW + 6000})).unwrap().expires, jwt.expires);
    let sooner = confirm(json!({"active": true, "exp": NOW + 60, "cnf": 7})).unwrap();
    assert_eq!(sooner.expires, Some(Timestamp::from_unix_seconds(NOW + 60).saturating_add(LEEWAY)));
    assert_eq!(sooner.binding(), jwt.binding());
    assert_eq!(sooner.asked_with.map(|asked| asked.sent().to_vec()).as_deref(), Some(TOKEN.as_bytes()));
    for (answer, code) in [
        (json!({"active": true, "exp": NOW - 60}), "token-expired"),
        (json!({"active": true, "iss": "https://other.example"}), "issuer-foreign"),
        (json!({"active": true, "aud": "another.example"}), "audience-foreign"),
    ] {
        assert_eq!(confirm(answer).unwrap_err().code(), code);
    }
}

#[test]
fn what_is_no_answer_says_nothing() {
    let error = |answer: &[u8]| IntrospectionAnswer::parse(answer).unwrap_err();
    for answer in ["{}", r#"{"active":"true"}"#, r#"{"active":1}"#, r#"{"active":null,"scope":"x"}"#] {
        assert_eq!(error(answer.as_bytes()), AnswerError::ActiveMissing, "{answer}");
    }
    assert_eq!(error(b"[]"), AnswerError::NotJson(JsonFault::NotAnObject));
    assert_eq!(error(b"<html>"), AnswerError::NotJson(JsonFault::Syntax));
    assert_eq!(error(br#"{"active":false,"active":true}"#), AnswerError::NotJson(JsonFault::DuplicateMember));
    assert_eq!(error("{\"a\":".repeat(10_000).as_bytes()), AnswerError::NotJson(JsonFault::TooDeep));
    assert_eq!(error(&vec![b' '; limits::INTROSPECTION_BYTES + 1]), AnswerError::TooLong);
}

#[test]
fn a_signed_token_says_whose_it_is() {
    let fixture = Fixture::new();
    let issuer = |claims: &Value| fixture.validator().claimed_issuer(&fixture.sign(claims)).map(str::to_owned);
    for known in [ISSUER, "https://other.example"] {
        assert_eq!(issuer(&fixture.with("iss", json!(known))).as_deref(), Some(known));
    }
    for claims in [fixture.with("iss", json!("https://unknown.example")), fixture.without("iss")] {
        assert_eq!(issuer(&claims), None, "{claims}");
    }
    assert_eq!(fixture.validator().claimed_issuer(TOKEN), None);
}

#[test]
fn an_answer_says_until_when_it_may_be_kept() {
    let expires = |answer: Value| match IntrospectionAnswer::parse(answer.to_string().as_bytes()).unwrap() {
        IntrospectionAnswer::Active(claims) => claims.expires(),
        IntrospectionAnswer::Inactive => panic!("inactive"),
    };
    assert_eq!(expires(json!({"active": true, "exp": NOW})), Some(Timestamp::from_unix_seconds(NOW)));
    assert_eq!(expires(json!({"active": true, "exp": "soon"})), None);
    assert_eq!(expires(json!({"active": true})), None);
}

#[test]
fn debug_shows_nothing_of_it() {
    let answer = IntrospectionAnswer::parse(br#"{"active":true,"cnf":{"jwk":{"k":"secret"}}}"#).unwrap();
    assert_eq!(format!("{answer:?}"), "Active(IntrospectedClaims { .. })");
    assert!(!format!("{:?}", AskedWith::new(TOKEN)).contains("2Yot"));
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(members in "[a-z0-9\":,{}\\[\\]]{0,64}") {
        let fixture = Fixture::new();
        let text = format!("{{\"active\":true,\"cnf\":{members}}}");
        if let Ok(answer) = IntrospectionAnswer::parse(text.as_bytes()) {
            let now = Timestamp::from_unix_seconds(NOW);
            let _ = fixture.validator().validate_introspected(TOKEN, ISSUER, &answer, now, |_| None);
        }
    }
}

#[test]
fn the_scope_of_an_answer_is_read_in_the_servers_form() {
    let mut fixture = Fixture::new();
    fixture.scope_format = crate::scope::ScopeFormat::Words { claim: None };
    fixture.scope_placeholders = true;
    let token = judge(&fixture, fixture.with("scope", json!("openid mqtt:pub:{sub}/#"))).unwrap();
    let scope = token.scope_for("sensor").unwrap();
    assert_eq!(scope.to_aif_value(), json!([["device-7/#", ["pub"]]]));
    let refusal = judge(&fixture, fixture.with("scope", json!("mqtt:pub"))).unwrap_err();
    assert_eq!(refusal.code(), "scope-malformed-word");
}
