//! The authorization server's part: tokens of any kind, good and bad, and the JWKS to check them by.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::key::Key;
use super::secrets;

/// `iss` of the tokens, unless a test says otherwise.
pub const ISSUER: &str = "https://as.test";
/// `aud` of the tokens, and the broker's name.
pub const AUDIENCE: &str = "broker.test";

/// Base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The time since the Unix epoch.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970")
}

/// An authorization server: its keys and its name.
#[derive(Clone)]
pub struct Authority {
    /// `iss`.
    pub issuer: String,
    /// What it signs with.
    pub key: Key,
    /// What stands in its JWKS.
    pub jwks: Vec<Value>,
}

impl Authority {
    /// One that signs with Ed25519.
    pub fn new() -> Self {
        Self::signing_with(Key::ed25519().named("as-key"))
    }

    /// One that signs with `key`, which is its only one.
    pub fn signing_with(key: Key) -> Self {
        Self { issuer: ISSUER.to_owned(), jwks: vec![key.jwk()], key }
    }

    /// The same, with one more key in its JWKS.
    pub fn publishing(mut self, key: &Key) -> Self {
        self.jwks.push(key.jwk());
        self
    }

    /// Its JWKS document.
    pub fn jwks(&self) -> String {
        json!({ "keys": self.jwks }).to_string()
    }

    /// Claims for a client that holds `key`: valid for five minutes, with `dev/#` in both directions.
    pub fn claims(&self, subject: &str, key: &Key) -> Claims {
        Claims(Map::new())
            .set("iss", self.issuer.as_str())
            .set("aud", AUDIENCE)
            .set("sub", subject)
            .set("iat", now().as_secs())
            .set("exp", now().as_secs() + 300)
            .set("cnf", json!({ "jwk": key.jwk() }))
            .scope(&[("dev/#", &["pub", "sub"])])
    }

    /// The claims, signed.
    pub fn token(&self, claims: &Claims) -> String {
        mint(&self.key, &claims.0)
    }
}

/// The claims of a token.
#[derive(Clone)]
pub struct Claims(pub Map<String, Value>);

impl Claims {
    /// With this claim, whatever it was.
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Without this claim.
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// With this scope, as AIF-MQTT in base64url.
    pub fn scope(self, filters: &[(&str, &[&str])]) -> Self {
        let aif: Value = json!(filters);
        self.set("scope", encode(aif.to_string().as_bytes()))
    }

    /// With `exp` so many seconds from now; less than zero is in the past.
    pub fn expires_in(self, seconds: i64) -> Self {
        let exp = now().as_secs().saturating_add_signed(seconds);
        self.set("exp", exp)
    }
}

/// A JWS with the header that fits the key.
pub fn mint(key: &Key, claims: &Map<String, Value>) -> String {
    mint_as(key, key.algorithm(), claims)
}

/// A JWS with the algorithm named, made by it where the key can.
pub fn mint_as(key: &Key, algorithm: &str, claims: &Map<String, Value>) -> String {
    let mut header = json!({ "alg": algorithm, "typ": "JWT" });
    if let Some(kid) = &key.kid {
        header["kid"] = json!(kid);
    }
    let payload = Value::Object(claims.clone()).to_string();
    mint_raw(header.to_string().as_bytes(), payload.as_bytes(), |input| key.sign_with(algorithm, input))
}

/// A JWS of any header, payload and signature at all.
pub fn mint_raw(header: &[u8], payload: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    let token = format!("{input}.{}", encode(&sign(input.as_bytes())));
    secrets::register_text(&token);
    secrets::register_text(&encode(token.as_bytes()));
    token
}
