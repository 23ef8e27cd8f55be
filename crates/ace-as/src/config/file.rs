//! `as.toml` as it is written: names and shapes of its keys, each with its place in the file.
//!
//! What the values mean and whether they fit together is decided in [`super`].

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use toml::Spanned;
use zeroize::Zeroizing;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) issuer: Spanned<String>,
    pub(super) listen: Spanned<String>,
    pub(super) token_lifetime: Option<Spanned<String>>,
    pub(super) signing_key: Spanned<String>,
    pub(super) state_file: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) published_key: Vec<PublishedKey>,
    pub(super) tls: Tls,
    #[serde(default)]
    pub(super) audience: Vec<Audience>,
    #[serde(default)]
    pub(super) resource_server: Vec<ResourceServer>,
    #[serde(default)]
    pub(super) client: Vec<Client>,
    #[serde(default)]
    pub(super) administrator: Vec<Administrator>,
}

/// `[tls]`: what the server shows to its clients.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificate: Spanned<String>,
    pub(super) key: Spanned<String>,
}

/// `[[published_key]]`: a key that has signed tokens or will.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishedKey {
    pub(super) file: Spanned<String>,
    pub(super) until: Option<Spanned<toml::value::Datetime>>,
}

/// `[[audience]]`: a broker, or several that share a name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Audience {
    pub(super) name: Spanned<String>,
    pub(super) public_key: Option<Spanned<String>>,
    pub(super) shared_key: Option<Spanned<String>>,
    pub(super) key_management: Option<Spanned<String>>,
    pub(super) content_encryption: Option<Spanned<String>>,
    pub(super) token_format: Option<Spanned<String>>,
    pub(super) token_lifetime: Option<Spanned<String>>,
}

/// `[[resource_server]]`: who may introspect tokens, see which of them were revoked, and perhaps revoke some.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResourceServer {
    pub(super) id: Spanned<String>,
    pub(super) secret: Option<Spanned<SecretText>>,
    pub(super) secret_file: Option<Spanned<String>>,
    pub(super) secret_sha256: Option<Spanned<SecretText>>,
    pub(super) audiences: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) may_revoke: bool,
}

/// `[[client]]`: who may have tokens, for what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    pub(super) id: Spanned<String>,
    pub(super) secret: Option<Spanned<SecretText>>,
    pub(super) secret_file: Option<Spanned<String>>,
    pub(super) secret_sha256: Option<Spanned<SecretText>>,
    pub(super) audiences: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) publish: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) subscribe: Vec<Spanned<String>>,
    pub(super) subject: Option<Spanned<String>>,
    pub(super) token_format: Option<Spanned<String>>,
    pub(super) token_lifetime: Option<Spanned<String>>,
}

/// `[[administrator]]`: who may revoke any token, and see which were.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Administrator {
    pub(super) id: Spanned<String>,
    pub(super) secret: Option<Spanned<SecretText>>,
    pub(super) secret_file: Option<Spanned<String>>,
    pub(super) secret_sha256: Option<Spanned<SecretText>>,
}

/// A secret that stands in the file itself. Neither its `Debug` nor the error for a wrong type shows it.
pub(super) struct SecretText(pub(super) Zeroizing<String>);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(Zeroizing::new(text))),
            _ => Err(de::Error::custom("a secret must be a text in quotes")),
        }
    }
}
