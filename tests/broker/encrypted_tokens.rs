//! T1 and T5: tokens that are encrypted for the broker (RFC 7516), a signed one inside.

use serde_json::{Value, json};

use crate::support::case::cases;
use crate::support::jwe::{self, Management, PrivateRecipient};
use crate::support::key::random;
use crate::support::packet::binary;
use crate::support::{
    Answer, Attempt, Authority, Broker, Connect, Ctx, Device, HttpsServer, Key, Protocol, Setup, Way, encode,
};

cases! {
    Accept "T1" t1_tokens_encrypted_with_a_shared_key_are_taken;
    Accept "T1" t1_tokens_encrypted_to_a_key_of_the_brokers_are_taken;
    Accept "T1" t1_decryption_keys_may_stand_in_a_file_of_their_own;
    Accept "T1" t1_a_token_that_is_encrypted_to_its_server_is_asked_about;
    Refuse "T1" t1_what_is_inside_is_judged_by_all_rules;
    Refuse "T1" t1_tokens_encrypted_for_somebody_else_are_refused;
    Refuse "T1" t1_tokens_are_encrypted_once;
    Refuse "T1" t1_keys_that_decrypt_check_no_signature;
    Refuse "T1" t1_an_altered_encrypted_token_is_refused;
    Accept "T5" t5_a_symmetric_key_may_stand_in_an_encrypted_token;
    Refuse "T5" t5_encryption_to_the_brokers_key_proves_no_issuer;
    Refuse "T5" t5_encryption_with_a_shared_key_is_no_signature;
    Refuse "T5" t5_a_token_must_be_encrypted_for_its_issuer;
    Accept "L1" l1_an_encrypted_token_may_be_handed_over_before;
}

const WAYS: [Way; 4] = [Way::Challenge, Way::Exporter, Way::UserName(Protocol::V311), Way::Draft00(Protocol::V311)];

fn shared() -> Key {
    Key::oct(32).named("shared")
}

/// An authorization server that shares this key with the broker.
fn sharing(shared: &Key) -> Authority {
    Authority::new().publishing(shared)
}

/// An ordinary device, and its token encrypted.
fn with_encrypted_token(broker: &Broker, encrypt: impl FnOnce(&str) -> String) -> Device {
    let device = broker.device("sensor");
    device.with_token(&encrypt(&device.token))
}

fn encrypted(token: &str, shared: &Key) -> String {
    jwe::encrypt_token(token.as_bytes(), shared, Some("JWT"))
}

fn served(broker: &Broker, device: &Device) {
    for way in WAYS {
        device.attempt(broker, way).accepted().round_trip("dev/a");
    }
}

fn refused(broker: &Broker, device: &Device, code: &str) {
    for way in WAYS {
        device.attempt(broker, way).refused(broker, code);
    }
}

fn t1_tokens_encrypted_with_a_shared_key_are_taken(ctx: &Ctx) {
    let shared = shared();
    let broker = Setup::with(sharing(&shared)).start(ctx);
    served(&broker, &with_encrypted_token(&broker, |token| encrypted(token, &shared)));
}

fn t1_tokens_encrypted_to_a_key_of_the_brokers_are_taken(ctx: &Ctx) {
    let recipients =
        [("p256", PrivateRecipient::p256()), ("x25519", PrivateRecipient::x25519()), ("rsa", PrivateRecipient::rsa())];
    let mut authority = Authority::new();
    authority.jwks.extend(recipients.iter().map(|(kid, recipient)| recipient.jwk(kid)));
    let broker = Setup::with(authority).start(ctx);
    for (kid, recipient) in &recipients {
        served(&broker, &with_encrypted_token(&broker, |token| recipient.encrypt(token, kid)));
    }
}

fn t1_decryption_keys_may_stand_in_a_file_of_their_own(ctx: &Ctx) {
    let (own, shared) = (PrivateRecipient::x25519(), shared());
    let keys = json!({ "keys": [own.jwk("own"), shared.jwk()] }).to_string();
    let broker = Setup::new().file("own.jwks", &keys).server(r#"decryption_keys = "{dir}/own.jwks""#).start(ctx);
    served(&broker, &with_encrypted_token(&broker, |token| own.encrypt(token, "own")));
    served(&broker, &with_encrypted_token(&broker, |token| encrypted(token, &shared)));
}

/// Of what the broker cannot decrypt, its server may tell what it says; of what it can, nobody is asked.
fn t1_a_token_that_is_encrypted_to_its_server_is_asked_about(ctx: &Ctx) {
    let shared = shared();
    let authority = sharing(&shared);
    let key = Key::ed25519();
    let body = Value::Object(authority.claims("sensor", &key).set("active", true).0).to_string().into_bytes();
    let server = HttpsServer::start(move |_| Answer::ok("application/json", body.clone()));
    let broker = Setup::with(authority).introspecting(&server.url("/introspect")).start(ctx);
    served(&broker, &with_encrypted_token(&broker, |token| encrypted(token, &shared)));
    assert_eq!(server.requests().len(), 0);
    let others = [("shared", PrivateRecipient::rsa()), ("own", PrivateRecipient::x25519())];
    for (kid, recipient) in others {
        let token = recipient.encrypt("whatever it says", kid);
        served(&broker, &Device { id: "sensor".to_owned(), token, key: key.clone() });
    }
    assert_eq!(server.requests().len(), 2);
}

fn t1_what_is_inside_is_judged_by_all_rules(ctx: &Ctx) {
    let own = PrivateRecipient::p256();
    let mut authority = Authority::new();
    authority.jwks.push(own.jwk("own"));
    let broker = Setup::with(authority.clone()).start(ctx);
    let judged = |device: &Device, code: &str| {
        let device = device.with_token(&own.encrypt(&device.token, "own"));
        device.attempt(&broker, Way::Challenge).refused(&broker, code);
    };
    let changed = |change: fn(crate::support::Claims) -> crate::support::Claims| {
        Device::new(&authority, "sensor", Key::ed25519(), change)
    };
    judged(&changed(|claims| claims.expires_in(-60)), "token-expired");
    judged(&changed(|claims| claims.set("aud", "another")), "audience-foreign");
    judged(&changed(|claims| claims.set("iss", "https://attacker.test")), "issuer-unknown");
    judged(&changed(|claims| claims.without("cnf")), "bearer-refused");
    let forger =
        Authority { issuer: authority.issuer.clone(), ..Authority::signing_with(Key::ed25519().named("as-key")) };
    judged(&Device::new(&forger, "sensor", Key::ed25519(), |claims| claims), "signature-wrong");
    // The proof is asked for all the same.
    let device = broker.device("sensor");
    let thief = device.with_token(&own.encrypt(&device.token, "own")).with_key(Key::ed25519());
    refused(&broker, &thief, "proof-wrong");
}

fn t1_tokens_encrypted_for_somebody_else_are_refused(ctx: &Ctx) {
    let shared = shared();
    let broker = Setup::with(sharing(&shared)).start(ctx);
    let others = Key::oct(32).named("others");
    refused(&broker, &with_encrypted_token(&broker, |token| encrypted(token, &others)), "jwe-key-missing");
    let same_name = Key::oct(32).named("shared");
    refused(&broker, &with_encrypted_token(&broker, |token| encrypted(token, &same_name)), "jwe-undecryptable");
    let public = PrivateRecipient::rsa();
    refused(&broker, &with_encrypted_token(&broker, |token| public.encrypt(token, "rsa")), "jwe-key-missing");
}

fn t1_tokens_are_encrypted_once(ctx: &Ctx) {
    let shared = shared();
    let broker = Setup::with(sharing(&shared)).start(ctx);
    let twice = |token: &str| encrypted(&encrypted(token, &shared), &shared);
    refused(&broker, &with_encrypted_token(&broker, twice), "jwe-nested");
}

fn t1_keys_that_decrypt_check_no_signature(ctx: &Ctx) {
    let shared = shared();
    let keys = json!({ "keys": [shared.jwk()] }).to_string();
    let broker = Setup::new().file("own.jwks", &keys).server(r#"decryption_keys = "{dir}/own.jwks""#).start(ctx);
    // Whoever can encrypt for the broker cannot sign for the server.
    let forger =
        Authority { issuer: broker.setup().authority.issuer.clone(), ..Authority::signing_with(shared.clone()) };
    let forged = Device::new(&forger, "sensor", Key::ed25519(), |claims| claims);
    refused(&broker, &forged, "key-unknown");
    refused(&broker, &forged.with_token(&encrypted(&forged.token, &shared)), "key-unknown");
}

fn t1_an_altered_encrypted_token_is_refused(ctx: &Ctx) {
    let shared = shared();
    let broker = Setup::with(sharing(&shared)).start(ctx);
    let device = with_encrypted_token(&broker, |token| encrypted(token, &shared));
    for piece in [2, 3, 4] {
        let mut pieces: Vec<String> = device.token.split('.').map(str::to_owned).collect();
        let first = if pieces[piece].starts_with('A') { "B" } else { "A" };
        pieces[piece].replace_range(..1, first);
        let altered = device.with_token(&pieces.join("."));
        altered.attempt(&broker, Way::Challenge).refused(&broker, "jwe-undecryptable");
    }
}

/// A device with a symmetric key that stands in its token as it is.
fn with_key_inside(broker: &Broker, encrypt: impl FnOnce(&str) -> String) -> Device {
    let key = Key::oct(32).named("device-key");
    let authority = &broker.setup().authority;
    let device = Device::new(authority, "sensor", key, |claims| claims);
    device.with_token(&encrypt(&device.token))
}

fn t5_a_symmetric_key_may_stand_in_an_encrypted_token(ctx: &Ctx) {
    let (own, shared) = (PrivateRecipient::p256(), shared());
    let mut authority = sharing(&shared);
    authority.jwks.push(own.jwk("own"));
    let broker = Setup::with(authority).start(ctx);
    served(&broker, &with_key_inside(&broker, |token| own.encrypt(token, "own")));
    served(&broker, &with_key_inside(&broker, |token| encrypted(token, &shared)));
    refused(&broker, &with_key_inside(&broker, str::to_owned), "confirmation-key-in-clear");
}

/// What anybody can make who has the broker's public key.
fn t5_encryption_to_the_brokers_key_proves_no_issuer(ctx: &Ctx) {
    let own = PrivateRecipient::x25519();
    let mut authority = Authority::new();
    authority.jwks.push(own.jwk("own"));
    let broker = Setup::with(authority.clone()).start(ctx);
    let key = Key::ed25519();
    let claims = Value::Object(authority.claims("sensor", &key).0).to_string();
    let unsigned = format!("{}.{}.", encode(br#"{"alg":"none"}"#), encode(claims.as_bytes()));
    for (inside, code) in [(claims, "token-not-jwt"), (unsigned, "algorithm-none")] {
        let device = Device { id: "sensor".to_owned(), token: own.encrypt(&inside, "own"), key: key.clone() };
        refused(&broker, &device, code);
    }
}

fn t5_encryption_with_a_shared_key_is_no_signature(ctx: &Ctx) {
    let shared = shared();
    let broker = Setup::with(sharing(&shared)).start(ctx);
    let key = Key::ed25519();
    let claims = Value::Object(broker.setup().authority.claims("sensor", &key).0).to_string();
    let token = |cty| jwe::encrypt_token(claims.as_bytes(), &shared, cty);
    for (token, code) in [
        (token(None), "jwe-content-type"),
        (token(Some("JWT")), "token-not-jwt"),
        (jwe::encrypt(claims.as_bytes(), &shared, Management::A256Kw, "A256GCM"), "jwe-content-type"),
    ] {
        refused(&broker, &Device { id: "sensor".to_owned(), token, key: key.clone() }, code);
    }
}

/// Two servers: the one that may only issue tokens of its own has a key that is not the other's.
fn t5_a_token_must_be_encrypted_for_its_issuer(ctx: &Ctx) {
    let (first, second) = (Key::oct(32).named("first"), Key::oct(32).named("second"));
    let other =
        Authority { issuer: "https://other.test".to_owned(), ..Authority::signing_with(Key::p256().named("other")) };
    let other_keys = other.clone().publishing(&second).jwks();
    let broker = Setup::with(sharing(&first))
        .file("other.jwks", &other_keys)
        .server("[[authorization_server]]")
        .server(r#"issuer = "https://other.test""#)
        .server(r#"jwks = "{dir}/other.jwks""#)
        .start(ctx);
    let device = |authority: &Authority, key: &Key| {
        let device = Device::new(authority, "sensor", Key::ed25519(), |claims| claims);
        device.with_token(&encrypted(&device.token, key))
    };
    let authority = broker.setup().authority.clone();
    served(&broker, &device(&authority, &first));
    served(&broker, &device(&other, &second));
    refused(&broker, &device(&authority, &second), "jwe-issuer-foreign");
    refused(&broker, &device(&other, &first), "jwe-issuer-foreign");
}

fn l1_an_encrypted_token_may_be_handed_over_before(ctx: &Ctx) {
    let shared = shared();
    let broker = Setup::with(sharing(&shared)).mqtt(r#"authz_info_topic = "authz-info""#).start(ctx);
    let device = with_key_inside(&broker, |token| encrypted(token, &shared));
    let mut publisher = Attempt::make(broker.open(), &Connect::new(Protocol::V5, "publisher")).accepted();
    assert_eq!(publisher.publish1("authz-info", device.token.as_bytes()) & 0x80, 0);
    // Altered, it is not taken.
    let altered = format!("{}{}", device.token, encode(&random(3)));
    assert_eq!(publisher.publish1("authz-info", altered.as_bytes()), 0x87);
    // It is held: the client connects without it, and proves its key.
    device.enter(&broker, Way::Challenge).ping();
    let stored = Device { token: String::new(), ..device };
    let attempt = Attempt::make(broker.open(), &Connect::ace("sensor", binary(b"")));
    let answer = stored.challenge_answer(&attempt.nonce());
    attempt.answer(&answer).accepted().round_trip("dev/a");
}
