//! What a broker knows and wants when it validates tokens.

use std::time::Duration;

use crate::jose::{Algorithm, JwkSet};
use crate::scope::ScopeFormat;

/// An authorization server that this broker takes tokens from.
#[derive(Debug, Clone, Default)]
pub struct AuthorizationServer {
    /// The `iss` of its tokens (RFC 7519 §4.1.1), compared byte for byte.
    pub issuer: String,
    /// Its public keys, the keys shared with it for HS256, and those with which it encrypts keys for this
    /// broker.
    pub keys: JwkSet,
    /// The algorithms that its tokens may be signed with; `None` for whatever its keys allow.
    pub algorithms: Option<Vec<Algorithm>>,
    /// The form in which its tokens carry their scope.
    pub scope_format: ScopeFormat,
    /// Whether placeholders in its tokens' filters are filled in: see [`Scope::filled_in`](crate::scope::Scope::filled_in).
    pub scope_placeholders: bool,
}

/// What is asked of every token, whoever issued it.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// The names of this broker; a token's `aud` has to hold one of them (RFC 7519 §4.1.3). A broker
    /// without a name accepts no token.
    pub audience: Vec<String>,
    /// How far the clocks of broker and authorization server may differ. A token is good until `exp` plus
    /// this.
    pub leeway: Duration,
    /// Whether a token that is bound to no key is accepted.
    pub allow_bearer: bool,
    /// Whether a token without `exp` is accepted. One whose only lifetime is relative (`exi`) is not.
    pub allow_no_expiry: bool,
}
