//! Answers of the endpoints: JSON or CBOR that no cache keeps (RFC 6749 §5.1), and with it the note for the log.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::oauth_error::{Code, OAuthError};
use crate::parameters::Encoding;

/// What the log says about a request. Travels with the answer to the place that writes the line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Note {
    /// The client's or resource server's id, as claimed.
    pub(crate) caller: Option<String>,
    /// The audience, as asked for or found.
    pub(crate) audience: Option<String>,
    /// Why it was refused, or what was given.
    pub(crate) reason: String,
    /// What failed in here, which is none of the caller's business.
    pub(crate) cause: Option<String>,
}

/// A good answer that must not be cached.
pub(crate) fn secret_json(encoding: Encoding, value: &Value, note: Note) -> Response<Body> {
    respond(StatusCode::OK, encoding.answer_media_type(), value.to_string(), note)
}

/// A good answer without content.
pub(crate) fn empty(note: Note) -> Response<Body> {
    let mut response = respond(StatusCode::OK, "application/json", Body::empty(), note);
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

/// An answer in CBOR.
pub(crate) fn cbor(status: StatusCode, media_type: &'static str, bytes: Vec<u8>, note: Note) -> Response<Body> {
    respond(status, media_type, bytes, note)
}

/// A refusal.
pub(crate) fn refusal(encoding: Encoding, error: OAuthError, mut note: Note) -> Response<Body> {
    note.reason = format!("{}: {}", error.code.as_str(), error.description);
    let body = json!({ "error": error.code.as_str(), "error_description": error.description });
    let mut response = respond(error.status, encoding.answer_media_type(), body.to_string(), note);
    if error.code == Code::InvalidClient {
        let challenge = HeaderValue::from_static("Basic realm=\"ace-as\", charset=\"UTF-8\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    if error.status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    response
}

/// A public document, which may be cached for a short while.
pub(crate) fn public_json(value: &Value) -> Response<Body> {
    let note = Note { reason: "public document".to_owned(), ..Note::default() };
    let mut response = respond(StatusCode::OK, "application/json", value.to_string(), note);
    response.headers_mut().remove(PRAGMA);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

fn respond(status: StatusCode, media_type: &'static str, body: impl Into<Body>, note: Note) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response.extensions_mut().insert(note);
    response
}
