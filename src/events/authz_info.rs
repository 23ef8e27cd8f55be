//! The `authz-info` topic (RFC 9431 §2.2.2, rfc9431.md L1): whoever is connected may publish a token to it, which is held until it
//! ends. Nobody is ever given anything from it.
//!
//! The broker asks by `ACL_CHECK`, with the payload, whether a message may be published: there the token is judged. A
//! message whose token was taken goes on to the broker's `MESSAGE` event, which strips it: it goes, empty and not retained,
//! to a topic that nobody can guess or subscribe to. So tokens reach neither subscribers nor those of the broker's own
//! connections that it does not ask about: bridges.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::rc::Rc;

use ace_profile::connect::{is_opaque, token_text};
use ace_profile::limits;
use ace_profile::random::{Random, SystemRandom};
use ace_profile::scope::shared_subscription_filter;
use ace_profile::{Refusal, RefusalKind, Timestamp};
use ace_resource_server::Reason;
use ace_resource_server::config;
use ace_resource_server::rights::Access;
use ace_resource_server::rights::Denial;

use super::admission::{About, Refused};
use super::arriving::Publisher;
use super::tick::Ending;
use super::waiting::Judged;
use crate::broker::tls::Connection;
use crate::broker::{AclCheck, Client, ClientKey, Message, Verdict, clock};
use crate::metrics::{End, Wish};
use crate::plugin::Plugin;
use crate::report;
use crate::session::{Exceeded, Farewell, Phase, Rates};

/// What the names of hidden topics are made of. They begin with `$`, so no wildcard leads there, and without `s` and
/// capitals none of them is one of the broker's own.
const HIDDEN_SYMBOLS: &[u8; 32] = b"0123456789abcdefghijklmnopqrtuvw";

/// What is known about the topic beside the configuration.
pub struct AuthzInfo {
    /// The length of its name; more than any name has, if there is no such topic.
    length: Cell<usize>,
    /// The topic that its messages go to, a name of the same length.
    hidden: RefCell<Vec<u8>>,
    rates: RefCell<Rates>,
    /// A client without a session whose connection has ended since the last `TICK`, and that connection, as far as it is
    /// known: its Will may follow.
    departed: Cell<Option<(ClientKey, Option<Connection>)>>,
    /// Clients without a session that are to be disconnected.
    strangers: RefCell<Vec<Ending>>,
}

impl Default for AuthzInfo {
    fn default() -> Self {
        Self {
            length: Cell::new(usize::MAX),
            hidden: RefCell::default(),
            rates: RefCell::default(),
            departed: Cell::default(),
            strangers: RefCell::default(),
        }
    }
}

impl AuthzInfo {
    /// The length of the topic's name, and that of the hidden one.
    #[inline]
    pub(super) const fn length(&self) -> usize {
        self.length.get()
    }

    /// Forgets what has outlived its use, once for each turn of the broker's loop.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.departed.set(None);
        self.rates.borrow_mut().sweep(now);
    }

    fn is_ending(&self, stranger: ClientKey) -> bool {
        self.strangers.borrow().iter().any(|ending| ending.key == stranger)
    }

    pub(super) fn take_strangers(&self) -> Vec<Ending> {
        self.strangers.take()
    }
}

impl Plugin {
    /// Heeds a new configuration.
    pub(crate) fn configure_authz_info(&self) {
        let configuration = self.configuration();
        self.held.borrow_mut().set_bounds(configuration.held);
        let length = configuration.authz_info.as_ref().map(|settings| settings.topic.len());
        self.authz_info.length.set(length.unwrap_or(usize::MAX));
        let mut hidden = self.authz_info.hidden.borrow_mut();
        // Messages may still be on their way to it.
        if hidden.len() != length.unwrap_or_default() {
            *hidden = length.map(hidden_topic).unwrap_or_default();
        }
    }

    /// Notes that a client's connection has ended.
    pub(crate) fn depart_from_authz_info(&self, client: &Client<'_>) {
        self.authz_info.rates.borrow_mut().forget(client.key());
        let is_stranger = self.authz_info.length() != usize::MAX && self.sessions.borrow().of(client).is_none();
        if is_stranger {
            self.authz_info.departed.set(Some((client.key(), self.proved_connection_of(client))));
        }
    }

    /// Whether a client without a session has gone, and this is about its Will. With a Will Delay Interval it cannot be told:
    /// but then nobody's token but its own is in it, and nobody is given it but by a bridge.
    ///
    /// Mosquitto 2.1 calls `TICK` ten times a second only: by then the client may be there again, at the same place in the
    /// broker's memory, but not with the same connection.
    fn has_departed(&self, client: &Client<'_>) -> bool {
        let Some((departed, connection)) = self.authz_info.departed.get() else { return false };
        let is_same = || match (connection, self.proved_connection_of(client)) {
            (Some(then), Some(now)) => then.is_same(&now),
            (None, None) => true,
            _ => false,
        };
        departed == client.key() && is_same()
    }

    /// The connection that was read from last, if it is certain that it is the client's: only Mosquitto 2.1 tells.
    fn proved_connection_of(&self, client: &Client<'_>) -> Option<Connection> {
        (self.broker.is_2_1() && !client.is_websocket()).then(|| self.connection_of(client)).flatten()
    }

    /// Decides on whatever concerns the topic; `None` for everything else.
    #[cold]
    #[inline(never)]
    pub(super) fn on_authz_info(&self, event: AclCheck<'_>) -> Option<Verdict> {
        let configuration = self.configuration();
        let settings = configuration.authz_info.as_ref()?;
        let subscribed =
            (event.access() == Access::Subscribe).then(|| shared_subscription_filter(event.topic())).flatten();
        let topic = subscribed.unwrap_or(event.topic());
        if topic == self.authz_info.hidden.borrow().as_slice() {
            return Some(Verdict::RefuseAccess);
        }
        if topic != settings.topic.as_bytes() {
            return None;
        }
        Some(match event.access() {
            Access::Publish => self.token_published(settings, event),
            Access::Subscribe => {
                let denial = Denial::AuthzInfoPublishOnly;
                self.denied(&event.client(), Wish::Subscribe, "subscribe to", event.topic(), denial);
                Verdict::RefuseAccess
            }
            // A message from before the topic was one for tokens, or of another plugin's.
            Access::Receive => Verdict::RefuseAccess,
            Access::Unsubscribe => Verdict::Allow,
        })
    }

    /// `MESSAGE`: hides what was published to the topic.
    #[inline]
    pub(crate) fn on_message(&self, message: &mut Message<'_>) -> Verdict {
        let length = self.authz_info.length();
        if length == usize::MAX || message.topic().len() != length {
            return Verdict::Done;
        }
        self.hide_token(message)
    }

    #[cold]
    fn hide_token(&self, message: &mut Message<'_>) -> Verdict {
        let configuration = self.configuration();
        let is_ours = |settings: &config::AuthzInfo| settings.topic.as_bytes() == message.topic();
        if !configuration.authz_info.as_ref().is_some_and(is_ours) || message.hide(&self.authz_info.hidden.borrow()) {
            return Verdict::Done;
        }
        Verdict::RefuseAccess
    }

    fn token_published(&self, settings: &config::AuthzInfo, event: AclCheck<'_>) -> Verdict {
        let client = &event.client();
        let phase = self.sessions.borrow().of(client).map(|session| session.phase.get());
        match phase {
            Some(Phase::Connected) => {}
            // It is being disconnected, and has been told why.
            Some(Phase::Ending) => return Verdict::RefuseAccess,
            Some(Phase::Leaving | Phase::Departed) => return self.will_for_authz_info(event),
            // The stand-in for the publisher of a retained message has no address, and may publish nothing.
            None if client.address().is_none() => return Verdict::RefuseAccess,
            None if self.has_departed(client) => return self.will_for_authz_info(event),
            None if self.authz_info.is_ending(client.key()) => return Verdict::RefuseAccess,
            None => {}
        }
        match self.take_token(settings, event) {
            Ok(()) => Verdict::Allow,
            Err(refused) => {
                self.token_refused(event, refused);
                Verdict::RefuseAccess
            }
        }
    }

    /// A Will comes by no `MESSAGE` event, so that it could not be hidden.
    fn will_for_authz_info(&self, event: AclCheck<'_>) -> Verdict {
        self.denied(&event.client(), Wish::Will, "send a Will to", event.topic(), Denial::AuthzInfoWill);
        Verdict::RefuseAccess
    }

    /// Judges the token in a message, and holds it.
    fn take_token(&self, settings: &config::AuthzInfo, event: AclCheck<'_>) -> Result<(), NotTaken> {
        let (client, payload) = (&event.client(), event.payload());
        let noted =
            self.authz_info.rates.borrow_mut().note(client.key(), clock::now(), settings.rate, settings.rate_total);
        noted.map_err(NotTaken::TooMany)?;
        let text = token_text(payload).or_else(|| self.opaque_token(payload)).ok_or_else(|| no_token(payload))?;
        let token = match self.judge(&text)? {
            Judged::Good(token) => token,
            Judged::Later(pending) if !self.has_ticks() => self.wait_for(pending)?,
            Judged::Later(pending) => {
                let fingerprint = pending.fingerprint();
                let publisher = Publisher::of(client, self.connection_of(client));
                let is_expected = self.expect_token(pending, publisher);
                return is_expected
                    .then_some(())
                    .ok_or(Reason::AuthzInfoFull)
                    .about(fingerprint)
                    .map_err(NotTaken::NoRoom);
            }
        };
        let fingerprint = token.fingerprint;
        token.binding().ok_or(Reason::AuthzInfoBearer).about(fingerprint)?;
        if !self.held.borrow_mut().hold(Rc::from(token), None) {
            return Err(Reason::AuthzInfoFull).about(fingerprint).map_err(NotTaken::NoRoom);
        }
        self.counters.tokens_taken.count(0);
        report::token_held(&self.broker, client, fingerprint);
        self.take_up_arrivals();
        Ok(())
    }

    /// A payload that is a token which a server can be asked about.
    fn opaque_token<'a>(&self, payload: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let is_opaque = std::str::from_utf8(payload).is_ok_and(is_opaque);
        (is_opaque && self.remote.borrow().takes_opaque_tokens()).then_some(Cow::Borrowed(payload))
    }

    /// What follows a token that was not taken: a line in the log; and a client that has sent a bad one, and that MQTT cannot
    /// tell otherwise, is disconnected.
    ///
    /// A client that sends too many, or for whose token there is no room, stays: nothing is wrong with the token, and a new
    /// connection would cost more than the message has.
    fn token_refused(&self, event: AclCheck<'_>, refused: NotTaken) {
        let client = &event.client();
        let refused = match refused {
            NotTaken::TooMany(exceeded) => {
                let (reason, tell) = match exceeded {
                    Exceeded::Client { tell } => (Reason::AuthzInfoRate, tell),
                    Exceeded::Total { tell } => (Reason::AuthzInfoRateTotal, tell),
                };
                self.published_token_refused(client, &reason, None, tell);
                return;
            }
            NotTaken::NoRoom(refused) => {
                self.published_token_refused(client, &refused.reason, refused.token, true);
                return;
            }
            NotTaken::Bad(refused) => refused,
        };
        self.published_token_refused(client, &refused.reason, refused.token, true);
        if event.qos() == 0 || !client.speaks_mqtt5() {
            let no_token =
                matches!(&refused.reason, Reason::Profile(refusal) if refusal.kind() == RefusalKind::Malformed);
            let farewell = if no_token { Farewell::PayloadFormatInvalid } else { Farewell::NotAuthorized };
            self.end_for_token(client, farewell);
        }
    }

    fn end_for_token(&self, client: &Client<'_>, farewell: Farewell) {
        let sessions = self.sessions.borrow();
        if let Some(session) = sessions.of(client) {
            session.phase.set(Phase::Ending);
            session.farewell.set(farewell);
            self.counters.end(End::BadToken);
            self.endings.borrow_mut().push(client.key());
            return;
        }
        let Some(client_id) = client.id() else { return };
        let takes_disconnect = client.speaks_mqtt5() && !client.is_websocket();
        let connection = self.connection_of(client);
        let key = client.key();
        let ending = Ending { key, client_id: client_id.into(), connection, takes_disconnect, farewell };
        self.authz_info.strangers.borrow_mut().push(ending);
    }
}

impl Plugin {
    /// Disconnects a client whose token has turned out to be bad, if it is still there.
    pub(super) fn end_late(&self, key: ClientKey, client_id: &CStr, connection: Option<Connection>) {
        let mut sessions = self.sessions.borrow_mut();
        if let Some(session) = sessions.get_mut(key).filter(|session| *session.client_id == *client_id) {
            let is_same = match (session.connection, connection) {
                (Some(now), Some(then)) => now.is_same(&then),
                _ => true,
            };
            if is_same && session.phase.get() == Phase::Connected {
                session.phase.set(Phase::Ending);
                self.counters.end(End::BadToken);
                self.endings.borrow_mut().push(key);
            }
            return;
        }
        // Somebody else may have the id by now: without a connection nothing would tell.
        if let Some(connection) = connection.filter(Connection::is_alive) {
            let client_id = client_id.into();
            let takes_disconnect = false;
            let ending = Ending {
                key,
                client_id,
                connection: Some(connection),
                takes_disconnect,
                farewell: Farewell::NotAuthorized,
            };
            self.authz_info.strangers.borrow_mut().push(ending);
        }
    }
}

/// Why a token was not taken.
enum NotTaken {
    /// There were too many: it was not looked at.
    TooMany(Exceeded),
    /// It is good, but does not fit in.
    NoRoom(Refused),
    /// It is no token, or not a good one.
    Bad(Refused),
}

impl<R: Into<Refused>> From<R> for NotTaken {
    fn from(refused: R) -> Self {
        Self::Bad(refused.into())
    }
}

/// What is wrong with a payload that is no token.
fn no_token(payload: &[u8]) -> Reason {
    let bytes = payload.len();
    if bytes > limits::TOKEN_BYTES { Refusal::TokenTooLarge { bytes } } else { Refusal::TokenNotJwt }.into()
}

/// A topic of this length that nobody can guess. Subscriptions to it are refused all the same, and messages from it never
/// delivered: the shorter the name, the easier it could be guessed.
fn hidden_topic(length: usize) -> Vec<u8> {
    let mut topic = vec![0; length];
    // Without random bytes it can be guessed, and is as it would be if it had been.
    let _ = SystemRandom.fill(&mut topic);
    for byte in &mut topic {
        let symbol = usize::from(*byte) % HIDDEN_SYMBOLS.len();
        *byte = HIDDEN_SYMBOLS.get(symbol).copied().unwrap_or(b'0');
    }
    if let Some(first) = topic.first_mut() {
        *first = b'$';
    }
    topic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_topics_are_out_of_the_way() {
        for length in [1, 2, 10, 256] {
            let topic = hidden_topic(length);
            assert_eq!(topic.len(), length);
            assert!(topic.starts_with(b"$") && topic.iter().skip(1).all(|byte| HIDDEN_SYMBOLS.contains(byte)));
        }
        assert_ne!(hidden_topic(20), hidden_topic(20));
        assert!(!HIDDEN_SYMBOLS.iter().any(|symbol| b"s/+#$ \0".contains(symbol) || symbol.is_ascii_uppercase()));
    }
}
