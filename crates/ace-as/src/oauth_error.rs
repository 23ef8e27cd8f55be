//! Refusals of the token and introspection endpoints, as clients see them (RFC 6749 §5.2, RFC 9200 §5.8.3).

use axum::http::StatusCode;

/// The `error` code of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// The request lacks something, says something twice, or cannot be read.
    InvalidRequest,
    /// The client is unknown, or its secret is wrong or missing.
    InvalidClient,
    /// The caller is who it says, but not somebody who may ask this.
    UnauthorizedClient,
    /// Another grant than `client_credentials`.
    UnsupportedGrantType,
    /// The scope cannot be read, or nothing of it is allowed.
    InvalidScope,
    /// The audience is unknown or not for this client (RFC 8707 §2, RFC 8693 §2.2.2).
    InvalidTarget,
    /// The client's key is of a kind that the broker cannot use (RFC 9200 §5.8.3).
    UnsupportedPopKey,
    /// The client wants another profile than `mqtt_tls` (RFC 9200 §5.8.3).
    IncompatibleAceProfiles,
    /// Something failed here; it is not the client's fault (RFC 6749 §4.1.2.1).
    ServerError,
}

impl Code {
    /// The code as it stands in `error`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::UnsupportedPopKey => "unsupported_pop_key",
            Self::IncompatibleAceProfiles => "incompatible_ace_profiles",
            Self::ServerError => "server_error",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// A refusal: status, code and description. Descriptions are fixed texts, so that nothing of a request comes back in
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OAuthError {
    /// The HTTP status, mostly given by the code.
    pub(crate) status: StatusCode,
    /// `error`.
    pub(crate) code: Code,
    /// `error_description`: printable ASCII without quotes and backslashes (RFC 6749 §5.2).
    pub(crate) description: &'static str,
}

impl OAuthError {
    /// A refusal with the status that belongs to its code.
    pub(crate) fn new(code: Code, description: &'static str) -> Self {
        Self { status: code.status(), code, description }
    }

    /// A refusal with a status of its own.
    pub(crate) fn with_status(status: StatusCode, code: Code, description: &'static str) -> Self {
        Self { status, code, description }
    }

    /// Shorthand for the most frequent one.
    pub(crate) fn invalid_request(description: &'static str) -> Self {
        Self::new(Code::InvalidRequest, description)
    }
}
