//! T8: keys that the authorization server publishes, and changes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::broker::free_port;
use crate::support::case::cases;
use crate::support::key::random;
use crate::support::pki::pki;
use crate::support::programs::{AuthorizationServer, CLIENT, ace_mqtt};
use crate::support::{
    Answer, Authority, Broker, Ctx, Device, Gate, HttpsServer, Key, PATIENCE, Protocol, Reply, Setup, Way, encode,
    secrets,
};

cases! {
    Accept "T8" t8_token_is_good_by_keys_that_were_fetched;
    Accept "T8" t8_first_client_waits_for_the_keys;
    Accept "T8" t8_server_may_come_after_the_broker;
    Accept "T8" t8_new_key_counts_as_soon_as_it_is_published;
    Accept "T8" t8_new_key_without_a_name_counts_where_none_fits;
    Refuse "T8" t8_withdrawn_key_counts_no_more;
    Refuse "T8" t8_unknown_keys_are_asked_for_within_bounds;
    Refuse "T8" t8_keys_that_are_no_secret_do_not_sign;
    Accept "T8" t8_one_bad_key_does_not_spoil_the_others;
    Accept "T8" t8_unusable_answers_leave_the_keys_in_force;
    Refuse "T8" t8_unusable_answers_bring_no_keys;
    Refuse "T8" t8_server_that_cannot_be_verified_is_not_believed;
    Accept "T8" t8_reload_keeps_what_was_fetched;
    Refuse "T8" t8_keys_of_another_url_are_not_kept;
    Accept "T8" t8_keys_are_found_by_the_issuers_name;
    Accept "T8" t8_keys_that_move_are_followed;
    Refuse "T8" t8_metadata_of_another_are_not_believed;
    Accept "T8" t8_where_to_ask_about_tokens_is_found_too;
    Refuse "T8" t8_nobody_is_asked_about_tokens_before_it_is_known_where;
    Accept "T8" t8_token_waits_for_its_key_and_then_for_its_server;
    Accept "T8" t8_ace_as_is_found_by_its_name;
    Accept "T8" t8_hundred_clients_a_second_while_keys_change;
}

const MEDIA_TYPE: &str = "application/jwk-set+json";
const WAYS: [Way; 3] = [Way::Exporter, Way::Challenge, Way::UserName(Protocol::V311)];
/// The plugin's bounds, as its documentation says: fetches in a row because of tokens, then one in this time; the shortest age.
const BURST: usize = 3;
const REFILL: Duration = Duration::from_secs(5);
const SHORTEST_AGE: u64 = 5;

fn set(keys: &[Value], max_age: u64) -> Answer {
    let body = json!({ "keys": keys }).to_string().into_bytes();
    Answer::ok(MEDIA_TYPE, body).header("Cache-Control", &format!("public, max-age={max_age}"))
}

/// Signs tokens with a key of this name.
fn authority(kid: &str) -> Authority {
    Authority::signing_with(Key::ed25519().named(kid))
}

fn device(authority: &Authority, id: &str) -> Device {
    Device::new(authority, id, Key::ed25519(), |claims| claims)
}

/// A server that publishes what a case says.
struct Publisher {
    server: HttpsServer,
    answer: Arc<Mutex<Answer>>,
}

impl Publisher {
    /// One that publishes the keys of these, good for an hour.
    fn start(authorities: &[&Authority]) -> Self {
        Self::answering(0, keys_of(authorities, 3600))
    }

    fn answering(port: u16, answer: Answer) -> Self {
        let answer = Arc::new(Mutex::new(answer));
        let current = Arc::clone(&answer);
        Self { server: HttpsServer::start_at(port, move |_| current.lock().unwrap().clone()), answer }
    }

    fn publish(&self, authorities: &[&Authority]) {
        self.answer(keys_of(authorities, 3600));
    }

    fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The beginnings of a broker that fetches its keys, and takes tokens of this one's.
    fn setup(&self, authority: &Authority) -> Setup {
        fetching(&self.server.url("/jwks"), authority)
    }
}

fn keys_of(authorities: &[&Authority], max_age: u64) -> Answer {
    let keys: Vec<_> = authorities.iter().map(|authority| authority.key.jwk()).collect();
    set(&keys, max_age)
}

fn trusting(setup: Setup) -> Setup {
    setup.file("as-ca.pem", &pki().authority).server("ca_file = \"{dir}/as-ca.pem\"")
}

fn fetching(url: &str, authority: &Authority) -> Setup {
    trusting(Setup::with(authority.clone())).keys_by_url(Some(url))
}

/// Waits until so many keys are in force.
fn in_force(broker: &Broker, keys: usize) {
    broker.wait_for_line(&["ace: the keys of ", &format!("are in force: {keys}")]);
}

fn t8_token_is_good_by_keys_that_were_fetched(ctx: &Ctx) {
    let authority = authority("one");
    let publisher = Publisher::start(&[&authority]);
    let broker = publisher.setup(&authority).start(ctx);
    in_force(&broker, 1);
    for way in WAYS {
        broker.device(&format!("{way:?}")).enter(&broker, way).round_trip("dev/a");
    }
    let requests = publisher.server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests.iter().all(|request| request.target == "/jwks" && request.authorization.is_none()));
    broker.stop();
}

/// It is there before them, and before any TICK that has looked for them.
fn t8_first_client_waits_for_the_keys(ctx: &Ctx) {
    let authority = authority("one");
    let publisher = Publisher::start(&[&authority]);
    let late = keys_of(&[&authority], 3600).after(Duration::from_millis(300));
    publisher.answer(late);
    let broker = publisher.setup(&authority).start(ctx);
    broker.device("first").enter(&broker, Way::Challenge).round_trip("dev/a");
    broker.stop();
}

fn t8_server_may_come_after_the_broker(ctx: &Ctx) {
    let authority = authority("one");
    let port = free_port();
    let broker = fetching(&format!("https://localhost:{port}/jwks"), &authority).start(ctx);
    broker.wait_for_line(&["ace: the keys of https://as.test", "cannot be reached", "its tokens cannot be judged"]);
    for way in WAYS {
        broker.device(&format!("early {way:?}")).attempt(&broker, way).unavailable(&broker);
    }
    let _publisher = Publisher::answering(port, keys_of(&[&authority], 3600));
    in_force(&broker, 1);
    for way in WAYS {
        broker.device(&format!("{way:?}")).enter(&broker, way).round_trip("dev/a");
    }
    assert_eq!(broker.stop().matches("cannot be had").count(), 1, "told once");
}

fn t8_new_key_counts_as_soon_as_it_is_published(ctx: &Ctx) {
    for way in WAYS {
        let (old, new) = (authority("old"), authority("new"));
        let publisher = Publisher::start(&[&old]);
        let broker = publisher.setup(&old).start(ctx);
        in_force(&broker, 1);
        publisher.publish(&[&old, &new]);
        device(&new, "new").enter(&broker, way).round_trip("dev/a");
        device(&old, "old").enter(&broker, way).round_trip("dev/a");
        assert_eq!(publisher.server.requests().len(), 2);
    }
}

/// Neither the keys nor the tokens have a `kid`.
fn t8_new_key_without_a_name_counts_where_none_fits(ctx: &Ctx) {
    let (old, new) = (Authority::signing_with(Key::p256()), Authority::signing_with(Key::ed25519()));
    let publisher = Publisher::start(&[&old]);
    let broker = publisher.setup(&old).start(ctx);
    in_force(&broker, 1);
    device(&new, "early").attempt(&broker, Way::Challenge).refused(&broker, "key-missing");
    publisher.publish(&[&old, &new]);
    for authority in [&old, &new] {
        device(authority, authority.key.algorithm()).enter(&broker, Way::Challenge).round_trip("dev/a");
    }
    // What does not verify is no reason to ask.
    let forged = Authority::signing_with(Key::ed25519());
    device(&forged, "forged").attempt(&broker, Way::Challenge).refused(&broker, "signature-wrong");
    assert_eq!(publisher.server.requests().len(), 3);
    assert!(broker.stop().contains("succeeded=3 failed=0 for_unknown_keys=2 limited=0 age_s="));
}

fn t8_withdrawn_key_counts_no_more(ctx: &Ctx) {
    let (old, new) = (authority("old"), authority("new"));
    let publisher = Publisher::start(&[]);
    publisher.answer(keys_of(&[&old, &new], SHORTEST_AGE));
    let broker = publisher.setup(&old).start(ctx);
    in_force(&broker, 2);
    let mut connected = device(&old, "connected").enter(&broker, Way::Challenge);
    // Nobody comes with an unknown key: it is the set's age that tells.
    publisher.answer(keys_of(&[&new], 3600));
    in_force(&broker, 1);
    for way in WAYS {
        device(&old, &format!("old {way:?}")).attempt(&broker, way).refused(&broker, "key-unknown");
        device(&new, &format!("new {way:?}")).enter(&broker, way).round_trip("dev/a");
    }
    connected.round_trip("dev/a");
    broker.stop();
}

/// Whoever makes tokens with keys that nobody has cannot have the server asked more often than that, and cannot keep out others.
fn t8_unknown_keys_are_asked_for_within_bounds(ctx: &Ctx) {
    let (one, new) = (authority("one"), authority("new"));
    let publisher = Publisher::start(&[&one]);
    let broker = publisher.setup(&one).start(ctx);
    in_force(&broker, 1);
    let begun = Instant::now();
    for number in 0..BURST {
        let stranger = authority(&format!("nobody-{number}"));
        device(&stranger, "stranger").attempt(&broker, Way::Challenge).refused(&broker, "key-unknown");
    }
    // The thread does not wait until it is time.
    let stranger = device(&authority("nobody"), "in CONNECT");
    stranger.attempt(&broker, Way::Exporter).unavailable(&broker);
    publisher.publish(&[&one, &new]);
    thread::scope(|scope| {
        let broker = &broker;
        let strangers: Vec<_> = (0..20)
            .map(|number| {
                let stranger = device(&authority(&format!("nobody {number}")), &format!("stranger {number}"));
                scope.spawn(move || stranger.attempt(broker, Way::Challenge).refused(broker, "key-unknown"))
            })
            .collect();
        device(&new, "new").enter(broker, Way::Challenge).round_trip("dev/a");
        for stranger in strangers {
            stranger.join().unwrap();
        }
    });
    let refills = begun.elapsed().as_secs() / REFILL.as_secs() + 1;
    let most = 1 + BURST + usize::try_from(refills).unwrap();
    let asked = publisher.server.requests().len();
    assert!(asked <= most, "{asked} requests, {most} at most");
    device(&one, "one").enter(&broker, Way::Exporter).round_trip("dev/a");
}

/// What is in the published set is known to everybody.
fn t8_keys_that_are_no_secret_do_not_sign(ctx: &Ctx) {
    let good = authority("good");
    let shared = Authority::signing_with(Key::oct(32).named("shared"));
    let private = authority("private");
    let publisher = Publisher::start(&[]);
    publisher.answer(set(&[shared.key.jwk(), private.key.private_jwk(), good.key.jwk()], 3600));
    let broker = publisher.setup(&good).start(ctx);
    broker.wait_for_line(&[
        "are in force: 1; 2 are not taken: key 0: ",
        "symmetric or has its private half",
        "; key 1: ",
    ]);
    for (authority, id) in [(shared, "shared"), (private, "private")] {
        device(&authority, id).attempt(&broker, Way::Challenge).refused(&broker, "key-unknown");
    }
    device(&good, "good").enter(&broker, Way::Challenge).round_trip("dev/a");
}

fn t8_one_bad_key_does_not_spoil_the_others(ctx: &Ctx) {
    let good = authority("good");
    let for_encryption = {
        let mut jwk = authority("for-encryption").key.jwk();
        jwk["use"] = json!("enc");
        jwk
    };
    let weak = json!({ "kty": "RSA", "kid": "weak", "n": "AQAB", "e": "AQAB" });
    let publisher = Publisher::start(&[]);
    publisher.answer(set(&[json!({ "kty": "AKP" }), weak, json!(7), for_encryption, good.key.jwk()], 3600));
    let broker = publisher.setup(&good).start(ctx);
    broker.wait_for_line(&["are in force: 2; 3 are not taken: key 0: ", "; key 1: ", "; key 2: "]);
    for way in WAYS {
        device(&good, &format!("{way:?}")).enter(&broker, way).round_trip("dev/a");
    }
    let other = Authority { key: Key::ed25519().named("for-encryption"), ..good };
    device(&other, "other").attempt(&broker, Way::Challenge).refused(&broker, "algorithm-key-mismatch");
}

/// What a server may say instead of its keys, and what the log makes of it. The other server has good keys.
fn unusable(other: &HttpsServer) -> Vec<(Answer, &'static str)> {
    let oct = Key::oct(32).named("shared").jwk();
    vec![
        (Answer::status(500), "status 500"),
        (Answer::status(404), "status 404"),
        (Answer::status(503).header("Retry-After", "1"), "status 503"),
        (Answer::redirect(&other.url("/jwks")), "status 302"),
        (Answer::ok("text/html", b"<html>".to_vec()), "another type"),
        (Answer::ok(MEDIA_TYPE, b"nonsense".to_vec()), "cannot be used"),
        (Answer::ok(MEDIA_TYPE, b"{\"keys\":{}}".to_vec()), "cannot be used"),
        (set(&[], 3600), "cannot be used for signatures"),
        (set(&[oct], 3600), "cannot be used for signatures"),
        (Answer::ok(MEDIA_TYPE, vec![b' '; 10 * 1024 * 1024]), "more than 1048576 bytes"),
        (Answer::ok(MEDIA_TYPE, vec![b' '; 4096]).endless(), "more than 1048576 bytes"),
        (Answer::closed(), "cannot be reached"),
        (Answer::never(), "no answer within 1s"),
    ]
}

fn t8_unusable_answers_leave_the_keys_in_force(ctx: &Ctx) {
    let (one, unknown) = (authority("one"), authority("unknown"));
    let elsewhere = Publisher::start(&[&one, &unknown]);
    for (answer, complaint) in unusable(&elsewhere.server) {
        let publisher = Publisher::start(&[&one]);
        let broker = publisher.setup(&one).server("timeout = \"1s\"").start(ctx);
        in_force(&broker, 1);
        publisher.answer(answer);
        // The one that has it asked cannot be judged, and does not disturb the others.
        device(&unknown, "unknown").attempt(&broker, Way::Challenge).unavailable(&broker);
        broker.wait_for_line(&["ace: the keys of https://as.test", complaint, "stay in force"]);
        device(&one, "one").enter(&broker, Way::Exporter).round_trip("dev/a");
        publisher.publish(&[&one]);
        broker.wait_for_line(&["ace: the keys of https://as.test", "can be had again"]);
        broker.stop();
    }
    assert!(elsewhere.server.requests().is_empty(), "nobody was sent elsewhere");
}

fn t8_unusable_answers_bring_no_keys(ctx: &Ctx) {
    let one = authority("one");
    let elsewhere = Publisher::start(&[&one]);
    for (answer, complaint) in unusable(&elsewhere.server) {
        let publisher = Publisher::answering(0, answer);
        let broker = publisher.setup(&one).server("timeout = \"1s\"").start(ctx);
        device(&one, "one").attempt(&broker, Way::Challenge).unavailable(&broker);
        broker.wait_for_line(&["ace: the keys of https://as.test", complaint, "its tokens cannot be judged"]);
        broker.stop();
    }
}

/// The broker trusts another authority than the server's.
fn t8_server_that_cannot_be_verified_is_not_believed(ctx: &Ctx) {
    let one = authority("one");
    let publisher = Publisher::start(&[&one]);
    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let broker = publisher.setup(&one).file("as-ca.pem", &stranger.cert.pem()).start(ctx);
    broker.wait_for_line(&["ace: the keys of https://as.test", "TLS failed"]);
    device(&one, "one").attempt(&broker, Way::Challenge).unavailable(&broker);
    assert!(publisher.server.requests().is_empty(), "it was asked nothing");
}

fn t8_reload_keeps_what_was_fetched(ctx: &Ctx) {
    let one = authority("one");
    let publisher = Publisher::start(&[&one]);
    let mut broker = publisher.setup(&one).start(ctx);
    in_force(&broker, 1);
    drop(publisher);
    let again = broker.setup().clone();
    broker.reload(&again);
    broker.wait_for_line(&["ace: the keys of https://as.test", "cannot be reached", "stay in force"]);
    for way in WAYS {
        device(&one, &format!("{way:?}")).enter(&broker, way).round_trip("dev/a");
    }
}

fn t8_keys_of_another_url_are_not_kept(ctx: &Ctx) {
    let (one, other) = (authority("one"), authority("other"));
    let (publisher, another) = (Publisher::start(&[&one]), Publisher::start(&[&other]));
    let mut broker = publisher.setup(&one).start(ctx);
    in_force(&broker, 1);
    device(&one, "before").enter(&broker, Way::Challenge);
    broker.reload(&another.setup(&other));
    device(&other, "other").enter(&broker, Way::Challenge).round_trip("dev/a");
    device(&one, "after").attempt(&broker, Way::Challenge).refused(&broker, "key-unknown");
}

/// A server that says where its keys are, at one of these paths, and publishes one key there.
fn found(metadata_path: &'static str, issuer_path: &'static str) -> (HttpsServer, Authority) {
    let port = free_port();
    let mut authority = authority("one");
    authority.issuer = format!("https://localhost:{port}{issuer_path}");
    let (keys, issuer) = (keys_of(&[&authority], 3600), authority.issuer.clone());
    let server = HttpsServer::start_at(port, move |request| match request.target.as_str() {
        "/some/keys" => keys.clone(),
        path if path == metadata_path => metadata(&issuer, &format!("https://localhost:{port}/some/keys")),
        _ => Answer::status(404),
    });
    (server, authority)
}

fn metadata(issuer: &str, jwks_uri: &str) -> Answer {
    let metadata = json!({ "issuer": issuer, "jwks_uri": jwks_uri, "token_endpoint": "x" });
    Answer::ok("application/json", metadata.to_string().into_bytes())
}

fn finding(authority: &Authority) -> Setup {
    trusting(Setup::with(authority.clone())).keys_by_url(None)
}

fn t8_keys_are_found_by_the_issuers_name(ctx: &Ctx) {
    for (metadata, issuer, tried) in [
        ("/.well-known/oauth-authorization-server", "", 2),
        ("/.well-known/oauth-authorization-server/realms/one", "/realms/one", 2),
        ("/.well-known/openid-configuration", "/", 3),
        ("/realms/one/.well-known/openid-configuration", "/realms/one", 3),
    ] {
        let (server, authority) = found(metadata, issuer);
        let broker = finding(&authority).start(ctx);
        broker.device("sensor").enter(&broker, Way::Challenge).round_trip("dev/a");
        let asked: Vec<_> = server.requests().into_iter().map(|request| request.target).collect();
        assert_eq!((asked.len(), asked.last().map(String::as_str)), (tried, Some("/some/keys")), "{asked:?}");
        broker.stop();
    }
}

fn t8_keys_that_move_are_followed(ctx: &Ctx) {
    let port = free_port();
    let (mut one, mut two) = (authority("one"), authority("two"));
    one.issuer = format!("https://localhost:{port}");
    two.issuer.clone_from(&one.issuer);
    let has_moved = Arc::new(AtomicBool::new(false));
    let (moved, issuer) = (Arc::clone(&has_moved), one.issuer.clone());
    let (first, second) = (keys_of(&[&one], 3600), keys_of(&[&two], 3600));
    let _server =
        HttpsServer::start_at(port, move |request| match (request.target.as_str(), moved.load(Ordering::SeqCst)) {
            ("/first", false) => first.clone(),
            ("/second", true) => second.clone(),
            ("/.well-known/oauth-authorization-server", moved) => {
                let place = if moved { "second" } else { "first" };
                metadata(&issuer, &format!("{issuer}/{place}"))
                    .header("Cache-Control", &format!("max-age={SHORTEST_AGE}"))
            }
            _ => Answer::status(404),
        });
    let broker = finding(&one).start(ctx);
    device(&one, "one").enter(&broker, Way::Challenge).round_trip("dev/a");
    has_moved.store(true, Ordering::SeqCst);
    // The second line: other keys are in force.
    let is_moved = || broker.log().matches("are in force: 1").count() == 2;
    let deadline = Instant::now() + PATIENCE;
    while !is_moved() {
        assert!(Instant::now() < deadline, "{}", broker.log());
        sleep(Duration::from_millis(5));
    }
    device(&two, "two").enter(&broker, Way::Challenge).round_trip("dev/a");
    device(&one, "old").attempt(&broker, Way::Challenge).refused(&broker, "key-unknown");
}

fn t8_metadata_of_another_are_not_believed(ctx: &Ctx) {
    let port = free_port();
    let mut one = authority("one");
    one.issuer = format!("https://localhost:{port}");
    let keys = keys_of(&[&one], 3600);
    let document = Arc::new(Mutex::new(Answer::status(404)));
    let current = Arc::clone(&document);
    let server = HttpsServer::start_at(port, move |request| match request.target.as_str() {
        "/keys" => keys.clone(),
        _ => current.lock().unwrap().clone(),
    });
    let (own, url) = (one.issuer.as_str(), format!("{}/keys", one.issuer));
    let without_keys = json!({ "issuer": own }).to_string().into_bytes();
    for (answer, complaint) in [
        (metadata("https://other.test", &url), "it names another issuer"),
        (metadata(&format!("{own}/"), &url), "it names another issuer"),
        (metadata(own, &url.replace("https", "http")), "it names a URL that is not https"),
        (Answer::ok("application/json", without_keys), "its metadata name no jwks_uri"),
        (Answer::ok("application/json", b"[]".to_vec()), "it is no metadata document"),
        (Answer::ok("application/json", vec![b' '; 300 * 1024]), "more than 262144 bytes"),
        (Answer::redirect(&url), "status 302"),
    ] {
        *document.lock().unwrap() = answer;
        let broker = finding(&one).start(ctx);
        device(&one, "one").attempt(&broker, Way::Challenge).unavailable(&broker);
        broker.wait_for_line(&["ace: the keys of https://localhost", complaint, "its tokens cannot be judged"]);
        broker.stop();
    }
    assert!(server.requests().iter().all(|request| request.target != "/keys"));
}

/// A server whose metadata say that it is asked about tokens at `/tokens/ask`, once it is `known`; there it says that this token is this
/// device's. Whether it has keys is for the case.
fn telling(keys: Option<&'static str>, known: &Gate) -> (HttpsServer, Authority, Device) {
    let port = free_port();
    let mut authority = authority("one");
    authority.issuer = format!("https://localhost:{port}");
    let key = Key::ed25519();
    let token = encode(&random(24));
    secrets::register_text(&token);
    let mut answer = authority.claims("sensor", &key).0;
    answer.insert("active".to_owned(), json!(true));
    let (known, signing, issuer, expected) =
        (known.clone(), keys_of(&[&authority], 3600), authority.issuer.clone(), format!("token={token}"));
    let server = HttpsServer::start_at(port, move |request| match request.target.as_str() {
        "/keys" => signing.clone(),
        "/tokens/ask" if String::from_utf8_lossy(&request.body).contains(&expected) => {
            Answer::ok("application/json", json!(answer).to_string().into_bytes())
        }
        "/.well-known/oauth-authorization-server" => {
            let mut metadata = json!({ "issuer": issuer, "introspection_endpoint": format!("{issuer}/tokens/ask") });
            if let Some(path) = keys {
                metadata["jwks_uri"] = json!(format!("{issuer}{path}"));
            }
            Answer::ok("application/json", metadata.to_string().into_bytes()).when(&known)
        }
        _ => Answer::status(404),
    });
    (server, authority, Device { id: "sensor".to_owned(), key, token })
}

fn asking(authority: &Authority) -> Setup {
    finding(authority)
        .server("[authorization_server.introspection]")
        .server("ca_file = \"{dir}/as-ca.pem\"")
        .file("broker.secret", "a secret of the broker's")
        .server("client_id = \"broker\"")
        .server("client_secret_file = \"{dir}/broker.secret\"")
}

fn t8_where_to_ask_about_tokens_is_found_too(ctx: &Ctx) {
    for keys in [Some("/keys"), None] {
        let known = Gate::shut();
        known.open();
        let (server, authority, opaque) = telling(keys, &known);
        let broker = asking(&authority).start(ctx);
        in_force(&broker, usize::from(keys.is_some()));
        for way in [Way::Exporter, Way::Challenge] {
            opaque.enter(&broker, way).round_trip("dev/a");
        }
        let asked: Vec<_> = server.requests().into_iter().filter(|request| request.target == "/tokens/ask").collect();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert!(asked.iter().all(|request| request.method == "POST" && request.authorization.is_some()));
        if keys.is_some() {
            broker.device("signed").enter(&broker, Way::Challenge).round_trip("dev/a");
        }
        broker.stop();
    }
}

/// The token and the broker's secret go nowhere then, least of all to the place of the metadata.
fn t8_nobody_is_asked_about_tokens_before_it_is_known_where(ctx: &Ctx) {
    let known = Gate::shut();
    let (server, authority, opaque) = telling(Some("/keys"), &known);
    let broker = asking(&authority).start(ctx);
    server.wait_for_connections(1);
    opaque.attempt(&broker, Way::Challenge).unavailable(&broker);
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.method == "GET" && request.authorization.is_none()), "{requests:?}");
    known.open();
    in_force(&broker, 1);
    opaque.enter(&broker, Way::Challenge).round_trip("dev/a");
}

/// A token with a new key, of a server that is asked about those that it has signed, too.
fn t8_token_waits_for_its_key_and_then_for_its_server(ctx: &Ctx) {
    for way in WAYS {
        let (old, new) = (authority("old"), authority("new"));
        let (first, then) = (keys_of(&[&old], 3600), keys_of(&[&old, &new], 3600));
        let is_published = Arc::new(AtomicBool::new(false));
        let published = Arc::clone(&is_published);
        let server =
            HttpsServer::start(move |request| match (request.target.as_str(), published.load(Ordering::SeqCst)) {
                ("/keys", false) => first.clone(),
                ("/keys", true) => then.clone().after(Duration::from_millis(100)),
                _ => Answer::ok("application/json", b"{\"active\":true}".to_vec()).after(Duration::from_millis(100)),
            });
        let setup = fetching(&server.url("/keys"), &old)
            .server("[authorization_server.introspection]")
            .server(&format!("url = {}", json!(server.url("/ask"))))
            .server("ca_file = \"{dir}/as-ca.pem\"")
            .server("introspect_jwt = true");
        let broker = setup.start(ctx);
        in_force(&broker, 1);
        is_published.store(true, Ordering::SeqCst);
        device(&new, "new").enter(&broker, way).round_trip("dev/a");
        let asked: Vec<_> = server.requests().into_iter().map(|request| request.target).collect();
        assert_eq!(asked, ["/keys", "/keys", "/ask"], "{way:?}");
        broker.stop();
    }
}

/// Publishes at QoS 1; gives the exit code and what was said.
fn publish(ctx: &Ctx, broker: &Broker, arguments: &[&str]) -> (Option<i32>, String) {
    let common = ["-i", CLIENT, "-t", "dev/a", "-m", "x", "-q", "1"];
    let mut client = ace_mqtt(ctx, broker, "pub", &[&common[..], arguments].concat());
    (client.ended(), client.errors())
}

/// Nothing of the server is in the broker's folder but the authority of its certificate; then it changes its key.
fn t8_ace_as_is_found_by_its_name(ctx: &Ctx) {
    const DONE: (Option<i32>, String) = (Some(0), String::new());
    let mut server = AuthorizationServer::start(ctx, "5m");
    let mut setup = server.setup();
    setup.authority.issuer = server.found_by_issuer(ctx);
    let setup = setup.keys_by_url(None).file("as-ca.pem", &server.authority()).server("ca_file = \"{dir}/as-ca.pem\"");
    let broker = setup.start(ctx);
    assert_eq!(publish(ctx, &broker, &server.arguments()), DONE);
    let old = server.credentials(ctx).display().to_string();
    server.new_key(ctx, "signing-key-2.jwk");
    server.stop();
    server.change("signing_key = \"signing-key.jwk\"", "signing_key = \"signing-key-2.jwk\"");
    let published = "[[published_key]]\nfile = \"signing-key.jwk\"\nuntil = 2100-01-31T12:00:00Z\n\n[[client]]";
    server.change("[[client]]", published);
    server.go_on(ctx);
    assert_eq!(publish(ctx, &broker, &server.arguments()), DONE);
    in_force(&broker, 2);
    assert_eq!(publish(ctx, &broker, &["--credentials", &old]), DONE);
    broker.stop();
}

/// How many clients come in a second, and who brings them.
const A_SECOND: u32 = 100;
const BRINGERS: u32 = 8;

/// Clients that come one after the other, at a pace, for as long as it is wanted.
struct Crowd<'a> {
    broker: &'a Broker,
    /// Whose tokens they bring.
    signer: Mutex<Authority>,
    is_over: AtomicBool,
    came: AtomicUsize,
}

impl Crowd<'_> {
    fn bring(&self, bringer: u32) {
        let pace = Duration::from_secs(1) / A_SECOND * BRINGERS;
        let begun = Instant::now() + pace / BRINGERS * bringer;
        let key = Key::ed25519();
        for number in 0.. {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            sleep((begun + pace * number).saturating_duration_since(Instant::now()));
            let signer = self.signer.lock().unwrap().clone();
            let device = Device::new(&signer, &format!("client {bringer}-{number}"), key.clone(), |claims| claims);
            device.enter(self.broker, Way::Challenge).ping();
            self.came.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until so many more have come in.
    fn wait_for(&self, more: usize) {
        let (deadline, wanted) = (Instant::now() + 6 * PATIENCE, self.came.load(Ordering::SeqCst) + more);
        while self.came.load(Ordering::SeqCst) < wanted && !self.is_over.load(Ordering::SeqCst) {
            assert!(Instant::now() < deadline, "{} came, {wanted} wanted", self.came.load(Ordering::SeqCst));
            sleep(Duration::from_millis(5));
        }
    }
}

/// Ends the crowd whatever becomes of the case, so that it fails and does not hang.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// No good token is refused: not those of the new key, from when it is published, nor those of the old one, until it is withdrawn. And none of
/// a withdrawn key is taken once the set has been fetched again.
fn t8_hundred_clients_a_second_while_keys_change(ctx: &Ctx) {
    let (old, new) = (authority("old"), authority("new"));
    let publisher = Publisher::start(&[]);
    publisher.answer(keys_of(&[&old], SHORTEST_AGE));
    let broker = publisher.setup(&old).conf("set_tcp_nodelay true").start(ctx);
    let crowd = Crowd {
        broker: &broker,
        signer: Mutex::new(old.clone()),
        is_over: AtomicBool::new(false),
        came: AtomicUsize::new(0),
    };
    let second = usize::try_from(A_SECOND).unwrap();
    thread::scope(|scope| {
        for bringer in 0..BRINGERS {
            let crowd = &crowd;
            scope.spawn(move || {
                let _ends = Ends(&crowd.is_over);
                crowd.bring(bringer);
            });
        }
        let ends = Ends(&crowd.is_over);
        crowd.wait_for(second);
        publisher.answer(keys_of(&[&old, &new], SHORTEST_AGE));
        *crowd.signer.lock().unwrap() = new.clone();
        crowd.wait_for(second);
        let both = device(&old, "of the old key");
        both.enter(&broker, Way::Challenge).ping();
        publisher.answer(keys_of(&[&new], SHORTEST_AGE));
        // Until the set gets old, the broker cannot know.
        broker.wait_for_line(&["ace: the keys of https://as.test", "are in force: 2"]);
        while broker.log().matches("are in force: 1").count() < 2 {
            crowd.wait_for(1);
            assert!(!crowd.is_over.load(Ordering::SeqCst), "a good token was refused");
        }
        for way in WAYS {
            let attempt = both.attempt(&broker, way);
            assert!(!matches!(&attempt.reply, Reply::Connack(connack) if connack.reason() == 0), "{way:?}");
        }
        crowd.wait_for(second);
        drop(ends);
    });
    let log = broker.stop();
    assert!(!log.contains("refused client \"client "), "{log}");
    assert!(log.matches("refused client \"of the old key\"").count() == WAYS.len(), "{log}");
}
