//! Request bodies: read whole, bounded, and wiped afterwards, since they hold secrets.

use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use zeroize::Zeroizing;

use crate::oauth_error::{Code, OAuthError};

/// The largest body that is looked at, in bytes.
const BODY_BYTES: usize = 64 * 1024;

/// How much of a larger one is read and dropped, in bytes. A client that is still sending when the connection closes
/// would see a broken connection instead of the answer that says why.
const DISCARDED_BYTES: usize = 1024 * 1024;

/// Reads a body.
pub(crate) async fn read(mut body: Body) -> Result<Zeroizing<Vec<u8>>, OAuthError> {
    if body.size_hint().lower() > DISCARDED_BYTES as u64 {
        return Err(too_large());
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let mut total = 0usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| OAuthError::invalid_request("the body could not be read"))?;
        let Ok(data) = frame.into_data() else { continue };
        total = total.saturating_add(data.len());
        if total > DISCARDED_BYTES {
            break;
        }
        if total <= BODY_BYTES {
            bytes.extend_from_slice(&data);
        }
    }
    if total > BODY_BYTES { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> OAuthError {
    let description = "the body is larger than 64 KiB";
    OAuthError::with_status(StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidRequest, description)
}
