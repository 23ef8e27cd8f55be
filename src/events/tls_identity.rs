//! What TLS has proved about a client gives it the rights of a token that is held (RFC 9431 §2.2.3, rfc9431.md L2 to L4).
//!
//! Such a client brings nothing in CONNECT. Either the broker asks us about it all the same, by `BASIC_AUTH` without user name and
//! password; or, on a listener with `use_identity_as_username` or `use_subject_as_username`, it lets the client in by itself, and
//! the first that we hear of it is what it does. Then only what is proved by the client's own address counts: the connection
//! that was read last may be another's, whose message this client is about to be given.

use std::ffi::CStr;
use std::rc::Rc;

use ace_profile::jose::Jwk;
use ace_profile::token::{CertificateThumbprint, Confirmation, ValidatedToken};
use ace_profile::{Quoted, Refusal, Timestamp};
use ace_resource_server::Reason;
use ace_resource_server::config::OtherClients;

use super::admission::{About, Entrance, Refused};
use super::delayed::Form;
use super::waiting::Judged;
use crate::broker::tls::{self, Connection, OfferedPsk, PeerCertificate};
use crate::broker::{Client, Level, Verdict, clock};
use crate::metrics::{Outcome, WayIn};
use crate::plugin::Plugin;
use crate::report;
use crate::session::{Phase, Rights, Session};

/// What TLS has proved about a client.
struct Proved {
    /// The names of what is proved, by which tokens are found.
    names: Box<[Box<str>]>,
    /// The pre-shared key.
    psk: Option<OfferedPsk>,
    /// Whether it is a raw public key.
    has_raw_key: bool,
    /// The connection, where it is known for certain.
    connection: Option<Connection>,
}

impl Proved {
    /// Whether the token is bound to what is proved: when it was judged again, its server may have said something else than before.
    fn is_for(&self, token: &ValidatedToken) -> bool {
        token.binding().is_some_and(|binding| self.names.iter().any(|name| **name == *binding))
    }

    const fn way(&self) -> WayIn {
        match (&self.psk, self.has_raw_key) {
            (Some(_), _) => WayIn::Psk,
            (None, true) => WayIn::RawKey,
            (None, false) => WayIn::Certificate,
        }
    }

    /// For the log.
    const fn how(&self) -> &'static str {
        match (&self.psk, self.has_raw_key) {
            (Some(_), _) => "TLS-PSK",
            (None, true) => "raw public key",
            (None, false) => "client certificate",
        }
    }
}

impl Entrance {
    /// By a token of its own, which is bound to the certificate, or to the key, that the client has shown in its handshake.
    pub(super) fn by_tls(token: &ValidatedToken, connection: Option<Connection>) -> Self {
        let rests_on = token.binding().map(Into::into).into_iter().collect();
        let how = match token.confirmation {
            Confirmation::Thumbprint(_) => "token for the key of its TLS handshake",
            _ => "token for its certificate",
        };
        Self { rests_on, ..Self::new(how, connection) }
    }
}

impl Plugin {
    /// Judges a client that brings nothing in CONNECT by what TLS has proved. `None` if that is nothing that a token is held
    /// for.
    pub(super) fn by_tls(&self, client: &Client<'_>) -> Option<Result<Verdict, Refused>> {
        let token = self.token_for(&proved_of(client)?)?;
        let judged = self.judge_again(&token);
        Some(judged.and_then(|judged| self.prove_judged(client, judged, &Form::Tls, self.connection_of(client))))
    }

    /// How a client comes that brings nothing in CONNECT.
    pub(super) fn way_by_tls(&self, client: &Client<'_>) -> WayIn {
        proved_of(client).map_or(WayIn::Anonymous, |proved| proved.way())
    }

    /// Lets a client in by a good token for what TLS has proved.
    pub(super) fn admit_by_tls(&self, client: &Client<'_>, token: &ValidatedToken) -> Result<Verdict, Refused> {
        let proved = proved_of(client).ok_or(Reason::NoTls).about(token.fingerprint)?;
        proved.is_for(token).then_some(()).ok_or(Reason::IdentityChanged).about(token.fingerprint)?;
        let how = proved.how();
        let connection = proved.connection.or_else(|| self.connection_of(client));
        let entrance = Entrance { how, connection, rests_on: proved.names, keeps_user_name: false };
        self.admit(client, token, entrance)
    }

    /// Whether the client came with a raw public key, where others must show a certificate: it is let in by a token only. To refuse
    /// it, what was read last is good enough.
    pub(super) fn has_raw_key(&self, client: &Client<'_>) -> bool {
        let connection = tls::proved_of_client(client).or_else(|| self.connection_of(client));
        connection.is_some_and(|connection| connection.raw_public_key().is_some())
    }

    /// Whether the client has shown the certificate that its token is bound to (RFC 8705 §3), or has proved the key of the thumbprint
    /// that stands in its token (RFC 9449 §6.1).
    pub(super) fn prove_by_tls(&self, client: &Client<'_>, token: &ValidatedToken) -> Result<(), Reason> {
        let (is_shown, otherwise) = match &token.confirmation {
            Confirmation::Certificate(expected) => {
                let shown = PeerCertificate::of_client(client).and_then(|certificate| certificate.der());
                let is_shown = shown.is_some_and(|der| CertificateThumbprint::of(&der) == *expected);
                (is_shown, Reason::CertificateMismatch)
            }
            Confirmation::Thumbprint(expected) => {
                let proved = proved_of(client).filter(|proved| proved.psk.is_none());
                let is_shown =
                    proved.is_some_and(|proved| proved.names.iter().any(|name| **name == *expected.as_str()));
                (is_shown, Refusal::ShownKeyMissing.into())
            }
            Confirmation::Key(_) | Confirmation::Bearer => (false, Reason::CertificateMismatch),
        };
        is_shown.then_some(()).ok_or(otherwise)
    }

    /// Makes a session of a client that the broker has let in by TLS alone. `false` if TLS has proved nothing about it.
    ///
    /// One that no token is held for gets a session, too, with the rights of everybody: finding that out is not cheap, and each
    /// of its messages would ask for it anew. When a token comes, the session gets its rights.
    pub(crate) fn adopt(&self, client: &Client<'_>, is_to_be_told: bool) -> bool {
        // The stand-in for the publisher of a retained message has neither address nor connection.
        let (Some(client_id), Some(user_name), Some(_)) = (client.id(), client.user_name(), client.address()) else {
            return false;
        };
        let Some(proved) = proved_of(client) else { return false };
        let (client_id, user_name): (Box<CStr>, Box<CStr>) = (client_id.into(), user_name.into());
        let token = self.token_for(&proved).and_then(|token| self.token_now(&token));
        let token = token.filter(|token| proved.is_for(token));
        let mut lease = None;
        let rights = match token.as_deref().map(|token| (token, self.grant(token, &client_id))) {
            Some((token, Ok((grant, by)))) => {
                lease = by;
                self.remember(&client_id, &user_name, &grant, token);
                if is_to_be_told {
                    self.counters.connection(proved.way(), Outcome::Admitted);
                    report::admitted(&self.broker, client, proved.how(), Some(token.fingerprint));
                }
                Rights::Token(grant)
            }
            Some((_, Err(refused))) => {
                self.counters.connection(proved.way(), Outcome::Refused);
                self.refused(client, &refused.reason, refused.token);
                self.rights_of_others()
            }
            None => self.rights_of_others(),
        };
        let how = proved.how();
        let session = Session {
            rests_on: proved.names,
            is_adopted: true,
            lease,
            ..self.session(client, client_id, Some(user_name), rights, how, proved.connection)
        };
        self.sessions.borrow_mut().insert(client.key(), session);
        self.take_up_arrivals();
        true
    }

    /// A token that is held, if it can be judged at once. Otherwise it comes anew when it can, for all sessions that rest on it.
    fn token_now(&self, token: &ValidatedToken) -> Option<Box<ValidatedToken>> {
        match self.judge_again(token) {
            Ok(Judged::Good(token)) => Some(token),
            Ok(Judged::Later(pending)) => {
                let _ = self.expect_token(pending, None);
                None
            }
            Err(_) => None,
        }
    }

    /// Gives sessions that rest on TLS the rights of the tokens that have come for them meanwhile.
    pub(crate) fn take_up_arrivals(&self) {
        for token in self.arrivals.take() {
            self.token_arrived(&token);
        }
    }

    /// A newer token for the same key takes the older one's place in the sessions that rest on the key, too (RFC 9202 §4; the
    /// holder must be the same, as in a re-authentication).
    fn token_arrived(&self, token: &ValidatedToken) {
        let Some(name) = token.binding() else { return };
        let keys = self.sessions.borrow().resting_on(&name);
        if keys.is_empty() {
            return;
        }
        for key in keys {
            let Some(client_id) = self.sessions.borrow_mut().get_mut(key).map(|session| session.client_id.clone())
            else {
                continue;
            };
            let (grant, lease) = match self.grant(token, &client_id) {
                Ok(granted) => granted,
                Err(refused) => {
                    let (id, reason) = (client_id.to_string_lossy(), &refused.reason);
                    let line = format!(
                        "ace: client {} does not have the rights of its newer token: {}: {reason} (token {})",
                        Quoted::new(&id),
                        reason.code(),
                        token.fingerprint
                    );
                    self.broker.log(Level::Notice, &line);
                    continue;
                }
            };
            let mut sessions = self.sessions.borrow_mut();
            let Some(session) = sessions.get_mut(key).filter(|session| session.phase.get() == Phase::Connected) else {
                continue;
            };
            let is_for_it = match session.grant() {
                Some(known) if known.fingerprint == grant.fingerprint => false,
                Some(known) => known.identity.is_some() && known.identity == grant.identity,
                None => true,
            };
            let Some(user_name) = session.user_name.clone().filter(|_| is_for_it) else { continue };
            session.denial_logged.set(false);
            sessions.replace_grant(key, Rc::clone(&grant), lease);
            drop(sessions);
            self.remember_publisher(&client_id, &user_name, &grant, token);
            let id = client_id.to_string_lossy();
            let line = format!(
                "ace: client {} has the rights of its newer token (token {})",
                Quoted::new(&id),
                token.fingerprint
            );
            self.broker.log(Level::Info, &line);
        }
    }

    /// Whether a client whose session has ended is connected: another one, of the same id and user name and at the same address,
    /// which the broker has let in without asking us.
    pub(super) fn is_back(&self, client: &Client<'_>) -> bool {
        let sessions = self.sessions.borrow();
        let Some(session) = sessions.of(client) else { return false };
        let ended = session.ended.and_then(|ended| ended.connection).or(session.connection);
        match tls::proved_of_client(client) {
            Some(connection) => !ended.is_some_and(|ended| ended.is_same(&connection)),
            // Its Will is asked about in the turn in which the connection ends. It takes the broker's loop another one to make a
            // new client at that address. Mosquitto 2.0.11 does not let us see the turns with `per_listener_settings`.
            None => {
                let turn = self.turn.get();
                session.ended.is_some_and(|ended| ended.turn != turn || turn == 0)
                    && PeerCertificate::of_client(client).is_some()
            }
        }
    }

    fn rights_of_others(&self) -> Rights {
        match self.configuration().other_clients {
            OtherClients::Refuse => Rights::Public,
            OtherClients::Defer => Rights::Foreign,
        }
    }

    /// The token for what TLS has proved: the newest one.
    fn token_for(&self, proved: &Proved) -> Option<Rc<ValidatedToken>> {
        let offered = proved.psk.as_ref().map(|psk| &psk.token);
        if proved.psk.as_ref().is_some_and(|psk| psk.is_brought) {
            return offered.cloned();
        }
        let held = self.held.borrow();
        let tokens = proved.names.iter().filter_map(|name| held.of_key(name, clock::now()));
        let longest = tokens.max_by_key(|token| token.expires.unwrap_or(Timestamp::MAX));
        // One that has been pushed out since still counts, as long as it is valid.
        longest.or_else(|| offered.cloned())
    }
}

fn proved_of(client: &Client<'_>) -> Option<Proved> {
    let connection = tls::proved_of_client(client);
    if let Some(psk) = connection.and_then(|connection| connection.proved_psk()) {
        let name = psk.token.binding()?;
        return Some(Proved { names: [name.into()].into(), psk: Some(psk), has_raw_key: false, connection });
    }
    if let Some(spki) = connection.and_then(|connection| connection.raw_public_key()) {
        let name = Jwk::from_spki(&spki).ok()?.thumbprint();
        return Some(Proved { names: [name.into()].into(), psk: None, has_raw_key: true, connection });
    }
    let certificate = PeerCertificate::of_client(client)?;
    let thumbprint = certificate.der().map(|der| CertificateThumbprint::of(&der).name());
    let key = certificate.public_key_der().and_then(|der| Jwk::from_spki(&der).ok()).map(|key| key.thumbprint());
    let names = thumbprint.into_iter().chain(key).map(Into::into).collect();
    Some(Proved { names, psk: None, has_raw_key: false, connection: connection.or_else(|| certificate.connection()) })
}

/// Whether the client has this user name from the broker, which has made it of what TLS has proved.
pub(super) fn is_named_by_tls(client: &Client<'_>, name: &CStr) -> bool {
    let psk = tls::proved_of_client(client).and_then(|connection| connection.proved_psk());
    match psk {
        Some(psk) => *psk.identity == *name.to_bytes(),
        None => PeerCertificate::of_client(client).is_some_and(|certificate| certificate.gives_user_name(name)),
    }
}
