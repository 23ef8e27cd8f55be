//! Exit codes: those of mosquitto's clients where these have one for the case.

use std::{fmt, io, process::ExitCode};

use ace_mqtt::Error;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As asked.
    Done = 0,
    /// A file, key or value cannot be used.
    Local = 1,
    /// Wrong usage.
    Usage = 2,
    /// No token from the authorization server.
    NoToken = 3,
    /// The broker refused the connection, or a fresh token for it.
    Refused = 5,
    /// The connection was lost, or the broker ended it.
    Lost = 7,
    /// TLS with the broker failed.
    Tls = 8,
    /// The broker broke the protocol.
    Protocol = 9,
    /// The broker refused the message or command, or all subscriptions.
    Denied = 12,
    /// The broker cannot be reached.
    Unreachable = 14,
    /// Nothing in time.
    Timeout = 27,
}

impl Exit {
    /// What is asked about would be allowed, or is as it should be.
    pub(crate) const YES: Self = Self::Done;
    /// It would not, or is not.
    pub(crate) const NO: Self = Self::Local;
    /// That cannot be told. For who asks, wrong usage is the same.
    pub(crate) const UNKNOWN: Self = Self::Usage;
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library says why.
    Library(Error),
    /// A wrong combination of options.
    Usage(String),
    /// The broker refused, and this is why as far as it can be told.
    Denied(String),
    /// The broker does not answer a command, and this is why as far as it can be told.
    NoAnswer(String),
    /// Standard input or output failed.
    Stream(&'static str, io::Error),
}

impl Failure {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Stream(..) => Exit::Local,
            Self::Denied(_) => Exit::Denied,
            Self::NoAnswer(_) => Exit::Timeout,
            Self::Library(error) => match error {
                Error::AuthorizationServerUnreachable { .. } | Error::TokenRefused { .. } | Error::TokenAnswer(_) => {
                    Exit::NoToken
                }
                Error::Unreachable { .. } => Exit::Unreachable,
                Error::Tls { .. } => Exit::Tls,
                Error::Refused { .. } | Error::ReauthenticationRefused { .. } => Exit::Refused,
                Error::Disconnected { .. } | Error::ConnectionLost { .. } => Exit::Lost,
                Error::PublishRefused { .. } => Exit::Denied,
                Error::Protocol { .. } => Exit::Protocol,
                Error::Timeout(_) => Exit::Timeout,
                _ => Exit::Local,
            },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(error) => error.fmt(f),
            Self::Usage(text) => write!(f, "{text} (see --help)"),
            Self::Denied(text) | Self::NoAnswer(text) => f.write_str(text),
            Self::Stream(name, error) => write!(f, "{name}: {error}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}
