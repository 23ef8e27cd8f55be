//! Challenges that have gone out and are not answered yet (RFC 9431 §2.2.4.2.2).

use std::collections::HashMap;
use std::ffi::CStr;

use ace_profile::Timestamp;
use ace_profile::limits::NONCE_BYTES;
use ace_profile::token::ValidatedToken;
use ace_resource_server::remote::Lease;

use super::admission::Refused;
use super::waiting::Pending;
use crate::broker::tls::Connection;
use crate::broker::{Client, ClientKey};
use crate::metrics::WayIn;
use crate::plugin::Plugin;

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
    /// How the client came.
    pub(super) way: WayIn,
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
    /// Those among them whose token could not be judged when they were opened; some may have gone since.
    pending: Vec<ClientKey>,
    /// No challenge was sent before this; `None` if there is none.
    oldest: Option<Timestamp>,
}

impl Challenges {
    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// How many wait for a judgement of their token; some may have gone since.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Opens a challenge. One that the client has not answered is void.
    pub(super) fn open(&mut self, key: ClientKey, challenge: Challenge) {
        if self.open.is_empty() {
            self.oldest = Some(challenge.sent);
        }
        if matches!(challenge.token, Challenged::Pending(_)) {
            self.pending.push(key);
        }
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
        if self.oldest.is_none_or(|oldest| oldest >= point) {
            return;
        }
        self.open.retain(|_, challenge| {
            let is_kept = challenge.sent >= point;
            if !is_kept {
                challenge.release();
            }
            is_kept
        });
        self.oldest = self.open.values().map(|challenge| challenge.sent).min();
    }

    /// Looks at the challenges whose token cannot be judged yet.
    fn judge(&mut self, mut settle: impl FnMut(&mut Pending) -> Option<Judged>) {
        let Self { open, pending, .. } = self;
        pending.retain(|key| {
            let Some(challenge) = open.get_mut(key) else { return false };
            let Challenged::Pending(token) = &mut challenge.token else { return false };
            if !challenge.connection.is_some_and(|connection| connection.is_alive()) {
                open.remove(key);
                return false;
            }
            let Some((outcome, lease)) = settle(token) else { return true };
            challenge.release();
            challenge.lease = lease;
            challenge.token = outcome;
            false
        });
    }
}

/// What has become of a token, and what confirms it.
type Judged = (Challenged, Option<Lease>);

impl Plugin {
    /// Lets the answers to those challenges through whose token can be judged by now.
    pub(super) fn follow_challenges(&self) {
        self.challenges.borrow_mut().judge(|pending| {
            Some(match self.settle(pending)? {
                Ok(token) => {
                    let lease = self.lease(&token).ok().flatten();
                    (Challenged::Good(token), lease)
                }
                Err(refused) => (Challenged::Refused(refused), None),
            })
        });
    }
}
