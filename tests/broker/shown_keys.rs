//! T4 and V4: tokens that name their key by a thumbprint (RFC 9449, section 6.1), and clients that show it.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::mqtt311::wait_for_fresh_second;
use crate::mutual_tls::Holder;
use crate::support::case::cases;
use crate::support::packet::binary;
use crate::support::pki::pki;
use crate::support::setup::MUTUAL;
use crate::support::{
    Answer, Attempt, Authority, Broker, Connect, Ctx, Device, Gate, HttpsServer, Key, Protocol, Setup, Way, encode, now,
};

cases! {
    Accept "T4" t4_a_key_named_by_its_thumbprint_is_shown_and_proved;
    Accept "T4" t4_a_token_for_the_key_of_the_handshake_may_name_it_by_its_thumbprint;
    Accept "L3" l3_a_token_that_names_the_certificates_key_by_its_thumbprint_is_held;
    Refuse "T4" t4_a_key_that_is_not_shown_is_refused;
    Refuse "T4" t4_another_key_than_the_tokens_is_refused;
    Refuse "T4" t4_a_shown_key_must_be_public;
    Refuse "T4" t4_a_shown_key_must_be_proved;
    Refuse "T4" t4_a_key_beside_a_token_that_has_one_must_be_the_same;
    Accept "C3" c3_a_token_that_turns_out_to_be_bound_to_the_handshake_is_taken;
    Refuse "C3" c3_a_token_that_turns_out_to_be_bound_to_the_handshake_is_not_proved_by_any_answer;
    Accept "C4" c4_a_token_whose_key_was_shown_is_held_with_it;
}

/// The thumbprint of a public key (RFC 7638).
pub fn thumbprint(key: &Key) -> String {
    let jwk = key.jwk();
    let names: &[&str] = if jwk["kty"] == "EC" { &["crv", "kty", "x", "y"] } else { &["crv", "kty", "x"] };
    let members: Vec<String> = names.iter().map(|name| format!("{}:{}", json!(name), jwk[name])).collect();
    encode(digest(&SHA256, format!("{{{}}}", members.join(",")).as_bytes()).as_ref())
}

/// A device whose token names its key by the thumbprint.
fn device(broker: &Broker, key: Key) -> Device {
    let jkt = thumbprint(&key);
    Device::new(&broker.setup().authority, "sensor", key, |claims| claims.set("cnf", json!({ "jkt": jkt })))
}

/// The draft's form over the exporter's value, with this JWK beside it.
pub fn showing(broker: &Broker, device: &Device, protocol: Protocol, jwk: Option<Value>) -> Attempt {
    let client = broker.open();
    let mut password = json!({ "access_token": device.token, "mac": encode(&device.key.sign(&client.exporter())) });
    if let Some(jwk) = jwk {
        password["jwk"] = jwk;
    }
    Attempt::make(client, &device.draft00(protocol, &password))
}

fn t4_a_key_named_by_its_thumbprint_is_shown_and_proved(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    wait_for_fresh_second();
    for key in [Key::ed25519(), Key::p256(), Key::p256().named("chosen")] {
        let device = device(&broker, key.clone());
        for protocol in [Protocol::V311, Protocol::V5] {
            showing(&broker, &device, protocol, Some(key.jwk())).accepted().round_trip("dev/a");
            let mut password = device.signed_password(now().as_secs(), &encode(&crate::support::key::random(16)));
            password["jwk"] = key.jwk();
            Attempt::make(broker.open(), &device.draft00(protocol, &password)).accepted().round_trip("dev/b");
        }
    }
}

fn t4_a_token_for_the_key_of_the_handshake_may_name_it_by_its_thumbprint(ctx: &Ctx) {
    let broker = Setup::new().listener(&MUTUAL).start(ctx);
    for key in [Key::ed25519(), Key::p256()] {
        let holder = Holder::new(key.clone());
        let device = device(&broker, key);
        let ace = Connect::ace("sensor", binary(device.token.as_bytes()));
        holder.attempt(&broker, 0, &ace).accepted().round_trip("dev/a");
        let user_name = format!("ace{}", device.token);
        let named = Connect::credentials(Protocol::V311, "sensor", user_name.as_bytes(), b"");
        holder.attempt(&broker, 0, &named).accepted().round_trip("dev/b");
        // The certificate of somebody else does not do.
        let other = Holder::new(Key::ed25519());
        other.attempt(&broker, 0, &ace).refused(&broker, "shown-key-missing");
        other.attempt(&broker, 0, &named).refused(&broker, "shown-key-missing");
    }
}

fn l3_a_token_that_names_the_certificates_key_by_its_thumbprint_is_held(ctx: &Ctx) {
    let broker = Setup::new().listener(&MUTUAL).mqtt(r#"authz_info_topic = "authz-info""#).start(ctx);
    let holder = Holder::new(Key::p256());
    let device = device(&broker, holder.key());
    let mut publisher = Attempt::make(broker.open(), &Connect::new(Protocol::V5, "publisher")).accepted();
    assert_eq!(publisher.publish1("authz-info", device.token.as_bytes()) & 0x80, 0);
    holder.attempt(&broker, 0, &Connect::new(Protocol::V311, "sensor")).accepted().round_trip("dev/a");
}

fn t4_a_key_that_is_not_shown_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = device(&broker, Key::ed25519());
    wait_for_fresh_second();
    for way in [
        Way::Exporter,
        Way::Challenge,
        Way::UserName(Protocol::V311),
        Way::UserNameText(Protocol::V311),
        Way::Draft00(Protocol::V311),
        Way::Draft00Signed(Protocol::V5),
    ] {
        device.attempt(&broker, way).refused(&broker, "shown-key-missing");
    }
}

fn t4_another_key_than_the_tokens_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = device(&broker, Key::ed25519());
    let other = Key::ed25519();
    let attempt = showing(&broker, &device.with_key(other.clone()), Protocol::V311, Some(other.jwk()));
    attempt.refused(&broker, "shown-key-mismatch");
    showing(&broker, &device, Protocol::V311, Some(other.jwk())).refused(&broker, "shown-key-mismatch");
}

fn t4_a_shown_key_must_be_public(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = device(&broker, Key::ed25519());
    let mut private = device.key.jwk();
    private["d"] = json!(encode(&[7; 32]));
    for (jwk, code) in [
        (private, "shown-key-not-public"),
        (json!({ "kty": "oct", "k": encode(&[7; 32]) }), "shown-key-not-public"),
        (Key::rsa().jwk(), "shown-key-unusable"),
        (json!({ "kty": "EC", "crv": "P-256", "x": encode(&[7; 32]), "y": encode(&[7; 32]) }), "shown-key-unusable"),
        (json!("key"), "shown-key-malformed"),
        (json!({}), "shown-key-malformed"),
    ] {
        showing(&broker, &device, Protocol::V311, Some(jwk)).refused(&broker, code);
    }
}

fn t4_a_shown_key_must_be_proved(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = device(&broker, Key::ed25519());
    // Whoever has seen token and key, and has not the private half.
    let thief = device.with_key(Key::ed25519());
    showing(&broker, &thief, Protocol::V311, Some(device.key.jwk())).refused(&broker, "proof-wrong");
}

fn t4_a_key_beside_a_token_that_has_one_must_be_the_same(ctx: &Ctx) {
    let broker = Setup::new().tokens("allow_bearer = true").start(ctx);
    let device = broker.device("sensor");
    showing(&broker, &device, Protocol::V311, Some(device.key.jwk())).accepted().round_trip("dev/a");
    let other = Key::ed25519();
    showing(&broker, &device, Protocol::V311, Some(other.jwk())).refused(&broker, "shown-key-mismatch");
    let bearer = Device::new(&broker.setup().authority, "sensor", other, |claims| claims.without("cnf"));
    showing(&broker, &bearer, Protocol::V311, Some(bearer.key.jwk())).refused(&broker, "proof-without-key");
}

/// A broker whose server does not tell its keys before the gate opens: until then no token can be judged, and challenges go out
/// to clients whose tokens turn out to need none.
fn waiting_for_keys(ctx: &Ctx, gate: &Gate) -> (Broker, HttpsServer) {
    let authority = Authority::new();
    let keys = Answer::ok("application/jwk-set+json", authority.jwks().into_bytes()).when(gate);
    let server = HttpsServer::start(move |_| keys.clone());
    let setup = Setup::with(authority).keys_by_url(Some(&server.url("/jwks"))).server(r#"ca_file = "{dir}/as-ca.pem""#);
    (setup.file("as-ca.pem", &pki().authority).listener(&MUTUAL).start(ctx), server)
}

/// Tokens for this holder's certificate and for its key.
fn bound_to_handshake(broker: &Broker, holder: &Holder) -> [Device; 2] {
    let named = device(broker, holder.key());
    [holder.device(broker, "sensor", |claims| claims), named]
}

fn c3_a_token_that_turns_out_to_be_bound_to_the_handshake_is_taken(ctx: &Ctx) {
    for index in [0, 1] {
        let gate = Gate::shut();
        let (broker, _server) = waiting_for_keys(ctx, &gate);
        let holder = Holder::new(Key::p256());
        let device = &bound_to_handshake(&broker, &holder)[index];
        let attempt = holder.attempt(&broker, 0, &Connect::ace("sensor", binary(device.token.as_bytes())));
        let answer = device.challenge_answer(&attempt.nonce());
        gate.open();
        attempt.answer(&answer).accepted().round_trip("dev/a");
    }
}

fn c3_a_token_that_turns_out_to_be_bound_to_the_handshake_is_not_proved_by_any_answer(ctx: &Ctx) {
    for (index, code) in [(0, "certificate-mismatch"), (1, "shown-key-missing")] {
        for has_certificate in [false, true] {
            let gate = Gate::shut();
            let (broker, _server) = waiting_for_keys(ctx, &gate);
            let device = &bound_to_handshake(&broker, &Holder::new(Key::p256()))[index];
            let connect = Connect::ace("sensor", binary(device.token.as_bytes()));
            let attempt = match has_certificate {
                true => Holder::new(Key::p256()).attempt(&broker, 0, &connect),
                false => Attempt::make(broker.open(), &connect),
            };
            // The proof is good, as far as it goes: but not what this token asks for.
            let answer = device.challenge_answer(&attempt.nonce());
            gate.open();
            attempt.answer(&answer).refused(&broker, code);
        }
    }
}

fn c4_a_token_whose_key_was_shown_is_held_with_it(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = device(&broker, Key::p256());
    drop(showing(&broker, &device, Protocol::V5, Some(device.key.jwk())).accepted());
    let stored = Device { token: String::new(), ..device.clone() };
    stored.enter(&broker, Way::Challenge).round_trip("dev/a");
    stored.with_key(Key::p256()).attempt(&broker, Way::Challenge).refused(&broker, "proof-wrong");
}
