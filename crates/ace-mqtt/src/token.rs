//! Getting a token from an authorization server over HTTPS (RFC 9200 §5.8, RFC 9201, RFC 6749 §4.4).

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ace_profile::jose::Jwk;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig, TlsProvider},
};
use zeroize::Zeroizing;

use crate::{
    credentials::Credentials,
    error::{Error, Result},
    tls::{self, TlsOptions, TlsVersion},
};

/// Upper bound of an answer, in bytes.
const ANSWER_BYTES: u64 = 256 * 1024;

/// How the client says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuthentication {
    /// Id and secret in the `Authorization` header (RFC 6749 §2.3.1).
    #[default]
    Basic,
    /// Id and secret among the parameters.
    Parameters,
}

/// How the request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestFormat {
    /// `application/ace+json` (RFC 9431 §2.1).
    #[default]
    AceJson,
    /// `application/x-www-form-urlencoded`, which every OAuth server takes (RFC 6749 §4.4.2).
    Form,
}

/// The key that the token is to be bound to.
#[derive(Debug, Clone)]
pub enum RequestedKey {
    /// The client's own key: its public half goes into `req_cnf` (RFC 9201 §3.1).
    Own(Box<Jwk>),
    /// A symmetric key that the server makes and hands over in `cnf` (RFC 9201 §3.2).
    Symmetric,
    /// None: the server decides, and a bearer token may be the answer.
    Unspecified,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// The broker's name.
    pub audience: Option<String>,
    /// The rights: AIF as base64url text, or whatever the server understands.
    pub scope: Option<String>,
    /// The proof-of-possession key.
    pub key: RequestedKey,
}

/// What the server gave.
pub struct TokenResponse {
    /// Token and key.
    pub credentials: Credentials,
    /// Life of the token in seconds, if told.
    pub expires_in: Option<u64>,
    /// The scope granted, if it differs from the one asked for.
    pub scope: Option<Value>,
    /// The broker's key as the server wrote it (RFC 9201 §3.2). A `jwk` in it is in the credentials too, and is checked at each connect.
    pub rs_cnf: Option<Value>,
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse")
            .field("credentials", &self.credentials)
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// A client of one authorization server's token endpoint.
///
/// ```no_run
/// use ace_mqtt::{RequestedKey, TokenClient, TokenRequest};
/// # fn main() -> ace_mqtt::Result<()> {
/// let client = TokenClient::new("https://as.example/token", &Default::default())?
///     .with_client("sensor", "secret");
/// let answer = client.request(&TokenRequest {
///     audience: Some("broker.example".to_owned()),
///     scope: None,
///     key: RequestedKey::Symmetric,
/// })?;
/// println!("valid for {:?} seconds", answer.expires_in);
/// # Ok(()) }
/// ```
pub struct TokenClient {
    url: String,
    agent: Agent,
    client_id: String,
    client_secret: Zeroizing<String>,
    authentication: ClientAuthentication,
    format: RequestFormat,
}

impl fmt::Debug for TokenClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenClient")
            .field("url", &self.url)
            .field("client_id", &self.client_id)
            .field("client_secret", &"…")
            .finish_non_exhaustive()
    }
}

impl TokenClient {
    /// A client for the token endpoint `url`. Only https; no redirects (they would carry the secret elsewhere); 20 seconds at most.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another scheme; errors of reading the CA file.
    pub fn new(url: &str, trust: &TlsOptions) -> Result<Self> {
        if !url.starts_with("https://") {
            return Err(Error::Invalid(format!(
                "{url:?} is not an https URL, and tokens and secrets travel over TLS only"
            )));
        }
        if trust.version != TlsVersion::Any {
            return Err(Error::Invalid("the TLS version towards an authorization server cannot be chosen".to_owned()));
        }
        if trust.client_certificate.is_some() {
            return Err(Error::Invalid(
                "an authorization server is shown id and secret, not a client certificate".to_owned(),
            ));
        }
        let roots: Vec<Certificate<'static>> = tls::trusted_certificates(trust)?
            .iter()
            .map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned())
            .collect();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .user_agent(concat!("ace-mqtt/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self {
            url: url.to_owned(),
            agent,
            client_id: String::new(),
            client_secret: Zeroizing::default(),
            authentication: ClientAuthentication::default(),
            format: RequestFormat::default(),
        })
    }

    /// The same with the client's id and secret.
    #[must_use]
    pub fn with_client(mut self, id: &str, secret: &str) -> Self {
        self.client_id = id.to_owned();
        self.client_secret = Zeroizing::new(secret.to_owned());
        self
    }

    /// The same with another way of saying who the client is.
    #[must_use]
    pub fn with_authentication(mut self, authentication: ClientAuthentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// The same with another form of request.
    #[must_use]
    pub fn with_format(mut self, format: RequestFormat) -> Self {
        self.format = format;
        self
    }

    /// Asks for a token.
    ///
    /// # Errors
    /// [`Error::AuthorizationServerUnreachable`], [`Error::TokenRefused`] with the server's error code, [`Error::TokenAnswer`] for an answer that
    /// cannot be used: no token, another profile, a key that is not the one asked for.
    pub fn request(&self, request: &TokenRequest) -> Result<TokenResponse> {
        let parameters = self.parameters(request)?;
        let (content_type, body) = match self.format {
            RequestFormat::AceJson => ("application/ace+json", Zeroizing::new(Value::Object(parameters).to_string())),
            RequestFormat::Form => ("application/x-www-form-urlencoded", form(&parameters)),
        };
        let mut builder = self
            .agent
            .post(&self.url)
            .header("Content-Type", content_type)
            .header("Accept", "application/ace+json, application/json");
        if self.authentication == ClientAuthentication::Basic {
            builder = builder.header("Authorization", self.basic().as_str());
        }
        let mut answer = builder.send(body.as_bytes()).map_err(|error| self.unreachable(&error))?;
        let status = answer.status().as_u16();
        let text = Zeroizing::new(
            answer
                .body_mut()
                .with_config()
                .limit(ANSWER_BYTES)
                .read_to_string()
                .map_err(|error| Error::TokenAnswer(format!("HTTP {status}, then {error}")))?,
        );
        if status != 200 && status != 201 {
            return Err(refusal(status, &text));
        }
        understand(request, &text)
    }

    fn parameters(&self, request: &TokenRequest) -> Result<Map<String, Value>> {
        let mut parameters = Map::new();
        parameters.insert("grant_type".to_owned(), json!("client_credentials"));
        if self.authentication == ClientAuthentication::Parameters {
            parameters.insert("client_id".to_owned(), json!(self.client_id));
            parameters.insert("client_secret".to_owned(), json!(self.client_secret.as_str()));
        }
        if let Some(audience) = &request.audience {
            parameters.insert("audience".to_owned(), json!(audience));
        }
        if let Some(scope) = &request.scope {
            parameters.insert("scope".to_owned(), json!(scope));
        }
        if let RequestedKey::Own(key) = &request.key {
            let public = key.public_value().ok_or_else(|| {
                Error::Invalid("a symmetric key is not sent to the server: let it make one".to_owned())
            })?;
            parameters.insert("req_cnf".to_owned(), json!({ "jwk": public }));
        }
        Ok(parameters)
    }

    /// RFC 6749 §2.3.1: id and secret are form-encoded before they are joined.
    fn basic(&self) -> Zeroizing<String> {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let joined = Zeroizing::new(format!("{}:{}", encode(&self.client_id), encode(&self.client_secret)));
        Zeroizing::new(format!("Basic {}", STANDARD.encode(joined.as_bytes())))
    }

    fn unreachable(&self, error: &ureq::Error) -> Error {
        let reason = match error {
            ureq::Error::Rustls(error) => tls::tls_words(error),
            ureq::Error::Io(error) => tls::io_words(error),
            ureq::Error::Timeout(_) => "no answer in time".to_owned(),
            other => other.to_string(),
        };
        Error::AuthorizationServerUnreachable { url: self.url.clone(), reason }
    }
}

/// Parameters as a form. An object (`req_cnf`) goes in as its JSON text: no RFC says how else to put it into a form.
fn form(parameters: &Map<String, Value>) -> Zeroizing<String> {
    let mut serializer = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        match value {
            Value::String(text) => serializer.append_pair(name, text),
            other => serializer.append_pair(name, &other.to_string()),
        };
    }
    Zeroizing::new(serializer.finish())
}

/// Longest text of an error answer that is repeated.
const DESCRIPTION_CHARS: usize = 300;

fn refusal(status: u16, text: &str) -> Error {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    // The text of somebody else ends up on a terminal: no control characters, and not a novel.
    let clean = |value: &Value| {
        value.as_str().map(|text| text.chars().filter(|c| !c.is_control()).take(DESCRIPTION_CHARS).collect::<String>())
    };
    Error::TokenRefused {
        status,
        error: answer.get("error").and_then(clean).unwrap_or_default(),
        description: answer.get("error_description").and_then(clean),
    }
}

fn understand(request: &TokenRequest, text: &str) -> Result<TokenResponse> {
    let unusable = |reason: &str| Error::TokenAnswer(reason.to_owned());
    let answer: Value = serde_json::from_str(text).map_err(|_| unusable("it is not JSON"))?;
    let token = answer.get("access_token").and_then(Value::as_str).ok_or_else(|| unusable("it has no access_token"))?;
    if let Some(profile) = answer.get("ace_profile")
        && profile.as_str() != Some("mqtt_tls")
    {
        return Err(unusable("it is for another profile than mqtt_tls"));
    }
    let answered = answer
        .get("cnf")
        .map(|cnf| {
            let jwk = cnf.get("jwk").ok_or_else(|| unusable("its cnf holds no jwk"))?;
            Jwk::from_value(jwk).map_err(|error| unusable(&format!("its cnf: {error}")))
        })
        .transpose()?;
    // Other forms than `jwk` are left to the caller: the certificate is verified in any case.
    let broker_key = answer
        .get("rs_cnf")
        .and_then(|cnf| cnf.get("jwk"))
        .map(|jwk| Jwk::from_value(jwk).map_err(|error| unusable(&format!("its rs_cnf: {error}"))))
        .transpose()?;
    let key = match (&request.key, answered) {
        (RequestedKey::Own(own), None) => Some((**own).clone()),
        (RequestedKey::Own(own), Some(other)) => {
            if other.thumbprint() != own.thumbprint() {
                return Err(unusable("it is bound to another key than the one asked for"));
            }
            Some((**own).clone())
        }
        (RequestedKey::Symmetric, Some(key)) if key.public_value().is_none() => Some(key),
        (RequestedKey::Symmetric, _) => {
            return Err(unusable("it holds no symmetric key in cnf"));
        }
        (RequestedKey::Unspecified, key) => key,
    };
    let expires_in = answer.get("expires_in").and_then(|value| {
        // Some servers write the number as text.
        value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|duration| duration.as_secs()).unwrap_or_default();
    let credentials = Credentials::new(token, key)
        .map_err(|error| Error::TokenAnswer(error.to_string()))?
        .with_audience(request.audience.iter().cloned().collect())
        .with_expiry(expires_in.map(|seconds| now.saturating_add(seconds)))
        .with_broker_key(broker_key);
    Ok(TokenResponse {
        credentials,
        expires_in,
        scope: answer.get("scope").cloned(),
        rs_cnf: answer.get("rs_cnf").cloned(),
    })
}
