//! How a client presents token and proof, and what it makes of the broker's answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use std::time::{Duration, Instant};

use ace_mqtt::{
    Authentication, Client, ConnectOptions, Credentials, Error, Message, Qos, TlsVersion, Version,
    ace_profile::base64url,
};
use peer::{PATIENCE, Peer, TOKEN, auth, credentials, key};
use rustls::ProtocolVersion;

#[test]
fn c2_the_exporter_proof_verifies_with_the_servers_own_export() {
    for (version, expected) in
        [(TlsVersion::V13, ProtocolVersion::TLSv1_3), (TlsVersion::V12, ProtocolVersion::TLSv1_2)]
    {
        let (key, verify) = key();
        let peer = Peer::once(move |session| {
            let connect = session.connect();
            assert_eq!(session.version(), expected);
            assert_eq!(connect.method.as_deref(), Some("ace"));
            assert_eq!(connect.flags & 0xc0, 0, "neither user name nor password (C1)");
            let (token, proof) = connect.token_and_proof();
            assert_eq!(token, TOKEN);
            assert!(verify(&session.exporter(), &proof), "{expected:?}");
            session.write(&[0x20, 3, 0, 0, 0]);
            assert_eq!(session.expect(0xe0), [0], "normal disconnection");
            assert!(session.ended());
        });
        let mut options = peer.options();
        options.tls.version = version;
        let client = Client::connect(&options, Some(&credentials(key))).unwrap();
        client.disconnect().unwrap();
        peer.finish();
    }
}

#[test]
fn c3_the_challenge_is_answered_with_both_nonces() {
    let (key, verify) = key();
    let peer = Peer::once(move |session| {
        let (token, rest) = session.connect().token_and_proof();
        assert_eq!(token, TOKEN);
        assert!(rest.is_empty());
        let nonce = *b"12345678";
        session.write(&auth(0x18, "ace", &nonce));
        let body = session.expect(0xf0);
        assert_eq!(body[0], 0x18);
        // Reason, property length, method (3 + 3 bytes), data identifier and length, then 8 + 64 bytes.
        assert_eq!(body[1] as usize, body.len() - 2);
        assert_eq!(&body[2..8], b"\x15\0\x03ace");
        assert_eq!(&body[8..11], [0x16, 0, 72]);
        let (client_nonce, proof) = body[11..].split_at(8);
        assert!(verify(&[&nonce[..], client_nonce].concat(), proof));
        session.write(&[0x20, 3, 0, 0, 0]);
        session.expect(0xe0);
    });
    let mut options = peer.options();
    options.authentication = Authentication::Challenge;
    Client::connect(&options, Some(&credentials(key))).unwrap().disconnect().unwrap();
    peer.finish();
}

#[test]
fn c3_challenges_that_break_the_rules_end_the_connection() {
    let cases: [(Authentication, Vec<u8>); 5] = [
        // A nonce of the wrong length.
        (Authentication::Challenge, auth(0x18, "ace", b"1234567")),
        // Another method.
        (Authentication::Challenge, auth(0x18, "acf", b"12345678")),
        // Re-authentication is the client's to start.
        (Authentication::Challenge, auth(0x19, "ace", b"12345678")),
        // A challenge in answer to an exporter proof.
        (Authentication::Exporter, auth(0x18, "ace", b"12345678")),
        // Two at once: the second one was not asked for.
        (Authentication::Challenge, [auth(0x18, "ace", b"12345678"), auth(0x18, "ace", b"12345678")].concat()),
    ];
    for (authentication, answer) in cases {
        let (key, _) = key();
        let shown = format!("{answer:?}");
        let peer = Peer::once(move |session| {
            session.connect();
            session.write(&answer);
        });
        let mut options = peer.options();
        options.authentication = authentication;
        let error = Client::connect(&options, Some(&credentials(key))).unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{shown}: {error}");
        peer.finish();
    }
}

#[test]
fn c4_a_token_that_the_broker_holds_takes_the_key_alone() {
    let (key, verify) = key();
    let peer = Peer::once(move |session| {
        let connect = session.connect();
        assert_eq!(connect.method.as_deref(), Some("ace"));
        assert_eq!(connect.data.as_deref(), Some(&[0, 0][..]), "an empty token");
        session.write(&auth(0x18, "ace", b"12345678"));
        let body = session.expect(0xf0);
        let (client_nonce, proof) = body[11..].split_at(8);
        assert!(verify(&[b"12345678", client_nonce].concat(), proof));
        session.write(&[0x20, 3, 0, 0, 0]);
        session.expect(0xe0);
    });
    let mut options = peer.options();
    options.authentication = Authentication::Stored;
    options.client_id = Some("sensor".to_owned());
    Client::connect(&options, Some(&Credentials::of_stored_token(key))).unwrap().disconnect().unwrap();
    peer.finish();
}

#[test]
fn c4_a_key_alone_is_no_token_to_present() {
    for authentication in [Authentication::Exporter, Authentication::Challenge, Authentication::UserName] {
        let (key, _) = key();
        let peer = Peer::once(|session| assert!(!session.handshake() || session.ended(), "nothing may be sent"));
        let mut options = peer.options();
        options.authentication = authentication;
        let error = Client::connect(&options, Some(&Credentials::of_stored_token(key))).unwrap_err();
        assert!(matches!(&error, Error::Invalid(_)), "{error}");
        peer.finish();
    }
    let peer = Peer::once(|session| assert!(!session.handshake() || session.ended(), "nothing may be sent"));
    let mut options = peer.options();
    options.authentication = Authentication::Stored;
    options.client_id = Some("sensor".to_owned());
    let error = Client::connect(&options, Some(&Credentials::new(TOKEN, None).unwrap())).unwrap_err();
    assert!(matches!(&error, Error::Proof(_)), "{error}");
    peer.finish();
}

#[test]
fn v1_token_in_the_user_name_and_proof_in_the_password() {
    for (version, level) in [(Version::V311, 4), (Version::V5, 5)] {
        let (key, verify) = key();
        let peer = Peer::once(move |session| {
            let connect = session.welcome();
            assert_eq!(connect.level, level);
            assert_eq!(connect.method, None);
            assert_eq!(connect.user_name, Some(format!("ace{TOKEN}")));
            assert!(verify(&session.exporter(), &connect.password.unwrap()));
            session.expect(0xe0);
        });
        let mut options = peer.options();
        options.version = version;
        options.authentication = Authentication::UserName;
        Client::connect(&options, Some(&credentials(key))).unwrap().disconnect().unwrap();
        peer.finish();
    }
}

#[test]
fn v4_the_drafts_json_over_the_exporter_value() {
    let (key, verify) = key();
    let peer = Peer::once(move |session| {
        let connect = session.welcome();
        assert_eq!(connect.user_name.as_deref(), Some("ace"));
        let json: serde_json::Value = serde_json::from_slice(&connect.password.unwrap()).unwrap();
        assert_eq!(json["access_token"], TOKEN);
        let mac = base64url::decode(json["mac"].as_str().unwrap().as_bytes()).unwrap();
        assert!(verify(&session.exporter(), &mac));
        assert!(json.get("ts").is_none());
        session.expect(0xe0);
    });
    let mut options = peer.options();
    options.version = Version::V311;
    options.authentication = Authentication::Draft00;
    Client::connect(&options, Some(&credentials(key))).unwrap().disconnect().unwrap();
    peer.finish();
}

#[test]
fn v4_the_dated_form_signs_its_five_lines() {
    let (key, verify) = key();
    let peer = Peer::once(move |session| {
        let connect = session.welcome();
        let json: serde_json::Value = serde_json::from_slice(&connect.password.unwrap()).unwrap();
        let (ts, nonce) = (json["ts"].as_u64().unwrap(), json["nonce"].as_str().unwrap());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(ts) < 30);
        assert!(base64url::decode(nonce.as_bytes()).unwrap().len() >= 16);
        let text = format!("ace-mqtt-v0\n{}\nbroker.example\n{ts}\n{nonce}", connect.client_id);
        let mac = base64url::decode(json["mac"].as_str().unwrap().as_bytes()).unwrap();
        assert!(verify(text.as_bytes(), &mac));
        session.expect(0xe0);
    });
    let mut options = peer.options();
    options.version = Version::V311;
    options.authentication = Authentication::Draft00Time;
    Client::connect(&options, Some(&credentials(key))).unwrap().disconnect().unwrap();
    peer.finish();
}

#[test]
fn v4_the_public_key_is_shown_if_that_is_asked_for() {
    for authentication in [Authentication::Draft00, Authentication::Draft00Time] {
        let (key, _) = key();
        let public = key.public_value().unwrap();
        let peer = Peer::once(move |session| {
            let connect = session.welcome();
            let json: serde_json::Value = serde_json::from_slice(&connect.password.unwrap()).unwrap();
            assert_eq!(json["jwk"]["x"], public["x"]);
            assert!(json["jwk"].get("d").is_none());
            session.expect(0xe0);
        });
        let mut options = peer.options();
        options.version = Version::V311;
        options.authentication = authentication;
        options.show_key = true;
        Client::connect(&options, Some(&credentials(key))).unwrap().disconnect().unwrap();
        peer.finish();
    }
    let (key, _) = key();
    let mut options = ConnectOptions::new("localhost");
    options.show_key = true;
    assert!(matches!(Client::connect(&options, Some(&credentials(key))), Err(Error::Invalid(_))));
}

#[test]
fn the_options_travel_in_connect() {
    let (key, _) = key();
    let peer = Peer::once(|session| {
        let connect = session.welcome();
        assert_eq!(connect.client_id, "sensor-1");
        assert_eq!(connect.keep_alive, 17);
        assert_eq!(connect.session_expiry, Some(600));
        assert_eq!(connect.will, Some(("w/t".to_owned(), b"gone".to_vec())));
        // Will, QoS 1, retained; no clean start.
        assert_eq!(connect.flags, 0x04 | 0x08 | 0x20);
        session.expect(0xe0);
    });
    let mut options = peer.options();
    options.client_id = Some("sensor-1".to_owned());
    options.keep_alive = 17;
    options.clean_start = false;
    options.session_expiry = 600;
    options.will = Some(Message::new("w/t", "gone").with_qos(Qos::AtLeastOnce).with_retain(true));
    Client::connect(&options, Some(&credentials(key))).unwrap().disconnect().unwrap();
    peer.finish();
}

#[test]
fn c9_a_refusal_is_told_in_words_with_the_brokers_hints() {
    let (key, _) = key();
    let peer = Peer::once(|session| {
        session.connect();
        let mut properties = Vec::new();
        for (name, value) in [
            ("ace_as_hint", r#"{"AS":"https://as.example/token","audience":"broker.example"}"#),
            ("ace_as_hint", "no JSON"),
            ("other", r#"{"AS":"https://other.example"}"#),
            ("ace_as_hint", r#"{"AS":"https://second.example"}"#),
        ] {
            properties.push(0x26);
            for text in [name, value] {
                properties.extend((text.len() as u16).to_be_bytes());
                properties.extend(text.as_bytes());
            }
        }
        let length = |length: usize| [length as u8 | 0x80, (length >> 7) as u8];
        let mut packet = vec![0x20];
        packet.extend(length(properties.len() + 4));
        packet.extend([0, 0x87]);
        packet.extend(length(properties.len()));
        packet.extend(properties);
        session.write(&packet);
    });
    let error = Client::connect(&peer.options(), Some(&credentials(key))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the broker refused the connection: not authorized (0x87); get a token from \"https://as.example/token\" with audience \
         \"broker.example\", or get a token from \"https://second.example\"; the broker's log says why"
    );
    let Error::Refused { as_hints, .. } = error else { panic!("{error:?}") };
    let [first, _] = as_hints.as_slice() else { panic!("{as_hints:?}") };
    assert_eq!(first.as_url, "https://as.example/token");
    assert_eq!(first.audience.as_deref(), Some("broker.example"));
    peer.finish();
}

#[test]
fn v3_mqtt_311_refusals_have_their_own_numbers() {
    let (key, _) = key();
    let peer = Peer::once(|session| {
        session.connect();
        session.write(&[0x20, 2, 0, 5]);
    });
    let mut options = peer.options();
    options.version = Version::V311;
    options.authentication = Authentication::UserName;
    let error = Client::connect(&options, Some(&credentials(key))).unwrap_err();
    assert!(error.to_string().contains("not authorized (5)"), "{error}");
    peer.finish();
}

#[test]
fn garbage_instead_of_connack_is_a_protocol_error() {
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\nServer: something that speaks another protocol and uses many words to say so\r\n\r\n"[..],
        &[0x20, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x20, 3, 0, 0x99, 0xff],
        &[0x00, 0x00],
        // A good packet at the wrong time.
        &[0xd0, 0],
        // 256 MiB announced.
        &[0x20, 0xff, 0xff, 0xff, 0x7f],
    ] {
        let (key, _) = key();
        let peer = Peer::once(move |session| {
            session.connect();
            session.write(garbage);
        });
        let error = Client::connect(&peer.options(), Some(&credentials(key))).unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{garbage:?}: {error}");
        peer.finish();
    }
}

#[test]
fn a_broker_that_leaves_is_told_apart_from_one_that_refuses() {
    for properly in [true, false] {
        let (key, _) = key();
        let peer = Peer::once(move |session| {
            session.connect();
            if !properly {
                session.cut();
            }
        });
        let error = Client::connect(&peer.options(), Some(&credentials(key))).unwrap_err();
        assert!(matches!(error, Error::ConnectionLost { .. }), "{error}");
        assert!(error.to_string().contains("CONNECT"), "{error}");
        peer.finish();
    }
}

#[test]
fn a_silent_broker_is_given_up_in_time() {
    let (key, _) = key();
    let peer = Peer::once(|session| {
        session.connect();
        // The client goes away by itself, this way or that.
        let _ = session.ended();
    });
    let mut options = peer.options();
    options.connect_timeout = Duration::from_millis(400);
    let start = Instant::now();
    let error = Client::connect(&options, Some(&credentials(key))).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert!(start.elapsed() < PATIENCE / 4);
    peer.finish();
}

#[test]
fn an_unknown_authority_is_not_trusted() {
    let (key, _) = key();
    let stranger = Peer::start(Vec::new());
    let peer = Peer::once(|session| assert!(!session.handshake() || session.ended()));
    let mut options = peer.options();
    options.tls = stranger.trust();
    let error = Client::connect(&options, Some(&credentials(key))).unwrap_err();
    assert!(matches!(&error, Error::Tls { .. }), "{error}");
    assert!(error.to_string().contains("not from a trusted authority"), "{error}");
    peer.finish();
}

#[test]
fn a_certificate_for_another_name_is_not_trusted() {
    let (key, _) = key();
    let peer =
        Peer::named(&["elsewhere.example"], vec![Box::new(|session| assert!(!session.handshake() || session.ended()))]);
    let error = Client::connect(&peer.options(), Some(&credentials(key))).unwrap_err();
    assert!(matches!(&error, Error::Tls { .. }), "{error}");
    assert!(error.to_string().contains("another name"), "{error}");
    peer.finish();
}

#[test]
fn k1_a_broker_with_another_key_than_the_one_named_gets_no_token() {
    let (key, _) = key();
    let (other, _) = peer::key();
    let peer = Peer::once(|session| assert!(!session.handshake() || session.ended(), "nothing may be sent"));
    let credentials = credentials(key).with_broker_key(Some(other));
    let error = Client::connect(&peer.options(), Some(&credentials)).unwrap_err();
    assert!(matches!(&error, Error::Tls { .. }), "{error}");
    assert!(error.to_string().contains("not for the key that the authorization server named"), "{error}");
    peer.finish();
}

#[test]
fn k1_a_broker_with_the_named_key_is_let_in() {
    let (key, _) = key();
    let peer = Peer::once(|session| {
        session.welcome();
        session.expect(0xe0);
    });
    let credentials = credentials(key).with_broker_key(Some(peer.public_key()));
    Client::connect(&peer.options(), Some(&credentials)).unwrap().disconnect().unwrap();
    peer.finish();
}

#[test]
fn a_server_without_tls_is_a_tls_failure() {
    let (key, _) = key();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = Peer::start(Vec::new());
    let mut options = peer.options();
    options.port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        use std::io::Write;
        let (mut tcp, _) = listener.accept().unwrap();
        tcp.write_all(b"hello, this is not TLS at all").unwrap();
    });
    let error = Client::connect(&options, Some(&credentials(key))).unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error}");
    server.join().unwrap();
}

#[test]
fn a_folder_of_authorities_will_do() {
    let (key, _) = key();
    let peer = Peer::once(|session| {
        session.welcome();
        session.expect(0xe0);
    });
    let mut options = peer.options();
    options.tls.ca_file = None;
    options.tls.ca_path = Some(peer.folder().to_owned());
    Client::connect(&options, Some(&credentials(key.clone()))).unwrap().disconnect().unwrap();

    let empty = tempfile::tempdir().unwrap();
    options.tls.ca_path = Some(empty.path().to_owned());
    assert!(matches!(Client::connect(&options, Some(&credentials(key.clone()))), Err(Error::File { .. })));
    std::fs::write(empty.path().join("bad.pem"), "no certificate").unwrap();
    assert!(matches!(Client::connect(&options, Some(&credentials(key))), Err(Error::File { .. })));
    peer.finish();
}

#[test]
fn a_closed_port_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let (key, _) = key();
    let peer = Peer::start(Vec::new());
    let mut options = peer.options();
    options.port = port;
    let error = Client::connect(&options, Some(&credentials(key))).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[test]
fn contradictions_are_found_before_anything_is_sent() {
    let (key, _) = key();
    let peer = Peer::start(Vec::new());
    let mut options = peer.options();
    options.version = Version::V311;
    assert!(matches!(Client::connect(&options, Some(&credentials(key.clone()))), Err(Error::Invalid(_))));
    let mut options = peer.options();
    options.will = Some(Message::new("a/#", ""));
    assert!(matches!(Client::connect(&options, Some(&credentials(key.clone()))), Err(Error::Invalid(_))));
    // Nobody has stored a token for a random client id.
    let mut options = peer.options();
    options.authentication = Authentication::Stored;
    assert!(matches!(Client::connect(&options, Some(&credentials(key))), Err(Error::Invalid(_))));
}

#[test]
fn nothing_shows_token_or_key() {
    let (key, _) = key();
    let secret = key.secret_value();
    let shown = format!("{:?}", credentials(key));
    assert!(!shown.contains(TOKEN));
    assert!(!shown.contains(secret["d"].as_str().unwrap()));
}
