//! Commands to the plugin over `$CONTROL/ace/v1`: what they do, and who may not give them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::case::cases;
use crate::support::introspector::Introspector;
use crate::support::packet::{self, Will, kind};
use crate::support::setup::CERTIFICATE;
use crate::support::tls;
use crate::support::{
    Answer, Attempt, Authority, Broker, Client, Connect, Ctx, Device, HttpsServer, Key, PATIENCE, Protocol, Setup, Way,
    now,
};

cases! {
    Accept "" control_lists_who_is_connected;
    Accept "" control_lists_a_thousand_sessions_in_pages;
    Accept "" control_ends_a_session;
    Accept "" control_ends_all_of_a_subject_and_only_these;
    Accept "" control_tells_who_has_ended_its_own_session;
    Accept "" control_forgets_held_tokens_if_asked;
    Accept "" control_flush_has_the_server_asked_again;
    Accept "" control_ended_subjects_tokens_are_asked_about_again;
    Accept "" control_reload_has_keys_fetched_and_files_read;
    Accept "" control_tells_how_it_is;
    Accept "" control_serves_every_protocol_and_qos;
    Accept "" control_answers_do_not_mix;
    Accept "" control_with_settings_per_listener_each_plugin_knows_its_own;
    Refuse "" control_needs_the_scope;
    Refuse "" control_scope_is_not_what_a_client_calls_itself;
    Refuse "" control_needs_a_token;
    Refuse "" control_is_never_open_to_all;
    Refuse "" control_takes_no_wills;
    Refuse "" control_hostile_requests_do_nothing;
    Refuse "" control_answers_reach_nobody_who_takes_the_client_id;
    Refuse "" control_ends_with_the_token;
}

const REQUEST: &str = "$CONTROL/ace/v1";
const RESPONSE: &str = "$CONTROL/ace/v1/response";
const ALL: &[(&str, &[&str])] = &[("$CONTROL/ace/#", &["pub", "sub"]), ("dev/#", &["pub", "sub"])];
const ADMINISTRATIVE: u8 = 0x98;

/// Somebody who may command.
fn operator(broker: &Broker, id: &str) -> Client {
    operator_by(broker, id, Way::Challenge)
}

fn operator_by(broker: &Broker, id: &str, way: Way) -> Client {
    let mut operator = broker.device_scoped(id, ALL).enter(broker, way);
    assert_eq!(operator.subscribe(&[RESPONSE]), [0]);
    operator
}

/// Sends commands, and gives the responses.
fn ask_all(client: &mut Client, commands: &Value) -> Vec<Value> {
    assert_eq!(client.publish1(REQUEST, json!({ "commands": commands }).to_string().as_bytes()), 0);
    responses(client)
}

fn responses(client: &mut Client) -> Vec<Value> {
    let message = client.message();
    assert_eq!(message.topic, RESPONSE);
    let answer: Value = serde_json::from_slice(&message.payload).expect("JSON");
    answer["responses"].as_array().expect("responses").clone()
}

/// Sends one command, which is carried out: gives its data.
fn ask(client: &mut Client, command: &Value) -> Value {
    let mut responses = ask_all(client, &json!([command]));
    assert_eq!(responses.len(), 1, "{responses:?}");
    let response = responses.remove(0);
    assert_eq!((&response["command"], &response["error"]), (&command["command"], &Value::Null), "{response}");
    response["data"].clone()
}

/// Sends one command, which is refused: gives the code.
fn ask_in_vain(client: &mut Client, command: &Value) -> String {
    let responses = ask_all(client, &json!([command]));
    assert_eq!(responses.len(), 1, "{responses:?}");
    assert!(responses[0]["data"].is_null() && responses[0]["error"].is_string(), "{responses:?}");
    responses[0]["code"].as_str().expect("a code").to_owned()
}

/// The sessions, by client id, of all pages.
fn sessions(client: &mut Client, filter: &Value) -> Vec<Value> {
    let (mut all, mut offset) = (Vec::new(), json!(0));
    loop {
        let mut command = json!({ "command": "listSessions", "offset": offset });
        command.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
        let page = ask(client, &command);
        all.extend(page["sessions"].as_array().expect("sessions").clone());
        if page["next"].is_null() {
            return all;
        }
        offset = page["next"].clone();
    }
}

fn ids(sessions: &[Value]) -> BTreeSet<String> {
    sessions.iter().map(|session| session["clientid"].as_str().expect("an id").to_owned()).collect()
}

/// The broker ends the connection for administrative reasons. MQTT 3.1.1 has no words for it.
fn expect_ended(client: &mut Client) {
    let came = client.expect_close();
    let reasons: Vec<u8> =
        came.iter().filter(|packet| packet.kind() == kind::DISCONNECT).map(packet::Packet::reason).collect();
    let expected: &[u8] = if client.protocol == Protocol::V5 { &[ADMINISTRATIVE] } else { &[] };
    assert_eq!(reasons, expected, "{came:02x?}");
}

fn control_lists_who_is_connected(ctx: &Ctx) {
    let broker = Setup::new().mqtt("allow_anonymous = true").mqtt(r#"public_publish = ["hello/#"]"#).start(ctx);
    let mut operator = operator(&broker, "operator");
    let before = now().as_secs();
    let sensor = broker.device_scoped("sensor", &[("a/#", &["pub"]), ("b/+", &["pub", "sub"])]);
    let _sensor = sensor.enter(&broker, Way::Exporter);
    let _old = broker.device("old").enter(&broker, Way::UserName(Protocol::V311));
    let _anonymous = Attempt::make(broker.open(), &Connect::new(Protocol::V5, "anonymous")).accepted();
    let all = sessions(&mut operator, &json!({}));
    assert_eq!(ids(&all), BTreeSet::from(["operator", "sensor", "old", "anonymous"].map(str::to_owned)));
    let of = |id: &str| all.iter().find(|session| session["clientid"] == json!(id)).expect("it is listed");
    let shown = of("sensor");
    for (name, expected) in [
        ("address", json!("127.0.0.1")),
        ("username", json!("sensor")),
        ("subject", json!("sensor")),
        ("issuer", json!(broker.setup().authority.issuer)),
        ("rights", json!("token")),
        ("how", json!("exporter proof")),
        ("scope", json!([["a/#", ["pub"]], ["b/+", ["pub", "sub"]]])),
    ] {
        assert_eq!(shown[name], expected, "{name}");
    }
    // The token ends in five minutes, the leeway of five seconds after that.
    let expires = shown["expires"].as_u64().expect("a time") - before;
    assert!((300..=310).contains(&expires), "{expires}");
    assert!((before..=now().as_secs()).contains(&shown["since"].as_u64().expect("a time")), "{shown}");
    let admitted = broker.wait_for_line(&["ace: admitted", "\"sensor\""]);
    assert!(admitted.contains(&format!("(token {})", shown["token"].as_str().expect("a fingerprint"))), "{admitted}");
    assert_eq!(of("old")["how"], json!("user name"));
    assert_eq!((&of("anonymous")["rights"], &of("anonymous")["scope"]), (&json!("public"), &Value::Null));

    for (filter, expected) in [
        (json!({ "subject": "sensor" }), vec!["sensor"]),
        (json!({ "clientid": "old" }), vec!["old"]),
        (json!({ "clientid": "old", "subject": "sensor" }), vec![]),
        (json!({ "issuer": "https://other.test" }), vec![]),
    ] {
        let found = ids(&sessions(&mut operator, &filter));
        assert_eq!(found, expected.into_iter().map(str::to_owned).collect(), "{filter}");
    }
    broker.stop();
}

/// With a thousand clients a list takes pages, and those who do something meanwhile do not notice.
fn control_lists_a_thousand_sessions_in_pages(ctx: &Ctx) {
    const CROWD: usize = 1000;
    let broker = Setup::new().tokens("allow_bearer = true").conf("set_tcp_nodelay true").plain_listener().start(ctx);
    let authority = broker.setup().authority.clone();
    let crowd: Vec<Client> = (0..CROWD)
        .map(|number| {
            let id = format!("member-{number}");
            let subject = format!("subject-{}", number % 10);
            let claims = authority.claims(&subject, &Key::ed25519()).without("cnf");
            let user = format!("ace{}", authority.token(&claims));
            let mut connect = Connect::credentials(Protocol::V311, &id, user.as_bytes(), b"");
            connect.keep_alive = 3600;
            Attempt::make(broker.open_plain(), &connect).accepted()
        })
        .collect();
    let mut operator = operator(&broker, "operator");
    let mut worker = broker.device("worker").enter(&broker, Way::Challenge);
    let first = ask(&mut operator, &json!({ "command": "listSessions", "count": 7 }));
    assert_eq!(first["sessions"].as_array().map(Vec::len), Some(7));
    let all = sessions(&mut operator, &json!({}));
    assert_eq!((all.len(), ids(&all).len()), (CROWD + 2, CROWD + 2));
    assert_eq!(sessions(&mut operator, &json!({ "subject": "subject-3" })).len(), CROWD / 10);

    // Sixteen lists at once are the most that the broker's thread is given: the answer is bounded, and what does not fit is said.
    let lists = vec![json!({ "command": "listSessions" }); 16];
    let answered = ask_all(&mut operator, &json!(lists));
    assert_eq!(answered.len(), 16);
    let listed: usize = answered.iter().filter_map(|one| one["data"]["sessions"].as_array().map(Vec::len)).sum();
    assert!((100..=1600).contains(&listed), "{listed}");
    assert!(answered.iter().any(|one| one["code"] == json!("answer-full")), "there is a bound");
    assert!(serde_json::to_vec(&answered).unwrap().len() < 512 * 1024);

    // Another client's pings between lists: none waits long. The bound is generous, since the machine has more to do.
    let mut longest = Duration::ZERO;
    for _ in 0..50 {
        let request = json!({ "commands": lists }).to_string();
        operator.send(&packet::publish(Protocol::V5, REQUEST, request.as_bytes(), 0, false, 0));
        let begun = Instant::now();
        worker.ping();
        longest = longest.max(begun.elapsed());
        responses(&mut operator);
    }
    assert!(longest < Duration::from_millis(500), "a ping took {longest:?}");
    drop(crowd);
    broker.stop();
}

fn control_ends_a_session(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut operator = operator(&broker, "operator");
    assert_eq!(operator.subscribe(&["dev/will"]), [0]);
    for (id, way) in [("five", Way::Challenge), ("three", Way::UserName(Protocol::V311))] {
        let device = broker.device(id);
        let mut client = crate::wills::with_will(&broker, &device, way, "dev/will", |_| ());
        assert_eq!(ask(&mut operator, &json!({ "command": "endSession", "clientid": id })), json!({ "ended": 1 }));
        expect_ended(&mut client);
        assert_eq!(operator.message().topic, "dev/will", "its Will is sent");
        let line = broker.wait_for_line(&[
            "ace: command of client \"operator\" at 127.0.0.1",
            "ends the session of client",
            id,
        ]);
        assert!(line.contains("(subject \"operator\", token "), "{line}");
        assert_eq!(broker.log().matches(&format!("ends the session of client \"{id}\"")).count(), 1, "once");
        let again = ask_in_vain(&mut operator, &json!({ "command": "endSession", "clientid": id }));
        assert_eq!(again, "session-missing");
        // Its token has not been revoked.
        device.enter(&broker, way).round_trip("dev/a");
    }
    // The session that outlives the connection is there when the client returns.
    let device = broker.device("keeper");
    let enter = || {
        device.attempt_changed(broker.open(), Way::Exporter, |connect| {
            connect.clean_start = false;
            connect.session_expiry = Some(3600);
        })
    };
    let mut keeper = enter().accepted();
    assert_eq!(keeper.subscribe_at(1, &["dev/kept"]), [1]);
    ask(&mut operator, &json!({ "command": "endSession", "clientid": "keeper" }));
    expect_ended(&mut keeper);
    assert_eq!(operator.publish1("dev/kept", b"missed") & 0x80, 0);
    let back = enter();
    assert!(back.session_present());
    assert_eq!(back.accepted().message_acknowledged().payload, b"missed");
    assert_eq!(
        ask_in_vain(&mut operator, &json!({ "command": "endSession", "clientid": "nobody" })),
        "session-missing"
    );
    broker.stop();
}

/// One of this subject.
fn of_subject(authority: &Authority, id: &str, subject: &str) -> Device {
    let device = Device::new(authority, subject, Key::ed25519(), |claims| claims);
    Device { id: id.to_owned(), ..device }
}

fn control_ends_all_of_a_subject_and_only_these(ctx: &Ctx) {
    let second = Authority { issuer: "https://second.test".to_owned(), ..Authority::new() };
    let setup = Setup::new()
        .file("second.json", &second.jwks())
        .server(&format!("[[authorization_server]]\nissuer = {}\njwks = \"second.json\"", json!(second.issuer)));
    let broker = setup.start(ctx);
    let first = broker.setup().authority.clone();
    let mut operator = operator(&broker, "operator");
    let enter =
        |authority: &Authority, id: &str, subject: &str, way| of_subject(authority, id, subject).enter(&broker, way);
    let mut mine = [
        enter(&first, "one", "fleet", Way::Challenge),
        enter(&first, "two", "fleet", Way::Exporter),
        enter(&first, "three", "fleet", Way::UserName(Protocol::V311)),
    ];
    let mut theirs = enter(&second, "elsewhere", "fleet", Way::Challenge);
    let mut others = [
        enter(&first, "fleet", "other", Way::Challenge),
        enter(&first, "near", "fleet2", Way::Challenge),
        enter(&first, "capital", "Fleet", Way::UserName(Protocol::V311)),
    ];
    let command = json!({ "command": "endSubject", "subject": "fleet", "issuer": first.issuer });
    assert_eq!(ask(&mut operator, &command), json!({ "ended": 3, "forgottenTokens": 0 }));
    mine.iter_mut().for_each(expect_ended);
    theirs.round_trip("dev/theirs");
    let line = broker.wait_for_line(&["ace: command of client \"operator\"", "ends all sessions of subject \"fleet\""]);
    assert!(line.contains(": 3") && line.contains(&first.issuer), "{line}");
    assert_eq!(ask(&mut operator, &json!({ "command": "endSubject", "subject": "fleet" }))["ended"], json!(1));
    expect_ended(&mut theirs);
    for (number, client) in others.iter_mut().enumerate() {
        client.round_trip(&format!("dev/other/{number}"));
    }
    assert_eq!(ask(&mut operator, &json!({ "command": "endSubject", "subject": "fleet" }))["ended"], json!(0));
    broker.stop();
}

/// The answer comes before the end.
fn control_tells_who_has_ended_its_own_session(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for (id, command) in [
        ("first", json!({ "command": "endSubject", "subject": "first" })),
        ("second", json!({ "command": "endSession", "clientid": "second" })),
    ] {
        for way in [Way::Challenge, Way::UserName(Protocol::V311)] {
            let mut operator = operator_by(&broker, id, way);
            let answered = ask_all(&mut operator, &json!([command, { "command": "getStatus" }]));
            assert_eq!(answered[0]["data"]["ended"], json!(1));
            assert!(answered[1]["data"]["version"].is_string(), "what follows is carried out");
            expect_ended(&mut operator);
        }
    }
    broker.stop();
}

/// Whoever comes back with nothing but its key finds its token, unless it was forgotten.
fn control_forgets_held_tokens_if_asked(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut operator = operator(&broker, "operator");
    let device = broker.device("device");
    let bystander = broker.device("bystander");
    drop(bystander.enter(&broker, Way::Challenge));
    let with_key_alone = |device: &Device| device.with_token("").attempt(&broker, Way::Challenge);
    let mut client = device.enter(&broker, Way::Challenge);
    let command = json!({ "command": "endSubject", "subject": "device" });
    assert_eq!(ask(&mut operator, &command), json!({ "ended": 1, "forgottenTokens": 0 }));
    expect_ended(&mut client);
    let mut client = with_key_alone(&device).accepted();
    let command = json!({ "command": "endSubject", "subject": "device", "forgetTokens": true });
    assert_eq!(ask(&mut operator, &command), json!({ "ended": 1, "forgottenTokens": 1 }));
    expect_ended(&mut client);
    with_key_alone(&device).refused(&broker, "token-not-held");
    with_key_alone(&bystander).accepted().round_trip("dev/a");
    device.enter(&broker, Way::Challenge).round_trip("dev/a");
    broker.stop();
}

fn control_flush_has_the_server_asked_again(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&["cache = \"1h\""]).start(ctx);
    let operator_device = introspector.device_with("operator", Key::ed25519(), |claims| claims.scope(ALL));
    let mut operator = operator_device.enter(&broker, Way::Exporter);
    assert_eq!(operator.subscribe(&[RESPONSE]), [0]);
    let device = introspector.device("device");
    let mut client = device.enter(&broker, Way::Exporter);
    drop(Device { id: "second".to_owned(), ..device.clone() }.enter(&broker, Way::Exporter));
    let gone = introspector.device("gone");
    drop(gone.enter(&broker, Way::Exporter));
    assert_eq!((introspector.asked_about(&device), introspector.asked_about(&gone)), (1, 1), "by what is known");

    assert_eq!(ask(&mut operator, &json!({ "command": "flushCaches" }))["answers"], json!(3));
    broker.wait_for_line(&["ace: command of client \"operator\"", "flushes the caches"]);
    // At once where somebody rests on it, and nobody is put out.
    wait_until("the server is asked about those that are connected", || {
        introspector.asked_about(&device) == 2 && introspector.asked_about(&operator_device) == 2
    });
    client.round_trip("dev/a");
    assert_eq!(introspector.asked_about(&gone), 1, "nobody rests on it");
    drop(gone.enter(&broker, Way::Exporter));
    assert_eq!(introspector.asked_about(&gone), 2);

    // While the server cannot be asked, what is known stays in force for those who rest on it.
    introspector.answer(|_| Answer::status(500));
    ask(&mut operator, &json!({ "command": "flushCaches" }));
    gone.attempt(&broker, Way::Exporter).unavailable(&broker);
    client.round_trip("dev/a");
    // And a token that has been revoked meanwhile ends with its next answer.
    introspector.revoke(&device);
    introspector.answer(|answer| answer);
    ask(&mut operator, &json!({ "command": "flushCaches" }));
    client.expect_not_authorized();
    broker.wait_for_line(&["the session of client \"device\" ends: token-inactive"]);
    broker.stop();
}

/// Ended by its subject, a client does not come back by what is remembered of its token.
fn control_ended_subjects_tokens_are_asked_about_again(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&["cache = \"1h\""]).start(ctx);
    let operator_device = introspector.device_with("operator", Key::ed25519(), |claims| claims.scope(ALL));
    let mut operator = operator_device.enter(&broker, Way::Exporter);
    assert_eq!(operator.subscribe(&[RESPONSE]), [0]);
    let (device, away) = (introspector.device("device"), introspector.device("away"));
    let mut client = device.enter(&broker, Way::Exporter);
    drop(away.enter(&broker, Way::Exporter));
    introspector.revoke(&device);
    introspector.revoke(&away);
    for subject in ["device", "away"] {
        ask(&mut operator, &json!({ "command": "endSubject", "subject": subject }));
    }
    expect_ended(&mut client);
    device.attempt(&broker, Way::Exporter).refused(&broker, "token-inactive");
    // The one that was not connected: its token is held, and was known to be good.
    away.attempt(&broker, Way::Exporter).refused(&broker, "token-inactive");
    assert_eq!(introspector.asked_about(&operator_device), 1, "nobody else is asked about");
    broker.stop();
}

fn control_reload_has_keys_fetched_and_files_read(ctx: &Ctx) {
    let (old, new) = (Authority::new(), Authority::signing_with(Key::ed25519().named("new-key")));
    let published = std::sync::Arc::new(std::sync::Mutex::new(Vec::from([old.key.jwk()])));
    let answered = std::sync::Arc::clone(&published);
    let server = HttpsServer::start(move |_| {
        let body = json!({ "keys": *answered.lock().unwrap() }).to_string().into_bytes();
        Answer::ok("application/jwk-set+json", body).header("Cache-Control", "public, max-age=3600")
    });
    let filed = Authority { issuer: "https://filed.test".to_owned(), ..Authority::new() };
    let setup = Setup::with(old.clone())
        .keys_by_url(Some(&server.url("/jwks")))
        .file("as-ca.pem", &crate::support::pki::pki().authority)
        .server("ca_file = \"{dir}/as-ca.pem\"")
        .file("filed.json", &filed.jwks())
        .server(&format!("[[authorization_server]]\nissuer = {}\njwks = \"filed.json\"", json!(filed.issuer)));
    let broker = setup.start(ctx);
    let mut operator = operator(&broker, "operator");
    assert_eq!(server.requests().len(), 1);

    // A key that is withdrawn counts until it is known to be.
    *published.lock().unwrap() = vec![new.key.jwk()];
    drop(of_subject(&old, "a", "a").enter(&broker, Way::Exporter));
    let replaced = Authority { key: Key::ed25519().named("filed-anew"), ..filed.clone() };
    let replaced = Authority { jwks: vec![replaced.key.jwk()], ..replaced };
    std::fs::write(broker.file("filed.json"), replaced.jwks()).unwrap();
    // What has been changed in ace.toml itself is not for this command.
    std::fs::write(broker.file("ace.toml"), "nonsense").unwrap();
    assert_eq!(ask(&mut operator, &json!({ "command": "reloadKeys" })), json!({ "fetching": [old.issuer] }));
    broker.wait_for_line(&["ace: command of client \"operator\"", "reloads the keys"]);
    wait_until("the keys are fetched", || server.requests().len() == 2);
    broker.wait_for_line(&["are in force: 1"]);
    wait_until("the old key has gone", || {
        ask(&mut operator, &json!({ "command": "getStatus" }))["keySets"][0]["fetched"] == json!(2)
    });
    of_subject(&old, "a", "a").attempt(&broker, Way::Exporter).refused(&broker, "key-unknown");
    of_subject(&new, "a", "a").enter(&broker, Way::Exporter).round_trip("dev/a");
    of_subject(&filed, "b", "b").attempt(&broker, Way::Exporter).refused(&broker, "key-unknown");
    of_subject(&replaced, "b", "b").enter(&broker, Way::Exporter).round_trip("dev/b");

    // A file that is broken changes nothing.
    std::fs::write(broker.file("filed.json"), "{").unwrap();
    assert_eq!(ask_in_vain(&mut operator, &json!({ "command": "reloadKeys" })), "files-unusable");
    broker.wait_for_line(&["ace: command of client \"operator\"", "reloads the keys, in vain", "filed.json"]);
    of_subject(&replaced, "b", "b").enter(&broker, Way::Exporter).round_trip("dev/b");
    broker.stop();
}

fn control_tells_how_it_is(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut operator = operator(&broker, "operator");
    let _device = broker.device("device").enter(&broker, Way::Challenge);
    assert_eq!(ask_in_vain(&mut operator, &json!({ "command": "restart" })), "command-unknown");
    let status = ask(&mut operator, &json!({ "command": "getStatus" }));
    assert_eq!((&status["sessions"], &status["heldTokens"]), (&json!(2), &json!(2)), "{status}");
    assert_eq!((&status["commands"]["done"], &status["commands"]["failed"]), (&json!(0), &json!(1)), "{status}");
    let since = status["since"].as_u64().expect("a time");
    assert!((now().as_secs() - 60..=now().as_secs()).contains(&since));
    assert!(broker.log().contains(&format!("ace: version {},", status["version"].as_str().expect("a version"))));
    broker.stop();
}

fn control_serves_every_protocol_and_qos(ctx: &Ctx) {
    let broker = Setup::new().websocket_listener().start(ctx);
    let status = json!({ "commands": [{ "command": "getStatus", "correlationData": "x" }] }).to_string();
    for way in [Way::Challenge, Way::UserName(Protocol::V311), Way::Draft00(Protocol::V311)] {
        for open in [Broker::open, Broker::open_websocket] {
            let device = broker.device_scoped("operator", ALL);
            let mut client = device.attempt_over(open(&broker), way).accepted();
            assert_eq!(client.subscribe(&[RESPONSE]), [0]);
            client.publish0(REQUEST, status.as_bytes());
            assert_eq!(responses(&mut client)[0]["correlationData"], json!("x"));
            assert_eq!(client.publish1(REQUEST, status.as_bytes()), 0);
            responses(&mut client);
            assert_eq!(client.publish2(REQUEST, status.as_bytes()), 0);
            responses(&mut client);
            assert_eq!(client.publish_retained(REQUEST, status.as_bytes()), 0);
            responses(&mut client);
            // Nothing of it goes to subscribers, now or later.
            assert_eq!(client.subscribe(&[REQUEST, "$CONTROL/ace/#"]), [0, 0]);
            client.publish0(REQUEST, status.as_bytes());
            responses(&mut client);
            assert!(client.messages_so_far().is_empty());
        }
    }
    broker.stop();
}

fn control_answers_do_not_mix(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut operators = ["one", "two"].map(|id| operator(&broker, id));
    let mut witness = operator(&broker, "witness");
    assert_eq!(witness.subscribe(&["$CONTROL/ace/#"]), [0]);
    const ROUNDS: usize = 50;
    for round in 0..ROUNDS {
        for (number, operator) in operators.iter_mut().enumerate() {
            let correlation = format!("{number}-{round}");
            let request = json!({ "commands": [{ "command": "getStatus", "correlationData": correlation }] });
            operator.publish0(REQUEST, request.to_string().as_bytes());
        }
    }
    for (number, operator) in operators.iter_mut().enumerate() {
        for round in 0..ROUNDS {
            let answered = responses(operator);
            assert_eq!(answered[0]["correlationData"], json!(format!("{number}-{round}")), "in order, and one's own");
        }
        assert!(operator.messages_so_far().is_empty());
    }
    assert!(witness.messages_so_far().is_empty(), "who has not asked is not answered");
    broker.stop();
}

fn control_with_settings_per_listener_each_plugin_knows_its_own(ctx: &Ctx) {
    let mut setup = Setup::new().listener(&CERTIFICATE);
    setup.is_per_listener = true;
    let broker = setup.start(ctx);
    let elsewhere = || Client::tls(broker.port(0), tls::tls13());
    let mut operator = operator(&broker, "here");
    let there = broker.device_scoped("there", ALL);
    let mut there = there.attempt_over(elsewhere(), Way::Challenge).accepted();
    assert_eq!(there.subscribe(&[RESPONSE]), [0]);
    assert_eq!(ids(&sessions(&mut operator, &json!({}))), BTreeSet::from(["here".to_owned()]));
    assert_eq!(ask_in_vain(&mut operator, &json!({ "command": "endSession", "clientid": "there" })), "session-missing");
    if ctx.version.number.starts_with("2.0.") {
        assert_eq!(ids(&sessions(&mut there, &json!({}))), BTreeSet::from(["there".to_owned()]));
    } else {
        broker.wait_for_line(&["ace: another plugin has taken the topic for commands"]);
        assert_eq!(there.publish1(REQUEST, FLUSH.as_bytes()), 0);
        broker.wait_for_line(&["ace: denied client \"there\"", "control-without-token"]);
        assert!(there.messages_so_far().is_empty());
        expect_no_command(&broker);
    }
    broker.stop();
}

const FLUSH: &str = r#"{"commands":[{"command":"flushCaches"}]}"#;

/// Nobody has given a command that was carried out.
fn expect_no_command(broker: &Broker) {
    let log = broker.log();
    assert!(!log.contains("ace: command of"), "{log}");
}

fn control_needs_the_scope(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let both: &[&str] = &["pub", "sub"];
    for (number, scope) in [
        &[][..],
        &[("dev/#", both)],
        &[("#", both)],
        &[("+/ace/v1", both), ("+/#", both)],
        &[("$SYS/#", both)],
        &[("$CONTROL", both), ("$CONTROL/ace", both)],
        &[("$CONTROL/dynamic-security/#", both)],
        &[("$CONTROL/ace/v1/response", both)],
        &[("$CONTROL/ace/#", &["sub"])],
        &[("$control/ace/#", both)],
    ]
    .into_iter()
    .enumerate()
    {
        let device = broker.device_scoped(&format!("nobody-{number}"), scope);
        let mut client = device.enter(&broker, Way::Challenge);
        assert_eq!(client.publish1(REQUEST, FLUSH.as_bytes()), 0x87, "{scope:?}");
        assert_eq!(client.publish2(REQUEST, FLUSH.as_bytes()), 0x87, "{scope:?}");
        assert!(client.messages_so_far().is_empty(), "{scope:?}");
        broker.wait_for_line(&[
            "ace: denied",
            &format!("\"{}\"", device.id),
            "to publish to \"$CONTROL/ace/v1\": outside-scope",
        ]);
        client.publish0(REQUEST, FLUSH.as_bytes());
        client.expect_not_authorized();
        let mut old = device.enter(&broker, Way::UserName(Protocol::V311));
        old.send(&packet::publish(Protocol::V311, REQUEST, FLUSH.as_bytes(), 1, false, 1));
        old.expect_not_authorized();
    }
    // Who may not be given the answer may not ask, though the message itself is within its scope.
    let mut mute = broker.device_scoped("mute", &[("$CONTROL/ace/v1", both)]).enter(&broker, Way::Challenge);
    assert_eq!(mute.subscribe(&[RESPONSE]), [0x87]);
    assert_eq!(mute.publish1(REQUEST, FLUSH.as_bytes()), 0, "the broker says so, whatever comes of it");
    broker.wait_for_line(&["ace: denied client \"mute\"", "control-response-outside-scope"]);
    assert_eq!(mute.publish1(REQUEST, FLUSH.as_bytes()), 0);
    assert!(mute.messages_so_far().is_empty());
    assert_eq!(broker.log().matches("control-response-outside-scope").count(), 1, "one line for one client");
    expect_no_command(&broker);

    let mut operator = operator(&broker, "operator");
    let denied = ask(&mut operator, &json!({ "command": "getStatus" }))["commands"]["denied"].clone();
    assert_eq!(denied["control-response-outside-scope"], json!(2), "each is counted: {denied}");
    broker.stop();
}

/// What a client says of itself is put into filters, but none of them becomes one for commands.
fn control_scope_is_not_what_a_client_calls_itself(ctx: &Ctx) {
    let words = |filters: &[&str]| {
        let words = filters.iter().flat_map(|filter| [format!("mqtt:pub:{filter}"), format!("mqtt:sub:{filter}")]);
        words.collect::<Vec<_>>().join(" ")
    };
    for format in ["aif", "words"] {
        let setup = Setup::new().server(&format!("scope_format = \"{format}\"")).server("scope_placeholders = true");
        let broker = setup.start(ctx);
        for (filter, id, code) in [
            ("{client_id}/ace/#", "$CONTROL", "scope-placeholder"),
            ("{client_id}/#", "$CONTROL", "scope-placeholder"),
            ("{client_id}", "$CONTROL/ace/v1", "scope-placeholder"),
            ("$CONTROL/{client_id}/#", "ace", "scope-placeholder"),
            ("$CONTR{client_id}/ace/#", "OL", "scope-placeholder"),
            ("$CONTROL/ace/{client_id}", "v1", "scope-placeholder"),
        ] {
            let filters = [filter, "dev/#"];
            let authority = &broker.setup().authority;
            let device = Device::new(authority, id, Key::ed25519(), |claims| match format {
                "words" => claims.set("scope", words(&filters)),
                _ => claims.scope(&filters.map(|filter| (filter, &["pub", "sub"][..]))),
            });
            for way in [Way::Challenge, Way::UserName(Protocol::V311)] {
                device.attempt(&broker, way).refused(&broker, code);
            }
        }
        // Where the braces are not meant for that, they stand for themselves.
        let device = Device::new(&broker.setup().authority, "operator", Key::ed25519(), |claims| match format {
            "words" => claims.set("scope", words(&["$CONTROL/ace/#", "{client_id}/#"])),
            _ => claims.scope(&[("$CONTROL/ace/#", &["pub", "sub"]), ("{client_id}/#", &["pub", "sub"])]),
        });
        let mut operator = device.enter(&broker, Way::Challenge);
        assert_eq!(operator.subscribe(&[RESPONSE, "operator/a"]), [0, 0]);
        expect_no_command(&broker);
        ask(&mut operator, &json!({ "command": "flushCaches" }));
        broker.stop();
    }
}

/// Whatever the broker's own files let them do.
fn control_needs_a_token(ctx: &Ctx) {
    let acl = "topic readwrite #\ntopic readwrite $CONTROL/#\nuser somebody\ntopic readwrite #\ntopic readwrite $CONTROL/#\n\
               user password\ntopic readwrite $CONTROL/ace/#\ntopic readwrite $CONTROL/#\n";
    let setup = Setup::new()
        .mqtt("other_clients = \"defer\"")
        .conf("allow_anonymous true")
        .conf("acl_file {dir}/acl")
        .conf("password_file {dir}/passwords")
        .file("acl", acl)
        .file("passwords", &crate::operating::password_line("somebody", "open sesame"));
    let broker = setup.start(ctx);
    let by_password = Connect::credentials(Protocol::V5, "by-password", b"somebody", b"open sesame");
    for connect in [by_password, Connect::new(Protocol::V5, "anonymous"), Connect::new(Protocol::V311, "old")] {
        let mut client = Attempt::make(broker.open(), &connect).accepted();
        let refused = if connect.protocol == Protocol::V5 { 0x87 } else { 0x80 };
        // The files count for everything else.
        client.round_trip("anything/at/all");
        for filter in [RESPONSE, REQUEST, "$CONTROL/ace/#", "$share/group/$CONTROL/ace/v1/response"] {
            assert_eq!(client.subscribe(&[filter]), [refused], "{} {filter}", connect.client_id);
        }
        if connect.protocol == Protocol::V5 {
            assert_eq!(client.publish1(REQUEST, FLUSH.as_bytes()), 0x87);
        } else {
            client.publish1(REQUEST, FLUSH.as_bytes());
        }
        assert!(client.messages_so_far().is_empty());
        broker.wait_for_line(&["ace: denied", &format!("\"{}\"", connect.client_id), "control-without-token"]);
    }
    expect_no_command(&broker);
    let denied = {
        let mut operator = operator(&broker, "operator");
        ask(&mut operator, &json!({ "command": "getStatus" }))["commands"]["denied"].clone()
    };
    assert!(denied["control-without-token"].as_u64().expect("a number") >= 15, "{denied}");
    broker.stop();

    // The anonymous whom the plugin lets in have what is public, and `#` is not this.
    let setup = Setup::new().mqtt("allow_anonymous = true").mqtt(r##"public_publish = ["#"]"##);
    let broker = setup.mqtt(r##"public_subscribe = ["#"]"##).start(ctx);
    let mut anonymous = Attempt::make(broker.open(), &Connect::new(Protocol::V5, "anonymous")).accepted();
    anonymous.round_trip("anything/at/all");
    assert_eq!(anonymous.subscribe(&[RESPONSE, "$CONTROL/#"]), [0x87, 0x87]);
    assert_eq!(anonymous.publish1(REQUEST, FLUSH.as_bytes()), 0x87);
    expect_no_command(&broker);
    broker.stop();
}

fn control_is_never_open_to_all(ctx: &Ctx) {
    for line in [
        r##"public_publish = ["$CONTROL/#"]"##,
        r##"public_publish = ["hello/#", "$CONTROL/ace/v1"]"##,
        r##"public_subscribe = ["$CONTROL/+/v1/response"]"##,
    ] {
        let (status, log) = Broker::start_in_vain(ctx, Setup::new().mqtt(line));
        assert!(!status.success(), "{line}");
        assert!(log.contains("commands to the broker and its plugins cannot be open to all"), "{log}");
    }
}

/// What a client leaves behind is no command, not even where the broker takes such a Will.
fn control_takes_no_wills(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device_scoped("operator", ALL);
    let attempt = device.attempt_changed(broker.open(), Way::Exporter, |connect| {
        connect.will = Some(Will { topic: REQUEST.to_owned(), payload: FLUSH.as_bytes().to_vec() });
    });
    // Mosquitto from 2.0.12 on does not take it.
    if ctx.version.number == "2.0.11" {
        let client = attempt.accepted();
        drop(client);
        broker.wait_for_line(&["operator", "closed its connection"]);
    }
    let mut other = operator(&broker, "other");
    other.ping();
    expect_no_command(&broker);
    broker.stop();
}

fn control_hostile_requests_do_nothing(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut operator = operator(&broker, "operator");
    let _victim = broker.device("victim").enter(&broker, Way::Challenge);
    let end = r#"{"command":"endSession","clientid":"victim"}"#;
    let nested = format!("{{\"commands\":{}{}}}", "[".repeat(50_000), "]".repeat(10_000));
    let many = format!("{{\"commands\":[{}{end}]}}", format!("{end},").repeat(9_999));
    let seventeen = format!("{{\"commands\":[{}{end}]}}", format!("{end},").repeat(16));
    let padded = format!("{{\"commands\":[{end}]}}{}", " ".repeat(65_536));
    let mut random = crate::support::key::random(4_000);
    random[0] = b'{';
    for (payload, code) in [
        (b"".to_vec(), "request-malformed"),
        (b"\0".to_vec(), "request-malformed"),
        (random, "request-malformed"),
        (format!("{{\"commands\":[{end}]").into_bytes(), "request-malformed"),
        (format!("{{\"commands\":[{end}]}}\0").into_bytes(), "request-malformed"),
        (format!("{{\"commands\":[{end}],\"commands\":[{end}]}}").into_bytes(), "request-malformed"),
        (
            br#"{"commands":[{"command":"getStatus","command":"endSession","clientid":"victim"}]}"#.to_vec(),
            "request-malformed",
        ),
        (nested.into_bytes(), "request-malformed"),
        (many.into_bytes(), "request-too-large"),
        (padded.into_bytes(), "request-too-large"),
        (vec![b'7'; 1_000_000], "request-too-large"),
        (seventeen.into_bytes(), "commands-too-many"),
        (b"{}".to_vec(), "commands-missing"),
        (br#"{"commands":{}}"#.to_vec(), "commands-missing"),
        (format!("{{\"commands\":[{end}],\"and\":1}}").into_bytes(), "member-unknown"),
        (br#"{"commands":["endSession"]}"#.to_vec(), "command-malformed"),
        (br#"{"commands":[{"command":"endSession","clientid":["victim"]}]}"#.to_vec(), "member-unusable"),
        (br#"{"commands":[{"command":"endSession","clientid":"victim","force":true}]}"#.to_vec(), "member-unknown"),
        (br#"{"commands":[{"command":"endSession","clientid":"victim\u0000"}]}"#.to_vec(), "member-unusable"),
        (br#"{"commands":[{"command":"endSession","clientid":"victi"}]}"#.to_vec(), "session-missing"),
        (br#"{"commands":[{"command":"endSession","clientid":"+"}]}"#.to_vec(), "session-missing"),
        (br#"{"commands":[{"command":"listSessions","count":1000000}]}"#.to_vec(), "member-unusable"),
    ] {
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(80)]).into_owned();
        assert_eq!(operator.publish1(REQUEST, &payload), 0, "{shown}");
        let answered = responses(&mut operator);
        assert_eq!(answered.len(), 1, "{shown}");
        assert_eq!((&answered[0]["code"], &answered[0]["data"]), (&json!(code), &Value::Null), "{shown}");
    }
    assert_eq!(sessions(&mut operator, &json!({ "clientid": "victim" })).len(), 1, "it is still there");
    // Beside the topic nobody is there: 2.1 says so, the others say nothing.
    for topic in ["$CONTROL/ace/v2", "$CONTROL/ace", "$CONTROL/ace/v1/", RESPONSE] {
        operator.publish1(topic, format!("{{\"commands\":[{end}]}}").as_bytes());
        for message in operator.messages_so_far() {
            assert!(!ctx.version.number.starts_with("2.0."), "{message:?}");
            assert_eq!(message.payload, br#"{"error": "endpoint not available"}"#, "{message:?}");
        }
    }
    expect_no_command(&broker);
    broker.stop();
}

/// The broker sends an answer to whoever has the client id when its loop begins its next turn: somebody who comes in between must not be
/// given it.
fn control_answers_reach_nobody_who_takes_the_client_id(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let list = r#"{"commands":[{"command":"listSessions"}]}"#;
    let mut refused = 0;
    for _ in 0..40 {
        let mut operator = operator(&broker, "shared");
        let thief = broker.device("shared");
        let mut thiefs = broker.open();
        let connect = thief.connect(&thiefs, Way::UserName(Protocol::V311));
        thiefs.protocol = Protocol::V311;
        // Both are there when the broker looks next, the command first.
        broker.pause();
        operator.publish0(REQUEST, list.as_bytes());
        thiefs.send(&connect.encode());
        broker.go_on();
        let connack = thiefs.expect(kind::CONNACK);
        if connack.reason() == 0 {
            assert!(thiefs.messages_so_far().is_empty(), "somebody else's answer");
        } else {
            assert_eq!(connack.reason(), 3, "server unavailable");
            thiefs.expect_close();
            broker.expect_refusal("shared", "client-id-busy");
            responses(&mut operator);
            refused += 1;
            // It may come again at once.
            wait_until("the id is free", || {
                let attempt = thief.attempt(&broker, Way::UserName(Protocol::V311));
                matches!(&attempt.reply, crate::support::Reply::Connack(connack) if connack.reason() == 0)
            });
        }
    }
    assert!(refused > 0, "the two were never handled in one turn");
    broker.stop();
}

fn control_ends_with_the_token(ctx: &Ctx) {
    let broker = Setup::new().tokens(r#"leeway = "0s""#).start(ctx);
    let authority = &broker.setup().authority;
    let device = Device::new(authority, "operator", Key::ed25519(), |claims| claims.scope(ALL).expires_in(3));
    let mut operator = device.enter(&broker, Way::Challenge);
    assert_eq!(operator.subscribe(&[RESPONSE]), [0]);
    ask(&mut operator, &json!({ "command": "flushCaches" }));
    operator.expect_not_authorized();
    // A fresh token with less takes the right away at once.
    let mut operator = broker.device_scoped("again", ALL).enter(&broker, Way::Challenge);
    assert_eq!(operator.subscribe(&[RESPONSE]), [0]);
    ask(&mut operator, &json!({ "command": "getStatus" }));
    broker.stop();
}

/// Waits for something without an event of its own.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
