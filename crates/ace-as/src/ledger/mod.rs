//! What this server has to remember: the tokens that are out, those that were revoked, and what the token revocation
//! list was changed by. In memory, and in the state file if there is one.

mod digest;
mod journal;
mod live;
mod requester;
mod trl;
mod updates;

use std::collections::BTreeSet;
use std::path::Path;

pub(crate) use digest::Sha256;
pub use journal::StateError;
pub(crate) use live::{Facts, Issued};
pub(crate) use requester::{Part, Requester};
pub(crate) use updates::{Diff, MAX_DIFF_BATCH, MAX_N, OutOfBound, Updates};

use crate::grant::Grant;
use journal::{Event, Journal};
use live::Live;
use trl::{Told, Trl};

/// How many revoked tokens of a client are kept until they expire.
const REVOKED_PER_CLIENT: usize = 1024;

/// How many of these may come from the client itself. The rest is kept for others, so that a client cannot fill its
/// part of the list and be out of everybody's reach.
const REVOKED_BY_ITSELF: usize = REVOKED_PER_CLIENT / 2;

/// Who has tokens revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revoker {
    /// The client that they were issued to.
    Itself,
    /// Somebody with the right to.
    Other,
}

/// Why tokens were not revoked.
#[derive(Debug)]
pub(crate) enum NotRevoked {
    /// Too many tokens of the client are in the list already. They leave it when they expire.
    ListFull,
    /// They are revoked, but will not be any more after a restart.
    NotWritten(StateError),
}

/// The memory of the server.
#[derive(Debug)]
pub(crate) struct Ledger {
    live: Live,
    trl: Trl,
    journal: Option<Journal>,
}

impl Ledger {
    /// An empty one that is forgotten when the server stops.
    pub(crate) fn in_memory(requesters: Vec<Requester>) -> Self {
        Self { live: Live::default(), trl: Trl::new(requesters), journal: None }
    }

    /// What a state file says, without touching it.
    pub(crate) fn read(path: &Path, requesters: Vec<Requester>, now: u64) -> Result<Self, StateError> {
        let mut ledger = Self::in_memory(requesters);
        for event in journal::read(path)? {
            match event {
                Event::Issued { token, grant } => {
                    let grant = match grant.map(|grant| Grant::from_state(&token, &grant)) {
                        // An opaque token whose grant cannot be understood is not alive.
                        Some(None) => continue,
                        Some(Some(grant)) => Some(grant),
                        None => None,
                    };
                    ledger.live.insert(Issued { facts: token, grant }, now);
                }
                Event::Revoked { token } => {
                    ledger.live.remove(&token.identity);
                    ledger.trl.restore_revoked(token);
                }
                Event::Updated { requester, update } => ledger.trl.restore_update(&requester, update),
            }
        }
        Ok(ledger)
    }

    /// Goes on from a state file, which belongs to this ledger from now on. Tokens of clients that are no longer known
    /// are revoked, and given back.
    pub(crate) fn open(
        path: &Path,
        requesters: Vec<Requester>,
        clients: &BTreeSet<&str>,
        now: u64,
    ) -> Result<(Self, Vec<Facts>), StateError> {
        let journal = Journal::open(path)?;
        let mut ledger = Self::read(path, requesters, now)?;
        ledger.trl.remove_expired(now);
        let orphans: Vec<Facts> =
            ledger.alive(now).filter(|token| !clients.contains(token.client_id.as_str())).cloned().collect();
        orphans.iter().for_each(|token| ledger.live.remove(&token.identity));
        if !orphans.is_empty() {
            ledger.trl.add(&orphans);
        }
        ledger.journal = Some(journal);
        ledger.rewrite(now)?;
        Ok((ledger, orphans))
    }

    /// Remembers a token before it is given out.
    pub(crate) fn issue(&mut self, token: Facts, grant: Option<Grant>, now: u64) -> Result<(), StateError> {
        let identity = token.identity;
        let event = Event::Issued { token: token.clone(), grant: grant.as_ref().map(Grant::to_state) };
        self.live.insert(Issued { facts: token, grant }, now);
        self.write(&[event], now).inspect_err(|_| self.live.remove(&identity))
    }

    /// A token that is out and remembered.
    pub(crate) fn find(&self, identity: &Sha256, now: u64) -> Option<&Issued> {
        self.live.find(identity, now)
    }

    /// A token that was revoked.
    pub(crate) fn find_revoked(&self, identity: &Sha256) -> Option<&Facts> {
        self.trl.find(identity)
    }

    /// All tokens that are out and remembered.
    pub(crate) fn alive(&self, now: u64) -> impl Iterator<Item = &Facts> {
        self.live.iter(now).map(|token| &token.facts)
    }

    /// How many tokens were revoked and have not left the list.
    pub(crate) fn count_revoked(&self) -> usize {
        self.trl.revoked().count()
    }

    /// Revokes tokens, all of one client.
    pub(crate) fn revoke(&mut self, tokens: &[Facts], by: Revoker, now: u64) -> Result<(), NotRevoked> {
        let expired = self.trl.remove_expired(now);
        let tokens: Vec<Facts> =
            tokens.iter().filter(|token| self.trl.find(&token.identity).is_none()).cloned().collect();
        let client = tokens.first().map(|token| token.client_id.as_str());
        let limit = if by == Revoker::Itself { REVOKED_BY_ITSELF } else { REVOKED_PER_CLIENT };
        let count = client.map_or(0, |client| self.trl.count_of(client));
        let full = count.saturating_add(tokens.len()) > limit;
        let mut events = updated(expired);
        if !full {
            tokens.iter().for_each(|token| self.live.remove(&token.identity));
            events.extend(tokens.iter().map(|token| Event::Revoked { token: token.clone() }));
            if !tokens.is_empty() {
                events.extend(updated(self.trl.add(&tokens)));
            }
        }
        let written = self.write(&events, now);
        if full {
            return Err(NotRevoked::ListFull);
        }
        written.map_err(NotRevoked::NotWritten)
    }

    /// The list as it is now: removes what has expired.
    ///
    /// If that cannot be written it will be found out once more after a restart.
    pub(crate) fn refresh(&mut self, now: u64) -> Result<(), StateError> {
        let expired = self.trl.remove_expired(now);
        self.write(&updated(expired), now)
    }

    /// The hashes of revoked tokens that pertain to a requester.
    pub(crate) fn full_set(&self, requester: &str) -> Vec<Sha256> {
        self.trl.full_set(requester)
    }

    /// What was last changed in a requester's part of the list.
    pub(crate) fn updates_of(&self, requester: &str) -> Option<&Updates> {
        self.trl.updates_of(requester)
    }

    /// Writes what has happened, and is in memory already: where all is written anew, it is there.
    fn write(&mut self, events: &[Event], now: u64) -> Result<(), StateError> {
        match &mut self.journal {
            Some(journal) if !events.is_empty() && !journal.wants_rewrite() => journal.append(events),
            Some(_) if !events.is_empty() => self.rewrite(now),
            _ => Ok(()),
        }
    }

    fn rewrite(&mut self, now: u64) -> Result<(), StateError> {
        let issued = self.live.iter(now).map(|token| Event::Issued {
            token: token.facts.clone(),
            grant: token.grant.as_ref().map(Grant::to_state),
        });
        // Before the updates, which remove some of them again.
        let revoked = self.trl.revoked().map(|token| Event::Revoked { token: token.clone() });
        let updates =
            self.trl.updates().map(|(id, update)| Event::Updated { requester: id.to_owned(), update: update.clone() });
        let events: Vec<Event> = issued.chain(revoked).chain(updates).collect();
        self.journal.as_mut().map_or(Ok(()), |journal| journal.rewrite(&events))
    }
}

fn updated(told: Vec<Told>) -> Vec<Event> {
    told.into_iter().map(|(requester, update)| Event::Updated { requester, update }).collect()
}
