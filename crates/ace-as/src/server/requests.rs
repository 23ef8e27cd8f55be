//! Requests: routed, bounded in size and time, and each logged with one line.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::{get, post};
use tokio::time::timeout;

use super::limits::Limits;
use crate::answer::{self, Note};
use crate::authority::Authority;
use crate::endpoints;
use crate::log::{Foreign, Level, Log};
use crate::oauth_error::{Code, OAuthError};
use crate::parameters::Encoding;

/// The paths that are served: others are not repeated in the log.
const PATHS: [&str; 7] =
    ["/token", "/introspect", "/revoke", endpoints::TRL_PATH, "/jwks.json", "/healthz", endpoints::METADATA_PATH];

#[derive(Clone)]
struct Context {
    log: Log,
    limits: Limits,
    peer: SocketAddr,
}

/// The routes, for one connection.
pub(super) fn router(authority: Arc<Authority>, log: Log, limits: Limits, peer: SocketAddr) -> Router {
    Router::new()
        .route("/token", post(endpoints::token))
        .route("/introspect", post(endpoints::introspect))
        .route("/revoke", post(endpoints::revoke))
        .route(endpoints::TRL_PATH, get(endpoints::trl))
        .route("/jwks.json", get(endpoints::jwks))
        .route("/healthz", get(endpoints::health))
        .route(endpoints::METADATA_PATH, get(endpoints::metadata))
        .layer(from_fn_with_state(Context { log, limits, peer }, bounded_and_logged))
        .with_state(authority)
}

async fn bounded_and_logged(State(context): State<Context>, request: Request, next: Next) -> Response<Body> {
    let method = request.method().clone();
    let path = PATHS.into_iter().find(|path| *path == request.uri().path()).unwrap_or("(unknown path)");
    let response = timeout(context.limits.request, next.run(request)).await.unwrap_or_else(|_| {
        let error =
            OAuthError::with_status(StatusCode::REQUEST_TIMEOUT, Code::InvalidRequest, "the request took too long");
        answer::refusal(Encoding::Form, error, Note::default())
    });
    log(&context, &method, path, &response);
    response
}

fn log(context: &Context, method: &Method, path: &str, response: &Response<Body>) {
    let status = response.status();
    let nothing = Note::default();
    let note = response.extensions().get::<Note>().unwrap_or(&nothing);
    let level = match status {
        _ if note.cause.is_some() => Level::Error,
        status if status.is_server_error() => Level::Error,
        status if status.is_client_error() => Level::Warn,
        // Asked every few seconds by whoever watches over the server.
        _ if path == "/healthz" => Level::Debug,
        _ => Level::Info,
    };
    let named =
        |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), |text| Foreign(text).to_string());
    let reason = if note.reason.is_empty() { status.canonical_reason().unwrap_or("-") } else { &note.reason };
    let cause = note.cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
    context.log.write(
        level,
        format_args!(
            "{} {path} from {} client={} audience={} status={} {reason}{cause}",
            known_method(method),
            context.peer,
            named(&note.caller),
            named(&note.audience),
            status.as_u16(),
        ),
    );
}

/// The method, if it is one of HTTP's own: others are made up by the client.
fn known_method(method: &Method) -> &str {
    const KNOWN: [Method; 6] = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS];
    if KNOWN.contains(method) { method.as_str() } else { "(other method)" }
}
