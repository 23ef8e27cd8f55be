//! The sessions, by the client's address, and in the order in which their tokens expire.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::ffi::CStr;
use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;

use ace_profile::Timestamp;
use ace_profile::revocation::TokenHash;
use ace_resource_server::remote::Lease;
use ace_resource_server::rights::Grant;

use super::address_map::AddressMap;
use crate::broker::tls::Connection;
use crate::broker::{Client, ClientKey};
use crate::metrics::Holding;

/// What a client may do.
#[derive(Debug, Clone)]
pub enum Rights {
    /// What its token says.
    Token(Rc<Grant>),
    /// What everybody may.
    Public,
    /// To publish a token to the `authz-info` topic, and nothing else.
    AuthzInfo,
    /// What the broker's other plugins say.
    Foreign,
}

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The client is connected, or about to be.
    Connected,
    /// The client is to be disconnected at the next occasion.
    Ending,
    /// The broker is disconnecting the client.
    Leaving,
    /// The client's connection has ended. Its Will may still be sent, and messages be queued for it.
    Departed,
}

impl Phase {
    /// Whether the client's connection is there, if only for a moment more.
    #[must_use]
    pub const fn is_connected(self) -> bool {
        matches!(self, Self::Connected | Self::Ending)
    }
}

/// What a client is told by us, before the broker says that it disconnects it for administrative reasons (0x98).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Farewell {
    /// That it lacks the rights to stay.
    #[default]
    NotAuthorized,
    /// That it has sent what it should not.
    PayloadFormatInvalid,
    /// Nothing: the broker is right.
    Administrative,
}

/// One client's session.
#[derive(Debug)]
pub struct Session {
    /// The client id, and
    pub client_id: Box<CStr>,
    /// the user name, by which the entry is proved to be this client's.
    pub user_name: Option<Box<CStr>>,
    /// What it may do.
    pub rights: Rights,
    /// Its network address, if it has one.
    pub address: Option<IpAddr>,
    /// How it came in, as the log calls it, and
    pub how: &'static str,
    /// since when it has been there.
    pub since: Timestamp,
    /// Where it is in its life.
    pub phase: Cell<Phase>,
    /// Its TLS connection, if it has one that is known for certain.
    pub connection: Option<Connection>,
    /// Whether a DISCONNECT packet can be written to it: it speaks MQTT 5, not inside a WebSocket.
    pub takes_disconnect: bool,
    /// Whether it speaks MQTT 5.
    pub speaks_mqtt5: bool,
    /// The turn of the broker's loop in which the client was let in.
    pub turn: u64,
    /// Whether a denied message has been logged; the following ones are not.
    pub denial_logged: Cell<bool>,
    /// What the client is told when the session ends.
    pub farewell: Cell<Farewell>,
    /// What TLS has proved about the client, if its rights rest on that: by these names a newer token is found to be for it.
    pub rests_on: Box<[Box<str>]>,
    /// Whether the broker has let the client in by TLS alone, without asking us.
    pub is_adopted: bool,
    /// How the connection ended.
    pub ended: Option<Ended>,
    /// What confirms the token, if an answer of its server does. Not needed any more when the client has gone.
    pub lease: Option<Lease>,
}

/// How a client's connection ended.
///
/// Another client of the same id and user name may be at the same address afterwards. If the broker lets that one in by TLS
/// alone, nobody asks us: the session that has ended must not pass for the new one.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// The turn of the broker's loop in which the connection ended, and
    pub turn: u64,
    /// the connection, if it was known.
    pub connection: Option<Connection>,
}

impl Session {
    /// The token's rights, if the session has a token.
    #[must_use]
    pub fn grant(&self) -> Option<&Rc<Grant>> {
        match &self.rights {
            Rights::Token(grant) => Some(grant),
            Rights::Public | Rights::AuthzInfo | Rights::Foreign => None,
        }
    }

    #[inline]
    fn is_of(&self, client: &Client<'_>) -> bool {
        client.has_id(&self.client_id)
            && match &self.user_name {
                Some(name) => client.has_user_name(name),
                None => client.user_name().is_none(),
            }
    }

    #[cfg(test)]
    pub(crate) fn for_test(rights: Rights) -> Self {
        Self {
            client_id: c"client".into(),
            user_name: None,
            rights,
            address: None,
            how: "test",
            since: Timestamp::EPOCH,
            phase: Cell::new(Phase::Connected),
            connection: None,
            takes_disconnect: true,
            speaks_mqtt5: true,
            turn: 0,
            denial_logged: Cell::new(false),
            rests_on: Box::default(),
            farewell: Cell::default(),
            is_adopted: false,
            ended: None,
            lease: None,
        }
    }
}

/// How many sessions are looked at to see when they end.
const LOOKED_AT: usize = 65_536;

/// All sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    by_key: AddressMap<Session>,
    by_expiry: BTreeSet<(Timestamp, ClientKey)>,
    by_proof: HashMap<Box<str>, BTreeSet<ClientKey>>,
    /// How many are connected, by what their rights are.
    holding: [usize; Holding::COUNT],
}

impl Sessions {
    /// The session of this client.
    #[inline]
    #[must_use]
    pub fn of(&self, client: &Client<'_>) -> Option<&Session> {
        self.by_key.get(client.key().address()).filter(|session| session.is_of(client))
    }

    /// The session with this key, whoever has it.
    pub fn get_mut(&mut self, key: ClientKey) -> Option<&mut Session> {
        self.by_key.get_mut(key.address())
    }

    /// The session of this client, to be changed.
    pub fn of_mut(&mut self, client: &Client<'_>) -> Option<&mut Session> {
        self.by_key.get_mut(client.key().address()).filter(|session| session.is_of(client))
    }

    /// Puts a session in place of whatever the address stood for before.
    pub fn insert(&mut self, key: ClientKey, session: Session) {
        self.forget_expiry(key);
        self.forget_proofs(key);
        self.count_out(key);
        if let Some(grant) = session.grant() {
            self.by_expiry.insert((grant.expires, key));
        }
        for proof in &session.rests_on {
            self.by_proof.entry(proof.clone()).or_default().insert(key);
        }
        self.by_key.insert(key.address(), session);
        self.count_in(key);
    }

    /// The clients whose rights rest on this proof of TLS's.
    #[must_use]
    pub fn resting_on(&self, proof: &str) -> Vec<ClientKey> {
        self.by_proof.get(proof).into_iter().flatten().copied().collect()
    }

    /// Notes that a client's rights do not rest on TLS any more: it has brought a token of its own.
    pub fn forget_proofs(&mut self, key: ClientKey) {
        let Some(session) = self.by_key.get_mut(key.address()) else { return };
        for proof in std::mem::take(&mut session.rests_on) {
            if let Some(keys) = self.by_proof.get_mut(&proof) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.by_proof.remove(&proof);
                }
            }
        }
    }

    /// Gives a session another token's rights.
    pub fn replace_grant(&mut self, key: ClientKey, grant: Rc<Grant>, lease: Option<Lease>) {
        self.forget_expiry(key);
        self.count_out(key);
        if let Some(session) = self.by_key.get_mut(key.address()) {
            self.by_expiry.insert((grant.expires, key));
            session.rights = Rights::Token(grant);
            session.lease = lease;
        }
        self.count_in(key);
    }

    /// Gives a session other rights, which are not a token's.
    pub fn replace_rights(&mut self, key: ClientKey, rights: Rights) {
        self.forget_expiry(key);
        self.count_out(key);
        if let Some(session) = self.by_key.get_mut(key.address()) {
            session.rights = rights;
        }
        self.count_in(key);
    }

    /// Notes that a client is not there any more, though the broker has not told of it.
    pub fn give_up(&mut self, key: ClientKey) {
        self.count_out(key);
        if let Some(session) = self.by_key.get_mut(key.address()) {
            session.phase.set(Phase::Departed);
            session.lease = None;
        }
    }

    /// Notes that the client's connection has ended. Departed sessions stay, for Wills and for queued messages, until
    /// their address is used again: there are never more of them than clients were connected at a time.
    pub fn depart(&mut self, client: &Client<'_>, turn: u64) {
        let key = client.key();
        self.forget_expiry(key);
        self.forget_proofs(key);
        self.count_out(key);
        let Some(session) = self.by_key.get_mut(key.address()) else { return };
        session.lease = None;
        // What was noted of a client without rights is of no use any more.
        if session.is_of(client) && (!session.is_adopted || session.grant().is_some()) {
            session.phase.set(Phase::Departed);
            session.ended = Some(Ended { turn, connection: session.connection.take() });
        } else {
            self.by_key.remove(key.address());
        }
    }

    /// Forgets the session with this key.
    pub fn forget(&mut self, key: ClientKey) {
        self.forget_expiry(key);
        self.forget_proofs(key);
        self.count_out(key);
        self.by_key.remove(key.address());
    }

    /// Takes out of the order of expiry those whose token does not count any more, and gives their keys.
    pub fn take_expired(&mut self, now: Timestamp) -> Vec<ClientKey> {
        let mut expired = Vec::new();
        while let Some((expires, key)) = self.by_expiry.first().copied() {
            if now < expires {
                break;
            }
            self.by_expiry.pop_first();
            expired.push(key);
        }
        expired
    }

    /// The keys of those sessions whose token's rights are such.
    pub fn with_grant(&self, is_such: impl Fn(&Grant) -> bool) -> Vec<ClientKey> {
        let sessions = self.by_expiry.iter().filter_map(|(_, key)| Some((key, self.by_key.get(key.address())?)));
        sessions
            .filter(|(_, session)| session.grant().is_some_and(|grant| is_such(grant)))
            .map(|(key, _)| *key)
            .collect()
    }

    /// The sessions that rest on answers about such tokens. Looks at all sessions.
    #[must_use]
    pub fn with_lease(&self, is_such: impl Fn(TokenHash) -> bool) -> Vec<(ClientKey, TokenHash)> {
        let sessions = self.by_expiry.iter().filter_map(|(_, key)| Some((*key, self.by_key.get(key.address())?)));
        let leased = sessions.filter_map(|(key, session)| Some((key, session.lease.as_ref()?.token())));
        leased.filter(|(_, token)| is_such(*token)).collect()
    }

    /// How many sessions with a token there are whose clients are connected.
    #[must_use]
    pub fn with_token(&self) -> usize {
        self.by_expiry.len()
    }

    /// How many places for sessions there are: more than sessions.
    #[must_use]
    pub const fn places(&self) -> usize {
        self.by_key.places()
    }

    /// The sessions at these places, departed ones included. One that is there all the time is at one place, unless the table grows.
    pub fn at_places(&self, places: Range<usize>) -> impl Iterator<Item = (usize, &Session)> {
        self.by_key.at(places).map(|(place, _, session)| (place, session))
    }

    /// Looks at all sessions whose clients are connected.
    pub fn for_each_connected(&self, mut look: impl FnMut(ClientKey, &Session)) {
        let connected = self.by_key.at(0..self.places()).filter(|(_, _, session)| session.phase.get().is_connected());
        connected.for_each(|(_, address, session)| look(ClientKey::at(address), session));
    }

    /// How many clients are connected whose rights are such.
    #[must_use]
    pub fn holding(&self, rights: Holding) -> usize {
        self.holding.get(rights as usize).copied().unwrap_or_default()
    }

    /// How many sessions' tokens end before each of these points in time, which come in order. Beyond `LOOKED_AT` sessions, it is
    /// not looked further: there are at least as many.
    #[must_use]
    pub fn ending_before<const N: usize>(&self, bounds: [Timestamp; N]) -> [usize; N] {
        let mut ending = [0; N];
        let last = bounds.last().copied().unwrap_or(Timestamp::EPOCH);
        let soon = self.by_expiry.iter().map(|(expires, _)| *expires).take_while(|expires| *expires < last);
        for expires in soon.take(LOOKED_AT) {
            if let Some(number) = bounds.iter().position(|bound| expires < *bound).and_then(|at| ending.get_mut(at)) {
                *number += 1;
            }
        }
        let mut so_far = 0;
        ending.map(|number| {
            so_far += number;
            so_far
        })
    }

    /// How many sessions there are, departed ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.len() == 0
    }

    fn count_in(&mut self, key: ClientKey) {
        if let Some(number) = self.held_by(key).and_then(|holding| self.holding.get_mut(holding as usize)) {
            *number += 1;
        }
    }

    fn count_out(&mut self, key: ClientKey) {
        if let Some(number) = self.held_by(key).and_then(|holding| self.holding.get_mut(holding as usize)) {
            *number = number.saturating_sub(1);
        }
    }

    /// What a session counts as; `None` if its client has gone.
    fn held_by(&self, key: ClientKey) -> Option<Holding> {
        let session = self.by_key.get(key.address()).filter(|session| session.phase.get() != Phase::Departed)?;
        Some(match session.rights {
            Rights::Token(_) => Holding::Token,
            Rights::Public => Holding::Public,
            Rights::AuthzInfo => Holding::AuthzInfo,
            Rights::Foreign => Holding::Other,
        })
    }

    fn forget_expiry(&mut self, key: ClientKey) {
        if let Some(grant) = self.by_key.get(key.address()).and_then(Session::grant) {
            self.by_expiry.remove(&(grant.expires, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ace_profile::Fingerprint;
    use ace_profile::scope::{Matcher, Scope};

    fn with_token(expires: u64) -> Session {
        Session::for_test(Rights::Token(grant(expires)))
    }

    fn grant(expires: u64) -> Rc<Grant> {
        Rc::new(Grant {
            scope: Rc::default(),
            matcher: Rc::new(Matcher::new(&Scope::default())),
            expires: Timestamp::from_unix_seconds(expires),
            user_name: c"user".into(),
            identity: None,
            binding: None,
            fingerprint: Fingerprint::of(b"token"),
            origin: ace_resource_server::rights::Origin::for_test(),
        })
    }

    #[test]
    fn sessions_expire_in_order_and_once() {
        let mut sessions = Sessions::default();
        let keys: Vec<ClientKey> = (1..=4).map(|n| ClientKey::for_test(n * 64)).collect();
        for (key, expires) in keys.iter().zip([30, 10, 20, 10]) {
            sessions.insert(*key, with_token(expires));
        }
        assert_eq!(sessions.take_expired(Timestamp::from_unix_seconds(9)), []);
        assert_eq!(sessions.take_expired(Timestamp::from_unix_seconds(10)), [keys[1], keys[3]]);
        sessions.replace_grant(keys[2], grant(40), None);
        assert_eq!(sessions.take_expired(Timestamp::from_unix_seconds(30)), [keys[0]]);
        assert_eq!(sessions.take_expired(Timestamp::MAX), [keys[2]]);
    }

    #[test]
    fn sessions_are_counted_while_they_are_there() {
        let mut sessions = Sessions::default();
        let keys: Vec<ClientKey> = (1..=3).map(|n| ClientKey::for_test(n * 64)).collect();
        let counted = |sessions: &Sessions| Holding::ALL.iter().map(|it| sessions.holding(*it)).collect::<Vec<_>>();
        sessions.insert(keys[0], with_token(10));
        sessions.insert(keys[1], Session::for_test(Rights::Public));
        sessions.insert(keys[2], Session::for_test(Rights::Foreign));
        assert_eq!(counted(&sessions), [1, 1, 0, 1]);
        sessions.insert(keys[2], with_token(20));
        sessions.replace_grant(keys[1], grant(30), None);
        assert_eq!(counted(&sessions), [3, 0, 0, 0]);
        sessions.replace_rights(keys[1], Rights::AuthzInfo);
        sessions.give_up(keys[0]);
        sessions.forget(keys[0]);
        assert_eq!(counted(&sessions), [1, 0, 1, 0]);
        sessions.forget(keys[1]);
        sessions.insert(keys[2], with_token(40));
        assert_eq!(counted(&sessions), [1, 0, 0, 0]);
    }

    #[test]
    fn it_is_known_how_many_end_soon() {
        let mut sessions = Sessions::default();
        for (n, expires) in [(1, 5), (2, 10), (3, 19), (4, 20), (5, 300)] {
            sessions.insert(ClientKey::for_test(n * 64), with_token(expires));
        }
        let before = |bounds: [u64; 3]| sessions.ending_before(bounds.map(Timestamp::from_unix_seconds));
        assert_eq!(before([10, 20, 30]), [1, 3, 4]);
        assert_eq!(before([1, 2, 3]), [0, 0, 0]);
    }

    #[test]
    fn sessions_are_found_by_their_token() {
        let mut sessions = Sessions::default();
        let key = ClientKey::for_test(64);
        sessions.insert(key, with_token(10));
        sessions.insert(ClientKey::for_test(128), with_token(20));
        sessions.insert(ClientKey::for_test(192), Session::for_test(Rights::Public));
        assert_eq!(sessions.with_grant(|grant| grant.expires == Timestamp::from_unix_seconds(10)), [key]);
        assert_eq!(sessions.with_grant(|_| false), []);
    }

    #[test]
    fn an_address_that_is_used_again_forgets_the_old_expiry() {
        let mut sessions = Sessions::default();
        let key = ClientKey::for_test(64);
        sessions.insert(key, with_token(10));
        sessions.insert(key, with_token(20));
        assert_eq!(sessions.take_expired(Timestamp::from_unix_seconds(15)), []);
        sessions.insert(key, Session::for_test(Rights::Public));
        assert_eq!(sessions.take_expired(Timestamp::MAX), []);
        assert_eq!(sessions.len(), 1);
    }

    #[test]
    fn those_that_rest_on_a_proof_are_found_by_it() {
        let mut sessions = Sessions::default();
        let keys: Vec<ClientKey> = (1..=3).map(|n| ClientKey::for_test(n * 64)).collect();
        let resting = |proofs: &[&str]| Session {
            rests_on: proofs.iter().map(|proof| Box::from(*proof)).collect(),
            ..with_token(30)
        };
        for (key, proofs) in keys.iter().zip([&["key", "certificate"][..], &["key"], &[]]) {
            sessions.insert(*key, resting(proofs));
        }
        assert_eq!(sessions.resting_on("key"), [keys[0], keys[1]]);
        assert_eq!(sessions.resting_on("certificate"), [keys[0]]);
        sessions.insert(keys[0], resting(&[]));
        sessions.forget_proofs(keys[2]);
        assert_eq!(sessions.resting_on("key"), [keys[1]]);
        sessions.forget(keys[1]);
        assert!(sessions.resting_on("key").is_empty() && sessions.by_proof.is_empty());
        assert_eq!(sessions.take_expired(Timestamp::MAX), [keys[0], keys[2]]);
    }
}
