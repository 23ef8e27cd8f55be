//! The state file: what survives a restart, and what happens when it cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use ace_as::{Config, Level, Log, Server};
use serde_json::json;

use crate::revocation::administrate;
use crate::trial::{OTHER_BROKER_SECRET, Trial};
use crate::trl::full_set;

const STATE: &str = "as-state.jsonl";

fn about_opaque(trial: &Trial, token: &str) -> serde_json::Value {
    trial.form("/introspect", ("other-broker", OTHER_BROKER_SECRET), &[("token", token)]).json
}

#[test]
fn tokens_and_revocations_survive_a_restart() {
    let mut trial = Trial::start();
    let kept = trial.sensor(&[]).token().to_owned();
    let revoked = trial.sensor(&[]).token().to_owned();
    let opaque: Vec<_> = (0..2).map(|_| trial.gateway(&[("audience", "opaque.example")])).collect();
    let before = about_opaque(&trial, opaque[0].token());
    assert_eq!((before["active"].as_bool(), &before["cnf"]), (Some(true), &opaque[0].json["cnf"]));
    for token in [&revoked, opaque[1].token()] {
        assert_eq!(administrate(&trial, &[("token", token)]).status, 200);
    }
    let lists = |trial: &Trial| ["broker", "other-broker", "administrator"].map(|id| full_set(trial, id));
    let listed = lists(&trial);
    for _ in 0..2 {
        trial.stop();
        let mode = trial.path(STATE).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "it holds symmetric keys");
        trial.resume();
        assert_eq!(trial.introspect(&kept)["active"], true);
        assert_eq!(trial.introspect(&revoked), json!({ "active": false }));
        assert_eq!(about_opaque(&trial, opaque[0].token()), before);
        assert_eq!(about_opaque(&trial, opaque[1].token()), json!({ "active": false }));
        assert_eq!(lists(&trial), listed);
    }
    assert_eq!(administrate(&trial, &[("all_of_client", "gateway")]).json["revoked"], 1);
    assert_eq!(about_opaque(&trial, opaque[0].token()), json!({ "active": false }));
}

#[test]
fn the_history_of_the_list_survives_too() {
    let mut trial = Trial::start();
    let query = "/revoke/trl?diff=0";
    for _ in 0..3 {
        administrate(&trial, &[("token", trial.sensor(&[]).token())]);
    }
    let broker = |trial: &Trial| trial.get_as(query, ("broker", &trial.secret("broker"))).body;
    let before = broker(&trial);
    assert!(before.len() > 100);
    trial.stop();
    trial.resume();
    assert_eq!(broker(&trial), before);
}

#[test]
fn without_a_state_file_a_restart_forgets() {
    let mut trial = Trial::start();
    trial.stop();
    trial.edit("state_file = ", "# ");
    trial.resume();
    let token = trial.sensor(&[]).token().to_owned();
    let opaque = trial.gateway(&[("audience", "opaque.example")]).token().to_owned();
    administrate(&trial, &[("token", &token)]);
    assert_eq!(trial.introspect(&token), json!({ "active": false }));
    trial.stop();
    trial.resume();
    assert_eq!(trial.introspect(&token)["active"], true, "as the warning says");
    assert_eq!(about_opaque(&trial, &opaque), json!({ "active": false }));
    assert!(full_set(&trial, "broker").is_empty());
    let warnings = Config::load(&trial.path("as.toml")).unwrap().warnings.join("\n");
    assert!(warnings.contains("state_file"), "{warnings}");
}

#[test]
fn tokens_of_a_client_that_is_gone_are_revoked() {
    let mut trial = Trial::start();
    let token = trial.gateway(&[("audience", "broker.example")]).token().to_owned();
    let other = trial.sensor(&[]).token().to_owned();
    trial.stop();
    trial.edit("id = \"gateway\"", "id = \"gateway-2\"");
    trial.resume();
    assert_eq!(full_set(&trial, "broker").len(), 1);
    assert!(trial.log().iter().any(|line| line.contains(" warn revoked, of \"gateway\", who is gone")), "it is told");
    assert_eq!(trial.introspect(&token), json!({ "active": false }));
    assert_eq!(trial.introspect(&other)["active"], true);
    // It stays revoked when the client comes back.
    trial.stop();
    trial.edit("id = \"gateway-2\"", "id = \"gateway\"");
    trial.resume();
    assert_eq!(trial.introspect(&token), json!({ "active": false }));
}

#[test]
fn a_revocation_that_cannot_be_kept_is_not_promised() {
    let mut trial = Trial::start();
    let folder = trial.path("state");
    fs::create_dir(&folder).unwrap();
    trial.stop();
    trial.edit("\"as-state.jsonl\"", "\"state/as-state.jsonl\"");
    trial.resume();
    let token = trial.sensor(&[]).token().to_owned();
    // The server holds the file open. Once that has grown, it is to be written anew, which cannot be done any more.
    fs::remove_dir_all(&folder).unwrap();
    let issue = || trial.gateway(&[("audience", "opaque.example")]);
    let deadline = Instant::now() + Duration::from_secs(120);
    let refused = loop {
        assert!(Instant::now() < deadline, "tokens that cannot be written down are given out");
        let answer = issue();
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(refused.error(), (500, "server_error"));
    let refused = administrate(&trial, &[("token", &token)]);
    assert_eq!((refused.error(), refused.header("retry-after")), ((503, "server_error"), Some("60")));
    assert_eq!(trial.introspect(&token), json!({ "active": false }), "but it is revoked for now");
    let told = |line: &String| line.contains(" error POST /revoke ") && line.contains(STATE);
    assert!(trial.log().iter().any(told), "the log says why");

    fs::create_dir(&folder).unwrap();
    assert_eq!(issue().status, 200, "it recovers by itself");
    trial.stop();
    trial.resume();
    assert_eq!(trial.introspect(&token), json!({ "active": false }), "and with it what could not be promised");
}

#[test]
fn a_state_that_cannot_be_used_keeps_the_server_from_starting() {
    let mut trial = Trial::start();
    let refusal = |trial: &Trial| {
        let config = Config::load(&trial.path("as.toml")).unwrap();
        let log = Log::to(Level::Error, |_| ());
        Server::start(config, "127.0.0.1:0".parse().unwrap(), log).unwrap_err().to_string()
    };
    let in_use = refusal(&trial);
    assert!(in_use.contains("another ace-as"), "{in_use}");
    trial.stop();
    fs::write(trial.path(STATE), "{\"surprise\":{}}\n").unwrap();
    let unreadable = refusal(&trial);
    assert!(unreadable.contains(&format!("{STATE}:1: ")), "{unreadable}");
    assert_eq!(trial.read(STATE), "{\"surprise\":{}}\n", "nothing is overwritten");
}
