//! E2 and R4 with many messages: a subscriber that re-authenticates under load, and one that comes back to a long queue.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::case::cases;
use crate::support::client::Event;
use crate::support::packet::{self, Packet, binary, kind};
use crate::support::{Attempt, Broker, Client, Ctx, Device, Key, PATIENCE, Protocol, Setup, Way, now, secrets};

cases! {
    Accept "E2" e2_a_hundred_renewals_under_load_lose_and_double_nothing;
    Accept "R4" r4_a_hundred_messages_wait_in_order_for_a_new_token;
    Pin "E2" e2_while_a_client_renews_the_broker_takes_nothing_but_auth;
    Pin "A5" a5_what_waits_for_its_turn_is_judged_by_the_token_before;
    Refuse "R4" r4_none_of_a_hundred_messages_is_for_a_token_without_their_topic;
}

/// How often the subscriber renews its token.
const RENEWALS: usize = 100;
/// How many messages it receives in between, at a thousand a second.
const BETWEEN: usize = 50;
/// How many messages the publisher sends ahead of their acknowledgements.
const AHEAD: u32 = 500;
/// How many messages are queued.
const QUEUED: u32 = 100;

const SUB: &[&str] = &["sub"];
const SIDES: [&str; 2] = ["even", "odd"];

/// Publishes numbers to `dev/load`, one each millisecond by the clock, until it is told to stop; gives how many.
fn publish_numbers(mut client: Client, stop: &AtomicBool) -> u32 {
    let began = Instant::now();
    let (mut sent, mut acknowledged) = (0, 0);
    while acknowledged < sent || !stop.load(Ordering::Relaxed) {
        let due = u128::from(sent) < began.elapsed().as_millis() && !stop.load(Ordering::Relaxed);
        if due && sent - acknowledged < AHEAD {
            let identifier = u16::try_from(sent % 60_000 + 1).expect("an identifier");
            let payload = sent.to_string();
            client.send(&packet::publish(client.protocol, "dev/load", payload.as_bytes(), 1, false, identifier));
            sent += 1;
            continue;
        }
        match client.next(Duration::from_millis(5)) {
            Event::Packet(packet) if packet.kind() == kind::PUBACK => {
                assert_eq!(packet.reason() & 0x80, 0, "{packet:02x?}");
                acknowledged += 1;
            }
            Event::Silence => assert!(began.elapsed() < 30 * PATIENCE, "{acknowledged} of {sent} acknowledged"),
            other => panic!("{other:02x?} instead of PUBACK"),
        }
    }
    sent
}

/// A subscriber under load: whatever it waits for, messages come in between.
struct Subscriber {
    client: Client,
    /// The numbers that came from `dev/load`.
    load: Vec<u32>,
    /// What came from elsewhere: the topic, and the number.
    aside: Vec<(String, usize)>,
    /// While the client re-authenticates, the messages whose acknowledgements wait.
    unacknowledged: Option<Vec<Packet>>,
}

impl Subscriber {
    fn new(client: Client) -> Self {
        Self { client, load: Vec::new(), aside: Vec::new(), unacknowledged: None }
    }

    /// Takes what comes next: acknowledges and notes a message, and gives anything else.
    fn step(&mut self) -> Option<Packet> {
        let packet = match self.client.next(PATIENCE) {
            Event::Packet(packet) => packet,
            other => panic!("{other:?} after {} messages and {:?}", self.load.len(), self.aside.last()),
        };
        if packet.kind() != kind::PUBLISH {
            return Some(packet);
        }
        let message = packet.publish(self.client.protocol);
        match &mut self.unacknowledged {
            Some(waiting) => waiting.push(packet),
            None => self.client.acknowledge(&packet),
        }
        let number = String::from_utf8(message.payload).expect("a number");
        if message.topic == "dev/load" {
            self.load.push(number.parse().expect("a number"));
        } else {
            self.aside.push((message.topic, number.parse().expect("a number")));
        }
        None
    }

    /// Waits for a packet that is no message.
    fn expect(&mut self, kind: u8) -> Packet {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(packet) = self.step() {
                assert_eq!(packet.kind(), kind, "{packet:02x?}");
                return packet;
            }
            assert!(Instant::now() < deadline, "messages, and no packet of type {kind}");
        }
    }

    /// Waits until the messages that have come are enough.
    fn receive_until(&mut self, enough: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + 3 * PATIENCE;
        while !enough(self) {
            let packet = self.step();
            assert!(packet.is_none(), "{packet:02x?}");
            assert!(Instant::now() < deadline, "{} messages, and {:?}", self.load.len(), self.aside.last());
        }
    }

    fn subscribe(&mut self, filters: &[&str], identifier: u16) {
        self.client.send(&packet::subscribe(self.client.protocol, filters, 1, identifier));
        let granted = self.expect(kind::SUBACK).granted(self.client.protocol);
        assert!(granted.iter().all(|reason| *reason == 1), "{granted:02x?}");
    }

    /// Re-authenticates; from here on the new token counts. Until then the broker takes nothing but AUTH from the client: see
    /// the case that pins it.
    fn renew(&mut self, device: &Device) {
        self.unacknowledged = Some(Vec::new());
        self.client.send(&packet::auth(0x19, Some(&binary(device.token.as_bytes()))));
        let challenge = self.expect(kind::AUTH);
        self.client.send(&answer_to(&challenge, device));
        assert_eq!(self.expect(kind::AUTH).reason(), 0);
        for message in self.unacknowledged.take().unwrap_or_default() {
            self.client.acknowledge(&message);
        }
    }
}

/// The right answer to a challenge.
fn answer_to(challenge: &Packet, device: &Device) -> Vec<u8> {
    assert_eq!(challenge.reason(), 0x18);
    let answer = device.challenge_answer(&challenge.authentication_data().expect("a nonce"));
    secrets::register(&answer);
    packet::auth(0x18, Some(&answer))
}

/// The subscriber with a fresh key and token, for `dev/#` and one of the sides.
fn on_side(broker: &Broker, side: &str) -> Device {
    broker.device_scoped("sensor", &[("dev/#", SUB), (&format!("{side}/#"), SUB)])
}

/// Each token allows the topic under load and one of two more. To those, somebody publishes only when the broker has
/// confirmed the token, and the next token waits until what is allowed has arrived: so it is certain what may arrive.
fn e2_a_hundred_renewals_under_load_lose_and_double_nothing(ctx: &Ctx) {
    let setup = Setup::new().mqtt(r#"on_denied_delivery = "drop""#);
    let broker = setup.conf("max_queued_messages 0").conf("max_inflight_messages 1000").start(ctx);
    let client = on_side(&broker, SIDES[1]).enter(&broker, Way::Challenge);
    let mut subscriber = Subscriber::new(client);
    subscriber.subscribe(&["dev/load", "odd/a"], 1);
    subscriber.renew(&on_side(&broker, SIDES[0]));
    subscriber.subscribe(&["even/a"], 2);

    let publisher = broker.device("publisher").enter(&broker, Way::Challenge);
    let both = [("even/#", &["pub"][..]), ("odd/#", &["pub"][..])];
    let mut aside = broker.device_scoped("aside", &both).enter(&broker, Way::Challenge);
    let stop = AtomicBool::new(false);
    let published = thread::scope(|scope| {
        let thread = scope.spawn(|| publish_numbers(publisher, &stop));
        let guard = StopAtEnd(&stop);
        for renewal in 0..RENEWALS {
            let side = SIDES[renewal % 2];
            subscriber.renew(&on_side(&broker, side));
            for topic in ["even/a", "odd/a"] {
                assert_eq!(aside.publish1(topic, renewal.to_string().as_bytes()) & 0x80, 0);
            }
            subscriber.receive_until(|subscriber| {
                subscriber.aside.last().is_some_and(|(_, number)| *number == renewal)
                    && subscriber.load.len() >= (renewal + 1) * BETWEEN
            });
        }
        drop(guard);
        thread.join().unwrap_or_else(|payload| panic!("the publisher: {}", words(&*payload)))
    });
    let all = usize::try_from(published).expect("a number");
    subscriber.receive_until(|subscriber| subscriber.load.len() >= all);
    // Nothing more comes.
    subscriber.client.send(&packet::PINGREQ);
    subscriber.expect(kind::PINGRESP);
    assert!(subscriber.load.iter().copied().eq(0..published), "lost, doubled or out of order: {:?}", subscriber.load);
    let allowed: Vec<_> = (0..RENEWALS).map(|renewal| (format!("{}/a", SIDES[renewal % 2]), renewal)).collect();
    assert_eq!(subscriber.aside, allowed);
    broker.stop();
}

/// Tells the publisher to stop when this goes, even by a failure: it would be waited for.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a thread said when it panicked.
fn words(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without words")
}

const CONTINUED_WAYS: [Way; 3] = [Way::Challenge, Way::Exporter, Way::UserName(Protocol::V311)];

/// Comes in with a session that outlives the connection.
fn continued(broker: &Broker, device: &Device, way: Way) -> Attempt {
    device.attempt_changed(broker.open(), way, |connect| {
        connect.clean_start = false;
        connect.session_expiry = Some(300);
    })
}

/// A client whose token expires; then a hundred messages are queued for it.
fn expire_and_queue(broker: &Broker, id: &str, way: Way) {
    let exp = now().as_secs() + 2;
    let brief = Device::new(&broker.setup().authority, id, Key::ed25519(), |claims| claims.set("exp", exp));
    let mut client = continued(broker, &brief, way).accepted();
    assert_eq!(client.subscribe_at(1, &["dev/queue"]), [1]);
    client.expect_not_authorized();
    let mut publisher = broker.device("publisher").enter(broker, Way::Challenge);
    for number in 0..QUEUED {
        assert_eq!(publisher.publish1("dev/queue", number.to_string().as_bytes()), 0);
    }
}

fn leave(mut client: Client) {
    client.send(&[0xe0, 0]);
    client.expect_close();
}

fn r4_a_hundred_messages_wait_in_order_for_a_new_token(ctx: &Ctx) {
    let broker = Setup::new().tokens(r#"leeway = "0s""#).start(ctx);
    for (number, way) in CONTINUED_WAYS.into_iter().enumerate() {
        let id = format!("sensor-{number}");
        expire_and_queue(&broker, &id, way);
        let attempt = continued(&broker, &broker.device(&id), way);
        assert!(attempt.session_present(), "{way:?}");
        let mut client = attempt.accepted();
        let came: Vec<_> = (0..QUEUED).map(|_| client.message_acknowledged().payload).collect();
        assert!(came.into_iter().eq((0..QUEUED).map(|number| number.to_string().into_bytes())), "{way:?}");
        assert!(client.messages_so_far().is_empty(), "{way:?}");
        leave(client);
        // Once, and no more.
        let mut client = continued(&broker, &broker.device(&id), way).accepted();
        assert!(client.messages_so_far().is_empty(), "{way:?}");
        leave(client);
    }
}

fn r4_none_of_a_hundred_messages_is_for_a_token_without_their_topic(ctx: &Ctx) {
    let broker = Setup::new().tokens(r#"leeway = "0s""#).start(ctx);
    for (number, way) in CONTINUED_WAYS.into_iter().enumerate() {
        let id = format!("sensor-{number}");
        expire_and_queue(&broker, &id, way);
        let narrower = broker.device_scoped(&id, &[("other/#", &["pub", "sub"])]);
        let attempt = continued(&broker, &narrower, way);
        assert!(attempt.session_present(), "{way:?}");
        let mut client = attempt.accepted();
        client.round_trip("other/a");
        assert!(client.messages_so_far().is_empty(), "{way:?}");
        leave(client);
        // They do not come later either.
        let mut client = continued(&broker, &broker.device(&id), way).accepted();
        client.round_trip("dev/a");
        assert!(client.messages_so_far().is_empty(), "{way:?}");
        leave(client);
    }
}

/// Sends the new token and takes the challenge; gives the right answer to it.
fn begin_renewal(client: &mut Client, device: &Device) -> Vec<u8> {
    client.send(&packet::auth(0x19, Some(&binary(device.token.as_bytes()))));
    answer_to(&client.expect(kind::AUTH), device)
}

/// MQTT 5, section 4.12.1, lets other packets go on while a client re-authenticates; here, all but AUTH is a protocol error.
fn e2_while_a_client_renews_the_broker_takes_nothing_but_auth(ctx: &Ctx) {
    let mut broker = Setup::new().start(ctx);
    for sent in [
        packet::PINGREQ.to_vec(),
        packet::puback(1),
        packet::publish(Protocol::V5, "dev/a", b"", 0, false, 0),
        packet::subscribe(Protocol::V5, &["dev/b"], 0, 9),
    ] {
        let device = broker.device("sensor");
        let mut client = device.enter(&broker, Way::Challenge);
        begin_renewal(&mut client, &device);
        client.send(&sent);
        let reasons: Vec<_> = client.expect_close().iter().map(|packet| (packet.kind(), packet.reason())).collect();
        // 2.0.11 says so to some of them only.
        assert!(reasons.iter().all(|said| *said == (kind::DISCONNECT, 0x82)), "after {sent:02x?}: {reasons:02x?}");
        assert!(ctx.version.number == "2.0.11" || reasons.len() == 1, "after {sent:02x?}: {reasons:02x?}");
    }
    broker.assert_alive();
}

/// Messages are asked about when they are published. What has to wait then, be it for the acknowledgement of those before it or
/// for the end of a re-authentication, is not asked about again when its turn comes.
fn a5_what_waits_for_its_turn_is_judged_by_the_token_before(ctx: &Ctx) {
    let setup = Setup::new().mqtt(r#"on_denied_delivery = "drop""#);
    let broker = setup.conf("max_inflight_messages 1").start(ctx);
    let mut publisher = broker.device("publisher").enter(&broker, Way::Challenge);
    let mut publish = |payload: &str| assert_eq!(publisher.publish1("dev/a", payload.as_bytes()) & 0x80, 0);
    let mut client = broker.device("sensor").enter(&broker, Way::Challenge);
    assert_eq!(client.subscribe_at(1, &["dev/a"]), [1]);
    publish("sent");
    let sent = client.expect(kind::PUBLISH);
    publish("waiting for an acknowledgement");
    let answer = begin_renewal(&mut client, &broker.device_scoped("sensor", &[("other/#", SUB)]));
    publish("waiting for the renewal");
    client.send(&answer);
    assert_eq!(client.expect(kind::AUTH).reason(), 0);
    publish("too late");
    client.acknowledge(&sent);
    for payload in ["waiting for an acknowledgement", "waiting for the renewal"] {
        assert_eq!(client.message_acknowledged().payload, payload.as_bytes());
    }
    assert!(client.messages_so_far().is_empty());
}
