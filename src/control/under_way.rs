//! Answers that are on their way: handed to the broker, which sends them when its loop begins its next turn.
//!
//! The broker sends an answer to whoever has the client id by then. In between, somebody else may connect under that id and take its place:
//! a client is let in under it only if it might be given answers itself.

use std::cell::RefCell;
use std::ffi::CStr;
use std::time::{Duration, Instant};

/// For how long an answer counts as being on its way, should no turn be seen to begin: Mosquitto 2.0.11 with `per_listener_settings`.
const LONGEST: Duration = Duration::from_secs(1);

/// To which clients, and since when.
#[derive(Debug, Default)]
pub struct UnderWay(RefCell<Vec<(Box<CStr>, Instant)>>);

impl UnderWay {
    /// Notes an answer to the client of this id.
    pub fn note(&self, client_id: &CStr, now: Instant) {
        let mut to = self.0.borrow_mut();
        to.retain(|(id, since)| **id != *client_id && now.saturating_duration_since(*since) < LONGEST);
        to.push((client_id.into(), now));
    }

    /// Whether there is one to the client of this id.
    #[must_use]
    pub fn is_to(&self, client_id: &CStr) -> bool {
        let to = self.0.borrow();
        !to.is_empty() && to.iter().any(|(id, since)| **id == *client_id && since.elapsed() < LONGEST)
    }

    /// A turn has begun: all of them have been sent.
    pub fn clear(&self) {
        if !self.0.borrow().is_empty() {
            self.0.borrow_mut().clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_under_way_until_the_next_turn() {
        let under_way = UnderWay::default();
        assert!(!under_way.is_to(c"a"));
        under_way.note(c"a", Instant::now());
        under_way.note(c"b", Instant::now());
        under_way.note(c"a", Instant::now());
        assert_eq!(under_way.0.borrow().len(), 2);
        assert!(under_way.is_to(c"a") && under_way.is_to(c"b") && !under_way.is_to(c"c"));
        under_way.clear();
        assert!(!under_way.is_to(c"a"));
    }

    #[test]
    fn without_turns_it_is_over_all_the_same() {
        let (under_way, long_ago) = (UnderWay::default(), Instant::now().checked_sub(LONGEST).unwrap());
        under_way.note(c"a", long_ago);
        assert!(!under_way.is_to(c"a"));
        under_way.note(c"b", Instant::now());
        assert_eq!(under_way.0.borrow().len(), 1, "the old one is thrown out");
    }
}
