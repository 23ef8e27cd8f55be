//! What anybody may know: the signing keys (RFC 7517), the metadata (RFC 8414), and whether the server lives.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use serde_json::json;

use crate::answer::{self, Note};
use crate::authority::Authority;
use crate::clock::now;
use crate::ledger::{MAX_DIFF_BATCH, MAX_N};
use crate::parameters::Encoding;

/// Where the metadata is (RFC 8414 §3), for an issuer without a path.
pub(crate) const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

/// Where the token revocation list is (RFC 9770 §1.1).
pub(crate) const TRL_PATH: &str = "/revoke/trl";

/// `GET /jwks.json`: the public signing keys.
pub(crate) async fn jwks(State(authority): State<Arc<Authority>>) -> Response<Body> {
    answer::public_json(&authority.config.public_jwks(now()))
}

/// `GET /.well-known/oauth-authorization-server`.
pub(crate) async fn metadata(State(authority): State<Arc<Authority>>) -> Response<Body> {
    let issuer = &authority.config.issuer;
    let base = issuer.trim_end_matches('/');
    let methods = ["client_secret_basic", "client_secret_post"];
    answer::public_json(&json!({
        "issuer": issuer,
        "token_endpoint": format!("{base}/token"),
        "introspection_endpoint": format!("{base}/introspect"),
        "revocation_endpoint": format!("{base}/revoke"),
        "jwks_uri": format!("{base}/jwks.json"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        // RFC 9770 §10 has a requester told these when it registers; no metadata of that kind are registered.
        "ace_trl_endpoint": format!("{base}{TRL_PATH}"),
        "ace_trl_hash": "sha-256",
        "ace_trl_max_n": MAX_N,
        "ace_trl_max_diff_batch": MAX_DIFF_BATCH,
    }))
}

/// `GET /healthz`.
pub(crate) async fn health() -> Response<Body> {
    answer::secret_json(Encoding::Form, &json!({ "status": "ok" }), Note::default())
}
