//! How the broker says who it is at a server: by a secret (RFC 6749 §2.3.1), by a signed assertion (`private_key_jwt`, RFC 7523), or by
//! its certificate (RFC 8705).

use std::time::SystemTime;

use ace_profile::jose::{Algorithm, Jwk, KeyError, jws};
use ace_profile::random::{Random as _, SystemRandom};
use ace_profile::{Timestamp, base64url};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ureq::tls::{Certificate, ClientCert, PrivateKey};
use zeroize::Zeroizing;

use super::https::EndpointError;

/// What `client_assertion_type` is (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion counts, in seconds: it is made for one request.
const ASSERTION_SECONDS: u64 = 60;
/// How many certificates may stand in a chain.
const CHAIN_MAX: usize = 16;

/// A form's parameter.
pub(super) type Parameter = (&'static str, Zeroizing<String>);

/// Who the broker is at a server.
#[derive(Default)]
pub(super) enum ClientAuthentication {
    /// It does not say.
    #[default]
    None,
    /// What stands in the header `Authorization`.
    Secret(Zeroizing<String>),
    /// It signs an assertion for each request.
    Key(Box<Assertion>),
    /// It has shown its certificate; the server has to be told whose that is.
    Certificate { id: String },
}

impl ClientAuthentication {
    /// By id and secret.
    pub(super) fn secret(id: &str, secret: &str) -> Self {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let both = Zeroizing::new(format!("{}:{}", encode(id), encode(secret)));
        Self::Secret(Zeroizing::new(format!("Basic {}", STANDARD.encode(both.as_bytes()))))
    }

    /// The header `Authorization`, if there is to be one.
    pub(super) fn header(&self) -> Option<&str> {
        match self {
            Self::Secret(header) => Some(header),
            Self::None | Self::Key(_) | Self::Certificate { .. } => None,
        }
    }

    /// What stands in the form besides.
    ///
    /// # Errors
    /// [`KeyError`] if nothing can be signed.
    pub(super) fn parameters(&self) -> Result<Vec<Parameter>, KeyError> {
        let id = |id: &str| ("client_id", Zeroizing::new(id.to_owned()));
        Ok(match self {
            Self::None | Self::Secret(_) => Vec::new(),
            Self::Certificate { id: name } => vec![id(name)],
            Self::Key(assertion) => vec![
                id(&assertion.id),
                ("client_assertion_type", Zeroizing::new(ASSERTION_TYPE.to_owned())),
                ("client_assertion", Zeroizing::new(assertion.sign(Timestamp::from_system_time(SystemTime::now()))?)),
            ],
        })
    }
}

/// What assertions are made of.
pub(super) struct Assertion {
    id: String,
    audience: String,
    key: Jwk,
    algorithm: Algorithm,
}

impl Assertion {
    pub(super) fn new(id: &str, key: Jwk, audience: &str) -> Result<Self, EndpointError> {
        // A key may say what it is for.
        let named = key.algorithm().and_then(|name| name.parse().ok());
        let algorithm = named.or_else(|| key.signature_algorithm()).filter(|algorithm| key.can_sign(*algorithm));
        let algorithm = algorithm.ok_or(EndpointError::ClientKey)?;
        Ok(Self { id: id.into(), audience: audience.into(), key, algorithm })
    }

    /// One (RFC 7523 §3), good from now on, for a minute and for one use.
    fn sign(&self, now: Timestamp) -> Result<String, KeyError> {
        let mut number = [0; 16];
        SystemRandom.fill(&mut number)?;
        let now = now.as_unix_seconds();
        let claims = serde_json::json!({
            "iss": self.id, "sub": self.id, "aud": self.audience,
            "iat": now, "exp": now + ASSERTION_SECONDS, "jti": base64url::encode(&number),
        });
        jws::sign(claims.to_string().as_bytes(), &self.key, self.algorithm, Some("JWT"))
    }
}

/// The certificate with which the broker shows itself in TLS, checked: the HTTP client takes it for granted that it can be used.
pub(super) fn certificate(chain: &str, key: &str) -> Result<ClientCert, EndpointError> {
    let unusable = |reason: &dyn std::fmt::Display| EndpointError::ClientCertificate(reason.to_string());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain.as_bytes())
        .take(CHAIN_MAX)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(&format_args!("a certificate cannot be read: {error}")))?;
    if chain.is_empty() {
        return Err(unusable(&"there is no PEM certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| EndpointError::ClientCertificateKey(format!("its key cannot be read: {error}")))?;
    let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&private)
        .map_err(|error| EndpointError::ClientCertificateKey(format!("its key cannot be used: {error}")))?;
    rustls::sign::CertifiedKey::new(chain.clone(), signing)
        .keys_match()
        .map_err(|error| unusable(&format_args!("certificate and key do not fit: {error}")))?;
    let key = PrivateKey::from_pem(key.as_bytes())
        .map_err(|error| EndpointError::ClientCertificateKey(format!("its key cannot be read: {error}")))?;
    let chain: Vec<_> = chain.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
    Ok(ClientCert::new_with_certs(&chain, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assertion_names_the_broker_twice_and_counts_once() {
        let key = Jwk::generate_p256(&mut SystemRandom).unwrap().with_kid("broker-1");
        let assertion = Assertion::new("broker", key.clone(), "https://as.example").unwrap();
        let now = Timestamp::from_unix_seconds(1_700_000_000);
        let (one, other) = (assertion.sign(now).unwrap(), assertion.sign(now).unwrap());
        let claims = |signed: &str| {
            let payload = jws::verify(signed, &key.to_public().unwrap()).unwrap();
            serde_json::from_slice::<serde_json::Value>(&payload).unwrap()
        };
        let said = claims(&one);
        assert_eq!((&said["iss"], &said["sub"]), (&"broker".into(), &"broker".into()));
        assert_eq!((&said["aud"], &said["exp"]), (&"https://as.example".into(), &1_700_000_060.into()));
        assert_ne!(said["jti"], claims(&other)["jti"]);
    }

    #[test]
    fn keys_that_cannot_sign_are_refused() {
        let public = Jwk::generate_ed25519(&mut SystemRandom).unwrap().to_public().unwrap();
        assert!(matches!(Assertion::new("broker", public, "as"), Err(EndpointError::ClientKey)));
        let other = Jwk::generate_ed25519(&mut SystemRandom).unwrap().with_algorithm("ES256");
        assert!(matches!(Assertion::new("broker", other, "as"), Err(EndpointError::ClientKey)));
    }

    #[test]
    fn a_certificate_needs_its_own_key() {
        let make = || {
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = rcgen::CertificateParams::new(vec!["broker.example".into()]).unwrap();
            (certificate.self_signed(&key).unwrap().pem(), key.serialize_pem())
        };
        let ((chain, key), (_, other)) = (make(), make());
        assert!(certificate(&chain, &key).is_ok());
        for (chain, key, reason) in
            [("", key.as_str(), "no PEM certificate"), (&chain, "", "cannot be read"), (&chain, &other, "do not fit")]
        {
            assert!(certificate(chain, key).unwrap_err().to_string().contains(reason), "{reason}");
        }
    }
}
