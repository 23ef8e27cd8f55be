//! `as.toml`: read strictly, checked as a whole, every mistake with file, line and reason.
//!
//! Files that it names are found relative to its own folder. Nothing here talks to the network.

mod error;
mod file;
mod lifetime;
mod read;
mod signing_key;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

pub use error::ConfigError;
pub use signing_key::SigningKey;

use ace_profile::limits;

use crate::policy::{Audience, Client, ResourceServer};

/// What the server needs to know, checked.
pub struct Config {
    /// The issuer identifier: `iss` of every token (RFC 8414 §2).
    pub issuer: String,
    /// Where `ace-as serve` listens.
    pub listen: SocketAddr,
    /// The key that signs tokens.
    pub signing_key: SigningKey,
    /// What is lawful but unwise, one sentence each, for the operator's eyes.
    pub warnings: Vec<String>,
    pub(crate) tls: Arc<rustls::ServerConfig>,
    pub(crate) audiences: BTreeMap<String, Audience>,
    pub(crate) resource_servers: BTreeMap<String, ResourceServer>,
    pub(crate) clients: BTreeMap<String, Client>,
}

impl Config {
    /// Reads `as.toml` and every file that it names.
    ///
    /// # Errors
    /// The first mistake found, with file, line and reason; never the text of a secret.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        read::config(path)
    }

    /// What the configuration says, in one line without secrets: for `ace-as check` and the log.
    pub fn summary(&self) -> String {
        format!(
            "issuer {}, {} audience(s), {} client(s), {} resource server(s), signing with {}",
            self.issuer,
            self.audiences.len(),
            self.clients.len(),
            self.resource_servers.len(),
            self.signing_key.algorithm(),
        )
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config({})", self.summary())
    }
}

/// Whether a text can be an issuer: an https URL without query and fragment (RFC 8414 §2).
pub(crate) fn check_issuer(text: &str) -> Result<(), String> {
    let host = text.strip_prefix("https://").unwrap_or_default();
    let unfit = |character: char| character.is_control() || "?# ".contains(character);
    if host.is_empty() || host.starts_with('/') || text.contains(unfit) {
        return Err("issuer is not an https URL without query and fragment".to_owned());
    }
    Ok(())
}

/// Whether a text can be a name. Names end up in tokens, logs and the broker's user names.
pub(crate) fn check_name(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > limits::SUBJECT_BYTES || text.contains(char::is_control) {
        return Err(format!("a name has 1 to {} bytes and no control characters", limits::SUBJECT_BYTES));
    }
    Ok(())
}

/// Whether a text is a lifetime as `as.toml` takes it.
pub(crate) fn check_lifetime(text: &str) -> Result<(), String> {
    lifetime::parse(text).map(drop)
}
