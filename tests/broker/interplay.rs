//! Clients among each other: interleaved, all at once, under the same name, without a name.

use std::thread::scope;

use crate::support::case::cases;
use crate::support::packet::kind;
use crate::support::{Attempt, Broker, Client, Connect, Ctx, Device, Key, Protocol, Reply, Setup, Way};

cases! {
    Accept "C2" interplay_connects_that_arrive_in_pieces_are_told_apart;
    Accept "C2" interplay_many_at_once_are_told_apart;
    Accept "C2" interplay_many_at_once_over_websockets_are_told_apart;
    Refuse "C2" interplay_thieves_among_many_are_refused;
    Refuse "C2" interplay_one_sessions_proof_does_not_serve_another_that_is_half_way;
    Accept "C3" interplay_client_without_an_id_is_served;
    Accept "V1" interplay_mqtt311_client_without_an_id_is_served;
    Accept "C3" interplay_a_proved_namesake_takes_over;
    Refuse "C3" interplay_a_refused_namesake_disturbs_nobody;
}

/// The broker reads one client's bytes between another's: whose TLS session is it when the CONNECT is whole?
fn interplay_connects_that_arrive_in_pieces_are_told_apart(ctx: &Ctx) {
    let broker = Setup::new().websocket_listener().start(ctx);
    let opened: [fn(&Broker) -> Client; 2] = [Broker::open, Broker::open_websocket];
    for way in [Way::Exporter, Way::UserName(Protocol::V311)] {
        for (open_one, open_other) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let (one, other) = (broker.device("one"), broker.device("other"));
            let (mut one_client, mut other_client) = (opened[open_one](&broker), opened[open_other](&broker));
            let one_connect = one.connect(&one_client, way);
            let other_connect = other.connect(&other_client, way);
            let (first, second) = (one_connect.encode(), other_connect.encode());
            one_client.protocol = one_connect.protocol;
            other_client.protocol = other_connect.protocol;
            let (half, most) = (first.len() / 2, second.len() - 1);
            one_client.send(&first[..half]);
            other_client.send(&second[..most]);
            one_client.send(&first[half..]);
            one_client.expect_accepted();
            other_client.send(&second[most..]);
            other_client.expect_accepted();
            one_client.round_trip("dev/one");
            other_client.round_trip("dev/other");
        }
    }
}

const CROWD: usize = 24;
/// Reason code of the DISCONNECT to a client whose id another has taken.
const TAKEN_OVER: u8 = 0x8e;

/// A crowd comes in at once, every third of them a thief; gives how many were let in and how many refused.
fn crowd(broker: &Broker, open: fn(&Broker) -> Client, thieves: bool) -> (usize, usize) {
    let ways = [Way::Exporter, Way::Challenge, Way::UserName(Protocol::V311), Way::Draft00(Protocol::V5)];
    let come_in = |number: usize| {
        let mut device = broker.device(&format!("client-{number}"));
        if thieves && number.is_multiple_of(3) {
            device = device.with_key(Key::ed25519());
        }
        let attempt = device.attempt_over(open(broker), ways[number % ways.len()]);
        match &attempt.reply {
            Reply::Connack(connack) if connack.reason() == 0 => {
                attempt.accepted().round_trip(&format!("dev/{number}"));
                true
            }
            _ => false,
        }
    };
    scope(|threads| {
        let come_in = &come_in;
        let all: Vec<_> = (0..CROWD).map(|number| threads.spawn(move || come_in(number))).collect();
        let outcomes: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
        let let_in = outcomes.iter().filter(|let_in| **let_in).count();
        (let_in, outcomes.len() - let_in)
    })
}

fn interplay_many_at_once_are_told_apart(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    assert_eq!(crowd(&broker, Broker::open, false), (CROWD, 0));
    broker.stop();
}

fn interplay_many_at_once_over_websockets_are_told_apart(ctx: &Ctx) {
    let broker = Setup::new().websocket_listener().start(ctx);
    assert_eq!(crowd(&broker, Broker::open_websocket, false), (CROWD, 0));
    broker.stop();
}

fn interplay_thieves_among_many_are_refused(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    assert_eq!(crowd(&broker, Broker::open, true), (CROWD * 2 / 3, CROWD / 3));
    for number in (0..CROWD).step_by(3) {
        broker.expect_refusal(&format!("client-{number}"), "proof-wrong");
    }
}

/// A thief has half a CONNECT on its way while the owner's whole one, whose bytes it copies, is read.
fn interplay_one_sessions_proof_does_not_serve_another_that_is_half_way(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for way in [Way::Exporter, Way::UserName(Protocol::V311), Way::Draft00(Protocol::V311)] {
        let owner = broker.device("owner");
        let (owners, mut thiefs) = (broker.open(), broker.open());
        let connect = owner.connect(&owners, way);
        let mut stolen = connect.clone();
        stolen.client_id = "thief".to_owned();
        let bytes = stolen.encode();
        let (start, end) = bytes.split_at(bytes.len() - 1);
        thiefs.protocol = stolen.protocol;
        thiefs.send(start);
        let mut owners = Attempt::make(owners, &connect).accepted();
        thiefs.send(end);
        let refused = thiefs.expect(kind::CONNACK);
        assert_ne!(refused.reason(), 0);
        broker.expect_refusal("thief", "proof-wrong");
        owners.round_trip("dev/a");
    }
}

fn interplay_client_without_an_id_is_served(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    for way in [Way::Challenge, Way::Exporter] {
        let mut nameless = broker.device("sensor");
        nameless.id = String::new();
        let mut first = nameless.enter(&broker, way);
        let mut second = nameless.enter(&broker, way);
        first.round_trip("dev/a");
        second.round_trip("dev/a");
        assert_eq!(first.publish1("secret", b""), 0x87);
    }
}

fn interplay_mqtt311_client_without_an_id_is_served(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut nameless = broker.device("sensor");
    nameless.id = String::new();
    for way in [Way::UserName(Protocol::V311), Way::Draft00(Protocol::V311)] {
        nameless.enter(&broker, way).round_trip("dev/a");
    }
}

/// MQTT lets the newer connection of a client id have it.
fn interplay_a_proved_namesake_takes_over(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let mut old = broker.device("sensor").enter(&broker, Way::Challenge);
    old.round_trip("dev/a");
    let narrow: &[(&str, &[&str])] = &[("other/#", &["pub", "sub"])];
    let mut new = broker.device_scoped("sensor", narrow).enter(&broker, Way::Exporter);
    let came = old.expect_close();
    assert!(came.iter().all(|packet| packet.kind() == kind::DISCONNECT && packet.reason() == TAKEN_OVER));
    new.round_trip("other/a");
    assert_eq!(new.publish1("dev/a", b""), 0x87);
}

fn interplay_a_refused_namesake_disturbs_nobody(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let device = broker.device("sensor");
    let mut client = device.enter(&broker, Way::Challenge);
    let thief = Device { key: Key::ed25519(), ..device.clone() };
    for way in [Way::Challenge, Way::Exporter, Way::UserName(Protocol::V311), Way::Draft00(Protocol::V5)] {
        thief.attempt(&broker, way).refused(&broker, "proof-wrong");
        client.round_trip("dev/a");
    }
    let nobody = Connect::credentials(Protocol::V5, "sensor", b"somebody", b"else");
    Attempt::make(broker.open(), &nobody).refused(&broker, "token-missing");
    client.round_trip("dev/a");
}
