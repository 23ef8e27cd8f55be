//! The command line as a user meets it: output, exit codes, files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use ace_mqtt::{
    Credentials,
    ace_profile::{
        connect::Draft00,
        proof::{Freshness, draft00_message},
    },
};
use peer::{PATIENCE, Peer, TOKEN, auth, credentials, key};
use serde_json::{Value, json};

fn ace_mqtt(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ace-mqtt"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
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

fn run(arguments: &[&str]) -> Output {
    finish(ace_mqtt(arguments).spawn().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Options for a broker played by `peer`, with credentials in a file of its folder.
fn broker_options(peer: &Peer) -> Vec<String> {
    let (key, _) = key();
    let file = peer.folder().join("credentials");
    credentials(key).save(&file).unwrap();
    ["-h", "localhost", "-p", &peer.port.to_string(), "--cafile", path(&peer.ca()), "--credentials", path(&file)]
        .map(str::to_owned)
        .to_vec()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn with_broker(peer: &Peer, command: &str, more: &[&str]) -> Command {
    let options = broker_options(peer);
    let mut arguments = vec![command];
    arguments.extend(options.iter().map(String::as_str));
    arguments.extend(more);
    ace_mqtt(&arguments)
}

fn run_with_broker(peer: &Peer, command: &str, more: &[&str]) -> Output {
    finish(with_broker(peer, command, more).spawn().unwrap())
}

#[test]
fn keygen_writes_a_private_file_and_prints_the_public_key() {
    let folder = tempfile::tempdir().unwrap();
    for (algorithm, kty) in [("EdDSA", Some("OKP")), ("es256", Some("EC")), ("HS256", None)] {
        let file = folder.path().join(algorithm);
        let output = run(&["keygen", "--alg", algorithm, "--out", path(&file), "--kid", "k1"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let private: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(private["kid"], "k1");
        match kty {
            Some(kty) => {
                let public: Value = serde_json::from_slice(&output.stdout).unwrap();
                assert_eq!((&public["kty"], &public["x"]), (&json!(kty), &private["x"]));
                assert!(public.get("d").is_none() && private.get("d").is_some());
            }
            None => assert!(output.stdout.is_empty() && private["k"].is_string()),
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let before = std::fs::read(&file).unwrap();
        assert_eq!(run(&["keygen", "--out", path(&file)]).status.code(), Some(1), "an existing key stays");
        assert_eq!(std::fs::read(&file).unwrap(), before);
        assert_eq!(run(&["keygen", "--out", path(&file), "--force"]).status.code(), Some(0));
    }
}

#[test]
fn token_saves_token_and_fresh_key_together() {
    let peer = Peer::once(|session| {
        let (_, body) = session.http_request();
        let body: Value = serde_json::from_str(&body).unwrap();
        let scope = ace_mqtt::ace_profile::base64url::decode(body["scope"].as_str().unwrap().as_bytes()).unwrap();
        let scope: Value = serde_json::from_slice(&scope).unwrap();
        assert_eq!(scope, json!([["a/#", ["pub", "sub"]], ["b", ["sub"]]]));
        assert_eq!(body["req_cnf"]["jwk"]["crv"], "Ed25519");
        assert!(body["req_cnf"]["jwk"].get("d").is_none(), "the private half stays here");
        session.http_answer("200 OK", &json!({"access_token": TOKEN, "expires_in": 300}).to_string());
    });
    let url = format!("https://localhost:{}/token", peer.port);
    let secret = peer.folder().join("secret");
    std::fs::write(&secret, "s3cret\n").unwrap();
    let out = peer.folder().join("out");
    let ca = peer.ca();
    let output = run(&[
        "token",
        "--as",
        &url,
        "--as-ca",
        path(&ca),
        "--client-id",
        "sensor",
        "--client-secret-file",
        path(&secret),
        "--audience",
        "broker.example",
        "--publish",
        "a/#",
        "--subscribe",
        "a/#",
        "--subscribe",
        "b",
        "--out",
        path(&out),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
    let saved = Credentials::load(&out).unwrap();
    assert_eq!(saved.token(), TOKEN);
    assert!(saved.key().unwrap().is_private());
    peer.finish();
}

#[test]
fn token_prints_the_token_alone_or_everything_as_json() {
    let symmetric = json!({"kty": "oct", "k": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"});
    let answer = json!({"access_token": TOKEN, "cnf": {"jwk": symmetric}}).to_string();
    let plain = json!({"access_token": TOKEN}).to_string();
    let peer = Peer::start(vec![
        Box::new(move |session| {
            session.http_request();
            session.http_answer("200 OK", &answer);
        }),
        Box::new(move |session| {
            session.http_request();
            session.http_answer("200 OK", &plain);
        }),
        Box::new(|session| {
            session.http_request();
            session.http_answer("400 Bad Request", r#"{"error":"invalid_scope"}"#);
        }),
    ]);
    let url = format!("https://localhost:{}/token", peer.port);
    let secret = peer.folder().join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    let key_file = peer.folder().join("key");
    assert!(run(&["keygen", "--out", path(&key_file)]).status.success());
    let ca = peer.ca();
    let base = ["token", "--as", &url, "--as-ca", path(&ca), "--client-id", "s", "--client-secret-file", path(&secret)];
    let token = |more: &[&str]| run(&[&base[..], more].concat());

    let output = token(&["--symmetric", "--json"]);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["access_token"], TOKEN);
    assert_eq!(printed["cnf"]["jwk"]["k"], symmetric["k"]);

    let output = token(&["--key", path(&key_file)]);
    assert_eq!(text(&output.stdout), format!("{TOKEN}\n"));

    let output = token(&["--key", path(&key_file)]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("invalid_scope (HTTP 400)"), "{}", text(&output.stderr));

    let output = token(&[]);
    assert_eq!(output.status.code(), Some(2), "nowhere for the key to go");
    peer.finish();
}

#[test]
fn pub_publishes_and_tells_a_refusal_in_words() {
    for (reason, code) in [(0, 0), (0x87, 12)] {
        let peer = Peer::once(move |session| {
            session.welcome();
            let body = session.expect(0x32);
            assert_eq!(&body[7..], b"\0hello");
            session.write(&[0x40, 3, body[5], body[6], reason]);
            session.expect(0xe0);
        });
        let output = run_with_broker(&peer, "pub", &["-t", "a/b", "-m", "hello", "-q", "1"]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        if code != 0 {
            assert_eq!(
                text(&output.stderr),
                "ace-mqtt: the broker refused the message on \"a/b\": not authorized (0x87)\n"
            );
        }
        peer.finish();
    }
}

#[test]
fn pub_takes_its_content_from_wherever_it_is_told_to() {
    let peer = Peer::start(
        ["", "from file", "one\ntwo\n"]
            .map(|expected| -> peer::Script {
                Box::new(move |session| {
                    session.welcome();
                    assert_eq!(&session.expect(0x31)[4..], expected.as_bytes());
                    session.expect(0xe0);
                })
            })
            .into_iter()
            .collect(),
    );
    let file = peer.folder().join("content");
    std::fs::write(&file, "from file").unwrap();
    assert!(run_with_broker(&peer, "pub", &["-t", "a", "-r", "-n"]).status.success());
    assert!(run_with_broker(&peer, "pub", &["-t", "a", "-r", "-f", path(&file)]).status.success());
    let mut child = with_broker(&peer, "pub", &["-t", "a", "-r", "-s"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    assert!(finish(child).status.success());
    peer.finish();
}

#[test]
fn pub_sends_line_by_line_as_they_come() {
    let (told, heard) = std::sync::mpsc::channel();
    let peer = Peer::once(move |session| {
        session.welcome();
        for expected in ["one", "", "three"] {
            let body = session.expect(0x32);
            assert_eq!(&body[6..], expected.as_bytes());
            session.write(&[0x40, 2, body[3], body[4]]);
            told.send(()).unwrap();
        }
        assert_eq!(session.expect(0xe0), [0]);
    });
    let mut child = with_broker(&peer, "pub", &["-t", "a", "-l", "-q", "1"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // Each line is on its way before the next is written.
    for line in ["one\n", "\n", "three"] {
        input.write_all(line.as_bytes()).unwrap();
        input.flush().unwrap();
        if line.ends_with('\n') {
            heard.recv_timeout(PATIENCE).unwrap();
        }
    }
    drop(input);
    assert_eq!(finish(child).status.code(), Some(0));
    peer.finish();
}

#[test]
fn pub_notices_that_the_broker_has_left_while_no_line_comes() {
    let peer = Peer::once(|session| {
        session.welcome();
        session.write(&[0xe0, 2, 0x87, 0]);
    });
    let mut child = with_broker(&peer, "pub", &["-t", "a", "-l"]).stdin(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take();
    let output = finish(child);
    drop(input);
    assert_eq!(output.status.code(), Some(7));
    assert!(text(&output.stderr).contains("not authorized (0x87)"));
    peer.finish();
}

#[test]
fn sub_prints_messages_and_ends_after_the_count() {
    let peer = Peer::once(|session| {
        session.welcome();
        let body = session.expect(0x82);
        session.write(&[0x90, 5, body[0], body[1], 0, 0, 1]);
        session.write(b"\x30\x08\0\x03a/b\0hi");
        session.write(b"\x31\x08\0\x03a/b\0no");
        session.write(b"\x30\x08\0\x03c/d\0\xff\0");
        assert_eq!(session.expect(0xe0), [0]);
    });
    let output = run_with_broker(&peer, "sub", &["-t", "a/#", "-t", "c/#", "-q", "1", "-v", "-R", "-C", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(output.stdout, b"a/b hi\nc/d \xff\0\n");
    peer.finish();
}

#[test]
fn a5_sub_tells_why_the_broker_ended_the_connection() {
    let peer = Peer::once(|session| {
        session.welcome();
        let body = session.expect(0x82);
        session.write(&[0x90, 4, body[0], body[1], 0, 0]);
        session.write(&[0xe0, 1, 0x87]);
    });
    let output = run_with_broker(&peer, "sub", &["-t", "a"]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(text(&output.stderr), "ace-mqtt: the broker ended the connection: not authorized (0x87)\n");
    peer.finish();
}

#[test]
fn a4_sub_reports_refused_filters_and_goes_on_while_one_is_left() {
    let peer = Peer::start(vec![
        Box::new(|session| {
            session.welcome();
            let body = session.expect(0x82);
            session.write(&[0x90, 5, body[0], body[1], 0, 0x87, 0]);
            session.write(b"\x30\x06\0\x01b\0hi");
            session.expect(0xe0);
        }),
        Box::new(|session| {
            session.welcome();
            let body = session.expect(0x82);
            session.write(&[0x90, 5, body[0], body[1], 0, 0x87, 0x87]);
            session.expect(0xe0);
        }),
    ]);
    let output = run_with_broker(&peer, "sub", &["-t", "a", "-t", "b", "-C", "1", "-N"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "hi"));
    assert_eq!(text(&output.stderr), "ace-mqtt: the broker refused the subscription to \"a\": not authorized (0x87)\n");
    let output = run_with_broker(&peer, "sub", &["-t", "a", "-t", "b"]);
    assert_eq!(output.status.code(), Some(12));
    peer.finish();
}

#[test]
fn each_failure_has_its_exit_code() {
    // The broker says no.
    let peer = Peer::once(|session| {
        session.connect();
        session.write(&[0x20, 3, 0, 0x87, 0]);
    });
    let output = run_with_broker(&peer, "pub", &["-t", "a", "-m", "x"]);
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(
        text(&output.stderr),
        "ace-mqtt: the broker refused the connection: not authorized (0x87); the broker's log says why\n"
    );
    peer.finish();

    // Nothing in time.
    let peer = Peer::once(|session| {
        session.welcome();
        let body = session.expect(0x82);
        session.write(&[0x90, 4, body[0], body[1], 0, 0]);
        session.expect(0xe0);
    });
    assert_eq!(run_with_broker(&peer, "sub", &["-t", "a", "-W", "1"]).status.code(), Some(27));
    peer.finish();

    // Not MQTT.
    let peer = Peer::once(|session| {
        session.connect();
        session.write(&[0; 8]);
    });
    assert_eq!(run_with_broker(&peer, "pub", &["-t", "a", "-m", "x"]).status.code(), Some(9));
    peer.finish();

    // Nobody there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let peer = Peer::start(Vec::new());
    let ca = peer.ca();
    let to = ["pub", "-h", "127.0.0.1", "-p", &port, "--cafile", path(&ca), "-t", "a", "-m", "x"];
    assert_eq!(run(&[&to[..], &["--auth", "none"]].concat()).status.code(), Some(14));
    // No token named: wrong usage. A file that is not there: a local failure.
    assert_eq!(run(&to).status.code(), Some(2));
    assert_eq!(run(&[&to[..], &["--credentials", "/nonexistent"]].concat()).status.code(), Some(1));

    // A stranger's certificate.
    let peer = Peer::once(|session| assert!(!session.handshake() || session.ended()));
    let port = peer.port.to_string();
    let to = ["pub", "-h", "127.0.0.1", "-p", &port, "--cafile", path(&ca), "-t", "a", "-m", "x", "--auth", "none"];
    let output = run(&to);
    assert_eq!(output.status.code(), Some(8), "{}", text(&output.stderr));
    peer.finish();
}

#[test]
fn v1_mqtt_311_uses_the_user_name_by_itself() {
    let peer = Peer::once(|session| {
        let connect = session.welcome();
        assert_eq!(connect.level, 4);
        assert_eq!(connect.user_name, Some(format!("ace{TOKEN}")));
        session.expect(0x32);
        // Refused, the way of MQTT 3.1.1.
        session.cut();
    });
    let output = run_with_broker(&peer, "pub", &["-V", "mqttv311", "-t", "a", "-m", "x", "-q", "1"]);
    assert_eq!(output.status.code(), Some(7));
    assert!(text(&output.stderr).contains("may mean that the token does not allow the topic"));
    peer.finish();
}

#[test]
fn c4_stored_needs_client_id_and_key_and_no_token() {
    let peer = Peer::once(|session| {
        let connect = session.connect();
        assert_eq!((connect.client_id.as_str(), connect.data.as_deref()), ("sensor", Some(&[0, 0][..])));
        session.write(&auth(0x18, "ace", b"12345678"));
        session.expect(0xf0);
        session.write(&[0x20, 3, 0, 0, 0]);
        session.expect(0x30);
        session.expect(0xe0);
    });
    let base = ["-t", "a", "-m", "x", "--auth", "stored"];
    let stored = |more: &[&str]| run_with_broker(&peer, "pub", &[&base[..], more].concat());
    assert_eq!(stored(&[]).status.code(), Some(2), "no client id");
    let output = stored(&["-i", "sensor"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));

    let without = |more: &[&str]| run(&[&["pub", "-i", "sensor"], &base[..], more].concat());
    for (more, what) in [
        (&[][..], "needs the key"),
        (&["--key", "k", "--token", "t"], "sends no token"),
        (&["--as", "https://a/token", "--client-id", "i", "--client-secret-file", "f"], "nothing to fetch"),
    ] {
        let output = without(more);
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(text(&output.stderr).contains(what), "{}", text(&output.stderr));
    }
    peer.finish();
}

#[test]
fn pub_fetches_a_token_for_its_topic_on_the_fly() {
    let server = Peer::once(|session| {
        let (_, body) = session.http_request();
        let body: Value = serde_json::from_str(&body).unwrap();
        let scope = ace_mqtt::ace_profile::base64url::decode(body["scope"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&scope).unwrap(), json!([["a/b", ["pub"]]]));
        session.http_answer("200 OK", &json!({"access_token": TOKEN}).to_string());
    });
    let broker = Peer::once(|session| {
        assert_eq!(session.welcome().token_and_proof().0, TOKEN);
        session.expect(0x30);
        session.expect(0xe0);
    });
    let secret = server.folder().join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    let (port, url) = (broker.port.to_string(), format!("https://localhost:{}/token", server.port));
    let (broker_ca, server_ca) = (broker.ca(), server.ca());
    let output = run(&[
        "pub",
        "-h",
        "localhost",
        "-p",
        &port,
        "--cafile",
        path(&broker_ca),
        "-t",
        "a/b",
        "-m",
        "x",
        "--as",
        &url,
        "--as-ca",
        path(&server_ca),
        "--client-id",
        "s",
        "--client-secret-file",
        path(&secret),
        "-d",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("TLSv1_3") && !said.contains(TOKEN) && !said.contains("s3cret"), "{said}");
    server.finish();
    broker.finish();
}

#[cfg(unix)]
#[test]
fn a_terminated_sub_says_goodbye() {
    let (told, heard) = std::sync::mpsc::channel();
    let peer = Peer::once(move |session| {
        session.welcome();
        let body = session.expect(0x82);
        session.write(&[0x90, 4, body[0], body[1], 0, 0]);
        told.send(()).unwrap();
        assert_eq!(session.expect(0xe0), [0], "a proper end, so that no Will is sent");
    });
    let child = with_broker(&peer, "sub", &["-t", "a", "--will-topic", "w"]).spawn().unwrap();
    heard.recv_timeout(PATIENCE).unwrap();
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(finish(child).status.code(), Some(0));
    peer.finish();
}

#[test]
fn a_closed_pipe_ends_sub_quietly() {
    let peer = Peer::once(|session| {
        session.welcome();
        let body = session.expect(0x82);
        session.write(&[0x90, 4, body[0], body[1], 0, 0]);
        session.write(b"\x30\x06\0\x01a\0hi");
        session.expect(0xe0);
    });
    let mut child = with_broker(&peer, "sub", &["-t", "a"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = finish(child);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
    peer.finish();
}

#[test]
fn l1_authz_info_publishes_the_token_as_an_anonymous_client() {
    // (QoS on the command line, first byte of PUBLISH, answers, exit code, what is said)
    let cases: [(&str, u8, u8, i32, &str); 3] = [
        ("1", 0x32, 0, 0, "the broker stored the token\n"),
        ("1", 0x32, 0x10, 0, "the broker stored the token\n"),
        ("2", 0x34, 0, 0, "the broker stored the token\n"),
    ];
    for (qos, first, reason, code, said) in cases {
        let peer = Peer::once(move |session| {
            let connect = session.welcome();
            assert_eq!((connect.method, connect.user_name, connect.password), (None, None, None));
            let body = session.expect(first);
            assert_eq!(&body[..12], b"\0\x0aauthz-info");
            assert_eq!(&body[15..], TOKEN.as_bytes());
            if qos == "2" {
                session.write(&[0x50, 2, body[12], body[13]]);
                session.expect(0x62);
                session.write(&[0x70, 2, body[12], body[13]]);
            } else {
                session.write(&[0x40, 3, body[12], body[13], reason]);
            }
            assert_eq!(session.expect(0xe0), [0]);
        });
        let output = run_with_broker(&peer, "authz-info", &["-q", qos]);
        assert_eq!(
            (output.status.code(), text(&output.stdout).as_str()),
            (Some(code), said),
            "{}",
            text(&output.stderr)
        );
        peer.finish();
    }
}

#[test]
fn l1_authz_info_tells_what_the_broker_has_against_the_token() {
    for (reason, words) in [(0x87, "not authorized (0x87)"), (0x99, "payload format invalid (0x99)")] {
        // By PUBACK, and by DISCONNECT where there is no acknowledgement.
        for qos in ["1", "0"] {
            let peer = Peer::once(move |session| {
                session.welcome();
                if qos == "1" {
                    let body = session.expect(0x32);
                    assert_eq!(&body[..7], b"\0\x05other");
                    session.write(&[0x40, 3, body[7], body[8], reason]);
                    session.expect(0xe0);
                } else {
                    session.expect(0x30);
                    session.write(&[0xe0, 1, reason]);
                }
            });
            let output = run_with_broker(&peer, "authz-info", &["-t", "other", "-q", qos]);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(12), 0));
            assert_eq!(
                text(&output.stderr),
                format!("ace-mqtt: the broker refused the token: {words}; the broker's log says why\n")
            );
            peer.finish();
        }
    }
    // Not a word about the token.
    let peer = Peer::once(|session| {
        session.welcome();
        session.expect(0x30);
        session.write(&[0xe0, 1, 0x8b]);
    });
    assert_eq!(run_with_broker(&peer, "authz-info", &["-q", "0"]).status.code(), Some(7));
    peer.finish();
    // Nobody is let in without a token.
    let peer = Peer::once(|session| {
        session.connect();
        session.write(&[0x20, 3, 0, 0x87, 0]);
    });
    assert_eq!(run_with_broker(&peer, "authz-info", &[]).status.code(), Some(5));
    peer.finish();
}

#[test]
fn l1_authz_info_promises_no_more_than_the_broker_says() {
    let peer = Peer::start(vec![
        Box::new(|session| {
            session.welcome();
            session.expect(0x30);
            session.expect(0xe0);
        }),
        Box::new(|session| {
            assert_eq!(session.welcome().level, 4);
            let body = session.expect(0x32);
            session.write(&[0x40, 2, body[12], body[13]]);
            session.expect(0xe0);
        }),
    ]);
    let output = run_with_broker(&peer, "authz-info", &["-q", "0"]);
    assert!(text(&output.stdout).starts_with("the broker did not object"), "{}", text(&output.stdout));
    let output = run_with_broker(&peer, "authz-info", &["-V", "mqttv311"]);
    assert!(text(&output.stdout).contains("no words for a refusal"), "{}", text(&output.stdout));
    peer.finish();
    // A key that nobody keeps is no use, and no token is no token.
    let server = ["authz-info", "--as", "https://a/token", "--client-id", "i", "--client-secret-file", "f"];
    assert_eq!(run(&server).status.code(), Some(2));
    assert_eq!(run(&["authz-info"]).status.code(), Some(2));
}

#[test]
fn a_reader_that_has_left_ends_every_printing_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    for arguments in [&["completions", "bash"][..], &["man"], &["--help"], &["keygen", "--out", path(&key)]] {
        let mut child = ace_mqtt(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let output = finish(child);
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn manual_pages_and_completions_are_made() {
    let output = run(&["man"]);
    assert!(text(&output.stdout).contains(".TH ace-mqtt 1"));
    let folder = tempfile::tempdir().unwrap();
    assert!(run(&["man", path(folder.path())]).status.success());
    let mut page = String::new();
    std::fs::File::open(folder.path().join("ace-mqtt-sub.1")).unwrap().read_to_string(&mut page).unwrap();
    assert!(page.contains("mosquitto_sub") && page.contains("renew"));
    assert!(folder.path().join("ace-mqtt-authz-info.1").exists());
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&run(&["completions", shell]).stdout).contains("ace-mqtt"), "{shell}");
    }
}

#[test]
fn v4_password_is_a_proof_for_one_connection_of_another_client() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let (key, verifies) = key();
    credentials(key).save(&file).unwrap();
    let password = |more: &[&str]| run(&[&["password", "--credentials", path(&file)], more].concat());

    let made = |more: &[&str]| {
        let output = password(&[&["-i", "sensor-1", "--audience", "broker.example"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        Draft00::parse(text(&output.stdout).trim_end().as_bytes()).unwrap()
    };
    let (first, second) = (made(&[]), made(&["--show-key"]));
    for draft in [&first, &second] {
        let Some(Freshness { ts, nonce }) = &draft.freshness else { panic!("no time: {draft:?}") };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(now - ts < 60, "{ts} at {now}");
        assert_eq!(draft.token, TOKEN);
        assert!(verifies(&draft00_message("sensor-1", "broker.example", *ts, nonce), &draft.proof));
        assert!(!verifies(&draft00_message("sensor-2", "broker.example", *ts, nonce), &draft.proof));
    }
    assert_ne!(first.freshness, second.freshness);
    assert!(first.shown_key.is_none() && second.shown_key.is_some());

    // Nothing is signed that cannot be meant: no client id, no broker, no token.
    assert_eq!(password(&[]).status.code(), Some(2));
    let empty = password(&["-i", "", "--audience", "broker.example"]);
    assert_eq!(empty.status.code(), Some(1));
    assert!(text(&empty.stderr).contains("signs the client id"), "{}", text(&empty.stderr));
    let nobody = run(&["password", "-i", "sensor-1"]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(text(&nobody.stderr).contains("no token: give"), "{}", text(&nobody.stderr));
}
