//! What is known of tokens, for measurements of how much memory that takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ace_profile::token::AskedWith;
use zeroize::Zeroizing;

use super::cache::{Cache, CacheBounds, Lease, Said};

/// A cache that is told of tokens as if their server had answered.
pub struct Measured {
    cache: Cache,
    leases: Vec<Lease>,
    issuer: Arc<str>,
    now: Instant,
}

impl Measured {
    /// One with these bounds.
    #[must_use]
    pub fn new(bounds: CacheBounds) -> Self {
        let mut cache = Cache::default();
        cache.set_bounds(bounds);
        Self { cache, leases: Vec::new(), issuer: "https://as.example".into(), now: Instant::now() }
    }

    /// Takes up what its server has answered about a token; nothing for one that is not active. A session may rest on it.
    pub fn take_up(&mut self, token: &str, answer: Option<&[u8]>, is_in_use: bool) {
        let (with, minute) = (AskedWith::new(token), Duration::from_secs(60));
        let said = Said {
            issuer: Arc::clone(&self.issuer),
            answer: answer.map(|answer| Zeroizing::new(answer.to_vec())),
            asked: self.now,
            ends: self.now + minute,
            ends_with_token: false,
        };
        let _ = self.cache.put(with.token(), said, minute / 2);
        if is_in_use {
            self.leases.extend(self.cache.lease(&with, self.now, |_| minute / 2));
        }
    }

    /// Of how many tokens something is known.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.cache.len()
    }

    /// How many bytes count as taken.
    #[must_use]
    pub const fn counted(&self) -> usize {
        self.cache.bytes()
    }
}
