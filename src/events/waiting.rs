//! Tokens that cannot be judged yet, and the attempts that wait for them:
//! docs/decisions/0016-attempts-that-wait-for-a-server.md.
//!
//! An attempt waits without the broker's thread where there is a way: a challenge has gone out and its answer is held back
//! (`challenges.rs`), the broker has put the authentication off (`delayed.rs`), or a token from the `authz-info` topic has nobody
//! who waits for it (`arriving.rs`). Elsewhere the thread waits, within a budget, or the client is told to come again.

use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use ace_profile::proof::ConfirmationKey;
use ace_profile::token::{EarlierKey, ValidatedToken};
use ace_profile::{Fingerprint, Refusal, Timestamp};
use ace_resource_server::Reason;
use ace_resource_server::config::WhenUnknown;
use ace_resource_server::remote::{Inquiry, Judgement, Progress};
use ace_resource_server::rights::Origin;
use zeroize::Zeroizing;

use super::admission::{About, Refused};
use crate::broker::clock;
use crate::plugin::Plugin;
use crate::state::NotSeen;

/// How often a token is judged in one attempt: its key has to be fetched, then its server to be asked, and one to spare.
const JUDGEMENTS_MAX: u8 = 3;
/// How long a token may be without a judgement, whatever becomes of its inquiries: longer than they can take.
const PENDING_MAX: Duration = Duration::from_secs(120);
/// How often the broker's thread looks for an answer while it waits.
const LOOK: Duration = Duration::from_millis(1);
/// How often attempts that wait are looked at, at most.
const LOOK_AT_ATTEMPTS: Duration = Duration::from_millis(4);
/// One part of the time that the broker's thread may spend waiting.
const WAITING_SHARE: u32 = 10;

/// What is known of a token.
pub(super) enum Judged {
    /// It is good.
    Good(Box<ValidatedToken>),
    /// That is being found out.
    Later(Pending),
}

/// A token that cannot be judged yet.
pub(super) struct Pending {
    text: Zeroizing<Box<[u8]>>,
    inquiry: Box<Inquiry>,
    judgements: u8,
    begun: Instant,
}

impl Pending {
    /// The token's trace for the log.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.text)
    }
}

/// How long the broker's thread may still wait for answers.
///
/// What it is allowed grows by a tenth of the time that passes, up to the longest wait. A wait may use up more than there is;
/// then there is no other one until that has been made up for.
#[derive(Debug)]
pub struct Allowance {
    /// What is left, and what has been used up beyond that.
    left: Duration,
    debt: Duration,
    counted: Instant,
}

impl Allowance {
    /// The whole of it.
    pub fn new(now: Instant) -> Self {
        Self { left: Duration::MAX, debt: Duration::ZERO, counted: now }
    }

    /// Whether there is anything left, given how long a wait may be.
    fn has_some(&mut self, longest: Duration, now: Instant) -> bool {
        let grown = now.saturating_duration_since(self.counted) / WAITING_SHARE;
        self.counted = now;
        let paid = grown.min(self.debt);
        self.debt -= paid;
        self.left = self.left.saturating_add(grown - paid).min(longest);
        !self.left.is_zero()
    }

    /// Notes a wait.
    fn spend(&mut self, waited: Duration) {
        self.debt = self.debt.saturating_add(waited.saturating_sub(self.left));
        self.left = self.left.saturating_sub(waited);
    }
}

impl Plugin {
    /// Judges a token, its expiry and revocation included, as far as is known now.
    pub(super) fn judge(&self, token: &[u8]) -> Result<Judged, Refused> {
        let about = Fingerprint::of(token);
        Ok(match self.judgement(token).about(about)? {
            Judgement::Good(token) => Judged::Good(token),
            Judgement::Needs(inquiry) => {
                let text = Zeroizing::new(token.into());
                Judged::Later(Pending { text, inquiry: Box::new(inquiry), judgements: 1, begun: Instant::now() })
            }
        })
    }

    /// The same for a token that was judged before, and is held since. If only its server can tell, that is asked again.
    pub(super) fn judge_again(&self, token: &ValidatedToken) -> Result<Judged, Refused> {
        match &token.asked_with {
            Some(asked_with) => self.judge(asked_with.sent()),
            None => Ok(Judged::Good(Box::new(token.clone()))),
        }
    }

    fn judgement(&self, token: &[u8]) -> Result<Judgement, Reason> {
        let now = clock::now();
        let earlier = |name: &EarlierKey<'_>| -> Option<ConfirmationKey> { self.held.borrow().earlier_key(name, now) };
        let validator = Rc::clone(&self.validator.borrow());
        let mut judgement = self.remote.borrow_mut().judge(&validator, token, now, earlier)?;
        if let Judgement::Good(token) = &mut judgement {
            if self.remote.borrow().has_revoked(&Origin::of(token)) {
                return Err(Reason::Revoked);
            }
            self.end_by_first_sight(token, now)?;
        }
        Ok(judgement)
    }

    /// Gives a token with a relative lifetime the end that it has had since it was first seen (RFC 9200 §5.10.3).
    fn end_by_first_sight(&self, token: &mut ValidatedToken, now: Timestamp) -> Result<(), Reason> {
        let Some(sight) = &token.first_sight else { return Ok(()) };
        // A folder that was configured by a reload is not used yet.
        let state = self.state.as_ref().ok_or(Refusal::ExpiryRelative)?;
        let end = state.see(&token.issuer, sight, now).map_err(|reason| match reason {
            NotSeen::Ended => Reason::from(Refusal::TokenExpired),
            NotSeen::Full => Reason::FirstSeenFull,
        })?;
        token.expires = Some(token.expires.map_or(end, |expires| expires.min(end)));
        Ok(())
    }

    /// What has become of a token; `None` as long as nothing has.
    pub(super) fn settle(&self, pending: &mut Pending) -> Option<Result<Box<ValidatedToken>, Refused>> {
        let progress = self.remote.borrow().progress(&pending.inquiry);
        let outcome = match progress {
            Progress::UnderWay if pending.begun.elapsed() < PENDING_MAX => return None,
            // Each inquiry has its time. This is for those that nobody remembers any more.
            Progress::UnderWay => Err(Reason::ServerUnavailable),
            Progress::Failed => Err(Reason::ServerUnavailable),
            Progress::Settled => match self.judgement(&pending.text) {
                Ok(Judgement::Good(token)) => Ok(token),
                Ok(Judgement::Needs(inquiry)) if pending.judgements < JUDGEMENTS_MAX => {
                    pending.judgements += 1;
                    *pending.inquiry = inquiry;
                    return None;
                }
                Ok(Judgement::Needs(_)) => Err(Reason::ServerUnavailable),
                Err(reason) => Err(reason),
            },
        };
        Some(outcome.about(pending.fingerprint()))
    }

    /// Judges a token where the client cannot be made to wait: the broker's thread does, or the client is told to come again.
    pub(super) fn judge_now(&self, token: &[u8]) -> Result<Box<ValidatedToken>, Refused> {
        match self.judge(token)? {
            Judged::Good(token) => Ok(token),
            Judged::Later(pending) => self.wait_for(pending),
        }
    }

    /// Waits for a token's judgement on the broker's thread, if that is configured and within the allowance. Otherwise it is
    /// unavailable: what has been asked is answered meanwhile, and found when the client comes again.
    pub(super) fn wait_for(&self, mut pending: Pending) -> Result<Box<ValidatedToken>, Refused> {
        let WhenUnknown::Wait { longest } = self.configuration().when_unknown else {
            return Err(Reason::ServerUnavailable).about(pending.fingerprint());
        };
        let begun = Instant::now();
        if !self.allowance.borrow_mut().has_some(longest, begun) {
            return Err(Reason::ServerUnavailable).about(pending.fingerprint());
        }
        let outcome = loop {
            let now = Instant::now();
            self.follow_remote(now);
            if let Some(outcome) = self.settle(&mut pending) {
                break outcome;
            }
            if now.duration_since(begun) >= longest || !self.remote.borrow().has_begun(&pending.inquiry) {
                break Err(Reason::ServerUnavailable).about(pending.fingerprint());
            }
            thread::sleep(LOOK);
        };
        self.allowance.borrow_mut().spend(begun.elapsed());
        outcome
    }

    /// Whether the broker raises `TICK`, in which what waits is looked at. Mosquitto 2.0.11 does not with `per_listener_settings`; all
    /// others have done so before the first client can have sent anything.
    pub(super) fn has_ticks(&self) -> bool {
        self.broker.is_2_1() || self.turn.get() > 0
    }

    /// Takes up what servers have answered where no `TICK` does.
    pub(super) fn follow_remote_without_ticks(&self) {
        if !self.has_ticks() {
            self.follow_remote(Instant::now());
            self.tell_metrics(Instant::now());
        }
    }

    /// Looks at the attempts that wait.
    pub(super) fn follow_attempts(&self, now: Instant) {
        let looked = self.attempts_looked_at.get();
        if looked.is_some_and(|looked| now.saturating_duration_since(looked) < LOOK_AT_ATTEMPTS) {
            return;
        }
        self.attempts_looked_at.set(Some(now));
        self.follow_challenges();
        self.follow_delayed();
        self.follow_arriving();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(2);

    #[test]
    fn a_wait_that_uses_everything_up_is_paid_for() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        assert!(allowance.has_some(LONGEST, start));
        allowance.spend(LONGEST);
        assert!(!allowance.has_some(LONGEST, start));
        let later = start + Duration::from_millis(20);
        assert!(allowance.has_some(LONGEST, later), "it grows by a tenth");
        allowance.spend(LONGEST);
        // All but two milliseconds of it are owed.
        assert!(!allowance.has_some(LONGEST, later + Duration::from_millis(19_980)));
        assert!(allowance.has_some(LONGEST, later + Duration::from_millis(20_000)));
    }

    #[test]
    fn short_waits_go_on_and_on() {
        let mut now = Instant::now();
        let mut allowance = Allowance::new(now);
        for _ in 0..1000 {
            assert!(allowance.has_some(LONGEST, now));
            allowance.spend(Duration::from_millis(5));
            now += Duration::from_millis(55);
        }
    }

    #[test]
    fn an_idle_day_does_not_save_up_a_day() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let later = start + Duration::from_secs(24 * 3600);
        assert!(allowance.has_some(LONGEST, later));
        allowance.spend(LONGEST);
        assert!(!allowance.has_some(LONGEST, later));
    }
}
