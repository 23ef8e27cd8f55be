//! What the log is told: one line for each client that is let in or refused, with a typed reason.
//!
//! A line names the client id, the address, the reason's code and sentence and, where there was a token, the token's
//! fingerprint. Never a token, a key, a secret or a MAC.

use std::ffi::CStr;

use ace_profile::{Fingerprint, Quoted};
use ace_resource_server::Reason;

use crate::broker::{Broker, Client, Level};

/// Tells that a client was not let in.
pub(crate) fn refused(broker: &Broker, client: &Client<'_>, reason: &Reason, token: Option<Fingerprint>) {
    let line = format!("ace: refused {}: {}: {reason}{}", Who(client), reason.code(), Token(token));
    broker.log(Level::Notice, &line);
}

/// Tells that a client was let in.
pub(crate) fn admitted(broker: &Broker, client: &Client<'_>, how: &str, token: Option<Fingerprint>) {
    broker.log(Level::Info, &format!("ace: admitted {} by {how}{}", Who(client), Token(token)));
}

/// Tells that a token that a client has published was not taken.
pub(crate) fn token_refused(broker: &Broker, client: &Client<'_>, reason: &Reason, token: Option<Fingerprint>) {
    let line = format!("ace: refused a token of {}: {}: {reason}{}", Who(client), reason.code(), Token(token));
    broker.log(Level::Notice, &line);
}

/// Tells that a token that a client has published was taken.
pub(crate) fn token_held(broker: &Broker, client: &Client<'_>, token: Fingerprint) {
    broker.log(Level::Info, &format!("ace: took a token from {}{}", Who(client), Token(Some(token))));
}

/// Tells that a token that a client had published was not taken, when that has turned out.
pub(crate) fn late_token_refused(broker: &Broker, client_id: &CStr, reason: &Reason, token: Option<Fingerprint>) {
    let id = Quoted::new(&client_id.to_string_lossy());
    let line = format!("ace: refused a token of client {id}: {}: {reason}{}", reason.code(), Token(token));
    broker.log(Level::Notice, &line);
}

/// Tells that a token that a client had published was taken, when that has turned out.
pub(crate) fn late_token_held(broker: &Broker, client_id: &CStr, token: Fingerprint) {
    let id = Quoted::new(&client_id.to_string_lossy());
    broker.log(Level::Info, &format!("ace: took a token from client {id}{}", Token(Some(token))));
}

/// Tells that a connected client was denied something.
pub(crate) fn denied(broker: &Broker, client: &Client<'_>, what: &str, topic: &[u8], code: &str) {
    let topic = Quoted::new(&String::from_utf8_lossy(topic.get(..TOPIC_SHOWN).unwrap_or(topic)));
    broker.log(Level::Notice, &format!("ace: denied {} to {what} {topic}: {code}", Who(client)));
}

/// Tells who has given a command that changes something, and which.
pub(crate) fn commanded(broker: &Broker, client: &Client<'_>, subject: &CStr, token: Fingerprint, what: &str) {
    let subject = Quoted::new(&subject.to_string_lossy());
    let line = format!("ace: command of {} (subject {subject}, token {token}): {what}", Who(client));
    broker.log(Level::Notice, &line);
}

/// How many bytes of a topic are looked at for the log.
const TOPIC_SHOWN: usize = 512;

struct Who<'a>(&'a Client<'a>);

impl std::fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |text: Option<&CStr>| text.map(|text| text.to_string_lossy().into_owned());
        let id = text(self.0.id()).unwrap_or_default();
        let address = text(self.0.address()).unwrap_or_else(|| String::from("unknown"));
        write!(f, "client {} at {}", Quoted::new(&id), address.escape_debug())
    }
}

struct Token(Option<Fingerprint>);

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |fingerprint| write!(f, " (token {fingerprint})"))
    }
}
