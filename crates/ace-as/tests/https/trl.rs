//! `GET /revoke/trl`: the token revocation list as its requesters see it (RFC 9770), read by a decoder of our own use.

use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use minicbor::Decoder;
use minicbor::data::Type;
use serde_json::json;

use crate::revocation::administrate;
use crate::token::ed25519;
use crate::trial::{Answer, OTHER_BROKER_SECRET, Trial};

const TRL_CBOR: &str = "application/ace-trl+cbor";
const PROBLEM_CBOR: &str = "application/concise-problem-details+cbor";

type Hashes = Vec<Vec<u8>>;

/// An answer, by the names of its parameters.
#[derive(Debug, Default, PartialEq, Eq)]
struct List {
    full_set: Option<Hashes>,
    diff_set: Option<Vec<(Hashes, Hashes)>>,
    cursor: Option<Option<u64>>,
    more: Option<bool>,
}

fn uint_or_null(decoder: &mut Decoder<'_>) -> Option<u64> {
    if decoder.datatype().unwrap() == Type::Null { decoder.null().map(|()| None).unwrap() } else { decoder.u64().ok() }
}

fn hashes(decoder: &mut Decoder<'_>) -> Hashes {
    let length = decoder.array().unwrap().unwrap();
    let mut set: Hashes = (0..length).map(|_| decoder.bytes().unwrap().to_vec()).collect();
    set.sort();
    set
}

fn list(answer: &Answer) -> List {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(TRL_CBOR)), "{:?}", answer.json);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut decoder = Decoder::new(&answer.body);
    let mut list = List::default();
    for _ in 0..decoder.map().unwrap().unwrap() {
        match decoder.u8().unwrap() {
            0 => list.full_set = Some(hashes(&mut decoder)),
            1 => {
                let length = decoder.array().unwrap().unwrap();
                let entry = |decoder: &mut Decoder<'_>| {
                    assert_eq!(decoder.array().unwrap(), Some(2));
                    (hashes(decoder), hashes(decoder))
                };
                list.diff_set = Some((0..length).map(|_| entry(&mut decoder)).collect());
            }
            2 => list.cursor = Some(uint_or_null(&mut decoder)),
            3 => list.more = Some(decoder.bool().unwrap()),
            other => panic!("parameter {other}"),
        }
    }
    assert_eq!(decoder.position(), answer.body.len());
    list
}

fn hash(token: &str) -> Vec<u8> {
    [&[1], digest(&SHA256, token.as_bytes()).as_ref()].concat()
}

fn sorted(tokens: &[&str]) -> Hashes {
    let mut set: Hashes = tokens.iter().map(|token| hash(token)).collect();
    set.sort();
    set
}

fn ask(trial: &Trial, id: &str, query: &str) -> Answer {
    let secret = if id == "other-broker" { OTHER_BROKER_SECRET.to_owned() } else { trial.secret(id) };
    trial.get_as(&format!("/revoke/trl{query}"), (id, &secret))
}

pub(crate) fn full_set(trial: &Trial, id: &str) -> Hashes {
    list(&ask(trial, id, "")).full_set.unwrap()
}

fn issue(trial: &Trial, audience: &str) -> String {
    let key = json!({ "jwk": ed25519() }).to_string();
    trial.gateway(&[("audience", audience), ("req_cnf", &key)]).token().to_owned()
}

fn revoke(trial: &Trial, token: &str) {
    assert_eq!(administrate(trial, &[("token", token)]).status, 200);
}

#[test]
fn each_requester_is_told_of_its_tokens() {
    let trial = Trial::start();
    let tokens: Vec<String> =
        ["broker.example", "bare.example", "opaque.example"].map(|name| issue(&trial, name)).into();
    let mine = trial.sensor(&[]).token().to_owned();
    assert_eq!(
        list(&ask(&trial, "broker", "")),
        List { full_set: Some(vec![]), cursor: Some(None), ..List::default() }
    );
    for token in tokens.iter().chain([&mine]) {
        revoke(&trial, token);
    }
    let [broker, bare, opaque] = [0, 1, 2].map(|number| tokens[number].as_str());
    assert_eq!(full_set(&trial, "broker"), sorted(&[broker, &mine]));
    assert_eq!(full_set(&trial, "other-broker"), sorted(&[bare, opaque]));
    assert_eq!(full_set(&trial, "sensor"), sorted(&[&mine]));
    assert_eq!(full_set(&trial, "dashboard"), sorted(&[]));
    assert_eq!(full_set(&trial, "administrator"), sorted(&[broker, bare, opaque, &mine]));
    assert_eq!(list(&ask(&trial, "broker", "?unknown=1")).cursor, Some(Some(1)));
}

#[test]
fn diff_queries_tell_the_latest_first_and_a_cursor_goes_on() {
    let trial = Trial::start();
    let empty = List { diff_set: Some(vec![]), cursor: Some(None), more: Some(false), ..List::default() };
    assert_eq!(list(&ask(&trial, "broker", "?diff=0")), empty);
    assert_eq!(list(&ask(&trial, "broker", "?diff=0&cursor=5")), empty);
    let tokens: Vec<String> = (0..3).map(|_| issue(&trial, "broker.example")).collect();
    revoke(&trial, &tokens[0]);
    revoke(&trial, &issue(&trial, "bare.example"));
    revoke(&trial, &tokens[1]);
    let added = |token: &String| (vec![], vec![hash(token)]);
    let diff = |query: &str| {
        let list = list(&ask(&trial, "broker", query));
        assert_eq!((list.full_set, list.more), (None, Some(false)));
        (list.diff_set.unwrap(), list.cursor.unwrap())
    };
    assert_eq!(diff("?diff=0"), (vec![added(&tokens[1]), added(&tokens[0])], Some(1)));
    assert_eq!(diff("?diff=1"), (vec![added(&tokens[1])], Some(1)));
    assert_eq!(diff("?diff=1000&cursor=0"), (vec![added(&tokens[1])], Some(1)));
    assert_eq!(diff("?diff=0&cursor=1"), (vec![], Some(1)));
    assert_eq!(administrate(&trial, &[("all_of_client", "gateway")]).json["revoked"], 1);
    assert_eq!(diff("?diff=0&cursor=1"), (vec![added(&tokens[2])], Some(2)));
}

#[test]
fn tokens_revoked_together_are_one_update() {
    let trial = Trial::start();
    let tokens: Vec<String> = (0..20).map(|_| issue(&trial, "broker.example")).collect();
    administrate(&trial, &[("all_of_client", "gateway")]);
    let list = list(&ask(&trial, "broker", "?diff=0"));
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    assert_eq!(list.diff_set, Some(vec![(vec![], sorted(&tokens))]));
}

#[test]
fn long_answers_come_in_batches() {
    let trial = Trial::start();
    for _ in 0..20 {
        revoke(&trial, &issue(&trial, "broker.example"));
    }
    let first = list(&ask(&trial, "broker", "?diff=0"));
    assert_eq!((first.diff_set.unwrap().len(), first.cursor, first.more), (16, Some(Some(15)), Some(true)));
    let rest = list(&ask(&trial, "broker", "?diff=0&cursor=15"));
    assert_eq!((rest.diff_set.unwrap().len(), rest.cursor, rest.more), (4, Some(Some(19)), Some(false)));
    for _ in 0..60 {
        revoke(&trial, &issue(&trial, "broker.example"));
    }
    // Of 80 updates the last 64 are kept: what came after the cursor is lost.
    let lost = list(&ask(&trial, "broker", "?diff=0&cursor=14"));
    assert_eq!(lost, List { diff_set: Some(vec![]), cursor: Some(None), more: Some(true), ..List::default() });
    assert_eq!(list(&ask(&trial, "broker", "?diff=0&cursor=15")).cursor, Some(Some(31)));
    assert_eq!(full_set(&trial, "broker").len(), 80);
}

#[test]
fn a_token_leaves_the_list_when_it_expires() {
    let trial = Trial::start();
    let kept = issue(&trial, "broker.example");
    revoke(&trial, &kept);
    let token = listed_for_a_moment(&trial);
    let deadline = Instant::now() + Duration::from_secs(10);
    while full_set(&trial, "broker") != sorted(&[&kept]) {
        assert!(Instant::now() < deadline, "a token of one second is in the list after ten");
        std::thread::sleep(Duration::from_millis(50));
    }
    let diff = list(&ask(&trial, "broker", "?diff=2")).diff_set.unwrap();
    assert_eq!(diff, [(vec![hash(&token)], vec![]), (vec![], vec![hash(&token)])]);
}

/// A token of one second that was revoked in time.
fn listed_for_a_moment(trial: &Trial) -> String {
    let client = ("fleeting", "fleeting-secret-0123456");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        assert!(Instant::now() < deadline, "a token of one second cannot be revoked in time");
        let token = trial.form("/token", client, &[("grant_type", "client_credentials")]).token().to_owned();
        assert_eq!(trial.form("/revoke", client, &[("token", &token)]).status, 200);
        let newest = list(&ask(trial, "broker", "?diff=1")).diff_set.unwrap();
        if newest == [(vec![], vec![hash(&token)])] {
            return token;
        }
    }
}

/// Title, the error's id, and the cursor if one is told.
fn problem(answer: &Answer) -> (String, i64, Option<Option<u64>>) {
    assert_eq!((answer.status, answer.header("content-type")), (400, Some(PROBLEM_CBOR)));
    let mut decoder = Decoder::new(&answer.body);
    let (mut title, mut error_id, mut cursor) = (None, None, None);
    for _ in 0..decoder.map().unwrap().unwrap() {
        match decoder.i64().unwrap() {
            -1 => title = Some(decoder.str().unwrap().to_owned()),
            -2 => assert!(!decoder.str().unwrap().is_empty()),
            1 => {
                for _ in 0..decoder.map().unwrap().unwrap() {
                    match decoder.u8().unwrap() {
                        0 => error_id = decoder.i64().ok(),
                        1 => cursor = Some(uint_or_null(&mut decoder)),
                        other => panic!("field {other}"),
                    }
                }
            }
            other => panic!("entry {other}"),
        }
    }
    (title.unwrap(), error_id.unwrap(), cursor)
}

#[test]
fn bad_queries_are_told_as_problem_details() {
    let trial = Trial::start();
    let ask = |query: &str| problem(&ask(&trial, "broker", query));
    let value = |cursor| ("Invalid parameter value".to_owned(), 0, cursor);
    assert_eq!(ask("?diff=-1"), value(None));
    assert_eq!(ask("?diff=x&cursor=x"), value(None));
    assert_eq!(ask("?diff=1&cursor=-53"), value(Some(None)));
    revoke(&trial, &issue(&trial, "broker.example"));
    assert_eq!(ask("?diff=1&cursor=18446744073709551616"), value(Some(Some(0))));
    assert_eq!(ask("?cursor=0"), ("Invalid set of parameters".to_owned(), 1, None));
    assert_eq!(ask("?diff=1&cursor=1"), ("Out of bound cursor value".to_owned(), 2, None));
}

#[test]
fn strangers_see_nothing() {
    let trial = Trial::start();
    revoke(&trial, &issue(&trial, "broker.example"));
    assert_eq!(trial.get("/revoke/trl").error(), (401, "invalid_client"));
    assert_eq!(trial.get_as("/revoke/trl", ("broker", "wrong")).error(), (401, "invalid_client"));
    assert_eq!(trial.get_as("/revoke/trl?diff=x", ("nobody", "wrong")).error(), (401, "invalid_client"));
    // Credentials in a query end up in logs: they are not looked at there.
    let secret = trial.secret("broker");
    let refused = trial.get(&format!("/revoke/trl?client_id=broker&client_secret={secret}"));
    assert_eq!(refused.error(), (401, "invalid_client"));
    assert_eq!(trial.form("/revoke/trl", ("broker", &secret), &[]).status, 405);
    assert!(trial.log().iter().all(|line| !line.contains(&secret)));
}

#[test]
fn the_metadata_tell_where_it_is_and_how_much_it_keeps() {
    let trial = Trial::start();
    let metadata = trial.get("/.well-known/oauth-authorization-server").json;
    let base = "https://localhost:8443";
    assert_eq!(metadata["issuer"], base);
    for (name, path) in [
        ("token_endpoint", "/token"),
        ("introspection_endpoint", "/introspect"),
        ("revocation_endpoint", "/revoke"),
        ("jwks_uri", "/jwks.json"),
        ("ace_trl_endpoint", "/revoke/trl"),
    ] {
        assert_eq!(metadata[name], format!("{base}{path}"));
    }
    assert_eq!(metadata["grant_types_supported"], json!(["client_credentials"]));
    for endpoint in ["token", "introspection", "revocation"] {
        let methods = &metadata[format!("{endpoint}_endpoint_auth_methods_supported")];
        assert_eq!(methods, &json!(["client_secret_basic", "client_secret_post"]));
    }
    assert_eq!(metadata["ace_trl_hash"], "sha-256");
    assert_eq!((&metadata["ace_trl_max_n"], &metadata["ace_trl_max_diff_batch"]), (&json!(64), &json!(16)));
}
