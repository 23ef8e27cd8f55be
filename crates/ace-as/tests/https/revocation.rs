//! `POST /revoke`: who may end which tokens, and that they are ended.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::token::ed25519;
use crate::trial::{ACE_JSON, Answer, FORM, GATEWAY_SECRET, OTHER_BROKER_SECRET, Trial, hex};

const INACTIVE: fn() -> Value = || json!({ "active": false });
const GATEWAY: (&str, &str) = ("gateway", GATEWAY_SECRET);
const OTHER_BROKER: (&str, &str) = ("other-broker", OTHER_BROKER_SECRET);

fn revoke(trial: &Trial, caller: (&str, &str), token: &str) -> Answer {
    trial.form("/revoke", caller, &[("token", token)])
}

pub(crate) fn administrate(trial: &Trial, parameters: &[(&str, &str)]) -> Answer {
    trial.form("/revoke", ("administrator", &trial.secret("administrator")), parameters)
}

fn active(trial: &Trial, token: &str) -> bool {
    trial.introspect(token) != INACTIVE()
}

fn other_active(trial: &Trial, token: &str) -> bool {
    trial.form("/introspect", OTHER_BROKER, &[("token", token)]).json["active"] == true
}

#[test]
fn a_client_ends_its_own_token() {
    let trial = Trial::start();
    let secret = trial.secret("sensor");
    let (token, other) = (trial.sensor(&[]).token().to_owned(), trial.sensor(&[]).token().to_owned());
    assert!(active(&trial, &token));
    let answer = revoke(&trial, ("sensor", &secret), &token);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!active(&trial, &token) && active(&trial, &other));
    assert_eq!(revoke(&trial, ("sensor", &secret), &token).status, 200, "once more does no harm");

    let body =
        json!({ "client_id": "sensor", "client_secret": secret, "token": other, "token_type_hint": "refresh_token" });
    let answer = trial.ace("/revoke", &body);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert!(!active(&trial, &other));
}

#[test]
fn reference_tokens_are_ended_too() {
    let trial = Trial::start();
    let token = trial.gateway(&[("audience", "opaque.example")]).token().to_owned();
    assert!(other_active(&trial, &token));
    // Only the token itself will do, not what begins like it.
    assert_eq!(revoke(&trial, GATEWAY, &format!("{token}.x")).status, 200);
    assert!(other_active(&trial, &token) && !other_active(&trial, &format!("{token}.x")));
    assert_eq!(revoke(&trial, GATEWAY, &token).status, 200);
    assert!(!other_active(&trial, &token));
}

#[test]
fn what_is_no_token_is_as_good_as_revoked() {
    let trial = Trial::start();
    let stranger = Trial::start();
    let token = trial.sensor(&[]).token().to_owned();
    let unsigned = token.rsplit_once('.').unwrap().0;
    for text in ["x", "a.b.c", stranger.sensor(&[]).token(), unsigned] {
        let answer = revoke(&trial, ("sensor", &trial.secret("sensor")), text);
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{text}");
    }
    assert!(active(&trial, &token));
}

/// The order of P-256's group (FIPS 186-5): for a signature (r, s), (r, n - s) is good as well.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn another_good_signature_does_not_save_a_token() {
    let trial = Trial::start_signing(ace_as::init::SigningAlgorithm::Es256);
    let token = trial.sensor(&[]).token().to_owned();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for (s, n) in signature[32..].iter_mut().zip(P256_ORDER).rev() {
        let difference = i16::from(n) - i16::from(*s) - borrow;
        borrow = i16::from(difference < 0);
        *s = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let twin = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    assert!(twin != token && active(&trial, &twin), "the other signature is good");
    assert_eq!(revoke(&trial, ("sensor", &trial.secret("sensor")), &token).status, 200);
    assert!(!active(&trial, &token) && !active(&trial, &twin));
}

#[test]
fn others_need_the_right_to() {
    let trial = Trial::start();
    let key = json!({ "jwk": ed25519() }).to_string();
    let token = trial.sensor(&[]).token().to_owned();
    let bare = trial.gateway(&[("audience", "bare.example"), ("req_cnf", &key)]).token().to_owned();
    let broker = trial.secret("broker");
    for refused in [
        revoke(&trial, GATEWAY, &token),
        revoke(&trial, ("broker", &broker), &token),
        revoke(&trial, ("broker", &broker), "x"),
        revoke(&trial, OTHER_BROKER, &token),
    ] {
        assert_eq!(refused.error(), (403, "unauthorized_client"));
    }
    assert!(active(&trial, &token));
    assert!(other_active(&trial, &bare));
    assert_eq!(revoke(&trial, OTHER_BROKER, &bare).status, 200, "it may, and the token is for one of its audiences");
    assert!(!other_active(&trial, &bare));
    assert_eq!(administrate(&trial, &[("token", &token)]).status, 200);
    assert!(!active(&trial, &token));
    // Whose it was matters still.
    assert_eq!(revoke(&trial, GATEWAY, &token).error(), (403, "unauthorized_client"));
}

#[test]
fn an_administrator_names_tokens_by_fingerprint_or_client() {
    let trial = Trial::start();
    let token = |answer: &Answer| answer.token().to_owned();
    let sensors: Vec<String> = (0..3).map(|_| token(&trial.sensor(&[]))).collect();
    let gateway = token(&trial.gateway(&[("audience", "broker.example")]));
    let fingerprint = hex(&digest(&SHA256, sensors[0].as_bytes()).as_ref()[..8]);
    assert!(trial.log().iter().any(|line| line.contains(&fingerprint)), "it is the one in the log");

    let answer = administrate(&trial, &[("token_fingerprint", &fingerprint)]);
    assert_eq!((answer.status, &answer.json), (200, &json!({ "revoked": 1 })));
    assert!(!active(&trial, &sensors[0]) && active(&trial, &sensors[1]));
    assert_eq!(administrate(&trial, &[("token_fingerprint", &fingerprint)]).json, json!({ "revoked": 0 }));

    let answer = administrate(&trial, &[("all_of_client", "sensor")]);
    assert_eq!((answer.status, &answer.json), (200, &json!({ "revoked": 2 })));
    assert!(!active(&trial, &sensors[1]) && !active(&trial, &sensors[2]) && active(&trial, &gateway));
    assert!(active(&trial, trial.sensor(&[]).token()), "a new one is none of these");

    for caller in [GATEWAY, OTHER_BROKER] {
        for parameter in [("token_fingerprint", fingerprint.as_str()), ("all_of_client", "gateway")] {
            assert_eq!(trial.form("/revoke", caller, &[parameter]).error(), (403, "unauthorized_client"));
        }
    }
    assert!(active(&trial, &gateway));
}

#[test]
fn bad_requests_are_told() {
    let trial = Trial::start();
    let token = trial.sensor(&[]).token().to_owned();
    assert_eq!(revoke(&trial, ("sensor", "wrong"), &token).error(), (401, "invalid_client"));
    assert_eq!(
        trial.post("/revoke", &[("content-type", FORM)], format!("token={token}").as_bytes()).error(),
        (401, "invalid_client")
    );
    for parameters in [
        &[][..],
        &[("token", "")],
        &[("token_fingerprint", "0123456789ABCDEF")],
        &[("token_fingerprint", "0123")],
        &[("token", "x"), ("all_of_client", "sensor")],
    ] {
        assert_eq!(administrate(&trial, parameters).error(), (400, "invalid_request"), "{parameters:?}");
    }
    let body = json!({ "client_id": "sensor", "client_secret": trial.secret("sensor"), "token": [token] });
    let refused = trial.ace("/revoke", &body);
    assert_eq!((refused.error(), refused.header("content-type")), ((400, "invalid_request"), Some(ACE_JSON)));
    assert_eq!(trial.get("/revoke").status, 405);
    assert!(active(&trial, &token));
}

#[test]
fn an_administrator_has_no_tokens_and_asks_about_none() {
    let trial = Trial::start();
    let caller = ("administrator", &*trial.secret("administrator"));
    let token = trial.form("/token", caller, &[("grant_type", "client_credentials")]);
    assert_eq!(token.error(), (400, "unauthorized_client"));
    assert_eq!(trial.form("/introspect", caller, &[("token", "x")]).error(), (403, "unauthorized_client"));
}

#[test]
fn a_client_cannot_fill_the_list_against_others() {
    let trial = Trial::start();
    let secret = trial.secret("sensor");
    let key = json!({ "jwk": ed25519() }).to_string();
    let issue = || trial.sensor(&[("req_cnf", &key)]).token().to_owned();
    for _ in 0..512 {
        assert_eq!(revoke(&trial, ("sensor", &secret), &issue()).status, 200);
    }
    let token = issue();
    let refused = revoke(&trial, ("sensor", &secret), &token);
    assert_eq!((refused.error(), refused.header("retry-after")), ((503, "server_error"), Some("60")));
    assert!(active(&trial, &token), "it was told so");
    assert_eq!(administrate(&trial, &[("all_of_client", "sensor")]).json, json!({ "revoked": 1 }));
    assert!(!active(&trial, &token));
}
