//! The clients that need the authorization server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::process::setpriority_process;

use crate::situation::Known;
use crate::support::key::random;
use crate::support::{Attempt, Broker, Client, Device, Key, Reply, Way, encode, tls};

/// How many come.
pub const CLIENTS: usize = 200;
/// In what time they come, unless told otherwise.
pub const ARRIVAL: Duration = Duration::from_secs(3);

/// What became of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was let in.
    Accepted,
    /// It was refused by CONNACK or AUTH.
    Refused,
    /// The broker closed without a word.
    Closed,
    /// It got no answer in time.
    Unanswered,
}

/// The clients on their way in.
pub struct Crowd {
    settled: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Outcome>>,
    /// They leave when this goes.
    stay: Vec<Sender<()>>,
}

/// Has this thread, and those that it starts, give way to all other work.
pub fn give_way() {
    // To give way needs no rights.
    setpriority_process(None, 19).expect("a low priority");
}

impl Crowd {
    /// Has them come, one after the other in steps of the same length. With `known`, their tokens are opaque, and that is what the
    /// server is told of them.
    pub fn come(broker: &Broker, way: Way, round: usize, arrival: Duration, known: Option<&Known>) -> Self {
        let devices: Vec<_> = (0..CLIENTS).map(|number| device(broker, round, number, known)).collect();
        let (port, config, settled) = (broker.tls_port(), tls::tls13(), Arc::<AtomicUsize>::default());
        let start = Instant::now();
        let (mut threads, mut stay) = (Vec::new(), Vec::new());
        for (number, device) in devices.into_iter().enumerate() {
            let (sender, until) = channel::<()>();
            stay.push(sender);
            let (config, settled) = (Arc::clone(&config), Arc::clone(&settled));
            let at = start + arrival * u32::try_from(number).expect("a few") / CLIENTS as u32;
            threads.push(thread::spawn(move || {
                give_way();
                let settling = Settling(settled);
                sleep(at.saturating_duration_since(Instant::now()));
                let attempt = device.attempt_over(Client::tls(port, config), way);
                let outcome = outcome(&attempt);
                drop(settling);
                // Stays until everybody has been answered.
                let _ = until.recv();
                outcome
            }));
        }
        Self { settled, threads, stay }
    }

    /// Whether everybody has been answered, or waits no more.
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::SeqCst) == CLIENTS
    }

    /// Has them leave; gives what became of them.
    pub fn leave(self) -> Vec<Outcome> {
        drop(self.stay);
        // A client that gets no answer panics, as it does in a test.
        self.threads.into_iter().map(|thread| thread.join().unwrap_or(Outcome::Unanswered)).collect()
    }
}

/// Counts a client as settled when it goes, even by a panic.
struct Settling(Arc<AtomicUsize>);

impl Drop for Settling {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn outcome(attempt: &Attempt) -> Outcome {
    match &attempt.reply {
        Reply::Connack(connack) if connack.reason() == 0 => Outcome::Accepted,
        Reply::Connack(_) | Reply::Auth(_) => Outcome::Refused,
        Reply::Closed => Outcome::Closed,
    }
}

/// One that has not been there before.
fn device(broker: &Broker, round: usize, number: usize, known: Option<&Known>) -> Device {
    let id = format!("crowd-{round}-{number}");
    let Some(known) = known else { return broker.device(&id) };
    let key = Key::ed25519();
    // By its beginning, it cannot be taken for a token that says itself what it is.
    let token = format!("opaque-{}", encode(&random(32)));
    let claims = broker.setup().authority.claims(&id, &key).set("active", true);
    known.lock().expect("what is known").insert(token.clone(), claims.0);
    Device { id, key, token }
}
