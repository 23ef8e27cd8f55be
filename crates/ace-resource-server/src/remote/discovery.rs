//! What an authorization server says about itself (RFC 8414, OpenID Connect Discovery 1.0): where its keys are, and where it is
//! asked about tokens.

use std::time::Instant;

use serde::Deserialize;

use super::https::{Content, Endpoint, RequestError};

/// The longest document that is read, in bytes.
const METADATA_BYTES_MAX: u64 = 256 * 1024;
const JSON: &[&str] = &["application/json"];

/// What is taken from a server's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Metadata {
    /// Who speaks: must be the one who was asked (RFC 8414 §3.3).
    issuer: String,
    /// Where its keys are.
    #[serde(default)]
    pub(super) jwks_uri: Option<String>,
    /// Where it is asked about tokens.
    #[serde(default)]
    pub(super) introspection_endpoint: Option<String>,
}

impl Metadata {
    /// Whether the server is to be asked about tokens, and has no keys.
    pub(super) const fn has_no_keys(&self) -> bool {
        self.jwks_uri.is_none() && self.introspection_endpoint.is_some()
    }

    /// Checked: it is this issuer's, and names nothing that is not protected by TLS.
    fn read(text: &[u8], issuer: &str) -> Result<Self, RequestError> {
        let unusable = |reason: &str| RequestError::Unusable(reason.to_owned());
        let metadata: Self = serde_json::from_slice(text).map_err(|_| unusable("it is no metadata document"))?;
        if metadata.issuer != issuer {
            return Err(unusable("it names another issuer"));
        }
        let urls = [&metadata.jwks_uri, &metadata.introspection_endpoint];
        if urls.into_iter().flatten().any(|url| !url.starts_with("https://")) {
            return Err(unusable("it names a URL that is not https"));
        }
        Ok(metadata)
    }
}

/// Metadata, and until when they are fresh.
#[derive(Debug, Clone)]
pub(super) struct Discovered {
    pub(super) metadata: Metadata,
    pub(super) until: Instant,
}

/// Where an issuer's metadata are: after RFC 8414 §3.1 the path comes last, after OpenID Connect first.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) oauth: String,
    pub(super) openid: String,
}

/// The places for this issuer, if it can have any.
pub(super) fn places(issuer: &str) -> Option<Places> {
    let rest = issuer.strip_prefix("https://").filter(|rest| !rest.contains(['?', '#']))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.is_empty() {
        return None;
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    Some(Places {
        oauth: format!("https://{authority}/.well-known/oauth-authorization-server{path}"),
        openid: format!("https://{authority}{path}/.well-known/openid-configuration"),
    })
}

/// Asks an issuer about itself, at the one place and then at the other. Waits: not for the broker's thread.
///
/// # Errors
/// [`RequestError`] if at neither there is a document of this issuer's.
pub(super) fn discover(issuer: &str, oauth: &Endpoint, openid: &Endpoint) -> Result<Discovered, RequestError> {
    let content = match oauth.get_public(JSON, METADATA_BYTES_MAX) {
        // It is reached, and has nothing there.
        Err(RequestError::Status(_) | RequestError::MediaType) => openid.get_public(JSON, METADATA_BYTES_MAX),
        other => other,
    };
    let Content { body, lifetime } = content?;
    Ok(Discovered { metadata: Metadata::read(&body, issuer)?, until: Instant::now() + lifetime })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuers_path_has_its_place_in_each() {
        for (issuer, oauth, openid) in [
            (
                "https://as.example",
                "https://as.example/.well-known/oauth-authorization-server",
                "https://as.example/.well-known/openid-configuration",
            ),
            (
                "https://as.example:8443/",
                "https://as.example:8443/.well-known/oauth-authorization-server",
                "https://as.example:8443/.well-known/openid-configuration",
            ),
            (
                "https://as.example/realms/one",
                "https://as.example/.well-known/oauth-authorization-server/realms/one",
                "https://as.example/realms/one/.well-known/openid-configuration",
            ),
            (
                "https://as.example/realms/one/",
                "https://as.example/.well-known/oauth-authorization-server/realms/one",
                "https://as.example/realms/one/.well-known/openid-configuration",
            ),
        ] {
            let places = places(issuer).unwrap();
            assert_eq!((places.oauth.as_str(), places.openid.as_str()), (oauth, openid));
        }
        for issuer in ["", "as", "http://as.example", "https://", "https:///x", "https://as/?x", "https://as/#x"] {
            assert!(places(issuer).is_none(), "{issuer}");
        }
    }

    #[test]
    fn metadata_are_the_issuers_own_and_name_only_https() {
        let read = |text: &str| Metadata::read(text.as_bytes(), "https://as.example");
        let good = r#"{"issuer":"https://as.example","jwks_uri":"https://keys.example/1","x":[1],"introspection_endpoint":"https://as.example/i"}"#;
        let metadata = read(good).unwrap();
        assert_eq!(metadata.jwks_uri.as_deref(), Some("https://keys.example/1"));
        assert_eq!(metadata.introspection_endpoint.as_deref(), Some("https://as.example/i"));
        assert_eq!(read(r#"{"issuer":"https://as.example"}"#).unwrap().jwks_uri, None);
        for (text, reason) in [
            (good.replace("\"https://as.example\"", "\"https://as.example/\""), "another issuer"),
            (good.replace("https://keys", "http://keys"), "not https"),
            (good.replace("https://as.example/i", "ftp://as.example/i"), "not https"),
            (good.replace("\"issuer\"", "\"name\""), "no metadata"),
            (good.replace("\"https://keys.example/1\"", "7"), "no metadata"),
            ("[]".into(), "no metadata"),
            (String::new(), "no metadata"),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
