//! Tokens that are to be held as soon as they can be judged: published to the `authz-info` topic, or held already and judged anew
//! since a client without session rests on them. Nobody waits for them.

use std::ffi::CStr;
use std::rc::Rc;

use ace_profile::Fingerprint;
use ace_profile::token::ValidatedToken;
use ace_resource_server::Reason;

use super::admission::{About, Refused};
use super::waiting::Pending;
use crate::broker::tls::Connection;
use crate::broker::{Client, ClientKey, clock};
use crate::plugin::Plugin;
use crate::report;

/// How many tokens may be on their way at a time. With the longest tokens that is 8 MiB.
const ARRIVING_MAX: usize = 256;

/// A token on its way.
pub struct Arriving {
    pending: Pending,
    publisher: Option<Publisher>,
}

/// Who has published it, and hears of it if it is bad.
pub(super) struct Publisher {
    key: ClientKey,
    client_id: Box<CStr>,
    connection: Option<Connection>,
}

impl Publisher {
    /// A client that is publishing a token.
    pub(super) fn of(client: &Client<'_>, connection: Option<Connection>) -> Option<Self> {
        Some(Self { key: client.key(), client_id: client.id()?.into(), connection })
    }
}

impl Plugin {
    /// Takes a token that is to be held once it has been judged. `false` if too many are on their way.
    pub(super) fn expect_token(&self, pending: Pending, publisher: Option<Publisher>) -> bool {
        let mut arriving = self.arriving.borrow_mut();
        let has_room = arriving.len() < ARRIVING_MAX;
        if has_room {
            arriving.push(Arriving { pending, publisher });
        }
        has_room
    }

    /// Holds the tokens that are found good by now.
    pub(super) fn follow_arriving(&self) {
        let mut settled = Vec::new();
        self.arriving.borrow_mut().retain_mut(|token| {
            let Some(outcome) = self.settle(&mut token.pending) else { return true };
            settled.push((token.publisher.take(), outcome));
            false
        });
        for (publisher, outcome) in settled {
            // One that was judged again is not to take the place of a newer one that has come meanwhile.
            let outcome = outcome.and_then(|token| match &publisher {
                None if !self.is_still_held(&token) => Ok(token.fingerprint),
                _ => self.hold_arrived(*token),
            });
            match (outcome, publisher) {
                (Ok(fingerprint), Some(publisher)) => {
                    self.counters.tokens_taken.count(0);
                    report::late_token_held(&self.broker, &publisher.client_id, fingerprint);
                }
                (Err(refused), Some(publisher)) => self.end_publisher(&publisher, &refused),
                (_, None) => {}
            }
        }
        self.take_up_arrivals();
    }

    fn is_still_held(&self, token: &ValidatedToken) -> bool {
        let held = token.binding().and_then(|name| self.held.borrow().of_key(&name, clock::now()));
        held.is_some_and(|held| held.fingerprint == token.fingerprint)
    }

    fn hold_arrived(&self, token: ValidatedToken) -> Result<Fingerprint, Refused> {
        let fingerprint = token.fingerprint;
        token.binding().ok_or(Reason::AuthzInfoBearer).about(fingerprint)?;
        let is_held = self.held.borrow_mut().hold(Rc::new(token), None);
        is_held.then_some(fingerprint).ok_or(Reason::AuthzInfoFull).about(fingerprint)
    }

    /// A client whose token turns out to be bad is disconnected, as it would have been at once. Where only the server is to
    /// blame, or there is no room, it stays.
    fn end_publisher(&self, publisher: &Publisher, refused: &Refused) {
        self.late_token_refused(&publisher.client_id, &refused.reason, refused.token);
        if matches!(refused.reason, Reason::ServerUnavailable | Reason::AuthzInfoFull) {
            return;
        }
        self.end_late(publisher.key, &publisher.client_id, publisher.connection);
    }
}
