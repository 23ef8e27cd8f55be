//! Who calls: client authentication by secret, by HTTP Basic or in the body (RFC 6749 §2.3.1).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::oauth_error::{Code, OAuthError};
use crate::parameters::{Parameters, form_decode};
use crate::policy::{Client, ResourceServer};
use crate::secret::SecretDigest;

/// A caller whose secret was right.
#[derive(Debug)]
pub(crate) enum Caller<'a> {
    /// A `[[client]]`.
    Client(&'a Client),
    /// A `[[resource_server]]`.
    ResourceServer(&'a ResourceServer),
    /// An `[[administrator]]`.
    Administrator,
}

/// What a caller says about itself. Not shown by `Debug`: there is none.
pub(crate) struct Credentials {
    /// The id that it claims.
    pub(crate) id: String,
    secret: Zeroizing<String>,
}

impl Credentials {
    /// Takes the credentials from the request: from one place only (RFC 6749 §2.3).
    pub(crate) fn from_request(headers: &HeaderMap, parameters: &Parameters) -> Result<Self, OAuthError> {
        let id = parameters.text("client_id", "client_id must be text")?;
        let secret = parameters.text("client_secret", "client_secret must be text")?;
        let mut authorization = headers.get_all(AUTHORIZATION).iter();
        let Some(header) = authorization.next() else {
            return match (id, secret) {
                (Some(id), Some(secret)) => Ok(Self { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) }),
                _ => Err(OAuthError::new(
                    Code::InvalidClient,
                    "no client credentials: use HTTP Basic or client_id and client_secret",
                )),
            };
        };
        if authorization.next().is_some() || secret.is_some() {
            return Err(OAuthError::invalid_request("client credentials in more than one place"));
        }
        let credentials = basic(header.as_bytes()).ok_or_else(|| {
            OAuthError::new(Code::InvalidClient, "the Authorization header is not well-formed HTTP Basic")
        })?;
        if id.is_some_and(|id| id != credentials.id) {
            return Err(OAuthError::invalid_request("client_id differs from the Authorization header"));
        }
        Ok(credentials)
    }

    /// Takes the credentials of a request without body: HTTP Basic.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, OAuthError> {
        Self::from_request(headers, &Parameters::none())
    }

    /// Finds whose credentials these are. An unknown id takes as long as a wrong secret and gets the same answer.
    pub(crate) fn authenticate<'a>(&self, config: &'a Config) -> Result<Caller<'a>, OAuthError> {
        let client = config.clients.get(&self.id);
        let server = config.resource_servers.get(&self.id);
        let administrator = config.administrators.get(&self.id);
        let nobody = SecretDigest::of_nobody();
        let digest = client.map(|client| &client.secret).or(server.map(|server| &server.secret)).or(administrator);
        // No id is there twice: the reader of the configuration sees to it.
        match (digest.unwrap_or(&nobody).verify(self.secret.as_bytes()), client, server, administrator) {
            (true, Some(client), _, _) => Ok(Caller::Client(client)),
            (true, None, Some(server), _) => Ok(Caller::ResourceServer(server)),
            (true, None, None, Some(_)) => Ok(Caller::Administrator),
            _ => Err(OAuthError::new(Code::InvalidClient, "unknown client or wrong secret")),
        }
    }
}

/// Reads `Basic base64(form-encoded id ":" form-encoded secret)`.
fn basic(header: &[u8]) -> Option<Credentials> {
    let (scheme, encoded) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim_ascii()).ok()?);
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (id, secret) = decoded.split_at_checked(colon)?;
    Some(Credentials { id: form_decode(id)?, secret: Zeroizing::new(form_decode(secret.get(1..)?)?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Encoding;
    use axum::http::HeaderValue;

    fn credentials(authorization: &[&str], body: &str) -> Result<(String, String), &'static str> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let parameters = Parameters::parse(Encoding::Form, body.as_bytes()).unwrap();
        Credentials::from_request(&headers, &parameters)
            .map(|it| (it.id.clone(), it.secret.to_string()))
            .map_err(|error| error.code.as_str())
    }

    fn encoded(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn basic_is_percent_decoded() {
        let found = credentials(&[&encoded("a%3Ab:s%C3%A4+c%2B:d")], "").unwrap();
        assert_eq!(found, ("a:b".to_owned(), "sä c+:d".to_owned()));
        assert!(credentials(&["bAsIc YTpi"], "client_id=a").is_ok());
    }

    #[test]
    fn the_body_will_do() {
        assert_eq!(credentials(&[], "client_id=a&client_secret=b").unwrap(), ("a".to_owned(), "b".to_owned()));
    }

    #[test]
    fn credentials_come_from_one_place() {
        assert_eq!(credentials(&["Basic YTpi"], "client_secret=b"), Err("invalid_request"));
        assert_eq!(credentials(&["Basic YTpi", "Basic YTpi"], ""), Err("invalid_request"));
        assert_eq!(credentials(&["Basic YTpi"], "client_id=c"), Err("invalid_request"));
    }

    #[test]
    fn half_credentials_are_none() {
        for (headers, body) in [
            (&[][..], ""),
            (&[], "client_id=a"),
            (&[], "client_secret=a"),
            (&["Bearer YTpi"], ""),
            (&["Basic"], ""),
            (&["Basic !!!"], ""),
            (&["Basic YQ=="], ""),
            (&["Basic /zo6"], ""),
        ] {
            assert_eq!(credentials(headers, body), Err("invalid_client"), "{headers:?} {body:?}");
        }
    }
}
