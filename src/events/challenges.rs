//! Challenges that have gone out and are not answered yet (RFC 9431 §2.2.4.2.2).

use std::collections::HashMap;
use std::ffi::CStr;

use ace_profile::Timestamp;
use ace_profile::limits::NONCE_BYTES;
use ace_profile::token::ValidatedToken;

use super::admission::Refused;
use super::waiting::Pending;
use crate::broker::tls::Connection;
use crate::broker::{Client, ClientKey};
use crate::plugin::Plugin;
use crate::remote::Lease;

/// A challenge and what it was sent for.
pub(super) struct Challenge {
    pub(super) client_id: Box<CStr>,
    pub(super) nonce: [u8; NONCE_BYTES],
    pub(super) token: Challenged,
    pub(super) connection: Option<Connection>,
    pub(super) sent: Timestamp,
    /// What confirms the token, so that it is still confirmed when the client answers.
    pub(super) lease: Option<Lease>,
    /// Whether the client was connected already, and the token is to take the place of its old one.
    pub(super) reauthentication: bool,
}

/// What is known of the token that a challenge is for.
pub(super) enum Challenged {
    /// It is good.
    Good(Box<ValidatedToken>),
    /// It has turned out not to be, or nothing could be found out: the client's answer will be refused.
    Refused(Refused),
    /// That is being found out. What the client sends is held back meanwhile.
    Pending(Pending),
}

impl Challenge {
    /// Lets what the client has sent through, if it is held back.
    fn release(&self) {
        if let (Challenged::Pending(_), Some(connection)) = (&self.token, &self.connection) {
            connection.let_input_through();
        }
    }
}

/// The open challenges: at most one per client that the broker has a connection with, and so bounded by those.
#[derive(Default)]
pub struct Challenges {
    open: HashMap<ClientKey, Challenge>,
}

impl Challenges {
    /// Opens a challenge. One that the client has not answered is void.
    pub(super) fn open(&mut self, key: ClientKey, challenge: Challenge) {
        self.open.insert(key, challenge);
    }

    /// Takes the client's challenge out: a nonce is used once.
    pub(super) fn take(&mut self, client: &Client<'_>) -> Option<Challenge> {
        let challenge = self.open.remove(&client.key())?;
        challenge.release();
        Some(challenge).filter(|challenge| client.has_id(&challenge.client_id))
    }

    /// Forgets the challenge of a client that has gone.
    pub fn forget(&mut self, key: ClientKey) {
        self.open.remove(&key);
    }

    /// Forgets challenges sent before this point: the broker does not tell of each client that leaves without an answer.
    pub fn forget_before(&mut self, point: Timestamp) {
        if !self.open.is_empty() {
            self.open.retain(|_, challenge| {
                let is_kept = challenge.sent >= point;
                if !is_kept {
                    challenge.release();
                }
                is_kept
            });
        }
    }

    /// The challenges whose token cannot be judged yet.
    fn pending(&mut self) -> impl Iterator<Item = (&mut Challenge, ClientKey)> {
        let challenges = self.open.iter_mut().map(|(key, challenge)| (challenge, *key));
        challenges.filter(|(challenge, _)| matches!(challenge.token, Challenged::Pending(_)))
    }
}

impl Plugin {
    /// Lets the answers to those challenges through whose token can be judged by now.
    pub(super) fn follow_challenges(&self) {
        let mut challenges = self.challenges.borrow_mut();
        let mut gone = Vec::new();
        for (challenge, key) in challenges.pending() {
            if !challenge.connection.is_some_and(|connection| connection.is_alive()) {
                gone.push(key);
                continue;
            }
            let Challenged::Pending(pending) = &mut challenge.token else { continue };
            let Some(outcome) = self.settle(pending) else { continue };
            challenge.release();
            challenge.lease = outcome.as_ref().ok().and_then(|token| self.lease(token).ok().flatten());
            challenge.token = outcome.map_or_else(Challenged::Refused, Challenged::Good);
        }
        for key in gone {
            challenges.forget(key);
        }
    }
}
