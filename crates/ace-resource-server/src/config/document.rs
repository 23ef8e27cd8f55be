//! The file as it is written: one struct per table, one field per key, each with its default.

use std::fmt;
use std::path::PathBuf;

use ace_profile::scope::ScopeFormatName;
use ace_profile::token::AllowedAlgorithms;
use serde::Deserialize;
use serde::de::Error as _;
use toml::Spanned;

use super::duration::WrittenDuration;
use super::public::PublicFilter;
use super::{OnDenied, OtherClients};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) audience: Spanned<OneOrMore>,
    #[serde(default)]
    pub(super) state_dir: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) authorization_server: Vec<AuthorizationServer>,
    #[serde(default)]
    pub(super) mqtt: Mqtt,
    #[serde(default)]
    pub(super) tokens: Tokens,
    #[serde(default)]
    pub(super) metrics: Metrics,
    #[serde(default)]
    pub(super) log: Log,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthorizationServer {
    pub(super) issuer: Spanned<String>,
    #[serde(default)]
    pub(super) jwks: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) ca_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) timeout: Option<Spanned<WrittenDuration>>,
    #[serde(default)]
    pub(super) decryption_keys: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) algorithms: Option<Spanned<Vec<Written<AllowedAlgorithms>>>>,
    #[serde(default)]
    pub(super) scope_format: Option<Spanned<Written<ScopeFormatName>>>,
    #[serde(default)]
    pub(super) scope_claim: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) scope_placeholders: bool,
    #[serde(default)]
    pub(super) as_hint: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) introspection: Option<Introspection>,
    #[serde(default)]
    pub(super) revocation_list: Option<RevocationList>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevocationList {
    pub(super) url: Spanned<String>,
    #[serde(default = "thirty_seconds")]
    pub(super) interval: Spanned<WrittenDuration>,
    #[serde(default = "five_seconds")]
    pub(super) timeout: Spanned<WrittenDuration>,
    #[serde(default)]
    pub(super) client_id: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) client_secret_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) ca_file: Option<Spanned<PathBuf>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Introspection {
    #[serde(default)]
    pub(super) url: Option<Spanned<String>>,
    #[serde(default = "sixty_seconds")]
    pub(super) cache: Spanned<WrittenDuration>,
    #[serde(default = "two_seconds")]
    pub(super) timeout: Spanned<WrittenDuration>,
    #[serde(default)]
    pub(super) introspect_jwt: bool,
    #[serde(default)]
    pub(super) client_id: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) client_secret_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) client_key_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) client_assertion_audience: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) client_certificate_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) client_certificate_key_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) ca_file: Option<Spanned<PathBuf>>,
}

/// A default: it has no place in the file.
fn seconds(seconds: u64) -> Spanned<WrittenDuration> {
    Spanned::new(0..0, WrittenDuration(std::time::Duration::from_secs(seconds)))
}

fn two_seconds() -> Spanned<WrittenDuration> {
    seconds(2)
}

pub(super) fn five_seconds() -> Spanned<WrittenDuration> {
    seconds(5)
}

fn thirty_seconds() -> Spanned<WrittenDuration> {
    seconds(30)
}

fn sixty_seconds() -> Spanned<WrittenDuration> {
    seconds(60)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Mqtt {
    pub(super) public_publish: Vec<Written<PublicFilter>>,
    pub(super) public_subscribe: Vec<Written<PublicFilter>>,
    pub(super) allow_anonymous: bool,
    pub(super) authz_info_topic: Option<Spanned<String>>,
    pub(super) authz_info_rate: Option<u32>,
    pub(super) authz_info_rate_total: Option<u32>,
    pub(super) raw_public_keys: bool,
    pub(super) on_denied_publish: OnDenied,
    pub(super) on_denied_delivery: OnDenied,
    pub(super) other_clients: OtherClients,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tokens {
    pub(super) leeway: Spanned<WrittenDuration>,
    pub(super) allow_bearer: bool,
    pub(super) allow_no_expiry: bool,
    pub(super) client_keys: Option<Spanned<PathBuf>>,
    pub(super) held_max: Option<Spanned<usize>>,
    pub(super) held_bytes_max: Option<Spanned<usize>>,
    pub(super) when_unknown: WhenUnknown,
    pub(super) introspection_max: Option<Spanned<usize>>,
    pub(super) introspection_bytes_max: Option<Spanned<usize>>,
    pub(super) draft00: bool,
    pub(super) draft00_window: Spanned<WrittenDuration>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            leeway: seconds(5),
            allow_bearer: false,
            allow_no_expiry: false,
            client_keys: None,
            held_max: None,
            held_bytes_max: None,
            when_unknown: WhenUnknown::Wait,
            introspection_max: None,
            introspection_bytes_max: None,
            draft00: true,
            draft00_window: seconds(60),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Metrics {
    pub(super) listen: Option<Spanned<String>>,
    pub(super) topic_prefix: Option<Spanned<String>>,
    pub(super) interval: Option<Spanned<WrittenDuration>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) refusals_per_minute: Option<u32>,
}

/// What becomes of clients that cannot wait for a server otherwise.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WhenUnknown {
    Wait,
    Refuse,
}

/// A text, or a list of texts.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::More(texts) => texts,
        }
    }
}

/// A value that is written as text.
#[derive(Debug)]
pub(super) struct Written<T>(pub(super) T);

impl<'de, T> Deserialize<'de> for Written<T>
where
    T: std::str::FromStr,
    T::Err: fmt::Display,
{
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|error| D::Error::custom(format_args!("{text:?}: {error}")))
    }
}
