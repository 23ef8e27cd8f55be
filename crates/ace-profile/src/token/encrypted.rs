//! Tokens that are encrypted for the broker: a signed JWT inside a JWE (RFC 7519 §5.2, §11.2).
//!
//! Whoever has the broker's public key can encrypt, so the encryption says nothing about who has issued the token: its signature does,
//! as ever. But a server's token has to be encrypted with a key that is for that server's tokens.

use zeroize::Zeroizing;

use super::AuthorizationServer;
use crate::jose::{Jwk, jwe};
use crate::{Refusal, limits};

/// What was inside, and whose it may be.
pub(super) struct Opened<'a> {
    text: Zeroizing<String>,
    servers: Vec<&'a AuthorizationServer>,
}

impl Opened<'_> {
    /// The signed token. Not believed yet.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the key that has decrypted it is for this server's tokens.
    pub(super) fn may_be_of(&self, issuer: &str) -> bool {
        self.servers.iter().any(|server| server.issuer == issuer)
    }
}

/// A key and the servers that it is for.
struct Candidate<'a> {
    key: &'a Jwk,
    thumbprint: String,
    servers: Vec<&'a AuthorizationServer>,
}

/// Decrypts a token. Whose it is, is not known before: of each server the one key that the header means is tried.
pub(super) fn open<'a>(token: &str, servers: &'a [AuthorizationServer]) -> Result<Opened<'a>, Refusal> {
    let token = jwe::Jwe::parse(token)?;
    if !token.holds_jwt() {
        return Err(Refusal::JweContentType);
    }
    let candidates = candidates(&token, servers)?;
    let decrypted = candidates.into_iter().take(limits::DECRYPTION_TRIES).find_map(|candidate| {
        let text = token.decrypt(candidate.key).ok()?;
        Some((text, candidate.servers))
    });
    let (text, servers) = decrypted.ok_or(Refusal::JweUndecryptable)?;
    let text = Zeroizing::new(std::str::from_utf8(&text).map_err(|_| Refusal::TokenNotJwt)?.to_owned());
    if jwe::is_compact(&text) {
        return Err(Refusal::JweNested);
    }
    Ok(Opened { text, servers })
}

fn candidates<'a>(token: &jwe::Jwe<'_>, servers: &'a [AuthorizationServer]) -> Result<Vec<Candidate<'a>>, Refusal> {
    let mut candidates: Vec<Candidate<'a>> = Vec::new();
    let mut refusal = Refusal::JweKeyMissing;
    for server in servers.iter().filter(|server| token.issuer().is_none_or(|issuer| issuer == server.issuer)) {
        let key = match token.select(&server.decryption_keys) {
            Ok(key) => key,
            Err(Refusal::JweKeyAmbiguous) => {
                refusal = Refusal::JweKeyAmbiguous;
                continue;
            }
            Err(_) => continue,
        };
        let thumbprint = key.thumbprint();
        match candidates.iter_mut().find(|known| known.thumbprint == thumbprint) {
            Some(known) => known.servers.push(server),
            None => candidates.push(Candidate { key, thumbprint, servers: vec![server] }),
        }
    }
    if candidates.is_empty() { Err(refusal) } else { Ok(candidates) }
}

#[cfg(test)]
#[path = "encrypted_tests.rs"]
mod tests;
