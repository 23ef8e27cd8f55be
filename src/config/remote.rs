//! The parts of the configuration that are about asking an authorization server.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::document;
use super::duration::WrittenDuration;
use super::load::{Source, read};
use super::{ConfigError, RevocationSource};
use crate::remote::{Endpoint, EndpointError};

/// The longest file of certificates that is read, in bytes.
const CA_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The longest secret that is read, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// How often a list may be asked for.
const INTERVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
/// How long a request may take.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);

/// How the broker says who it is, as it is written.
struct ClientAs<'a> {
    id: Option<&'a Spanned<String>>,
    secret_file: Option<&'a Spanned<PathBuf>>,
}

impl Source<'_> {
    /// The revocation lists of those servers that have one.
    pub(super) fn revocation_lists(
        &self,
        servers: &[document::AuthorizationServer],
    ) -> Result<Vec<RevocationSource>, ConfigError> {
        let with_list = servers.iter().filter_map(|server| Some((server, server.revocation_list.as_ref()?)));
        with_list
            .map(|(server, list)| {
                let timeout = self.within("timeout", &list.timeout, &TIMEOUTS)?;
                let client = ClientAs { id: list.client_id.as_ref(), secret_file: list.client_secret_file.as_ref() };
                let endpoint = self.endpoint(&list.url, list.ca_file.as_ref(), timeout, &client)?;
                let interval = self.within("interval", &list.interval, &INTERVALS)?;
                Ok(RevocationSource { issuer: server.issuer.get_ref().clone(), endpoint: Arc::new(endpoint), interval })
            })
            .collect()
    }

    fn endpoint(
        &self,
        url: &Spanned<String>,
        ca_file: Option<&Spanned<PathBuf>>,
        timeout: Duration,
        client: &ClientAs<'_>,
    ) -> Result<Endpoint, ConfigError> {
        let trusted = ca_file.map(|file| self.text(file, CA_FILE_BYTES_MAX)).transpose()?;
        let endpoint =
            Endpoint::new(url.get_ref(), trusted.as_deref().map(String::as_str), timeout).map_err(|error| {
                let at = match (&error, ca_file) {
                    (EndpointError::Authorities(_), Some(file)) => file.span(),
                    _ => url.span(),
                };
                self.error(at, error)
            })?;
        match (client.id, client.secret_file) {
            (Some(id), Some(file)) => {
                let secret = self.text(file, SECRET_BYTES_MAX)?;
                // Editors end a file with a line end, which is no part of the secret.
                let secret = secret.trim_end_matches(['\r', '\n']);
                if secret.is_empty() {
                    return Err(self.error(file.span(), "the file of the secret is empty"));
                }
                Ok(endpoint.with_client(id.get_ref(), secret))
            }
            (None, None) => Ok(endpoint),
            (Some(id), None) => Err(self.error(id.span(), "client_id needs a client_secret_file")),
            (None, Some(file)) => Err(self.error(file.span(), "client_secret_file needs a client_id")),
        }
    }

    /// The text of a file; a relative path is meant from the configuration file's folder.
    fn text(&self, file: &Spanned<PathBuf>, most: u64) -> Result<zeroize::Zeroizing<String>, ConfigError> {
        let path = self.path.parent().map_or_else(|| file.get_ref().clone(), |folder| folder.join(file.get_ref()));
        read(&path, most)
            .map(zeroize::Zeroizing::new)
            .map_err(|reason| self.error(file.span(), format_args!("{}: {reason}", path.display())))
    }

    fn within(
        &self,
        key: &str,
        written: &Spanned<WrittenDuration>,
        allowed: &RangeInclusive<Duration>,
    ) -> Result<Duration, ConfigError> {
        let duration = written.get_ref().0;
        if allowed.contains(&duration) {
            return Ok(duration);
        }
        let (least, most) = (allowed.start(), allowed.end());
        Err(self.error(written.span(), format_args!("{key} must be between {least:?} and {most:?}")))
    }
}
