//! Tokens are judged with the help of servers: real requests over real TLS, to servers that answer as they should and as they should
//! not.

mod server;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ace_profile::jose::{Algorithm, Jwk, JwkSet, jws};
use ace_profile::token::{AuthorizationServer, Policy};
use ace_profile::{Timestamp, limits};
use serde_json::{Value, json};

use super::*;
use crate::Reason;
use server::{Asked, Identity, Pki, Reply, Server};

const TOKEN: &str = "2YotnFZFEjr1zCsicMWpAA";
/// The longest that a test waits for something that has to come.
const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(1);

fn now() -> Timestamp {
    Timestamp::from_system_time(std::time::SystemTime::now())
}

fn signing_key() -> Jwk {
    Jwk::ed25519_from_seed(&[1; 32]).unwrap()
}

/// What a good server says of the token.
fn good() -> Value {
    json!({
        "active": true, "sub": "device-7", "aud": "broker", "exp": now().as_unix_seconds() + 600,
        "cnf": {"jwk": Jwk::ed25519_from_seed(&[3; 32]).unwrap().public_value()}, "scope": [["a/#", ["pub"]]],
    })
}

/// A token that the server "as" has signed.
fn signed(issuer: &str) -> String {
    let mut claims = good();
    claims["iss"] = json!(issuer);
    jws::sign(claims.to_string().as_bytes(), &signing_key(), Algorithm::EdDsa, Some("JWT")).unwrap()
}

/// A broker that takes tokens of "as" and "other", and asks about them.
struct Broker {
    remote: Remote,
    validator: Validator,
}

impl Broker {
    fn new(sources: &[IntrospectionSource]) -> Self {
        let server = |issuer: &str| AuthorizationServer {
            issuer: issuer.into(),
            keys: signing_key().to_public().into_iter().collect(),
            ..AuthorizationServer::default()
        };
        let policy = Policy { audience: vec!["broker".into()], ..Policy::default() };
        let validator = Validator::new(vec![server("as"), server("other")], JwkSet::default(), policy);
        let mut broker = Self { remote: Remote::default(), validator };
        broker.asks(sources);
        broker
    }

    fn asks(&mut self, sources: &[IntrospectionSource]) {
        self.remote.replace_introspection(sources, CacheBounds::default());
    }

    fn judge(&mut self, token: &str) -> Result<Judgement, &'static str> {
        self.remote.judge(&self.validator, token.as_bytes(), now(), |_| None).map_err(|reason| reason.code())
    }

    /// What becomes of an attempt that waits.
    fn attempt(&mut self, token: &str) -> Result<Box<ValidatedToken>, &'static str> {
        loop {
            let inquiry = match self.judge(token)? {
                Judgement::Good(token) => return Ok(token),
                Judgement::Needs(inquiry) => inquiry,
            };
            let progress =
                self.until(|broker| Some(broker.remote.progress(&inquiry)).filter(|it| *it != Progress::UnderWay));
            if progress == Progress::Failed {
                return Err(Reason::ServerUnavailable.code());
            }
        }
    }

    /// Lives on until something has happened.
    fn until<T>(&mut self, mut happened: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.remote.tick(Instant::now());
            if let Some(what) = happened(self) {
                return what;
            }
            assert!(Instant::now() < deadline, "nothing has happened");
            thread::sleep(GLANCE);
        }
    }

    fn news(&mut self) -> IntrospectionNews {
        let mut all = Vec::new();
        self.until(|broker| {
            all.extend(broker.remote.take_introspection_news());
            (!all.is_empty()).then(|| all.remove(0))
        })
    }
}

struct Setup {
    pki: Pki,
    identity: Identity,
}

impl Setup {
    fn new() -> Self {
        let pki = Pki::new();
        let identity = pki.identity("localhost");
        Self { pki, identity }
    }

    fn server(&self, reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
        Server::start(&self.identity, None, reply)
    }

    fn endpoint(&self, url: &str, timeout: Duration) -> Endpoint {
        Endpoint::new(url, Some(&self.pki.authority), timeout).unwrap()
    }

    fn source(&self, issuer: &str, url: &str) -> IntrospectionSource {
        source(issuer, self.endpoint(url, Duration::from_secs(10)))
    }
}

fn source(issuer: &str, endpoint: Endpoint) -> IntrospectionSource {
    let cache = Duration::from_secs(60);
    IntrospectionSource {
        issuer: issuer.into(),
        endpoint: Arc::new(endpoint),
        cache,
        introspect_jwt: false,
        has_no_keys: false,
    }
}

#[test]
fn an_opaque_token_is_asked_about_once() {
    let setup = Setup::new();
    let server = setup.server(|_| Reply::json(&good().to_string()));
    let endpoint = setup.endpoint(&server.url(), PATIENCE).with_client("br:oker", "se cret");
    let mut broker = Broker::new(&[source("as", endpoint)]);
    assert!(broker.remote.takes_opaque_tokens());
    let token = broker.attempt(TOKEN).unwrap();
    assert_eq!((token.issuer.as_str(), token.subject.as_deref()), ("as", Some("device-7")));
    assert!(matches!(broker.judge(TOKEN), Ok(Judgement::Good(_))), "it is known now");
    let Confirmed::By(lease) = broker.remote.lease(&token) else { panic!("no lease") };
    assert_eq!(Some(lease.token()), token.asked_with.as_ref().map(|asked| asked.token()));
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].head.starts_with("POST /introspect HTTP/1.1"));
    assert_eq!(asked[0].parameter("token"), Some(TOKEN));
    assert_eq!(asked[0].parameter("token_type_hint"), Some("access_token"));
    assert_eq!(asked[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked[0].header("accept"), Some("application/json, application/ace+json"));
    // RFC 6749 §2.3.1: both are encoded first: "br%3Aoker:se+cret".
    assert_eq!(asked[0].header("authorization"), Some("Basic YnIlM0Fva2VyOnNlK2NyZXQ="));
}

#[test]
fn both_media_types_are_taken() {
    for media_type in ["application/ace+json", "application/json; charset=utf-8", "Application/JSON"] {
        let setup = Setup::new();
        let headers = format!("Content-Type: {media_type}\r\n");
        let server = setup.server(move |_| Reply::with(200, &headers, good().to_string().as_bytes()));
        let mut broker = Broker::new(&[setup.source("as", &server.url())]);
        assert!(broker.attempt(TOKEN).is_ok(), "{media_type}");
    }
}

#[test]
fn a_key_can_sign_for_the_broker() {
    let setup = Setup::new();
    let server = setup.server(|_| Reply::json(&good().to_string()));
    let key = Jwk::p256_from_scalar(&[5; 32]).unwrap().with_kid("broker-1");
    let endpoint = setup.endpoint(&server.url(), PATIENCE).with_client_key("broker", key.clone(), "as").unwrap();
    let mut broker = Broker::new(&[source("as", endpoint)]);
    broker.attempt(TOKEN).unwrap();
    let asked = &server.asked()[0];
    assert_eq!((asked.header("authorization"), asked.parameter("client_id")), (None, Some("broker")));
    assert_eq!(
        asked.parameter("client_assertion_type"),
        Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    );
    let claims = jws::verify(asked.parameter("client_assertion").unwrap(), &key.to_public().unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((&claims["iss"], &claims["sub"], &claims["aud"]), (&json!("broker"), &json!("broker"), &json!("as")));
}

#[test]
fn the_broker_can_show_a_certificate() {
    let setup = Setup::new();
    let server = Server::start(&setup.identity, Some(&setup.pki.authority), |_| Reply::json(&good().to_string()));
    let (chain, key) = setup.pki.identity("broker");
    let endpoint = setup.endpoint(&server.url(), PATIENCE).with_client_certificate("broker", &chain, &key).unwrap();
    let mut broker = Broker::new(&[source("as", endpoint)]);
    broker.attempt(TOKEN).unwrap();
    let asked = &server.asked()[0];
    assert!(asked.has_certificate && asked.parameter("client_id") == Some("broker"));
    // Without, it gets nothing.
    let mut broker = Broker::new(&[setup.source("as", &server.url())]);
    assert_eq!(broker.attempt(TOKEN).err(), Some("server-unavailable"));
}

/// Servers that fail, each in its way. None lets anybody in; and as soon as a server answers as it should, the token is good.
#[test]
fn a_server_that_fails_is_not_held_against_the_token() {
    type Replying = Box<dyn Fn() -> Reply + Send + Sync>;
    type Count = fn(&Counters) -> u64;
    let huge = vec![b' '; 10 * 1024 * 1024];
    let cases: Vec<(&str, Replying, Count)> = vec![
        ("500", Box::new(|| Reply::with(500, "", b"")), |it| it.status),
        ("400", Box::new(|| Reply::with(400, "Content-Type: application/json\r\n", br#"{"error":"x"}"#)), |it| {
            it.status
        }),
        ("401", Box::new(|| Reply::with(401, "", b"")), |it| it.credentials),
        ("403", Box::new(|| Reply::with(403, "", b"")), |it| it.credentials),
        ("429", Box::new(|| Reply::with(429, "", b"")), |it| it.overloaded),
        ("503", Box::new(|| Reply::with(503, "", b"")), |it| it.overloaded),
        ("redirect", Box::new(|| Reply::with(307, "Location: /elsewhere\r\n", b"")), |it| it.status),
        ("10 MiB", Box::new(move || Reply::with(200, "Content-Type: application/json\r\n", &huge)), |it| it.unusable),
        ("no JSON", Box::new(|| Reply::json("<html>")), |it| it.unusable),
        ("a list", Box::new(|| Reply::json("[]")), |it| it.unusable),
        ("half an object", Box::new(|| Reply::json(r#"{"active":true,"#)), |it| it.unusable),
        ("active a text", Box::new(|| Reply::json(r#"{"active":"true"}"#)), |it| it.unusable),
        ("active missing", Box::new(|| Reply::json(r#"{"sub":"device-7"}"#)), |it| it.unusable),
        ("active twice", Box::new(|| Reply::json(r#"{"active":false,"active":true}"#)), |it| it.unusable),
        ("HTML", Box::new(|| Reply::with(200, "Content-Type: text/html\r\n", good().to_string().as_bytes())), |it| {
            it.unusable
        }),
        ("no type", Box::new(|| Reply::with(200, "", good().to_string().as_bytes())), |it| it.unusable),
        (
            "half an answer",
            Box::new(|| {
                Reply::Stall(b"HTTP/1.1 200 x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{".into())
            }),
            |it| it.timed_out,
        ),
        ("half a header", Box::new(|| Reply::Stall(b"HTTP/1.1 200".into())), |it| it.timed_out),
        ("nothing", Box::new(|| Reply::Stall(Vec::new())), |it| it.timed_out),
        ("no HTTP", Box::new(|| Reply::Bytes(b"SSH-2.0-x\r\n\r\n".into(), Duration::ZERO)), |it| it.unreachable),
    ];
    for (name, reply, count) in cases {
        let (setup, is_good) = (Setup::new(), Arc::new(AtomicBool::new(false)));
        let switch = Arc::clone(&is_good);
        let server = setup
            .server(move |_| if switch.load(Ordering::SeqCst) { Reply::json(&good().to_string()) } else { reply() });
        let source = |millis| source("as", setup.endpoint(&server.url(), Duration::from_millis(millis)));
        let mut broker = Broker::new(&[source(700)]);
        assert_eq!(broker.attempt(TOKEN).err(), Some("server-unavailable"), "{name}");
        let counters = broker.remote.counters();
        assert_eq!((count(&counters), counters.active, counters.inactive), (1, 0, 0), "{name}: {counters}");
        assert_eq!(counters.entries, 0, "{name}: nothing is remembered");
        assert!(matches!(broker.news(), IntrospectionNews::Failing { .. }), "{name}");
        is_good.store(true, Ordering::SeqCst);
        broker.asks(&[source(10_000)]);
        assert!(broker.attempt(TOKEN).is_ok(), "{name}");
        assert!(matches!(broker.news(), IntrospectionNews::Recovered { .. }), "{name}");
        assert!(server.asked().iter().all(|asked| asked.head.starts_with("POST /introspect ")), "{name}");
    }
}

#[test]
fn a_server_that_cannot_be_reached_or_trusted_is_unavailable() {
    let setup = Setup::new();
    let reply = |_: &Asked| Reply::json(&good().to_string());
    let wrong_name = Server::start(&setup.pki.identity("elsewhere.example"), None, reply);
    let expired = Server::start(&setup.pki.expired(), None, reply);
    let unknown = Server::start(&Pki::new().identity("localhost"), None, reply);
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    for (url, error) in [
        (format!("https://localhost:{closed}/introspect"), "cannot be reached"),
        ("https://no-such-host.invalid/introspect".into(), "cannot be reached"),
        (wrong_name.url(), "TLS failed"),
        (expired.url(), "TLS failed"),
        (unknown.url(), "TLS failed"),
    ] {
        let mut broker = Broker::new(&[setup.source("as", &url)]);
        assert_eq!(broker.attempt(TOKEN).err(), Some("server-unavailable"), "{url}");
        let IntrospectionNews::Failing { error: told, .. } = broker.news() else { panic!("{url}") };
        assert!(told.to_string().contains(error), "{url}: {told}");
        let counters = broker.remote.counters();
        let counted = if error == "TLS failed" { counters.tls } else { counters.unreachable };
        assert_eq!((counted, counters.entries), (1, 0), "{url}: {counters}");
    }
    for server in [wrong_name, expired, unknown] {
        assert!(server.asked().is_empty(), "nobody is told a token who is not who they should be");
    }
}

/// What the server says counts; what it leaves out or says of others lets nobody in.
#[test]
fn answers_are_judged() {
    for (change, code) in [
        (json!({"cnf": null}), "bearer-refused"),
        (json!({"aud": "another-broker"}), "audience-foreign"),
        (json!({"iss": "another-server"}), "issuer-foreign"),
        (json!({"exp": 17}), "token-expired"),
        (json!({"active": false}), "token-inactive"),
    ] {
        let setup = Setup::new();
        let mut answer = good();
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(answer.as_object_mut().unwrap().remove(name)),
                value => answer[name] = value.clone(),
            }
        }
        let server = setup.server(move |_| Reply::json(&answer.to_string()));
        let mut broker = Broker::new(&[setup.source("as", &server.url())]);
        assert_eq!(broker.attempt(TOKEN).err(), Some(code), "{change}");
        assert_eq!(server.asked().len(), 1, "{change}");
    }
}

#[test]
fn a_server_that_is_overloaded_is_left_alone() {
    let setup = Setup::new();
    let server = setup.server(|_| Reply::with(429, "Retry-After: 3600\r\n", b""));
    let mut broker = Broker::new(&[setup.source("as", &server.url())]);
    for token in [TOKEN, "another-token-of-somebody", TOKEN] {
        assert_eq!(broker.attempt(token).err(), Some("server-unavailable"));
    }
    assert_eq!(server.asked().len(), 1);
    assert_eq!(broker.remote.counters().paused, 2);
}

/// Only what can be a token of somebody's is sent to anybody.
#[test]
fn what_is_no_token_of_a_servers_is_sent_to_nobody() {
    let setup = Setup::new();
    let server = setup.server(|_| Reply::json(&good().to_string()));
    let mut broker = Broker::new(&[setup.source("as", &server.url())]);
    let long = "t".repeat(limits::TOKEN_BYTES + 1);
    let foreign = signed("https://unknown.example");
    for (token, code) in [
        (foreign.as_str(), "issuer-unknown"),
        ("short", "token-not-jwt"),
        ("a-token\nwith-a-line-end", "token-not-jwt"),
        (&long, "token-too-large"),
    ] {
        assert_eq!(broker.judge(token).err(), Some(code), "{token:.40}");
    }
    assert!(matches!(broker.judge(&signed("as")), Ok(Judgement::Good(_))), "its keys suffice");
    assert!(server.asked().is_empty());
    // Without such a server, opaque tokens are what they were.
    let mut broker = Broker::new(&[]);
    assert_eq!(broker.judge(TOKEN).err(), Some("token-not-jwt"));
    assert!(!broker.remote.takes_opaque_tokens());
}

#[test]
fn signed_tokens_are_confirmed_where_that_is_wanted() {
    let setup = Setup::new();
    let is_active = Arc::new(AtomicBool::new(true));
    let said = Arc::clone(&is_active);
    let server = setup.server(move |_| Reply::json(&json!({"active": said.load(Ordering::SeqCst)}).to_string()));
    let source = || IntrospectionSource { introspect_jwt: true, ..setup.source("as", &server.url()) };
    let mut broker = Broker::new(&[source()]);
    let token = broker.attempt(&signed("as")).unwrap();
    assert!(token.key().is_some(), "what the token says stays");
    assert!(matches!(broker.remote.lease(&token), Confirmed::By(_)));
    let other = broker.attempt(&signed("other")).unwrap();
    assert!(matches!(broker.remote.lease(&other), Confirmed::NotNeeded), "that one is not asked about");
    is_active.store(false, Ordering::SeqCst);
    let mut broker = Broker::new(&[source()]);
    assert!(matches!(broker.remote.lease(&token), Confirmed::Lapsed), "this broker knows nothing of it");
    assert_eq!(broker.attempt(&signed("as")).err(), Some("token-inactive"));
    assert_eq!(server.asked().len(), 2);
    // One whose signature is wrong is not worth asking about.
    assert!(broker.judge(&format!("{}A", signed("as"))).is_err());
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn signed_tokens_of_a_server_without_keys_are_asked_about() {
    let setup = Setup::new();
    let server = setup.server(|_| Reply::json(&good().to_string()));
    let source = IntrospectionSource { has_no_keys: true, ..setup.source("other", &server.url()) };
    let mut broker = Broker::new(&[source]);
    let text = signed("other");
    let token = broker.attempt(&text).unwrap();
    assert!(token.asked_with.is_some() && token.issuer == "other");
    assert_eq!(server.asked()[0].parameter("token"), Some(text.as_str()));
    assert!(broker.attempt(&signed("as")).unwrap().asked_with.is_none());
}

/// A session rests on a token. Its server is asked again, and what it says then counts; when it says nothing, that runs out.
#[test]
fn what_a_session_rests_on_is_followed() {
    let setup = Setup::new();
    let phase = Arc::new(std::sync::atomic::AtomicU8::new(0));
    let now = Arc::clone(&phase);
    let answer = good();
    let server = setup.server(move |_| match now.load(Ordering::SeqCst) {
        0 => Reply::json(&answer.to_string()),
        1 => {
            let mut other = answer.clone();
            other["scope"] = json!([]);
            Reply::json(&other.to_string())
        }
        2 => Reply::with(500, "", b""),
        _ => Reply::json(r#"{"active":false}"#),
    });
    let source = || IntrospectionSource { cache: Duration::from_secs(2), ..setup.source("as", &server.url()) };
    let mut broker = Broker::new(&[source()]);
    let begin = |broker: &mut Broker| {
        phase.store(0, Ordering::SeqCst);
        let token = broker.attempt(TOKEN).unwrap();
        let Confirmed::By(lease) = broker.remote.lease(&token) else { panic!("no lease") };
        lease
    };
    let lease = begin(&mut broker);
    phase.store(1, Ordering::SeqCst);
    assert_eq!(broker.news(), IntrospectionNews::Changed(lease.token()));
    assert!(matches!(broker.judge(TOKEN), Ok(Judgement::Good(token)) if token.scope.entries().is_empty()));
    phase.store(3, Ordering::SeqCst);
    assert_eq!(broker.news(), IntrospectionNews::Ended(lease.token()));
    assert_eq!(broker.judge(TOKEN).err(), Some("token-inactive"));
    let mut broker = Broker::new(&[source()]);
    let lease = begin(&mut broker);
    phase.store(2, Ordering::SeqCst);
    assert!(matches!(broker.news(), IntrospectionNews::Failing { .. }));
    assert_eq!(broker.news(), IntrospectionNews::RanOut(lease.token()));
    assert!(broker.remote.counters().status >= 1);
}

/// Two hundred clients come at once, and the server takes its time. All get in, one request each, and not too many at once.
#[test]
fn a_slow_server_is_asked_about_many_at_once() {
    let setup = Setup::new();
    let server = setup.server(|_| Reply::json(&good().to_string()).after(Duration::from_millis(200)));
    let mut broker = Broker::new(&[source("as", setup.endpoint(&server.url(), PATIENCE))]);
    let tokens: Vec<String> = (0..200).map(|number| format!("token-of-client-{number:04}")).collect();
    let mut waiting: Vec<&String> = tokens.iter().collect();
    broker.until(|broker| {
        waiting.retain(|token| match broker.judge(token) {
            Ok(Judgement::Good(_)) => false,
            Ok(Judgement::Needs(_)) => true,
            Err(code) => panic!("{code}"),
        });
        waiting.is_empty().then_some(())
    });
    assert_eq!(server.asked().len(), tokens.len());
    assert!((8..=56).contains(&server.most_at_once()), "{}", server.most_at_once());
    let counters = broker.remote.counters();
    assert_eq!((counters.active, counters.queued, counters.in_flight), (200, 0, 0));
    assert!(counters.latency_max >= 200);
}

/// Connections are kept for further requests, and servers close them when they like: after an answer, or just as the next request
/// comes.
#[test]
fn a_connection_that_its_server_has_closed_costs_nobody_an_answer() {
    let setup = Setup::new();
    let requests = std::sync::atomic::AtomicUsize::new(0);
    let server = setup.server(move |_| {
        let bytes = match Reply::json(&good().to_string()) {
            Reply::Bytes(bytes, _) | Reply::Stall(bytes) | Reply::Close(bytes) => bytes,
        };
        let is_answered = requests.fetch_add(1, Ordering::SeqCst) % 3 != 1;
        Reply::Close(if is_answered { bytes } else { Vec::new() })
    });
    let mut broker = Broker::new(&[setup.source("as", &server.url())]);
    for number in 0..20 {
        assert!(broker.attempt(&format!("token-of-client-{number:04}")).is_ok(), "{number}");
    }
    assert_eq!(
        (server.asked().len(), broker.remote.counters().active),
        (30, 20),
        "every second one is asked about twice"
    );
}

/// A proxy that the environment names is used. The environment is the process's, so the test runs itself in another one.
#[test]
fn a_proxy_is_asked() {
    const WHERE: &str = "ACE_TEST_INTROSPECTION_URL";
    if let Ok(url) = std::env::var(WHERE) {
        let setup = Setup::new();
        let mut broker = Broker::new(&[setup.source("as", &url)]);
        assert_eq!(broker.attempt(TOKEN).err(), Some("server-unavailable"));
        return;
    }
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = proxy.local_addr().unwrap().port();
    let asked = thread::spawn(move || {
        let (mut socket, _) = proxy.accept().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut line = String::new();
        BufReader::new(socket.try_clone().unwrap()).read_line(&mut line).unwrap();
        socket.write_all(b"HTTP/1.1 502 x\r\nContent-Length: 0\r\n\r\n").unwrap();
        line
    });
    let outcome = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "remote::tests::a_proxy_is_asked"])
        .env(WHERE, "https://as.example/introspect")
        .env("HTTPS_PROXY", format!("http://127.0.0.1:{port}"))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stdout));
    let asked = asked.join().unwrap();
    assert!(asked.starts_with("CONNECT as.example:443 "), "{asked}");
}
