//! `PSK_KEY`: a client names a pre-shared key in its TLS handshake (RFC 9431 §2.2.3.2, rfc9431.md L2).
//!
//! The broker is given the symmetric key of the token that the identity names, or is. Whether the client has the key, the
//! handshake shows: what follows is in `tls_identity.rs`. A token in the identity is held only then: identities travel in
//! clear, and whoever has read one must not replace a newer token by it.

use std::rc::Rc;

use ace_profile::connect::PskIdentity;
use ace_profile::token::ValidatedToken;
use ace_profile::{Fingerprint, Refusal};
use ace_resource_server::Reason;
use ace_resource_server::config::OtherClients;

use super::admission::{About, Refused};
use crate::broker::tls::{self, OfferedPsk};
use crate::broker::{PskKey, Verdict, clock};
use crate::metrics::{Outcome, WayIn};
use crate::plugin::Plugin;

/// How many of a handshake's identities are looked at. A client needs one, and a second one where it can resume a session; one
/// that offers thousands wants us to work.
const IDENTITIES_LOOKED_AT: usize = 8;

impl Plugin {
    pub(crate) fn on_psk_key(&self, event: &PskKey<'_>) -> Verdict {
        // On a connection that is not known for certain, nothing could be believed afterwards.
        let connection = tls::proved_of_client(&event.client);
        let Some((connection, count)) = connection.and_then(|it| Some((it, it.count_psk_request()?))) else {
            return Verdict::RefuseClient;
        };
        let outcome = if count > IDENTITIES_LOOKED_AT {
            Err(Reason::PskIdentitiesTooMany.into())
        } else {
            self.psk(event).and_then(|offered| {
                let key = offered.token.key().and_then(|key| key.symmetric_bytes());
                let key = key.ok_or(Reason::PskKeyNotSymmetric).about(offered.token.fingerprint)?;
                let is_given = event.answer(key);
                let is_given = is_given.then_some(()).ok_or(Reason::PskKeyTooLong).about(offered.token.fingerprint);
                is_given.map(|()| connection.offer_psk(offered))
            })
        };
        match outcome {
            Ok(true) => Verdict::Allow,
            Ok(false) => Verdict::RefuseClient,
            Err(refused) => self.without_psk(event, count, &refused),
        }
    }

    /// The key that the identity means.
    fn psk(&self, event: &PskKey<'_>) -> Result<OfferedPsk, Refused> {
        let about = Fingerprint::of(event.identity);
        let (token, is_brought): (Rc<ValidatedToken>, bool) =
            match PskIdentity::parse(event.identity).map_err(Reason::from)? {
                PskIdentity::KeyId(kid) => {
                    let held = self.held.borrow().of_kid(&kid, clock::now());
                    (held.ok_or(Reason::PskIdentityUnknown).about(about)?, false)
                }
                PskIdentity::Token(token) => (Rc::from(self.judge_now(token)?), true),
            };
        Ok(OfferedPsk { identity: event.identity.into(), token, is_brought })
    }

    fn without_psk(&self, event: &PskKey<'_>, count: usize, refused: &Refused) -> Verdict {
        let is_unknown =
            matches!(refused.reason, Reason::PskIdentityUnknown | Reason::Profile(Refusal::PskIdentityMalformed));
        if is_unknown && self.configuration().other_clients == OtherClients::Defer {
            return Verdict::Defer;
        }
        // One line for each handshake, however many identities it has, and one when there are too many.
        if count == 1 || count == IDENTITIES_LOOKED_AT + 1 {
            self.counters.connection(WayIn::Psk, Outcome::Refused);
            self.refused(&event.client, &refused.reason, refused.token);
        }
        Verdict::RefuseClient
    }
}
