//! `ace.toml`: what the operator wants.
//!
//! `document.rs` is the file as it is written, key by key; `load.rs` reads it, checks it and the files that it names, and gives
//! the [`Configuration`] that the plugin works with. Nothing is guessed: an unknown key, a bad value or an unreadable
//! file is an error with file, line and reason.

mod decryption;
mod document;
mod duration;
mod error;
mod files;
mod held;
mod hint;
mod load;
mod metrics;
mod public;
mod remote;
mod scope;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ace_profile::scope::Scope;
use ace_profile::token::Validator;

pub use error::ConfigError;
pub use files::{NamedFile, named_files};
pub use held::HeldBounds;
pub use metrics::{MetricTopics, Metrics};

use crate::remote::{CacheBounds, Endpoint, IntrospectionSource, KeySource};
use crate::rights::PublicTopics;

/// The checked configuration.
pub struct Configuration {
    /// Judges tokens.
    pub validator: Validator,
    /// Where to keep what outlives a restart; `None`: in memory only.
    pub state_dir: Option<PathBuf>,
    /// Topics that are open to all.
    pub public: PublicTopics,
    /// The filters of those, for people.
    pub public_scope: Scope,
    /// Whether clients without user name, password and method are let in, to the public topics.
    pub allow_anonymous: bool,
    /// The topic that takes tokens; `None` if there is none.
    pub authz_info: Option<AuthzInfo>,
    /// How many tokens are held.
    pub held: HeldBounds,
    /// Whether clients may come with raw public keys where the broker asks for certificates.
    pub raw_public_keys: bool,
    /// What happens to a client that publishes what it may not, where MQTT cannot tell it.
    pub on_denied_publish: OnDenied,
    /// What happens to a subscriber that may not be given a message.
    pub on_denied_delivery: OnDenied,
    /// What happens to clients without any ACE material.
    pub other_clients: OtherClients,
    /// What refused clients are told about where to get a token: JSON, one text for each server that has an `as_hint`.
    pub as_hints: Vec<String>,
    /// Where to fetch keys that do not come from a file.
    pub key_sources: Vec<Arc<KeySource>>,
    /// Where to ask for revoked tokens.
    pub revocation_lists: Vec<RevocationSource>,
    /// Whom to ask about tokens, in the order of the file.
    pub introspection: Vec<IntrospectionSource>,
    /// How much is known of what they say.
    pub introspection_bounds: CacheBounds,
    /// What becomes of clients that cannot wait for a server otherwise.
    pub when_unknown: WhenUnknown,
    /// The forms of the draft that are accepted.
    pub draft00: Draft00,
    /// Where it is told what happens, in numbers.
    pub metrics: Metrics,
    /// How many lines about refusals of a client the log is given in a minute; 0 for any number.
    pub refusals_per_minute: u32,
    /// The file that it is from,
    pub(crate) path: PathBuf,
    /// and what stood there.
    pub(crate) text: Box<str>,
}

/// A server's token revocation list (RFC 9770).
pub struct RevocationSource {
    /// Whose tokens it is about.
    pub issuer: String,
    /// Where it is.
    pub endpoint: Arc<Endpoint>,
    /// How often to ask for it.
    pub interval: Duration,
}

/// The topic that takes tokens (RFC 9431 §2.2.2), and how many it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthzInfo {
    /// The topic's name, never empty.
    pub topic: String,
    /// How many tokens a client may publish in a second; 0 for any number.
    pub rate: u32,
    /// How many tokens all clients together may publish in a second; 0 for any number.
    pub rate_total: u32,
}

/// What follows a denied message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDenied {
    /// The client is disconnected (RFC 9431 §2.3, §2.4).
    #[default]
    Disconnect,
    /// The message is dropped without a word.
    Drop,
}

/// Who judges clients that bring nothing of ACE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OtherClients {
    /// Nobody: they are not let in.
    #[default]
    Refuse,
    /// The broker's other plugins, its password and ACL files.
    Defer,
}

/// What becomes of clients whose token cannot be judged without a server, where nothing but the broker's thread could wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenUnknown {
    /// It does.
    Wait {
        /// The longest time.
        longest: Duration,
    },
    /// They are told to come again.
    Refuse,
}

/// Which of the draft's forms are accepted (rfc9431.md V4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draft00 {
    /// Whether user name `ace` with a JSON password is accepted at all.
    pub enabled: bool,
    /// How far a client's `ts` may be from the broker's clock; `None` if that variant is off.
    pub window: Option<Duration>,
}

impl Configuration {
    /// Reads a configuration file and the files that it names.
    ///
    /// # Errors
    /// [`ConfigError`] says where and why.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        load::load(path)
    }

    /// The same configuration, with the files that it names as they are now. Its own file is not read again: what has been changed
    /// there is for a reload to put in force.
    ///
    /// # Errors
    /// [`ConfigError`] says where and why.
    pub fn with_files_read_again(&self) -> Result<Self, ConfigError> {
        load::read_text(&self.path, &self.text)
    }
}
