//! C5: a TLS 1.2 session without the extended master secret (RFC 7627), whose exporter value another session can share.
//!
//! The broker's own OpenSSL is told not to use it: for the plugin that is the same as a client that does not offer it.

use crate::support::case::cases;
use crate::support::device::EXPORTER_WAYS;
use crate::support::{Broker, Ctx, Setup, Way, tls};

cases! {
    Refuse "C5" c5_exporter_without_the_extended_master_secret_is_refused;
    Accept "C5" c5_challenge_without_the_extended_master_secret_is_answered;
    Accept "C5" c5_exporter_of_tls13_needs_no_extended_master_secret;
}

fn start(ctx: &Ctx) -> Broker {
    let mut setup = Setup::new();
    let lines = [
        "openssl_conf = all",
        "[all]",
        "ssl_conf = ssl",
        "[ssl]",
        "system_default = defaults",
        "[defaults]",
        "Options = -ExtendedMasterSecret",
    ];
    setup.openssl = Some(lines.join("\n") + "\n");
    setup.start(ctx)
}

fn c5_exporter_without_the_extended_master_secret_is_refused(ctx: &Ctx) {
    let mut broker = start(ctx);
    for way in EXPORTER_WAYS {
        let attempt = broker.device("sensor").attempt_over(broker.open_with(tls::tls12()), way);
        attempt.refused(&broker, "exporter-no-extended-master-secret");
    }
    broker.assert_alive();
}

/// It does not rest on the TLS session's secrets.
fn c5_challenge_without_the_extended_master_secret_is_answered(ctx: &Ctx) {
    let broker = start(ctx);
    let attempt = broker.device("sensor").attempt_over(broker.open_with(tls::tls12()), Way::Challenge);
    attempt.accepted().round_trip("dev/a");
}

fn c5_exporter_of_tls13_needs_no_extended_master_secret(ctx: &Ctx) {
    let broker = start(ctx);
    for way in EXPORTER_WAYS {
        broker.device("sensor").enter(&broker, way).round_trip("dev/a");
    }
}
