//! `POST /token`: the client credentials grant (RFC 6749 §4.4) with proof-of-possession keys (RFC 9200 §5.8, RFC
//! 9201).

use std::borrow::Cow;
use std::sync::Arc;

use ace_profile::scope::Scope;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::read;
use crate::answer::{self, Note};
use crate::authority::Authority;
use crate::caller::{Caller, Credentials};
use crate::clock::now;
use crate::grant::{Confirmation, Grant};
use crate::ledger::{Facts, Sha256};
use crate::mint;
use crate::oauth_error::{Code, OAuthError};
use crate::parameters::{Encoding, Parameters};
use crate::policy::{Audience, Client, PolicyRefusal, TokenFormat};
use crate::pop_key;

/// The profile that this server issues tokens for (RFC 9431 §9.1).
const PROFILE: &str = "mqtt_tls";

/// Answers a token request.
pub(crate) async fn token(State(authority): State<Arc<Authority>>, headers: HeaderMap, body: Body) -> Response<Body> {
    let (encoding, parameters) = read(&headers, body).await;
    let mut note = Note::default();
    match parameters.and_then(|parameters| block_in_place(|| issue(&authority, &headers, &parameters, &mut note))) {
        Ok(value) => answer::secret_json(encoding, &value, note),
        Err(error) => answer::refusal(encoding, error, note),
    }
}

fn issue(
    authority: &Authority,
    headers: &HeaderMap,
    parameters: &Parameters,
    note: &mut Note,
) -> Result<Value, OAuthError> {
    let credentials = Credentials::from_request(headers, parameters)?;
    note.caller = Some(credentials.id.clone());
    let Caller::Client(client) = credentials.authenticate(&authority.config)? else {
        return Err(OAuthError::new(Code::UnauthorizedClient, "only clients can have tokens"));
    };
    check_grant_type(parameters)?;
    check_profile(parameters)?;

    let asked_audience = parameters.text("audience", "audience must be text: one name")?;
    note.audience = asked_audience.map(str::to_owned);
    let audience = client.audience(asked_audience).map_err(policy_error)?;
    note.audience = Some(audience.to_owned());
    let audience =
        authority.config.audiences.get(audience).ok_or_else(|| policy_error(PolicyRefusal::AudienceNotAllowed))?;

    let asked_scope = asked_scope(parameters)?;
    let scope = client.scope(asked_scope.as_ref()).map_err(policy_error)?;

    let format = client.token_format.unwrap_or(audience.token_format);
    let confirmation = confirmation(parameters, audience, format)?;
    let grant = grant(client, audience, scope, confirmation);
    let token = match format {
        TokenFormat::Jwt => mint::jwt(&authority.config, audience, &grant)?,
        TokenFormat::Opaque => mint::opaque()?,
    };
    let answer = answer_value(&token, &grant, audience, asked_scope.as_ref());
    note.reason = format!(
        "granted {} filter(s) for {} s, {} key, token {}",
        grant.scope.entries().len(),
        grant.expires_at.saturating_sub(grant.issued_at),
        match &grant.confirmation {
            Confirmation::Public(_) => "the client's",
            Confirmation::Symmetric(_) => "a fresh symmetric",
        },
        ace_profile::Fingerprint::of(token.as_bytes()),
    );
    remember(authority, &token, grant, format, note)?;
    Ok(answer)
}

/// Before the token is given out: what was not remembered could not be revoked after a restart.
fn remember(
    authority: &Authority,
    token: &str,
    grant: Grant,
    format: TokenFormat,
    note: &mut Note,
) -> Result<(), OAuthError> {
    let facts = Facts {
        identity: Sha256::identity_of(token),
        hash: Sha256::of_token(token),
        client_id: grant.client_id.clone(),
        audience: grant.audience.clone(),
        expires_at: grant.expires_at,
    };
    let issued_at = grant.issued_at;
    let grant = (format == TokenFormat::Opaque).then_some(grant);
    authority.ledger().issue(facts, grant, issued_at).map_err(|error| {
        note.cause = Some(error.to_string());
        OAuthError::new(Code::ServerError, "the token could not be written down")
    })
}

/// In ACE's own encoding the grant type may be left out (RFC 9200 §5.8.1); OAuth's form must name it.
fn check_grant_type(parameters: &Parameters) -> Result<(), OAuthError> {
    match parameters.text("grant_type", "grant_type must be text")? {
        Some("client_credentials") => Ok(()),
        Some(_) => Err(OAuthError::new(Code::UnsupportedGrantType, "only client_credentials is supported")),
        None if parameters.encoding() == Encoding::AceJson => Ok(()),
        None => Err(OAuthError::invalid_request("grant_type is missing")),
    }
}

/// An empty or null `ace_profile` asks which profile it will be (RFC 9200 §5.8.4.3); the answer always says.
fn check_profile(parameters: &Parameters) -> Result<(), OAuthError> {
    match parameters.text("ace_profile", "ace_profile must be text")? {
        None | Some(PROFILE) => Ok(()),
        Some(_) => Err(OAuthError::new(Code::IncompatibleAceProfiles, "only mqtt_tls is supported")),
    }
}

/// The scope asked for: base64url text, or in JSON the AIF array, as value or as text.
fn asked_scope(parameters: &Parameters) -> Result<Option<Scope>, OAuthError> {
    let Some(value) = parameters.value("scope") else {
        return Ok(None);
    };
    let unreadable =
        || OAuthError::new(Code::InvalidScope, "the scope is not AIF-MQTT, as an array or as its base64url text");
    let value = match value.as_str() {
        // Base64url has no brackets, so this cannot be mistaken for it.
        Some(text) if text.trim_start().starts_with('[') => {
            Cow::Owned(serde_json::from_str(text).map_err(|_| unreadable())?)
        }
        _ => Cow::Borrowed(value),
    };
    Scope::from_claim(&value).map(Some).map_err(|_| unreadable())
}

fn confirmation(parameters: &Parameters, audience: &Audience, format: TokenFormat) -> Result<Confirmation, OAuthError> {
    match parameters.value("req_cnf") {
        Some(req_cnf) => pop_key::from_request(req_cnf).map(Confirmation::Public),
        None if format == TokenFormat::Jwt && audience.shared_key.is_none() => {
            Err(OAuthError::invalid_request("req_cnf is missing: this audience takes no symmetric keys"))
        }
        None => pop_key::fresh().map(Confirmation::Symmetric),
    }
}

fn grant(client: &Client, audience: &Audience, scope: Scope, confirmation: Confirmation) -> Grant {
    let issued_at = now();
    let lifetime = client.token_lifetime.unwrap_or(audience.token_lifetime);
    Grant {
        client_id: client.id.clone(),
        subject: client.subject.clone(),
        audience: audience.name.clone(),
        scope,
        issued_at,
        expires_at: issued_at.saturating_add(lifetime.as_secs()),
        confirmation,
    }
}

fn answer_value(token: &str, grant: &Grant, audience: &Audience, asked: Option<&Scope>) -> Value {
    let mut answer = json!({
        "access_token": token,
        "token_type": "PoP",
        "expires_in": grant.expires_at.saturating_sub(grant.issued_at),
        "ace_profile": PROFILE,
    });
    if asked != Some(&grant.scope) {
        answer["scope"] = Value::String(grant.scope.to_claim());
    }
    match (&grant.confirmation, &audience.public_key) {
        (Confirmation::Symmetric(_), _) => answer["cnf"] = grant.confirmation.in_clear(),
        (Confirmation::Public(_), Some(key)) => answer["rs_cnf"] = json!({ "jwk": key }),
        (Confirmation::Public(_), None) => {}
    }
    answer
}

fn policy_error(refusal: PolicyRefusal) -> OAuthError {
    match refusal {
        PolicyRefusal::AudienceMissing => OAuthError::invalid_request("audience is missing: this client has several"),
        PolicyRefusal::AudienceNotAllowed => {
            OAuthError::new(Code::InvalidTarget, "the audience is unknown or not for this client")
        }
        PolicyRefusal::TooManyFilters => OAuthError::new(Code::InvalidScope, "the scope has too many filters"),
        PolicyRefusal::NothingAllowed => {
            OAuthError::new(Code::InvalidScope, "nothing of the scope is allowed for this client")
        }
    }
}
