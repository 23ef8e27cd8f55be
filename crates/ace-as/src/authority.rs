//! The authorization server's state: its configuration, and the opaque tokens that it has given out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::Config;
use crate::reference::References;

/// What all requests share.
pub(crate) struct Authority {
    /// Clients, audiences, keys: fixed while the server runs.
    pub(crate) config: Config,
    references: Mutex<References>,
}

impl Authority {
    /// A server without opaque tokens yet.
    pub(crate) fn new(config: Config) -> Self {
        Self { config, references: Mutex::new(References::default()) }
    }

    /// The opaque tokens. Held for lookups only, never while waiting. A panic elsewhere cannot leave them half
    /// changed in a way that would let a token live longer, so a poisoned lock is used all the same.
    pub(crate) fn references(&self) -> MutexGuard<'_, References> {
        self.references.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
