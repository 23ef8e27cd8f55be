//! What can go wrong, told by the step that failed and by what the other side answered.

use std::{io, path::PathBuf};

use crate::{hint::AsHint, reason::Reason};

/// An error of the library. Its text says which step failed and what the server answered; it never holds a token, key or proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value that the caller gave cannot be used (a topic with a wildcard, a QoS that does not exist, …).
    #[error("{0}")]
    Invalid(String),

    /// A file could not be read, written or understood.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },

    /// The proof of possession could not be made with the given key.
    #[error("cannot make the proof of possession: {0}")]
    Proof(String),

    /// The authorization server could not be reached, or TLS with it failed.
    #[error("cannot reach the authorization server {url}: {reason}")]
    AuthorizationServerUnreachable {
        /// The token endpoint.
        url: String,
        /// Why.
        reason: String,
    },

    /// The authorization server answered with an error (RFC 6749 §5.2).
    #[error("the authorization server refused the token: {}", describe_token_error(*status, error, description.as_deref()))]
    TokenRefused {
        /// HTTP status.
        status: u16,
        /// The `error` code, such as `invalid_client`; empty if the answer had none.
        error: String,
        /// The `error_description`, if any.
        description: Option<String>,
    },

    /// The authorization server answered something that is no token answer.
    #[error("the authorization server's answer cannot be used: {0}")]
    TokenAnswer(String),

    /// No TCP connection to the broker.
    #[error("cannot connect to {address}: {reason}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// Why.
        reason: io::Error,
    },

    /// The TLS handshake with the broker failed, or the TLS configuration cannot be used.
    #[error("TLS with {address} failed: {reason}")]
    Tls {
        /// Host and port.
        address: String,
        /// Why, in the words of the TLS library.
        reason: String,
    },

    /// The broker refused the connection (CONNACK with a failure).
    #[error("the broker refused the connection: {reason}{}{}; the broker's log says why", detail_suffix(detail.as_deref()), hint_suffix(as_hints))]
    Refused {
        /// The code.
        reason: Reason,
        /// The reason string, if the broker sent one.
        detail: Option<String>,
        /// The user properties `ace_as_hint`, if the broker sent any (RFC 9431 §2.4.1): where to get a token.
        as_hints: Vec<AsHint>,
    },

    /// The broker refused the fresh token of a re-authentication, and ended the connection (MQTT 5 §4.12.1).
    #[error("the broker refused the re-authentication and ended the connection: {reason}{}; the broker's log says why", detail_suffix(detail.as_deref()))]
    ReauthenticationRefused {
        /// The code.
        reason: Reason,
        /// The reason string, if the broker sent one.
        detail: Option<String>,
    },

    /// The broker ended an established connection with a DISCONNECT packet.
    #[error("the broker ended the connection: {reason}{}", detail_suffix(detail.as_deref()))]
    Disconnected {
        /// The code.
        reason: Reason,
        /// The reason string, if the broker sent one.
        detail: Option<String>,
    },

    /// The connection broke off without a DISCONNECT packet.
    #[error("{step}: {reason}")]
    ConnectionLost {
        /// What was going on.
        step: &'static str,
        /// How it broke.
        reason: String,
    },

    /// The broker did not accept a published message.
    #[error("the broker refused the message on {topic:?}: {reason}{}", detail_suffix(detail.as_deref()))]
    PublishRefused {
        /// Topic of the message.
        topic: String,
        /// The code.
        reason: Reason,
        /// The reason string, if the broker sent one.
        detail: Option<String>,
    },

    /// The broker sent something that breaks the MQTT protocol or the profile.
    #[error("{step}: the broker broke the protocol: {what}")]
    Protocol {
        /// What was going on.
        step: &'static str,
        /// What was wrong.
        what: String,
    },

    /// No answer in time.
    #[error("{0}: no answer in time")]
    Timeout(&'static str),
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

fn describe_token_error(status: u16, error: &str, description: Option<&str>) -> String {
    let code = if error.is_empty() { "no reason given" } else { error };
    match description {
        Some(text) => format!("{code} (HTTP {status}): {text}"),
        None => format!("{code} (HTTP {status})"),
    }
}

fn detail_suffix(detail: Option<&str>) -> String {
    detail.map_or_else(String::new, |text| format!(", {text:?}"))
}

fn hint_suffix(hints: &[AsHint]) -> String {
    let alternatives: Vec<String> = hints.iter().map(AsHint::to_string).collect();
    if alternatives.is_empty() { String::new() } else { format!("; {}", alternatives.join(", or ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Version;

    #[test]
    fn a_refusal_names_the_step_the_answer_and_where_to_look() {
        let error = Error::Refused { reason: Reason::new(Version::V5, 0x87), detail: None, as_hints: Vec::new() };
        assert_eq!(
            error.to_string(),
            "the broker refused the connection: not authorized (0x87); the broker's log says why"
        );
    }

    #[test]
    fn text_from_the_network_is_escaped() {
        let error =
            Error::Disconnected { reason: Reason::new(Version::V5, 0x87), detail: Some("bye\u{1b}[2J".to_owned()) };
        assert!(!error.to_string().contains('\u{1b}'));
    }

    #[test]
    fn a_token_error_keeps_the_servers_code() {
        let error = Error::TokenRefused { status: 401, error: "invalid_client".to_owned(), description: None };
        assert_eq!(error.to_string(), "the authorization server refused the token: invalid_client (HTTP 401)");
    }
}
