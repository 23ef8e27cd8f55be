//! A change of the key that signs tokens, step by step as `ace-as new-key --help` has it.

use std::process::Command;

use serde_json::{Value, json};

use crate::revocation::administrate;
use crate::trial::Trial;

fn kids(trial: &Trial) -> Vec<Value> {
    let jwks = trial.get("/jwks.json").json;
    let keys = jwks["keys"].as_array().unwrap();
    assert!(keys.iter().all(|key| key.get("d").is_none()), "no private key is shown");
    keys.iter().map(|key| key["kid"].clone()).collect()
}

fn restart(trial: &mut Trial, from: &str, to: &str) {
    trial.stop();
    trial.edit(from, to);
    trial.resume();
}

#[test]
fn no_token_fails_when_the_key_changes() {
    let mut trial = Trial::start();
    let old = kids(&trial);
    let path = trial.path("signing-key-2.jwk");
    let made = Command::new(env!("CARGO_BIN_EXE_ace-as")).arg("new-key").arg(&path).output().unwrap();
    assert!(made.status.success());
    let public: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert!(public.get("d").is_none());
    let new = public["kid"].clone();
    let again = Command::new(env!("CARGO_BIN_EXE_ace-as")).arg("new-key").arg(&path).output().unwrap();
    assert!(!again.status.success(), "a key is not replaced");

    let key_2 = "[[published_key]]\nfile = \"signing-key-2.jwk\"\n\n[tls]";
    restart(&mut trial, "[tls]", key_2);
    assert_eq!(kids(&trial), [old[0].clone(), new.clone()]);
    let token = trial.sensor(&[]).token().to_owned();
    let revoked = trial.sensor(&[]).token().to_owned();

    trial.stop();
    trial.edit("signing_key = \"signing-key.jwk\"", "signing_key = \"signing-key-2.jwk\"");
    let key_1 = |until: &str| format!("[[published_key]]\nfile = \"signing-key.jwk\"\nuntil = {until}\n\n[tls]");
    trial.edit(key_2, &key_1("2999-01-01T00:00:00+01:00"));
    trial.resume();
    assert_eq!(kids(&trial), [new.clone(), old[0].clone()]);
    let fresh = trial.sensor(&[]).token().to_owned();
    for good in [&token, &fresh] {
        assert_eq!(trial.introspect(good)["active"], true);
    }
    assert_eq!(administrate(&trial, &[("token", &revoked)]).status, 200);
    assert_eq!(trial.introspect(&revoked), json!({ "active": false }));

    restart(&mut trial, "2999-01-01T00:00:00+01:00", "2020-01-01T00:00:00Z");
    assert_eq!(kids(&trial), [new], "its time is over");
    assert_eq!(trial.introspect(&token), json!({ "active": false }));
    assert_eq!(trial.introspect(&fresh)["active"], true);
}
