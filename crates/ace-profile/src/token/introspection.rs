//! What an authorization server answers when it is asked about a token (RFC 7662 §2.2, RFC 9200 §5.9.2).

use serde_json::Value;
use thiserror::Error;
use zeroize::Zeroize;

use super::claims::{Claims as _, JsonClaims, UnverifiedClaims};
use crate::limits;
use crate::{JsonFault, Refusal, Timestamp};

/// An answer about a token. Believed because of the connection that it came over: it has no signature.
#[derive(Debug)]
pub enum IntrospectionAnswer {
    /// The token is good, as far as the server is concerned: [`Validator::validate_introspected`](super::Validator::validate_introspected)
    /// judges what it says.
    Active(IntrospectedClaims),
    /// The token is not good: unknown, expired, revoked, or not for whoever asks. The server does not tell which.
    Inactive,
}

/// What an answer says of a token. Wiped when dropped: a symmetric key may stand in it in clear.
pub struct IntrospectedClaims(pub(super) JsonClaims);

/// Why an answer is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// Longer than [`limits::INTROSPECTION_BYTES`].
    #[error("it has more than {} bytes", limits::INTROSPECTION_BYTES)]
    TooLong,
    /// Not a JSON object.
    #[error("{0}")]
    NotJson(JsonFault),
    /// RFC 7662 §2.2 requires `active`, a boolean.
    #[error("it does not say whether the token is active")]
    ActiveMissing,
}

impl IntrospectionAnswer {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`AnswerError`] if it is none. Such an answer says nothing about the token.
    pub fn parse(answer: &[u8]) -> Result<Self, AnswerError> {
        if answer.len() > limits::INTROSPECTION_BYTES {
            return Err(AnswerError::TooLong);
        }
        let claims = match UnverifiedClaims::parse(answer) {
            Ok(claims) => IntrospectedClaims(claims.believed()),
            Err(Refusal::ClaimsNotJson { fault }) => return Err(AnswerError::NotJson(fault)),
            Err(_) => return Err(AnswerError::NotJson(JsonFault::Syntax)),
        };
        match claims.0.get("active") {
            Some(Value::Bool(true)) => Ok(Self::Active(claims)),
            Some(Value::Bool(false)) => Ok(Self::Inactive),
            _ => Err(AnswerError::ActiveMissing),
        }
    }
}

impl IntrospectedClaims {
    /// `exp`, if it is there and can be read: beyond that an answer must not be kept (RFC 7662 §4).
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.0.date("exp").ok().flatten()
    }
}

/// Shows nothing of it.
impl std::fmt::Debug for IntrospectedClaims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntrospectedClaims").finish_non_exhaustive()
    }
}

impl Drop for IntrospectedClaims {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

/// As deep as [`limits::JSON_DEPTH`] at most.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
#[path = "introspection_tests.rs"]
mod tests;
