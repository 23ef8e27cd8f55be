//! Dated proofs that were accepted, remembered as long as they would be accepted again.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::SignedFields;
use crate::{Refusal, Timestamp, limits};

/// The memory that makes a dated proof good for one use. Bounded: when it is full, dated proofs are
/// refused until entries have outlived the window, so that no flood can make it forget.
#[derive(Debug)]
pub struct ReplayCache {
    window: Duration,
    not_before: Timestamp,
    capacity: usize,
    seen: HashSet<[u8; 32]>,
    by_time: BTreeSet<(Timestamp, [u8; 32])>,
}

impl ReplayCache {
    /// An empty memory.
    ///
    /// `window` is how far a proof's `ts` may lie from the broker's clock, in either direction. `not_before`
    /// is the time from which on accepted proofs are remembered, usually the plugin's start: a proof dated
    /// before it might have been used before, and is refused. A client whose clock is ahead can have dated
    /// a proof after a restart that came between; whoever wants to shut that out too hands in the start
    /// plus the window.
    #[must_use]
    pub fn new(window: Duration, not_before: Timestamp) -> Self {
        Self::with_capacity(window, not_before, limits::REPLAY_ENTRIES)
    }

    /// As [`ReplayCache::new`], for at most `capacity` proofs instead of [`limits::REPLAY_ENTRIES`].
    #[must_use]
    pub fn with_capacity(window: Duration, not_before: Timestamp, capacity: usize) -> Self {
        Self { window, not_before, capacity, seen: HashSet::new(), by_time: BTreeSet::new() }
    }

    /// Changes the window, for a new configuration. A longer one does not let proofs in again that the
    /// shorter one has made this memory forget: they are refused as if from before the start.
    pub fn set_window(&mut self, window: Duration, now: Timestamp) {
        if window > self.window {
            self.not_before = self.not_before.max(now.saturating_sub(self.window));
        }
        self.window = window;
    }

    /// Accepts a proof that has been checked, once, if it is recent enough.
    ///
    /// # Errors
    /// [`Refusal::Draft00OutsideWindow`], [`Refusal::Draft00BeforeStart`], [`Refusal::Draft00Replayed`],
    /// [`Refusal::ReplayCacheFull`]. Nothing is remembered then.
    pub fn insert(&mut self, fields: &SignedFields, now: Timestamp) -> Result<(), Refusal> {
        self.forget_expired(now);
        let (id, ts) = (fields.id(), fields.ts());
        if now.saturating_since(ts) > self.window || ts.saturating_since(now) > self.window {
            return Err(Refusal::Draft00OutsideWindow);
        }
        if ts < self.not_before {
            return Err(Refusal::Draft00BeforeStart);
        }
        if self.seen.contains(&id) {
            return Err(Refusal::Draft00Replayed);
        }
        if self.seen.len() >= self.capacity {
            return Err(Refusal::ReplayCacheFull);
        }
        self.seen.insert(id);
        self.by_time.insert((ts, id));
        Ok(())
    }

    /// How many proofs are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether no proof is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Drops what the window alone refuses by now.
    fn forget_expired(&mut self, now: Timestamp) {
        while let Some(&(ts, id)) = self.by_time.first() {
            if ts.saturating_add(self.window) >= now {
                return;
            }
            self.by_time.pop_first();
            self.seen.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ConfirmationKey, Freshness, ProofKey, draft00_message, verify_draft00};
    use super::*;
    use crate::jose::Jwk;

    const WINDOW: Duration = Duration::from_secs(60);
    const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(1_000_000 + seconds)
    }

    fn fields(client_id: &str, ts: u64) -> SignedFields {
        let key = Jwk::from_symmetric(&[9; 32]).unwrap();
        let freshness = Freshness { ts: 1_000_000 + ts, nonce: "AAECAwQFBgcICQoLDA0ODw".to_owned() };
        let message = draft00_message(client_id, "b", freshness.ts, &freshness.nonce);
        let proof = ProofKey::from_jwk(&key).unwrap().prove(&message).unwrap();
        let key = ConfirmationKey::from_jwk(&key).unwrap();
        verify_draft00(&key, client_id, &["b".to_owned()], &freshness, &proof).unwrap()
    }

    #[test]
    fn a_proof_is_good_once_for_the_whole_window() {
        let mut cache = ReplayCache::new(WINDOW, START);
        assert_eq!(cache.insert(&fields("c", 100), at(100)), Ok(()));
        for now in [100, 130, 160] {
            assert_eq!(cache.insert(&fields("c", 100), at(now)), Err(Refusal::Draft00Replayed), "{now}");
        }
        assert_eq!(cache.insert(&fields("c", 100), at(161)), Err(Refusal::Draft00OutsideWindow));
        assert!(cache.is_empty());
    }

    #[test]
    fn a_proof_from_a_clock_ahead_is_remembered_until_its_own_window_ends() {
        let mut cache = ReplayCache::new(WINDOW, START);
        assert_eq!(cache.insert(&fields("c", 160), at(100)), Ok(()));
        assert_eq!(cache.insert(&fields("c", 160), at(220)), Err(Refusal::Draft00Replayed));
        assert_eq!(cache.insert(&fields("c", 160), at(221)), Err(Refusal::Draft00OutsideWindow));
    }

    #[test]
    fn the_window_has_two_sides() {
        let mut cache = ReplayCache::new(WINDOW, START);
        assert_eq!(cache.insert(&fields("c", 39), at(100)), Err(Refusal::Draft00OutsideWindow));
        assert_eq!(cache.insert(&fields("c", 161), at(100)), Err(Refusal::Draft00OutsideWindow));
        assert_eq!(cache.insert(&fields("c", 40), at(100)), Ok(()));
    }

    #[test]
    fn what_may_have_been_used_before_the_start_is_refused() {
        let mut cache = ReplayCache::new(WINDOW, at(90));
        assert_eq!(cache.insert(&fields("c", 89), at(100)), Err(Refusal::Draft00BeforeStart));
        assert_eq!(cache.insert(&fields("c", 90), at(100)), Ok(()));
    }

    #[test]
    fn full_means_refuse_until_entries_expire() {
        let mut cache = ReplayCache::with_capacity(WINDOW, START, 2);
        assert_eq!(cache.insert(&fields("a", 100), at(100)), Ok(()));
        assert_eq!(cache.insert(&fields("b", 110), at(110)), Ok(()));
        assert_eq!(cache.insert(&fields("c", 120), at(120)), Err(Refusal::ReplayCacheFull));
        assert_eq!(cache.insert(&fields("a", 100), at(120)), Err(Refusal::Draft00Replayed));
        assert_eq!(cache.insert(&fields("c", 120), at(161)), Ok(()));
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn a_longer_window_does_not_bring_forgotten_proofs_back() {
        let mut cache = ReplayCache::new(Duration::from_secs(10), START);
        assert_eq!(cache.insert(&fields("c", 100), at(100)), Ok(()));
        assert_eq!(cache.insert(&fields("d", 111), at(111)), Ok(()));
        cache.set_window(WINDOW, at(112));
        assert_eq!(cache.insert(&fields("c", 100), at(113)), Err(Refusal::Draft00BeforeStart));
        assert_eq!(cache.insert(&fields("d", 111), at(113)), Err(Refusal::Draft00Replayed));
        assert_eq!(cache.insert(&fields("d", 111), at(171)), Err(Refusal::Draft00Replayed));
        assert_eq!(cache.insert(&fields("d", 111), at(172)), Err(Refusal::Draft00OutsideWindow));
    }
}
