//! Pages of sessions: a bounded number of them is looked at and shown, so that no list holds the broker up, however many clients there are.

use std::ffi::CStr;
use std::net::IpAddr;

use ace_profile::scope::{Permission, Scope};
use ace_profile::token::Holder;
use ace_profile::{Fingerprint, Timestamp};
use ace_resource_server::rights::Grant;
use serde_json::{Map, Value, json};

use crate::session::{Rights, Session, Sessions};

/// How many places of the table of sessions are looked at for a page.
const PLACES: usize = 64 * 1024;
/// How many bytes the filters of a scope may take in a page, about.
const SCOPE_BYTES: usize = 4096;

/// Which sessions are meant. What is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The client's id.
    pub client_id: Option<String>,
    /// `sub` of its token.
    pub subject: Option<String>,
    /// `iss` of its token.
    pub issuer: Option<String>,
}

impl Filter {
    /// Whether a session is meant.
    #[must_use]
    pub fn matches(&self, session: &Session) -> bool {
        let grant = session.grant().map(|grant| &**grant);
        self.client_id.as_ref().is_none_or(|id| session.client_id.to_bytes() == id.as_bytes())
            && self.subject.as_ref().is_none_or(|wanted| grant.and_then(subject_of) == Some(wanted))
            && self.issuer.as_ref().is_none_or(|wanted| grant.is_some_and(|grant| *grant.origin.issuer == **wanted))
    }
}

/// `sub` of a token, if it has one.
#[must_use]
pub fn subject_of(grant: &Grant) -> Option<&str> {
    match &grant.identity {
        Some(Holder::Subject { subject, .. }) => Some(subject),
        Some(Holder::Key { .. }) | None => None,
    }
}

/// Some of the sessions.
#[derive(Debug)]
pub struct Page {
    /// As they are shown.
    pub sessions: Vec<Value>,
    /// Where to go on; `None` after the last.
    pub next: Option<usize>,
    /// How many bytes they take.
    pub bytes: usize,
}

/// The sessions of connected clients from `offset` on: `count` at most, and about as many as go into so many bytes.
#[must_use]
pub fn page(sessions: &Sessions, filter: &Filter, offset: usize, count: usize, bytes: usize) -> Page {
    let mut page = Page { sessions: Vec::new(), next: None, bytes: 0 };
    let end = offset.saturating_add(PLACES).min(sessions.places());
    for (place, session) in sessions.at_places(offset..end) {
        if page.sessions.len() >= count || page.bytes >= bytes {
            page.next = Some(place);
            return page;
        }
        if session.phase.get().is_connected() && filter.matches(session) {
            let shown = shown(session);
            page.bytes = page.bytes.saturating_add(shown.to_string().len());
            page.sessions.push(shown);
        }
    }
    page.next = (end < sessions.places()).then_some(end);
    page
}

fn shown(session: &Session) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    put("clientid", text(&session.client_id));
    put("address", session.address.as_ref().map(IpAddr::to_string).into());
    put("username", session.user_name.as_deref().map_or(Value::Null, text));
    put("rights", rights(&session.rights).into());
    put("how", session.how.into());
    put("since", session.since.as_unix_seconds().into());
    if let Some(grant) = session.grant() {
        let (scope, is_whole) = filters(&grant.scope);
        put("subject", subject_of(grant).into());
        put("issuer", (*grant.origin.issuer).into());
        put("expires", (grant.expires != Timestamp::MAX).then(|| grant.expires.as_unix_seconds()).into());
        put("token", Fingerprint::to_string(&grant.fingerprint).into());
        put("scope", scope);
        if !is_whole {
            put("scopeTruncated", true.into());
        }
    }
    Value::Object(shown)
}

const fn rights(rights: &Rights) -> &'static str {
    match rights {
        Rights::Token(_) => "token",
        Rights::Public => "public",
        Rights::AuthzInfo => "authz-info",
        Rights::Foreign => "other",
    }
}

/// A scope as AIF-MQTT, and whether it is all of it.
fn filters(scope: &Scope) -> (Value, bool) {
    let (mut shown, mut bytes) = (Vec::new(), 0);
    for entry in scope.entries() {
        bytes += entry.filter.as_str().len() + 16;
        if bytes > SCOPE_BYTES {
            return (Value::Array(shown), false);
        }
        let words: Vec<&str> = entry.permissions.iter().map(Permission::word).collect();
        shown.push(json!([entry.filter.as_str(), words]));
    }
    (Value::Array(shown), true)
}

fn text(text: &CStr) -> Value {
    text.to_string_lossy().into_owned().into()
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
