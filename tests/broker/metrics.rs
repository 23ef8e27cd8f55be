//! What the plugin tells of itself in numbers: each moves when that happens which it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::mutual_tls::Holder;
use crate::operating::password_line;
use crate::raw_keys;
use crate::reauthentication::renew;
use crate::support::broker::free_port;
use crate::support::case::cases;
use crate::support::introspector::asking;
use crate::support::jwe;
use crate::support::metrics::{Metrics, judge, judge_file, wait_for};
use crate::support::packet::{self, Will, binary};
use crate::support::pki::{of_unknown_authority, pki};
use crate::support::psk::Psk;
use crate::support::setup::MUTUAL;
use crate::support::{
    Answer, Attempt, Authority, Broker, Client, Connect, Ctx, Device, Gate, HttpsServer, Introspector, Key, Protocol,
    Setup, Way,
};

cases! {
    Accept "" metrics_are_what_prometheus_reads;
    Accept "" metrics_count_each_way_in;
    Accept "" metrics_count_those_who_come_by_tls;
    Accept "" metrics_count_denials_and_ends;
    Accept "" metrics_count_published_tokens;
    Accept "" metrics_count_what_servers_say_about_tokens;
    Accept "" metrics_count_each_failure_to_ask;
    Accept "" metrics_count_what_is_not_asked;
    Accept "" metrics_count_raw_public_keys;
    Accept "" metrics_count_keys_and_revocations;
    Accept "" metrics_count_commands;
    Accept "" metrics_tell_who_waits;
    Accept "" metrics_alerts_and_panels_are_what_prometheus_understands;
}

/// Where the numbers are, and a setup that tells them there.
fn measured(setup: Setup) -> (Setup, u16) {
    let port = free_port();
    (setup.metrics(&format!("listen = \"127.0.0.1:{port}\"")), port)
}

/// Waits until these numbers are so; has the text judged.
fn expect(port: u16, numbers: &[(&str, f64)]) -> Metrics {
    let is_so = |metrics: &Metrics| numbers.iter().all(|(name, number)| metrics.find(name) == Some(*number));
    let metrics = wait_for(port, &format!("{numbers:?}"), is_so);
    judge(metrics.text());
    metrics
}

fn connections(way: &str, outcome: &str) -> String {
    format!("connections_total{{way=\"{way}\",outcome=\"{outcome}\"}}")
}

/// Waits until so many have come this way.
fn expect_connections(port: u16, way: &str, outcome: &str, number: f64) {
    expect(port, &[(&connections(way, outcome), number)]);
}

fn metrics_are_what_prometheus_reads(ctx: &Ctx) {
    let (setup, port) = measured(Setup::new());
    let broker = setup.start(ctx);
    let metrics = Metrics::scrape(port);
    judge(metrics.text());
    let series = if ctx.version.number.starts_with("2.0") { "2.0" } else { "2.1" };
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(metrics.of(&format!("build_info{{version=\"{version}\",broker=\"{series}\"}}")), 1.0);
    let read = metrics.of("configuration_read_timestamp_seconds");
    assert!((crate::support::now().as_secs_f64() - read).abs() < 60.0, "{read}");
    assert!(metrics.names().all(|name| name.starts_with("mosquitto_ace_")));
    // Each kind of event has its number from the beginning, so that its first occurrence is a rise.
    for zero in ["refusals_total{code=\"proof-wrong\"}", "denials_total{access=\"publish\",code=\"outside-scope\"}"] {
        assert_eq!(metrics.of(zero), 0.0);
    }
    // Nothing of what clients choose is in it.
    let device = broker.device("a-client-id-of-note");
    device.enter(&broker, Way::Exporter).round_trip("dev/topic-of-note");
    let metrics = wait_for(port, "the client", |it| it.of(&connections("exporter", "admitted")) == 1.0);
    assert!(!metrics.text().contains("of-note") && !metrics.text().contains("127.0.0.1"), "{}", metrics.text());
}

fn metrics_count_each_way_in(ctx: &Ctx) {
    let (setup, port) = measured(Setup::new().plain_listener());
    let mut broker = setup.start(ctx);
    let device = broker.device("sensor");
    for (way, name) in [
        (Way::Exporter, "exporter"),
        (Way::Challenge, "challenge"),
        (Way::UserName(Protocol::V311), "user-name"),
        (Way::Draft00(Protocol::V311), "draft00-exporter"),
        (Way::Draft00Signed(Protocol::V5), "draft00-timed"),
    ] {
        device.enter(&broker, way).ping();
        expect_connections(port, name, "admitted", 1.0);
        let thief = device.with_key(Key::ed25519());
        thief.attempt(&broker, way).refused(&broker, "proof-wrong");
        expect_connections(port, name, "refused", 1.0);
    }
    expect(port, &[("refusals_total{code=\"proof-wrong\"}", 5.0)]);
    // By the token that is held, and where none is.
    let held = Attempt::make(broker.open(), &Connect::ace("sensor", binary(b"")));
    let answer = device.challenge_answer(&held.nonce());
    drop(held.answer(&answer).accepted());
    expect_connections(port, "held", "admitted", 1.0);
    Attempt::make(broker.open(), &Connect::ace("nobody", binary(b""))).refused(&broker, "token-not-held");
    expect_connections(port, "held", "refused", 1.0);
    // A connected client with a new token, and with somebody else's.
    let mut client = device.enter(&broker, Way::Challenge);
    client.send(&packet::auth(0x19, Some(&binary(device.token.as_bytes()))));
    let nonce = client.expect(packet::kind::AUTH).authentication_data().unwrap();
    client.send(&packet::auth(0x18, Some(&device.challenge_answer(&nonce))));
    client.expect(packet::kind::AUTH);
    expect_connections(port, "re-authentication", "admitted", 1.0);
    client.send(&packet::auth(0x19, Some(&binary(b"aa.bb.cc"))));
    expect_connections(port, "re-authentication", "refused", 1.0);
    // Nothing, other things, and what cannot be read.
    drop(Attempt::make(broker.open(), &Connect::new(Protocol::V5, "bare")));
    drop(Attempt::make(broker.open(), &Connect::credentials(Protocol::V5, "alice", b"alice", b"secret")));
    drop(Attempt::make(broker.open(), &Connect::ace("garbled", vec![0])));
    for way in ["anonymous", "other", "unreadable"] {
        expect_connections(port, way, "refused", 1.0);
    }
    // What the configuration says now is what becomes of them.
    let mut other = broker.setup().clone().mqtt("allow_anonymous = true").mqtt("other_clients = \"defer\"");
    other.files.push(("passwords".to_owned(), password_line("alice", "secret")));
    broker.reload(&other);
    broker.wait_for_line(&["read again"]);
    let bare = Attempt::make(broker.open(), &Connect::new(Protocol::V5, "bare")).accepted();
    expect_connections(port, "anonymous", "admitted", 1.0);
    expect(port, &[("sessions{rights=\"public\"}", 1.0)]);
    drop(Attempt::make(broker.open(), &Connect::credentials(Protocol::V5, "alice", b"alice", b"secret")));
    expect_connections(port, "other", "deferred", 1.0);
    drop(bare);
    expect(port, &[("sessions{rights=\"public\"}", 0.0)]);
}

fn metrics_count_those_who_come_by_tls(ctx: &Ctx) {
    let shared = Key::oct(32).named("shared");
    let setup = Setup::with(Authority::new().publishing(&shared)).listener(&["psk_hint ace"]).listener(&MUTUAL);
    let (setup, port) = measured(setup);
    let broker = setup.start(ctx);
    let key = Key::oct(32).named("key-7");
    let jwe = jwe::encrypt(key.jwk().to_string().as_bytes(), &shared, jwe::Management::Dir, "A256GCM");
    let device =
        Device::new(&broker.setup().authority, "meter", key, |claims| claims.set("cnf", json!({ "jwe": jwe })));
    device.enter(&broker, Way::Challenge).ping();
    let psk = Psk::new(b"key-7", device.key.secret());
    let connect = Connect::new(Protocol::V5, "meter");
    drop(Attempt::make(Client::psk(psk.open(broker.port(0))), &connect).accepted());
    expect_connections(port, "psk", "admitted", 1.0);
    let unknown = Psk::new(b"nobody", device.key.secret());
    drop(Attempt::make(Client::psk(unknown.open(broker.port(0))), &connect));
    let metrics = wait_for(port, "the handshake", |it| it.of(&connections("psk", "refused")) >= 1.0);
    assert!(metrics.of("refusals_total{code=\"psk-identity-unknown\"}") >= 1.0);
    // A certificate whose key is a token's, and one that is nobody's.
    let holder = Holder::new(Key::ed25519());
    broker.device_with("sensor", holder.key()).enter(&broker, Way::Challenge).ping();
    drop(holder.attempt(&broker, 1, &Connect::new(Protocol::V5, "sensor")).accepted());
    expect_connections(port, "certificate", "admitted", 1.0);
    drop(Holder::new(Key::ed25519()).attempt(&broker, 1, &Connect::new(Protocol::V5, "sensor")));
    expect_connections(port, "certificate", "refused", 1.0);
    expect(port, &[("refusals_total{code=\"certificate-without-token\"}", 1.0)]);
}

fn denials(access: &str, code: &str) -> String {
    format!("denials_total{{access=\"{access}\",code=\"{code}\"}}")
}

fn ends(because: &str) -> String {
    format!("session_ends_total{{because=\"{because}\"}}")
}

fn metrics_count_denials_and_ends(ctx: &Ctx) {
    let (setup, port) = measured(Setup::new().tokens("leeway = \"0s\"").conf("check_retain_source true"));
    let broker = setup.start(ctx);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    expect(port, &[("sessions{rights=\"token\"}", 1.0), ("held_tokens", 1.0), ("publishers", 1.0)]);
    assert!(Metrics::scrape(port).of("held_token_bytes") > 0.0);
    // Told by the acknowledgement; without one, by the end.
    assert_eq!(client.publish1("other", b"x"), 0x87);
    assert_eq!(client.publish1("other", b"x"), 0x87);
    assert_eq!(client.subscribe(&["other"]), [0x87]);
    expect(port, &[(&denials("publish", "outside-scope"), 2.0), (&denials("subscribe", "outside-scope"), 1.0)]);
    client.publish0("other", b"x");
    client.expect_close();
    expect(port, &[(&denials("publish", "outside-scope"), 3.0), (&ends("denied"), 1.0), (&ends("client-gone"), 0.0)]);
    // A client that goes by itself.
    broker.device("sensor").enter(&broker, Way::Challenge).ping();
    expect(port, &[(&ends("client-gone"), 1.0), ("sessions{rights=\"token\"}", 0.0)]);
    // A subscriber whose new token has less in it.
    let wide = broker.device_scoped("reader", &[("dev/#", &["sub"]), ("news/#", &["sub"])]);
    let narrow = wide.with_token(
        &broker
            .setup()
            .authority
            .token(&broker.setup().authority.claims("reader", &wide.key).scope(&[("dev/#", &["sub"])])),
    );
    let mut reader = wide.enter(&broker, Way::Challenge);
    assert_eq!(reader.subscribe(&["news/#"]), [0]);
    renew(&mut reader, &narrow);
    let mut writer = broker.device_scoped("writer", &[("news/#", &["pub"])]).enter(&broker, Way::Challenge);
    writer.publish1("news/a", b"x");
    reader.expect_close();
    expect(port, &[(&denials("receive", "outside-scope"), 1.0), (&ends("denied"), 2.0)]);
    // A Will that its client may not have: brokers tell of it when it is set, or when it would be sent.
    let device = broker.device("willing");
    let attempt = device.attempt_changed(broker.open(), Way::Exporter, |connect| {
        connect.will = Some(Will { topic: "other".to_owned(), payload: b"x".to_vec() });
    });
    drop(attempt);
    let is_denied =
        |it: &Metrics| it.of(&denials("will", "outside-scope")) + it.of(&denials("publish", "outside-scope")) >= 4.0;
    let metrics = wait_for(port, "the Will", is_denied);
    assert_eq!(metrics.of(&denials("will", "outside-scope")), metrics.of(&ends("will-denied")));
    // An answer that nobody has asked for.
    let mut stray = broker.device("stray").enter(&broker, Way::Challenge);
    stray.send(&[0xf0, 0]);
    stray.expect_close();
    expect(port, &[(&ends("stray-answer"), 1.0), ("refusals_total{code=\"challenge-missing\"}", 1.0)]);
    // A token that ends; and after it a message that nobody answers for any more.
    let brief = Device::new(&broker.setup().authority, "brief", Key::ed25519(), |claims| claims.expires_in(3));
    let mut client = brief.enter(&broker, Way::Challenge);
    client.publish_retained("dev/kept", b"x");
    let soon = ["1m", "5m"].map(|within| format!("sessions_ending{{within=\"{within}\"}}"));
    let metrics = expect(port, &[(&soon[0], 1.0)]);
    let all = metrics.of("sessions{rights=\"token\"}");
    assert!(metrics.of("sessions_ending{within=\"1d\"}") <= all && all >= 2.0, "{}", metrics.text());
    client.expect_close();
    expect(port, &[(&ends("token-expired"), 1.0), (&soon[0], 0.0)]);
    let mut late = broker.device("late").enter(&broker, Way::Challenge);
    assert_eq!(late.subscribe(&["dev/kept"]), [0]);
    late.ping();
    expect(port, &[(&denials("publish", "no-session"), 1.0)]);
}

fn metrics_count_published_tokens(ctx: &Ctx) {
    let (setup, port) = measured(Setup::new().mqtt("authz_info_topic = \"authz-info\"").mqtt("authz_info_rate = 3"));
    let broker = setup.start(ctx);
    let device = broker.device("sensor");
    let mut bare = Attempt::make(broker.open(), &Connect::new(Protocol::V5, "bare")).accepted();
    expect(port, &[("sessions{rights=\"authz-info\"}", 1.0), ("published_tokens_total", 0.0), ("held_tokens", 0.0)]);
    bare.publish1("authz-info", device.token.as_bytes());
    expect(port, &[("published_tokens_total", 1.0), ("held_tokens", 1.0)]);
    assert_eq!(bare.publish1("authz-info", b"aa.bb.cc"), 0x87);
    assert_eq!(bare.subscribe(&["authz-info"]), [0x87]);
    expect(port, &[(&denials("subscribe", "authz-info-publish-only"), 1.0)]);
    for _ in 0..10 {
        bare.publish1("authz-info", b"aa.bb.cc");
    }
    let metrics =
        wait_for(port, "too many", |it| it.of("published_token_refusals_total{code=\"authz-info-rate\"}") >= 1.0);
    let codes = metrics.names().filter(|name| name.contains("published_token_refusals_total"));
    let refused: f64 = codes.map(|name| metrics.of(name.trim_start_matches("mosquitto_ace_"))).sum();
    assert_eq!(refused, 11.0);
    bare.publish0("authz-info", b"aa.bb.cc");
    let is_over = |it: &Metrics| it.of(&ends("bad-token")) == 1.0;
    // One beyond the rate is not looked at, so it is sent again.
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(400));
        if is_over(&Metrics::scrape(port)) {
            break;
        }
        bare.publish0("authz-info", b"aa.bb.cc");
    }
    wait_for(port, "a bad token ends the session", is_over);
}

fn answers(outcome: &str) -> String {
    format!("introspection_answers_total{{outcome=\"{outcome}\"}}")
}

fn lookups(outcome: &str) -> String {
    format!("introspection_lookups_total{{outcome=\"{outcome}\"}}")
}

fn metrics_count_what_servers_say_about_tokens(ctx: &Ctx) {
    let introspector = Introspector::start();
    let setup = introspector.setup(&["cache = \"2s\"", "timeout = \"500ms\""]).tokens("introspection_max = 16");
    let (setup, port) = measured(setup);
    let broker = setup.start(ctx);
    let device = introspector.device("sensor");
    let mut client = device.enter(&broker, Way::Challenge);
    let metrics = wait_for(port, "an answer", |it| it.of(&answers("active")) >= 1.0);
    judge(metrics.text());
    assert!(metrics.of(&lookups("miss")) >= 1.0 && metrics.of("introspection_entries") >= 1.0);
    assert!(metrics.of("introspection_bytes") > 0.0 && metrics.of("workers") >= 1.0);
    assert!(metrics.of("introspection_duration_seconds_sum") > 0.0);
    let took = metrics.of("introspection_duration_seconds_count");
    assert_eq!(metrics.of("introspection_duration_seconds_bucket{le=\"+Inf\"}"), took);
    assert_eq!(metrics.of("introspection_duration_seconds_bucket{le=\"10\"}"), took);
    let hits = metrics.of(&lookups("hit"));
    drop(Device { id: "again".to_owned(), ..device.clone() }.enter(&broker, Way::Exporter));
    wait_for(port, "a hit", |it| it.of(&lookups("hit")) > hits);
    // The server is asked again about what a session rests on.
    wait_for(port, "a renewal", |it| it.of("introspection_renewals_total") >= 1.0);
    client.ping();
    // Strangers' tokens: they take room, and are forgotten.
    for number in 0..20 {
        let stranger = Introspector::stranger(&format!("stranger {number}"), Key::ed25519());
        stranger.attempt(&broker, Way::Exporter).refused(&broker, "token-inactive");
    }
    let metrics = wait_for(port, "evictions", |it| it.of("introspection_evictions_total") >= 1.0);
    assert!(metrics.of(&answers("inactive")) >= 20.0);
    introspector.revoke(&device);
    client.expect_close();
    expect(port, &[(&ends("token-inactive"), 1.0)]);
    // Another session ends since its server says nothing of it any more.
    let other = introspector.device("other");
    let mut client = other.enter(&broker, Way::Challenge);
    introspector.answer(|answer| answer.with_status(500));
    client.expect_close();
    let metrics = wait_for(port, "an end", |it| it.of(&ends("server-unavailable")) == 1.0);
    assert!(metrics.of(&answers("status")) >= 1.0);
}

fn metrics_count_each_failure_to_ask(ctx: &Ctx) {
    let introspector = Introspector::start();
    let (setup, port) = measured(introspector.setup(&["timeout = \"500ms\""]));
    let broker = setup.start(ctx);
    let ask = |broker: &Broker, number: u32| {
        Introspector::stranger(&format!("stranger {number}"), Key::ed25519()).attempt(broker, Way::Exporter)
    };
    type Shape = fn(Answer) -> Answer;
    let shapes: [(&str, Shape); 5] = [
        ("status", |answer| answer.with_status(500)),
        ("credentials", |answer| answer.with_status(401)),
        ("unusable", |_| Answer::ok("text/html", b"<p>".to_vec())),
        ("timed-out", |answer| answer.after(Duration::from_secs(5))),
        ("overloaded", |answer| answer.with_status(429).header("Retry-After", "30")),
    ];
    for (number, (outcome, shape)) in shapes.into_iter().enumerate() {
        introspector.answer(shape);
        ask(&broker, u32::try_from(number).unwrap()).unavailable(&broker);
        wait_for(port, outcome, |it| it.of(&answers(outcome)) >= 1.0);
    }
    ask(&broker, 10).unavailable(&broker);
    wait_for(port, "left alone", |it| it.of("introspection_unsent_total{because=\"paused\"}") >= 1.0);
    expect(port, &[("refusals_total{code=\"server-unavailable\"}", 6.0)]);
    // Nobody is there, or somebody else.
    let stranger = HttpsServer::start_with(&of_unknown_authority(), |_| Answer::status(200));
    let nobody = format!("https://localhost:{}/introspect", free_port());
    for (outcome, url) in [("unreachable", nobody), ("tls", stranger.url("/introspect"))] {
        let (setup, port) = measured(asking(Setup::new(), &url, &[]));
        let broker = setup.start(ctx);
        ask(&broker, 11).unavailable(&broker);
        wait_for(port, outcome, |it| it.of(&answers(outcome)) >= 1.0);
    }
}

fn metrics_count_what_is_not_asked(ctx: &Ctx) {
    const IN_USE: usize = 16;
    let unsent = |because: &str| format!("introspection_unsent_total{{because=\"{because}\"}}");
    // As many tokens as may be known are rested on: there is no room for one more.
    let introspector = Introspector::start();
    let (setup, port) = measured(introspector.setup(&[]).tokens(&format!("introspection_max = {IN_USE}")));
    let broker = setup.start(ctx);
    let enter = |number| introspector.device(&format!("sensor {number}")).enter(&broker, Way::Challenge);
    let _in_use: Vec<Client> = (0..IN_USE).map(enter).collect();
    drop(introspector.device("one more").attempt(&broker, Way::Challenge));
    wait_for(port, "no room", |it| it.of(&unsent("full")) >= 1.0);
    // More are asked about at once than there are threads, and the server is slow.
    let introspector = Introspector::start();
    introspector.answer(|answer| answer.after(Duration::from_secs(20)));
    let (setup, port) = measured(introspector.setup(&["timeout = \"3s\""]));
    let broker = setup.start(ctx);
    let _challenged: Vec<Attempt> = (0..150)
        .map(|number| {
            let stranger = Introspector::stranger(&format!("stranger {number}"), Key::ed25519());
            let client = broker.open();
            let connect = stranger.connect(&client, Way::Challenge);
            Attempt::make(client, &connect)
        })
        .collect();
    let queued = "introspection_requests{state=\"queued\"}";
    wait_for(port, "requests that wait", |it| it.of(queued) >= 1.0);
}

fn metrics_count_raw_public_keys(ctx: &Ctx) {
    let (setup, port) = measured(raw_keys::setup());
    let broker = setup.start(ctx);
    let device = raw_keys::known(&broker, "sensor", Key::ed25519());
    expect_connections(port, "raw-key", "admitted", 0.0);
    // An OpenSSL before 3.2 lets nobody in with such a key.
    if raw_keys::has_raw_keys(ctx) {
        let _client = raw_keys::enter(&broker, &device.key, Protocol::V5, "raw");
        expect_connections(port, "raw-key", "admitted", 1.0);
    }
}

fn metrics_count_keys_and_revocations(ctx: &Ctx) {
    let authority = Authority::signing_with(Key::ed25519().named("one"));
    let (keys, is_down) = (authority.jwks(), Arc::new(AtomicBool::new(false)));
    let down = Arc::clone(&is_down);
    let server = HttpsServer::start(move |request| match request.target.split('?').next() {
        _ if down.load(Ordering::Relaxed) => Answer::status(500),
        Some("/jwks") => Answer::ok("application/jwk-set+json", keys.clone().into_bytes()),
        // A whole list, with one token on it.
        _ => Answer::ok("application/ace-trl+cbor", [&[0xa1, 0x00, 0x81, 0x58, 33, 1][..], &[7; 32]].concat()),
    });
    let setup = Setup::with(authority.clone())
        .keys_by_url(Some(&server.url("/jwks")))
        .file("as-ca.pem", &pki().authority)
        .server("ca_file = \"{dir}/as-ca.pem\"")
        .server("[authorization_server.revocation_list]")
        .server(&format!("url = \"{}\"", server.url("/trl")))
        .server("interval = \"1s\"")
        .server("ca_file = \"{dir}/as-ca.pem\"");
    let (setup, port) = measured(setup);
    let mut broker = setup.start(ctx);
    let by = |name: &str| format!("{name}{{issuer=\"{}\"}}", authority.issuer);
    let fetched =
        |name: &str, outcome: &str| format!("{name}{{issuer=\"{}\",outcome=\"{outcome}\"}}", authority.issuer);
    let metrics = wait_for(port, "keys and a list", |it| {
        it.of(&by("keys")) == 1.0 && it.of(&by("revocation_list_tokens")) == 1.0
    });
    judge(metrics.text());
    assert!(metrics.of(&fetched("key_fetches_total", "succeeded")) >= 1.0);
    assert!(metrics.of(&by("keys_age_seconds")) < 60.0 && metrics.of(&by("revocation_list_age_seconds")) < 60.0);
    wait_for(port, "they get older", |it| it.of(&by("keys_age_seconds")) >= 1.0);
    let lists = metrics.of(&fetched("revocation_list_requests_total", "succeeded"));
    wait_for(port, "the list again", |it| it.of(&fetched("revocation_list_requests_total", "succeeded")) > lists);
    // Tokens with keys that nobody has published: their server is asked, within bounds.
    let other = Authority { key: Key::ed25519().named("two"), ..authority.clone() };
    let strange = |number: u32| Device::new(&other, &format!("strange {number}"), Key::ed25519(), |claims| claims);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (broker, device) = (&broker, strange(number));
            scope.spawn(move || drop(device.attempt(broker, Way::Challenge)));
        }
        wait_for(port, "fetches for unknown keys", |it| it.of(&by("key_fetches_for_unknown_keys_total")) >= 1.0);
    });
    // One after another: beyond the third, they wait.
    for number in 10..14 {
        drop(strange(number).attempt(&broker, Way::Challenge));
    }
    wait_for(port, "a limit", |it| it.of(&by("key_fetches_limited_total")) >= 1.0);
    is_down.store(true, Ordering::Relaxed);
    let same = broker.setup().clone();
    broker.reload(&same);
    wait_for(port, "failures", |it| {
        it.of(&fetched("key_fetches_total", "failed")) >= 1.0
            && it.of(&fetched("revocation_list_requests_total", "failed")) >= 1.0
    });
}

fn metrics_count_commands(ctx: &Ctx) {
    let (setup, port) = measured(Setup::new());
    let broker = setup.start(ctx);
    let mut sensor = broker.device("sensor").enter(&broker, Way::Challenge);
    let operator = broker.device_scoped("operator", &[("$CONTROL/ace/#", &["pub", "sub"])]);
    let mut operator = operator.enter(&broker, Way::Challenge);
    assert_eq!(operator.subscribe(&["$CONTROL/ace/v1/response"]), [0]);
    let commands = json!([{ "command": "endSession", "clientid": "sensor" }, { "command": "dance" }]);
    operator.publish1("$CONTROL/ace/v1", json!({ "commands": commands }).to_string().as_bytes());
    operator.message();
    sensor.expect_close();
    let of = |outcome: &str| format!("control_commands_total{{outcome=\"{outcome}\"}}");
    expect(port, &[(&of("done"), 1.0), (&of("failed"), 1.0), (&ends("command"), 1.0)]);
    let mut sensor = broker.device("sensor").enter(&broker, Way::Challenge);
    sensor.publish1("$CONTROL/ace/v1", json!({ "commands": commands }).to_string().as_bytes());
    let denied = |it: &Metrics| {
        let codes = it.names().filter(|name| name.contains("control_denials_total"));
        let denied: f64 = codes.map(|name| it.of(name.trim_start_matches("mosquitto_ace_"))).sum();
        denied + it.of(&denials("publish", "outside-scope")) >= 1.0
    };
    wait_for(port, "a client that may not command", denied);
}

fn metrics_tell_who_waits(ctx: &Ctx) {
    let (gate, introspector) = (Gate::shut(), Introspector::start());
    let shut = gate.clone();
    introspector.answer(move |answer| answer.when(&shut));
    let setup = introspector.setup(&["timeout = \"20s\"", "cache = \"60s\""]);
    let (setup, port) = measured(setup.mqtt("authz_info_topic = \"authz-info\""));
    let broker = setup.start(ctx);
    let waiting = |what: &str| format!("waiting{{what=\"{what}\"}}");
    let mut bare = Attempt::make(broker.open(), &Connect::new(Protocol::V5, "bare")).accepted();
    bare.publish1("authz-info", introspector.device("published").token.as_bytes());
    expect(port, &[(&waiting("token"), 1.0), ("introspection_requests{state=\"under-way\"}", 1.0)]);
    std::thread::scope(|scope| {
        let (device, broker) = (introspector.device("challenged"), &broker);
        let again = Device { id: "too".to_owned(), ..device.clone() };
        let clients = [device, again].map(|device| scope.spawn(move || device.enter(broker, Way::Challenge).ping()));
        expect(port, &[(&waiting("challenge"), 2.0), ("challenges_open", 2.0)]);
        expect(port, &[(&lookups("waited"), 1.0)]);
        if ctx.version.number.starts_with("2.1") {
            let delayed = introspector.device("delayed");
            let put_off = scope.spawn(move || {
                // Its token is no JWT, so that it comes with the draft's form.
                delayed.enter(broker, Way::Draft00(Protocol::V311)).ping();
            });
            expect(port, &[(&waiting("delayed"), 1.0)]);
            gate.open();
            put_off.join().unwrap();
        }
        gate.open();
        for client in clients {
            client.join().unwrap();
        }
    });
    expect(port, &[(&waiting("challenge"), 0.0), (&waiting("token"), 0.0), (&waiting("delayed"), 0.0)]);
    wait_for(port, "the token is held", |it| it.of("published_tokens_total") == 1.0);
}

/// No broker has a part in it, but Prometheus' own program has.
fn metrics_alerts_and_panels_are_what_prometheus_understands(_: &Ctx) {
    let page = std::fs::read_to_string("docs/metrics.md").unwrap();
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    let [scrape, alerts] = blocks[..] else { panic!("{blocks:?}") };
    assert!(judge_file(&["check", "config"], scrape).contains("SUCCESS"));
    let said = judge_file(&["check", "rules"], alerts);
    let number = alerts.matches("- alert: ").count();
    assert!(number > 5 && said.contains(&format!("SUCCESS: {number} rules found")), "{said}");
    let dashboard = std::fs::read_to_string("docs/grafana-dashboard.json").unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    let rules: Vec<_> = targets
        .flatten()
        .map(|target| target["expr"].as_str().unwrap().replace("$__rate_interval", "5m"))
        .enumerate()
        .map(|(number, expr)| json!({ "record": format!("panel:{number}"), "expr": expr }))
        .collect();
    let number = rules.len();
    // JSON is YAML.
    let said =
        judge_file(&["check", "rules"], &json!({ "groups": [{ "name": "panels", "rules": rules }] }).to_string());
    assert!(number > 30 && said.contains(&format!("SUCCESS: {number} rules found")), "{said}");
}
