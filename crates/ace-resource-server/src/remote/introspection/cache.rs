//! What servers have said about tokens, for as long as that counts, and within bounds.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ace_profile::revocation::TokenHash;
use ace_profile::token::AskedWith;
use zeroize::Zeroizing;

/// How much is known at most. Beyond either bound, what nobody rests on and what ends first is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheBounds {
    /// Of how many tokens, and
    pub tokens: usize,
    /// how many bytes that may take, about.
    pub bytes: usize,
}

impl Default for CacheBounds {
    fn default() -> Self {
        Self { tokens: 16_384, bytes: 16 * 1024 * 1024 }
    }
}

/// What an entry takes beside its texts: itself, its places in the tables with the room that they keep free, and what is lost between
/// blocks of memory. Measured: docs/performance.md.
const BYTES_PER_ENTRY: usize = 640;
/// The first pause after a failure to ask again; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What a server has said about a token.
pub(super) struct Said {
    /// Which server; for an inactive token nobody in particular.
    pub(super) issuer: Arc<str>,
    /// The answer, in which a key may stand in clear; `None` if the token is not active.
    pub(super) answer: Option<Zeroizing<Vec<u8>>>,
    /// When it was asked.
    pub(super) asked: Instant,
    /// Until when the answer counts.
    pub(super) ends: Instant,
    /// Whether that is because the token itself ends then.
    pub(super) ends_with_token: bool,
}

struct Entry {
    said: Said,
    /// With what to ask again, and when. Only while somebody rests on it.
    again: Option<Again>,
    lease: Weak<LeaseInner>,
    /// Whether it still counts for those who rest on it, and for nobody else.
    is_stale: bool,
    bytes: usize,
}

struct Again {
    with: AskedWith,
    /// `None` while that is under way, and when it would come too late.
    due: Option<Instant>,
    failures: u32,
}

/// What rests on a server's answer about a token has one of these: while it lives, the server is asked again before the answer runs
/// out.
#[derive(Debug, Clone)]
pub struct Lease(Rc<LeaseInner>);

#[derive(Debug)]
struct LeaseInner {
    token: TokenHash,
    released: Released,
}

/// The tokens whose last lease has gone since we last looked.
type Released = Rc<RefCell<Vec<TokenHash>>>;

impl Lease {
    /// Which token it is about.
    #[must_use]
    pub fn token(&self) -> TokenHash {
        self.0.token
    }
}

impl Drop for LeaseInner {
    fn drop(&mut self) {
        self.released.borrow_mut().push(self.token);
    }
}

/// What follows from something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consequence {
    /// Nothing.
    Nothing,
    /// What somebody rests on is no longer what it was.
    Changed,
    /// What somebody rests on has gone.
    Ended,
    /// There is no room: nothing was taken up, and what was known of the token is forgotten.
    NoRoom {
        /// Whether somebody rested on that.
        leased: bool,
    },
}

type Ends = BTreeSet<(Instant, TokenHash)>;

/// All that is known. Each entry stands in one of `free` and `leased`, by when it ends.
#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<TokenHash, Box<Entry>>,
    free: Ends,
    leased: Ends,
    due: Ends,
    bytes: usize,
    leased_bytes: usize,
    bounds: CacheBounds,
    released: Released,
    evicted: u64,
}

impl Cache {
    /// Knows that much from now on.
    pub(super) fn set_bounds(&mut self, bounds: CacheBounds) {
        self.bounds = bounds;
        self.take_back();
        self.make_room(0, 0);
    }

    /// Of how many tokens something is known.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes that takes, about.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many were forgotten for want of room.
    pub(super) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Whether something new could be taken up: not everything that is known is rested on.
    pub(super) fn has_room(&mut self, bytes: usize) -> bool {
        self.take_back();
        self.leased.len() < self.bounds.tokens && self.leased_bytes + BYTES_PER_ENTRY + bytes <= self.bounds.bytes
    }

    /// What is known of a token and still counts.
    pub(super) fn get(&self, token: TokenHash, now: Instant) -> Option<&Said> {
        let entry = self.entries.get(&token).filter(|entry| !entry.is_stale)?;
        Some(&entry.said).filter(|said| now < said.ends)
    }

    /// Takes up what a server has said, in place of what was known before.
    pub(super) fn put(&mut self, token: TokenHash, said: Said, spread: Duration) -> Consequence {
        self.take_back();
        let before = self.remove(token);
        let lease = before.as_ref().map(|entry| Weak::clone(&entry.lease)).unwrap_or_default();
        let (is_leased, is_active) = (lease.strong_count() > 0, said.answer.is_some());
        let (mut again, mut consequence) = (None, Consequence::Nothing);
        if is_leased {
            let same = before.as_ref().is_some_and(|entry| entry.said.answer == said.answer);
            consequence = match (is_active, same) {
                (false, _) => Consequence::Ended,
                (true, true) => Consequence::Nothing,
                (true, false) => Consequence::Changed,
            };
            let with = before.and_then(|entry| entry.again).map(|again| again.with);
            let due = (said.asked + spread < said.ends).then_some(said.asked + spread);
            again = with.filter(|_| is_active).map(|with| Again { with, due, failures: 0 });
        }
        let bytes = BYTES_PER_ENTRY
            + said.answer.as_ref().map_or(0, |answer| answer.capacity())
            + again.as_ref().map_or(0, |again| again.with.sent().len());
        if !self.make_room(1, bytes) {
            return Consequence::NoRoom { leased: is_leased };
        }
        // Nobody rests on a token that is not active: who did, is told.
        let lease = if is_active { lease } else { Weak::new() };
        self.insert(token, Box::new(Entry { said, again, lease, is_stale: false, bytes }));
        consequence
    }

    /// A lease on what is known of a token, which has to be active. `spread` after it was asked, it is asked again.
    pub(super) fn lease(
        &mut self,
        with: &AskedWith,
        now: Instant,
        spread: impl FnOnce(&str) -> Duration,
    ) -> Option<Lease> {
        self.take_back();
        let token = with.token();
        self.get(token, now).filter(|said| said.answer.is_some())?;
        if let Some(lease) = self.entries.get(&token).and_then(|entry| entry.lease.upgrade()) {
            return Some(Lease(lease));
        }
        let mut entry = self.remove(token)?;
        let lease = Rc::new(LeaseInner { token, released: Rc::clone(&self.released) });
        entry.lease = Rc::downgrade(&lease);
        let due = (entry.said.asked + spread(&entry.said.issuer)).max(now);
        entry.again = Some(Again { with: with.clone(), due: (due < entry.said.ends).then_some(due), failures: 0 });
        entry.bytes += with.sent().len();
        let room = self.make_room(1, entry.bytes);
        self.insert(token, entry);
        if !room {
            // The lease goes, and with it what made it too much.
            drop(lease);
            self.take_back();
            return None;
        }
        Some(Lease(lease))
    }

    /// A leased token as it was sent.
    pub(super) fn asked_with(&self, token: TokenHash) -> Option<AskedWith> {
        self.entries.get(&token)?.again.as_ref().map(|again| again.with.clone())
    }

    /// A token about which it is time to ask again, with the server to ask. It counts as being asked about from now on.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<(AskedWith, Arc<str>)> {
        self.take_back();
        let (due, token) = self.due.first().copied().filter(|(due, _)| *due <= now)?;
        self.due.remove(&(due, token));
        let entry = self.entries.get_mut(&token)?;
        let again = entry.again.as_mut()?;
        again.due = None;
        Some((again.with.clone(), Arc::clone(&entry.said.issuer)))
    }

    /// Asking again has failed: it is tried again after a pause, or as late as the server wants, if that is not too late.
    pub(super) fn put_off(&mut self, token: TokenHash, now: Instant, not_before: Option<Instant>, spread: Duration) {
        let Some(entry) = self.entries.get_mut(&token) else { return };
        let Some(again) = &mut entry.again else { return };
        let pause = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(again.failures).unwrap_or(u32::MAX));
        again.failures = again.failures.saturating_add(1);
        let due = (now + pause.min(spread)).max(not_before.unwrap_or(now));
        if let Some(before) = again.due.take() {
            self.due.remove(&(before, token));
        }
        if due < entry.said.ends {
            again.due = Some(due);
            self.due.insert((due, token));
        }
    }

    /// Asking again has to wait until then: there is no room for the question.
    pub(super) fn postpone(&mut self, token: TokenHash, until: Instant) {
        let Some(entry) = self.entries.get_mut(&token) else { return };
        let Some(again) = entry.again.as_mut().filter(|again| again.due.is_none()) else { return };
        if until < entry.said.ends {
            again.due = Some(until);
            self.due.insert((until, token));
        }
    }

    /// Forgets what has run out, and gives the tokens that somebody still rested on and that have not ended by themselves.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<TokenHash> {
        self.take_back();
        let mut ran_out = Vec::new();
        while let Some(token) = first_until(&self.free, now) {
            self.remove(token);
        }
        while let Some(token) = first_until(&self.leased, now) {
            if self.remove(token).is_some_and(|entry| !entry.said.ends_with_token) {
                ran_out.push(token);
            }
        }
        ran_out
    }

    /// Adapts what is known to new servers: `keep` says how long an answer of a server counts after it was asked, if that server is
    /// still there and the same; what others have said stays only where somebody rests on it.
    pub(super) fn adapt(&mut self, keep: impl Fn(&str) -> Option<Duration>) {
        self.take_back();
        let tokens: Vec<TokenHash> = self.entries.keys().copied().collect();
        for token in tokens {
            let Some(mut entry) = self.remove(token) else { continue };
            let Some(kept) = keep(&entry.said.issuer) else {
                if entry.lease.strong_count() > 0 {
                    self.insert(token, entry);
                }
                continue;
            };
            if entry.said.asked + kept < entry.said.ends {
                entry.said.ends = entry.said.asked + kept;
                entry.said.ends_with_token = false;
            }
            self.insert(token, entry);
        }
    }

    /// Forgets everything that nobody rests on. The rest counts for those who do, until it is asked about again, for which it is time.
    /// Gives the number of entries that there were.
    pub(super) fn flush(&mut self, now: Instant) -> usize {
        self.take_back();
        let tokens: Vec<TokenHash> = self.entries.keys().copied().collect();
        for token in &tokens {
            self.forget(*token);
            let Some(again) = self.entries.get_mut(token).and_then(|entry| entry.again.as_mut()) else { continue };
            // Also where the token would have ended sooner. If it is being asked about already, that answer will do.
            if let Some(before) = again.due.replace(now) {
                self.due.remove(&(before, *token));
            }
            self.due.insert((now, *token));
        }
        tokens.len()
    }

    /// Forgets what is known of a token, but for those who rest on it.
    pub(super) fn forget(&mut self, token: TokenHash) {
        let Some(entry) = self.entries.get_mut(&token) else { return };
        entry.is_stale = true;
        if entry.lease.strong_count() == 0 {
            self.remove(token);
        }
    }

    /// What nobody rests on any more can be forgotten, and is not asked about again.
    fn take_back(&mut self) {
        let released = std::mem::take(&mut *self.released.borrow_mut());
        for token in released {
            let is_free = self.entries.get(&token).is_some_and(|entry| entry.lease.strong_count() == 0);
            if is_free
                && let Some(mut entry) = self.remove(token)
                && !entry.is_stale
            {
                entry.bytes -= entry.again.take().map_or(0, |again| again.with.sent().len());
                self.insert(token, entry);
            }
        }
    }

    /// Forgets what nobody rests on until there is room. `false` if that does not suffice.
    fn make_room(&mut self, tokens: usize, bytes: usize) -> bool {
        while self.entries.len() + tokens > self.bounds.tokens || self.bytes + bytes > self.bounds.bytes {
            let Some((_, token)) = self.free.first().copied() else { return false };
            self.remove(token);
            self.evicted += 1;
        }
        true
    }

    fn insert(&mut self, token: TokenHash, entry: Box<Entry>) {
        self.bytes += entry.bytes;
        if entry.again.is_some() {
            self.leased_bytes += entry.bytes;
            self.leased.insert((entry.said.ends, token));
        } else {
            self.free.insert((entry.said.ends, token));
        }
        if let Some(due) = entry.again.as_ref().and_then(|again| again.due) {
            self.due.insert((due, token));
        }
        self.entries.insert(token, entry);
    }

    fn remove(&mut self, token: TokenHash) -> Option<Box<Entry>> {
        let entry = self.entries.remove(&token)?;
        self.bytes -= entry.bytes;
        if let Some(again) = &entry.again {
            self.leased_bytes -= entry.bytes;
            self.leased.remove(&(entry.said.ends, token));
            if let Some(due) = again.due {
                self.due.remove(&(due, token));
            }
        } else {
            self.free.remove(&(entry.said.ends, token));
        }
        Some(entry)
    }
}

fn first_until(ends: &Ends, now: Instant) -> Option<TokenHash> {
    ends.first().filter(|(end, _)| *end <= now).map(|(_, token)| *token)
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
