//! The authorization server's state: its configuration, and what it remembers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock;
use crate::config::Config;
use crate::ledger::{Ledger, StateError};
use crate::log::{Foreign, Level, Log};

/// What all requests share.
pub(crate) struct Authority {
    /// Clients, audiences, keys: fixed while the server runs.
    pub(crate) config: Config,
    ledger: Mutex<Ledger>,
}

impl Authority {
    /// A server that goes on from its state file, or without one from nothing.
    pub(crate) fn new(config: Config, log: &Log) -> Result<Self, StateError> {
        let requesters = config.requesters();
        let ledger = match &config.state_file {
            Some(path) => {
                let clients = config.clients.keys().map(String::as_str).collect();
                let (ledger, orphans) = Ledger::open(path, requesters, &clients, clock::now())?;
                for token in orphans {
                    let client = Foreign(&token.client_id);
                    log.write(
                        Level::Warn,
                        format_args!("revoked, of {client}, who is gone from the configuration, token {}", token.hash),
                    );
                }
                ledger
            }
            None => Ledger::in_memory(requesters),
        };
        Ok(Self { config, ledger: Mutex::new(ledger) })
    }

    /// What the server remembers. To be taken where blocking is allowed: changes are written to the disk. A panic
    /// elsewhere cannot leave it half changed in a way that would let a token live longer, so a poisoned lock is
    /// used all the same.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
