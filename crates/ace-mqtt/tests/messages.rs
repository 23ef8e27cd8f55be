//! Messages both ways, their acknowledgements, pings, and the ends that a connection can find.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use std::time::{Duration, Instant};

use ace_mqtt::{Authentication, Client, Error, Message, Qos, Subscription, Version};
use peer::{PATIENCE, Peer, Session, credentials, key};

/// Connects to a peer that accepts and then plays the rest of the script.
fn connected(version: Version, script: impl FnOnce(&mut Session) + Send + 'static) -> (Client, Peer) {
    connected_with(version, PATIENCE, 60, script)
}

fn connected_with(
    version: Version,
    response_timeout: Duration,
    keep_alive: u16,
    script: impl FnOnce(&mut Session) + Send + 'static,
) -> (Client, Peer) {
    let (key, _) = key();
    let peer = Peer::once(move |session| {
        session.welcome();
        script(session);
    });
    let mut options = peer.options();
    options.version = version;
    options.response_timeout = response_timeout;
    options.keep_alive = keep_alive;
    options.authentication = if version == Version::V5 { Authentication::Exporter } else { Authentication::UserName };
    let client = Client::connect(&options, Some(&credentials(key))).unwrap();
    (client, peer)
}

fn message(qos: Qos) -> Message {
    Message::new("a/b", "x").with_qos(qos)
}

#[test]
fn qos_0_goes_out_without_waiting() {
    let (mut client, peer) = connected(Version::V5, |session| {
        assert_eq!(session.expect(0x30), b"\0\x03a/b\0x");
        assert_eq!(session.expect(0x31), b"\0\x03a/b\0x", "retained");
        session.expect(0xe0);
    });
    client.publish(&message(Qos::AtMostOnce)).unwrap();
    client.publish(&message(Qos::AtMostOnce).with_retain(true)).unwrap();
    client.disconnect().unwrap();
    peer.finish();
}

#[test]
fn qos_1_waits_for_puback_on_both_versions() {
    for version in [Version::V5, Version::V311] {
        let (mut client, peer) = connected(version, move |session| {
            let body = session.expect(0x32);
            assert_eq!(&body[..5], b"\0\x03a/b");
            session.write(&[0x40, 2, body[5], body[6]]);
            session.expect(0xe0);
        });
        client.publish(&message(Qos::AtLeastOnce)).unwrap();
        client.disconnect().unwrap();
        peer.finish();
    }
}

#[test]
fn a2_a_refused_message_is_an_error_and_the_connection_stays() {
    let (mut client, peer) = connected(Version::V5, |session| {
        let body = session.expect(0x32);
        session.write(&[0x40, 4, body[5], body[6], 0x87, 0]);
        let body = session.expect(0x34);
        session.write(&[0x50, 4, body[5], body[6], 0x87, 0]);
        let body = session.expect(0x32);
        session.write(&[0x40, 3, body[5], body[6], 0x10]);
        session.expect(0xe0);
    });
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let error = client.publish(&message(qos)).unwrap_err();
        assert_eq!(error.to_string(), "the broker refused the message on \"a/b\": not authorized (0x87)");
    }
    // "No matching subscribers" is a success.
    client.publish(&message(Qos::AtLeastOnce)).unwrap();
    client.disconnect().unwrap();
    peer.finish();
}

#[test]
fn qos_2_goes_through_all_four_packets() {
    // PUBREC 0x10 is a success too, and has to be followed by PUBREL all the same.
    for (version, pubrec_reason) in [(Version::V5, None), (Version::V5, Some(0x10)), (Version::V311, None)] {
        let (mut client, peer) = connected(version, move |session| {
            let body = session.expect(0x34);
            let id = [body[5], body[6]];
            match pubrec_reason {
                None => session.write(&[0x50, 2, id[0], id[1]]),
                Some(reason) => session.write(&[0x50, 3, id[0], id[1], reason]),
            }
            assert_eq!(session.expect(0x62), id);
            session.write(&[0x70, 2, id[0], id[1]]);
            session.expect(0xe0);
        });
        client.publish(&message(Qos::ExactlyOnce)).unwrap();
        client.disconnect().unwrap();
        peer.finish();
    }
}

#[test]
fn a4_each_filter_gets_its_own_answer() {
    for (version, refusal, words) in
        [(Version::V5, 0x87, "not authorized (0x87)"), (Version::V311, 0x80, "refused (0x80)")]
    {
        let (mut client, peer) = connected(version, move |session| {
            let body = session.expect(0x82);
            let mut answer = vec![0x90, 4, body[0], body[1], 1, refusal];
            if version == Version::V5 {
                answer = vec![0x90, 5, body[0], body[1], 0, 1, refusal];
            }
            session.write(&answer);
            session.expect(0xe0);
        });
        let answers = client
            .subscribe(&[Subscription::new("a/#", Qos::AtLeastOnce), Subscription::new("secret/#", Qos::AtLeastOnce)])
            .unwrap();
        assert_eq!(answers[0].result, Ok(Qos::AtLeastOnce));
        assert_eq!(answers[1].filter, "secret/#");
        assert_eq!(answers[1].result.unwrap_err().to_string(), words);
        client.disconnect().unwrap();
        peer.finish();
    }
}

#[test]
fn incoming_messages_are_acknowledged_as_they_are_handed_out() {
    let (mut client, peer) = connected(Version::V5, |session| {
        session.write(b"\x30\x08\0\x03a/b\0hi");
        session.write(b"\x33\x0a\0\x03a/b\0\x07\0hi");
        assert_eq!(session.expect(0x40), [0, 7]);
        // QoS 2, sent twice before the answer: handed out once.
        session.write(b"\x34\x0a\0\x03a/b\0\x08\0hi");
        assert_eq!(session.expect(0x50), [0, 8]);
        session.write(b"\x3c\x0a\0\x03a/b\0\x08\0hi");
        assert_eq!(session.expect(0x50), [0, 8]);
        session.write(&[0x62, 2, 0, 8]);
        assert_eq!(session.expect(0x70), [0, 8]);
        // After its release the identifier is free for another message.
        session.write(b"\x34\x0a\0\x03a/b\0\x08\0ho");
        assert_eq!(session.expect(0x50), [0, 8]);
        // A release of something unknown is answered with its reason.
        session.write(&[0x62, 2, 0, 9]);
        assert_eq!(&session.expect(0x70)[..3], [0, 9, 0x92]);
        session.expect(0xe0);
    });
    let mut receive = || client.receive(PATIENCE).unwrap().unwrap();
    assert_eq!(receive().qos, Qos::AtMostOnce);
    let second = receive();
    assert!(second.retain && second.qos == Qos::AtLeastOnce && second.payload == b"hi");
    assert_eq!(receive().qos, Qos::ExactlyOnce);
    assert_eq!(receive().payload, b"ho");
    assert_eq!(client.receive(Duration::from_millis(200)).unwrap(), None);
    client.disconnect().unwrap();
    peer.finish();
}

#[test]
fn messages_that_arrive_while_waiting_are_kept() {
    let (mut client, peer) = connected(Version::V5, |session| {
        let body = session.expect(0x32);
        session.write(b"\x30\x08\0\x03a/b\0hi");
        session.write(&[0x40, 2, body[5], body[6]]);
        session.expect(0xe0);
    });
    client.publish(&message(Qos::AtLeastOnce)).unwrap();
    assert_eq!(client.receive(Duration::ZERO).unwrap().unwrap().payload, b"hi");
    client.disconnect().unwrap();
    peer.finish();
}

#[test]
fn a5_a_disconnect_while_subscribed_comes_with_its_reason() {
    let (mut client, peer) = connected(Version::V5, |session| {
        let body = session.expect(0x82);
        session.write(&[0x90, 4, body[0], body[1], 0, 0]);
        session.write(&[0xe0, 2, 0x87, 0]);
    });
    client.subscribe(&[Subscription::new("a", Qos::AtMostOnce)]).unwrap();
    let error = client.receive(PATIENCE).unwrap_err();
    assert_eq!(error.to_string(), "the broker ended the connection: not authorized (0x87)");
    // From here on there is no connection.
    assert!(matches!(client.publish(&message(Qos::AtMostOnce)), Err(Error::ConnectionLost { .. })));
    peer.finish();
}

#[test]
fn a3_a_disconnect_instead_of_an_acknowledgement() {
    let (mut client, peer) = connected(Version::V5, |session| {
        session.expect(0x32);
        session.write(&[0xe0, 2, 0x87, 0]);
    });
    let error = client.publish(&message(Qos::AtLeastOnce)).unwrap_err();
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
    peer.finish();
}

#[test]
fn pings_are_sent_when_nothing_else_is_and_must_be_answered() {
    let (mut client, peer) = connected_with(Version::V5, Duration::from_millis(300), 1, |session| {
        session.expect(0xc0);
        session.write(&[0xd0, 0]);
        session.expect(0xc0);
        // No answer this time.
        let _ = session.ended();
    });
    let start = Instant::now();
    let error = client.receive(PATIENCE).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(2_000) && elapsed < PATIENCE / 2, "{elapsed:?}");
    drop(client);
    peer.finish();
}

#[test]
fn ping_waits_for_its_answer() {
    let (mut client, peer) = connected(Version::V311, |session| {
        session.expect(0xc0);
        session.write(&[0xd0, 0]);
        session.expect(0xe0);
    });
    client.ping().unwrap();
    client.disconnect().unwrap();
    peer.finish();
}

#[test]
fn acknowledgements_of_nothing_break_the_protocol() {
    for packet in [
        &[0x40, 2, 0, 9][..],
        &[0x50, 2, 0, 9],
        &[0x70, 2, 0, 9],
        &[0x90, 4, 0, 9, 0, 0],
        &[0x20, 3, 0, 0, 0],
        &[0xf0, 0],
    ] {
        let (mut client, peer) = connected(Version::V5, move |session| {
            session.write(packet);
            let (first, body) = session.packet();
            assert_eq!((first, &body[..1]), (0xe0, &[0x82][..]), "DISCONNECT: protocol error");
        });
        let error = client.receive(PATIENCE).unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{packet:?}: {error}");
        peer.finish();
    }
}

#[test]
fn a_pubcomp_before_the_release_breaks_the_protocol() {
    let (mut client, peer) = connected(Version::V5, |session| {
        let body = session.expect(0x34);
        session.write(&[0x70, 2, body[5], body[6]]);
        session.expect(0xe0);
    });
    assert!(matches!(client.publish(&message(Qos::ExactlyOnce)), Err(Error::Protocol { .. })));
    peer.finish();
}

#[test]
fn garbage_and_cut_lines_end_receive() {
    let (mut client, peer) = connected(Version::V5, |session| session.write(&[0x30, 0x80, 0x80, 0x80, 0x80, 1]));
    assert!(matches!(client.receive(PATIENCE), Err(Error::Protocol { .. })));
    peer.finish();
    let (mut client, peer) = connected(Version::V5, |session| session.cut());
    assert!(matches!(client.receive(PATIENCE), Err(Error::ConnectionLost { .. })));
    peer.finish();
}

#[test]
fn the_will_can_be_asked_for_at_the_end() {
    let (client, peer) = connected(Version::V5, |session| assert_eq!(session.expect(0xe0)[0], 4));
    client.disconnect_with_will().unwrap();
    peer.finish();
    let (client, peer) = connected(Version::V311, |session| assert!(session.ended()));
    client.disconnect_with_will().unwrap();
    peer.finish();
}

#[test]
fn large_messages_pass_both_ways() {
    let (mut client, peer) = connected(Version::V5, |session| {
        let body = session.expect(0x32);
        session.write(&[0x40, 2, body[5], body[6]]);
        let payload = &body[8..];
        assert_eq!(payload.len(), 1_000_000);
        let length = payload.len() + 6;
        let mut packet =
            vec![0x30, (length & 0x7f) as u8 | 0x80, (length >> 7 & 0x7f) as u8 | 0x80, (length >> 14) as u8];
        packet.extend(b"\0\x03a/b\0");
        packet.extend(payload);
        session.write(&packet);
        session.expect(0xe0);
    });
    let payload: Vec<u8> = (0..1_000_000_u32).map(|index| index as u8).collect();
    client.publish(&Message::new("a/b", payload.clone()).with_qos(Qos::AtLeastOnce)).unwrap();
    assert_eq!(client.receive(PATIENCE).unwrap().unwrap().payload, payload);
    client.disconnect().unwrap();
    peer.finish();
}

#[test]
fn unsubscribe_waits_for_its_answer() {
    for version in [Version::V5, Version::V311] {
        let (mut client, peer) = connected(version, move |session| {
            let body = session.expect(0xa2);
            if version == Version::V5 {
                session.write(&[0xb0, 4, body[0], body[1], 0, 0]);
            } else {
                session.write(&[0xb0, 2, body[0], body[1]]);
            }
            session.expect(0xe0);
        });
        client.unsubscribe(&["a/#"]).unwrap();
        client.disconnect().unwrap();
        peer.finish();
    }
}

#[test]
fn bad_topics_never_reach_the_broker() {
    let (mut client, peer) = connected(Version::V5, |session| {
        session.expect(0xe0);
    });
    assert!(matches!(client.publish(&Message::new("a/#", "x")), Err(Error::Invalid(_))));
    assert!(matches!(client.subscribe(&[Subscription::new("a#", Qos::AtMostOnce)]), Err(Error::Invalid(_))));
    assert!(matches!(client.subscribe(&[]), Err(Error::Invalid(_))));
    client.disconnect().unwrap();
    peer.finish();
}
