//! Many in a row: packets with changed bytes, and clients that come and go.

use crate::support::case::cases;
use crate::support::key::random;
use crate::support::packet::{self, kind};
use crate::support::{Attempt, Broker, Client, Ctx, Key, Protocol, Reply, Setup, Way};

cases! {
    Refuse "C6" endurance_changed_bytes_let_nobody_in_and_stop_nothing;
    Refuse "C3" endurance_refused_clients_leave_nothing_behind;
    Accept "C3" endurance_clients_that_come_and_go_leave_nothing_behind;
}

/// Bytes that look random, and are the same again for the same seed.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        Self(u64::from_le_bytes(random(8).try_into().unwrap()) | 1)
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    /// Changes, doubles, or leaves out a few bytes, or cuts the end off.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 0x7f, 0x80, 0xff][self.below(4)],
                2 => bytes.insert(at, bytes[at]),
                _ => drop(bytes.remove(at)),
            }
        }
        if self.below(8) == 0 {
            bytes.truncate(1 + self.below(bytes.len()));
        }
    }
}

const WAYS: [Way; 5] = [
    Way::Exporter,
    Way::Challenge,
    Way::UserName(Protocol::V311),
    Way::UserName(Protocol::V5),
    Way::Draft00(Protocol::V5),
];

/// Sends a CONNECT with changed bytes and, if there is a challenge, an answer with changed bytes. The thief has the
/// token, but not the key: whatever becomes of the bytes, it must not come in.
fn try_changed(broker: &Broker, dice: &mut Dice, way: Way) {
    let seed = dice.0;
    let thief = broker.device("thief").with_key(Key::ed25519());
    let mut client = broker.open();
    let connect = thief.connect(&client, way);
    client.protocol = connect.protocol;
    let mut bytes = connect.encode();
    // The fixed header's length is left alone more often than not, since the broker would only wait for more.
    dice.change(&mut bytes);
    client.send(&bytes);
    // Behind a packet that is too short, this is taken for its end.
    client.send(&packet::PINGREQ);
    let Some(first) = next(&mut client) else { return };
    if first.kind() == kind::AUTH {
        let nonce = first.authentication_data().unwrap_or_default();
        let mut answer = packet::auth(0x18, Some(&thief.challenge_answer(&nonce)));
        dice.change(&mut answer);
        client.send(&answer);
        if let Some(second) = next(&mut client) {
            assert!(second.kind() != kind::CONNACK || second.reason() != 0, "let in by seed {seed}: {second:02x?}");
        }
        return;
    }
    assert!(first.kind() != kind::CONNACK || first.reason() != 0, "let in by seed {seed}: {first:02x?}");
}

fn next(client: &mut Client) -> Option<packet::Packet> {
    use crate::support::client::Event;
    match client.next(std::time::Duration::from_millis(30)) {
        Event::Packet(packet) => Some(packet),
        Event::Closed | Event::Silence => None,
    }
}

fn endurance_changed_bytes_let_nobody_in_and_stop_nothing(ctx: &Ctx) {
    let mut broker = Setup::new().start(ctx);
    let mut bystander = broker.device("bystander").enter(&broker, Way::Challenge);
    let mut dice = Dice::new();
    for round in 0..60 {
        for way in WAYS {
            try_changed(&broker, &mut dice, way);
        }
        if round % 10 == 0 {
            bystander.round_trip("dev/bystander");
        }
    }
    broker.assert_alive();
    broker.stop();
}

/// What the broker's memory may grow by over a few hundred clients, once it has seen as many: what its allocator has
/// not given back, and nothing per client.
const MAY_GROW: usize = 2 << 20;

fn memory_stays(broker: &Broker, mut come_and_go: impl FnMut(usize)) {
    (0..300).for_each(&mut come_and_go);
    let before = broker.resident_bytes();
    (300..900).for_each(&mut come_and_go);
    let after = broker.resident_bytes();
    assert!(after < before + MAY_GROW, "the broker's memory grew from {before} to {after} bytes");
}

fn endurance_refused_clients_leave_nothing_behind(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let owner = broker.device("thief");
    memory_stays(&broker, |number| {
        let mut thief = owner.with_key(Key::ed25519());
        thief.id = format!("thief-{number}");
        let attempt = thief.attempt(&broker, WAYS[number % WAYS.len()]);
        assert!(matches!(&attempt.reply, Reply::Connack(connack) if connack.reason() != 0));
    });
}

fn endurance_clients_that_come_and_go_leave_nothing_behind(ctx: &Ctx) {
    let broker = Setup::new().start(ctx);
    let owner = broker.device("sensor");
    memory_stays(&broker, |number| {
        let mut device = owner.clone();
        device.id = format!("sensor-{}", number % 50);
        // Some go away in the middle of their challenge.
        let client = broker.open();
        let way = WAYS[number % WAYS.len()];
        if way == Way::Challenge && number % 2 == 0 {
            let connect = device.connect(&client, way);
            Attempt::make(client, &connect).nonce();
        } else {
            device.attempt_over(client, way).accepted();
        }
    });
}
