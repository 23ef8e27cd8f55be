//! Is this token good, here and now?

use super::claims::{Claims, UnverifiedClaims};
use super::confirmation::KeysInClear;
use super::{
    AskedWith, AuthorizationServer, Confirmation, FirstSight, IntrospectionAnswer, Policy, ValidatedToken,
    cwt_validation, encrypted, key_selection,
};
use crate::cose;
use crate::jose::jws::Jws;
use crate::jose::{JwkSet, jwe};
use crate::proof::ConfirmationKey;
use crate::revocation::TokenHashes;
use crate::scope::Scope;
use crate::{Fingerprint, Quoted, Refusal, Timestamp, limits};

/// The key of an earlier token, as a later one names it: by issuer and subject, which must be the same in both, and `kid`.
///
/// A `kid` alone would not do: clients often choose that of their own key, and could choose another's. So a token without a
/// subject cannot name its key in this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlierKey<'a> {
    /// `iss` of both tokens.
    pub issuer: &'a str,
    /// `sub` of both tokens.
    pub subject: &'a str,
    /// The key's `kid`.
    pub kid: &'a str,
}

/// Validates tokens by what a broker knows. A pure function of token and time: it keeps nothing.
#[derive(Debug, Clone, Default)]
pub struct Validator {
    pub(super) servers: Vec<AuthorizationServer>,
    pub(super) client_keys: JwkSet,
    pub(super) policy: Policy,
}

/// Claims that are believed, and where they come from.
pub(super) struct Said<'a, C> {
    pub(super) claims: &'a C,
    pub(super) in_clear: KeysInClear,
    /// Whether a server says it of a token: it need not say for whom.
    pub(super) is_answer: bool,
    pub(super) fingerprint: Fingerprint,
    pub(super) hashes: TokenHashes,
    pub(super) asked_with: Option<AskedWith>,
}

impl Validator {
    /// `servers` are those whose tokens are taken; `client_keys` the keys that a token may be bound to by
    /// their `kid`. Of two servers of one name the first counts.
    #[must_use]
    pub fn new(mut servers: Vec<AuthorizationServer>, client_keys: JwkSet, policy: Policy) -> Self {
        for server in &mut servers {
            let shared = server.keys.keys().iter().filter(|key| key.can_decrypt());
            server.decryption_keys = server.decryption_keys.keys().iter().chain(shared).cloned().collect();
        }
        Self { servers, client_keys, policy }
    }

    /// The same with other keys of one server, if it is among those whose tokens are taken: public ones, that decrypt nothing.
    #[must_use]
    pub fn with_keys(&self, issuer: &str, keys: JwkSet) -> Self {
        let mut changed = self.clone();
        if let Some(server) = changed.servers.iter_mut().find(|server| server.issuer == issuer) {
            server.keys = keys;
        }
        changed
    }

    /// The servers whose tokens are taken.
    #[must_use]
    pub fn servers(&self) -> &[AuthorizationServer] {
        &self.servers
    }

    /// The keys that a token may be bound to by their `kid`.
    #[must_use]
    pub const fn client_keys(&self) -> &JwkSet {
        &self.client_keys
    }

    /// The policy that tokens are validated by.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Validates a token as [`Self::validate_knowing`] does, for a broker that knows no earlier tokens.
    ///
    /// # Errors
    /// The first [`Refusal`] that applies.
    pub fn validate(&self, token: &(impl AsRef<[u8]> + ?Sized), now: Timestamp) -> Result<ValidatedToken, Refusal> {
        self.validate_knowing(token, now, |_| None)
    }

    /// Validates a signed JWT, which may be encrypted (RFC 7519 §7.2, RFC 9431 §2.2.3), or a CWT (RFC 8392 §7.2) as it is at `now`. A CWT may be base64url-encoded
    /// as the client was given it in JSON (RFC 9770 §4.3.1). `earlier` knows the keys of earlier
    /// tokens, which this one may mean by their `kid` (RFC 7800 §3.4); the configured client keys come first.
    ///
    /// The order is fixed, so that nothing is believed too early: length and form, header, issuer, the
    /// issuer's key, signature, and only then audience, times, subject, confirmation and scope.
    ///
    /// # Errors
    /// The first [`Refusal`] that applies.
    pub fn validate_knowing(
        &self,
        token: &(impl AsRef<[u8]> + ?Sized),
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) -> Result<ValidatedToken, Refusal> {
        let token = token.as_ref();
        if let Some(cwt) = cose::cwt(token) {
            return self.validate_cwt(&cwt, now, earlier);
        }
        let token = text(token)?;
        let opened = jwe::is_compact(token).then(|| encrypted::open(token, &self.servers)).transpose()?;
        let jws = Jws::parse(opened.as_ref().map_or(token, encrypted::Opened::text))?;
        let claims = UnverifiedClaims::parse(jws.unverified_payload())?;
        let server = self.server(claims.issuer()?)?;
        if opened.as_ref().is_some_and(|opened| !opened.may_be_of(&server.issuer)) {
            return Err(Refusal::JweIssuerForeign { issuer: Quoted::new(&server.issuer) });
        }
        let header = jws.header();
        if server.algorithms.as_ref().is_some_and(|allowed| !allowed.allows(header.algorithm)) {
            return Err(Refusal::AlgorithmNotAllowed { algorithm: header.algorithm_name.clone() });
        }
        jws.verify(key_selection::select(header, server)?)?;
        let said = Said {
            claims: &claims.believed(),
            in_clear: if opened.is_some() { KeysInClear::Any } else { KeysInClear::Public },
            is_answer: false,
            fingerprint: Fingerprint::of(token.as_bytes()),
            hashes: match opened {
                None => TokenHashes::of_jwt(token, header.algorithm),
                Some(_) => TokenHashes::of_text(token),
            },
            asked_with: None,
        };
        self.judge(said, server, now, earlier)
    }

    /// Judges what the server of this issuer has answered about a token that does not speak for itself (RFC 7662, RFC 9200 §5.9),
    /// as it is at `now`: by the same rules as the claims of a signed token, except that issuer and audience may be left out, and that
    /// a symmetric key may stand in it in clear.
    ///
    /// # Errors
    /// The first [`Refusal`] that applies.
    pub fn validate_introspected(
        &self,
        token: &(impl AsRef<[u8]> + ?Sized),
        issuer: &str,
        answer: &IntrospectionAnswer,
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) -> Result<ValidatedToken, Refusal> {
        let IntrospectionAnswer::Active(claims) = answer else { return Err(Refusal::TokenInactive) };
        check_issuer(&claims.0, issuer)?;
        let said = Said {
            claims: &claims.0,
            in_clear: KeysInClear::Any,
            is_answer: true,
            fingerprint: Fingerprint::of(token.as_ref()),
            hashes: cwt_validation::hashes(token.as_ref()).unwrap_or_else(|| TokenHashes::of_text(token)),
            asked_with: Some(AskedWith::new(token)),
        };
        self.judge(said, self.server(issuer)?, now, earlier)
    }

    /// Judges what its server has answered about a signed token that was found good before. What the token says stays; the answer can
    /// only end it sooner. `sent` is the token as it was sent.
    ///
    /// # Errors
    /// The first [`Refusal`] that applies.
    pub fn confirm_introspected(
        &self,
        token: &ValidatedToken,
        sent: &(impl AsRef<[u8]> + ?Sized),
        answer: &IntrospectionAnswer,
        now: Timestamp,
    ) -> Result<ValidatedToken, Refusal> {
        let IntrospectionAnswer::Active(claims) = answer else { return Err(Refusal::TokenInactive) };
        let claims = &claims.0;
        check_issuer(claims, &token.issuer)?;
        if let Some(audience) = claims.audience()? {
            self.our_audience(&audience)?;
        }
        let sooner = self.check_times(claims, now)?;
        let expires = [token.expires, sooner].into_iter().flatten().min();
        Ok(ValidatedToken { expires, asked_with: Some(AskedWith::new(sent)), ..token.clone() })
    }

    /// Which of the servers a signed token says it is of. Whether that is so remains to be seen.
    #[must_use]
    pub fn claimed_issuer(&self, token: &(impl AsRef<[u8]> + ?Sized)) -> Option<&str> {
        let issuer = match cose::cwt(token.as_ref()) {
            Some(cwt) => cwt_validation::claimed_issuer(&cwt)?,
            None => {
                let jws = Jws::parse(text(token.as_ref()).ok()?).ok()?;
                UnverifiedClaims::parse(jws.unverified_payload()).ok()?.issuer().ok()?.to_owned()
            }
        };
        self.server(&issuer).ok().map(|server| server.issuer.as_str())
    }

    pub(super) fn server(&self, issuer: &str) -> Result<&AuthorizationServer, Refusal> {
        let known = self.servers.iter().find(|server| server.issuer == issuer);
        known.ok_or_else(|| Refusal::IssuerUnknown { issuer: Quoted::new(issuer) })
    }

    /// The rules for claims, whatever they are written in and wherever they come from: audience, times, subject, confirmation,
    /// scope, in this order.
    pub(super) fn judge(
        &self,
        said: Said<'_, impl Claims>,
        server: &AuthorizationServer,
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) -> Result<ValidatedToken, Refusal> {
        let claims = said.claims;
        let audience = match claims.audience()? {
            Some(audience) => self.our_audience(&audience)?,
            None if said.is_answer => self.policy.audience.clone(),
            None => return Err(Refusal::AudienceMissing),
        };
        let exp = self.check_times(claims, now)?;
        let first_sight = match exp {
            Some(_) => None,
            None => self.first_sight(claims, &audience, said.is_answer)?,
        };
        let expires = exp.or_else(|| first_sight.as_ref().map(|sight| now.saturating_add(sight.lifetime)));
        let subject = claims.subject()?.map(str::to_owned);
        let confirmation = match claims.confirmed(said.in_clear, &server.decryption_keys)? {
            Some(confirmed) => confirmed.resolve(&self.client_keys, |kid| {
                earlier(&EarlierKey { issuer: &server.issuer, subject: subject.as_deref()?, kid })
            })?,
            None if self.policy.allow_bearer => Confirmation::Bearer,
            None => return Err(Refusal::BearerRefused),
        };
        let (scope, has_placeholders) = scope(claims, server, subject.as_deref())?;
        Ok(ValidatedToken {
            issuer: server.issuer.clone(),
            subject,
            audience,
            expires,
            first_sight,
            confirmation,
            scope,
            has_placeholders,
            fingerprint: said.fingerprint,
            hashes: said.hashes,
            asked_with: said.asked_with,
        })
    }

    /// Those of our names that the token is for.
    pub(super) fn our_audience(&self, audience: &[&str]) -> Result<Vec<String>, Refusal> {
        let foreign = *audience.first().ok_or(Refusal::AudienceMissing)?;
        let ours = self.policy.audience.iter().filter(|name| audience.contains(&name.as_str()));
        let ours: Vec<String> = ours.cloned().collect();
        if ours.is_empty() { Err(Refusal::AudienceForeign { audience: Quoted::new(foreign) }) } else { Ok(ours) }
    }

    /// Checks `exp`, `nbf` and `iat` (RFC 7519 §4.1.4 to §4.1.6) and gives the end of the token, leeway
    /// included.
    fn check_times(&self, claims: &impl Claims, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        let times = [claims.date("exp")?, claims.date("nbf")?, claims.date("iat")?];
        match self.time_faults(times, now).into_iter().flatten().next() {
            Some(fault) => Err(fault),
            None => Ok(times[0].map(|exp| self.end(exp))),
        }
    }

    /// What is wrong with `exp`, `nbf` and `iat`, each for itself.
    pub(super) fn time_faults(&self, times: [Option<Timestamp>; 3], now: Timestamp) -> [Option<Refusal>; 3] {
        let [exp, not_before, issued_at] = times;
        let latest_start = now.saturating_add(self.policy.leeway);
        let is_late = |start: Option<Timestamp>| start.is_some_and(|start| start > latest_start);
        [
            exp.is_some_and(|exp| now >= self.end(exp)).then_some(Refusal::TokenExpired),
            is_late(not_before).then_some(Refusal::TokenNotYetValid),
            is_late(issued_at).then_some(Refusal::TokenFromTheFuture),
        ]
    }

    /// When a token with this `exp` ends, leeway included.
    fn end(&self, exp: Timestamp) -> Timestamp {
        exp.saturating_add(self.policy.leeway)
    }

    /// What is to be remembered of a token without `exp` (RFC 9200 §5.10.3). Only one that speaks for itself has a first sight.
    pub(super) fn first_sight(
        &self,
        claims: &impl Claims,
        audience: &[String],
        is_answer: bool,
    ) -> Result<Option<FirstSight>, Refusal> {
        match claims.first_sight(audience) {
            Ok(Some(_)) | Err(Refusal::ExpirySequence) if is_answer => Err(Refusal::ExpiryRelative),
            Ok(Some(_)) if !self.policy.allow_relative_expiry => Err(Refusal::ExpiryRelative),
            Ok(Some(sight)) => Ok(Some(sight)),
            Err(refusal) => Err(refusal),
            Ok(None) if self.policy.allow_no_expiry => Ok(None),
            Ok(None) => Err(Refusal::ExpiryMissing),
        }
    }
}

/// A JWT is text; what is not, is none.
pub(super) fn text(token: &[u8]) -> Result<&str, Refusal> {
    if token.len() > limits::TOKEN_BYTES {
        return Err(Refusal::TokenTooLarge { bytes: token.len() });
    }
    std::str::from_utf8(token).map_err(|_| Refusal::TokenNotJwt)
}

/// The scope in the server's form, and whether it has placeholders that are to be filled in. Those for the subject can be: the
/// client's id is not known yet.
pub(super) fn scope(
    claims: &impl Claims,
    server: &AuthorizationServer,
    subject: Option<&str>,
) -> Result<(Scope, bool), Refusal> {
    let scope = claims.scope(&server.scope_format)?;
    let has_placeholders = server.scope_placeholders && scope.has_placeholders();
    if has_placeholders {
        scope.check_subject(subject)?;
    }
    Ok((scope, has_placeholders))
}

/// `iss` in an answer (RFC 7662 §2.2), if it is there: a server speaks for itself.
pub(super) fn check_issuer(claims: &impl Claims, expected: &str) -> Result<(), Refusal> {
    match claims.issuer()? {
        Some(issuer) if issuer != expected => Err(Refusal::IssuerForeign { issuer: Quoted::new(issuer) }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
#[path = "validator_tests.rs"]
mod tests;
