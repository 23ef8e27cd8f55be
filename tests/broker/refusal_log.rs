//! How much of the log refusals take: few lines of whoever is refused again and again, and the sum of the others.

use crate::support::broker::free_port;
use crate::support::case::cases;
use crate::support::metrics::wait_for;
use crate::support::{Attempt, Broker, Connect, Ctx, Protocol, Setup, Way};

cases! {
    Accept "" refusal_log_has_few_lines_of_a_client_that_is_refused_again_and_again;
}

fn refuse(broker: &Broker, id: &str) {
    drop(Attempt::make(broker.open_plain(), &Connect::credentials(Protocol::V311, id, b"alice", b"secret")));
}

fn lines(broker: &Broker, id: &str) -> usize {
    let whom = format!("ace: refused client \"{id}\" at 127.0.0.1: token-missing: ");
    broker.log().lines().filter(|line| line.contains(&whom)).count()
}

fn refusal_log_has_few_lines_of_a_client_that_is_refused_again_and_again(ctx: &Ctx) {
    let port = free_port();
    let mut setup = Setup::new().plain_listener().metrics(&format!("listen = \"127.0.0.1:{port}\""));
    setup.refusals_per_minute = 3;
    let mut broker = setup.start(ctx);
    for _ in 0..200 {
        refuse(&broker, "stubborn");
    }
    // Others are told of, and let in.
    refuse(&broker, "other");
    broker.expect_refusal("other", "token-missing");
    broker.device("sensor").enter(&broker, Way::Exporter).round_trip("dev/a");
    assert_eq!((lines(&broker, "stubborn"), lines(&broker, "other")), (3, 1));
    let counted =
        wait_for(port, "the sum of all refusals", |it| it.of("refusals_total{code=\"token-missing\"}") == 201.0);
    assert_eq!(counted.of("log_lines_left_out_total{because=\"rate\"}"), 197.0);
    // A new configuration counts at once, and what was left out is told in the end at the latest.
    let mut unbounded = broker.setup().clone();
    unbounded.refusals_per_minute = 0;
    broker.reload(&unbounded);
    for _ in 0..10 {
        refuse(&broker, "stubborn");
    }
    wait_for(port, "ten more", |it| it.of("refusals_total{code=\"token-missing\"}") == 211.0);
    assert_eq!(lines(&broker, "stubborn"), 13);
    let log = broker.stop();
    let sum = "ace: left out 197 more lines about refusals of client \"stubborn\" at 127.0.0.1";
    assert_eq!(log.lines().filter(|line| line.contains(sum)).count(), 1, "{log}");
}
