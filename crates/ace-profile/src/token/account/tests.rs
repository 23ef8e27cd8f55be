//! An account and a validator never disagree: whatever is wrong with a token, the account's first fault is the refusal.

use std::fmt::Write as _;

use coset::CborSerializable as _;
use coset::cbor::value::Value as Cbor;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::fixture::{Fixture, ISSUER, NOW};
use super::*;
use crate::cose::{Algorithm, Headers, encrypt, sign};
use crate::jose::Jwk;
use crate::random::SystemRandom;
use crate::scope::ScopeFormat;
use crate::{Timestamp, base64url};

const AT: Timestamp = Timestamp::from_unix_seconds(NOW);

fn account(fixture: &Fixture, token: &[u8]) -> Account {
    fixture.validator().account(token, AT, |_| None)
}

/// What is wrong with a token by its account, which is what is wrong with it by the validator.
fn agreed(fixture: &Fixture, token: &[u8]) -> Option<Refusal> {
    let refusal = fixture.validator().validate(token, AT).err();
    assert_eq!(account(fixture, token).first_fault(), refusal.as_ref(), "{}", String::from_utf8_lossy(token));
    refusal
}

/// Values of each claim, good and bad in every way that is told apart.
fn values(fixture: &Fixture) -> Vec<(&'static str, Vec<Value>)> {
    let secret = Jwk::from_symmetric(&[9; 32]).unwrap();
    let encrypted = fixture.encrypt(secret.secret_value().to_string().as_bytes());
    let public = fixture.client.public_value().unwrap();
    let times =
        |around: u64| vec![json!(around), json!(NOW + 60), json!(NOW - 60), json!(NOW - 5), json!("soon"), json!(-1)];
    vec![
        ("iss", vec![json!(ISSUER), json!("https://other.example"), json!("https://attacker.example"), json!(7)]),
        ("aud", vec![json!("broker.example"), json!(["x", "mqtt.example"]), json!("x"), json!([]), json!([1])]),
        ("exp", times(NOW + 600)),
        ("nbf", times(NOW)),
        ("iat", times(NOW)),
        ("exi", vec![json!(60), json!("60"), json!(-1)]),
        ("jti", vec![json!("broker.example7"), json!("7"), json!(7)]),
        ("sub", vec![json!("device-7"), json!(""), json!("a\nb"), json!(7)]),
        (
            "cnf",
            vec![
                json!({"jwk": public}),
                json!({"jwk": secret.secret_value()}),
                json!({"jwk": fixture.client.secret_value()}),
                json!({"jwe": encrypted}),
                json!({"jwe": "e30.e30.e30.e30.e30"}),
                json!({"kid": "device-7"}),
                json!({"kid": "nobody"}),
                json!({"jkt": fixture.client.thumbprint()}),
                json!({"x5t#S256": base64url::encode(&[1; 32])}),
                json!({"jku": "https://attacker.example"}),
                json!({"jwk": public, "kid": "device-7"}),
                json!(7),
            ],
        ),
        (
            "scope",
            vec![
                json!([["sensors/#", ["pub"]]]),
                json!("openid mqtt:pub:a mqtt:sub:b"),
                json!([["{client_id}/{sub}", ["pub"]]]),
                json!([["a/#/b", ["pub"]]]),
                json!([["a", ["read"]]]),
                json!([["a", []]]),
                json!(7),
            ],
        ),
        ("other", vec![json!(1)]),
    ]
}

/// A broker of any mind.
fn fixture(choice: u16) -> Fixture {
    let is_set = |bit: u16| choice & (1 << bit) != 0;
    let mut fixture = Fixture::new();
    fixture.policy.allow_bearer = is_set(0);
    fixture.policy.allow_no_expiry = is_set(1);
    fixture.policy.allow_relative_expiry = is_set(2);
    fixture.scope_placeholders = is_set(3);
    if is_set(4) {
        fixture.scope_format = ScopeFormat::Words { claim: None };
    }
    if is_set(5) {
        fixture.client_keys = vec![fixture.client.to_public().unwrap()];
    }
    if is_set(6) && is_set(7) {
        fixture.algorithms = Some(vec![crate::jose::Algorithm::Es256]);
    }
    fixture
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_first_fault_is_the_refusal(
        choice: u16,
        // Of each claim: left as it is, taken away, or one of its values.
        picks in prop::collection::vec(prop_oneof![6 => Just(0_usize), 1 => Just(1), 3 => 2..16_usize], 11),
        spoiled in prop_oneof![8 => Just(0_u8), 3 => 1..8_u8],
        is_encrypted in prop::bool::weighted(0.2),
    ) {
        let fixture = fixture(choice);
        let mut claims = fixture.claims();
        for ((name, values), pick) in values(&fixture).into_iter().zip(picks) {
            match pick {
                0 => {}
                1 => drop(claims.as_object_mut().unwrap().remove(name)),
                pick => claims[name] = values[pick % values.len()].clone(),
            }
        }
        let payload = claims.to_string();
        let header = |header: Value| fixture.sign_raw(&header, payload.as_bytes());
        let token = match spoiled {
            1 => header(json!({"alg": "none"})),
            2 => header(json!({"alg": "EdDSA", "kid": "nobody"})),
            3 => header(json!({"alg": "EdDSA", "crit": ["x"]})),
            4 => header(json!({"alg": "HS256", "kid": "as-1"})),
            5 => fixture.sign(&claims).replace('.', ".A"),
            6 => format!("{}AA", fixture.sign(&claims)),
            7 => fixture.sign_raw(&json!({"alg": "EdDSA"}), b"[]"),
            _ => fixture.sign(&claims),
        };
        let token = if is_encrypted { fixture.encrypt_token(&token) } else { token };
        agreed(&fixture, token.as_bytes());
    }

    #[test]
    fn the_first_fault_of_an_answer_is_the_refusal(
        choice: u16,
        picks in prop::collection::vec(prop_oneof![6 => Just(0_usize), 1 => Just(1), 3 => 2..16_usize], 11),
        is_active in prop::bool::weighted(0.9),
    ) {
        let fixture = fixture(choice);
        let mut claims = fixture.claims();
        for ((name, values), pick) in values(&fixture).into_iter().zip(picks) {
            match pick {
                0 => {}
                1 => drop(claims.as_object_mut().unwrap().remove(name)),
                pick => claims[name] = values[pick % values.len()].clone(),
            }
        }
        claims["active"] = json!(is_active);
        let answer = IntrospectionAnswer::parse(claims.to_string().as_bytes()).unwrap();
        let validator = fixture.validator();
        let refusal = validator.validate_introspected("2YotnFZFEjr1zCsicMWpAA", ISSUER, &answer, AT, |_| None).err();
        let account = validator.account_of_answer(ISSUER, &answer, AT, |_| None);
        prop_assert_eq!(account.first_fault(), refusal.as_ref());
    }

    #[test]
    fn the_first_fault_of_a_cwt_is_the_refusal(
        picks in prop::collection::vec(prop_oneof![4 => Just(0_usize), 1 => Just(1), 2 => 2..8_usize], 7),
        form in 0..6_u8,
        flipped in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut fixture = Fixture::new();
        let ccm = Jwk::from_symmetric(&[4; 16]).unwrap().with_kid("ccm");
        fixture.more_keys = vec![ccm.clone()];
        let x = base64url::decode(fixture.client.public_value().unwrap()["x"].as_str().unwrap().as_bytes()).unwrap();
        let map = |entries: Vec<(i64, Cbor)>| Cbor::Map(entries.into_iter().map(|(label, value)| (label.into(), value)).collect());
        let public = map(vec![(1, map(vec![(1, 1.into()), (-1, 6.into()), (-2, Cbor::Bytes(x))]))]);
        let symmetric = map(vec![(1, map(vec![(1, 4.into()), (-1, Cbor::Bytes(vec![7; 32]))]))]);
        let scope = |filter: &str| {
            let scope = Cbor::Array(vec![Cbor::Array(vec![filter.into(), Cbor::Array(vec!["pub".into()])])]);
            Cbor::Bytes(scope.to_vec().unwrap())
        };
        let claims: [(i64, Vec<Cbor>); 7] = [
            (1, vec![ISSUER.into(), "https://other.example".into(), "x".into(), 7.into()]),
            (2, vec!["device-7".into(), "".into(), 7.into()]),
            (3, vec!["broker.example".into(), "x".into(), 7.into()]),
            (4, vec![(NOW + 600).into(), (NOW - 60).into(), "soon".into()]),
            (5, vec![NOW.into(), (NOW + 60).into(), "soon".into()]),
            (8, vec![public, symmetric, map(vec![(3, Cbor::Bytes(b"nobody".to_vec()))]), 7.into()]),
            (9, vec![scope("a"), scope("a/#/b"), 7.into()]),
        ];
        let mut entries = Vec::new();
        for ((label, values), pick) in claims.into_iter().zip(picks) {
            match pick {
                1 => {}
                0 => entries.push((label, values[0].clone())),
                pick => entries.push((label, values[pick % values.len()].clone())),
            }
        }
        let claims = map(entries).to_vec().unwrap();
        let signed = sign(&claims, &fixture.signing, Algorithm::EdDsa, &Headers::of(&fixture.signing)).unwrap();
        let enclose = |content: &[u8]| {
            encrypt(content, &ccm, Algorithm::AesCcm16Tag64Key128, &Headers::of(&ccm), &mut SystemRandom).unwrap()
        };
        let mut token = match form {
            0 | 1 => signed,
            2 => enclose(&signed),
            3 => enclose(&claims),
            4 => enclose(&enclose(&signed)),
            _ => signed[..signed.len() - 3].to_vec(),
        };
        if let Some(flipped) = flipped {
            let at = flipped.index(token.len());
            token[at] ^= 1;
        }
        agreed(&fixture, &token);
    }

    #[test]
    fn no_text_is_too_odd(text: String) {
        agreed(&Fixture::new(), text.as_bytes());
        agreed(&Fixture::new(), format!("eyJ{text}.e30.").as_bytes());
    }
}

#[test]
fn what_is_wrong_does_not_hide_the_rest() {
    let fixture = Fixture::new();
    let mut claims = fixture.with("aud", json!("another.example"));
    claims["exp"] = json!(NOW - 60);
    claims["scope"] = json!([["a", ["read"]]]);
    claims["jti"] = json!("7");
    let account = account(&fixture, fixture.sign(&claims).as_bytes());
    assert!(account.is_believed);
    let faults: Vec<_> =
        account.findings.iter().filter_map(|finding| Some((finding.about, finding.fault.as_ref()?.code()))).collect();
    assert_eq!(faults, [("aud", "audience-foreign"), ("exp", "token-expired"), ("scope", "scope-unknown-permission")]);
    assert_eq!(account.unread, ["jti".into()]);
}

#[test]
fn claims_of_a_forged_token_are_shown_and_not_believed() {
    let fixture = Fixture::new();
    let token = fixture.sign(&fixture.claims());
    let forged = format!("{}{}", &token[..token.len() - 8], "AAAAAAAA");
    let account = account(&fixture, forged.as_bytes());
    assert!(!account.is_believed);
    assert_eq!(account.first_fault(), Some(&Refusal::SignatureWrong));
    assert!(
        account.findings.iter().any(|finding| finding.about == "sub" && finding.shown == Shown::from("\"device-7\""))
    );
}

#[test]
fn malformed_times_come_before_those_that_have_passed() {
    let fixture = Fixture::new();
    let mut claims = fixture.with("exp", json!(NOW - 60));
    claims["iat"] = json!("soon");
    assert_eq!(agreed(&fixture, fixture.sign(&claims).as_bytes()), Some(Refusal::ClaimMalformed { claim: "iat" }));
}

/// The words of others are named; and of a key that only an earlier token could tell, it is noted that it was asked for.
#[test]
fn what_is_ignored_and_what_depends_is_told() {
    let mut fixture = Fixture::new();
    fixture.scope_format = ScopeFormat::Words { claim: None };
    let mut claims = fixture.with("scope", json!("openid mqtt:pub:a profile"));
    claims["cnf"] = json!({"kid": "earlier"});
    let account = account(&fixture, fixture.sign(&claims).as_bytes());
    assert_eq!(account.ignored_words, ["openid".into(), "profile".into()]);
    assert_eq!(account.asked_for_earlier, Some("earlier".into()));
}

/// No key and no signature is in an account, whatever it is of.
#[test]
fn an_account_holds_no_secret() {
    let fixture = Fixture::new();
    let secret = Jwk::from_symmetric(&[9; 32]).unwrap();
    let inner = json!({"jwk": secret.secret_value()});
    for (claims, is_encrypted) in
        [(fixture.claims(), false), (fixture.with("cnf", inner.clone()), false), (fixture.with("cnf", inner), true)]
    {
        let signed = fixture.sign(&claims);
        let token = if is_encrypted { fixture.encrypt_token(&signed) } else { signed.clone() };
        let mut shown = String::new();
        write!(shown, "{:?}", account(&fixture, token.as_bytes())).unwrap();
        for hidden in [signed.rsplit_once('.').unwrap().1, &base64url::encode(&[9; 32]), &secret.thumbprint()] {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
    }
}
