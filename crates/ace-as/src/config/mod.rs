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
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::ConfigError;
pub use signing_key::SigningKey;
pub(crate) use signing_key::{PublishedKey, VerificationKey};

use ace_profile::limits;
use serde_json::{Value, json};

use crate::clock;
use crate::ledger::{Ledger, Part, Requester, StateError};
use crate::policy::{Audience, Client, ResourceServer};
use crate::secret::SecretDigest;

/// What the server needs to know, checked.
pub struct Config {
    /// The issuer identifier: `iss` of every token (RFC 8414 §2).
    pub issuer: String,
    /// Where `ace-as serve` listens.
    pub listen: SocketAddr,
    /// The key that signs tokens.
    pub signing_key: SigningKey,
    pub(crate) published_keys: Vec<PublishedKey>,
    /// What is lawful but unwise, one sentence each, for the operator's eyes.
    pub warnings: Vec<String>,
    pub(crate) tls: Arc<rustls::ServerConfig>,
    pub(crate) audiences: BTreeMap<String, Audience>,
    pub(crate) resource_servers: BTreeMap<String, ResourceServer>,
    pub(crate) clients: BTreeMap<String, Client>,
    pub(crate) administrators: BTreeMap<String, SecretDigest>,
    pub(crate) state_file: Option<PathBuf>,
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
            "issuer {}, {} audience(s), {} client(s), {} resource server(s), {} administrator(s), signing with {}",
            self.issuer,
            self.audiences.len(),
            self.clients.len(),
            self.resource_servers.len(),
            self.administrators.len(),
            self.signing_key.algorithm(),
        )
    }

    /// A JWK set with the keys that tokens may be signed with: what `/jwks.json` shows. The one that signs comes first.
    pub(crate) fn public_jwks(&self, now: u64) -> Value {
        json!({ "keys": self.verification_keys(now).filter_map(VerificationKey::jwk).collect::<Vec<_>>() })
    }

    /// The claims of a token that was signed here.
    pub(crate) fn verify(&self, token: &str, now: u64) -> Option<Vec<u8>> {
        self.verification_keys(now).find_map(|key| key.verify(token))
    }

    fn verification_keys(&self, now: u64) -> impl Iterator<Item = &VerificationKey> {
        let published = self.published_keys.iter().filter(move |published| published.is_current(now));
        std::iter::once(self.signing_key.verification()).chain(published.map(|published| &published.key))
    }

    /// What the state file says, in one line without secrets: for `ace-as check`. `None` if there is to be no such
    /// file.
    ///
    /// # Errors
    /// If the file is there but cannot be used.
    pub fn state_summary(&self) -> Result<Option<String>, StateError> {
        let Some(path) = &self.state_file else { return Ok(None) };
        let ledger = Ledger::read(path, self.requesters(), clock::now())?;
        let (alive, revoked) = (ledger.alive(clock::now()).count(), ledger.count_revoked());
        Ok(Some(format!("{}: good: {alive} token(s) out, {revoked} revoked", path.display())))
    }

    /// Whom the token revocation list is for.
    pub(crate) fn requesters(&self) -> Vec<Requester> {
        let clients = self.clients.keys().map(|id| (id, Part::OfClient));
        let servers =
            self.resource_servers.iter().map(|(id, server)| (id, Part::ForAudiences(server.audiences.clone())));
        let administrators = self.administrators.keys().map(|id| (id, Part::All));
        let all = clients.chain(servers).chain(administrators);
        all.map(|(id, part)| Requester { id: id.clone(), part }).collect()
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
