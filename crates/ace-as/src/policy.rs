//! Who may have what: clients, audiences, resource servers, and the decision which scope a client is granted.
//! A pure function of configuration and request; no clock, no keys made here.

use std::collections::BTreeSet;
use std::time::Duration;

use ace_profile::jose::jwe::{self, Encryption, Management};
use ace_profile::jose::{Jwk, KeyError};
use ace_profile::random::SystemRandom;
use ace_profile::scope::Scope;

use crate::secret::SecretDigest;

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
