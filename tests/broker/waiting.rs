//! T2: tokens that only their server can read (RFC 9431, section 2.2.3; RFC 7662), and clients that wait for its answer.

use std::time::{Duration, Instant};

use crate::mqtt311::wait_for_fresh_second;
use crate::support::case::cases;
use crate::support::client::Event;
use crate::support::packet::{self, Will, binary, kind};
use crate::support::{Answer, Broker, Client, Ctx, Device, Gate, Introspector, Key, PATIENCE, Protocol, Setup, Way};

cases! {
    Accept "T2" t2_opaque_token_lets_its_holder_in_by_each_way;
    Accept "T2" t2_token_is_asked_about_once_for_many_clients;
    Accept "T2" t2_others_are_served_while_a_challenged_client_waits;
    Accept "T2" t2_others_are_served_while_a_client_without_method_waits;
    Accept "T2" t2_many_clients_wait_at_a_time;
    Accept "T2" t2_client_that_cannot_wait_finds_the_answer_when_it_comes_again;
    Accept "T2" t2_opaque_token_renews_a_session;
    Accept "T2" t2_opaque_token_is_taken_from_authz_info;
    Accept "T2" t2_websocket_client_waits_as_others;
    Accept "T2" t2_client_without_tls_is_asked_about_too;
    Accept "T2" t2_bearer_token_is_let_in_where_it_may;
    Refuse "T2" t2_token_that_is_not_active_is_refused;
    Refuse "T2" t2_proof_by_another_key_is_refused_after_waiting;
    Refuse "T2" t2_opaque_token_is_nothing_where_nobody_can_be_asked;
    Refuse "T2" t2_server_that_cannot_be_asked_is_told_and_nothing_remembered;
    Refuse "T2" t2_answer_for_a_client_that_has_left_lets_nobody_else_in;
    Refuse "T2" t2_answer_that_gets_through_early_is_refused;
    Refuse "T2" t2_reauthentication_that_nobody_can_judge_ends_the_session;
    Refuse "T2" t2_token_that_its_server_takes_back_ends_its_session;
    Refuse "T2" t2_session_ends_when_its_server_is_silent_for_too_long;
    Refuse "T2" t2_bad_token_for_authz_info_ends_its_publishers_session;
    Refuse "T2" t2_mqtt5_client_without_method_is_not_put_off;
    Refuse "T2" t2_what_its_server_says_by_then_counts_when_a_challenge_is_answered;
    Accept "T2" t2_session_gets_the_rights_that_its_server_gives_its_token;
    Refuse "T2" t2_session_ends_when_its_token_gets_another_key;
}

const WAYS: [Way; 7] = [
    Way::Challenge,
    Way::Exporter,
    Way::UserName(Protocol::V311),
    Way::UserName(Protocol::V5),
    Way::UserNameText(Protocol::V311),
    Way::Draft00(Protocol::V311),
    Way::Draft00Signed(Protocol::V311),
];

fn can_delay(ctx: &Ctx) -> bool {
    !ctx.version.number.starts_with("2.0.")
}

/// Sends a CONNECT and, in the challenge, the answer, without waiting for the broker's last word.
fn begin(device: &Device, mut client: Client, way: Way) -> Client {
    let connect = device.connect(&client, way);
    client.connect(&connect);
    if way == Way::Challenge {
        let Event::Packet(auth) = client.next(PATIENCE) else { panic!("no challenge") };
        assert_eq!((auth.kind(), auth.reason()), (kind::AUTH, 0x18));
        let answer = device.challenge_answer(&auth.authentication_data().expect("a nonce"));
        client.send(&packet::auth(0x18, Some(&answer)));
    }
    client
}

/// The reason code of the CONNACK that comes next, and the connection.
fn outcome(client: &mut Client) -> u8 {
    client.expect(kind::CONNACK).reason()
}

/// The reason code for a server that is not available.
fn unavailable(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::V5 => 0x88,
        Protocol::V311 => 3,
    }
}

/// Does something with the broker again and again while somebody waits; none of it takes as long as the other waits.
fn serve_others(client: &mut Client) {
    for _ in 0..20 {
        client.round_trip("dev/a");
    }
}

/// Tells that nothing comes for a while: far longer than it would take.
fn expect_silence(client: &mut Client) {
    let event = client.next(Duration::from_millis(100));
    assert!(matches!(event, Event::Silence), "{event:02x?}");
}

fn t2_opaque_token_lets_its_holder_in_by_each_way(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&[]).start(ctx);
    wait_for_fresh_second();
    for way in WAYS {
        for key in [Key::ed25519(), Key::p256(), Key::oct(32)] {
            let device = introspector.device_with("sensor", key, |claims| claims);
            let mut client = device.enter(&broker, way);
            client.round_trip("dev/a");
            client.ping();
            // From now on the answer is known.
            device.enter(&broker, way).ping();
            assert_eq!(introspector.asked_about(&device), 1, "{way:?}");
        }
    }
    let request = introspector.server.requests().pop().expect("a request");
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/introspect"));
    assert_eq!(request.basic().expect("credentials").0, "broker");
    broker.stop();
}

fn t2_token_that_is_not_active_is_refused(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&[]).start(ctx);
    for way in WAYS {
        let device = introspector.device("sensor");
        introspector.revoke(&device);
        device.attempt(&broker, way).refused(&broker, "token-inactive");
    }
    broker.stop();
}

fn t2_proof_by_another_key_is_refused_after_waiting(ctx: &Ctx) {
    let introspector = Introspector::start();
    introspector.answer(|answer| answer.after(Duration::from_millis(50)));
    let broker = introspector.setup(&[]).start(ctx);
    wait_for_fresh_second();
    for way in WAYS {
        let device = introspector.device("sensor").with_key(Key::ed25519());
        device.attempt(&broker, way).refused(&broker, "proof-wrong");
    }
    broker.stop();
}

fn t2_opaque_token_is_nothing_where_nobody_can_be_asked(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = Setup::new().start(ctx);
    let device = introspector.device("sensor");
    device.attempt(&broker, Way::Challenge).refused(&broker, "token-not-jwt");
    device.attempt(&broker, Way::UserName(Protocol::V311)).refused(&broker, "token-missing");
    assert!(introspector.server.requests().is_empty());
    broker.stop();
}

fn t2_token_is_asked_about_once_for_many_clients(ctx: &Ctx) {
    let introspector = Introspector::start();
    let gate = Gate::shut();
    let held = gate.clone();
    introspector.answer(move |answer| answer.when(&held));
    let broker = introspector.setup(&["timeout = \"20s\""]).start(ctx);
    let device = introspector.device("sensor");
    let mut clients: Vec<_> = (0..8)
        .map(|number| begin(&Device { id: format!("sensor{number}"), ..device.clone() }, broker.open(), Way::Challenge))
        .collect();
    introspector.server.wait_for_connections(1);
    gate.open();
    for client in &mut clients {
        assert_eq!(outcome(client), 0);
    }
    assert_eq!(introspector.asked_about(&device), 1);
    broker.stop();
}

/// A client waits in this way, and the others do not.
fn serves_others_meanwhile(ctx: &Ctx, way: Way) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&["timeout = \"20s\""]).start(ctx);
    let mut other = broker.device("other").enter(&broker, Way::Exporter);
    let gate = Gate::shut();
    let held = gate.clone();
    introspector.answer(move |answer| answer.when(&held));
    let device = introspector.device("sensor");
    let mut client = begin(&device, broker.open(), way);
    serve_others(&mut other);
    expect_silence(&mut client);
    gate.open();
    assert_eq!(outcome(&mut client), 0);
    client.round_trip("dev/b");
    broker.stop();
}

fn t2_others_are_served_while_a_challenged_client_waits(ctx: &Ctx) {
    serves_others_meanwhile(ctx, Way::Challenge);
}

fn t2_others_are_served_while_a_client_without_method_waits(ctx: &Ctx) {
    if can_delay(ctx) {
        for way in [Way::UserName(Protocol::V311), Way::UserNameText(Protocol::V311), Way::Draft00(Protocol::V311)] {
            serves_others_meanwhile(ctx, way);
        }
        return;
    }
    // Everybody waits, as long as the server takes and no longer.
    let introspector = Introspector::start();
    let broker = introspector.setup(&["timeout = \"5s\""]).start(ctx);
    let mut other = broker.device("other").enter(&broker, Way::Exporter);
    introspector.answer(|answer| answer.after(Duration::from_millis(200)));
    let mut client = begin(&introspector.device("sensor"), broker.open(), Way::UserName(Protocol::V311));
    assert_eq!(outcome(&mut client), 0);
    other.round_trip("dev/a");
    broker.stop();
}

fn t2_many_clients_wait_at_a_time(ctx: &Ctx) {
    let introspector = Introspector::start();
    let gate = Gate::shut();
    let held = gate.clone();
    introspector.answer(move |answer| answer.when(&held));
    let broker = introspector.setup(&["timeout = \"30s\""]).start(ctx);
    let ways: &[Way] =
        if can_delay(ctx) { &[Way::Challenge, Way::UserName(Protocol::V311)] } else { &[Way::Challenge] };
    let mut clients: Vec<_> = (0..40)
        .map(|number| {
            let device = introspector.device(&format!("sensor{number}"));
            begin(&device, broker.open(), ways[number % ways.len()])
        })
        .collect();
    // One leaves in between.
    drop(clients.swap_remove(7));
    introspector.server.wait_for_connections(8);
    broker.device("other").enter(&broker, Way::Exporter).ping();
    gate.open();
    for client in &mut clients {
        assert_eq!(outcome(client), 0);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.round_trip(&format!("dev/{number}"));
    }
    broker.stop();
}

/// `when_unknown = "refuse"`: whoever cannot be made to wait is sent away, and welcome a moment later.
fn t2_client_that_cannot_wait_finds_the_answer_when_it_comes_again(ctx: &Ctx) {
    let introspector = Introspector::start();
    introspector.answer(|answer| answer.after(Duration::from_millis(100)));
    let broker = introspector.setup(&[]).tokens("when_unknown = \"refuse\"").start(ctx);
    for way in [Way::Exporter, Way::UserName(Protocol::V311), Way::UserName(Protocol::V5)] {
        let device = introspector.device("sensor");
        let mut client = begin(&device, broker.open(), way);
        let protocol = client.protocol;
        if way == Way::UserName(Protocol::V311) && can_delay(ctx) {
            assert_eq!(outcome(&mut client), 0);
            continue;
        }
        assert_eq!(outcome(&mut client), unavailable(protocol), "{way:?}");
        client.expect_close();
        broker.expect_refusal("sensor", "server-unavailable");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut client = begin(&device, broker.open(), way);
            match outcome(&mut client) {
                0 => break,
                code => assert_eq!(code, unavailable(protocol)),
            }
            assert!(Instant::now() < deadline, "{way:?}: never let in");
        }
        assert_eq!(introspector.asked_about(&device), 1);
    }
    broker.stop();
}

fn t2_server_that_cannot_be_asked_is_told_and_nothing_remembered(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&["timeout = \"1s\""]).start(ctx);
    let mut other = broker.device("other").enter(&broker, Way::Exporter);
    for way in [Way::Challenge, Way::Exporter, Way::UserName(Protocol::V311), Way::UserName(Protocol::V5)] {
        let device = introspector.device("sensor");
        introspector.answer(|_| Answer::status(500));
        let mut client = begin(&device, broker.open(), way);
        assert_eq!(outcome(&mut client), unavailable(client.protocol), "{way:?}");
        client.expect_close();
        broker.expect_refusal("sensor", "server-unavailable");
        introspector.answer(|answer| answer);
        // Where the broker's thread has waited, it may be some time before it does so again.
        let deadline = Instant::now() + PATIENCE;
        while outcome(&mut begin(&device, broker.open(), way)) != 0 {
            assert!(Instant::now() < deadline, "{way:?}: never let in");
        }
        other.round_trip("dev/a");
    }
    broker.stop();
}

/// The broker would complete whatever attempt has the client id.
fn t2_answer_for_a_client_that_has_left_lets_nobody_else_in(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&["timeout = \"20s\""]).start(ctx);
    for way in [Way::Challenge, Way::UserName(Protocol::V311)] {
        if way != Way::Challenge && !can_delay(ctx) {
            continue;
        }
        let gate = Gate::shut();
        let held = gate.clone();
        introspector.answer(move |answer| answer.when(&held));
        let device = introspector.device("sensor");
        let thief = introspector.device("sensor").with_key(Key::ed25519());
        drop(begin(&device, broker.open(), way));
        // The broker may not have seen yet that the first has left: it closes until then.
        let deadline = Instant::now() + PATIENCE;
        let mut stranger = loop {
            assert!(Instant::now() < deadline, "never asked about the stranger's token");
            let mut client = begin(&thief, broker.open(), way);
            match client.next(Duration::from_millis(200)) {
                Event::Silence => break client,
                Event::Closed => {}
                other => panic!("{other:02x?}"),
            }
        };
        gate.open();
        assert_eq!(outcome(&mut stranger), if way == Way::Challenge { 0x87 } else { 5 });
        stranger.expect_close();
        broker.expect_refusal("sensor", "proof-wrong");
        introspector.answer(|answer| answer);
        device.enter(&broker, way).round_trip("dev/a");
    }
    broker.stop();
}

/// What the kernel does not hold back: the end of what a client sends, and more than an answer.
fn t2_answer_that_gets_through_early_is_refused(ctx: &Ctx) {
    let introspector = Introspector::start();
    let gate = Gate::shut();
    let held = gate.clone();
    introspector.answer(move |answer| answer.when(&held));
    let broker = introspector.setup(&["timeout = \"20s\""]).start(ctx);
    for floods in [false, true] {
        let device = introspector.device("sensor");
        let mut client = begin(&device, broker.open(), Way::Challenge);
        if floods {
            // The broker reads the answer first.
            client.send(&packet::publish(Protocol::V5, "dev/a", &[0; 100_000], 0, false, 0));
        } else {
            client.shut_sending_down();
        }
        // To a client whose bytes were not all read, the end of the connection may come before what was said.
        let said = client.expect_close();
        let codes: Vec<_> = said.iter().map(|packet| (packet.kind(), packet.reason())).collect();
        assert!(codes == [(kind::CONNACK, 0x88)] || (floods && codes.is_empty()), "flood {floods}: {codes:02x?}");
        broker.expect_refusal("sensor", "server-unavailable");
    }
    gate.open();
    broker.device("other").enter(&broker, Way::Challenge).ping();
    broker.stop();
}

/// Asks for a re-authentication and answers the challenge.
fn renew(client: &mut Client, device: &Device) {
    client.send(&packet::auth(0x19, Some(&binary(device.token.as_bytes()))));
    let nonce = client.expect(kind::AUTH).authentication_data().expect("a nonce");
    client.send(&packet::auth(0x18, Some(&device.challenge_answer(&nonce))));
}

fn t2_opaque_token_renews_a_session(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&["timeout = \"20s\""]).start(ctx);
    let mut other = broker.device("other").enter(&broker, Way::Exporter);
    let mut client = introspector.device("sensor").enter(&broker, Way::Challenge);
    let gate = Gate::shut();
    let held = gate.clone();
    introspector.answer(move |answer| answer.when(&held));
    let wider = introspector.device_with("sensor", Key::p256(), |claims| claims.scope(&[("more/#", &["pub", "sub"])]));
    renew(&mut client, &wider);
    serve_others(&mut other);
    expect_silence(&mut client);
    gate.open();
    assert_eq!(client.expect(kind::AUTH).reason(), 0);
    client.round_trip("more/a");
    assert_eq!(client.publish1("dev/a", b""), 0x87);
    broker.stop();
}

fn t2_reauthentication_that_nobody_can_judge_ends_the_session(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&["timeout = \"1s\""]).start(ctx);
    let mut client = introspector.device("sensor").enter(&broker, Way::Challenge);
    introspector.answer(|_| Answer::never());
    renew(&mut client, &introspector.device("sensor"));
    let disconnect = client.expect(kind::DISCONNECT);
    assert_eq!(disconnect.reason(), 0x89, "{disconnect:02x?}");
    client.expect_close();
    broker.expect_refusal("sensor", "server-unavailable");
    broker.stop();
}

fn t2_opaque_token_is_taken_from_authz_info(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = introspector.setup(&["timeout = \"20s\""]).mqtt("authz_info_topic = \"authz-info\"").start(ctx);
    let gate = Gate::shut();
    let held = gate.clone();
    introspector.answer(move |answer| answer.when(&held));
    let device = introspector.device("sensor");
    let mut anybody = broker.device("uploader").enter(&broker, Way::Exporter);
    // It is taken; nobody subscribes to where it goes.
    assert_eq!(anybody.publish1("authz-info", device.token.as_bytes()), 0x10);
    serve_others(&mut anybody);
    gate.open();
    broker.wait_for_line(&["ace: took a token from client \"uploader\"", "(token "]);
    assert_eq!(introspector.asked_about(&device), 1);
    anybody.ping();
    broker.stop();
}

fn t2_bad_token_for_authz_info_ends_its_publishers_session(ctx: &Ctx) {
    let introspector = Introspector::start();
    introspector.answer(|answer| answer.after(Duration::from_millis(100)));
    let broker = introspector.setup(&[]).mqtt("authz_info_topic = \"authz-info\"").start(ctx);
    let device = introspector.device("sensor");
    introspector.revoke(&device);
    let mut anybody = broker.device("uploader").enter(&broker, Way::Exporter);
    anybody.publish0("authz-info", device.token.as_bytes());
    anybody.expect_not_authorized();
    broker.wait_for_line(&["ace: refused a token of client \"uploader\"", ": token-inactive: "]);
    broker.stop();
}

fn t2_websocket_client_waits_as_others(ctx: &Ctx) {
    let introspector = Introspector::start();
    introspector.answer(|answer| answer.after(Duration::from_millis(100)));
    let broker = introspector.setup(&[]).websocket_listener().start(ctx);
    for way in [Way::Challenge, Way::UserName(Protocol::V311)] {
        let device = introspector.device("sensor");
        device.attempt_over(broker.open_websocket(), way).accepted().round_trip("dev/a");
    }
    broker.stop();
}

/// Nothing tells when such a client leaves, and its answer cannot be held back: the broker's thread waits.
fn t2_client_without_tls_is_asked_about_too(ctx: &Ctx) {
    let introspector = Introspector::start();
    introspector.answer(|answer| answer.after(Duration::from_millis(50)));
    let broker = introspector.setup(&[]).plain_listener().start(ctx);
    wait_for_fresh_second();
    for way in [Way::Challenge, Way::Draft00Signed(Protocol::V311)] {
        let device = introspector.device("sensor");
        device.attempt_over(broker.open_plain(), way).accepted().ping();
    }
    broker.stop();
}

/// That it has no key is known only when the challenge has gone out.
fn t2_bearer_token_is_let_in_where_it_may(ctx: &Ctx) {
    let introspector = Introspector::start();
    for may in [true, false] {
        let broker = introspector.setup(&[]).tokens(&format!("allow_bearer = {may}")).start(ctx);
        let device = introspector.device_with("sensor", Key::ed25519(), |claims| claims.without("cnf"));
        let attempt = device.attempt(&broker, Way::Challenge);
        if may {
            attempt.accepted().round_trip("dev/a");
        } else {
            attempt.refused(&broker, "bearer-refused");
        }
        broker.stop();
    }
}

/// A broker whose answers do not count for long.
fn hasty(introspector: &Introspector, ctx: &Ctx) -> Broker {
    introspector.setup(&["cache = \"2s\"", "timeout = \"500ms\""]).start(ctx)
}

/// How long a session may go on without its server: what an answer counts for, and a look at the clock.
const HASTY: Duration = Duration::from_millis(2500);

fn t2_token_that_its_server_takes_back_ends_its_session(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = hasty(&introspector, ctx);
    let (device, other) = (introspector.device("sensor"), introspector.device("other"));
    let mut client = device.enter(&broker, Way::Challenge);
    let mut stays = other.enter(&broker, Way::Exporter);
    // Its server is asked again and again, and it stays.
    let begun = Instant::now();
    while introspector.asked_about(&device) < 4 {
        client.round_trip("dev/a");
        assert!(begun.elapsed() < PATIENCE);
    }
    introspector.revoke(&device);
    let revoked = Instant::now();
    client.expect_not_authorized();
    assert!(revoked.elapsed() <= HASTY, "{:?}", revoked.elapsed());
    broker.wait_for_line(&["session of client \"sensor\" ends: token-inactive"]);
    device.attempt(&broker, Way::Challenge).refused(&broker, "token-inactive");
    stays.round_trip("dev/b");
    broker.stop();
}

fn t2_session_ends_when_its_server_is_silent_for_too_long(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = hasty(&introspector, ctx);
    let mut with_jwt = broker.device("other").enter(&broker, Way::Exporter);
    let device = introspector.device("sensor");
    let mut client = device.enter(&broker, Way::Challenge);
    introspector.answer(|_| Answer::never());
    let silent = Instant::now();
    client.expect_not_authorized();
    assert!(silent.elapsed() <= HASTY, "{:?}", silent.elapsed());
    broker.wait_for_line(&["session of client \"sensor\" ends: server-unavailable"]);
    with_jwt.round_trip("dev/a");
    introspector.answer(|answer| answer);
    // A request that was begun before may still be under way.
    let deadline = Instant::now() + PATIENCE;
    while outcome(&mut begin(&device, broker.open(), Way::Challenge)) != 0 {
        assert!(Instant::now() < deadline, "never let in again");
    }
    broker.stop();
}

/// Mosquitto 2.1.2 goes on using the memory of such a client after it has gone, if its Will has a delay.
fn t2_mqtt5_client_without_method_is_not_put_off(ctx: &Ctx) {
    let introspector = Introspector::start();
    introspector.answer(|_| Answer::never());
    let mut broker = introspector.setup(&["timeout = \"1s\""]).tokens("when_unknown = \"refuse\"").start(ctx);
    let device = introspector.device("sensor");
    for _ in 0..5 {
        let mut client = broker.open();
        let mut connect = device.connect(&client, Way::UserName(Protocol::V5));
        connect.will = Some(Will { topic: "dev/a".to_owned(), payload: b"gone".to_vec() });
        connect.will_delay = Some(1);
        client.connect(&connect);
        assert_eq!(outcome(&mut client), 0x88);
        client.expect_close();
    }
    broker.device("other").enter(&broker, Way::Exporter).round_trip("dev/a");
    broker.assert_alive();
    broker.stop();
}

/// What the server says of the device's token from now on.
fn rights(broker: &Broker, device: &Device, key: &Key, filter: &str) -> serde_json::Value {
    let claims = broker.setup().authority.claims(&device.id, key).set("active", true);
    serde_json::Value::Object(claims.scope(&[(filter, &["pub", "sub"])]).0)
}

/// Waits until the server has been asked about the token so often that it has heard what is said now.
fn settle(introspector: &Introspector, device: &Device) {
    let asked = introspector.asked_about(device);
    let deadline = Instant::now() + PATIENCE;
    while introspector.asked_about(device) < asked + 2 {
        assert!(Instant::now() < deadline, "not asked again");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn t2_what_its_server_says_by_then_counts_when_a_challenge_is_answered(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = hasty(&introspector, ctx);
    let device = introspector.device("sensor");
    // From now on the answer is known, and a session rests on it.
    let _other = Device { id: "other".to_owned(), ..device.clone() }.enter(&broker, Way::Exporter);
    let mut client = broker.open();
    let connect = device.connect(&client, Way::Challenge);
    client.connect(&connect);
    let nonce = client.expect(kind::AUTH).authentication_data().expect("a nonce");
    introspector.say(&device, rights(&broker, &device, &device.key, "other/#"));
    settle(&introspector, &device);
    client.send(&packet::auth(0x18, Some(&device.challenge_answer(&nonce))));
    assert_eq!(outcome(&mut client), 0);
    client.round_trip("other/a");
    assert_eq!(client.publish1("dev/a", b""), 0x87);
    broker.stop();
}

fn t2_session_gets_the_rights_that_its_server_gives_its_token(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = hasty(&introspector, ctx);
    let device = introspector.device("sensor");
    let mut client = device.enter(&broker, Way::Challenge);
    client.round_trip("dev/a");
    introspector.say(&device, rights(&broker, &device, &device.key, "other/#"));
    let deadline = Instant::now() + PATIENCE;
    while client.publish1("dev/a", b"") != 0x87 {
        assert!(Instant::now() < deadline, "the old rights stay");
    }
    client.round_trip("other/a");
    broker.stop();
}

fn t2_session_ends_when_its_token_gets_another_key(ctx: &Ctx) {
    let introspector = Introspector::start();
    let broker = hasty(&introspector, ctx);
    let device = introspector.device("sensor");
    let mut client = device.enter(&broker, Way::Challenge);
    introspector.say(&device, rights(&broker, &device, &Key::p256(), "dev/#"));
    client.expect_not_authorized();
    broker.wait_for_line(&["session of client \"sensor\" ends: identity-changed"]);
    broker.stop();
}
