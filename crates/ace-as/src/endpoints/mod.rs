//! What each endpoint answers.

mod introspect;
mod public;
mod revoke;
mod token;
mod trl;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

pub(crate) use introspect::introspect;
pub(crate) use public::{METADATA_PATH, TRL_PATH, health, jwks, metadata};
pub(crate) use revoke::revoke;
pub(crate) use token::token;
pub(crate) use trl::trl;

use crate::body;
use crate::oauth_error::OAuthError;
use crate::parameters::{Encoding, Parameters};

/// The encoding to answer in, and the parameters or why there are none.
async fn read(headers: &HeaderMap, body: Body) -> (Encoding, Result<Parameters, OAuthError>) {
    let encoding = Encoding::from_content_type(headers.get(CONTENT_TYPE).map(|value| value.as_bytes()));
    let body = body::read(body).await;
    match encoding {
        Some(encoding) => (encoding, body.and_then(|body| Parameters::parse(encoding, &body))),
        None => (Encoding::Form, Err(Parameters::unsupported_media_type())),
    }
}
