//! The last step of each way in: a proved token becomes a session.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::rc::Rc;

use ace_profile::Fingerprint;
use ace_profile::proof::ConfirmationKey;
use ace_profile::token::ValidatedToken;
use ace_resource_server::Reason;
use ace_resource_server::remote::Lease;
use ace_resource_server::rights::{Grant, Origin, scope_for};

use super::packets::{CONNACK_311_SERVER_UNAVAILABLE, ConnectReason, connack};
use crate::broker::tls::{self, Connection};
use crate::broker::{Client, Verdict, clock};
use crate::metrics::WayIn;
use crate::plugin::Plugin;
use crate::report;
use crate::session::{Phase, Publisher, Rights, Session};
use crate::state::Record;

/// A refusal with the token that it is about, for the log.
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) token: Option<Fingerprint>,
}

impl<R: Into<Reason>> From<R> for Refused {
    fn from(reason: R) -> Self {
        Self { reason: reason.into(), token: None }
    }
}

/// Adds the token's fingerprint to whatever refuses it.
pub(super) trait About<T> {
    fn about(self, token: Fingerprint) -> Result<T, Refused>;
}

impl<T, R: Into<Refused>> About<T> for Result<T, R> {
    fn about(self, token: Fingerprint) -> Result<T, Refused> {
        self.map_err(|refused| Refused { token: Some(token), ..refused.into() })
    }
}

/// How a client comes in.
pub(super) struct Entrance {
    /// For the log.
    pub(super) how: &'static str,
    /// Its connection, if it is known.
    pub(super) connection: Option<Connection>,
    /// What TLS has proved, if that is what its rights rest on.
    pub(super) rests_on: Box<[Box<str>]>,
    /// Whether it has its user name from the broker, which makes it of what TLS has proved, and does so again at a reload.
    pub(super) keeps_user_name: bool,
}

impl Entrance {
    /// By a token of its own, with a proof of its own.
    pub(super) fn new(how: &'static str, connection: Option<Connection>) -> Self {
        Self { how, connection, rests_on: Box::default(), keeps_user_name: false }
    }
}

impl Plugin {
    /// Turns the outcome of an attempt into the broker's verdict, and writes refusals down.
    pub(super) fn verdict(&self, client: &Client<'_>, way: WayIn, outcome: Result<Verdict, Refused>) -> Verdict {
        self.count_connection(way, &outcome);
        outcome.unwrap_or_else(|refused| {
            self.refused(client, &refused.reason, refused.token);
            Verdict::RefuseClient
        })
    }

    /// As [`Self::verdict`], for a CONNECT: a client that is refused is told where to get a token, if that is configured
    /// (RFC 9431 §2.4.1, rfc9431.md C9), and one whose token cannot be judged now, that it may come again. Where we cannot write
    /// to it, it gets the broker's CONNACK, without.
    pub(super) fn verdict_on_connect(
        &self,
        client: &Client<'_>,
        way: WayIn,
        outcome: Result<Verdict, Refused>,
    ) -> Verdict {
        self.count_connection(way, &outcome);
        outcome.unwrap_or_else(|refused| {
            self.refused(client, &refused.reason, refused.token);
            // One that is connected, and that the broker asks about after a reload, has sent nothing: it has none here.
            let is_told = self.tell_refusal(client, self.connection_of(client), &refused.reason);
            if is_told { Verdict::RefuseSilently } else { Verdict::RefuseClient }
        })
    }

    /// Writes the CONNACK that refuses a client, if it says something that the broker's would not. Whether it was written.
    pub(super) fn tell_refusal(&self, client: &Client<'_>, connection: Option<Connection>, reason: &Reason) -> bool {
        // A WebSocket's frames are the broker's.
        let Some(connection) = connection.filter(|_| !client.is_websocket()) else { return false };
        let hints = &self.configuration().as_hints;
        let reason = ConnectReason::of(reason);
        match (client.speaks_mqtt5(), reason) {
            (true, ConnectReason::NotAuthorized) if hints.is_empty() => false,
            (true, _) => connection.send(&connack(reason, hints)),
            // MQTT 3.1.1 has no properties.
            (false, ConnectReason::NotAuthorized) => false,
            (false, ConnectReason::ServerUnavailable) => connection.send(&CONNACK_311_SERVER_UNAVAILABLE),
        }
    }

    /// The TLS connection of the client whose packet is being handled.
    pub(super) fn connection_of(&self, client: &Client<'_>) -> Option<Connection> {
        tls::of_client(client, self.broker.is_2_1())
    }

    /// Checks a proof over the value that the TLS session exports (rfc9431.md C2, V1, V4).
    pub(super) fn prove_by_exporter(
        &self,
        key: &ConfirmationKey,
        connection: Option<&Connection>,
        proof: &[u8],
    ) -> Result<(), Reason> {
        let value = connection.ok_or(Reason::NoTls)?.export()?;
        Ok(key.verify(&value, proof)?)
    }

    /// Lets a client in with the rights of a token that it has proved to be its own.
    pub(super) fn admit(
        &self,
        client: &Client<'_>,
        token: &ValidatedToken,
        entrance: Entrance,
    ) -> Result<Verdict, Refused> {
        // Copied first: setting the user name can move what the broker keeps of the client.
        let client_id: Box<CStr> = client.id().ok_or(Reason::NoClientId)?.into();
        let (grant, lease) = self.grant(token, &client_id)?;
        if self.commands.would_overhear(&client_id, Some(&grant)) {
            return Err(Reason::ClientIdBusy).about(token.fingerprint);
        }
        let user_name: Box<CStr> = match client.user_name().filter(|_| entrance.keeps_user_name) {
            Some(given) => given.into(),
            None if client.set_user_name(&grant.user_name) => grant.user_name.as_c_str().into(),
            None => return Err(Reason::UserName).about(token.fingerprint),
        };
        self.remember(&client_id, &user_name, &grant, token);
        let session = Session {
            rests_on: entrance.rests_on,
            lease,
            ..self.session(client, client_id, Some(user_name), Rights::Token(grant), entrance.how, entrance.connection)
        };
        self.sessions.borrow_mut().insert(client.key(), session);
        self.take_up_arrivals();
        report::admitted(&self.broker, client, entrance.how, Some(token.fingerprint));
        Ok(Verdict::Allow)
    }

    /// Gives a connected client the rights of its new token, whole and at once (rfc9431.md E2).
    pub(super) fn renew(&self, client: &Client<'_>, token: &ValidatedToken) -> Result<Verdict, Refused> {
        let (grant, lease) = self.grant(token, client.id().ok_or(Reason::NoClientId)?)?;
        let mut sessions = self.sessions.borrow_mut();
        let session = sessions.of_mut(client).ok_or(Reason::NothingToRenew).about(token.fingerprint)?;
        let known = session.grant().ok_or(Reason::NothingToRenew).about(token.fingerprint)?;
        if known.identity.is_none() || known.identity != grant.identity {
            return Err(Reason::IdentityChanged).about(token.fingerprint);
        }
        session.denial_logged.set(false);
        let client_id = session.client_id.clone();
        let user_name = session.user_name.clone().unwrap_or_else(|| grant.user_name.as_c_str().into());
        sessions.replace_grant(client.key(), Rc::clone(&grant), lease);
        sessions.forget_proofs(client.key());
        drop(sessions);
        self.remember(&client_id, &user_name, &grant, token);
        self.take_up_arrivals();
        report::admitted(&self.broker, client, "re-authentication", Some(token.fingerprint));
        Ok(Verdict::Allow)
    }

    /// Notes a client that is let in without a token of its own, or left to other plugins.
    pub(super) fn insert_without_token(
        &self,
        client: &Client<'_>,
        rights: Rights,
        how: &'static str,
    ) -> Result<(), Refused> {
        let client_id: Box<CStr> = client.id().ok_or(Reason::NoClientId)?.into();
        if self.commands.would_overhear(&client_id, None) {
            return Err(Reason::ClientIdBusy.into());
        }
        let user_name = client.user_name().map(Into::into);
        let connection = self.connection_of(client);
        let session = self.session(client, client_id, user_name, rights, how, connection);
        self.sessions.borrow_mut().insert(client.key(), session);
        Ok(())
    }

    /// The rights that a token gives a client of this id, and what they rest on beside the token.
    pub(super) fn grant(
        &self,
        token: &ValidatedToken,
        client_id: &CStr,
    ) -> Result<(Rc<Grant>, Option<Lease>), Refused> {
        // The client may have taken its time to answer: whether the token still counts is looked at once more.
        let has_revoked = |origin: &Origin| self.remote.borrow().has_revoked(origin);
        let granted = Grant::for_client(token, client_id, clock::now(), has_revoked, &mut self.matchers.borrow_mut());
        let (grant, _) = granted.about(token.fingerprint)?;
        let lease = self.lease(token).about(token.fingerprint)?;
        Ok((Rc::new(grant), lease))
    }

    /// Notes a client's token, and what it may publish, for as long as the token is valid: both are asked about after the
    /// client has gone.
    pub(super) fn remember(&self, client_id: &CStr, user_name: &CStr, grant: &Grant, token: &ValidatedToken) {
        self.remember_publisher(client_id, user_name, grant, token);
        self.held.borrow_mut().hold(Rc::new(token.clone()), Some(client_id));
    }

    /// Notes what a client may publish, for its retained messages.
    pub(super) fn remember_publisher(&self, client_id: &CStr, user_name: &CStr, grant: &Grant, token: &ValidatedToken) {
        let (user_name, matcher) = (CString::from(user_name), Rc::clone(&grant.matcher));
        if let Some(state) = &self.state
            && let (Ok(name), Ok(user_name), Ok(scope)) =
                (client_id.to_str(), user_name.to_str(), scope_for(token, client_id))
        {
            state.remember(Record {
                client_id: name.into(),
                user_name: user_name.into(),
                expires: grant.expires,
                scope: scope.to_aif_value(),
                origin: grant.origin.clone(),
            });
        }
        self.publishers
            .borrow_mut()
            .insert(client_id, Publisher { user_name, matcher, expires: grant.expires, origin: grant.origin.clone() });
    }

    /// The session of a client that has just been let in.
    pub(super) fn session(
        &self,
        client: &Client<'_>,
        client_id: Box<CStr>,
        user_name: Option<Box<CStr>>,
        rights: Rights,
        how: &'static str,
        connection: Option<Connection>,
    ) -> Session {
        let speaks_mqtt5 = client.speaks_mqtt5();
        Session {
            client_id,
            user_name,
            rights,
            address: client.address().and_then(|address| address.to_str().ok()?.parse().ok()),
            how,
            since: clock::now(),
            phase: Cell::new(Phase::Connected),
            connection,
            takes_disconnect: speaks_mqtt5 && !client.is_websocket(),
            speaks_mqtt5,
            turn: self.turn.get(),
            denial_logged: Cell::new(false),
            rests_on: Box::default(),
            farewell: Cell::default(),
            is_adopted: false,
            ended: None,
            lease: None,
        }
    }
}
