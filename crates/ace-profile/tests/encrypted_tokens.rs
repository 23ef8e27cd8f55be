//! Encrypted tokens that another implementation made (`vectors/make_jwcrypto.py`), good ones and bad ones.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that meets something unexpected stops there")]

use std::sync::LazyLock;

use ace_profile::jose::JwkSet;
use ace_profile::token::{AuthorizationServer, Policy, ValidatedToken, Validator};
use ace_profile::{Refusal, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

static VECTORS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("vectors/jwcrypto.json")).unwrap());
static VALIDATOR: LazyLock<Validator> = LazyLock::new(validator);

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap()
}

fn cases(kind: &str) -> &'static [Value] {
    VECTORS[kind].as_array().unwrap()
}

fn validator() -> Validator {
    let server = |issuer: &str, keys: &str| AuthorizationServer {
        issuer: text(&VECTORS, issuer).to_owned(),
        keys: JwkSet::from_json(&VECTORS[keys].to_string()).unwrap(),
        ..AuthorizationServer::default()
    };
    let policy = Policy { audience: vec![text(&VECTORS, "audience").to_owned()], ..Policy::default() };
    Validator::new(vec![server("issuer", "jwks"), server("other", "other_jwks")], JwkSet::default(), policy)
}

fn validate(token: &str) -> Result<ValidatedToken, Refusal> {
    VALIDATOR.validate(token, Timestamp::from_unix_seconds(VECTORS["now"].as_u64().unwrap()))
}

#[test]
fn every_combination_is_decrypted() {
    assert_eq!(cases("good").len(), 36);
    for case in cases("good") {
        match validate(text(case, "token")) {
            // A symmetric key may stand in what nobody else can read.
            Ok(token) => assert_eq!(token.key().and_then(|key| key.symmetric_bytes()).map(<[u8]>::len), Some(32)),
            Err(refusal) => panic!("{}: {refusal}", text(case, "name")),
        }
    }
}

#[test]
fn what_is_no_such_token_is_refused_with_its_reason() {
    assert_eq!(cases("bad").len(), 22);
    for case in cases("bad") {
        let verdict = validate(text(case, "token")).map(|_| ()).map_err(|refusal| refusal.code());
        assert_eq!(verdict, Err(text(case, "code")), "{}", text(case, "name"));
    }
}

/// The token with another character in one place.
fn altered(token: &str, at: usize, by: u8) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    let mut bytes = token.as_bytes().to_vec();
    let index = ALPHABET.iter().position(|symbol| *symbol == bytes[at]).unwrap();
    bytes[at] = ALPHABET[(index + 1 + usize::from(by) % (ALPHABET.len() - 1)) % ALPHABET.len()];
    String::from_utf8(bytes).unwrap()
}

#[test]
fn one_bit_more_or_less_anywhere_is_refused() {
    for case in cases("good").iter().filter(|case| !text(case, "name").contains("4096")).step_by(4) {
        let token = text(case, "token");
        for at in 0..token.len() {
            let spoiled = altered(token, at, 0);
            assert!(validate(&spoiled).is_err(), "{} at {at}: {spoiled}", text(case, "name"));
        }
    }
}

proptest! {
    #[test]
    fn an_altered_token_is_refused(case: prop::sample::Index, at: prop::sample::Index, by: u8) {
        let token = text(case.get(cases("good")), "token");
        prop_assert!(validate(&altered(token, at.index(token.len()), by)).is_err());
    }

    #[test]
    fn pieces_of_one_token_do_not_fit_another(one: prop::sample::Index, other: prop::sample::Index, piece in 0..5_usize) {
        let (one, other) = (text(one.get(cases("good")), "token"), text(other.get(cases("good")), "token"));
        let mut pieces: Vec<&str> = one.split('.').collect();
        let foreign = other.split('.').nth(piece).unwrap();
        prop_assume!(pieces[piece] != foreign);
        pieces[piece] = foreign;
        prop_assert!(validate(&pieces.join(".")).is_err());
    }

    #[test]
    fn arbitrary_texts_never_panic(text in "[A-Za-z0-9_-]{0,60}(\\.[A-Za-z0-9_-]{0,40}){4}|eyJ[ -~]{0,40}(\\.[A-Za-z0-9_-]{0,9}){4}") {
        prop_assert!(validate(&text).is_err());
    }
}
