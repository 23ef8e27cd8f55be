//! `POST /revoke`: ends tokens before they expire (RFC 7009), those of the caller or, with the right to, others.

use std::sync::Arc;

use ace_profile::Fingerprint;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::read;
use crate::answer::{self, Note};
use crate::authority::Authority;
use crate::caller::{Caller, Credentials};
use crate::clock::now;
use crate::ledger::{Facts, NotRevoked, Revoker, Sha256};
use crate::log::Foreign;
use crate::mint;
use crate::oauth_error::{Code, OAuthError};
use crate::parameters::Parameters;

/// Answers a revocation request.
pub(crate) async fn revoke(State(authority): State<Arc<Authority>>, headers: HeaderMap, body: Body) -> Response<Body> {
    let (encoding, parameters) = read(&headers, body).await;
    let mut note = Note::default();
    let outcome = parameters
        .and_then(|parameters| block_in_place(|| revoke_what_is_named(&authority, &headers, &parameters, &mut note)));
    match outcome {
        // RFC 7009 §2.2: nothing in the answer matters.
        Ok(None) => answer::empty(note),
        Ok(Some(value)) => answer::secret_json(encoding, &value, note),
        Err(error) => answer::refusal(encoding, error, note),
    }
}

/// What a request names: one token by its text, or, for administrators, who are not given tokens, one by the
/// fingerprint that the logs show, or all of one client.
enum Named<'a> {
    Token(&'a str),
    Fingerprint(&'a str),
    AllOf(&'a str),
}

fn revoke_what_is_named(
    authority: &Authority,
    headers: &HeaderMap,
    parameters: &Parameters,
    note: &mut Note,
) -> Result<Option<Value>, OAuthError> {
    let credentials = Credentials::from_request(headers, parameters)?;
    note.caller = Some(credentials.id.clone());
    let caller = credentials.authenticate(&authority.config)?;
    if let Caller::ResourceServer(server) = caller
        && !server.may_revoke
    {
        return Err(forbidden("this resource server may not revoke tokens"));
    }
    match named(parameters)? {
        Named::Token(token) => revoke_token(authority, &caller, token, note).map(|()| None),
        Named::Fingerprint(_) | Named::AllOf(_) if !matches!(caller, Caller::Administrator) => {
            Err(forbidden("only administrators may name tokens by fingerprint or client"))
        }
        Named::Fingerprint(digits) => {
            let found: Vec<Facts> = alive(authority, |token| token.hash.has_fingerprint(digits));
            // Two tokens with one fingerprint: all are meant, whosever they are.
            for token in &found {
                enter(authority, std::slice::from_ref(token), Revoker::Other, note)?;
            }
            note.reason = format!("revoked {} token(s), token {digits}", found.len());
            Ok(Some(counted(&found)))
        }
        Named::AllOf(client_id) => {
            let found = alive(authority, |token| token.client_id == client_id);
            enter(authority, &found, Revoker::Other, note)?;
            note.reason = format!("revoked all of {}, {} token(s)", Foreign(client_id), found.len());
            Ok(Some(counted(&found)))
        }
    }
}

fn named(parameters: &Parameters) -> Result<Named<'_>, OAuthError> {
    let token = parameters.text("token", "token must be text")?;
    let fingerprint = parameters.text("token_fingerprint", "token_fingerprint must be text")?;
    let client = parameters.text("all_of_client", "all_of_client must be text")?;
    match (token, fingerprint, client) {
        (Some(token), None, None) => Ok(Named::Token(token)),
        (None, Some(digits), None) if is_fingerprint(digits) => Ok(Named::Fingerprint(digits)),
        (None, Some(_), None) => {
            Err(OAuthError::invalid_request("token_fingerprint is not 16 lower-case hexadecimal digits"))
        }
        (None, None, Some(client)) => Ok(Named::AllOf(client)),
        (None, None, None) => Err(OAuthError::invalid_request("token is missing")),
        _ => Err(OAuthError::invalid_request("more than one of token, token_fingerprint and all_of_client")),
    }
}

fn is_fingerprint(digits: &str) -> bool {
    digits.len() == 16 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// `token_type_hint` is not looked at: there is one type of tokens here (RFC 7009 §2.1).
fn revoke_token(authority: &Authority, caller: &Caller<'_>, token: &str, note: &mut Note) -> Result<(), OAuthError> {
    let fingerprint = Fingerprint::of(token.as_bytes());
    let Some(facts) = facts_of(authority, token) else {
        // As good as revoked (RFC 7009 §2.2).
        note.reason = format!("not a token that could be revoked, {fingerprint}");
        return Ok(());
    };
    note.audience = Some(facts.audience.clone());
    let by = match caller {
        Caller::Client(client) if client.id == facts.client_id => Revoker::Itself,
        Caller::Client(_) => return Err(forbidden("the token was issued to another client")),
        Caller::ResourceServer(server) if server.audiences.contains(&facts.audience) => Revoker::Other,
        Caller::ResourceServer(_) => return Err(forbidden("the token is made out to another audience")),
        Caller::Administrator => Revoker::Other,
    };
    enter(authority, std::slice::from_ref(&facts), by, note)?;
    note.reason = format!("revoked, of {}, token {fingerprint}", Foreign(&facts.client_id));
    Ok(())
}

/// What is known of a token that could be revoked, or was: from memory, or from what a signed one says of itself.
fn facts_of(authority: &Authority, token: &str) -> Option<Facts> {
    let now = now();
    let identity = Sha256::identity_of(token);
    let ledger = authority.ledger();
    if let Some(facts) = ledger.find_revoked(&identity) {
        return Some(facts.clone());
    }
    if let Some(issued) = ledger.find(&identity, now)
        && (issued.grant.is_none() || issued.is_text(token))
    {
        return Some(issued.facts.clone());
    }
    drop(ledger);
    let claims = mint::claims_of_jwt(&authority.config, token, now)?;
    let text = |name: &str| Some(claims.get(name)?.as_str()?.to_owned());
    Some(Facts {
        identity,
        hash: Sha256::of_token(token),
        client_id: text("client_id")?,
        audience: text("aud")?,
        expires_at: claims.get("exp")?.as_u64()?,
    })
}

fn alive(authority: &Authority, wanted: impl Fn(&Facts) -> bool) -> Vec<Facts> {
    authority.ledger().alive(now()).filter(|token| wanted(token)).cloned().collect()
}

fn enter(authority: &Authority, tokens: &[Facts], by: Revoker, note: &mut Note) -> Result<(), OAuthError> {
    // RFC 7009 §2.2.1: with this status the caller has to assume that the token lives on.
    let unavailable =
        |description| OAuthError::with_status(StatusCode::SERVICE_UNAVAILABLE, Code::ServerError, description);
    authority.ledger().revoke(tokens, by, now()).map_err(|error| match error {
        NotRevoked::ListFull => unavailable("too many tokens of this client are revoked and have not expired"),
        NotRevoked::NotWritten(error) => {
            note.cause = Some(error.to_string());
            unavailable("the revocation could not be written down")
        }
    })
}

fn counted(tokens: &[Facts]) -> Value {
    json!({ "revoked": tokens.len() })
}

fn forbidden(description: &'static str) -> OAuthError {
    OAuthError::with_status(StatusCode::FORBIDDEN, Code::UnauthorizedClient, description)
}
