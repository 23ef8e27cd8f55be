//! Challenges that have gone out and are not answered yet (RFC 9431 §2.2.4.2.2).

use std::collections::HashMap;
use std::ffi::CStr;

use ace_profile::Timestamp;
use ace_profile::limits::NONCE_BYTES;
use ace_profile::token::ValidatedToken;

use crate::broker::tls::Connection;
use crate::broker::{Client, ClientKey};

/// A challenge and what it was sent for.
pub(super) struct Challenge {
    pub(super) client_id: Box<CStr>,
    pub(super) nonce: [u8; NONCE_BYTES],
    pub(super) token: ValidatedToken,
    pub(super) connection: Option<Connection>,
    pub(super) sent: Timestamp,
    /// Whether the client was connected already, and the token is to take the place of its old one.
    pub(super) reauthentication: bool,
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
        self.open.remove(&client.key()).filter(|challenge| client.has_id(&challenge.client_id))
    }

    /// Forgets the challenge of a client that has gone.
    pub fn forget(&mut self, key: ClientKey) {
        self.open.remove(&key);
    }

    /// Forgets challenges sent before this point: the broker does not tell of each client that leaves without an answer.
    pub fn forget_before(&mut self, point: Timestamp) {
        if !self.open.is_empty() {
            self.open.retain(|_, challenge| challenge.sent >= point);
        }
    }
}
