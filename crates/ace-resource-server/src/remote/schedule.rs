//! When to ask a server again.

use std::time::{Duration, Instant};

/// The pause after the first failure; it doubles with each further one, up to the usual interval.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The pause when all threads and the queue in front of them are taken.
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// One request after the other, at an interval.
#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    due: Instant,
    is_under_way: bool,
    failures: u32,
}

impl Schedule {
    /// The first request is due now.
    pub(super) const fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, due: now, is_under_way: false, failures: 0 }
    }

    /// Whether to ask now. If so, the request counts as under way.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let begins = !self.is_under_way && now >= self.due;
        self.is_under_way |= begins;
        begins
    }

    /// The request could not be handed over.
    pub(super) fn put_off(&mut self, now: Instant) {
        self.is_under_way = false;
        self.due = now + BUSY_PAUSE;
    }

    /// The request has been answered; where there is more, the next one is due at once.
    pub(super) fn succeeded(&mut self, ask_again: bool, now: Instant) {
        self.is_under_way = false;
        self.failures = 0;
        self.due = if ask_again { now } else { now + self.interval };
    }

    /// The request has been answered; the next one is due after this time instead of the interval.
    pub(super) fn succeeded_for(&mut self, time: Duration, now: Instant) {
        self.succeeded(false, now);
        self.due = now + time;
    }

    /// The next request is due now, unless one is under way.
    pub(super) fn hasten(&mut self, now: Instant) {
        self.due = self.due.min(now);
    }

    /// The next request is due after this time, if not later.
    pub(super) fn put_off_for(&mut self, pause: Duration, now: Instant) {
        self.due = self.due.max(now + pause);
    }

    /// Whether a request is under way.
    pub(super) const fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// The request has failed. Whether it is the first in a row.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.is_under_way = false;
        let pause = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.due = now + pause.min(self.interval);
        self.failures = self.failures.saturating_add(1);
        self.failures == 1
    }

    /// Whether the last request has failed.
    pub(super) const fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    #[test]
    fn one_request_at_a_time_at_the_interval() {
        let start = Instant::now();
        let mut schedule = Schedule::new(INTERVAL, start);
        assert!(schedule.begin(start));
        assert!(!schedule.begin(start + INTERVAL * 10), "one is under way");
        let answered = start + Duration::from_secs(2);
        schedule.succeeded(false, answered);
        assert!(!schedule.begin(answered + INTERVAL - Duration::from_millis(1)));
        assert!(schedule.begin(answered + INTERVAL));
        schedule.succeeded(true, answered + INTERVAL);
        assert!(schedule.begin(answered + INTERVAL), "there is more");
        schedule.put_off(start);
        assert!(!schedule.begin(start));
        assert!(schedule.begin(start + BUSY_PAUSE));
    }

    #[test]
    fn after_failures_the_pause_doubles_up_to_the_interval() {
        let mut now = Instant::now();
        let mut schedule = Schedule::new(INTERVAL, now);
        let mut pauses = Vec::new();
        for number in 0..80 {
            assert!(schedule.begin(now));
            assert_eq!(schedule.failed(now), number == 0);
            assert!(schedule.is_failing());
            pauses.push(schedule.due - now);
            now = schedule.due;
        }
        assert_eq!(pauses[..4], [500, 1000, 2000, 4000].map(Duration::from_millis));
        assert!(pauses[6..].iter().all(|pause| *pause == INTERVAL));
        assert!(schedule.begin(now));
        schedule.succeeded(false, now);
        assert!(!schedule.is_failing());
    }
}
