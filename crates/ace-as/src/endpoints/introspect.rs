//! `POST /introspect`: what a token says, for the resource servers that it is made out to (RFC 7662, RFC 9200 §5.9).

use std::sync::Arc;

use ace_profile::jose::{JwkSet, jwe};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};
use tokio::task::block_in_place;

use super::read;
use crate::answer::{self, Note};
use crate::authority::Authority;
use crate::caller::{Caller, Credentials};
use crate::clock::now;
use crate::grant::Grant;
use crate::ledger::Sha256;
use crate::mint;
use crate::oauth_error::{Code, OAuthError};
use crate::parameters::Parameters;
use crate::policy::ResourceServer;

/// Answers an introspection request.
pub(crate) async fn introspect(
    State(authority): State<Arc<Authority>>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let (encoding, parameters) = read(&headers, body).await;
    let mut note = Note::default();
    match parameters.and_then(|parameters| block_in_place(|| look_up(&authority, &headers, &parameters, &mut note))) {
        Ok(value) => answer::secret_json(encoding, &value, note),
        Err(error) => answer::refusal(encoding, error, note),
    }
}

fn look_up(
    authority: &Authority,
    headers: &HeaderMap,
    parameters: &Parameters,
    note: &mut Note,
) -> Result<Value, OAuthError> {
    let credentials = Credentials::from_request(headers, parameters)?;
    note.caller = Some(credentials.id.clone());
    let Caller::ResourceServer(server) = credentials.authenticate(&authority.config)? else {
        let description = "only resource servers can introspect tokens";
        return Err(OAuthError::with_status(StatusCode::FORBIDDEN, Code::UnauthorizedClient, description));
    };
    let token = parameters
        .text("token", "token must be text")?
        .ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
    let claims = active_claims(authority, server, token);
    note.audience = claims.as_ref().and_then(|claims| claims.get("aud")?.as_str()).map(str::to_owned);
    let state = if claims.is_some() { "active" } else { "inactive" };
    note.reason = format!("{state}, token {}", ace_profile::Fingerprint::of(token.as_bytes()));
    // Exactly this for every token that is not good, whatever the reason (RFC 7662 §2.2).
    Ok(claims.map_or_else(|| json!({ "active": false }), Value::Object))
}

/// The members of an answer about a good token: one that is alive, not revoked, whose client is still known, and that
/// is made out to the caller.
fn active_claims(authority: &Authority, server: &ResourceServer, token: &str) -> Option<Map<String, Value>> {
    let now = now();
    let claims = match known_grant(authority, token, now)? {
        Some(grant) => claims_of_grant(authority, &grant),
        None => mint::claims_of_jwt(&authority.config, token, now)?,
    };
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if !server.audiences.contains(text("aud")?) || !authority.config.clients.contains_key(text("client_id")?) {
        return None;
    }
    let cnf = confirmation_in_clear(authority, text("aud")?, claims.get("cnf")?)?;
    let Value::Object(mut claims) = claims else { return None };
    claims.insert("cnf".to_owned(), cnf);
    claims.insert("active".to_owned(), Value::Bool(true));
    claims.insert("token_type".to_owned(), Value::from("PoP"));
    Some(claims)
}

/// The grant of an opaque token, if it is one that is known; `None` in place of an answer if the token was revoked.
fn known_grant(authority: &Authority, token: &str, now: u64) -> Option<Option<Grant>> {
    let identity = Sha256::identity_of(token);
    let ledger = authority.ledger();
    if ledger.find_revoked(&identity).is_some() {
        return None;
    }
    Some(ledger.find(&identity, now).filter(|issued| issued.is_text(token)).and_then(|issued| issued.grant.clone()))
}

fn claims_of_grant(authority: &Authority, grant: &Grant) -> Value {
    json!({
        "iss": authority.config.issuer,
        "sub": grant.subject,
        "client_id": grant.client_id,
        "aud": grant.audience,
        "iat": grant.issued_at,
        "exp": grant.expires_at,
        "scope": grant.scope.to_claim(),
        "cnf": grant.confirmation.in_clear(),
    })
}

/// A symmetric key that is encrypted in the token is opened: the caller has proved to be the one that it is meant
/// for.
fn confirmation_in_clear(authority: &Authority, audience: &str, cnf: &Value) -> Option<Value> {
    let Some(encrypted) = cnf.get("jwe") else {
        return Some(cnf.clone());
    };
    let shared = authority.config.audiences.get(audience)?.shared_key.as_ref()?;
    let keys: JwkSet = [shared.key.clone()].into_iter().collect();
    let key = jwe::decrypt(encrypted.as_str()?, &keys).ok()?;
    Some(json!({ "jwk": serde_json::from_slice::<Value>(&key).ok()? }))
}
