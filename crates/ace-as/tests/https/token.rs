//! `POST /token` as it should go.

use std::time::{SystemTime, UNIX_EPOCH};

use ace_as::init::SigningAlgorithm;
use ace_profile::Timestamp;
use ace_profile::jose::{Jwk, JwkSet};
use ace_profile::proof::ProofKey;
use ace_profile::random::SystemRandom;
use ace_profile::token::{AuthorizationServer, Confirmation, Policy, Validator};
use serde_json::{Value, json};

use crate::trial::{ACE_JSON, Answer, FORM, GATEWAY_SECRET, Trial, encode, scope};
use crate::verify;

/// The public keys of RFC 8037 appendix A.2 and RFC 7517 appendix A.1.
pub(crate) fn ed25519() -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
}

fn p256() -> Value {
    json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    })
}

fn jwks(trial: &Trial) -> Value {
    let answer = trial.get("/jwks.json");
    assert_eq!(answer.status, 200);
    answer.json
}

#[test]
fn a_client_with_its_own_key_gets_a_token_bound_to_it() {
    let trial = Trial::start();
    for key in [ed25519(), p256()] {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let answer = trial.sensor(&[("audience", "broker.example"), ("req_cnf", &json!({ "jwk": key }).to_string())]);
        assert_eq!(answer.status, 200, "{}", answer.json);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.json["token_type"], "PoP");
        assert_eq!(answer.json["ace_profile"], "mqtt_tls");
        assert_eq!(answer.json["expires_in"], 3600);
        assert_eq!(answer.json.get("cnf"), None, "the client has its key already");
        let broker_key: Value = serde_json::from_str(&trial.read("broker-public-key.jwk")).unwrap();
        assert_eq!(answer.json["rs_cnf"], json!({ "jwk": broker_key }));
        assert_eq!(answer.scope(), json!([["sensors/#", ["pub"]]]), "none asked for, so it is told");

        let (header, claims) = verify::token(answer.token(), &jwks(&trial));
        assert_eq!(header["typ"], "at+jwt");
        assert_eq!(claims["iss"], "https://localhost:8443");
        assert_eq!(claims["sub"], "sensor");
        assert_eq!(claims["client_id"], "sensor");
        assert_eq!(claims["aud"], "broker.example");
        assert_eq!(claims["cnf"], json!({ "jwk": key }));
        assert_eq!(claims["scope"], answer.json["scope"]);
        let issued_at = claims["iat"].as_u64().unwrap();
        assert!((before..before + 20).contains(&issued_at));
        assert_eq!(claims["exp"].as_u64().unwrap(), issued_at + 3600);
    }
}

#[test]
fn a_client_without_a_key_is_given_a_symmetric_one() {
    let trial = Trial::start();
    let shared: Value = serde_json::from_str(&trial.read("broker-shared-key.jwk")).unwrap();
    for audience in ["broker.example", "direct.example"] {
        let answer = trial.gateway(&[("audience", audience)]);
        assert_eq!(answer.status, 200, "{}", answer.json);
        let key = &answer.json["cnf"]["jwk"];
        assert_eq!((key["kty"].as_str(), key["alg"].as_str()), (Some("oct"), Some("HS256")));
        assert_eq!(verify::decode(key["k"].as_str().unwrap()).len(), 32);
        assert!(key["kid"].is_string());
        assert_eq!(answer.json.get("rs_cnf"), None);

        let (_, claims) = verify::token(answer.token(), &jwks(&trial));
        let cnf = claims["cnf"].as_object().unwrap();
        assert_eq!(cnf.len(), 1, "nothing in clear: {cnf:?}");
        assert_eq!(verify::decrypt(cnf["jwe"].as_str().unwrap(), &shared), *key);
    }
    let (one, other) =
        (trial.gateway(&[("audience", "broker.example")]), trial.gateway(&[("audience", "broker.example")]));
    assert_ne!(one.json["cnf"]["jwk"]["k"], other.json["cnf"]["jwk"]["k"]);
    assert_ne!(one.token(), other.token());
}

#[test]
fn tokens_are_signed_with_es256_too() {
    let trial = Trial::start_signing(SigningAlgorithm::Es256);
    let answer = trial.sensor(&[]);
    let (header, claims) = verify::token(answer.token(), &jwks(&trial));
    assert_eq!(header["alg"], "ES256");
    assert_eq!(claims["sub"], "sensor");
}

/// What the plugin does with the keys that `init` gives the broker, and what the client does with its own.
#[test]
fn the_broker_takes_the_tokens_and_their_proofs() {
    for signing in [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256] {
        let trial = Trial::start_signing(signing);
        let server = AuthorizationServer {
            issuer: "https://localhost:8443".to_owned(),
            keys: JwkSet::from_json(&trial.read("as-jwks.json")).unwrap(),
            ..AuthorizationServer::default()
        };
        let policy = Policy { audience: vec!["broker.example".to_owned()], ..Policy::default() };
        let validator = Validator::new(vec![server], JwkSet::default(), policy);

        let own = [Jwk::generate_ed25519(&mut SystemRandom).unwrap(), Jwk::generate_p256(&mut SystemRandom).unwrap()];
        let mut pairs: Vec<(Answer, Jwk)> = own
            .into_iter()
            .map(|key| {
                let req_cnf = json!({ "jwk": key.public_value() }).to_string();
                (trial.sensor(&[("req_cnf", &req_cnf)]), key)
            })
            .collect();
        let symmetric = trial.sensor(&[]);
        let key = Jwk::from_value(&symmetric.json["cnf"]["jwk"]).unwrap();
        pairs.push((symmetric, key));

        for (answer, key) in pairs {
            let found = validator.validate(answer.token(), Timestamp::from_system_time(SystemTime::now())).unwrap();
            assert_eq!(found.subject.as_deref(), Some("sensor"));
            assert_eq!(found.scope.to_aif_value(), json!([["sensors/#", ["pub"]]]));
            let Confirmation::Key(confirmation) = found.confirmation else { panic!("a bearer token") };
            let proof = ProofKey::from_jwk(&key).unwrap().prove(b"message").unwrap();
            confirmation.verify(b"message", &proof).unwrap();
            confirmation.verify(b"another", &proof).unwrap_err();
        }
    }
}

#[test]
fn the_scope_granted_is_what_is_asked_for_and_allowed() {
    let trial = Trial::start();
    let key = json!({ "jwk": ed25519() }).to_string();
    let ask = |aif: Value| trial.gateway(&[("audience", "broker.example"), ("scope", &scope(&aif)), ("req_cnf", &key)]);

    let exact = ask(json!([["log", ["pub"]]]));
    assert_eq!(exact.status, 200, "{}", exact.json);
    assert_eq!(exact.json.get("scope"), None, "it is what was asked for");

    let narrowed = ask(json!([["gw/1/#", ["pub", "sub"]], ["elsewhere/#", ["sub"]], ["log", ["pub", "sub"]]]));
    let expected = json!([["gw/1/#", ["sub"]], ["gw/1/state", ["pub"]], ["log", ["pub"]]]);
    assert_eq!(narrowed.scope(), expected);
    let (_, claims) = verify::token(narrowed.token(), &jwks(&trial));
    assert_eq!(claims["scope"], narrowed.json["scope"]);
    assert_eq!(claims["sub"], "the gateway");

    assert_eq!(ask(json!([["elsewhere/#", ["pub"]]])).error(), (400, "invalid_scope"));
    assert_eq!(ask(json!([["log", ["sub"]]])).error(), (400, "invalid_scope"));
    let nothing = ask(json!([]));
    assert_eq!((nothing.status, nothing.json.get("scope")), (200, None), "asking for nothing is allowed");

    let text = trial.gateway(&[("audience", "broker.example"), ("scope", r#"[["log",["pub"]]]"#), ("req_cnf", &key)]);
    assert_eq!((text.status, text.json.get("scope")), (200, None), "AIF as plain text will do");
}

#[test]
fn aces_own_encoding_is_spoken() {
    let trial = Trial::start();
    let answer = trial.ace(
        "/token",
        &json!({
            "client_id": "gateway",
            "client_secret": GATEWAY_SECRET,
            "audience": "broker.example",
            "scope": [["gw/7/#", ["sub"]]],
            "req_cnf": { "jwk": p256() },
            "ace_profile": null,
        }),
    );
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert_eq!(answer.header("content-type"), Some(ACE_JSON));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.json["ace_profile"], "mqtt_tls");
    assert_eq!(answer.json["expires_in"], 600, "the client's own lifetime");
    assert_eq!(answer.json.get("scope"), None);

    let body =
        json!({ "audience": "broker.example", "scope": scope(&json!([["log", ["pub"]]])), "ace_profile": "mqtt_tls" });
    let authorization = crate::trial::basic("gateway", GATEWAY_SECRET);
    let headers = [("content-type", ACE_JSON), ("authorization", authorization.as_str())];
    assert_eq!(trial.post("/token", &headers, body.to_string().as_bytes()).status, 200);
}

#[test]
fn clients_authenticate_by_basic_or_form() {
    let trial = Trial::start();
    let body = format!(
        "grant_type=client_credentials&client_id=gateway&client_secret={}&audience=broker.example",
        encode(GATEWAY_SECRET)
    );
    assert_eq!(trial.post("/token", &[("content-type", FORM)], body.as_bytes()).status, 200);
    assert_eq!(trial.gateway(&[("audience", "broker.example")]).status, 200);
    assert_eq!(trial.gateway(&[("audience", "broker.example"), ("client_id", "gateway")]).status, 200);
}

#[test]
fn what_is_public_is_public_and_nothing_else() {
    let trial = Trial::start();
    let keys = jwks(&trial);
    for private in ["d", "k", "p", "q"] {
        assert!(keys["keys"].as_array().unwrap().iter().all(|key| key.get(private).is_none()));
    }
    assert_eq!(keys["keys"][0]["use"], "sig");

    let metadata = trial.get("/.well-known/oauth-authorization-server").json;
    assert_eq!(metadata["issuer"], "https://localhost:8443");
    assert_eq!(metadata["token_endpoint"], "https://localhost:8443/token");
    assert_eq!(metadata["jwks_uri"], "https://localhost:8443/jwks.json");
    assert_eq!(metadata["response_types_supported"], json!([]));
    assert_eq!(trial.get("/healthz").json, json!({ "status": "ok" }));

    assert_eq!(trial.get("/signing-key.jwk").status, 404);
    assert_eq!(trial.get("/token").status, 405);
    assert_eq!(trial.get("/introspect").status, 405);
}
