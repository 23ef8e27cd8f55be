//! Requests over HTTPS: verified, bounded in time and size, and without redirects, which would carry a secret elsewhere.

use std::sync::Arc;
use std::time::Duration;

use ace_profile::jose::Jwk;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use thiserror::Error;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{Certificate, ClientCert, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};
use zeroize::Zeroizing;

use super::cache_control;
use super::client::{self, Assertion, ClientAuthentication};
use super::retry_after::retry_after;

/// How many certificates of authorities are read from a file, at most.
const AUTHORITIES_MAX: usize = 4096;
/// How many connections to a server are kept for further requests.
const IDLE_CONNECTIONS: usize = 32;

/// Why an endpoint cannot be used at all.
#[derive(Debug, Error)]
pub enum EndpointError {
    /// The URL's scheme is not https.
    #[error("{0:?} is not an https URL")]
    NotHttps(String),
    /// There is no certificate where there should be, or one that is none.
    #[error("{0}")]
    Authorities(String),
    /// The system has no authorities that could be trusted.
    #[error("the system has no certificate authorities to trust: name a ca_file")]
    NoAuthorities,
    /// The key that is to sign for the broker cannot.
    #[error("the key cannot sign: it must be a private Ed25519, P-256 or RSA key, or a symmetric one")]
    ClientKey,
    /// The broker's certificate cannot be used.
    #[error("{0}")]
    ClientCertificate(String),
    /// The private key of the broker's certificate cannot be used.
    #[error("{0}")]
    ClientCertificateKey(String),
}

/// Why a request brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// No connection, or one that broke.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The server's certificate, or TLS itself.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// No whole answer in time.
    #[error("gave no answer within {0:?}")]
    TimedOut(Duration),
    /// It does not know the broker, or does not let it ask.
    #[error("refuses the broker's own credentials (HTTP status {0})")]
    Credentials(u16),
    /// It wants to be left alone for a while.
    #[error("is overloaded (HTTP status {status})")]
    Overloaded {
        /// 429 or 503.
        status: u16,
        /// For how long, if it says so.
        retry_after: Option<Duration>,
    },
    /// An answer, but not what was asked for.
    #[error("answered with HTTP status {0}")]
    Status(u16),
    /// More bytes than are read.
    #[error("answered with more than {0} bytes")]
    TooLong(u64),
    /// Another kind of content than asked for.
    #[error("answered with content of another type")]
    MediaType,
    /// What was received is not what the specification says.
    #[error("gave an answer that cannot be used: {0}")]
    Unusable(String),
}

/// What was got, and for how long it is fresh.
pub(super) struct Content {
    pub(super) body: Vec<u8>,
    pub(super) lifetime: Duration,
}

/// One resource of a server, with what is needed to ask for it.
pub struct Endpoint {
    url: String,
    agent: Agent,
    client: Arc<ClientAuthentication>,
    timeout: Duration,
    is_known: bool,
}

impl Endpoint {
    /// An endpoint by its https URL. Certificates are verified against these authorities (PEM), or those of the system; a
    /// request takes `timeout` at most, from looking the name up to the answer's last byte.
    ///
    /// # Errors
    /// [`EndpointError`] if it can never be reached so.
    pub fn new(url: &str, trusted: Option<&str>, timeout: Duration) -> Result<Self, EndpointError> {
        if !url.starts_with("https://") {
            return Err(EndpointError::NotHttps(url.into()));
        }
        let authorities = RootCerts::new_with_certs(&authorities(trusted)?);
        let agent = agent(authorities, None, timeout);
        Ok(Self { url: url.into(), agent, client: Arc::default(), timeout, is_known: true })
    }

    /// The same with the broker's own id and secret at that server (RFC 6749 §2.3.1).
    #[must_use]
    pub fn with_client(mut self, id: &str, secret: &str) -> Self {
        self.client = Arc::new(ClientAuthentication::secret(id, secret));
        self
    }

    /// The same with a key that signs for the broker (`private_key_jwt`, RFC 7523). Only [`Self::post_form`] has a place for that.
    ///
    /// # Errors
    /// [`EndpointError::ClientKey`] if the key cannot sign.
    pub fn with_client_key(mut self, id: &str, key: Jwk, audience: &str) -> Result<Self, EndpointError> {
        self.client = Arc::new(ClientAuthentication::Key(Box::new(Assertion::new(id, key, audience)?)));
        Ok(self)
    }

    /// The same with a certificate that the broker shows in TLS (RFC 8705): a chain and its private key, both PEM.
    ///
    /// # Errors
    /// [`EndpointError`] if they cannot be used, or do not belong together.
    pub fn with_client_certificate(mut self, id: &str, chain: &str, key: &str) -> Result<Self, EndpointError> {
        let certificate = client::certificate(chain, key)?;
        let authorities = self.agent.config().tls_config().root_certs().clone();
        self.agent = agent(authorities, Some(certificate), self.timeout);
        self.client = Arc::new(ClientAuthentication::Certificate { id: id.into() });
        Ok(self)
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How long a request may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Gets the resource, or what the `query` says of it. Waits: not for the broker's thread.
    ///
    /// # Errors
    /// [`RequestError`] if anything but a whole answer of that media type and of `most` bytes at most comes back.
    pub fn get(&self, query: Option<&str>, media_type: &str, most: u64) -> Result<Vec<u8>, RequestError> {
        let url = match query {
            Some(query) if self.url.contains('?') => format!("{}&{query}", self.url),
            Some(query) => format!("{}?{query}", self.url),
            None => self.url.clone(),
        };
        let mut request = self.agent.get(&url).header("Accept", media_type);
        if let Some(authorization) = self.client.header() {
            request = request.header("Authorization", authorization);
        }
        let answer = request.call().map_err(|error| self.explain(error, most))?;
        self.content(answer, &[media_type], most)
    }

    /// Posts a form, which says besides who the broker is, and gives what comes back. Waits, `timeout` at most: not for the broker's
    /// thread.
    ///
    /// # Errors
    /// [`RequestError`] if anything but a whole answer of one of those media types and of `most` bytes at most comes back.
    pub fn post_form(
        &self,
        parameters: &[(&str, &str)],
        media_types: &[&str],
        most: u64,
        timeout: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, RequestError> {
        if !self.is_known {
            return Err(RequestError::Unusable("where it is asked about tokens is not known".into()));
        }
        let own = self.client.parameters().map_err(|error| RequestError::Unusable(error.to_string()))?;
        let form = form(parameters.iter().copied().chain(own.iter().map(|(name, value)| (*name, value.as_str()))));
        let mut request = self
            .agent
            .post(&self.url)
            .config()
            .timeout_global(Some(timeout.min(self.timeout)))
            .build()
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Accept", media_types.join(", "));
        if let Some(authorization) = self.client.header() {
            request = request.header("Authorization", authorization);
        }
        let answer = request.send(form.as_bytes()).map_err(|error| self.explain(error, most))?;
        self.content(answer, media_types, most).map(Zeroizing::new)
    }

    fn content(&self, mut answer: Response<Body>, media_types: &[&str], most: u64) -> Result<Vec<u8>, RequestError> {
        if let Some(error) = refusal(answer.status().as_u16(), answer.headers()) {
            return Err(error);
        }
        let is_asked_for = |given: &str| media_types.iter().any(|asked| asked.eq_ignore_ascii_case(given));
        if !answer.body().mime_type().is_some_and(is_asked_for) {
            return Err(RequestError::MediaType);
        }
        answer.body_mut().with_config().limit(most).read_to_vec().map_err(|error| self.explain(error, most))
    }

    /// Another resource, reached in the same way and without saying who the broker is.
    ///
    /// # Errors
    /// [`EndpointError`] if it can never be reached so.
    pub(super) fn at(&self, url: &str) -> Result<Self, EndpointError> {
        if !url.starts_with("https://") {
            return Err(EndpointError::NotHttps(url.into()));
        }
        let agent = self.agent.clone();
        Ok(Self { url: url.into(), agent, client: Arc::default(), timeout: self.timeout, is_known: true })
    }

    /// The same, but not what is to be asked: that is said by what is at its URL. Nothing can be posted to it.
    #[must_use]
    pub fn not_known_yet(self) -> Self {
        Self { is_known: false, ..self }
    }

    /// Whether it is what is to be asked.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.is_known
    }

    /// What is to be asked, when it is known: reached in the same way, by the same client.
    ///
    /// # Errors
    /// [`EndpointError`] if it can never be reached so.
    pub(super) fn found(&self, url: &str) -> Result<Self, EndpointError> {
        Ok(Self { client: Arc::clone(&self.client), ..self.at(url)? })
    }

    /// Gets what anybody may know, as one of these media types, and for how long it is fresh. Waits: not for the broker's thread.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) fn get_public(&self, media_types: &[&str], most: u64) -> Result<Content, RequestError> {
        let request = self.agent.get(&self.url).header("Accept", media_types.join(", "));
        let answer = request.call().map_err(|error| self.explain(error, most))?;
        let lifetime = cache_control::lifetime(answer.headers());
        let body = self.content(answer, media_types, most).map_err(|error| match error {
            // It was told of none.
            RequestError::Credentials(status) => RequestError::Status(status),
            other => other,
        })?;
        Ok(Content { body, lifetime })
    }

    /// What went wrong, in words that hold nothing of the request.
    fn explain(&self, error: ureq::Error, most: u64) -> RequestError {
        match error {
            ureq::Error::Timeout(_) => RequestError::TimedOut(self.timeout),
            ureq::Error::BodyExceedsLimit(_) => RequestError::TooLong(most),
            ureq::Error::Rustls(error) => RequestError::Tls(error.to_string()),
            ureq::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(error) => RequestError::Tls(error.to_string()),
                None => RequestError::Unreachable(error.to_string()),
            },
            other => RequestError::Unreachable(other.to_string()),
        }
    }
}

/// What asks: TLS verified, no redirects, bounded in time.
fn agent(authorities: RootCerts, certificate: Option<ClientCert>, timeout: Duration) -> Agent {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(authorities)
        .client_cert(certificate)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(IDLE_CONNECTIONS)
        .max_idle_connections_per_host(IDLE_CONNECTIONS)
        .timeout_global(Some(timeout))
        .user_agent(concat!("mosquitto-ace/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// The form as it is sent. It holds the token, so it is wiped; what the HTTP client copies of it is not ours to wipe.
fn form<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Zeroizing<String> {
    // Three characters for each that needs it, and "=" and "&": so that it is never moved.
    let room = parameters.clone().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(room));
    for (name, value) in parameters {
        form.append_pair(name, value);
    }
    Zeroizing::new(form.finish())
}

/// What a status other than 200 means.
fn refusal(status: u16, headers: &HeaderMap) -> Option<RequestError> {
    match status {
        200 => None,
        401 | 403 => Some(RequestError::Credentials(status)),
        429 | 503 => Some(RequestError::Overloaded { status, retry_after: retry_after(headers) }),
        other => Some(RequestError::Status(other)),
    }
}

/// Neither the URL's query nor the secret.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The certificates of the authorities that are trusted.
fn authorities(trusted: Option<&str>) -> Result<Vec<Certificate<'static>>, EndpointError> {
    let certificates = match trusted {
        Some(text) => certificates_in(text)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    if certificates.is_empty() {
        return Err(EndpointError::NoAuthorities);
    }
    Ok(certificates.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
}

fn certificates_in(text: &str) -> Result<Vec<CertificateDer<'static>>, EndpointError> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(text.as_bytes()).take(AUTHORITIES_MAX).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(EndpointError::Authorities("there is no PEM certificate in it".into()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(EndpointError::Authorities(format!("a certificate in it cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(url: &str, trusted: Option<&str>) -> String {
        Endpoint::new(url, trusted, Duration::from_secs(1)).unwrap_err().to_string()
    }

    #[test]
    fn what_can_never_be_reached_is_refused_at_once() {
        assert!(error("http://as.example/trl", Some("")).contains("not an https URL"));
        assert!(error("https://as.example/trl", Some("")).contains("no PEM certificate"));
        let damaged = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        assert!(error("https://as.example/trl", Some(damaged)).contains("cannot be read"));
    }
}
