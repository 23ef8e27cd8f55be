//! What each endpoint answers.

mod introspect;
mod public;
mod token;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use introspect::introspect;
pub(crate) use public::{METADATA_PATH, health, jwks, metadata};
pub(crate) use token::token;

use crate::oauth_error::{Code, OAuthError};
use crate::parameters::{Encoding, Parameters};

/// A body as the HTTP layer hands it over: bounded, or the reason why there is none.
type Body = Result<Bytes, BytesRejection>;

/// The encoding to answer in, and the parameters or why there are none.
fn read(headers: &HeaderMap, body: Body) -> (Encoding, Result<Parameters, OAuthError>) {
    let Some(encoding) = Encoding::from_content_type(headers.get(CONTENT_TYPE).map(|value| value.as_bytes())) else {
        return (Encoding::Form, Err(Parameters::unsupported_media_type()));
    };
    let parameters = match body {
        Ok(body) => Parameters::parse(encoding, &body),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(OAuthError::with_status(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::InvalidRequest,
            "the body is larger than 64 KiB",
        )),
        Err(_) => Err(OAuthError::invalid_request("the body could not be read")),
    };
    (encoding, parameters)
}

/// Seconds since the Unix epoch. A clock before 1970 counts as 1970: tokens made then are long expired, so nothing is let in.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
