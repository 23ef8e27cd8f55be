//! An explanation in words, and in JSON that stays the same over versions: members are added, none is renamed or taken away.

use std::time::Duration;

use ace_profile::{
    Refusal, Timestamp,
    jose::Jwk,
    scope::{Permission, Permissions, Scope},
    token::{Account, Confirmation, Finding, Form, Shown},
};
use ace_resource_server::{
    Reason,
    config::Configuration,
    explain::{Answered, By, Dependency, Explanation, Nearest, Outcome, Trouble, Verdict, Why},
    rights::Access,
};
use serde::Serialize;

use super::help;
use super::moment::{from_now, length, rfc3339};
use crate::cli::Exit;

/// The whole answer.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) at: String,
    pub(super) token: Token,
    pub(super) claims: Vec<Claim>,
    /// What its server says of it, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<Vec<Claim>>,
    pub(super) not_looked_at: Vec<String>,
    pub(super) ignored_words: Vec<String>,
    pub(super) scope: Vec<Entry>,
    pub(super) verdict: Decision,
    pub(super) requests: Vec<Request>,
    /// Servers that could not be asked.
    pub(super) troubles: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Token {
    pub(super) form: &'static str,
    pub(super) bytes: usize,
    pub(super) fingerprint: String,
    /// Whether the claims are proved to be their issuer's.
    pub(super) is_believed: bool,
}

/// One claim, header or step.
#[derive(Serialize)]
pub(super) struct Claim {
    pub(super) name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shown: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remark: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<Fault>,
}

#[derive(Serialize)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) reason: String,
}

/// One filter of the scope, with the client's own values in it.
#[derive(Serialize)]
pub(super) struct Entry {
    pub(super) filter: String,
    pub(super) permissions: Vec<&'static str>,
}

/// `admitted`, `refused` or `depends`.
#[derive(Serialize)]
pub(super) struct Decision {
    pub(super) outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) see: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) depends_on: Vec<Depends>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proof: Option<&'static str>,
    /// Whether the key in the credentials is the one that the token is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_fits: Option<bool>,
}

#[derive(Serialize)]
pub(super) struct Depends {
    pub(super) what: &'static str,
    pub(super) reason: String,
}

/// `allowed`, `denied`, `not-admitted`, `takes-tokens` or `unknown`.
#[derive(Serialize)]
pub(super) struct Request {
    pub(super) access: &'static str,
    pub(super) topic: String,
    pub(super) outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'static str>,
    /// The filter that allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
    /// `scope` or `public`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) of: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nearest: Option<Near>,
}

#[derive(Serialize)]
pub(super) struct Near {
    pub(super) filter: String,
    pub(super) permissions: Vec<&'static str>,
    pub(super) why: String,
}

impl Report {
    pub(super) fn new(
        configuration: &Configuration,
        explanation: &Explanation,
        troubles: &[Trouble],
        key: Option<&Jwk>,
        now: Timestamp,
    ) -> Self {
        let leeway = configuration.validator.policy().leeway;
        let told = explanation.answer.as_ref().unwrap_or(&explanation.account);
        let scope = explanation.rights.as_ref().map(|rights| &rights.scope).or(told.scope.as_ref());
        Self {
            at: rfc3339(now),
            token: Token {
                form: form(&explanation.account),
                bytes: explanation.bytes,
                fingerprint: explanation.fingerprint.to_string(),
                is_believed: explanation.account.is_believed,
            },
            claims: if is_for_server(explanation) { for_server() } else { claims(&explanation.account, now, leeway) },
            answer: explanation.answer.as_ref().map(|answer| claims(answer, now, leeway)),
            not_looked_at: told.unread.iter().map(ToString::to_string).collect(),
            ignored_words: told.ignored_words.iter().map(ToString::to_string).collect(),
            scope: scope.map(entries).unwrap_or_default(),
            verdict: decision(explanation, key, now),
            requests: explanation.requests.iter().map(request).collect(),
            troubles: troubles.iter().map(|trouble| format!("{} {}", trouble.url, trouble.reason)).collect(),
        }
    }

    /// Whether everything that was asked would be allowed.
    pub(super) fn exit(&self) -> Exit {
        let is = |outcome: &str| self.verdict.outcome == outcome;
        let any = |outcome: &str| self.requests.iter().any(|request| request.outcome == outcome);
        if is("refused") || any("denied") {
            Exit::NO
        } else if is("depends") || any("unknown") || any("takes-tokens") {
            Exit::UNKNOWN
        } else {
            Exit::YES
        }
    }
}

const fn form(account: &Account) -> &'static str {
    match account.form {
        Form::SignedJwt => "signed JWT",
        Form::EncryptedJwt => "encrypted JWT",
        Form::Cwt => "CWT",
        Form::EncryptedCwt => "encrypted CWT",
        Form::Opaque => "opaque token",
        Form::Other => "no token of any known form",
    }
}

/// Whether only a server can say what the token is worth: then it is no fault that it says nothing itself.
fn is_for_server(explanation: &Explanation) -> bool {
    let asks = |on: &[Dependency]| on.iter().any(|on| matches!(on, Dependency::Introspection { .. }));
    let is_asked = match &explanation.verdict {
        Verdict::Depends(on) => asks(on),
        Verdict::Refused(reason) => *reason == Reason::Profile(Refusal::TokenInactive),
        Verdict::Admitted => false,
    };
    explanation.account.form == Form::Opaque && (is_asked || explanation.answer.is_some())
}

fn for_server() -> Vec<Claim> {
    vec![Claim { name: "form", shown: None, remark: Some("only its server can read it".to_owned()), fault: None }]
}

fn claims(account: &Account, now: Timestamp, leeway: Duration) -> Vec<Claim> {
    account.findings.iter().map(|finding| claim(finding, now, leeway)).collect()
}

fn claim(finding: &Finding, now: Timestamp, leeway: Duration) -> Claim {
    let shown = match &finding.shown {
        Shown::Nothing => None,
        Shown::Text(text) => Some(text.clone()),
        Shown::Time(time) => Some(rfc3339(*time)),
        Shown::Lifetime(lifetime) => Some(length(*lifetime)),
    };
    let distance = match &finding.shown {
        Shown::Time(time) if leeway.is_zero() => Some(from_now(*time, now)),
        Shown::Time(time) => Some(format!("{}; the leeway is {}", from_now(*time, now), length(leeway))),
        _ => None,
    };
    Claim {
        name: finding.about,
        shown,
        remark: finding.remark.clone().or(distance),
        fault: finding
            .fault
            .as_ref()
            .map(|refusal: &Refusal| Fault { code: refusal.code(), reason: refusal.to_string() }),
    }
}

fn entries(scope: &Scope) -> Vec<Entry> {
    let entry = |filter: &str, permissions| Entry {
        filter: filter.escape_debug().to_string(),
        permissions: words(permissions),
    };
    scope.entries().iter().map(|it| entry(it.filter.as_str(), it.permissions)).collect()
}

fn words(permissions: Permissions) -> Vec<&'static str> {
    permissions.iter().map(word).collect()
}

const fn word(permission: Permission) -> &'static str {
    match permission {
        Permission::Publish => "publish",
        Permission::Subscribe => "subscribe",
    }
}

fn decision(explanation: &Explanation, key: Option<&Jwk>, now: Timestamp) -> Decision {
    let rights = explanation.rights.as_ref();
    let key_fits = rights.zip(key).and_then(|(rights, key)| match &rights.confirmation {
        Confirmation::Key(bound) => Some(bound.thumbprint() == key.thumbprint()),
        Confirmation::Thumbprint(thumbprint) => Some(thumbprint.as_str() == key.thumbprint()),
        Confirmation::Certificate(_) | Confirmation::Bearer => None,
    });
    let wrong_key = Reason::Profile(Refusal::ProofWrong);
    let (outcome, reason, depends_on) = match &explanation.verdict {
        Verdict::Refused(reason) => ("refused", Some(reason), Vec::new()),
        _ if key_fits == Some(false) => ("refused", Some(&wrong_key), Vec::new()),
        Verdict::Depends(on) => ("depends", None, on.iter().map(depends).collect()),
        Verdict::Admitted => ("admitted", None, Vec::new()),
    };
    let proof = rights.map(|rights| match rights.confirmation {
        Confirmation::Key(_) => "the client has to prove the key that the token is bound to",
        Confirmation::Thumbprint(_) => "the client has to show the key that the token names, and to prove it",
        Confirmation::Certificate(_) => {
            "the client has to show the certificate that the token names in its TLS handshake"
        }
        Confirmation::Bearer => "nothing has to be proved: whoever has the token may use it",
    });
    let until = |expires: Timestamp| format!("{}, {}", rfc3339(expires), from_now(expires, now));
    Decision {
        outcome,
        code: reason.map(Reason::code),
        reason: reason.map(ToString::to_string),
        see: reason.map(|reason| help::place(reason.code())),
        depends_on,
        user_name: rights.map(|rights| rights.user_name.to_string_lossy().escape_debug().to_string()),
        until: rights.and_then(|rights| rights.expires).map(until),
        proof,
        key_fits,
    }
}

fn depends(on: &Dependency) -> Depends {
    let (what, reason) = match on {
        Dependency::Introspection { servers } => {
            let places: Vec<&str> = servers.iter().map(|(_, url)| url.as_str()).collect();
            ("introspection", format!("what its server says about it: {}", places.join(", then ")))
        }
        Dependency::Keys { issuer, url } => ("keys", format!("the keys of {issuer}, from {url}")),
        Dependency::Revocation { url } => ("revocation", format!("that it has not been revoked, by the list at {url}")),
        Dependency::FirstSight(sight) => (
            "first-sight",
            format!(
                "when the broker has first seen it: it lives for {} from then (exi); and on no token of a higher number than {} having ended",
                length(sight.lifetime),
                sight.sequence
            ),
        ),
        Dependency::EarlierToken { kid } => (
            "earlier-token",
            format!("that the broker holds an earlier token of this subject whose key is called {kid}"),
        ),
        Dependency::ClientId => ("client-id", "the client's id, which its scope asks for: give --client-id".to_owned()),
    };
    Depends { what, reason }
}

fn request(answered: &Answered) -> Request {
    let access = match answered.access {
        Access::Publish => "publish",
        Access::Subscribe => "subscribe",
        Access::Receive => "receive",
        Access::Unsubscribe => "unsubscribe",
    };
    let mut request = Request {
        access,
        topic: answered.topic.escape_debug().to_string(),
        outcome: "unknown",
        code: None,
        by: None,
        of: None,
        nearest: None,
    };
    match &answered.outcome {
        Outcome::Allowed(by) => {
            request.outcome = "allowed";
            (request.by, request.of) = match by {
                By::Scope(filter) => (Some(filter.as_str().escape_debug().to_string()), Some("scope")),
                By::Public(filter) => (Some(filter.as_str().escape_debug().to_string()), Some("public")),
                By::Nothing => (None, None),
            };
        }
        Outcome::Denied { code, nearest } => {
            request.outcome = "denied";
            request.code = Some(code);
            request.nearest = nearest.as_ref().map(near);
        }
        Outcome::TakesTokens => request.outcome = "takes-tokens",
        Outcome::NotAdmitted => request.outcome = "not-admitted",
        Outcome::Unknown => {}
    }
    request
}

fn near(nearest: &Nearest) -> Near {
    let level = |level: &Option<String>| {
        level.as_ref().map_or_else(|| "nothing".to_owned(), |level| format!("\"{}\"", level.escape_debug()))
    };
    let why = match &nearest.why {
        Why::Permission(permission) => format!("it is for this, and does not permit to {}", word(*permission)),
        Why::Level { number, asked, has } => format!("level {number} is {}, not {}", level(has), level(asked)),
        Why::Dollar => "a filter that begins with a wildcard is not for topics that begin with $".to_owned(),
    };
    let filter = nearest.filter.as_str().escape_debug().to_string();
    Near { filter, permissions: words(nearest.permissions), why }
}
