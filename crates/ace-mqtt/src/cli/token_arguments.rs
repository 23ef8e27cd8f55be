//! Options that say which token and key to use, shared by all commands that show a token to a broker.

use std::path::PathBuf;

use ace_mqtt::{Credentials, Error, load_key, read_secret};
use clap::Args;
use zeroize::Zeroizing;

use super::Failure;

/// Token and key, where they are not fetched from an authorization server.
#[derive(Args)]
#[command(next_help_heading = "Token and proof")]
pub(crate) struct TokenArguments {
    /// File with token and key, as written by `ace-mqtt token --out`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "token_file", "key", "url"])]
    credentials: Option<PathBuf>,

    /// File with the token
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "url"])]
    token_file: Option<PathBuf>,

    /// The token itself; other users of this machine can see it, so prefer --token-file
    #[arg(long, value_name = "TOKEN", conflicts_with = "url")]
    token: Option<String>,

    /// File with the private or symmetric key (JWK) that the token is bound to
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

impl TokenArguments {
    /// Token and key; `None` if none of these options names a token.
    pub(crate) fn credentials(&self) -> Result<Option<Credentials>, Failure> {
        if let Some(path) = &self.credentials {
            return Ok(Some(Credentials::load(path)?));
        }
        let text = match (&self.token_file, &self.token) {
            (Some(path), _) => read_secret(path)?,
            (None, Some(text)) => Zeroizing::new(text.clone()),
            (None, None) => return Ok(None),
        };
        let key = self.key.as_deref().map(load_key).transpose()?;
        let credentials = Credentials::new(text.trim(), key).map_err(|error| match error {
            Error::Invalid(reason) => Failure::Usage(reason),
            other => other.into(),
        })?;
        Ok(Some(credentials))
    }

    /// The key alone, for a token that the broker holds.
    pub(crate) fn key_of_stored_token(&self) -> Result<Credentials, Failure> {
        if self.token.is_some() || self.token_file.is_some() {
            return Err(Failure::Usage(
                "--auth stored sends no token: give --key, or --credentials for the key in it".to_owned(),
            ));
        }
        let key = match (&self.credentials, &self.key) {
            (Some(path), _) => Credentials::load(path)?.key().cloned(),
            (None, Some(path)) => Some(load_key(path)?),
            (None, None) => None,
        };
        key.map(Credentials::of_stored_token).ok_or_else(|| {
            Failure::Usage("--auth stored needs the key that the token is bound to: --key or --credentials".to_owned())
        })
    }
}
