//! `EXT_AUTH_START` and `EXT_AUTH_CONTINUE`: clients that use the Authentication Method of MQTT 5 (RFC 9431 §2.2.4).

use ace_profile::connect::{AuthenticationData, ChallengeAnswer, METHOD};
use ace_profile::limits::NONCE_BYTES;
use ace_profile::proof::challenge_message;
use ace_profile::random::{Random, SystemRandom};
use ace_profile::token::{Confirmation, ValidatedToken};
use ace_resource_server::Reason;

use super::admission::{About, Entrance, Refused};
use super::challenges::{Challenge, Challenged};
use super::packets::{ConnectReason, DISCONNECT_NOT_AUTHORIZED, DISCONNECT_SERVER_BUSY, connack};
use super::tls_identity::is_named_by_tls;
use super::waiting::{Judged, Pending};
use crate::broker::tls::Connection;
use crate::broker::{Client, ExtendedAuth, Verdict, clock};
use crate::metrics::{End, WayIn};
use crate::plugin::Plugin;
use crate::session::Phase;

impl Plugin {
    pub(crate) fn on_extended_auth_start(&self, event: &ExtendedAuth<'_>) -> Verdict {
        if event.method != Some(METHOD.as_bytes()) {
            if self.has_raw_key(&event.client) {
                return self.verdict(&event.client, WayIn::RawKey, Err(Reason::RawKeyWithoutToken.into()));
            }
            // Another plugin's, or nobody's: then the broker answers 0x8C, Bad authentication method.
            return Verdict::Defer;
        }
        self.follow_remote_without_ticks();
        let connection = self.connection_of(&event.client);
        let reauthentication = self.is_reauthentication(&event.client, connection.as_ref());
        let way = way_of(event.data, reauthentication);
        let outcome = self.start_authentication(event, connection, way);
        if reauthentication {
            self.tell_outcome(&event.client, connection.as_ref(), way, outcome)
        } else {
            self.verdict_on_connect(&event.client, way, outcome)
        }
    }

    pub(crate) fn on_extended_auth_continue(&self, event: &ExtendedAuth<'_>) -> Verdict {
        let challenge = self.challenges.borrow_mut().take(&event.client);
        match challenge {
            Some(challenge) => {
                let way = challenge.way;
                let connection = self.connection_of(&event.client);
                let outcome = self.finish_authentication(event, challenge, connection);
                self.tell_outcome(&event.client, connection.as_ref(), way, outcome)
            }
            None if event.method.is_some_and(|method| method != METHOD.as_bytes()) => Verdict::Defer,
            None if self.ends_by_stray_answer(&event.client) => Verdict::Continue,
            None => self.verdict(&event.client, WayIn::Challenge, Err(Reason::NoChallenge.into())),
        }
    }

    /// As [`Self::verdict`], but the client is told of a refusal by us, where a packet can be written to it.
    ///
    /// What the broker says by itself is not always what MQTT asks for: from 2.0.12 on, it puts a DISCONNECT 0x82, Protocol
    /// error, behind the CONNACK that refuses an answer; and 2.0.11 refuses a re-authentication by a CONNACK.
    fn tell_outcome(
        &self,
        client: &Client<'_>,
        connection: Option<&Connection>,
        way: WayIn,
        outcome: Result<Verdict, Refused>,
    ) -> Verdict {
        self.count_connection(way, &outcome);
        let reauthentication = way == WayIn::Reauthentication;
        outcome.unwrap_or_else(|refused| {
            self.refused(client, &refused.reason, refused.token);
            let packet = match (ConnectReason::of(&refused.reason), reauthentication) {
                (reason, false) => connack(reason, &self.configuration().as_hints),
                (ConnectReason::NotAuthorized, true) => DISCONNECT_NOT_AUTHORIZED.into(),
                (ConnectReason::ServerUnavailable, true) => DISCONNECT_SERVER_BUSY.into(),
            };
            let is_told = !client.is_websocket() && connection.is_some_and(|known| known.send(&packet));
            if is_told { Verdict::RefuseSilently } else { Verdict::RefuseClient }
        })
    }

    /// Ends the session of a connected client that sends an answer without having been challenged; `false` if it is not
    /// connected.
    ///
    /// Mosquitto lets an AUTH packet without a reason code through at any time, and takes it for a part of the first
    /// authentication. To refuse that makes it drop the client's id, while its table of clients still leads from the id to
    /// the client: it crashes or hangs at the next look into that table. So it is told to go on, and the client is
    /// disconnected with the next turn of its loop.
    fn ends_by_stray_answer(&self, client: &Client<'_>) -> bool {
        let sessions = self.sessions.borrow();
        let Some(session) = sessions.of(client).filter(|session| session.phase.get().is_connected()) else {
            return false;
        };
        if session.phase.get() == Phase::Connected {
            session.phase.set(Phase::Ending);
            self.endings.borrow_mut().push(client.key());
            self.counters.end(End::StrayAnswer);
            let token = session.grant().map(|grant| grant.fingerprint);
            self.refused(client, &Reason::NoChallenge, token);
        }
        true
    }

    fn start_authentication(
        &self,
        event: &ExtendedAuth<'_>,
        connection: Option<Connection>,
        way: WayIn,
    ) -> Result<Verdict, Refused> {
        let client = &event.client;
        let reauthentication = way == WayIn::Reauthentication;
        // After a successful authentication the user name is the one that we have set.
        // Some listeners have the broker make one of what TLS has proved.
        if !reauthentication && client.user_name().is_some_and(|name| !is_named_by_tls(client, name)) {
            return Err(Reason::UserNameWithMethod.into());
        }
        match AuthenticationData::parse(event.data).map_err(Reason::from)? {
            AuthenticationData::WithProof { .. } if reauthentication => Err(Reason::ProofInReauthentication.into()),
            AuthenticationData::WithProof { token, proof } => {
                let token = self.judge_now(token)?;
                let key = token.key_for_proof().about(token.fingerprint)?;
                let key = key.ok_or(Reason::ProofWithoutKey).about(token.fingerprint)?;
                self.prove_by_exporter(key, connection.as_ref(), proof).about(token.fingerprint)?;
                self.complete(client, &token, false, Entrance::new("exporter proof", connection))
            }
            AuthenticationData::Challenge { token } => {
                let judged = self.judge(token)?;
                self.token_alone(event, judged, connection, way)
            }
            // The proof makes the client id, which anybody can say, harmless.
            AuthenticationData::StoredToken => {
                let client_id = client.id().ok_or(Reason::NoClientId)?;
                let held = self.held.borrow().of_client(client_id, clock::now());
                let token = held.ok_or(Reason::NoTokenHeld)?;
                let judged = self.judge_again(&token)?;
                self.token_alone(event, judged, connection, way)
            }
        }
    }

    /// A token without a proof: it is asked for, if the token has a key, or may have one.
    fn token_alone(
        &self,
        event: &ExtendedAuth<'_>,
        token: Judged,
        connection: Option<Connection>,
        way: WayIn,
    ) -> Result<Verdict, Refused> {
        let client = &event.client;
        let reauthentication = way == WayIn::Reauthentication;
        let token = match token {
            Judged::Good(token) => token,
            Judged::Later(pending) => match self.hold_back(connection, pending) {
                Ok(pending) => {
                    let about = pending.fingerprint();
                    let token = Challenged::Pending(pending);
                    return self.challenge(event, token, connection, way).about(about);
                }
                Err(pending) => self.wait_for(pending)?,
            },
        };
        match &token.confirmation {
            Confirmation::Key(_) => {
                let about = token.fingerprint;
                self.challenge(event, Challenged::Good(token), connection, way).about(about)
            }
            Confirmation::Certificate(_) | Confirmation::Thumbprint(_) => {
                self.prove_by_tls(client, &token).about(token.fingerprint)?;
                self.complete(client, &token, reauthentication, Entrance::by_tls(&token, connection))
            }
            Confirmation::Bearer => {
                self.complete(client, &token, reauthentication, Entrance::new("bearer token", connection))
            }
        }
    }

    /// Has the client's answer wait until the token can be judged. Gives the token back if that cannot be done.
    fn hold_back(&self, connection: Option<Connection>, pending: Pending) -> Result<Pending, Pending> {
        let is_held_back = self.has_ticks() && connection.is_some_and(|connection| connection.hold_input_back());
        if is_held_back { Ok(pending) } else { Err(pending) }
    }

    /// Whether the client has authenticated on this connection before.
    fn is_reauthentication(&self, client: &Client<'_>, connection: Option<&Connection>) -> bool {
        let sessions = self.sessions.borrow();
        sessions.of(client).is_some_and(|session| {
            session.phase.get().is_connected()
                && match (&session.connection, connection) {
                    (Some(known), Some(now)) => known.is_same(now),
                    (None, None) => true,
                    _ => false,
                }
        })
    }

    fn challenge(
        &self,
        event: &ExtendedAuth<'_>,
        token: Challenged,
        connection: Option<Connection>,
        way: WayIn,
    ) -> Result<Verdict, Reason> {
        let client_id = event.client.id().ok_or(Reason::NoClientId)?.into();
        let mut nonce = [0; NONCE_BYTES];
        SystemRandom.fill(&mut nonce).map_err(|_| Reason::Resources)?;
        if !event.answer(&nonce) {
            return Err(Reason::Resources);
        }
        let lease = match &token {
            Challenged::Good(token) => self.lease(token)?,
            Challenged::Refused(_) | Challenged::Pending(_) => None,
        };
        let sent = clock::now();
        let reauthentication = way == WayIn::Reauthentication;
        let challenge = Challenge { client_id, nonce, token, connection, sent, lease, reauthentication, way };
        self.challenges.borrow_mut().open(event.client.key(), challenge);
        Ok(Verdict::Continue)
    }

    fn finish_authentication(
        &self,
        event: &ExtendedAuth<'_>,
        challenge: Challenge,
        connection_now: Option<Connection>,
    ) -> Result<Verdict, Refused> {
        let Challenge { nonce, token, connection, reauthentication, .. } = challenge;
        let token = match token {
            // Its server may say something else by now.
            Challenged::Good(token) => match self.judge_again(&token)? {
                Judged::Good(token) => token,
                Judged::Later(pending) => return Err(Reason::ServerUnavailable).about(pending.fingerprint()),
            },
            Challenged::Refused(refused) => return Err(refused),
            // It came through all the same: the client has ended its half of the connection, or has sent more than an answer.
            Challenged::Pending(pending) => return Err(Reason::ServerUnavailable).about(pending.fingerprint()),
        };
        let same_connection = match (&connection, &connection_now) {
            (Some(then), Some(now)) => then.is_same(now),
            (None, None) => true,
            _ => false,
        };
        if !same_connection {
            return Err(Reason::OtherConnection).about(token.fingerprint);
        }
        let answer = ChallengeAnswer::parse(event.data).map_err(Reason::from).about(token.fingerprint)?;
        let client = &event.client;
        match &token.confirmation {
            Confirmation::Key(key) => {
                let message = challenge_message(&nonce, &answer.client_nonce);
                key.verify(&message, answer.proof).map_err(Reason::from).about(token.fingerprint)?;
            }
            // When the challenge went out, it was not known yet what the token is bound to.
            Confirmation::Certificate(_) | Confirmation::Thumbprint(_) => {
                self.prove_by_tls(client, &token).about(token.fingerprint)?;
                return self.complete(client, &token, reauthentication, Entrance::by_tls(&token, connection));
            }
            Confirmation::Bearer => {}
        }
        self.complete(client, &token, reauthentication, Entrance::new("challenge", connection))
    }

    fn complete(
        &self,
        client: &Client<'_>,
        token: &ValidatedToken,
        reauthentication: bool,
        entrance: Entrance,
    ) -> Result<Verdict, Refused> {
        if reauthentication {
            return self.renew(client, token);
        }
        // If it has a user name, that was found to be one that the broker has made.
        self.admit(client, token, Entrance { keeps_user_name: client.user_name().is_some(), ..entrance })
    }
}

/// How a client comes that sends this.
fn way_of(data: &[u8], reauthentication: bool) -> WayIn {
    match AuthenticationData::parse(data) {
        _ if reauthentication => WayIn::Reauthentication,
        Ok(AuthenticationData::WithProof { .. }) => WayIn::Exporter,
        Ok(AuthenticationData::Challenge { .. }) => WayIn::Challenge,
        Ok(AuthenticationData::StoredToken) => WayIn::Held,
        Err(_) => WayIn::Unreadable,
    }
}
