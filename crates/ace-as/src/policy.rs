//! Who may have what: clients, audiences, resource servers, and the decision which scope a client is granted.
//! A pure function of configuration and request; no clock, no keys made here.

use std::collections::BTreeSet;
use std::time::Duration;

use ace_profile::jose::jwe::{self, Encryption, Management};
use ace_profile::jose::{Jwk, KeyError};
use ace_profile::random::SystemRandom;
use ace_profile::scope::Scope;
use serde_json::Value;

use crate::secret::SecretDigest;

/// Filters asked for and filters allowed are compared pair by pair; more pairs than this are not worth the time.
const SCOPE_PAIRS: usize = 1 << 18;

/// How a token is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFormat {
    /// A signed JWT, which the broker checks by itself.
    Jwt,
    /// Random text, which the broker asks about at `/introspect`.
    Opaque,
}

/// A name that tokens are made out to: one broker, or several that share it.
#[derive(Debug)]
pub(crate) struct Audience {
    /// What stands in `aud`.
    pub(crate) name: String,
    /// The key of the broker's TLS certificate, as a public JWK: `rs_cnf` for clients with a key of their own (RFC
    /// 9201 §3.2).
    pub(crate) public_key: Option<Value>,
    /// How a fresh symmetric key reaches the broker inside a JWT; without it, JWTs need the client's public key.
    pub(crate) shared_key: Option<SharedKey>,
    /// The format of its tokens, unless the client's entry says otherwise.
    pub(crate) token_format: TokenFormat,
    /// The lifetime of its tokens, unless the client's entry says otherwise.
    pub(crate) token_lifetime: Duration,
}

/// A symmetric key that this server and a broker share, and how it is used (RFC 7516).
#[derive(Debug)]
pub(crate) struct SharedKey {
    /// The key; its `kid` tells the broker which one to use.
    pub(crate) key: Jwk,
    /// `alg` of the JWE.
    pub(crate) management: Management,
    /// `enc` of the JWE.
    pub(crate) encryption: Encryption,
}

/// A broker in its part as a caller of `/introspect`.
#[derive(Debug)]
pub(crate) struct ResourceServer {
    /// The digest of its secret.
    pub(crate) secret: SecretDigest,
    /// The audiences whose tokens it may ask about.
    pub(crate) audiences: BTreeSet<String>,
    /// Whether it may revoke tokens for these audiences.
    pub(crate) may_revoke: bool,
}

/// A client of the token endpoint.
#[derive(Debug)]
pub(crate) struct Client {
    /// Its `client_id`.
    pub(crate) id: String,
    /// The digest of its secret.
    pub(crate) secret: SecretDigest,
    /// The audiences that it may have tokens for; at least one.
    pub(crate) audiences: BTreeSet<String>,
    /// The most that it may be granted.
    pub(crate) allowed: Scope,
    /// `sub` of its tokens.
    pub(crate) subject: String,
    /// Overrides the audience's.
    pub(crate) token_format: Option<TokenFormat>,
    /// Overrides the audience's.
    pub(crate) token_lifetime: Option<Duration>,
}

/// Why a client is not granted what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PolicyRefusal {
    /// It may have tokens for several audiences and named none.
    AudienceMissing,
    /// It named an audience that does not exist or is not for it; the two are not told apart.
    AudienceNotAllowed,
    /// Comparing what it asked for with what is allowed would take too long.
    TooManyFilters,
    /// Nothing of what it asked for is allowed.
    NothingAllowed,
}

impl Client {
    /// The audience that a request is for. A client with one audience need not name it (RFC 9200 §5.8.1).
    pub(crate) fn audience<'a>(&'a self, asked: Option<&'a str>) -> Result<&'a str, PolicyRefusal> {
        match asked {
            Some(name) if self.audiences.contains(name) => Ok(name),
            Some(_) => Err(PolicyRefusal::AudienceNotAllowed),
            None => {
                let mut names = self.audiences.iter();
                match (names.next(), names.next()) {
                    (Some(only), None) => Ok(only),
                    _ => Err(PolicyRefusal::AudienceMissing),
                }
            }
        }
    }

    /// The scope that is granted: all that is allowed if none is asked for, else what both hold.
    pub(crate) fn scope(&self, asked: Option<&Scope>) -> Result<Scope, PolicyRefusal> {
        let Some(asked) = asked else {
            return Ok(self.allowed.clone());
        };
        if asked.entries().len().saturating_mul(self.allowed.entries().len()) > SCOPE_PAIRS {
            return Err(PolicyRefusal::TooManyFilters);
        }
        let granted = asked.intersect(&self.allowed);
        if granted.is_empty() && !asked.is_empty() {
            return Err(PolicyRefusal::NothingAllowed);
        }
        Ok(granted)
    }
}

impl SharedKey {
    /// Encrypts a proof-of-possession key for the broker.
    pub(crate) fn encrypt(&self, plaintext: &[u8]) -> Result<String, KeyError> {
        jwe::encrypt(plaintext, &self.key, self.management, self.encryption, Some("jwk+json"), &mut SystemRandom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope(aif: Value) -> Scope {
        Scope::from_aif_value(&aif).unwrap()
    }

    fn client(audiences: &[&str], allowed: Value) -> Client {
        Client {
            id: "c".to_owned(),
            secret: SecretDigest::of_nobody(),
            audiences: audiences.iter().map(|name| (*name).to_owned()).collect(),
            allowed: scope(allowed),
            subject: "c".to_owned(),
            token_format: None,
            token_lifetime: None,
        }
    }

    #[test]
    fn the_only_audience_need_not_be_named() {
        let one = client(&["a"], json!([]));
        assert_eq!(one.audience(None), Ok("a"));
        assert_eq!(one.audience(Some("a")), Ok("a"));
        assert_eq!(one.audience(Some("b")), Err(PolicyRefusal::AudienceNotAllowed));
        let two = client(&["a", "b"], json!([]));
        assert_eq!(two.audience(None), Err(PolicyRefusal::AudienceMissing));
        assert_eq!(two.audience(Some("b")), Ok("b"));
    }

    #[test]
    fn never_more_than_allowed_is_granted() {
        let client = client(&["a"], json!([["s/+", ["pub"]], ["c/#", ["sub"]]]));
        assert_eq!(client.scope(None), Ok(client.allowed.clone()));
        assert_eq!(client.scope(Some(&scope(json!([["#", ["pub", "sub"]]])))), Ok(client.allowed.clone()));
        assert_eq!(client.scope(Some(&scope(json!([["s/1", ["pub", "sub"]]])))), Ok(scope(json!([["s/1", ["pub"]]]))));
        assert_eq!(client.scope(Some(&scope(json!([["x", ["pub"]]])))), Err(PolicyRefusal::NothingAllowed));
        assert_eq!(client.scope(Some(&Scope::default())), Ok(Scope::default()));
    }

    #[test]
    fn the_work_that_a_request_makes_is_bounded() {
        let many = |count: usize| Value::from_iter((0..count).map(|number| json!([number.to_string(), ["pub"]])));
        let client = client(&["a"], many(1024));
        assert!(client.scope(Some(&scope(many(256)))).is_ok());
        assert_eq!(client.scope(Some(&scope(many(257)))), Err(PolicyRefusal::TooManyFilters));
    }
}
