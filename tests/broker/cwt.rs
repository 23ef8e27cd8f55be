//! T1, T4, T5: CWTs (RFC 8392), wherever a token may come (RFC 9431, sections 2.2.2, 2.2.4 and 6).

use crate::connecting::sharing_authority;
use crate::support::case::cases;
use crate::support::cwt::{self, Cbor, Encryption, Message};
use crate::support::{Attempt, Authority, Broker, Connect, Ctx, Device, Key, Protocol, Setup, Way};

cases! {
    Accept "T1" t1_cwt_by_eddsa_is_accepted_in_every_way;
    Accept "T1" t1_cwt_by_es256_is_accepted_with_and_without_its_tag;
    Accept "T1" t1_cwt_with_a_mac_is_accepted;
    Accept "T1" t1_encrypted_cwt_is_accepted;
    Accept "T1" t1_encrypted_and_signed_cwt_is_accepted;
    Accept "C3" c3_cwt_as_text_is_accepted;
    Refuse "T1" t1_changed_cwt_is_refused;
    Refuse "T1" t1_cwt_with_a_critical_header_is_refused;
    Refuse "T1" t1_cwt_with_an_unprotected_algorithm_is_refused;
    Refuse "T1" t1_cwt_without_a_signature_is_refused;
    Refuse "T1" t1_cwt_with_a_public_key_as_mac_key_is_refused;
    Refuse "T1" t1_cwt_with_bytes_behind_it_is_refused;
    Refuse "T1" t1_cwt_by_an_algorithm_that_is_not_allowed_is_refused;
    Refuse "T3" t3_expired_cwt_is_refused;
    Accept "T4" t4_cwt_with_p256_key_is_accepted;
    Accept "T4" t4_cwt_that_names_a_client_key_is_accepted;
    Refuse "T4" t4_cwt_that_names_nobodys_key_is_refused;
    Accept "T5" t5_encrypted_key_in_a_cwt_is_accepted;
    Refuse "T5" t5_symmetric_key_in_clear_in_a_cwt_is_refused;
    Accept "L1" l1_a_published_cwt_is_held;
    Refuse "L1" l1_a_bad_cwt_is_not_held;
}

const EDDSA: i64 = -8;
const ES256: i64 = -7;
const HMAC: i64 = 5;

const WAYS: [Way; 6] = [
    Way::Exporter,
    Way::Challenge,
    Way::UserName(Protocol::V311),
    Way::UserNameText(Protocol::V5),
    Way::Draft00(Protocol::V311),
    Way::Draft00(Protocol::V5),
];

/// The claims for a device with this `cnf`.
fn claims(authority: &Authority, key: &Key, cnf: Cbor) -> Vec<u8> {
    Cbor::Map(cwt::claims(&authority.claims("sensor", key), cnf)).write()
}

fn device(key: &Key, token: &[u8]) -> Device {
    Device { id: "sensor".to_owned(), key: key.clone(), token: cwt::text(token) }
}

/// A good token's message, for the authorization server's key to sign.
fn message(authority: &Authority, key: &Key) -> Message {
    Message::new(EDDSA, &authority.key, claims(authority, key, cwt::cnf(key)))
}

fn tagged(token: &[u8]) -> Vec<u8> {
    [&[0xd8, 61], token].concat()
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

/// A message that is spoiled, and signed all the same, is refused for this reason.
fn spoiled_is_refused(ctx: &Ctx, spoil: impl FnOnce(&mut Message), code: &str) {
    let broker = Setup::new().start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::ed25519());
    let mut message = message(authority, &key);
    served(&broker, &device(&key, &message.sign1(&authority.key)));
    spoil(&mut message);
    refused(&broker, &device(&key, &message.sign1(&authority.key)), code);
    broker.stop();
}

fn t1_cwt_by_eddsa_is_accepted_in_every_way(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::ed25519());
    let device = device(&key, &tagged(&message(authority, &key).sign1(&authority.key)));
    for way in WAYS {
        device.enter(&broker, way).round_trip("dev/temperature");
    }
    let mut client = device.enter(&broker, Way::Challenge);
    assert_eq!(client.subscribe(&["elsewhere/#"]), [0x87], "the scope holds");
    broker.stop();
}

fn t1_cwt_by_es256_is_accepted_with_and_without_its_tag(ctx: &Ctx) {
    let broker = Setup::with(Authority::signing_with(Key::p256().named("as-key"))).start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::ed25519());
    let token = Message::new(ES256, &authority.key, claims(authority, &key, cwt::cnf(&key))).sign1(&authority.key);
    served(&broker, &device(&key, &token));
    served(&broker, &device(&key, &tagged(&token)));
    broker.stop();
}

fn t1_cwt_with_a_mac_is_accepted(ctx: &Ctx) {
    let broker = Setup::with(Authority::signing_with(Key::oct(32).named("as-key"))).start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::ed25519());
    for (algorithm, bytes) in [(HMAC, 32), (4, 8)] {
        let message = Message::new(algorithm, &authority.key, claims(authority, &key, cwt::cnf(&key)));
        served(&broker, &device(&key, &message.mac0(&authority.key, bytes)));
        let cut = message.mac0(&authority.key, bytes - 1);
        refused(&broker, &device(&key, &cut), "signature-length");
    }
    broker.stop();
}

fn t1_encrypted_cwt_is_accepted(ctx: &Ctx) {
    for (encryption, bytes) in
        [(Encryption::A128Gcm, 16), (Encryption::A256Gcm, 32), (Encryption::AesCcm16Tag64Key128, 16)]
    {
        let shared = Key::oct(bytes).named("shared");
        let broker = Setup::with(Authority::signing_with(shared.clone())).start(ctx);
        // The client's key may stand in it as it is: nobody else can read it.
        let (authority, key) = (&broker.setup().authority, Key::oct(32));
        let token = cwt::encrypt0(encryption, &shared, &claims(authority, &key, cwt::cnf(&key))).write();
        served(&broker, &device(&key, &token));
        let foreign = Key::oct(bytes).named("shared");
        let token = cwt::encrypt0(encryption, &foreign, &claims(authority, &key, cwt::cnf(&key))).write();
        refused(&broker, &device(&key, &token), "cwt-undecryptable");
        broker.stop();
    }
}

fn t1_encrypted_and_signed_cwt_is_accepted(ctx: &Ctx) {
    let shared = Key::oct(16).named("shared");
    let broker = Setup::with(Authority::new().publishing(&shared)).start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::oct(32));
    let signed = message(authority, &key).sign1(&authority.key);
    let token = cwt::encrypt0(Encryption::AesCcm16Tag64Key128, &shared, &signed).write();
    served(&broker, &device(&key, &tagged(&token)));
    let forged = message(authority, &key).sign1(&Key::ed25519());
    let token = cwt::encrypt0(Encryption::AesCcm16Tag64Key128, &shared, &forged).write();
    refused(&broker, &device(&key, &token), "signature-wrong");
    broker.stop();
}

/// As a client was given it in JSON (RFC 9770, section 4.3.1), and has put it where bytes belong.
fn c3_cwt_as_text_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::ed25519());
    let device = device(&key, &message(authority, &key).sign1(&authority.key));
    let text = crate::support::packet::binary(device.token.as_bytes());
    let attempt = Attempt::make(broker.open(), &Connect::ace(&device.id, text));
    let answer = device.challenge_answer(&attempt.nonce());
    attempt.answer(&answer).accepted().round_trip("dev/temperature");
    broker.stop();
}

fn t1_changed_cwt_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::ed25519());
    let mut token = message(authority, &key).sign1(&authority.key);
    let last = token.len() - 10;
    token[last] ^= 1;
    refused(&broker, &device(&key, &token), "signature-wrong");
    broker.stop();
}

fn t1_cwt_with_a_critical_header_is_refused(ctx: &Ctx) {
    let critical = Cbor::Array(vec![Cbor::Int(99)]);
    spoiled_is_refused(ctx, |message| message.protected.extend([(2, critical), (99, Cbor::Int(1))]), "header-critical");
}

fn t1_cwt_with_an_unprotected_algorithm_is_refused(ctx: &Ctx) {
    spoiled_is_refused(ctx, |message| message.unprotected.push(message.protected.remove(0)), "cose-header-unprotected");
}

fn t1_cwt_without_a_signature_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::ed25519());
    let unsigned = message(authority, &key).with_signature(cwt::SIGN1, Vec::new());
    refused(&broker, &device(&key, &unsigned), "signature-length");
    broker.stop();
}

fn t1_cwt_with_a_public_key_as_mac_key_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::ed25519());
    let public = authority.key.jwk().to_string().into_bytes();
    let message = Message::new(HMAC, &authority.key, claims(authority, &key, cwt::cnf(&key)));
    let token = message.mac0(&Key::symmetric(public), 32);
    refused(&broker, &device(&key, &token), "algorithm-key-mismatch");
    broker.stop();
}

fn t1_cwt_with_bytes_behind_it_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::ed25519());
    let token = [message(authority, &key).sign1(&authority.key), vec![0]].concat();
    refused(&broker, &device(&key, &token), "cwt-not-cbor");
    broker.stop();
}

fn t1_cwt_by_an_algorithm_that_is_not_allowed_is_refused(ctx: &Ctx) {
    let shared = Key::oct(16).named("shared");
    let authority = Authority::new().publishing(&shared);
    let broker = Setup::with(authority).server("algorithms = [\"EdDSA\"]").start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::ed25519());
    served(&broker, &device(&key, &message(authority, &key).sign1(&authority.key)));
    let token = cwt::encrypt0(Encryption::A128Gcm, &shared, &claims(authority, &key, cwt::cnf(&key))).write();
    refused(&broker, &device(&key, &token), "algorithm-not-allowed");
    broker.stop();
}

fn t3_expired_cwt_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::ed25519());
    let expired = cwt::claims(&authority.claims("sensor", &key).expires_in(-60), cwt::cnf(&key));
    let token = Message::new(EDDSA, &authority.key, Cbor::Map(expired).write()).sign1(&authority.key);
    refused(&broker, &device(&key, &token), "token-expired");
    broker.stop();
}

fn t4_cwt_with_p256_key_is_accepted(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::p256());
    served(&broker, &device(&key, &message(authority, &key).sign1(&authority.key)));
    broker.stop();
}

/// A token with this `kid` in `cnf`.
fn naming(authority: &Authority, key: &Key, kid: &str) -> Device {
    let cnf = Cbor::Map(vec![(3, Cbor::Bytes(kid.as_bytes().to_vec()))]);
    let message = Message::new(EDDSA, &authority.key, claims(authority, key, cnf));
    device(key, &message.sign1(&authority.key))
}

fn t4_cwt_that_names_a_client_key_is_accepted(ctx: &Ctx) {
    let key = Key::oct(32).named("sensor-key");
    let broker = Setup::new().client_keys(&[&key]).start(ctx);
    served(&broker, &naming(&broker.setup().authority, &key, "sensor-key"));
    broker.stop();
}

fn t4_cwt_that_names_nobodys_key_is_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for kid in ["sensor-key", "as-key"] {
        let device = naming(&broker.setup().authority, &Key::ed25519(), kid);
        refused(&broker, &device, "confirmation-key-unknown");
    }
    broker.stop();
}

fn t5_encrypted_key_in_a_cwt_is_accepted(ctx: &Ctx) {
    let shared = Key::oct(16).named("shared");
    let broker = Setup::with(Authority::new().publishing(&shared)).start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::oct(32));
    let content = claims(authority, &key, cwt::encrypted_cnf(&key, &shared));
    served(&broker, &device(&key, &Message::new(EDDSA, &authority.key, content).sign1(&authority.key)));
    broker.stop();
}

fn t5_symmetric_key_in_clear_in_a_cwt_is_refused(ctx: &Ctx) {
    let (authority, _) = sharing_authority();
    let broker = Setup::with(authority).start(ctx);
    let (authority, key) = (&broker.setup().authority, Key::oct(32));
    let token = message(authority, &key).sign1(&authority.key);
    refused(&broker, &device(&key, &token), "confirmation-key-in-clear");
    broker.stop();
}

fn l1_a_published_cwt_is_held(ctx: &Ctx) {
    let broker = Setup::new().mqtt("authz_info_topic = \"authz-info\"").start(ctx);
    let authority = &broker.setup().authority;
    for (number, protocol) in [Protocol::V311, Protocol::V5].into_iter().enumerate() {
        for as_text in [false, true] {
            let kid = format!("key-{number}-{as_text}");
            let key = Key::ed25519().named(&kid);
            let named = naming(authority, &key, &kid);
            named.attempt(&broker, Way::Challenge).refused(&broker, "confirmation-key-unknown");
            let token = message(authority, &key).sign1(&authority.key);
            let payload = if as_text { cwt::text(&token).into_bytes() } else { token };
            let mut client = Attempt::make(broker.open(), &Connect::new(protocol, "uploader")).accepted();
            let reason = client.publish1("authz-info", &payload);
            assert!([0, 0x10].contains(&reason), "{reason:02x}");
            named.enter(&broker, Way::Challenge).round_trip("dev/held");
        }
    }
    broker.stop();
}

fn l1_a_bad_cwt_is_not_held(ctx: &Ctx) {
    let broker = Setup::new().mqtt("authz_info_topic = \"authz-info\"").start(ctx);
    let authority = &broker.setup().authority;
    let key = Key::ed25519().named("key");
    let forged = message(authority, &key).sign1(&Key::ed25519());
    let mut client = Attempt::make(broker.open(), &Connect::new(Protocol::V5, "uploader")).accepted();
    assert_eq!(client.publish1("authz-info", &forged), 0x87);
    naming(authority, &key, "key").attempt(&broker, Way::Challenge).refused(&broker, "confirmation-key-unknown");
    broker.stop();
}
