//! CWTs (RFC 8392 §7.2): whose it is, and whether it is theirs.
//!
//! A signed one names its issuer in clear, whose key it is then verified with. An encrypted one is decrypted with a key that an
//! issuer shares with this broker, which proves the issuer if nobody else has the key (rfc9431.md T5); what it wraps may be signed
//! besides.

use zeroize::Zeroizing;

use super::claims::Claims as _;
use super::confirmation::KeysInClear;
use super::cwt_claims::CwtClaims;
use super::validator::Said;
use super::{AuthorizationServer, EarlierKey, ValidatedToken, Validator, key_selection};
use crate::cose::{self, Message};
use crate::jose::Jwk;
use crate::proof::ConfirmationKey;
use crate::revocation::TokenHashes;
use crate::{Fingerprint, Refusal, Timestamp};

impl Validator {
    pub(super) fn validate_cwt(
        &self,
        token: &[u8],
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) -> Result<ValidatedToken, Refusal> {
        let message = Message::parse(token)?;
        if message.unverified_payload().is_some() {
            let (claims, server, key) = self.verified(&message)?;
            return self.judge(said(&claims, KeysInClear::Public, token, &message, key), server, now, earlier);
        }
        let (content, server, key) = self.decrypted(&message)?;
        if cose::looks_like_cwt(&content) {
            let inner = Message::parse(&content)?;
            let (claims, issuer, _) = self.verified(&inner)?;
            // Who can read the token can prove a symmetric key in it.
            if !holds(issuer, key) {
                return Err(Refusal::CwtIssuerUnproved);
            }
            return self.judge(said(&claims, KeysInClear::Any, token, &message, key), issuer, now, earlier);
        }
        let claims = CwtClaims::parse(&content)?;
        let issuer = self.server(claims.issuer()?.ok_or(Refusal::IssuerMissing)?)?;
        if issuer.issuer != server.issuer || self.is_shared(key, issuer) {
            return Err(Refusal::CwtIssuerUnproved);
        }
        self.judge(said(&claims, KeysInClear::Any, token, &message, key), issuer, now, earlier)
    }

    /// The claims of a signed message, by the key of the issuer that they name.
    fn verified<'m>(&self, message: &'m Message) -> Result<(CwtClaims<'m>, &AuthorizationServer, &Jwk), Refusal> {
        // What is encrypted twice says nothing that it would not say once.
        let payload = message.unverified_payload().ok_or(Refusal::TokenNested)?;
        let claims = CwtClaims::parse(payload)?;
        let server = self.server(claims.issuer()?.ok_or(Refusal::IssuerMissing)?)?;
        check_allowed(server, message)?;
        let key = key_selection::select_cose(message, server)?;
        message.verify(key)?;
        if key.symmetric_bytes().is_some() && self.is_shared(key, server) {
            return Err(Refusal::CwtIssuerUnproved);
        }
        Ok((claims, server, key))
    }

    /// The content of an encrypted message. Of each server the one key is tried that the message can mean.
    pub(super) fn decrypted(
        &self,
        message: &Message,
    ) -> Result<(Zeroizing<Vec<u8>>, &AuthorizationServer, &Jwk), Refusal> {
        let mut refusal = Refusal::CwtKeyMissing;
        for server in &self.servers {
            match key_selection::select_among(message, &server.decryption_keys)
                .and_then(|key| check_allowed(server, message).map(|()| key))
            {
                Ok(key) => match message.decrypt(key) {
                    Some(content) => return Ok((content, server, key)),
                    None => refusal = Refusal::CwtUndecryptable,
                },
                Err(reason @ (Refusal::KeyAmbiguous | Refusal::AlgorithmNotAllowed { .. }))
                    if refusal == Refusal::CwtKeyMissing =>
                {
                    refusal = reason;
                }
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    /// Whether another server than this one has the same symmetric key.
    pub(super) fn is_shared(&self, key: &Jwk, server: &AuthorizationServer) -> bool {
        self.servers.iter().any(|other| other.issuer != server.issuer && holds(other, key))
    }
}

/// What the message says, whose key this is.
fn said<'a, 'b>(
    claims: &'a CwtClaims<'b>,
    in_clear: KeysInClear,
    token: &[u8],
    message: &Message,
    key: &Jwk,
) -> Said<'a, CwtClaims<'b>> {
    let kids = key.kid().map(cose::kids_of).unwrap_or_default();
    let hashes = TokenHashes::of_cwt(&message.equivalents(&kids));
    Said { claims, in_clear, is_answer: false, fingerprint: Fingerprint::of(token), hashes, asked_with: None }
}

/// Who a CWT that is signed in clear says has issued it.
pub(super) fn claimed_issuer(token: &[u8]) -> Option<String> {
    let message = Message::parse(token).ok()?;
    let claims = CwtClaims::parse(message.unverified_payload()?).ok()?;
    claims.issuer().ok()?.map(str::to_owned)
}

/// The hashes of a CWT that only its server can read; `None` if it is none.
pub(super) fn hashes(token: &[u8]) -> Option<TokenHashes> {
    let message = Message::parse(&cose::cwt(token)?).ok()?;
    let kids: Vec<Vec<u8>> = message.kid().map(<[u8]>::to_vec).into_iter().collect();
    Some(TokenHashes::of_cwt(&message.equivalents(&kids)))
}

/// Whether a server has this symmetric key.
pub(super) fn holds(server: &AuthorizationServer, key: &Jwk) -> bool {
    let keys = server.keys.keys().iter().chain(server.decryption_keys.keys());
    keys.filter_map(Jwk::symmetric_bytes).any(|bytes| key.symmetric_bytes() == Some(bytes))
}

pub(super) fn check_allowed(server: &AuthorizationServer, message: &Message) -> Result<(), Refusal> {
    if server.algorithms.as_ref().is_some_and(|allowed| !allowed.allows_in_cose(message.algorithm())) {
        return Err(Refusal::AlgorithmNotAllowed { algorithm: message.algorithm_name().clone() });
    }
    Ok(())
}

#[cfg(test)]
#[path = "cwt_tests.rs"]
mod tests;
