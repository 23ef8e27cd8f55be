//! What an authorization server that is slow, mute or down costs the clients that do not need it.
//!
//! `cargo bench --bench slow_server` starts each broker with the plugin. A probe, whose token needs no server, publishes a
//! message every ten milliseconds and receives it. Meanwhile two hundred other clients come with opaque tokens, about each of
//! which the plugin asks a server that takes two seconds, never answers, or refuses connections. The table compares the probe's
//! round trips then with those just before and after. As a control, the same clients come with signed tokens, for which
//! nobody is asked: what two hundred TLS handshakes cost is in both.
//!
//! The words after `--` choose: a broker's version, a situation's name, `v5` or `v311`, `rounds=5`, and in how many seconds the
//! clients come, `arrival=15`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that meets something unexpected should stop there and say so"
)]
#![allow(unreachable_pub, reason = "a program exports nothing")]

mod crowd;
mod probe;
mod situation;
#[path = "../../tests/broker/support/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "what the tests stand on; some of it serves here, too")]
mod support;
mod table;

use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use rustix::process::setpriority_process;

use crowd::{ARRIVAL, CLIENTS, Outcome};
use probe::Probe;
use situation::Situation;
use support::broker::{log_folder, target_folder};
use support::{Ctx, Protocol, Way, brokers};
use table::{Row, Times};

/// How often each situation is measured, unless told otherwise.
const ROUNDS: usize = 3;
/// How long the probe measures while nobody comes, before and after.
const IDLE: Duration = Duration::from_secs(4);

/// What is asked for on the command line; what it does not mention is measured, too.
struct Choice {
    words: Vec<String>,
    rounds: usize,
    /// In what time the clients come.
    arrival: Duration,
}

impl Choice {
    fn read() -> Self {
        // Cargo adds `--bench`.
        let words: Vec<_> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
        let rounds = words.iter().find_map(|word| word.strip_prefix("rounds=")?.parse().ok()).unwrap_or(ROUNDS);
        let arrival = words.iter().find_map(|word| word.strip_prefix("arrival=")?.parse().ok());
        let arrival = arrival.map_or(ARRIVAL, Duration::from_secs);
        Self { words: words.into_iter().filter(|word| !word.contains('=')).collect(), rounds, arrival }
    }

    /// Whether this one of several is to be measured: all are if none is named.
    fn has(&self, one: &str, all: &[&str]) -> bool {
        let named: Vec<_> = self.words.iter().filter(|word| all.contains(&word.as_str())).collect();
        named.is_empty() || named.iter().any(|word| *word == one)
    }
}

fn main() -> ExitCode {
    let choice = Choice::read();
    let versions = match brokers::read(&target_folder().join("brokers/brokers.json")) {
        Ok(versions) => versions,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    let plugin = target_folder().join("release/libmosquitto_ace.so");
    let Ok(plugin) = fs::canonicalize(&plugin) else {
        eprintln!("{}: run `cargo build --release` first", plugin.display());
        return ExitCode::FAILURE;
    };
    fs::create_dir_all(log_folder()).expect("a folder for the logs");
    go_first();
    table::head();
    let numbers: Vec<_> = versions.iter().map(|version| version.number.as_str()).collect();
    for version in versions.iter().filter(|version| choice.has(&version.number, &numbers)) {
        let ctx = Ctx { version: version.clone(), plugin: plugin.clone(), name: "slow_server" };
        for (way, name) in [(Way::Challenge, "v5"), (Way::UserName(Protocol::V311), "v311")] {
            // Only from 2.1 on a broker can let a client of MQTT 3.1.1 wait without waiting itself.
            let is_possible = way == Way::Challenge || version.number.starts_with("2.1");
            if !is_possible || !choice.has(name, &["v5", "v311"]) {
                continue;
            }
            for situation in Situation::ALL {
                if choice.has(situation.name(), &Situation::ALL.map(Situation::name)) {
                    measure(&ctx, way, name, situation, &choice).print();
                }
            }
        }
    }
    ExitCode::SUCCESS
}

/// Has the probe, and the brokers that this thread starts, go before other work on the machine, where that is allowed: to root.
fn go_first() {
    let _ = setpriority_process(None, -10);
}

/// All rounds of one situation with one broker.
fn measure(ctx: &Ctx, way: Way, way_name: &'static str, situation: Situation, choice: &Choice) -> Row {
    let stage = situation.stage(ctx);
    let mut probe = Probe::enter(&stage.broker);
    let mut row = Row::new(&ctx.version.number, way_name, situation.name());
    for round in 0..choice.rounds {
        let mut idle = Times::default();
        probe.run_for(IDLE, &mut idle);
        let (mut loaded, start) = (Times::default(), Instant::now());
        let crowd = stage.crowd(way, round, choice.arrival);
        probe.run_until(|| crowd.is_settled(), &mut loaded);
        let lasted = start.elapsed();
        let outcomes = crowd.leave();
        assert_eq!(outcomes.len(), CLIENTS);
        probe.settle();
        probe.run_for(IDLE, &mut idle);
        row.add(idle, loaded, &outcomes, lasted);
    }
    row.asked = stage.asked();
    row
}

impl Outcome {
    /// How many of these there are.
    fn count(self, among: &[Self]) -> usize {
        among.iter().filter(|outcome| **outcome == self).count()
    }
}
