//! Options that say how to get a token, shared by `token`, `pub` and `sub`.

use std::path::PathBuf;

use ace_mqtt::{
    ClientAuthentication, Error, RequestFormat, RequestedKey, TlsOptions, TokenClient, TokenRequest, TokenResponse,
    ace_profile::scope::{Permission, Permissions, Scope, TopicFilter, shared_subscription_filter},
    load_key, read_secret,
};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{Failure, keygen::KeyAlgorithm};

/// Where and as whom to ask for a token.
#[derive(Args)]
#[command(next_help_heading = "Getting a token")]
pub(crate) struct AsArguments {
    /// Token endpoint of the authorization server, an https URL
    #[arg(long = "as", value_name = "URL", requires = "client_id", requires = "client_secret_file")]
    pub(crate) url: Option<String>,

    /// This client's id at the authorization server
    #[arg(long, value_name = "ID", requires = "url")]
    client_id: Option<String>,

    /// File with this client's secret
    #[arg(long, value_name = "FILE", requires = "url")]
    client_secret_file: Option<PathBuf>,

    /// Name of the broker that the token is for
    #[arg(long, value_name = "NAME")]
    pub(crate) audience: Option<String>,

    /// Scope to ask for, instead of one made of topic filters: AIF as JSON, such as [["room/1/#",["pub","sub"]]], or text that the server knows
    #[arg(long, value_name = "AIF", requires = "url")]
    pub(crate) scope: Option<String>,

    /// Have the server make a symmetric key
    #[arg(long, requires = "url", conflicts_with = "key")]
    pub(crate) symmetric: bool,

    /// CA certificates to trust for the authorization server, instead of the system's
    #[arg(long, value_name = "FILE", requires = "url")]
    as_ca: Option<PathBuf>,

    /// Where to put id and secret
    #[arg(long, value_enum, value_name = "WHERE", default_value = "basic", requires = "url")]
    client_auth: ClientAuthArgument,

    /// Send a plain OAuth form instead of application/ace+json
    #[arg(long, requires = "url")]
    form: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ClientAuthArgument {
    /// In the Authorization header
    Basic,
    /// Among the parameters
    Post,
}

/// Topic filters by what is to be done with them.
pub(crate) struct Wanted<'a> {
    pub(crate) publish: &'a [String],
    pub(crate) subscribe: &'a [String],
}

/// A server and what is asked of it, as often as tokens are needed: for the same key each time, unless the server makes it.
pub(crate) struct TokenSource {
    client: TokenClient,
    request: TokenRequest,
}

impl TokenSource {
    /// Asks for a token.
    pub(crate) fn ask(&self) -> Result<TokenResponse, Error> {
        self.client.request(&self.request)
    }
}

impl AsArguments {
    /// What to ask whom for. Without a key of its own, and unless a symmetric one is wanted, the client gets a fresh Ed25519 key.
    pub(crate) fn source(&self, wanted: &Wanted<'_>, key: Option<&PathBuf>) -> Result<TokenSource, Failure> {
        let (Some(url), Some(id), Some(secret_file)) = (&self.url, &self.client_id, &self.client_secret_file) else {
            return Err(Failure::Usage("--as, --client-id and --client-secret-file go together".to_owned()));
        };
        let key = match key {
            Some(path) => RequestedKey::Own(Box::new(load_key(path)?)),
            None if self.symmetric => RequestedKey::Symmetric,
            None => RequestedKey::Own(Box::new(KeyAlgorithm::EdDsa.generate()?)),
        };
        let request = TokenRequest { audience: self.audience.clone(), scope: self.scope(wanted)?, key };
        let secret = read_secret(secret_file)?;
        let trust = TlsOptions { ca_file: self.as_ca.clone(), ..TlsOptions::default() };
        let client = TokenClient::new(url, &trust)?
            .with_client(id, &secret)
            .with_authentication(match self.client_auth {
                ClientAuthArgument::Basic => ClientAuthentication::Basic,
                ClientAuthArgument::Post => ClientAuthentication::Parameters,
            })
            .with_format(if self.form { RequestFormat::Form } else { RequestFormat::AceJson });
        Ok(TokenSource { client, request })
    }

    fn scope(&self, wanted: &Wanted<'_>) -> Result<Option<String>, Failure> {
        if let Some(text) = &self.scope {
            return scope_text(text).map(Some);
        }
        if wanted.publish.is_empty() && wanted.subscribe.is_empty() {
            return Ok(None);
        }
        let entries = |filters: &[String], permission: Permission| -> Result<Vec<_>, Failure> {
            filters
                .iter()
                .map(|text| {
                    TopicFilter::parse(without_share(text))
                        .map(|filter| (filter, Permissions::from(permission)))
                        .map_err(|error| Error::Invalid(format!("topic filter {text:?}: {error}")).into())
                })
                .collect()
        };
        let mut all = entries(wanted.publish, Permission::Publish)?;
        all.extend(entries(wanted.subscribe, Permission::Subscribe)?);
        Ok(Some(Scope::new(all).to_claim()))
    }
}

/// A scope from the command line: AIF in JSON is checked and encoded as it travels, other text is left as it is.
fn scope_text(text: &str) -> Result<String, Failure> {
    if !text.trim_start().starts_with('[') {
        return Ok(text.to_owned());
    }
    let value: Value =
        serde_json::from_str(text).map_err(|error| Failure::Usage(format!("--scope is not JSON: {error}")))?;
    Scope::from_aif_value(&value)
        .map(|scope| scope.to_claim())
        .map_err(|error| Failure::Usage(format!("--scope: {error}")))
}

/// Rights are judged by the filter behind `$share/<group>/` (requirement S4). A malformed one stays as it is, to be refused as a filter.
fn without_share(filter: &str) -> &str {
    shared_subscription_filter(filter.as_bytes()).and_then(|bare| std::str::from_utf8(bare).ok()).unwrap_or(filter)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn aif_in_json_travels_as_base64url_and_other_text_as_it_is() {
        let aif = scope_text(r#"[["a/#",["pub"]]]"#).unwrap();
        assert!(!aif.contains('['));
        assert_eq!(Scope::from_claim(&Value::String(aif)).unwrap().entries().len(), 1);
        assert_eq!(scope_text("mqtt.read").unwrap(), "mqtt.read");
        assert!(scope_text("[[").is_err());
        assert!(scope_text(r#"[["a/#",["fly"]]]"#).is_err());
    }

    #[test]
    fn shared_subscriptions_need_the_right_to_their_filter() {
        assert_eq!(without_share("$share/g/a/b"), "a/b");
        assert_eq!(without_share("a/b"), "a/b");
    }
}
