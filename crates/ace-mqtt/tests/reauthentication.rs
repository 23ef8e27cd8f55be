//! E2 from the client's side: a fresh token on a connection that is there already.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use std::time::{Duration, Instant};

use ace_mqtt::{Authentication, Client, Credentials, Error, Message, Qos, Version};
use peer::{PATIENCE, Peer, Session, auth, credentials, key};

const FRESH: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJzIiwiaWF0IjoxfQ.c2ln";
const NONCE: [u8; 8] = *b"nonce-of";

/// Connects to a peer that accepts and then plays the rest of the script.
fn connected(script: impl FnOnce(&mut Session) + Send + 'static) -> (Client, Peer) {
    connected_by(Version::V5, Authentication::Exporter, script)
}

fn connected_by(
    version: Version,
    authentication: Authentication,
    script: impl FnOnce(&mut Session) + Send + 'static,
) -> (Client, Peer) {
    let (key, _) = key();
    let peer = Peer::once(move |session| {
        session.welcome();
        script(session);
    });
    let mut options = peer.options();
    options.version = version;
    options.authentication = authentication;
    let client = Client::connect(&options, Some(&credentials(key))).unwrap();
    (client, peer)
}

/// A fresh token for another key than the one of the connection.
fn fresh() -> (Credentials, impl Fn(&[u8], &[u8]) -> bool + Clone + Send + 'static) {
    let (key, verify) = key();
    (Credentials::new(FRESH, Some(key)).unwrap(), verify)
}

/// Reads AUTH with the given reason and the method "ace"; gives its Authentication Data.
fn expect_auth(session: &mut Session, reason: u8) -> Vec<u8> {
    let body = session.expect(0xf0);
    assert_eq!(body[0], reason);
    assert_eq!(body[1] as usize, body.len() - 2);
    assert_eq!(&body[2..8], b"\x15\0\x03ace");
    assert_eq!(body[8], 0x16);
    assert_eq!(usize::from(body[9]) << 8 | usize::from(body[10]), body.len() - 11);
    body[11..].to_vec()
}

/// Reads the fresh token, challenges, and reads the answer.
fn challenge(session: &mut Session) {
    expect_auth(session, 0x19);
    session.write(&auth(0x18, "ace", &NONCE));
    expect_auth(session, 0x18);
}

#[test]
fn e2_the_fresh_token_goes_alone_and_is_proved_by_challenge() {
    for authentication in [Authentication::Exporter, Authentication::Challenge] {
        let (fresh, verify) = fresh();
        let (mut client, peer) = connected_by(Version::V5, authentication, move |session| {
            let data = expect_auth(session, 0x19);
            let (length, token) = data.split_at(2);
            assert_eq!(usize::from(length[1]), token.len(), "no proof over the exporter's value");
            assert_eq!(token, FRESH.as_bytes());
            session.write(&auth(0x18, "ace", &NONCE));
            let answer = expect_auth(session, 0x18);
            let (client_nonce, proof) = answer.split_at(8);
            assert!(verify(&[&NONCE[..], client_nonce].concat(), proof));
            session.write(&auth(0, "ace", b""));
            session.expect(0x30);
            assert_eq!(session.expect(0xe0), [0]);
        });
        client.reauthenticate(&fresh).unwrap();
        assert!(!client.is_reauthenticating());
        client.publish(&Message::new("a", "x")).unwrap();
        client.disconnect().unwrap();
        peer.finish();
    }
}

#[test]
fn e2_messages_flow_in_meanwhile_and_what_goes_out_waits() {
    let (decide, decided) = std::sync::mpsc::channel();
    let (mut client, peer) = connected(move |session| {
        session.write(b"\x32\x08\0\x01a\0\x01\0hi");
        expect_auth(session, 0x19);
        // All of this may have been under way before the broker saw the token.
        session.write(b"\x32\x08\0\x01a\0\x02\0ho");
        session.write(b"\x34\x08\0\x01a\0\x03\0hm");
        session.write(&auth(0x18, "ace", &NONCE));
        // The very next packet: Mosquitto takes any other than AUTH for a protocol error.
        expect_auth(session, 0x18);
        decided.recv_timeout(PATIENCE).unwrap();
        session.write(&auth(0, "ace", b""));
        assert_eq!(session.expect(0x40), [0, 1]);
        assert_eq!(session.expect(0x40), [0, 2]);
        assert_eq!(session.expect(0x50), [0, 3]);
        let body = session.expect(0x32);
        session.write(&[0x40, 2, body[3], body[4]]);
        session.expect(0xe0);
    });
    client.start_reauthentication(&fresh().0).unwrap();
    let mut receive = || client.receive(PATIENCE).unwrap().unwrap().payload;
    assert_eq!([receive(), receive(), receive()], [b"hi", b"ho", b"hm"]);
    assert!(client.is_reauthenticating());
    decide.send(()).unwrap();
    // Waits for the decision by itself.
    client.publish(&Message::new("b", "x").with_qos(Qos::AtLeastOnce)).unwrap();
    assert!(!client.is_reauthenticating());
    client.disconnect().unwrap();
    peer.finish();
}

#[test]
fn e2_a_refused_token_is_told_apart_from_other_ends() {
    // DISCONNECT 0x87, and the CONNACK 0x87 that Mosquitto 2.0.11 sends instead.
    let refusals: [&[u8]; 2] = [&[0xe0, 2, 0x87, 0], &[0x20, 3, 0, 0x87, 0]];
    for refusal in refusals {
        for challenged in [false, true] {
            let (mut client, peer) = connected(move |session| {
                if challenged {
                    challenge(session);
                } else {
                    expect_auth(session, 0x19);
                }
                session.write(refusal);
            });
            let error = client.reauthenticate(&fresh().0).unwrap_err();
            let Error::ReauthenticationRefused { reason, .. } = &error else { panic!("{error}") };
            assert_eq!(reason.code(), 0x87);
            assert!(error.to_string().starts_with("the broker refused the re-authentication"), "{error}");
            assert!(!error.to_string().contains(FRESH));
            // From here on there is no connection.
            assert!(matches!(client.receive(PATIENCE), Err(Error::ConnectionLost { .. })));
            peer.finish();
        }
    }
    let (mut client, peer) = connected(|session| {
        expect_auth(session, 0x19);
        session.write(&[0xe0, 1, 0x8b]);
    });
    let error = client.reauthenticate(&fresh().0).unwrap_err();
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
    peer.finish();
}

#[test]
fn e2_answers_that_break_the_rules_end_the_connection() {
    let answers: [Vec<u8>; 6] = [
        auth(0x18, "ace", b"1234567"),
        auth(0x18, "acf", &NONCE),
        auth(0x19, "ace", &NONCE),
        auth(0, "acf", b""),
        // Two at once: the second one was not asked for.
        [auth(0x18, "ace", &NONCE), auth(0x18, "ace", &NONCE)].concat(),
        vec![0x20, 3, 0, 0, 0],
    ];
    for answer in answers {
        let shown = format!("{answer:?}");
        let (mut client, peer) = connected(move |session| {
            expect_auth(session, 0x19);
            session.write(&answer);
        });
        let error = client.reauthenticate(&fresh().0).unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{shown}: {error}");
        peer.finish();
    }
    // Nor is anything asked for without a fresh token.
    for answer in [auth(0x18, "ace", &NONCE), auth(0, "ace", b"")] {
        let (mut client, peer) = connected(move |session| session.write(&answer));
        let error = client.receive(PATIENCE).unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
        peer.finish();
    }
}

#[test]
fn a_broker_that_never_decides_is_given_up_in_time_and_not_pinged() {
    let (key, _) = key();
    let peer = Peer::once(|session| {
        session.welcome();
        challenge(session);
        assert!(session.ended(), "a PINGREQ would break the connection");
    });
    let mut options = peer.options();
    options.keep_alive = 1;
    options.response_timeout = Duration::from_millis(1_800);
    let mut client = Client::connect(&options, Some(&credentials(key))).unwrap();
    let start = Instant::now();
    client.start_reauthentication(&fresh().0).unwrap();
    let error = client.receive(PATIENCE).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)) && error.to_string().contains("re-authentication"), "{error}");
    assert!(start.elapsed() >= Duration::from_millis(1_800) && start.elapsed() < PATIENCE / 2);
    peer.finish();
}

#[test]
fn a_flood_of_packets_that_want_an_answer_is_cut_off() {
    let (mut client, peer) = connected(|session| {
        expect_auth(session, 0x19);
        for _ in 0..2_000 {
            session.try_write(&[0x62, 2, 0, 9]);
        }
    });
    let error = client.reauthenticate(&fresh().0).unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
    peer.finish();
}

#[test]
fn e3_connections_that_cannot_be_reauthenticated_are_left_as_they_are() {
    for (version, authentication) in [
        (Version::V311, Authentication::UserName),
        (Version::V5, Authentication::UserName),
        (Version::V5, Authentication::None),
    ] {
        let (mut client, peer) = connected_by(version, authentication, |session| {
            session.expect(0xe0);
        });
        let error = client.reauthenticate(&fresh().0).unwrap_err();
        assert!(matches!(&error, Error::Invalid(_)), "{error}");
        assert_eq!(error.to_string().contains("MQTT 3.1.1"), version == Version::V311, "{error}");
        client.disconnect().unwrap();
        peer.finish();
    }
}

#[test]
fn k1_a_fresh_token_for_another_brokers_key_is_not_shown() {
    let (mut client, peer) = connected(|session| {
        session.expect(0xe0);
    });
    let (token, _) = fresh();
    let error = client.reauthenticate(&token.with_broker_key(Some(key().0))).unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error}");
    client.disconnect().unwrap();
    peer.finish();
}
