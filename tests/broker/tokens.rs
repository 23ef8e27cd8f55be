//! T: which tokens are good (RFC 9431, section 2.2.4 and 2.2.5; RFC 7519; RFC 7800).

use serde_json::{Value, json};

use crate::connecting::{sharing_authority, symmetric_device};
use crate::support::authority::{AUDIENCE, mint_as};
use crate::support::case::cases;
use crate::support::jwe::{self, Management};
use crate::support::packet::binary;
use crate::support::{
    Attempt, Authority, Broker, Claims, Connect, Ctx, Device, Key, Protocol, Reply, Setup, Way, encode, now,
};

cases! {
    Accept "T1" t1_token_by_eddsa_is_accepted;
    Accept "T1" t1_token_by_es256_is_accepted;
    Accept "T1" t1_token_by_rs256_is_accepted;
    Accept "T1" t1_token_by_ps256_is_accepted;
    Accept "T1" t1_token_by_hs256_is_accepted;
    Refuse "T1" t1_changed_eddsa_signature_is_refused;
    Refuse "T1" t1_changed_es256_signature_is_refused;
    Refuse "T1" t1_changed_rs256_signature_is_refused;
    Refuse "T1" t1_changed_ps256_signature_is_refused;
    Refuse "T1" t1_changed_hs256_mac_is_refused;
    Refuse "T1" t1_algorithm_not_in_the_configured_list_is_refused;
    Accept "T3" t3_audience_in_an_array_is_accepted;
    Accept "T3" t3_one_of_several_own_names_is_accepted;
    Accept "T3" t3_times_within_the_leeway_are_accepted;
    Accept "T3" t3_no_kid_and_one_key_that_fits_is_accepted;
    Accept "T3" t3_no_expiry_is_accepted_if_allowed;
    Refuse "T3" t3_expired_is_refused;
    Refuse "T3" t3_not_yet_valid_is_refused;
    Refuse "T3" t3_issued_in_the_future_is_refused;
    Refuse "T3" t3_no_expiry_is_refused;
    Refuse "T3" t3_no_issuer_is_refused;
    Refuse "T3" t3_no_audience_is_refused;
    Refuse "T3" t3_no_kid_and_several_keys_that_fit_is_refused;
    Accept "T4" t4_ed25519_jwk_is_accepted;
    Accept "T4" t4_p256_jwk_is_accepted;
    Accept "T4" t4_kid_of_a_configured_client_key_is_accepted;
    Accept "T4" t4_jwe_by_dir_is_accepted;
    Accept "T4" t4_jwe_by_key_wrap_is_accepted;
    Refuse "T4" t4_kid_of_nobody_is_refused;
    Refuse "T4" t4_kid_of_the_authorization_servers_key_is_refused;
    Refuse "T4" t4_jwe_for_somebody_else_is_refused;
    Refuse "T4" t4_two_keys_at_once_are_refused;
    Refuse "T4" t4_private_key_in_the_token_is_refused;
    Refuse "T4" t4_unknown_method_is_refused;
    Accept "T5" t5_symmetric_key_encrypted_is_accepted;
    Refuse "T5" t5_symmetric_key_in_clear_is_refused;
    Refuse "T5" t5_symmetric_key_in_clear_is_refused_with_bearer_allowed;
    Accept "T6" t6_bearer_is_accepted_if_allowed;
    Refuse "T6" t6_bearer_is_refused;
    Refuse "T6" t6_bearer_with_a_proof_is_refused;
    Refuse "T6" t6_bound_token_must_be_proved_even_if_bearer_is_allowed;
}

/// A device whose claims are changed as the test wants them.
fn device(broker: &Broker, change: impl FnOnce(Claims) -> Claims) -> Device {
    Device::new(&broker.setup().authority, "sensor", Key::ed25519(), change)
}

/// A device whose token is made by this algorithm.
fn device_by(broker: &Broker, algorithm: &str) -> Device {
    let authority = &broker.setup().authority;
    let key = Key::ed25519();
    let claims = authority.claims("sensor", &key);
    Device { id: "sensor".to_owned(), token: mint_as(&authority.key, algorithm, &claims.0), key }
}

fn served(broker: &Broker, device: &Device) {
    for way in [Way::Challenge, Way::UserName(Protocol::V311)] {
        device.enter(broker, way).round_trip("dev/temperature");
    }
}

fn refused(broker: &Broker, device: &Device, code: &str) {
    for way in [Way::Challenge, Way::Exporter, Way::UserName(Protocol::V311)] {
        device.attempt(broker, way).refused(broker, code);
    }
}

fn algorithm_is_accepted(ctx: &Ctx, key: Key, algorithm: &str) {
    let broker = Setup::with(Authority::signing_with(key.named("as-key"))).start(ctx);
    served(&broker, &device_by(&broker, algorithm));
}

/// One bit of the signature is turned, in its middle.
fn changed_signature_is_refused(ctx: &Ctx, key: Key, algorithm: &str) {
    let broker = Setup::with(Authority::signing_with(key.named("as-key"))).start(ctx);
    let device = device_by(&broker, algorithm);
    let mut token = device.token.clone().into_bytes();
    let signature = device.token.rfind('.').unwrap();
    let middle = usize::midpoint(signature, token.len());
    token[middle] = if token[middle] == b'A' { b'B' } else { b'A' };
    let forged = device.with_token(std::str::from_utf8(&token).unwrap());
    refused(&broker, &forged, "signature-wrong");
}

fn t1_token_by_eddsa_is_accepted(ctx: &Ctx) {
    algorithm_is_accepted(ctx, Key::ed25519(), "EdDSA");
}

fn t1_token_by_es256_is_accepted(ctx: &Ctx) {
    algorithm_is_accepted(ctx, Key::p256(), "ES256");
}

fn t1_token_by_rs256_is_accepted(ctx: &Ctx) {
    algorithm_is_accepted(ctx, Key::rsa(), "RS256");
}

fn t1_token_by_ps256_is_accepted(ctx: &Ctx) {
    algorithm_is_accepted(ctx, Key::rsa(), "PS256");
}

fn t1_token_by_hs256_is_accepted(ctx: &Ctx) {
    algorithm_is_accepted(ctx, Key::oct(32), "HS256");
}

fn t1_changed_eddsa_signature_is_refused(ctx: &Ctx) {
    changed_signature_is_refused(ctx, Key::ed25519(), "EdDSA");
}

fn t1_changed_es256_signature_is_refused(ctx: &Ctx) {
    changed_signature_is_refused(ctx, Key::p256(), "ES256");
}

fn t1_changed_rs256_signature_is_refused(ctx: &Ctx) {
    changed_signature_is_refused(ctx, Key::rsa(), "RS256");
}

fn t1_changed_ps256_signature_is_refused(ctx: &Ctx) {
    changed_signature_is_refused(ctx, Key::rsa(), "PS256");
}

fn t1_changed_hs256_mac_is_refused(ctx: &Ctx) {
    changed_signature_is_refused(ctx, Key::oct(32), "HS256");
}

fn t1_algorithm_not_in_the_configured_list_is_refused(ctx: &Ctx) {
    let authority = Authority::signing_with(Key::rsa().named("as-key"));
    let broker = Setup::with(authority).server(r#"algorithms = ["PS256"]"#).start(ctx);
    refused(&broker, &device_by(&broker, "RS256"), "algorithm-not-allowed");
    served(&broker, &device_by(&broker, "PS256"));
}

fn t3_audience_in_an_array_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let several = json!(["elsewhere.test", AUDIENCE]);
    served(&broker, &device(&broker, |claims| claims.set("aud", several)));
}

fn t3_one_of_several_own_names_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().audience(r#"["broker.test", "mqtt.test"]"#).start(ctx);
    for name in ["broker.test", "mqtt.test"] {
        served(&broker, &device(&broker, |claims| claims.set("aud", name)));
    }
}

fn t3_times_within_the_leeway_are_accepted(ctx: &Ctx) {
    let broker = Setup::new().tokens(r#"leeway = "1m""#).start(ctx);
    served(&broker, &device(&broker, |claims| claims.expires_in(-20)));
    let soon = now().as_secs() + 20;
    served(&broker, &device(&broker, |claims| claims.set("nbf", soon).set("iat", soon)));
}

fn t3_no_kid_and_one_key_that_fits_is_accepted(ctx: &Ctx) {
    let authority = Authority::signing_with(Key::ed25519())
        .publishing(&Key::p256().named("other-type"))
        .publishing(&Key::rsa().named("another-type"));
    let broker = Setup::with(authority).start(ctx);
    served(&broker, &device(&broker, |claims| claims));
}

fn t3_no_expiry_is_accepted_if_allowed(ctx: &Ctx) {
    let broker = Setup::new().tokens("allow_no_expiry = true").start(ctx);
    served(&broker, &device(&broker, |claims| claims.without("exp")));
}

fn t3_expired_is_refused(ctx: &Ctx) {
    let broker = Setup::new().tokens(r#"leeway = "5s""#).start(ctx);
    let expired = device(&broker, |claims| claims.expires_in(-7));
    refused(&broker, &expired, "token-expired");
}

fn t3_not_yet_valid_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let early = device(&broker, |claims| claims.set("nbf", now().as_secs() + 60));
    refused(&broker, &early, "token-not-yet-valid");
}

fn t3_issued_in_the_future_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let future = device(&broker, |claims| claims.set("iat", now().as_secs() + 60));
    refused(&broker, &future, "token-from-the-future");
}

fn t3_no_expiry_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let endless = device(&broker, |claims| claims.without("exp"));
    refused(&broker, &endless, "expiry-missing");
}

fn t3_no_issuer_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let nobodys = device(&broker, |claims| claims.without("iss"));
    refused(&broker, &nobodys, "issuer-missing");
}

fn t3_no_audience_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let for_all = device(&broker, |claims| claims.without("aud"));
    refused(&broker, &for_all, "audience-missing");
}

fn t3_no_kid_and_several_keys_that_fit_is_refused(ctx: &Ctx) {
    let authority = Authority::signing_with(Key::ed25519()).publishing(&Key::ed25519());
    let broker = Setup::with(authority).start(ctx);
    let ambiguous = device(&broker, |claims| claims);
    refused(&broker, &ambiguous, "key-ambiguous");
}

fn t4_ed25519_jwk_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    served(&broker, &broker.device_with("sensor", Key::ed25519()));
}

fn t4_p256_jwk_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    served(&broker, &broker.device_with("sensor", Key::p256()));
}

fn t4_kid_of_a_configured_client_key_is_accepted(ctx: &Ctx) {
    let keys = [Key::ed25519().named("client-1"), Key::p256().named("client-2"), Key::oct(32).named("client-3")];
    let known: Vec<_> = keys.iter().collect();
    let broker = Setup::new().client_keys(&known).start(ctx);
    for key in keys {
        let by_name = json!({ "kid": key.kid });
        let device = Device::new(&broker.setup().authority, "sensor", key, |claims| claims.set("cnf", by_name));
        served(&broker, &device);
    }
}

/// A device whose token carries its symmetric key encrypted.
fn jwe_device(broker: &Broker, shared: &Key, management: Management, encryption: &str) -> Device {
    let key = Key::oct(32);
    let secret = key.jwk().to_string();
    let jwe = jwe::encrypt(secret.as_bytes(), shared, management, encryption);
    Device::new(&broker.setup().authority, "sensor", key, |claims| claims.set("cnf", json!({ "jwe": jwe })))
}

fn t4_jwe_by_dir_is_accepted(ctx: &Ctx) {
    for (bytes, encryption) in [(16, "A128GCM"), (32, "A256GCM")] {
        let shared = Key::oct(bytes).named("shared");
        let broker = Setup::with(Authority::new().publishing(&shared)).start(ctx);
        served(&broker, &jwe_device(&broker, &shared, Management::Dir, encryption));
    }
}

fn t4_jwe_by_key_wrap_is_accepted(ctx: &Ctx) {
    let (authority, shared) = sharing_authority();
    let broker = Setup::with(authority).start(ctx);
    for encryption in ["A128GCM", "A256GCM"] {
        served(&broker, &jwe_device(&broker, &shared, Management::A256Kw, encryption));
    }
}

fn t4_kid_of_nobody_is_refused(ctx: &Ctx) {
    let broker = Setup::new().client_keys(&[&Key::ed25519().named("client-1")]).start(ctx);
    let stranger = device(&broker, |claims| claims.set("cnf", json!({ "kid": "client-2" })));
    refused(&broker, &stranger, "confirmation-key-unknown");
}

fn t4_kid_of_the_authorization_servers_key_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let authority = &broker.setup().authority;
    let server_key = authority.key.clone();
    let kid = json!({ "kid": server_key.kid });
    let device = Device::new(authority, "sensor", server_key, |claims| claims.set("cnf", kid));
    refused(&broker, &device, "confirmation-key-unknown");
}

fn t4_jwe_for_somebody_else_is_refused(ctx: &Ctx) {
    let (authority, _) = sharing_authority();
    let broker = Setup::with(authority).start(ctx);
    let foreign = Key::oct(32).named("shared");
    for management in [Management::Dir, Management::A256Kw] {
        let device = jwe_device(&broker, &foreign, management, "A256GCM");
        refused(&broker, &device, "jwe-undecryptable");
    }
    let unknown = jwe_device(&broker, &Key::oct(32).named("unknown"), Management::Dir, "A256GCM");
    refused(&broker, &unknown, "jwe-key-missing");
}

fn confirmation_is_refused(ctx: &Ctx, confirmation: impl FnOnce(&Key) -> Value, code: &str) {
    let broker = Setup::new().client_keys(&[&Key::ed25519().named("client-1")]).start(ctx);
    let key = Key::ed25519();
    let confirmation = confirmation(&key);
    let device = Device::new(&broker.setup().authority, "sensor", key, |claims| claims.set("cnf", confirmation));
    refused(&broker, &device, code);
}

fn t4_two_keys_at_once_are_refused(ctx: &Ctx) {
    confirmation_is_refused(ctx, |key| json!({ "jwk": key.jwk(), "kid": "client-1" }), "confirmation-ambiguous");
}

fn t4_private_key_in_the_token_is_refused(ctx: &Ctx) {
    confirmation_is_refused(
        ctx,
        |key| {
            let mut jwk = key.jwk();
            jwk["d"] = json!(encode(&[7; 32]));
            json!({ "jwk": jwk })
        },
        "confirmation-key-private",
    );
}

fn t4_unknown_method_is_refused(ctx: &Ctx) {
    confirmation_is_refused(ctx, |_| json!({ "jku": "https://as.test/keys" }), "confirmation-unsupported");
}

fn t5_symmetric_key_encrypted_is_accepted(ctx: &Ctx) {
    let (authority, shared) = sharing_authority();
    let broker = Setup::with(authority).start(ctx);
    let device = symmetric_device(&broker.setup().authority, &shared, "sensor");
    served(&broker, &device);
}

fn t5_symmetric_key_in_clear_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device_with("sensor", Key::oct(32));
    refused(&broker, &device, "confirmation-key-in-clear");
}

fn t5_symmetric_key_in_clear_is_refused_with_bearer_allowed(ctx: &Ctx) {
    let broker = Setup::new().tokens("allow_bearer = true").start(ctx);
    let device = broker.device_with("sensor", Key::oct(32));
    refused(&broker, &device, "confirmation-key-in-clear");
}

/// The CONNECTs of a client without a key: C3 data, and V1 with an empty password.
pub fn bearer_connects(token: &str) -> [Connect; 3] {
    let user_name = format!("ace{token}");
    [
        Connect::ace("sensor", binary(token.as_bytes())),
        Connect::credentials(Protocol::V311, "sensor", user_name.as_bytes(), b""),
        Connect::credentials(Protocol::V5, "sensor", user_name.as_bytes(), b""),
    ]
}

fn t6_bearer_is_accepted_if_allowed(ctx: &Ctx) {
    let broker = Setup::new().tokens("allow_bearer = true").start(ctx);
    let bearer = device(&broker, |claims| claims.without("cnf"));
    for connect in bearer_connects(&bearer.token) {
        // At once: there is nothing to challenge.
        let mut client = Attempt::make(broker.open(), &connect).accepted();
        client.round_trip("dev/temperature");
    }
}

fn t6_bearer_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let bearer = device(&broker, |claims| claims.without("cnf"));
    for connect in bearer_connects(&bearer.token) {
        Attempt::make(broker.open(), &connect).refused(&broker, "bearer-refused");
    }
}

fn t6_bearer_with_a_proof_is_refused(ctx: &Ctx) {
    let broker = Setup::new().tokens("allow_bearer = true").start(ctx);
    let bearer = device(&broker, |claims| claims.without("cnf"));
    for way in [Way::Exporter, Way::UserName(Protocol::V311), Way::Draft00(Protocol::V311)] {
        bearer.attempt(&broker, way).refused(&broker, "proof-without-key");
    }
}

fn t6_bound_token_must_be_proved_even_if_bearer_is_allowed(ctx: &Ctx) {
    let broker = Setup::new().tokens("allow_bearer = true").start(ctx);
    let bound = device(&broker, |claims| claims);
    let [ace, mqtt311, mqtt5] = bearer_connects(&bound.token);
    for connect in [mqtt311, mqtt5] {
        Attempt::make(broker.open(), &connect).refused(&broker, "proof-missing");
    }
    let challenged = Attempt::make(broker.open(), &ace);
    assert!(matches!(challenged.reply, Reply::Auth(_)));
    let thief = bound.with_key(Key::ed25519());
    let answer = thief.challenge_answer(&challenged.nonce());
    challenged.answer(&answer).refused(&broker, "proof-wrong");
}
