//! A thousand clients at once: reload, exit and restart with all of them connected.

use crate::support::case::cases;
use crate::support::packet::{self, kind};
use crate::support::{Attempt, Broker, Client, Ctx, Device, Protocol, Setup, Way};

cases! {
    Accept "R4" r4_a_thousand_clients_outlive_a_reload_and_return_after_a_restart;
}

/// How many clients there are.
const CROWD: usize = 1000;
/// One in so many has a session that outlives the connection.
const PERSISTENT: usize = 4;
/// The clients' ways in, in turn.
const WAYS: [Way; 5] = [
    Way::Challenge,
    Way::Exporter,
    Way::UserName(Protocol::V311),
    Way::Draft00(Protocol::V5),
    Way::UserNameText(Protocol::V311),
];

/// One of the crowd.
struct Member {
    device: Device,
    way: Way,
    is_persistent: bool,
}

impl Member {
    fn new(broker: &Broker, number: usize) -> Self {
        let device = broker.device(&format!("member-{number}"));
        Self { device, way: WAYS[number % WAYS.len()], is_persistent: number.is_multiple_of(PERSISTENT) }
    }

    fn attempt(&self, broker: &Broker) -> Attempt {
        self.device.attempt_changed(broker.open(), self.way, |connect| {
            // They have nothing to say while the others come in.
            connect.keep_alive = 3600;
            if self.is_persistent {
                connect.clean_start = false;
                connect.session_expiry = Some(3600);
            }
        })
    }

    /// Comes in for the first time.
    fn enter(&self, broker: &Broker) -> Client {
        let attempt = self.attempt(broker);
        assert!(!attempt.session_present(), "{:?}", self.device.id);
        let mut client = attempt.accepted();
        assert_eq!(client.subscribe_at(1, &["dev/all"]), [1], "{:?}", self.device.id);
        client
    }

    /// Comes in after a restart of the broker: those with a session have it, and what was sent to it.
    fn come_back(&self, broker: &Broker, missed: &[u8]) -> Client {
        if !self.is_persistent {
            return self.enter(broker);
        }
        let attempt = self.attempt(broker);
        assert!(attempt.session_present(), "{:?}", self.device.id);
        let mut client = attempt.accepted();
        assert_eq!(client.message_acknowledged().payload, missed, "{:?}", self.device.id);
        client
    }
}

fn publish(broker: &Broker, payload: &[u8]) {
    let mut publisher = broker.device("publisher").enter(broker, Way::Challenge);
    assert_eq!(publisher.publish1("dev/all", payload) & 0x80, 0);
}

/// Each of them is sent a message, may publish, and is answered.
fn all_are_served(broker: &Broker, clients: &mut [Client], payload: &[u8]) {
    publish(broker, payload);
    for client in clients.iter_mut() {
        client.send(&packet::publish(client.protocol, "dev/mine", b"", 1, false, 60_000));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.message_acknowledged().payload, payload, "{number}");
        assert_eq!(client.expect(kind::PUBACK).reason() & 0x80, 0, "{number}");
        assert!(client.messages_so_far().is_empty(), "{number}");
    }
}

fn r4_a_thousand_clients_outlive_a_reload_and_return_after_a_restart(ctx: &Ctx) {
    let setup = Setup::new().top(r#"state_dir = ".""#);
    let setup = setup.conf("persistence true").conf("persistence_location {dir}/");
    // Without this, each client would wait for its CONNACK until the session tickets before it are acknowledged.
    let mut broker = setup.conf("set_tcp_nodelay true").start(ctx);
    let members: Vec<_> = (0..CROWD).map(|number| Member::new(&broker, number)).collect();
    let mut clients: Vec<_> = members.iter().map(|member| member.enter(&broker)).collect();

    // The broker asks about each of them again; a message for all is on its way through.
    let again = broker.setup().clone();
    for payload in [b"once", b"more"] {
        broker.reload(&again);
        all_are_served(&broker, &mut clients, payload);
    }
    broker.assert_alive();

    // Ends with exit code 0 while they are connected, and takes up the sessions of those that have one.
    let broker = broker.restart(ctx);
    for client in &mut clients {
        client.expect_close();
    }
    drop(clients);
    publish(&broker, b"missed");
    let mut clients: Vec<_> = members.iter().map(|member| member.come_back(&broker, b"missed")).collect();
    all_are_served(&broker, &mut clients, b"back");
    broker.stop();
}
