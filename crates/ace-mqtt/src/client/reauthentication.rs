//! A fresh token for a connection that is there already (MQTT 5 §4.12.1, RFC 9431 §4): AUTH 0x19 with the token, the broker's
//! challenge, the answer, AUTH 0x00. Never a proof over the exporter's value, which stays the same as long as the connection does.
//!
//! MQTT lets both sides send other packets meanwhile. Mosquitto (2.0 and 2.1) does not: between AUTH 0x19 and AUTH 0x00 it takes every packet but
//! AUTH and DISCONNECT for a protocol error. So what this client has to send is held back until the broker has decided; what
//! the broker sends is handled as ever.

use std::time::Instant;

use ace_profile::connect::METHOD;
use mqtt_protocol_core::mqtt::result_code::AuthReasonCode;

use super::Client;
use crate::{
    authentication,
    credentials::Credentials,
    error::{Error, Result},
    outgoing,
    reason::Version,
};

const STEP: &str = "waiting for the broker's answer to the re-authentication";
/// Packets held back at most. An honest broker has at most [`super::RECEIVE_MAXIMUM`] messages under way to us.
const HELD_BACK: usize = 1_000;

/// A re-authentication that the broker has not decided yet.
pub(super) struct Reauthentication {
    credentials: Credentials,
    /// Whether the broker has sent its challenge: there is one.
    challenged: bool,
    pub(super) deadline: Instant,
    held_back: Vec<Vec<u8>>,
}

impl Client {
    /// Replaces the connection's token by a fresh one, and waits until the broker has accepted it. The fresh token's scope and lifetime hold
    /// from then on. Messages that arrive meanwhile wait for [`Client::receive`]. Mosquitto itself holds back what comes for this client in between, and
    /// sends it with the next message, or at once after [`Client::subscribe`] to a filter that is subscribed already.
    ///
    /// The token must be for the same subject; its key may be another one.
    ///
    /// # Errors
    /// [`Error::Invalid`] on MQTT 3.1.1 and for connections without the authentication method "ace" (both can only connect anew), and for
    /// credentials without a token: nothing has been sent. [`Error::ReauthenticationRefused`] if the broker says so,
    /// [`Error::Tls`] if the token is for another broker than this, otherwise as [`Client::receive`]: the connection is over.
    pub fn reauthenticate(&mut self, credentials: &Credentials) -> Result<()> {
        self.start_reauthentication(credentials)?;
        self.finish_reauthentication()
    }

    /// The same without waiting. The exchange goes on in [`Client::receive`] and every other method that waits for the broker, and a refusal is
    /// their error. Methods that send something wait for its end first.
    ///
    /// # Errors
    /// As [`Client::reauthenticate`].
    pub fn start_reauthentication(&mut self, credentials: &Credentials) -> Result<()> {
        if self.link.version() == Version::V311 {
            return Err(Error::Invalid(
                "MQTT 3.1.1 has no re-authentication: use MQTT 5, or connect anew with the fresh token".to_owned(),
            ));
        }
        if !self.uses_method {
            return Err(Error::Invalid(
                "only a connection with the authentication method \"ace\" (exporter, challenge or stored token) can be re-authenticated: \
                 connect anew with the fresh token"
                    .to_owned(),
            ));
        }
        self.finish_reauthentication()?;
        let data = authentication::reauthentication_data(credentials)?;
        if let Some(key) = credentials.broker_key() {
            // Before the token is shown to whoever this is.
            self.link.channel().check_key(key)?;
        }
        let packet = outgoing::auth(AuthReasonCode::ReAuthenticate, METHOD, &data)?;
        let deadline = self.link.response_deadline();
        self.reauthentication = Some(Reauthentication {
            credentials: credentials.clone(),
            challenged: false,
            deadline,
            held_back: Vec::new(),
        });
        self.link.hold_pings(true);
        let sent = self.link.send_before("sending the fresh token", &packet, deadline);
        sent.map_err(|error| self.explain_end(error))
    }

    /// Whether the broker has not decided yet on the token of [`Client::start_reauthentication`].
    #[must_use]
    pub fn is_reauthenticating(&self) -> bool {
        self.reauthentication.is_some()
    }

    /// Waits for the broker's decision, if one is due.
    pub(super) fn finish_reauthentication(&mut self) -> Result<()> {
        while let Some(deadline) = self.reauthentication.as_ref().map(|open| open.deadline) {
            self.advance(STEP, deadline)?;
        }
        Ok(())
    }

    /// AUTH from the broker.
    pub(super) fn on_auth(&mut self, step: &'static str, reason: u8, method: Option<&str>, data: &[u8]) -> Result<()> {
        let Some(open) = &mut self.reauthentication else {
            return Err(self.link.broken(step, "an AUTH that was not asked for".to_owned()));
        };
        if method != Some(METHOD) {
            return Err(self.link.broken(STEP, "an AUTH with another authentication method".to_owned()));
        }
        if reason == AuthReasonCode::Success as u8 {
            return self.accepted_again();
        }
        if reason != AuthReasonCode::ContinueAuthentication as u8 || open.challenged {
            return Err(self.link.broken(STEP, "an AUTH that was not asked for".to_owned()));
        }
        open.challenged = true;
        let answer = match authentication::answer_challenge(Some(&open.credentials), data) {
            Ok(answer) => answer,
            Err(Error::Protocol { what, .. }) => return Err(self.link.broken(STEP, what)),
            Err(other) => {
                self.link.close();
                return Err(other);
            }
        };
        let packet = outgoing::auth(AuthReasonCode::ContinueAuthentication, METHOD, &answer)?;
        self.link.send_before("answering the broker's challenge", &packet, open.deadline)
    }

    /// AUTH 0x00: what has been held back goes out.
    fn accepted_again(&mut self) -> Result<()> {
        let held_back = self.reauthentication.take().map(|open| open.held_back).unwrap_or_default();
        self.link.hold_pings(false);
        held_back.iter().try_for_each(|packet| self.link.send("sending what was held back", packet))
    }

    /// Sends a packet, or holds it back until the broker has decided.
    pub(super) fn send(&mut self, step: &'static str, packet: &[u8]) -> Result<()> {
        let Some(open) = &mut self.reauthentication else {
            return self.link.send(step, packet);
        };
        if open.held_back.len() >= HELD_BACK {
            return Err(self.link.broken(STEP, "more packets than can be kept".to_owned()));
        }
        open.held_back.push(packet.to_vec());
        Ok(())
    }

    /// The broker has taken longer than it may.
    pub(super) fn reauthentication_is_late(&mut self) -> Option<Error> {
        let open = self.reauthentication.as_ref()?;
        if Instant::now() < open.deadline {
            return None;
        }
        self.link.close();
        Some(Error::Timeout(STEP))
    }

    /// A connection that the broker ends while it has a fresh token to decide on ends because of that token.
    pub(super) fn explain_end(&mut self, error: Error) -> Error {
        match error {
            Error::Disconnected { reason, detail } if self.reauthentication.is_some() && reason.is_not_authorized() => {
                self.reauthentication = None;
                Error::ReauthenticationRefused { reason, detail }
            }
            other => other,
        }
    }
}
