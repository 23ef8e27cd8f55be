//! A token together with the key that it is bound to: what a client presents, and how it is kept in a file.

use std::{fmt, path::Path};

use ace_profile::jose::Jwk;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    error::{Error, Result},
    files,
};

/// Longest token, in bytes: as much as the broker's plugin reads.
const TOKEN_BYTES: usize = ace_profile::limits::TOKEN_BYTES;

/// A token and its proof-of-possession key.
///
/// `Debug` shows neither of them.
#[derive(Clone)]
pub struct Credentials {
    token: Zeroizing<String>,
    key: Option<Jwk>,
    audience: Vec<String>,
    expires_at: Option<u64>,
    broker_key: Option<Jwk>,
}

/// The form in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    access_token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    audience: Vec<String>,
    /// Seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    /// The broker's public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    broker_key: Option<serde_json::Value>,
}

impl Credentials {
    /// A token and the private (or symmetric) key that its `cnf` claim names. Without a key it is a bearer token.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty or oversized token, or one with white space in it.
    pub fn new(token: &str, key: Option<Jwk>) -> Result<Self> {
        if token.is_empty() {
            return Err(Error::Invalid("the token is empty".to_owned()));
        }
        if token.len() > TOKEN_BYTES {
            return Err(Error::Invalid(format!(
                "the token has {} bytes, and {TOKEN_BYTES} are the most that a broker takes",
                token.len()
            )));
        }
        if token.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Error::Invalid("the token holds white space or control characters".to_owned()));
        }
        Ok(Self {
            token: Zeroizing::new(token.to_owned()),
            key,
            audience: Vec::new(),
            expires_at: None,
            broker_key: None,
        })
    }

    /// A key alone, for [`Authentication::Stored`](crate::Authentication::Stored): the broker holds the token that is bound to it.
    #[must_use]
    pub fn of_stored_token(key: Jwk) -> Self {
        Self { token: Zeroizing::default(), key: Some(key), audience: Vec::new(), expires_at: None, broker_key: None }
    }

    /// The same with the audience for which the token was issued.
    #[must_use]
    pub fn with_audience(mut self, audience: Vec<String>) -> Self {
        self.audience = audience;
        self
    }

    /// The same with the end of the token's life, in seconds since the Unix epoch.
    #[must_use]
    pub fn with_expiry(mut self, expires_at: Option<u64>) -> Self {
        self.expires_at = expires_at;
        self
    }

    /// The same with the public key that the broker's certificate must be for (`rs_cnf`, RFC 9201 §3.2).
    #[must_use]
    pub fn with_broker_key(mut self, broker_key: Option<Jwk>) -> Self {
        self.broker_key = broker_key;
        self
    }

    /// The token, to be shown to nobody but the broker; empty if only the broker has it.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The key, missing for a bearer token.
    #[must_use]
    pub fn key(&self) -> Option<&Jwk> {
        self.key.as_ref()
    }

    /// The brokers for which the token was issued, as far as known.
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// The end of the token's life in seconds since the Unix epoch, if known.
    #[must_use]
    pub fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }

    /// The key that the broker's certificate must be for, if the authorization server named it.
    #[must_use]
    pub fn broker_key(&self) -> Option<&Jwk> {
        self.broker_key.as_ref()
    }

    /// Reads the file that [`Credentials::save`] writes.
    ///
    /// # Errors
    /// [`Error::File`] with the reason.
    pub fn load(path: &Path) -> Result<Self> {
        let text = files::read_text(path)?;
        let failed = |reason: String| Error::File { path: path.to_owned(), reason };
        // The error of the JSON reader names line and column, never content.
        let stored: Stored = serde_json::from_str(&text).map_err(|error| {
            failed(format!("is not a credentials file (line {}, column {})", error.line(), error.column()))
        })?;
        let token = Zeroizing::new(stored.access_token);
        let jwk = |value: &Option<serde_json::Value>| {
            value.as_ref().map(Jwk::from_value).transpose().map_err(|error| failed(error.to_string()))
        };
        let (key, broker_key) = (jwk(&stored.key)?, jwk(&stored.broker_key)?);
        Ok(Self::new(&token, key)
            .map_err(|error| failed(error.to_string()))?
            .with_audience(stored.audience)
            .with_expiry(stored.expires_at)
            .with_broker_key(broker_key))
    }

    /// Writes token and key to a file that only its owner can read.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        files::write_private(path, self.to_json()?.as_bytes())
    }

    /// Token and key as JSON text.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it cannot be made.
    pub fn to_json(&self) -> Result<Zeroizing<String>> {
        let stored = Stored {
            access_token: self.token.to_string(),
            key: self.key.as_ref().map(Jwk::secret_value),
            audience: self.audience.clone(),
            expires_at: self.expires_at,
            broker_key: self.broker_key.as_ref().and_then(Jwk::public_value),
        };
        let mut text = serde_json::to_string_pretty(&stored)
            .map_err(|error| Error::Invalid(format!("credentials cannot be written: {error}")))?;
        text.push('\n');
        Ok(Zeroizing::new(text))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("token", &"…")
            .field("key", &self.key.as_ref().map(|_| "…"))
            .field("audience", &self.audience)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// Reads a key (JWK) from a file.
///
/// # Errors
/// [`Error::File`] with the reason.
pub fn load_key(path: &Path) -> Result<Jwk> {
    let text = files::read_text(path)?;
    Jwk::from_json(&text).map_err(|error| Error::File { path: path.to_owned(), reason: error.to_string() })
}
