//! `--renew`: connections that outlive their token.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use peer::{PATIENCE, Peer, Script, Session, TOKEN, auth};
use serde_json::json;

const FRESH: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJzIiwiaWF0IjoxfQ.c2ln";

/// An answer with a token that is valid for so many seconds.
fn token(session: &mut Session, token: &str, expires_in: u64) {
    session.http_request();
    session.http_answer("200 OK", &json!({"access_token": token, "expires_in": expires_in}).to_string());
}

/// Accepts a connection and a subscription to one filter.
fn welcome_subscriber(session: &mut Session) {
    assert_eq!(session.welcome().token_and_proof().0, TOKEN);
    let body = session.expect(0x82);
    session.write(&[0x90, 4, body[0], body[1], 0, 1]);
}

/// Reads the fresh token, challenges, reads the answer, and lets it pass.
fn reauthenticate(session: &mut Session) {
    let body = session.expect(0xf0);
    assert_eq!(body[0], 0x19);
    assert!(body.ends_with(FRESH.as_bytes()), "the fresh token and no proof");
    session.write(&auth(0x18, "ace", b"12345678"));
    assert_eq!(session.expect(0xf0)[0], 0x18);
    session.write(&auth(0, "ace", b""));
}

/// Starts `ace-mqtt` for a broker and an authorization server.
fn start(broker: &Peer, server: &Peer, arguments: &[&str]) -> Child {
    let secret = server.folder().join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    Command::new(env!("CARGO_BIN_EXE_ace-mqtt"))
        .args(arguments)
        .args(["-h", "localhost", "-p", &broker.port.to_string(), "--cafile", broker.ca().to_str().unwrap()])
        .args(["--as", &format!("https://localhost:{}/token", server.port), "--as-ca", server.ca().to_str().unwrap()])
        .args(["--client-id", "s", "--client-secret-file", secret.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the end within bounds.
fn finish(mut child: Child) -> Output {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() >= deadline {
            child.kill().unwrap();
            panic!("ace-mqtt does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn k1_sub_brings_a_fresh_token_and_subscribes_again() {
    let asked: Vec<Script> =
        vec![Box::new(|session| token(session, TOKEN, 2)), Box::new(|session| token(session, FRESH, 3_600))];
    let server = Peer::start(asked);
    let broker = Peer::once(|session| {
        welcome_subscriber(session);
        reauthenticate(session);
        let body = session.expect(0x82);
        assert_eq!(body.last(), Some(&0x21), "QoS 1, and no retained messages");
        session.write(&[0x90, 4, body[0], body[1], 0, 1]);
        session.write(b"\x32\x08\0\x01a\0\x01\0hi");
        session.expect(0x40);
        assert_eq!(session.expect(0xe0), [0]);
    });
    let output = finish(start(&broker, &server, &["sub", "-t", "a", "-q", "1", "-C", "1", "--renew", "-d"]));
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "hi\n"), "{said}");
    assert!(said.contains("accepted a fresh token") && !said.contains(FRESH) && !said.contains("s3cret"), "{said}");
    server.finish();
    broker.finish();
}

#[test]
fn k1_pub_publishes_on_after_a_fresh_token() {
    let server = Peer::start(vec![
        Box::new(|session| token(session, TOKEN, 1)),
        Box::new(|session| token(session, FRESH, 3_600)),
    ]);
    let (told, heard) = mpsc::channel();
    let broker = Peer::once(move |session| {
        session.welcome();
        reauthenticate(session);
        told.send(()).unwrap();
        let body = session.expect(0x32);
        assert_eq!(&body[6..], b"line");
        session.write(&[0x40, 2, body[3], body[4]]);
        session.expect(0xe0);
    });
    let mut child = start(&broker, &server, &["pub", "-t", "a", "-l", "-q", "1", "--renew"]);
    heard.recv_timeout(PATIENCE).unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"line\n").unwrap();
    let output = finish(child);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    server.finish();
    broker.finish();
}

#[test]
fn k1_a_server_that_does_not_answer_holds_up_no_message() {
    let (release, released) = mpsc::channel();
    let (asked, was_asked) = mpsc::channel();
    let server = Peer::start(vec![
        Box::new(|session| token(session, TOKEN, 1)),
        Box::new(move |session| {
            session.http_request();
            asked.send(()).unwrap();
            released.recv_timeout(PATIENCE).unwrap();
            session.http_answer("200 OK", &json!({"access_token": FRESH}).to_string());
        }),
    ]);
    let broker = Peer::once(move |session| {
        welcome_subscriber(session);
        was_asked.recv_timeout(PATIENCE).unwrap();
        session.write(b"\x30\x06\0\x01a\0hi");
        reauthenticate(session);
        session.write(&[0xe0, 1, 0x8b]);
    });
    let mut child = start(&broker, &server, &["sub", "-t", "a", "-q", "1", "--renew"]);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "hi\n");
    release.send(()).unwrap();
    let output = finish(child);
    assert_eq!(output.status.code(), Some(7));
    assert!(text(&output.stderr).contains("server shutting down"), "{}", text(&output.stderr));
    server.finish();
    broker.finish();
}

#[test]
fn k1_a_server_that_refuses_is_asked_again_until_the_broker_ends_the_session() {
    let (told, heard) = mpsc::channel();
    let mut scripts: Vec<Script> = vec![Box::new(|session| token(session, TOKEN, 1))];
    for _ in 0..2 {
        let told = told.clone();
        scripts.push(Box::new(move |session| {
            session.http_request();
            session.http_answer("403 Forbidden", r#"{"error":"access_denied"}"#);
            told.send(()).unwrap();
        }));
    }
    let server = Peer::start(scripts);
    let broker = Peer::once(move |session| {
        welcome_subscriber(session);
        for _ in 0..2 {
            heard.recv_timeout(PATIENCE).unwrap();
        }
        // As at the end of the token's life.
        session.write(&[0xe0, 1, 0x87]);
    });
    let output = finish(start(&broker, &server, &["sub", "-t", "a", "-q", "1", "--renew"]));
    assert_eq!(output.status.code(), Some(7));
    let said = text(&output.stderr);
    let refusals =
        said.matches("no fresh token yet: the authorization server refused the token: access_denied").count();
    assert!(refusals >= 1 && said.contains("; next attempt in 1."), "{said}");
    // The second refusal may be told behind it: it comes by another thread.
    assert!(said.contains("ace-mqtt: the broker ended the connection: not authorized (0x87)\n"), "{said}");
    server.finish();
    broker.finish();
}

#[test]
fn e2_a_fresh_token_that_the_broker_refuses_has_an_exit_code_of_its_own() {
    let server = Peer::start(vec![
        Box::new(|session| token(session, TOKEN, 1)),
        Box::new(|session| token(session, FRESH, 3_600)),
    ]);
    let broker = Peer::once(|session| {
        welcome_subscriber(session);
        session.expect(0xf0);
        session.write(&[0xe0, 1, 0x87]);
    });
    let output = finish(start(&broker, &server, &["sub", "-t", "a", "-q", "1", "--renew"]));
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(
        text(&output.stderr),
        "ace-mqtt: the broker refused the re-authentication and ended the connection: not authorized (0x87); the broker's log says why\n"
    );
    server.finish();
    broker.finish();
}

#[test]
fn a_fresh_token_that_allows_less_is_reported() {
    let server = Peer::start(vec![
        Box::new(|session| token(session, TOKEN, 1)),
        Box::new(|session| token(session, FRESH, 3_600)),
    ]);
    let broker = Peer::once(|session| {
        welcome_subscriber(session);
        reauthenticate(session);
        let body = session.expect(0x82);
        session.write(&[0x90, 4, body[0], body[1], 0, 0x87]);
        session.write(&[0xe0, 1, 0x87]);
    });
    let output = finish(start(&broker, &server, &["sub", "-t", "a", "-q", "1", "--renew"]));
    assert_eq!(output.status.code(), Some(7));
    assert!(text(&output.stderr).contains("refused the subscription to \"a\""), "{}", text(&output.stderr));
    server.finish();
    broker.finish();
}

#[test]
fn renew_is_refused_where_it_cannot_work() {
    let server = ["--as", "https://a/token", "--client-id", "i", "--client-secret-file", "f"];
    for (arguments, what) in [
        (&["sub", "-t", "a", "--renew", "-V", "mqttv311"][..], "MQTT 3.1.1 has no re-authentication"),
        (&["sub", "-t", "a", "--renew", "--auth", "username"], "--auth exporter or challenge"),
        (&["sub", "-t", "a", "--renew", "--auth", "none"], "--auth exporter or challenge"),
        (&["pub", "-t", "a", "-m", "x", "--renew"], "it needs -l"),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ace-mqtt"))
            .args(arguments)
            .args(server)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(finish(child).status.code(), Some(2), "{arguments:?}");
        assert!(said.contains(what), "{said}");
    }
    let without = Command::new(env!("CARGO_BIN_EXE_ace-mqtt"))
        .args(["sub", "-t", "a", "--renew", "--token", "t"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(without.status.code(), Some(2), "nowhere to get a fresh token from");
}
