//! What is told of clients: counted, and written to the log where that still has room for it (`refusal_log.rs`).

use std::ffi::CStr;
use std::time::Instant;

use ace_profile::{Fingerprint, Refusal};
use ace_resource_server::Reason;
use ace_resource_server::rights::Denial;

use super::admission::Refused;
use crate::broker::{Client, Level, Verdict};
use crate::metrics::{End, Outcome, WayIn, Wish};
use crate::plugin::Plugin;
use crate::refusal_log::LeftOut;
use crate::report;

impl Plugin {
    /// Counts what has become of a client that came this way. One whose attempt goes on is counted when it is over.
    pub(super) fn count_connection(&self, way: WayIn, outcome: &Result<Verdict, Refused>) {
        let outcome = match outcome {
            Ok(Verdict::Allow) => Outcome::Admitted,
            Ok(Verdict::Defer) => Outcome::Deferred,
            Err(_) => Outcome::Refused,
            Ok(_) => return,
        };
        self.counters.connection(way, outcome);
    }

    /// A client is refused.
    pub(super) fn refused(&self, client: &Client<'_>, reason: &Reason, token: Option<Fingerprint>) {
        self.counters.refusals.count(reason.code());
        if self.refusal_log.borrow_mut().may_tell(client, Instant::now()) {
            report::refused(&self.broker, client, reason, token);
        }
    }

    /// A token that a client has published is not taken. `is_told` is whether the log is to have a line about it.
    pub(super) fn published_token_refused(
        &self,
        client: &Client<'_>,
        reason: &Reason,
        token: Option<Fingerprint>,
        is_told: bool,
    ) {
        self.counters.token_refusals.count(reason.code());
        if is_told && self.refusal_log.borrow_mut().may_tell(client, Instant::now()) {
            report::token_refused(&self.broker, client, reason, token);
        }
    }

    /// The same, when that has turned out later.
    pub(super) fn late_token_refused(&self, client_id: &CStr, reason: &Reason, token: Option<Fingerprint>) {
        self.counters.token_refusals.count(reason.code());
        if self.refusal_log.borrow_mut().may_tell_late(client_id, Instant::now()) {
            report::late_token_refused(&self.broker, client_id, reason, token);
        }
    }

    /// A client is denied what nobody may, whatever its rights are.
    pub(super) fn denied(&self, client: &Client<'_>, wish: Wish, what: &str, topic: &[u8], denial: Denial) {
        self.counters.denial(wish, denial);
        self.tell_denied(client, what, topic, denial);
    }

    /// Tells of a denial that has been counted.
    pub(super) fn tell_denied(&self, client: &Client<'_>, what: &str, topic: &[u8], denial: Denial) {
        if self.refusal_log.borrow_mut().may_tell(client, Instant::now()) {
            report::denied(&self.broker, client, what, topic, denial.code());
        }
    }

    /// Tells of the lines that were left out in the minutes that are over.
    pub(super) fn tell_left_out(&self, now: Instant) {
        let told = self.refusal_log.borrow_mut().take_left_out(now);
        self.tell_sums(told);
    }

    /// Tells of all of them, at the end.
    pub(crate) fn tell_all_left_out(&self) {
        let told = self.refusal_log.borrow_mut().take_all_left_out(Instant::now());
        self.tell_sums(told);
    }

    fn tell_sums(&self, told: Vec<LeftOut>) {
        for left_out in told {
            let (lines, whom) = (left_out.lines, left_out.whom);
            let line = format!("ace: left out {lines} more lines about refusals of {whom}");
            self.broker.log(Level::Notice, &line);
        }
    }
}

/// Why a session ends whose token is not what it was.
pub(super) const fn end_for(reason: &Reason) -> End {
    match reason {
        Reason::Revoked => End::Revoked,
        Reason::Profile(Refusal::TokenInactive) => End::Inactive,
        Reason::ServerUnavailable => End::Unconfirmed,
        _ => End::Changed,
    }
}
