//! The attacker's catalogue: each attempt is refused, and for its own reason.

use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use crate::support::authority::{mint_raw, now};
use crate::support::case::cases;
use crate::support::device::EXPORTER_WAYS;
use crate::support::key::{der_signature, hmac_sha256, random};
use crate::support::packet::kind;
use crate::support::{Attempt, Authority, Broker, Connect, Ctx, Device, Key, Protocol, Reply, Setup, Way, encode, tls};

cases! {
    Refuse "T1" t1_attack_algorithm_none;
    Refuse "T1" t1_attack_rsa_public_key_as_mac_secret;
    Refuse "T1" t1_attack_ed25519_public_key_as_mac_secret;
    Refuse "T1" t1_attack_algorithm_that_does_not_fit_the_key;
    Refuse "T1" t1_attack_es256_signature_of_zeros;
    Refuse "T1" t1_attack_es256_signature_in_der;
    Refuse "T1" t1_attack_unknown_kid;
    Refuse "T1" t1_attack_own_key_in_the_header;
    Refuse "T1" t1_attack_critical_extension;
    Refuse "T1" t1_attack_padding_and_spaces_around_the_token;
    Refuse "T3" t3_attack_expiry_of_the_wrong_type;
    Refuse "T3" t3_attack_claim_given_twice;
    Refuse "T3" t3_attack_token_for_another_audience;
    Refuse "T3" t3_attack_token_from_another_issuer;
    Refuse "T3" t3_attack_issuer_of_one_server_signed_by_another;
    Refuse "C2" c2_attack_another_clients_token_with_own_key;
    Refuse "C2" c2_attack_captured_connect_on_a_new_connection;
    Refuse "C2" c2_attack_p256_proof_of_zeros;
    Refuse "C2" c2_attack_p256_proof_in_der;
    Refuse "C3" c3_attack_challenge_answer_replayed;
    Refuse "C3" c3_attack_challenge_answered_twice_on_one_connection;
    Refuse "C5" c5_attack_exporter_proof_on_a_resumed_tls13_session;
    Refuse "C5" c5_attack_exporter_proof_on_a_resumed_tls12_session;
    Accept "C5" c5_challenge_works_on_a_resumed_session;
    Refuse "V4" v4_attack_signed_time_and_nonce_replayed;
    Refuse "V4" v4_attack_altered_ecdsa_signature_replayed;
    Refuse "V4" v4_attack_time_outside_the_window;
    Refuse "V4" v4_attack_time_before_the_brokers_start;
    Refuse "C9" c9_attack_reasons_cannot_be_told_apart;
}

/// A token with any header and the usual claims, signed by whatever the attacker has.
fn forged(broker: &Broker, header: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Device {
    let key = Key::ed25519();
    let claims = broker.setup().authority.claims("attacker", &key);
    let payload = Value::Object(claims.0).to_string();
    Device { id: "attacker".to_owned(), key, token: mint_raw(header.to_string().as_bytes(), payload.as_bytes(), sign) }
}

fn refused(broker: &Broker, attacker: &Device, code: &str) {
    for way in [Way::Challenge, Way::Exporter, Way::UserName(Protocol::V311)] {
        attacker.attempt(broker, way).refused(broker, code);
    }
}

fn t1_attack_algorithm_none(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for name in ["none", "None", "NONE", "nOnE"] {
        let header = json!({ "alg": name, "kid": "as-key" });
        let attacker = forged(&broker, &header, |_| Vec::new());
        refused(&broker, &attacker, "algorithm-none");
    }
}

/// Everybody has the public key: as a MAC key it must not count.
fn public_key_as_mac_secret(ctx: &Ctx, key: Key, secret: impl FnOnce(&Value) -> Vec<u8>) {
    let key = key.named("as-key");
    let secret = secret(&key.jwk());
    let broker = Setup::with(Authority::signing_with(key)).start(ctx);
    let header = json!({ "alg": "HS256", "kid": "as-key" });
    let attacker = forged(&broker, &header, |input| hmac_sha256(&secret, input));
    refused(&broker, &attacker, "algorithm-key-mismatch");
}

fn t1_attack_rsa_public_key_as_mac_secret(ctx: &Ctx) {
    public_key_as_mac_secret(ctx, Key::rsa(), |jwk| jwk.to_string().into_bytes());
    public_key_as_mac_secret(ctx, Key::rsa(), |jwk| jwk["n"].as_str().unwrap().as_bytes().to_vec());
}

fn t1_attack_ed25519_public_key_as_mac_secret(ctx: &Ctx) {
    public_key_as_mac_secret(ctx, Key::ed25519(), |jwk| jwk["x"].as_str().unwrap().as_bytes().to_vec());
}

fn t1_attack_algorithm_that_does_not_fit_the_key(ctx: &Ctx) {
    for (key, algorithm) in [
        (Key::ed25519(), "ES256"),
        (Key::p256(), "EdDSA"),
        (Key::p256(), "RS256"),
        (Key::rsa(), "ES256"),
        (Key::oct(32), "EdDSA"),
    ] {
        let broker = Setup::with(Authority::signing_with(key.clone().named("as-key"))).start(ctx);
        let header = json!({ "alg": algorithm, "kid": "as-key" });
        let attacker = forged(&broker, &header, |input| key.sign(input));
        attacker.attempt(&broker, Way::Challenge).refused(&broker, "algorithm-key-mismatch");
    }
}

fn t1_attack_es256_signature_of_zeros(ctx: &Ctx) {
    let broker = Setup::with(Authority::signing_with(Key::p256().named("as-key"))).start(ctx);
    let header = json!({ "alg": "ES256", "kid": "as-key" });
    let attacker = forged(&broker, &header, |_| vec![0; 64]);
    refused(&broker, &attacker, "signature-wrong");
}

fn t1_attack_es256_signature_in_der(ctx: &Ctx) {
    let key = Key::p256().named("as-key");
    let broker = Setup::with(Authority::signing_with(key.clone())).start(ctx);
    let header = json!({ "alg": "ES256", "kid": "as-key" });
    let attacker = forged(&broker, &header, |input| der_signature(&key.sign(input)));
    refused(&broker, &attacker, "signature-length");
}

fn t1_attack_unknown_kid(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let own = Key::ed25519();
    let header = json!({ "alg": "EdDSA", "kid": "../../as-key" });
    let attacker = forged(&broker, &header, |input| own.sign(input));
    refused(&broker, &attacker, "key-unknown");
}

/// A key or an address of a key in the header is the attacker's: it must not be used.
fn t1_attack_own_key_in_the_header(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let own = Key::ed25519();
    let header = json!({
        "alg": "EdDSA", "kid": "as-key", "jwk": own.jwk(), "jku": "https://attacker.test/keys",
    });
    let attacker = forged(&broker, &header, |input| own.sign(input));
    refused(&broker, &attacker, "signature-wrong");
}

fn t1_attack_critical_extension(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let server_key = broker.setup().authority.key.clone();
    for critical in [json!(["exp"]), json!(["b64"]), json!([])] {
        let header = json!({ "alg": "EdDSA", "kid": "as-key", "crit": critical, "b64": true });
        let attacker = forged(&broker, &header, |input| server_key.sign(input));
        refused(&broker, &attacker, "header-critical");
    }
}

fn t1_attack_padding_and_spaces_around_the_token(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("attacker");
    let token = &device.token;
    for changed in [
        format!("{token}="),
        format!("{token} "),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}."),
        format!("{token}.{token}"),
    ] {
        device.with_token(&changed).attempt(&broker, Way::Challenge).refused(&broker, "token-");
    }
}

fn t3_attack_expiry_of_the_wrong_type(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for exp in [json!("9999999999"), json!(true), json!([9_999_999_999u64]), json!({}), json!(-1), json!(1e300)] {
        let authority = &broker.setup().authority;
        let attacker = Device::new(authority, "attacker", Key::ed25519(), |claims| claims.set("exp", exp));
        refused(&broker, &attacker, "claim-malformed");
    }
}

fn t3_attack_claim_given_twice(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let authority = &broker.setup().authority;
    let key = Key::ed25519();
    let claims = Value::Object(authority.claims("attacker", &key).0).to_string();
    let twice = claims.replacen('{', r#"{"exp":9999999999,"#, 1);
    let header = json!({ "alg": "EdDSA", "kid": "as-key" }).to_string();
    let token = mint_raw(header.as_bytes(), twice.as_bytes(), |input| authority.key.sign(input));
    let attacker = Device { id: "attacker".to_owned(), key, token };
    refused(&broker, &attacker, "claims-not-json");
}

fn t3_attack_token_for_another_audience(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for audience in [
        json!("other.test"),
        json!(["other.test", "broker.test.evil"]),
        json!("broker.test "),
        json!("BROKER.TEST"),
        json!([]),
    ] {
        let authority = &broker.setup().authority;
        let attacker = Device::new(authority, "attacker", Key::ed25519(), |claims| claims.set("aud", audience));
        refused(&broker, &attacker, "audience-");
    }
}

fn t3_attack_token_from_another_issuer(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut authority = broker.setup().authority.clone();
    for issuer in ["https://other.test", "https://as.test/", "HTTPS://AS.TEST", ""] {
        authority.issuer = issuer.to_owned();
        let attacker = Device::new(&authority, "attacker", Key::ed25519(), |claims| claims);
        refused(&broker, &attacker, "issuer-unknown");
    }
}

/// Two servers are configured, both with a key called `as-key`: neither speaks for the other.
fn t3_attack_issuer_of_one_server_signed_by_another(ctx: &Ctx) {
    let mut second = Authority::new();
    second.issuer = "https://second.test".to_owned();
    let broker = Setup::new()
        .file("second-jwks.json", &second.jwks())
        .server("[[authorization_server]]")
        .server(r#"issuer = "https://second.test""#)
        .server(r#"jwks = "{dir}/second-jwks.json""#)
        .start(ctx);
    let honest = Device::new(&second, "second", Key::ed25519(), |claims| claims);
    honest.enter(&broker, Way::Challenge).round_trip("dev/temperature");
    let first = broker.setup().authority.issuer.clone();
    let attacker = Device::new(&second, "attacker", Key::ed25519(), |claims| claims.set("iss", first));
    refused(&broker, &attacker, "signature-wrong");
}

fn c2_attack_another_clients_token_with_own_key(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let victim = broker.device("victim");
    let attacker = broker.device("attacker").with_token(&victim.token);
    for way in EXPORTER_WAYS {
        attacker.attempt(&broker, way).refused(&broker, "proof-wrong");
    }
    attacker.attempt(&broker, Way::Challenge).refused(&broker, "proof-wrong");
}

fn c2_attack_captured_connect_on_a_new_connection(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for (number, way) in EXPORTER_WAYS.into_iter().enumerate() {
        let victim = broker.device(&format!("victim-{number}"));
        for config in [tls::tls13, tls::tls12] {
            let client = broker.open_with(config());
            let captured = victim.connect(&client, way);
            let mut client = Attempt::make(client, &captured).accepted();
            Attempt::make(broker.open_with(config()), &captured).refused(&broker, "proof-wrong");
            // Nor does the attempt push its namesake out.
            client.round_trip("dev/temperature");
        }
    }
}

fn c2_attack_p256_proof_of_zeros(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device_with("attacker", Key::p256());
    let data = [crate::support::packet::binary(device.token.as_bytes()), vec![0; 64]].concat();
    Attempt::make(broker.open(), &Connect::ace("attacker", data)).refused(&broker, "proof-wrong");
    let user_name = format!("ace{}", device.token);
    let connect = Connect::credentials(Protocol::V311, "attacker-311", user_name.as_bytes(), &[0; 64]);
    Attempt::make(broker.open(), &connect).refused(&broker, "proof-");
}

fn c2_attack_p256_proof_in_der(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device_with("attacker", Key::p256());
    let client = broker.open();
    let der = der_signature(&device.key.sign(&client.exporter()));
    let data = [crate::support::packet::binary(device.token.as_bytes()), der].concat();
    Attempt::make(client, &Connect::ace("attacker", data)).refused(&broker, "authentication-data-too-long");
    let client = broker.open();
    let der = der_signature(&device.key.sign(&client.exporter()));
    let user_name = format!("ace{}", device.token);
    let connect = Connect::credentials(Protocol::V311, "attacker", user_name.as_bytes(), &der);
    Attempt::make(client, &connect).refused(&broker, "proof-");
}

/// The CONNECT of C3, not answered yet.
fn challenged(broker: &Broker, device: &Device) -> Attempt {
    let client = broker.open();
    let connect = device.connect(&client, Way::Challenge);
    Attempt::make(client, &connect)
}

fn c3_attack_challenge_answer_replayed(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let victim = broker.device("victim");
    let attempt = challenged(&broker, &victim);
    let captured = victim.challenge_answer(&attempt.nonce());
    attempt.answer(&captured).accepted();
    challenged(&broker, &victim).answer(&captured).refused(&broker, "proof-wrong");
}

/// A nonce is good for one answer: after a wrong one there is no second try.
fn c3_attack_challenge_answered_twice_on_one_connection(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("attacker");
    let attempt = challenged(&broker, &device);
    let nonce = attempt.nonce();
    let wrong = device.with_key(Key::ed25519()).challenge_answer(&nonce);
    let right = device.challenge_answer(&nonce);
    let mut client = attempt.client;
    for answer in [wrong, right] {
        client.send(&crate::support::packet::auth(0x18, Some(&answer)));
    }
    let came = client.expect_close();
    assert_eq!((came[0].kind(), came[0].reason()), (kind::CONNACK, 0x87), "{came:02x?}");
    assert!(came[1..].iter().all(|packet| packet.kind() == kind::DISCONNECT), "{came:02x?}");
    broker.expect_refusal("attacker", "proof-wrong");
}

/// A client that has a session to resume, and the connection that resumes it.
fn resumed(broker: &Broker, version: &'static rustls::SupportedProtocolVersion) -> crate::support::Client {
    let config = tls::resuming(version);
    let first = broker.open_with(config.clone());
    // Reading the answers, the TLS client finds the session ticket among them.
    let mut client = broker.device("first").attempt_over(first, Way::Challenge).accepted();
    client.round_trip("dev/temperature");
    drop(client);
    let second = broker.open_with(config);
    assert!(second.is_resumed(), "the broker resumed no session");
    second
}

fn exporter_proof_on_a_resumed_session(ctx: &Ctx, version: &'static rustls::SupportedProtocolVersion) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("attacker");
    for way in EXPORTER_WAYS {
        device.attempt_over(resumed(&broker, version), way).refused(&broker, "exporter-resumed");
    }
}

fn c5_attack_exporter_proof_on_a_resumed_tls13_session(ctx: &Ctx) {
    exporter_proof_on_a_resumed_session(ctx, &TLS13);
}

fn c5_attack_exporter_proof_on_a_resumed_tls12_session(ctx: &Ctx) {
    exporter_proof_on_a_resumed_session(ctx, &TLS12);
}

fn c5_challenge_works_on_a_resumed_session(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for version in [&TLS13, &TLS12] {
        broker
            .device("sensor")
            .attempt_over(resumed(&broker, version), Way::Challenge)
            .accepted()
            .round_trip("dev/temperature");
    }
}

/// A CONNECT with signed time and nonce.
fn signed_connect(device: &Device, ts: u64) -> Connect {
    let password = device.signed_password(ts, &encode(&random(16)));
    device.draft00(Protocol::V311, &password)
}

fn v4_attack_signed_time_and_nonce_replayed(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    crate::mqtt311::wait_for_fresh_second();
    let victim = broker.device("victim");
    let captured = signed_connect(&victim, now().as_secs());
    Attempt::make(broker.open(), &captured).accepted();
    for _ in 0..2 {
        Attempt::make(broker.open(), &captured).refused(&broker, "draft00-replayed");
    }
    // Its next own one is good.
    let next = signed_connect(&victim, now().as_secs());
    Attempt::make(broker.open(), &next).accepted();
}

/// If (r, s) is a good ECDSA signature, so is (r, n − s): a replay cache over signatures would miss it.
fn v4_attack_altered_ecdsa_signature_replayed(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    crate::mqtt311::wait_for_fresh_second();
    let victim = broker.device_with("victim", Key::p256());
    let nonce = encode(&random(16));
    let mut password = victim.signed_password(now().as_secs(), &nonce);
    Attempt::make(broker.open(), &victim.draft00(Protocol::V311, &password)).accepted();
    password["mac"] = json!(altered(password["mac"].as_str().unwrap()));
    Attempt::make(broker.open(), &victim.draft00(Protocol::V311, &password)).refused(&broker, "draft00-replayed");
}

/// The other signature that verifies: n − s in the place of s.
fn altered(signature: &str) -> String {
    use base64::Engine as _;
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
        0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut bytes = engine.decode(signature).unwrap();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i32::from(ORDER[at]) - i32::from(bytes[32 + at]) - borrow;
        borrow = i32::from(difference < 0);
        bytes[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    encode(&bytes)
}

fn v4_attack_time_outside_the_window(ctx: &Ctx) {
    let broker = Setup::new().tokens(r#"draft00_window = "10s""#).start(ctx);
    crate::mqtt311::wait_for_fresh_second();
    let device = broker.device("attacker");
    for ts in [now().as_secs() + 60, u64::MAX / 4, now().as_secs() - 60, 0] {
        Attempt::make(broker.open(), &signed_connect(&device, ts)).refused(&broker, "draft00-");
    }
    for ts in [now().as_secs() + 5, now().as_secs()] {
        Attempt::make(broker.open(), &signed_connect(&device, ts)).accepted();
    }
}

/// What was used before a restart is forgotten, so nothing from before the start may count.
fn v4_attack_time_before_the_brokers_start(ctx: &Ctx) {
    let before = now().as_secs() - 1;
    let broker = Setup::new().start(ctx);
    let device = broker.device("attacker");
    Attempt::make(broker.open(), &signed_connect(&device, before)).refused(&broker, "draft00-before-start");
}

fn c9_attack_reasons_cannot_be_told_apart(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let authority = broker.setup().authority.clone();
    let good = broker.device("attacker");
    let expired = Device::new(&authority, "attacker", Key::ed25519(), |claims| claims.expires_in(-60));
    let elsewhere = Device::new(&authority, "attacker", Key::ed25519(), |claims| claims.set("aud", "other.test"));
    let mut connacks = Vec::new();
    for way in [Way::Challenge, Way::Exporter] {
        for (device, code) in [
            (&good.with_key(Key::ed25519()), "proof-wrong"),
            (&good.with_token("no-token"), "token-not-jwt"),
            (&expired, "token-expired"),
            (&elsewhere, "audience-foreign"),
        ] {
            let Reply::Connack(connack) = &device.attempt(&broker, way).reply else {
                panic!("no CONNACK");
            };
            connacks.push(connack.clone());
            broker.expect_refusal("attacker", code);
        }
    }
    let truncated = Attempt::make(broker.open(), &Connect::ace("attacker", vec![0xff]));
    connacks.push(truncated.refused(&broker, "authentication-data-truncated"));
    connacks.push(challenged(&broker, &good).answer(b"short").refused(&broker, "challenge-answer-truncated"));
    assert!(connacks.windows(2).all(|pair| pair[0] == pair[1]), "{connacks:02x?}");
}
