//! Authentications that the broker has put off (`MOSQ_ERR_AUTH_DELAYED`, since 2.1): clients without Authentication Method whose
//! token cannot be judged yet.
//!
//! The broker completes an authentication by the client id alone, and tells nothing of a client that leaves while it waits. So an
//! attempt is known by its connection: it is completed only while that is alive and still leads to the client that began it. The
//! broker has one such client of an id at a time, which then is this one.

use std::ffi::CStr;

use ace_profile::connect::{Draft00, PasswordBytes};
use ace_profile::token::ValidatedToken;
use zeroize::Zeroizing;

use super::admission::Refused;
use super::waiting::Pending;
use crate::broker::tls::{self, Connection};
use crate::broker::{Client, ClientKey, Verdict};
use crate::metrics::WayIn;
use crate::plugin::Plugin;

/// More of a password than any proof has, in bytes: what is beyond is of no interest.
const PASSWORD_KEPT: usize = 256;

/// How a client without Authentication Method shows that a token is its own.
pub(super) enum Form<'a> {
    /// The token came in the user name, the proof is the password (RFC 9431 §6).
    UserName(PasswordBytes<'a>),
    /// The draft's form.
    Draft00(&'a Draft00),
    /// By what TLS has proved.
    Tls,
}

/// The same, when the event in which it came is over.
enum KeptForm {
    UserName(Password),
    Draft00(Draft00),
    Tls,
}

/// A password, as far as it can be a proof.
struct Password {
    readable: Zeroizing<Vec<u8>>,
    sent_bytes: usize,
    exact: bool,
}

impl Password {
    fn of(password: &PasswordBytes<'_>) -> Self {
        let readable = password.readable.get(..PASSWORD_KEPT).unwrap_or(password.readable);
        let sent_bytes = password.as_sent.len().min(readable.len());
        Self { readable: Zeroizing::new(readable.to_vec()), sent_bytes, exact: password.exact }
    }

    fn bytes(&self) -> PasswordBytes<'_> {
        let as_sent = self.readable.get(..self.sent_bytes).unwrap_or_default();
        PasswordBytes { as_sent, readable: &self.readable, exact: self.exact }
    }
}

impl Form<'_> {
    /// How the client comes; `None` if that is to be asked TLS.
    pub(super) const fn way(&self) -> Option<WayIn> {
        Some(match self {
            Self::UserName(_) => WayIn::UserName,
            Self::Draft00(draft00) if draft00.freshness.is_some() => WayIn::Draft00Timed,
            Self::Draft00(_) => WayIn::Draft00Exporter,
            Self::Tls => return None,
        })
    }

    fn keep(&self) -> KeptForm {
        match self {
            Self::UserName(password) => KeptForm::UserName(Password::of(password)),
            Self::Draft00(draft00) => KeptForm::Draft00((*draft00).clone()),
            Self::Tls => KeptForm::Tls,
        }
    }
}

impl KeptForm {
    fn form(&self) -> Form<'_> {
        match self {
            Self::UserName(password) => Form::UserName(password.bytes()),
            Self::Draft00(draft00) => Form::Draft00(draft00),
            Self::Tls => Form::Tls,
        }
    }
}

/// An attempt that the broker has put off.
pub struct Delayed {
    client_id: Box<CStr>,
    key: ClientKey,
    connection: Connection,
    form: KeptForm,
    pending: Pending,
}

impl Plugin {
    /// Puts an authentication off. Gives the token back if that cannot be done: the broker is too old, or the client's connection
    /// is not known for certain, so that nothing would tell when it has gone.
    ///
    /// Nor with MQTT 5: Mosquitto 2.1.2 goes on using a client's memory after it has been freed, if that client leaves while it
    /// waits and has set a Will with a Will Delay Interval. A plugin cannot see whether it has.
    pub(super) fn delay(
        &self,
        client: &Client<'_>,
        connection: Option<Connection>,
        form: &Form<'_>,
        pending: Pending,
    ) -> Result<Verdict, Pending> {
        let known = connection.filter(|known| tls::client_behind(&self.broker, known, client.key()).is_some());
        match (known, client.id()) {
            (Some(connection), Some(client_id)) if self.broker.can_delay() && !client.speaks_mqtt5() => {
                let (client_id, key) = (client_id.into(), client.key());
                let attempt = Delayed { client_id, key, connection, form: form.keep(), pending };
                self.delayed.borrow_mut().push(attempt);
                Ok(Verdict::Delay)
            }
            _ => Err(pending),
        }
    }

    /// Completes the attempts whose token can be judged by now, and forgets those whose client has gone.
    pub(super) fn follow_delayed(&self) {
        self.delayed.borrow_mut().retain(|attempt| attempt.connection.is_alive());
        // One at a time: completing one can end others' connections, and a mistake in one is not to cost the others.
        let mut from = 0;
        while let Some((at, attempt, outcome)) = self.take_settled(from) {
            from = at;
            let Delayed { client_id, key, connection, form, .. } = attempt;
            let Some(client) = tls::client_behind(&self.broker, &connection, key) else { continue };
            if client.has_id(&client_id) {
                self.complete_delayed(&client, &client_id, connection, &form, outcome);
            }
        }
    }

    /// Takes out the first attempt from this place on whose token can be judged by now.
    fn take_settled(&self, from: usize) -> Option<(usize, Delayed, Result<Box<ValidatedToken>, Refused>)> {
        let mut delayed = self.delayed.borrow_mut();
        let mut outcomes = delayed.iter_mut().enumerate().skip(from);
        let (at, outcome) = outcomes.find_map(|(at, attempt)| Some((at, self.settle(&mut attempt.pending)?)))?;
        Some((at, delayed.remove(at), outcome))
    }

    /// Whether the broker has put this client's authentication off: it has not been let in, and its Will is not to be sent.
    pub(super) fn is_delayed(&self, key: ClientKey) -> bool {
        self.delayed.borrow().iter().any(|attempt| attempt.key == key)
    }

    fn complete_delayed(
        &self,
        client: &Client<'_>,
        client_id: &CStr,
        connection: Connection,
        form: &KeptForm,
        outcome: Result<Box<ValidatedToken>, Refused>,
    ) {
        let outcome = outcome.and_then(|token| self.prove(client, &token, &form.form(), Some(connection)));
        let way = form.form().way().unwrap_or_else(|| self.way_by_tls(client));
        self.count_connection(way, &outcome);
        let is_let_in = match outcome {
            Ok(verdict) => verdict == Verdict::Allow,
            Err(refused) => {
                self.refused(client, &refused.reason, refused.token);
                // The broker has one code for all, which follows on a connection that has been cut.
                if self.tell_refusal(client, Some(connection), &refused.reason) {
                    connection.cut();
                }
                false
            }
        };
        self.broker.complete_delayed(client_id, is_let_in);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_password_proves_the_same() {
        let mac: Vec<u8> = (1..=32).collect();
        let mut memory = mac.clone();
        memory.extend([0; 16]);
        let with_zero: Vec<u8> = (0..32).collect();
        let long = [b'A'; 60_000];
        for (password, bytes) in [
            (PasswordBytes::exact(&mac), 32),
            (PasswordBytes::c_string(&memory), 32),
            (PasswordBytes::c_string(&with_zero), 32),
            (PasswordBytes::exact(&mac), 64),
            (PasswordBytes::exact(&long), 64),
            (PasswordBytes::c_string(&long), 64),
            (PasswordBytes::absent(), 64),
        ] {
            let kept = Password::of(&password);
            assert_eq!(kept.bytes().proof(bytes).ok(), password.proof(bytes).ok(), "{password:?}");
            assert_eq!(kept.bytes().is_empty(), password.is_empty());
        }
    }
}
