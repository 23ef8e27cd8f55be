//! Which tokens are good, from when until when, and what is taken from them.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::jose::{Algorithm, Jwk, jws};
use crate::random::SystemRandom;
use crate::scope::{Scope, ScopeFormat};
use crate::token::Holder;
use crate::token::fixture::{Fixture, ISSUER, LEEWAY, NOW};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

#[test]
fn a_good_token_says_what_its_claims_say() {
    let fixture = Fixture::new();
    let token = fixture.sign(&fixture.claims());
    let valid = fixture.validate(&token).unwrap();
    assert_eq!(valid.issuer, ISSUER);
    assert_eq!(valid.subject.as_deref(), Some("device-7"));
    assert_eq!(valid.audience, ["broker.example"]);
    assert_eq!(valid.expires, Some(at(NOW + 600).saturating_add(LEEWAY)));
    assert_eq!(valid.key().map(|key| key.thumbprint()), Some(fixture.client.thumbprint()));
    assert_eq!(valid.scope, Scope::from_aif_value(&json!([["sensors/#", ["pub"]]])).unwrap());
    assert_eq!(valid.fingerprint, Fingerprint::of(token.as_bytes()));
    let holder = Holder::Subject { issuer: ISSUER.to_owned(), subject: "device-7".to_owned() };
    assert_eq!(valid.identity(), Some(holder));
}

#[test]
fn each_algorithm_is_taken_with_and_without_kid() {
    let rsa = Jwk::generate_rsa(2048).unwrap();
    for (algorithm, key) in [
        (Algorithm::EdDsa, Jwk::generate_ed25519(&mut SystemRandom).unwrap()),
        (Algorithm::Es256, Jwk::generate_p256(&mut SystemRandom).unwrap()),
        (Algorithm::Rs256, rsa.clone()),
        (Algorithm::Ps256, rsa.with_algorithm("PS256")),
        (Algorithm::Hs256, Jwk::generate_symmetric(32, &mut SystemRandom).unwrap()),
    ] {
        for key in [key.clone(), key.with_kid("as-2")] {
            let mut fixture = Fixture::new();
            fixture.signing = key;
            let token = fixture.sign(&fixture.claims());
            assert!(fixture.validate(&token).is_ok(), "{algorithm}");
            fixture.algorithms = Some(vec![algorithm]);
            assert!(fixture.validate(&token).is_ok(), "{algorithm} allowed");
            fixture.algorithms = Some(Algorithm::ALL.into_iter().filter(|other| *other != algorithm).collect());
            let refusal = Refusal::AlgorithmNotAllowed { algorithm: algorithm.name().into() };
            assert_eq!(fixture.validate(&token).err(), Some(refusal));
        }
    }
}

#[test]
fn a_token_ends_at_its_expiry_plus_leeway() {
    let fixture = Fixture::new();
    let token = fixture.sign(&fixture.claims());
    let validator = fixture.validator();
    let end = NOW + 605;
    let last = Timestamp::from_unix_millis(end * 1000 - 1);
    let valid = validator.validate(&token, last).unwrap();
    assert_eq!(validator.validate(&token, at(end)).err(), Some(Refusal::TokenExpired));
    assert!(valid.is_valid_at(last) && !valid.is_valid_at(at(end)));
}

#[test]
fn a_token_begins_at_its_nbf_less_leeway() {
    let fixture = Fixture::new();
    assert!(fixture.judge(&fixture.with("nbf", json!(NOW + 5))).is_ok());
    assert_eq!(fixture.judge(&fixture.with("nbf", json!(NOW + 6))).err(), Some(Refusal::TokenNotYetValid));
    assert!(fixture.judge(&fixture.with("iat", json!(NOW + 5))).is_ok());
    assert_eq!(fixture.judge(&fixture.with("iat", json!(NOW + 6))).err(), Some(Refusal::TokenFromTheFuture));
    assert!(fixture.judge(&fixture.without("iat")).is_ok());
}

#[test]
fn a_token_without_expiry_is_a_matter_of_policy() {
    let mut fixture = Fixture::new();
    let endless = fixture.sign(&fixture.without("exp"));
    assert_eq!(fixture.validate(&endless).err(), Some(Refusal::ExpiryMissing));
    fixture.policy.allow_no_expiry = true;
    let valid = fixture.validate(&endless).unwrap();
    assert!(valid.expires.is_none() && valid.is_valid_at(Timestamp::MAX));
}

#[test]
fn a_relative_lifetime_needs_a_number_and_somebody_who_remembers() {
    let mut fixture = Fixture::new();
    let with_jti = |fixture: &Fixture, jti: Option<&str>| {
        let mut claims = fixture.without("exp");
        claims["exi"] = json!(600);
        if let Some(jti) = jti {
            claims["jti"] = json!(jti);
        }
        fixture.judge(&claims)
    };
    for allow_no_expiry in [false, true] {
        fixture.policy.allow_no_expiry = allow_no_expiry;
        assert_eq!(with_jti(&fixture, Some("broker.example7")).err(), Some(Refusal::ExpiryRelative));
    }
    fixture.policy.allow_relative_expiry = true;
    let valid = with_jti(&fixture, Some("broker.example7")).unwrap();
    assert_eq!(valid.expires, Some(Timestamp::from_unix_seconds(NOW + 600)));
    let expected =
        FirstSight { audience: "broker.example".to_owned(), sequence: 0x37, lifetime: Duration::from_secs(600) };
    assert_eq!(valid.first_sight, Some(expected));
    for jti in [None, Some("7"), Some("broker.example"), Some("mqtt.example7")] {
        assert_eq!(with_jti(&fixture, jti).err(), Some(Refusal::ExpirySequence), "{jti:?}: not for whom the token is");
    }
    let mut claims = fixture.without("exp");
    for exi in [json!("600"), json!(-1), json!(u64::MAX)] {
        claims["exi"] = exi;
        assert_eq!(fixture.judge(&claims).err(), Some(Refusal::ClaimMalformed { claim: "exi" }));
    }
    let both = fixture.judge(&fixture.with("exi", json!(600))).unwrap();
    assert!(both.first_sight.is_none(), "exp counts where both are");
}

#[test]
fn the_audience_is_what_is_ours_of_it() {
    let fixture = Fixture::new();
    let audience = |aud| fixture.judge(&fixture.with("aud", aud)).map(|valid| valid.audience);
    assert_eq!(audience(json!(["x", "mqtt.example"])), Ok(vec!["mqtt.example".to_owned()]));
    let both = vec!["broker.example".to_owned(), "mqtt.example".to_owned()];
    assert_eq!(audience(json!(["mqtt.example", "broker.example"])), Ok(both));
    assert_eq!(audience(json!("Broker.example")), Err(Refusal::AudienceForeign { audience: "Broker.example".into() }));
    let mut nameless = Fixture::new();
    nameless.policy.audience.clear();
    assert!(matches!(nameless.judge(&nameless.claims()), Err(Refusal::AudienceForeign { .. })));
}

#[test]
fn a_bearer_token_is_a_matter_of_policy() {
    let mut fixture = Fixture::new();
    let bearer = fixture.sign(&fixture.without("cnf"));
    assert_eq!(fixture.validate(&bearer).err(), Some(Refusal::BearerRefused));
    fixture.policy.allow_bearer = true;
    let valid = fixture.validate(&bearer).unwrap();
    assert!(matches!(valid.confirmation, Confirmation::Bearer) && valid.key().is_none());
    // A token that is bound to a key stays bound to it.
    assert!(fixture.judge(&fixture.claims()).unwrap().key().is_some());
    assert_eq!(fixture.judge(&fixture.with("cnf", json!(null))).err(), Some(Refusal::ConfirmationMalformed));
}

#[test]
fn without_a_subject_the_key_is_the_holder() {
    let mut fixture = Fixture::new();
    let valid = fixture.judge(&fixture.without("sub")).unwrap();
    let thumbprint = fixture.client.thumbprint();
    assert_eq!(valid.identity(), Some(Holder::Key { issuer: ISSUER.to_owned(), thumbprint }));
    fixture.policy.allow_bearer = true;
    let mut claims = fixture.without("sub");
    claims.as_object_mut().unwrap().remove("cnf");
    assert_eq!(fixture.judge(&claims).unwrap().identity(), None);
}

#[test]
fn no_scope_is_an_empty_scope_and_an_array_in_place_is_taken() {
    let fixture = Fixture::new();
    assert!(fixture.judge(&fixture.without("scope")).unwrap().scope.is_empty());
    let scope = fixture.judge(&fixture.with("scope", json!([["a/b", ["sub"]]]))).unwrap().scope;
    assert_eq!(scope, Scope::from_aif_value(&json!([["a/b", ["sub"]]])).unwrap());
}

#[test]
fn a_key_of_one_issuer_does_not_sign_for_another() {
    let fixture = Fixture::new();
    let refusal = fixture.judge(&fixture.with("iss", json!("https://other.example"))).err();
    assert_eq!(refusal.as_ref().and_then(Refusal::wanted_key_of), Some("https://other.example"));
    assert_eq!(refusal, Some(Refusal::KeyUnknown { kid: "as-1".into(), issuer: "https://other.example".into() }));
    let refusal = fixture.judge(&fixture.with("iss", json!("https://as.example/"))).err();
    assert_eq!(refusal, Some(Refusal::IssuerUnknown { issuer: "https://as.example/".into() }));
}

#[test]
fn claims_are_not_believed_before_the_signature() {
    let fixture = Fixture::new();
    let attacker = Jwk::generate_ed25519(&mut SystemRandom).unwrap().with_kid("as-1");
    let mut claims = fixture.claims();
    // Each of these would be refused for itself; a forged token is refused for its signature.
    claims["aud"] = json!("elsewhere");
    claims["exp"] = json!("x");
    claims["cnf"] = json!(7);
    let forged = jws::sign(claims.to_string().as_bytes(), &attacker, Algorithm::EdDsa, None).unwrap();
    assert_eq!(fixture.validate(&forged).err(), Some(Refusal::SignatureWrong));
}

#[test]
fn debug_of_a_validator_shows_no_key() {
    let fixture = Fixture::new();
    let shown = format!("{:?}", fixture.validator());
    assert!(!shown.contains("AgICAgI") && !shown.contains("[2, 2"), "{shown}");
}

proptest! {
    #[test]
    fn arbitrary_claims_are_judged_without_panic(claim in "iss|sub|aud|exp|nbf|iat|exi|cnf|scope", text in "\\PC{0,30}", number: f64, kind in 0..6_u8) {
        let fixture = Fixture::new();
        let value = match kind {
            0 => json!(text),
            1 => json!(number),
            2 => json!([text, number]),
            3 => json!({"jwk": {"kty": text, "x": number}}),
            4 => json!({"kid": text, "jwe": text}),
            _ => json!({"jwe": text}),
        };
        let _ = fixture.judge(&fixture.with(&claim, value));
    }

    #[test]
    fn arbitrary_payloads_are_judged_without_panic(payload in proptest::collection::vec(any::<u8>(), 0..60)) {
        let fixture = Fixture::new();
        let token = fixture.sign_raw(&json!({"alg": "EdDSA"}), &payload);
        prop_assert!(fixture.validate(&token).is_err());
    }
}

#[test]
fn a_kid_may_name_the_key_of_an_earlier_token_of_the_same_holder() {
    let mut fixture = Fixture::new();
    let earlier = ConfirmationKey::from_jwk(&fixture.client.to_public().unwrap()).unwrap();
    let known = |name: &EarlierKey<'_>| -> Option<ConfirmationKey> {
        let expected = EarlierKey { issuer: ISSUER, subject: "device-7", kid: "device-7" };
        (*name == expected).then(|| earlier.clone())
    };
    let judge = |fixture: &Fixture, claims: &serde_json::Value| {
        let token = fixture.sign(claims);
        fixture.validator().validate_knowing(&token, Timestamp::from_unix_seconds(NOW), known)
    };
    let claims = |subject: Option<&str>, kid: &str| {
        let mut claims = fixture.with("cnf", json!({"kid": kid}));
        match subject {
            Some(subject) => claims["sub"] = json!(subject),
            None => drop(claims.as_object_mut().unwrap().remove("sub")),
        }
        claims
    };
    let named = claims(Some("device-7"), "device-7");
    assert_eq!(judge(&fixture, &named).unwrap().key().unwrap().thumbprint(), earlier.thumbprint());
    for (subject, kid) in [(Some("device-8"), "device-7"), (None, "device-7"), (Some("device-7"), "device-8")] {
        let refusal = judge(&fixture, &claims(subject, kid)).err();
        assert_eq!(refusal, Some(Refusal::ConfirmationKeyUnknown { kid: kid.into() }), "{subject:?}, {kid}");
    }
    // What the operator has written down comes first.
    let configured = Jwk::from_symmetric(&[8; 16]).unwrap().with_kid("device-7");
    fixture.client_keys = vec![configured.clone()];
    assert_eq!(judge(&fixture, &named).unwrap().key().unwrap().thumbprint(), configured.thumbprint());
}

#[test]
fn the_scope_is_read_in_the_servers_form() {
    let mut fixture = Fixture::new();
    let expected = Scope::from_aif_value(&json!([["a", ["pub"]]])).unwrap();
    let mut claims = fixture.with("scope", json!("openid mqtt:pub:a"));
    claims["topics"] = json!("[[\"a\",[\"pub\"]]]");
    assert_eq!(fixture.judge(&claims).unwrap_err().code(), "scope-not-aif");
    for format in [ScopeFormat::Words { claim: None }, ScopeFormat::Claim("topics".to_owned())] {
        fixture.scope_format = format;
        assert_eq!(fixture.judge(&claims).unwrap().scope, expected);
    }
}

#[test]
fn placeholders_are_filled_in_for_each_client_where_they_are_switched_on() {
    let mut fixture = Fixture::new();
    let claims = fixture.with("scope", json!([["{sub}/{client_id}", ["pub"]]]));
    let filter = |fixture: &Fixture, client_id: &str| {
        let valid = fixture.judge(&claims).unwrap();
        valid.scope_for(client_id).map(|scope| scope.entries()[0].filter.as_str().to_owned())
    };
    assert_eq!(filter(&fixture, "a/b").as_deref(), Ok("{sub}/{client_id}"), "off: nothing is filled in");
    fixture.scope_placeholders = true;
    assert_eq!(filter(&fixture, "sensor").as_deref(), Ok("device-7/sensor"));
    assert_eq!(filter(&fixture, "{sub}").as_deref(), Ok("device-7/{sub}"));
    assert_eq!(filter(&fixture, "a/b").unwrap_err().code(), "scope-placeholder");
    let unfit = |sub: serde_json::Value| {
        let mut claims = claims.clone();
        claims["sub"] = sub;
        fixture.judge(&claims).unwrap_err().code()
    };
    for sub in [json!("a/b"), json!("+"), json!("$SYS")] {
        assert_eq!(unfit(sub.clone()), "scope-placeholder", "{sub}");
    }
    let mut without = claims.clone();
    without.as_object_mut().unwrap().remove("sub");
    assert_eq!(fixture.judge(&without).unwrap_err().code(), "scope-placeholder");
    assert!(!fixture.judge(&fixture.claims()).unwrap().has_placeholders);
}
