//! What a token says, before it is written as a JWT or kept under an opaque name.

use ace_profile::jose::{Jwk, KeyType};
use ace_profile::scope::Scope;
use serde_json::{Value, json};

use crate::ledger::Facts;

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

impl Grant {
    /// What the state file says of it, besides what it says of any token. A symmetric key is in there in clear.
    pub(crate) fn to_state(&self) -> Value {
        json!({
            "sub": self.subject,
            "iat": self.issued_at,
            "scope": self.scope.to_claim(),
            "cnf": self.confirmation.in_clear(),
        })
    }

    /// The other way round; `None` if it does not make sense.
    pub(crate) fn from_state(token: &Facts, state: &Value) -> Option<Self> {
        Some(Self {
            client_id: token.client_id.clone(),
            subject: state.get("sub")?.as_str()?.to_owned(),
            audience: token.audience.clone(),
            scope: Scope::from_claim(state.get("scope")?).ok()?,
            issued_at: state.get("iat")?.as_u64()?,
            expires_at: token.expires_at,
            confirmation: Confirmation::from_clear(state.get("cnf")?)?,
        })
    }
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
    fn from_clear(cnf: &Value) -> Option<Self> {
        let jwk = cnf.get("jwk")?;
        let key = Jwk::from_value(jwk).ok()?;
        Some(if key.key_type() == KeyType::Symmetric { Self::Symmetric(key) } else { Self::Public(jwk.clone()) })
    }

    /// `{"jwk": …}` in clear: for the client that the key was made for, and for the resource server that checks it.
    /// Nobody else.
    pub(crate) fn in_clear(&self) -> Value {
        match self {
            Self::Public(jwk) => json!({ "jwk": jwk }),
            Self::Symmetric(key) => json!({ "jwk": key.secret_value() }),
        }
    }
}
