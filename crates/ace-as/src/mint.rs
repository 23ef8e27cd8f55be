//! Tokens from grants: signed JWTs (RFC 7519, RFC 9068) and opaque names.

use ace_profile::base64url;
use ace_profile::jose::Jwk;
use ace_profile::limits;
use ace_profile::random::{Random as _, SystemRandom};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::grant::{Confirmation, Grant};
use crate::oauth_error::{Code, OAuthError};
use crate::policy::Audience;
use crate::pop_key::failed;

/// Random bytes of an opaque token.
const OPAQUE_BYTES: usize = 32;

/// Random bytes of `jti`.
const JTI_BYTES: usize = 16;

/// A signed JWT. A symmetric key goes in encrypted for the audience, never in clear (RFC 9431 §2.1).
pub(crate) fn jwt(config: &Config, audience: &Audience, grant: &Grant) -> Result<String, OAuthError> {
    let cnf = match &grant.confirmation {
        Confirmation::Public(jwk) => json!({ "jwk": jwk }),
        Confirmation::Symmetric(key) => json!({ "jwe": encrypted(audience, key)? }),
    };
    let claims = json!({
        "iss": config.issuer,
        "sub": grant.subject,
        "client_id": grant.client_id,
        "aud": grant.audience,
        "iat": grant.issued_at,
        "exp": grant.expires_at,
        "jti": random_text(JTI_BYTES)?,
        "scope": grant.scope.to_claim(),
        "cnf": cnf,
    });
    let token = config.signing_key.sign(claims.to_string().as_bytes()).map_err(failed)?;
    if token.len() > limits::TOKEN_BYTES {
        return Err(OAuthError::new(Code::InvalidScope, "the scope is too large for a token"));
    }
    Ok(token)
}

/// An opaque token.
pub(crate) fn opaque() -> Result<String, OAuthError> {
    random_text(OPAQUE_BYTES)
}

fn encrypted(audience: &Audience, key: &Jwk) -> Result<String, OAuthError> {
    let shared = audience.shared_key.as_ref();
    let shared = shared.ok_or_else(|| OAuthError::new(Code::ServerError, "the audience has no shared key"))?;
    let plaintext = Zeroizing::new(key.secret_value().to_string());
    shared.encrypt(plaintext.as_bytes()).map_err(failed)
}

/// The claims of a token that [`jwt`] made and that has not expired.
pub(crate) fn claims_of_jwt(config: &Config, token: &str, now: u64) -> Option<Value> {
    let claims: Value = serde_json::from_slice(&config.verify(token, now)?).ok()?;
    let issuer_is_ours = claims.get("iss").and_then(Value::as_str) == Some(&config.issuer);
    let alive = claims.get("exp").and_then(Value::as_u64).is_some_and(|exp| exp > now);
    (issuer_is_ours && alive).then_some(claims)
}

fn random_text(bytes: usize) -> Result<String, OAuthError> {
    let mut random = Zeroizing::new(vec![0; bytes]);
    SystemRandom.fill(&mut random).map_err(failed)?;
    Ok(base64url::encode(&random))
}
