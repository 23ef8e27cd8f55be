//! For tests: an authorization server, a broker that trusts it, and tokens to be spoiled.

use std::time::Duration;

use serde_json::{Value, json};

use super::{AuthorizationServer, Policy, ValidatedToken, Validator};
use crate::jose::jwe::{self, Encryption, Management};
use crate::jose::{Algorithm, Jwk, jws};
use crate::random::SystemRandom;
use crate::scope::ScopeFormat;
use crate::{Refusal, Timestamp, base64url};

/// The time at which tokens are validated unless a test says otherwise, in seconds.
pub(crate) const NOW: u64 = 1_700_000_000;
/// The `iss` of the authorization server.
pub(crate) const ISSUER: &str = "https://as.example";
/// The leeway of the broker.
pub(crate) const LEEWAY: Duration = Duration::from_secs(5);

/// The authorization server with its keys, and a client with its.
pub(crate) struct Fixture {
    /// Signs tokens; `kid` "as-1".
    pub(crate) signing: Jwk,
    /// Shared with the broker, encrypts keys; `kid` "shared".
    pub(crate) shared: Jwk,
    /// The client's key.
    pub(crate) client: Jwk,
    /// Further keys of the authorization server, as the broker knows them.
    pub(crate) more_keys: Vec<Jwk>,
    /// Keys that the server encrypts with, beside those.
    pub(crate) decryption_keys: Vec<Jwk>,
    /// The client keys that the broker knows.
    pub(crate) client_keys: Vec<Jwk>,
    /// The allowed algorithms.
    pub(crate) algorithms: Option<Vec<Algorithm>>,
    /// What the broker asks of tokens.
    pub(crate) policy: Policy,
    /// The form of the scopes.
    pub(crate) scope_format: ScopeFormat,
    /// Whether placeholders in them are filled in.
    pub(crate) scope_placeholders: bool,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self {
            signing: Jwk::ed25519_from_seed(&[1; 32]).unwrap().with_kid("as-1"),
            shared: Jwk::from_symmetric(&[2; 32]).unwrap().with_kid("shared").with_use("enc"),
            client: Jwk::ed25519_from_seed(&[3; 32]).unwrap().with_kid("device-7"),
            more_keys: Vec::new(),
            client_keys: Vec::new(),
            decryption_keys: Vec::new(),
            algorithms: None,
            policy: Policy {
                audience: vec!["broker.example".to_owned(), "mqtt.example".to_owned()],
                leeway: LEEWAY,
                allow_bearer: false,
                allow_no_expiry: false,
                allow_relative_expiry: false,
            },
            scope_format: ScopeFormat::Aif,
            scope_placeholders: false,
        }
    }

    /// The broker's side.
    pub(crate) fn validator(&self) -> Validator {
        let own = [self.signing.to_public().unwrap_or_else(|| self.signing.clone()), self.shared.clone()];
        let server = AuthorizationServer {
            issuer: ISSUER.to_owned(),
            decryption_keys: self.decryption_keys.iter().cloned().collect(),
            keys: own.into_iter().chain(self.more_keys.iter().cloned()).collect(),
            algorithms: self.algorithms.clone().map(Into::into),
            scope_format: self.scope_format.clone(),
            scope_placeholders: self.scope_placeholders,
        };
        let other =
            AuthorizationServer { issuer: "https://other.example".to_owned(), ..AuthorizationServer::default() };
        Validator::new(vec![other, server], self.client_keys.iter().cloned().collect(), self.policy.clone())
    }

    /// Good claims.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": ISSUER,
            "sub": "device-7",
            "aud": "broker.example",
            "iat": NOW - 10,
            "exp": NOW + 600,
            "cnf": {"jwk": self.client.public_value().unwrap()},
            "scope": base64url::encode(br#"[["sensors/#",["pub"]]]"#),
        })
    }

    /// Good claims with one of them changed.
    pub(crate) fn with(&self, claim: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[claim] = value;
        claims
    }

    /// Good claims without one of them.
    pub(crate) fn without(&self, claim: &str) -> Value {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().remove(claim);
        claims
    }

    /// A token with these claims, signed as the server signs.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let algorithm = self.signing.signature_algorithm().unwrap();
        jws::sign(claims.to_string().as_bytes(), &self.signing, algorithm, Some("JWT")).unwrap()
    }

    /// A token with this header and these payload bytes, signed by the server with its Ed25519 key
    /// whatever the header says.
    pub(crate) fn sign_raw(&self, header: &Value, payload: &[u8]) -> String {
        let input = format!("{}.{}", base64url::encode(header.to_string().as_bytes()), base64url::encode(payload));
        let signature =
            crate::jose::signature::sign(self.signing.material(), Algorithm::EdDsa, input.as_bytes()).unwrap();
        format!("{input}.{}", base64url::encode(&signature))
    }

    /// A symmetric key, encrypted for the broker.
    pub(crate) fn encrypt(&self, plaintext: &[u8]) -> String {
        jwe::encrypt(plaintext, &self.shared, Management::A256Kw, Encryption::A128Gcm, None, &mut SystemRandom).unwrap()
    }

    /// A token, encrypted for the broker.
    pub(crate) fn encrypt_token(&self, token: &str) -> String {
        let (management, encryption) = (Management::A256Kw, Encryption::A128Gcm);
        jwe::encrypt(token.as_bytes(), &self.shared, management, encryption, Some("JWT"), &mut SystemRandom).unwrap()
    }

    /// What the broker says to a token, now.
    pub(crate) fn validate(&self, token: &str) -> Result<ValidatedToken, Refusal> {
        self.validator().validate(token, Timestamp::from_unix_seconds(NOW))
    }

    /// What the broker says to a token with these claims, now.
    pub(crate) fn judge(&self, claims: &Value) -> Result<ValidatedToken, Refusal> {
        self.validate(&self.sign(claims))
    }
}
