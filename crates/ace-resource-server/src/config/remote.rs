//! The parts of the configuration that are about asking an authorization server.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ace_profile::jose::Jwk;
use toml::Spanned;

use super::document;
use super::duration::WrittenDuration;
use super::load::{Source, is_url, read};
use super::{ConfigError, RevocationSource};
use crate::remote::{CacheBounds, Endpoint, EndpointError, IntrospectionSource, KeySource, SERVERS_MAX};

/// The longest file of certificates that is read, in bytes.
const CA_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The longest secret that is read, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// How often a list may be asked for.
const INTERVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
/// How long an answer about a token may count.
const CACHES: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(3600);
/// The least room for what is known of tokens: how many of them,
const INTROSPECTION_MIN: usize = 16;
/// and how many bytes.
const INTROSPECTION_BYTES_MIN: usize = 1024 * 1024;
/// How long a request may take.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);

/// With what the broker shows who it is.
#[derive(Clone, Copy)]
enum Shown {
    Secret,
    Key,
    Certificate,
}

impl Shown {
    const fn key(self) -> &'static str {
        match self {
            Self::Secret => "client_secret_file",
            Self::Key => "client_key_file",
            Self::Certificate => "client_certificate_file",
        }
    }
}

/// How the broker says who it is, as it is written.
#[derive(Default)]
struct ClientAs<'a> {
    id: Option<&'a Spanned<String>>,
    secret_file: Option<&'a Spanned<PathBuf>>,
    key_file: Option<&'a Spanned<PathBuf>>,
    assertion_audience: Option<&'a Spanned<String>>,
    certificate_file: Option<&'a Spanned<PathBuf>>,
    certificate_key_file: Option<&'a Spanned<PathBuf>>,
}

impl Source<'_> {
    /// Where the keys of those servers are whose keys do not stand in a file.
    pub(super) fn key_sources(
        &self,
        servers: &[document::AuthorizationServer],
    ) -> Result<Vec<Arc<KeySource>>, ConfigError> {
        let sources = servers.iter().map(|server| self.key_source(server));
        sources.filter_map(|source| source.map(|found| found.map(Arc::new)).transpose()).collect()
    }

    fn key_source(&self, server: &document::AuthorizationServer) -> Result<Option<KeySource>, ConfigError> {
        let issuer = server.issuer.get_ref();
        let timeout = server.timeout.clone().unwrap_or_else(document::five_seconds);
        let timeout = self.within("timeout", &timeout, &TIMEOUTS)?;
        let nobody = ClientAs::default();
        let endpoint = |url: &Spanned<String>| self.endpoint(url, server.ca_file.as_ref(), timeout, &nobody, issuer);
        match &server.jwks {
            Some(url) if url.get_ref().starts_with("https://") => {
                Ok(Some(KeySource::at(issuer.clone(), endpoint(url)?)))
            }
            Some(url) if is_url(url.get_ref()) => Err(self.error(url.span(), "jwks must be a file, or an https URL")),
            Some(_) => {
                let span = server.ca_file.as_ref().map(Spanned::span).or(server.timeout.as_ref().map(Spanned::span));
                span.map_or(Ok(None), |span| Err(self.error(span, "jwks is a file, so there is no use for it")))
            }
            // It is asked about all of its tokens.
            None if server.introspection.as_ref().is_some_and(|asked| asked.url.is_some()) => Ok(None),
            None => {
                let span = server.issuer.span();
                let Some(url) = KeySource::metadata_url(issuer) else {
                    let reason =
                        "without jwks the issuer is asked where its keys are, and it is no https URL that could be";
                    return Err(self.error(span, reason));
                };
                let source = KeySource::discovered(issuer.clone(), endpoint(&Spanned::new(span.clone(), url))?);
                source.map(Some).map_err(|error| self.error(span, error))
            }
        }
    }

    /// The revocation lists of those servers that have one.
    pub(super) fn revocation_lists(
        &self,
        servers: &[document::AuthorizationServer],
    ) -> Result<Vec<RevocationSource>, ConfigError> {
        let with_list = servers.iter().filter_map(|server| Some((server, server.revocation_list.as_ref()?)));
        with_list
            .map(|(server, list)| {
                let timeout = self.within("timeout", &list.timeout, &TIMEOUTS)?;
                let client = ClientAs {
                    id: list.client_id.as_ref(),
                    secret_file: list.client_secret_file.as_ref(),
                    ..ClientAs::default()
                };
                let issuer = server.issuer.get_ref();
                let endpoint = self.endpoint(&list.url, list.ca_file.as_ref(), timeout, &client, issuer)?;
                let interval = self.within("interval", &list.interval, &INTERVALS)?;
                Ok(RevocationSource { issuer: server.issuer.get_ref().clone(), endpoint: Arc::new(endpoint), interval })
            })
            .collect()
    }

    /// Whom to ask about tokens.
    pub(super) fn introspection(
        &self,
        servers: &[document::AuthorizationServer],
    ) -> Result<Vec<IntrospectionSource>, ConfigError> {
        let asked = servers.iter().filter_map(|server| Some((server, server.introspection.as_ref()?)));
        let mut sources = Vec::new();
        for (server, asked) in asked {
            if sources.len() == SERVERS_MAX {
                let reason = format_args!("more than {SERVERS_MAX} servers are to be asked about tokens");
                return Err(self.error(server.issuer.span(), reason));
            }
            let timeout = self.within("timeout", &asked.timeout, &TIMEOUTS)?;
            let cache = self.within("cache", &asked.cache, &CACHES)?;
            if cache < 2 * timeout {
                // What sessions rest on has to be asked again while it counts.
                let at = if asked.cache.span().is_empty() { &asked.timeout } else { &asked.cache };
                return Err(self.error(at.span(), "cache must be at least twice its timeout"));
            }
            let client = ClientAs {
                id: asked.client_id.as_ref(),
                secret_file: asked.client_secret_file.as_ref(),
                key_file: asked.client_key_file.as_ref(),
                assertion_audience: asked.client_assertion_audience.as_ref(),
                certificate_file: asked.client_certificate_file.as_ref(),
                certificate_key_file: asked.client_certificate_key_file.as_ref(),
            };
            let issuer = server.issuer.get_ref();
            let endpoint = |url: &Spanned<String>| self.endpoint(url, asked.ca_file.as_ref(), timeout, &client, issuer);
            let endpoint = match (&asked.url, KeySource::metadata_url(issuer)) {
                (Some(url), _) => endpoint(url)?,
                // It says where, with where its keys are.
                (None, Some(url)) if server.jwks.is_none() => {
                    endpoint(&Spanned::new(server.issuer.span(), url))?.not_known_yet()
                }
                (None, _) => {
                    let reason = "introspection needs a url, unless the server is found by its issuer, an https URL, without jwks";
                    return Err(self.error(server.issuer.span(), reason));
                }
            };
            sources.push(IntrospectionSource {
                issuer: issuer.clone(),
                endpoint: Arc::new(endpoint),
                cache,
                introspect_jwt: asked.introspect_jwt,
                has_no_keys: server.jwks.is_none() && asked.url.is_some(),
            });
        }
        Ok(sources)
    }

    /// How much of what servers say about tokens is known.
    pub(super) fn introspection_bounds(&self, tokens: &document::Tokens) -> Result<CacheBounds, ConfigError> {
        let at_least = |name: &str, written: Option<&Spanned<usize>>, default: usize, least: usize| match written {
            None => Ok(default),
            Some(most) if *most.get_ref() >= least => Ok(*most.get_ref()),
            Some(most) => Err(self.error(most.span(), format_args!("{name} must be {least} at least"))),
        };
        let CacheBounds { tokens: number, bytes } = CacheBounds::default();
        let (written, bytes_written) = (tokens.introspection_max.as_ref(), tokens.introspection_bytes_max.as_ref());
        Ok(CacheBounds {
            tokens: at_least("introspection_max", written, number, INTROSPECTION_MIN)?,
            bytes: at_least("introspection_bytes_max", bytes_written, bytes, INTROSPECTION_BYTES_MIN)?,
        })
    }

    fn endpoint(
        &self,
        url: &Spanned<String>,
        ca_file: Option<&Spanned<PathBuf>>,
        timeout: Duration,
        client: &ClientAs<'_>,
        issuer: &str,
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
        self.with_client(endpoint, client, issuer)
    }

    /// The endpoint with what says there who the broker is.
    fn with_client(&self, endpoint: Endpoint, client: &ClientAs<'_>, issuer: &str) -> Result<Endpoint, ConfigError> {
        let ways = [
            (Shown::Secret, client.secret_file),
            (Shown::Key, client.key_file),
            (Shown::Certificate, client.certificate_file),
        ];
        let mut ways = ways.into_iter().filter_map(|(shown, file)| Some((shown, file?)));
        let way = ways.next();
        if let Some((_, second)) = ways.next() {
            let later =
                way.filter(|(_, first)| first.span().start > second.span().start).map_or(second, |(_, first)| first);
            let reason = "only one of client_secret_file, client_key_file and client_certificate_file can be set";
            return Err(self.error(later.span(), reason));
        }
        if let Some(audience) = client.assertion_audience.filter(|_| client.key_file.is_none()) {
            return Err(self.error(audience.span(), "client_assertion_audience needs a client_key_file"));
        }
        if let Some(key) = client.certificate_key_file.filter(|_| client.certificate_file.is_none()) {
            return Err(self.error(key.span(), "client_certificate_key_file needs a client_certificate_file"));
        }
        let (id, (shown, file)) = match (client.id, way) {
            (None, None) => return Ok(endpoint),
            (Some(id), None) => {
                return Err(self.error(
                    id.span(),
                    "client_id needs a client_secret_file, or another way to show who the broker is",
                ));
            }
            (None, Some((shown, file))) => {
                return Err(self.error(file.span(), format_args!("{} needs a client_id", shown.key())));
            }
            (Some(id), Some(way)) => (id.get_ref(), way),
        };
        match shown {
            Shown::Secret => {
                let secret = self.text(file, SECRET_BYTES_MAX)?;
                // Editors end a file with a line end, which is no part of the secret.
                let secret = secret.trim_end_matches(['\r', '\n']);
                if secret.is_empty() {
                    return Err(self.error(file.span(), "the file of the secret is empty"));
                }
                Ok(endpoint.with_client(id, secret))
            }
            Shown::Key => {
                let text = self.text(file, SECRET_BYTES_MAX)?;
                let shown = file.get_ref().display();
                let key = Jwk::from_json(&text)
                    .map_err(|reason| self.error(file.span(), format_args!("{shown}: {reason}")))?;
                let audience = client.assertion_audience.map_or(issuer, |audience| audience.get_ref());
                endpoint
                    .with_client_key(id, key, audience)
                    .map_err(|reason| self.error(file.span(), format_args!("{shown}: {reason}")))
            }
            Shown::Certificate => {
                let Some(key_file) = client.certificate_key_file else {
                    return Err(self.error(file.span(), "client_certificate_file needs a client_certificate_key_file"));
                };
                let (chain, key) = (self.text(file, CA_FILE_BYTES_MAX)?, self.text(key_file, SECRET_BYTES_MAX)?);
                endpoint.with_client_certificate(id, &chain, &key).map_err(|reason| {
                    let at = match &reason {
                        EndpointError::ClientCertificateKey(_) => key_file,
                        _ => file,
                    };
                    self.error(at.span(), format_args!("{}: {reason}", at.get_ref().display()))
                })
            }
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
