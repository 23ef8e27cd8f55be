//! The claims, each for itself: audience, times, subject, confirmation, scope.

use super::super::claims::Claims;
use super::super::confirmation::KeysInClear;
use super::super::validator;
use super::super::{AuthorizationServer, Confirmation, EarlierKey, Validator};
use super::{Account, Finding, Shown};
use crate::jose::KeyType;
use crate::proof::ConfirmationKey;
use crate::{Quoted, Refusal, Timestamp};

/// Claims and where they come from.
pub(super) struct Read<'a, C> {
    pub(super) claims: &'a C,
    pub(super) in_clear: KeysInClear,
    pub(super) is_answer: bool,
}

/// Claims that are looked at in any token.
const READ: [&str; 8] = ["iss", "aud", "exp", "nbf", "iat", "sub", "cnf", "active"];

impl Validator {
    /// Without a server, its claims are read as if it had no keys of its own and the usual form of scopes.
    pub(super) fn account_of_claims(
        &self,
        account: &mut Account,
        said: &Read<'_, impl Claims>,
        server: Option<&AuthorizationServer>,
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) {
        let unknown = AuthorizationServer::default();
        let server = server.unwrap_or(&unknown);
        let audience = self.account_of_audience(account, said);
        let has_end = self.account_of_times(account, said.claims, now);
        if !has_end {
            self.account_of_first_sight(account, said, &audience);
        }
        let subject = match said.claims.subject() {
            Ok(Some(subject)) => {
                account.good("sub", Quoted::new(subject), "becomes the client's user name");
                Some(subject.to_owned())
            }
            Ok(None) => {
                account.good("sub", "", "not there: the user name is made from the key");
                None
            }
            Err(refusal) => {
                account.fault("sub", "", refusal);
                None
            }
        };
        self.account_of_confirmation(account, said, server, subject.as_deref(), earlier);
        account_of_scope(account, said.claims, server, subject.as_deref());
        let scope_claims = server.scope_format.claims();
        let identifies = !has_end && said.claims.names().iter().any(|name| name == "exi");
        let is_read = |name: &str| {
            READ.contains(&name)
                || scope_claims.contains(&name)
                || name == "exi" && !has_end
                || matches!(name, "jti" | "cti") && identifies
        };
        account.unread =
            said.claims.names().iter().filter(|name| !is_read(name)).map(|name| Quoted::new(name)).collect();
    }

    fn account_of_audience(&self, account: &mut Account, said: &Read<'_, impl Claims>) -> Vec<String> {
        let ours = &self.policy.audience;
        match said.claims.audience() {
            Ok(Some(audience)) => {
                let shown: Vec<String> =
                    audience.iter().take(SHOWN).map(|name| Quoted::new(name).to_string()).collect();
                match self.our_audience(&audience) {
                    Ok(named) => {
                        account.good("aud", shown.join(", "), "a name of this broker");
                        return named;
                    }
                    Err(refusal) => account.fault("aud", shown.join(", "), refusal),
                }
            }
            Ok(None) if said.is_answer => account.good("aud", "", "not there: the server need not say for whom"),
            Ok(None) => account.fault("aud", "", Refusal::AudienceMissing),
            Err(refusal) => account.fault("aud", "", refusal),
        }
        ours.clone()
    }

    /// Whether there is an `exp`. Malformed times are looked for before any is compared with the clock.
    fn account_of_times(&self, account: &mut Account, claims: &impl Claims, now: Timestamp) -> bool {
        let times = TIMES.map(|claim| claims.date(claim));
        let known = times.clone().map(|time| time.ok().flatten());
        let faults = self.time_faults(known, now);
        let first = account.findings.len() * super::ROOM;
        for (at, ((about, time), fault)) in TIMES.into_iter().zip(times.iter().cloned()).zip(faults).enumerate() {
            let (shown, fault, order) = match time {
                Ok(None) => continue,
                Ok(Some(time)) => (Shown::Time(time), fault, first + TIMES.len() + at),
                Err(malformed) => (Shown::Nothing, Some(malformed), first + at),
            };
            account.findings.push(Finding { about, shown, remark: None, fault, order });
        }
        !matches!(times, [Ok(None), ..])
    }

    fn account_of_first_sight(&self, account: &mut Account, said: &Read<'_, impl Claims>, audience: &[String]) {
        let first_sight = self.first_sight(said.claims, audience, said.is_answer);
        let lifetime = said.claims.first_sight(audience).ok().flatten().map(|sight| sight.lifetime);
        let about = if said.claims.names().iter().any(|name| name == "exi") { "exi" } else { "exp" };
        let shown = lifetime.map_or(Shown::Nothing, Shown::Lifetime);
        match first_sight {
            Ok(Some(sight)) => {
                let remark = format!(
                    "from when the broker first sees it; number {} for {}",
                    sight.sequence,
                    Quoted::new(&sight.audience)
                );
                account.good(about, shown, remark);
            }
            Ok(None) => account.good(about, "", "not there: it never ends, which is allowed (allow_no_expiry)"),
            Err(refusal) => account.fault(about, shown, refusal),
        }
    }

    fn account_of_confirmation(
        &self,
        account: &mut Account,
        said: &Read<'_, impl Claims>,
        server: &AuthorizationServer,
        subject: Option<&str>,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) {
        let mut asked = None;
        let confirmed = said.claims.confirmed(said.in_clear, &server.decryption_keys).and_then(|confirmed| {
            let Some(confirmed) = confirmed else { return Ok(None) };
            let known = |kid: &str| earlier(&EarlierKey { issuer: &server.issuer, subject: subject?, kid });
            confirmed.resolve(&self.client_keys, known).map(Some)
        });
        match confirmed {
            Ok(Some(confirmation)) => {
                let (shown, remark) = described(&confirmation);
                account.good("cnf", shown, remark);
            }
            Ok(None) if self.policy.allow_bearer => {
                account.good("cnf", "", "not there: whoever has the token may use it, which is allowed (allow_bearer)");
            }
            Ok(None) => account.fault("cnf", "", Refusal::BearerRefused),
            Err(refusal) => {
                if let Refusal::ConfirmationKeyUnknown { kid } = &refusal {
                    // Without a subject there are no earlier tokens that could tell.
                    asked = subject.map(|_| kid.clone());
                }
                account.fault("cnf", "", refusal);
            }
        }
        account.asked_for_earlier = asked;
    }
}

const TIMES: [&str; 3] = ["exp", "nbf", "iat"];
/// How many audiences are shown.
const SHOWN: usize = 8;

fn account_of_scope(account: &mut Account, claims: &impl Claims, server: &AuthorizationServer, subject: Option<&str>) {
    let format = &server.scope_format;
    account.ignored_words = claims.ignored_words(format).iter().map(|word| Quoted::new(word)).collect();
    match validator::scope(claims, server, subject) {
        Ok((scope, has_placeholders)) => {
            let remark = match scope.entries().len() {
                0 => "none: the token opens the public topics only".to_owned(),
                1 => "1 topic filter".to_owned(),
                filters => format!("{filters} topic filters"),
            };
            account.good("scope", "", remark);
            account.scope = Some(scope);
            account.has_placeholders = has_placeholders;
        }
        Err(refusal) => account.fault("scope", "", refusal),
    }
}

/// What the token is bound to, and what its holder has to do.
fn described(confirmation: &Confirmation) -> (String, String) {
    match confirmation {
        Confirmation::Key(key) => {
            let (kind, algorithm) = (kind(key.key_type()), key.algorithm());
            let kid = key.kid().map(|kid| format!(" {}", Quoted::new(kid))).unwrap_or_default();
            // The thumbprint of a symmetric key is made of nothing but the key.
            let thumbprint = match key.symmetric_bytes() {
                None => format!(", thumbprint {}", key.thumbprint()),
                Some(_) => String::new(),
            };
            let proof = match key.symmetric_bytes() {
                None => "signature",
                Some(_) => "MAC",
            };
            let remark = format!("the client proves it by a {proof} of {} bytes ({algorithm})", key.proof_bytes());
            (format!("{kind} key{kid}{thumbprint}"), remark)
        }
        Confirmation::Thumbprint(thumbprint) => (
            format!("the key with the thumbprint {thumbprint}"),
            "the client shows the key (jwk) and proves it, or has proved it in its TLS handshake".to_owned(),
        ),
        Confirmation::Certificate(thumbprint) => (
            format!("the certificate with the SHA-256 {thumbprint}"),
            "the client shows it in its TLS handshake".to_owned(),
        ),
        Confirmation::Bearer => (String::new(), "nothing has to be proved".to_owned()),
    }
}

/// The kind of a key, in words.
pub(super) const fn kind(key: KeyType) -> &'static str {
    match key {
        KeyType::Ed25519 => "Ed25519",
        KeyType::X25519 => "X25519",
        KeyType::P256 => "P-256",
        KeyType::Rsa => "RSA",
        KeyType::Symmetric => "symmetric",
    }
}
