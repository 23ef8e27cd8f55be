//! A client that does not need the authorization server, and feels what others cost.

use std::time::{Duration, Instant};

use crate::support::client::Event;
use crate::support::packet::{self, kind};
use crate::support::{Broker, Client, Way};
use crate::table::Times;

const TOPIC: &str = "dev/probe";
/// How often it publishes.
const PERIOD: Duration = Duration::from_millis(10);

/// The client, let in and subscribed.
pub struct Probe {
    client: Client,
    /// When each message was sent; the message is its index.
    sent: Vec<Instant>,
    received: usize,
}

impl Probe {
    /// Comes in with a signed token and a known key.
    pub fn enter(broker: &Broker) -> Self {
        let mut client = broker.device("probe").enter(broker, Way::Challenge);
        assert_eq!(client.subscribe(&[TOPIC]), [0]);
        Self { client, sent: Vec::new(), received: 0 }
    }

    /// Measures for a while.
    pub fn run_for(&mut self, time: Duration, times: &mut Times) {
        let end = Instant::now() + time;
        self.run_until(|| Instant::now() >= end, times);
    }

    /// Measures until something has happened. It publishes when it is time, whether or not the messages before have come back:
    /// so a broker that stands still for a second is late for a hundred messages, and not for one.
    pub fn run_until(&mut self, has_happened: impl Fn() -> bool, times: &mut Times) {
        let mut next = Instant::now();
        while !has_happened() {
            let now = Instant::now();
            if now >= next {
                let number = u32::try_from(self.sent.len()).expect("a number");
                self.sent.push(now);
                let publish = packet::publish(self.client.protocol, TOPIC, &number.to_be_bytes(), 0, false, 0);
                self.client.send(&publish);
                next += PERIOD;
            }
            self.receive(next.saturating_duration_since(Instant::now()), times);
        }
        while self.received < self.sent.len() {
            self.receive(crate::support::PATIENCE, times);
        }
    }

    /// Waits until the broker has nothing left to do that came before.
    pub fn settle(&mut self) {
        self.client.ping();
    }

    /// Takes what comes in this time.
    fn receive(&mut self, patience: Duration, times: &mut Times) {
        match self.client.next(patience) {
            Event::Packet(packet) if packet.kind() == kind::PUBLISH => {
                let now = Instant::now();
                let payload = packet.publish(self.client.protocol).payload;
                let number = u32::from_be_bytes(payload.try_into().expect("a number"));
                // One connection, one topic: what was sent first comes first, and nothing is lost.
                assert_eq!(number as usize, self.received, "out of order");
                times.add(now - self.sent[self.received]);
                self.received += 1;
            }
            Event::Silence => {
                let oldest = self.sent.get(self.received);
                assert!(oldest.is_none_or(|sent| sent.elapsed() < 6 * crate::support::PATIENCE), "no answer");
            }
            other => panic!("the probe: {other:02x?}"),
        }
    }
}
