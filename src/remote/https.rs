//! Requests over HTTPS: verified, bounded in time and size, and without redirects, which would carry a secret elsewhere.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use thiserror::Error;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use zeroize::Zeroizing;

/// How many certificates of authorities are read from a file, at most.
const AUTHORITIES_MAX: usize = 4096;

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

/// One resource of a server, with what is needed to ask for it.
pub struct Endpoint {
    url: String,
    agent: Agent,
    authorization: Option<Zeroizing<String>>,
    timeout: Duration,
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
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::new_with_certs(&authorities(trusted)?))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(timeout))
            .user_agent(concat!("mosquitto-ace/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self { url: url.into(), agent, authorization: None, timeout })
    }

    /// The same with the broker's own id and secret at that server (RFC 6749 §2.3.1).
    #[must_use]
    pub fn with_client(mut self, id: &str, secret: &str) -> Self {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let both = Zeroizing::new(format!("{}:{}", encode(id), encode(secret)));
        self.authorization = Some(Zeroizing::new(format!("Basic {}", STANDARD.encode(both.as_bytes()))));
        self
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
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
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization.as_str());
        }
        let mut answer = request.call().map_err(|error| self.explain(error, most))?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(RequestError::Status(status));
        }
        if answer.body().mime_type() != Some(media_type) {
            return Err(RequestError::MediaType);
        }
        answer.body_mut().with_config().limit(most).read_to_vec().map_err(|error| self.explain(error, most))
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
