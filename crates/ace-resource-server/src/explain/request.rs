//! One request of a client that has come in: to publish, to subscribe, to be given a message.

use ace_profile::scope::{Permission, Scope, TopicFilter, shared_subscription_filter};

use super::Verdict;
use super::nearest::{self, Nearest};
use crate::config::Configuration;
use crate::rights::{Access, Denial, Grant, permits};

/// A request and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What the client wants to do,
    pub access: Access,
    /// and with which topic or topic filter.
    pub topic: String,
    /// Whether it may.
    pub outcome: Outcome,
}

/// What comes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is allowed.
    Allowed(By),
    /// It is denied.
    Denied {
        /// The code in the log.
        code: &'static str,
        /// The filter that comes nearest to allowing it.
        nearest: Option<Nearest>,
    },
    /// It is about the topic that takes tokens, whose messages are judged for themselves.
    TakesTokens,
    /// The client is not let in.
    NotAdmitted,
    /// What it may do is not known.
    Unknown,
}

/// What allows a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// This filter of the token's scope.
    Scope(TopicFilter),
    /// This filter of those that are open to all.
    Public(TopicFilter),
    /// Nothing has to: it only gives something up.
    Nothing,
}

/// What comes of a request with these rights, if there are any.
pub(super) fn answer(
    configuration: &Configuration,
    verdict: &Verdict,
    granted: Option<(&Grant, &Scope)>,
    access: Access,
    topic: &str,
) -> Answered {
    let outcome = match (verdict, granted) {
        (Verdict::Refused(_), _) => Outcome::NotAdmitted,
        (_, None) => Outcome::Unknown,
        (_, Some((grant, scope))) => decide(configuration, grant, scope, access, topic),
    };
    Answered { access, topic: topic.to_owned(), outcome }
}

fn decide(configuration: &Configuration, grant: &Grant, scope: &Scope, access: Access, topic: &str) -> Outcome {
    let asked = match access {
        Access::Subscribe => {
            shared_subscription_filter(topic.as_bytes()).and_then(|inner| std::str::from_utf8(inner).ok())
        }
        _ => Some(topic),
    };
    // The topic that takes tokens has rules of its own: `events/authz_info.rs` in the plugin.
    if configuration.authz_info.as_ref().is_some_and(|settings| asked.unwrap_or(topic) == settings.topic) {
        return match access {
            Access::Publish => Outcome::TakesTokens,
            Access::Unsubscribe => Outcome::Allowed(By::Nothing),
            Access::Subscribe | Access::Receive => {
                Outcome::Denied { code: Denial::AuthzInfoPublishOnly.code(), nearest: None }
            }
        };
    }
    let permission = match access {
        Access::Publish => Permission::Publish,
        Access::Receive | Access::Subscribe => Permission::Subscribe,
        Access::Unsubscribe => return Outcome::Allowed(By::Nothing),
    };
    let asked = asked.unwrap_or(topic);
    if permits(&grant.matcher, access, topic.as_bytes()) {
        return Outcome::Allowed(by(scope, permission, asked).map_or(By::Nothing, By::Scope));
    }
    if configuration.public.allow(access, topic.as_bytes()) {
        return Outcome::Allowed(by(&configuration.public_scope, permission, asked).map_or(By::Nothing, By::Public));
    }
    let nearest = nearest::nearest(scope, permission, asked);
    Outcome::Denied { code: Denial::OutsideScope.code(), nearest }
}

/// The filter that permits something.
fn by(scope: &Scope, permission: Permission, asked: &str) -> Option<TopicFilter> {
    let entries = scope.entries().iter().filter(|entry| entry.permissions.contains(permission));
    entries.map(|entry| &entry.filter).find(|filter| nearest::is_for(filter, asked)).cloned()
}
