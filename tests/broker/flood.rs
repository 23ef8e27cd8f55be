//! R1: a flood of good tokens, each for a key of its own, from one client (RFC 9431, section 8).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::scope;

use serde_json::json;

use crate::support::authority::{AUDIENCE, ISSUER};
use crate::support::case::cases;
use crate::support::key::hmac_sha256;
use crate::support::packet::{self, kind};
use crate::support::{Attempt, Authority, Broker, Client, Connect, Ctx, Device, Key, Protocol, Reply, Setup, Way};
use crate::support::{encode, now};

cases! {
    Refuse "R1" r1_a_flood_of_tokens_takes_no_more_memory_than_configured;
}

const MIB: usize = 1024 * 1024;
const TOPIC: &str = "authz-info";
/// How many tokens the flood has.
const TOKENS: u32 = 100_000;
/// How many are sent before the answers are looked at.
const AT_ONCE: u32 = 250;
/// What the broker is told to hold at most.
const HELD_BYTES_MAX: usize = 24 * MIB;

/// Makes tokens by the thousand. They are for nobody's key, and so no secrets to be looked for.
struct Mint {
    secret: Vec<u8>,
    header: String,
    ends: u64,
}

impl Mint {
    fn new(authority: &Authority) -> Self {
        let header = json!({ "alg": "HS256", "typ": "JWT", "kid": authority.key.kid });
        Self {
            secret: authority.key.secret().to_vec(),
            header: encode(header.to_string().as_bytes()),
            ends: now().as_secs() + 600,
        }
    }

    /// The token with this number: another key, another subject, another end than every other one.
    fn token(&self, number: u32) -> String {
        let mut public = [0x11; 32];
        public[..4].copy_from_slice(&number.to_be_bytes());
        let public = encode(&public);
        let ends = self.ends + u64::from(number) / 1000;
        let claims = format!(
            "{{\"iss\":\"{ISSUER}\",\"aud\":\"{AUDIENCE}\",\"sub\":\"flood-{number}\",\"exp\":{ends},\
             \"cnf\":{{\"jwk\":{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"key-{number}\",\"x\":\"{public}\"}}}},\
             \"scope\":[[\"dev/{number}/#\",[\"pub\"]],[\"all/+/state\",[\"sub\"]]]}}"
        );
        let input = format!("{}.{}", self.header, encode(claims.as_bytes()));
        let mac = hmac_sha256(&self.secret, input.as_bytes());
        format!("{input}.{}", encode(&mac))
    }
}

/// Publishes the tokens with these numbers; each must be taken.
fn flood(client: &mut Client, mint: &Mint, first: u32, count: u32) {
    for start in (first..first + count).step_by(AT_ONCE as usize) {
        let mut packets = Vec::new();
        for number in start..start + AT_ONCE {
            let identifier = (number % 60_000) as u16 + 1;
            let token = mint.token(number);
            packets.extend(packet::publish(Protocol::V5, TOPIC, token.as_bytes(), 1, false, identifier));
        }
        client.send(&packets);
        for number in start..start + AT_ONCE {
            let answer = client.expect(kind::PUBACK);
            assert!(answer.reason() < 0x80, "token {number}: {answer:02x?}");
        }
    }
}

/// Whether the broker holds a token with this device's key: then one that only names the key is challenged.
fn is_held(broker: &Broker, device: &Device) -> bool {
    let authority = &broker.setup().authority;
    let claims = authority.claims(&device.id, &device.key).set("cnf", json!({ "kid": device.key.kid }));
    let client = broker.open();
    let connect = device.with_token(&authority.token(&claims)).connect(&client, Way::Challenge);
    matches!(Attempt::make(client, &connect).reply, Reply::Auth(_))
}

fn r1_a_flood_of_tokens_takes_no_more_memory_than_configured(ctx: &Ctx) {
    let broker = Setup::with(Authority::signing_with(Key::oct(32).named("as-key")))
        .mqtt("authz_info_topic = \"authz-info\"")
        .mqtt("authz_info_rate = 0")
        .mqtt("authz_info_rate_total = 0")
        .tokens(&format!("held_bytes_max = {HELD_BYTES_MAX}"))
        // All but the broker's lines about each packet.
        .conf("log_type none")
        .conf("log_type information")
        .conf("log_type notice")
        .start(ctx);
    let authority = &broker.setup().authority;
    let [soon, late] = [("soon", 300), ("late", 3000)]
        .map(|(id, seconds)| Device::new(authority, id, Key::ed25519().named(id), |claims| claims.expires_in(seconds)));
    let mut client = Attempt::make(broker.open(), &Connect::new(Protocol::V5, "flood")).accepted();
    for device in [&soon, &late] {
        assert!(client.publish1(TOPIC, device.token.as_bytes()) < 0x80);
        assert!(is_held(&broker, device));
    }
    let mut other = broker.device("other").enter(&broker, Way::Challenge);
    other.round_trip("dev/a");
    let mint = Mint::new(authority);
    // What the broker takes once for handling packets in such numbers is not the tokens'.
    let before = broker.resident_bytes();

    let (ended, round_trips) = (AtomicBool::new(false), AtomicUsize::new(0));
    scope(|threads| {
        threads.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                other.round_trip("dev/a");
                round_trips.fetch_add(1, Ordering::Relaxed);
            }
        });
        flood(&mut client, &mint, 0, TOKENS);
        ended.store(true, Ordering::Relaxed);
    });
    let taken = broker.resident_bytes().saturating_sub(before);
    assert!(taken < HELD_BYTES_MAX + 2 * MIB, "{taken} bytes");
    // The bound is what is taken, and not far more than what is.
    assert!(taken > HELD_BYTES_MAX / 2, "{taken} bytes");
    assert!(round_trips.into_inner() >= 20, "another client was hardly served");
    assert!(!is_held(&broker, &soon), "the first to end is still held");
    assert!(is_held(&broker, &late), "the last to end is not held any more");
    client.ping();
    broker.stop();
}
