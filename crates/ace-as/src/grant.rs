//! What a token says, before it is written as a JWT or kept under an opaque name.

use ace_profile::jose::Jwk;
use ace_profile::scope::Scope;
use serde_json::Value;

/// What a client has been granted.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// `client_id` (RFC 8693 §4.3).
    pub(crate) client_id: String,
    /// `sub`.
    pub(crate) subject: String,
    /// `aud`.
    pub(crate) audience: String,
    /// `scope`.
    pub(crate) scope: Scope,
    /// `iat`, in seconds since the Unix epoch.
    pub(crate) issued_at: u64,
    /// `exp`, in seconds since the Unix epoch.
    pub(crate) expires_at: u64,
    /// `cnf`.
    pub(crate) confirmation: Confirmation,
}

/// The key that the client has to prove (RFC 7800).
#[derive(Debug, Clone)]
pub(crate) enum Confirmation {
    /// The client's own public key, as a JWK without private members.
    Public(Value),
    /// A fresh symmetric key.
    Symmetric(Jwk),
}

impl Confirmation {
    /// `{"jwk": …}` in clear: for the client that the key was made for, and for the resource server that checks it.
    /// Nobody else.
    pub(crate) fn in_clear(&self) -> Value {
        match self {
            Self::Public(jwk) => serde_json::json!({ "jwk": jwk }),
            Self::Symmetric(key) => serde_json::json!({ "jwk": key.secret_value() }),
        }
    }
}
