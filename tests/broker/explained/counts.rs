//! What has been compared in the whole run, what has agreed, and what was left out and why: so that it cannot quietly become nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ace_profile::Refusal;
use ace_resource_server::Reason;
use ace_resource_server::explain::{Dependency, Outcome, Verdict};

use super::broker_log::{Said, Spoken};

/// How a verdict of a broker's is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Let in: explain has to say that the client is, if its proof is right.
    Admitted,
    /// Refused for what token and configuration say: the code has to be the same.
    Token,
    /// Refused for the proof, or for what is under it: the token was good.
    Proof,
    /// Refused since a server could not be asked, or its answers had no room: explain has to depend on a server.
    Server,
}

/// What cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// The line names no token: none was brought, or it was refused before it was looked at.
    NoToken,
    /// Another program than the suite's client has sent the token, so that the suite does not have it.
    TokenNotSeen,
    /// The reason is about neither token nor proof: rates, room, memory.
    NotOfToken,
    /// The listeners have configurations of their own, and the log does not tell which.
    SeveralConfigurations,
    /// A client that came in by something else than a token that it sent, or whose token another may have replaced since.
    SessionWithoutToken,
    /// More requests than are asked about in one case.
    MoreOfTheSame,
}

/// Refusals of a good token.
const PROOF: &[&str] = &[
    "proof-missing",
    "proof-length",
    "proof-wrong",
    "proof-without-key",
    "shown-key-missing",
    "shown-key-mismatch",
    "draft00-client-id",
    "draft00-outside-window",
    "draft00-before-start",
    "draft00-replayed",
    "replay-cache-full",
    "connection-gone",
    "exporter-resumed",
    "exporter-no-extended-master-secret",
    "exporter-used",
    "exporter-unavailable",
    "exporter-without-tls",
    "challenge-other-connection",
    "challenge-missing",
    "client-id-busy",
    "challenge-answer-truncated",
    "challenge-answer-too-long",
    "identity-changed",
    "nothing-to-renew",
    "certificate-mismatch",
    "psk-key-not-symmetric",
    "psk-key-too-long",
    "authz-info-bearer",
    "authz-info-full",
];
const SERVER: &[&str] = &["server-unavailable", "introspection-full"];
/// What is about the broker's own state alone.
const BROKER: &[&str] = &["resources", "first-seen-full", "authz-info-rate", "authz-info-rate-total"];

#[derive(Default)]
struct Counts {
    /// Of each class: how many agreed, and how many of those with only one possible answer.
    verdicts: BTreeMap<Class, (usize, usize)>,
    /// How many agreed by naming what it depends on.
    depending: BTreeMap<&'static str, usize>,
    allowed: (usize, usize),
    denied: (usize, usize),
    programs: usize,
    took: Duration,
    left_out: BTreeMap<LeftOut, usize>,
    wrong: usize,
}

static COUNTS: Mutex<Option<Counts>> = Mutex::new(None);

fn counted<T>(count: impl FnOnce(&mut Counts) -> T) -> T {
    count(COUNTS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

impl Class {
    /// The class of what a broker has said; `None` if it is not about the token.
    pub fn of(said: &Said) -> Option<Self> {
        match said {
            Said::Admitted | Said::Taken => Some(Self::Admitted),
            Said::Refused(code) if PROOF.contains(&code.as_str()) => Some(Self::Proof),
            Said::Refused(code) if SERVER.contains(&code.as_str()) => Some(Self::Server),
            Said::Refused(code) if BROKER.contains(&code.as_str()) => None,
            Said::Refused(_) => Some(Self::Token),
        }
    }

    /// Whether explain says what the broker has said; `None` if it says that this depends on what may have been so.
    pub fn agrees(self, said: &Said, verdict: &Verdict) -> Option<bool> {
        if let (Self::Server, Verdict::Depends(on)) = (self, verdict) {
            let is_server = |on: &Dependency| matches!(on, Dependency::Introspection { .. } | Dependency::Keys { .. });
            return Some(on.iter().any(is_server));
        }
        if let Verdict::Depends(on) = verdict {
            return on.iter().all(|on| may_be(self, said, on)).then_some(()).map_or(Some(false), |()| None);
        }
        Some(match (self, said, verdict) {
            (Self::Admitted | Self::Proof, _, Verdict::Admitted) => true,
            (Self::Token, Said::Refused(code), Verdict::Refused(reason)) => reason.code() == code,
            _ => false,
        })
    }
}

/// Whether the broker can have said that, depending on this.
fn may_be(class: Class, said: &Said, on: &Dependency) -> bool {
    let Said::Refused(code) = said else { return true };
    match on {
        _ if class == Class::Proof => true,
        Dependency::Introspection { .. } | Dependency::Keys { .. } => {
            class == Class::Server || Refusal::CODES.contains(&code.as_str()) || code == Reason::Revoked.code()
        }
        Dependency::Revocation { .. } => code == Reason::Revoked.code(),
        Dependency::FirstSight(_) => code == Refusal::TokenExpired.code(),
        Dependency::EarlierToken { .. } => code == "confirmation-key-unknown",
        Dependency::ClientId => false,
    }
}

fn name(on: &[Dependency]) -> &'static str {
    match on.first() {
        Some(Dependency::Introspection { .. }) => "what a server says of the token",
        Some(Dependency::Keys { .. }) => "a server's keys",
        Some(Dependency::Revocation { .. }) => "a revocation list",
        Some(Dependency::FirstSight(_)) => "when the token was first seen",
        Some(Dependency::EarlierToken { .. }) => "an earlier token",
        Some(Dependency::ClientId) | None => "something else",
    }
}

/// Counts a verdict. `outcomes` is what explain says, in the order in which it is to be preferred.
pub fn verdict(class: Class, said: &Spoken, outcomes: &[Verdict]) -> Result<(), String> {
    let agreeing = outcomes.iter().any(|verdict| class.agrees(&said.said, verdict) == Some(true));
    let depending = outcomes.iter().find_map(|verdict| match verdict {
        Verdict::Depends(on) if class.agrees(&said.said, verdict).is_none() => Some(name(on)),
        _ => None,
    });
    counted(|counts| {
        if agreeing {
            let is_exact = outcomes.iter().all(|verdict| class.agrees(&said.said, verdict) == Some(true));
            let (agreed, exact) = counts.verdicts.entry(class).or_default();
            *agreed += 1;
            *exact += usize::from(is_exact);
            return Ok(());
        }
        if let Some(on) = depending {
            *counts.depending.entry(on).or_default() += 1;
            return Ok(());
        }
        counts.wrong += 1;
        Err(format!("the broker said {said:?}, and explain says {outcomes:?}"))
    })
}

/// Counts a request.
pub fn request(what: &str, is_allowed: bool, outcomes: &[Outcome]) -> Result<(), String> {
    let agrees = |outcome: &Outcome| match outcome {
        Outcome::Allowed(_) => Some(is_allowed),
        Outcome::Denied { .. } | Outcome::NotAdmitted => Some(!is_allowed),
        Outcome::TakesTokens | Outcome::Unknown => None,
    };
    counted(|counts| {
        if outcomes.iter().any(|outcome| agrees(outcome) == Some(true)) {
            let is_exact = outcomes.iter().all(|outcome| agrees(outcome) == Some(true));
            let (agreed, exact) = if is_allowed { &mut counts.allowed } else { &mut counts.denied };
            *agreed += 1;
            *exact += usize::from(is_exact);
            return Ok(());
        }
        if outcomes.iter().any(|outcome| agrees(outcome).is_none()) {
            *counts.depending.entry("a request").or_default() += 1;
            return Ok(());
        }
        counts.wrong += 1;
        let was = if is_allowed { "allowed" } else { "denied" };
        Err(format!("{what} was {was} by the broker, and explain says {outcomes:?}"))
    })
}

/// Counts a run of the program itself.
pub fn program() {
    counted(|counts| counts.programs += 1);
}

/// Counts the time that comparing takes, on whatever thread.
pub fn took(time: Duration) {
    counted(|counts| counts.took += time);
}

/// Counts what cannot be compared.
pub fn leave_out(why: LeftOut, how_many: usize) {
    counted(|counts| *counts.left_out.entry(why).or_default() += how_many);
}

/// Says what has been compared.
pub fn print() {
    counted(|counts| {
        println!("\nasked of explain as well as of the brokers:");
        for (class, (agreed, exact)) in &counts.verdicts {
            println!("  verdicts, {class:?}: {agreed} agreed, {exact} of them at any moment that can have been meant");
        }
        println!("  requests allowed: {} agreed, {} of them at any such moment", counts.allowed.0, counts.allowed.1);
        println!("  requests denied: {} agreed, {} of them at any such moment", counts.denied.0, counts.denied.1);
        for (on, count) in &counts.depending {
            println!("  depending on {on}: {count}");
        }
        println!("  by the program itself: {}", counts.programs);
        for (why, count) in &counts.left_out {
            println!("  left out, {why:?}: {count}");
        }
        println!(
            "  disagreed: {}; all this took {:.1} s of the threads' time",
            counts.wrong,
            counts.took.as_secs_f64()
        );
    });
}

/// The least that a whole run on one version of the broker compares.
struct Floor {
    admitted: usize,
    token: usize,
    proof: usize,
    allowed: usize,
    denied: usize,
    programs: usize,
}

const FLOOR: Floor = Floor { admitted: 400, token: 150, proof: 50, allowed: 300, denied: 50, programs: 10 };

/// Checks that a whole run on so many versions has compared what it should.
pub fn require(versions: usize) -> Result<(), String> {
    counted(|counts| {
        let of = |class: Class| counts.verdicts.get(&class).map_or(0, |(_, exact)| *exact);
        let found = [
            ("admitted", of(Class::Admitted), FLOOR.admitted),
            ("refused for the token", of(Class::Token), FLOOR.token),
            ("refused for the proof", of(Class::Proof), FLOOR.proof),
            ("allowed", counts.allowed.1, FLOOR.allowed),
            ("denied", counts.denied.1, FLOOR.denied),
            ("by the program", counts.programs, FLOOR.programs),
        ];
        let missing: Vec<String> = found
            .iter()
            .filter(|(_, count, least)| *count < least * versions)
            .map(|(what, count, least)| format!("{what}: {count}, less than {}", least * versions))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("too little was compared: {}", missing.join("; "))) }
    })
}
