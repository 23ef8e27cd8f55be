//! The decision for one message or subscription: a pure function of session, topic, access and time.

use ace_profile::Timestamp;
use ace_profile::scope::Matcher;

use super::table::{Phase, Rights, Session};
use crate::broker::Access;

/// Topics that are open to all (rfc9431.md S6).
#[derive(Debug)]
pub struct PublicTopics {
    /// Filters with the permissions that everybody has.
    pub matcher: Matcher,
}

/// What is to be done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may happen.
    Allow,
    /// It may not, for this reason.
    Deny(Denial),
    /// It is for the broker's other plugins to say.
    Defer,
}

/// Why a request is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The client's token has expired.
    TokenExpired,
    /// No filter of the scope, and none that is open to all, allows it.
    OutsideScope,
    /// The session is about to end.
    SessionEnding,
}

impl Denial {
    /// A short name that stays the same over versions.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TokenExpired => "token-expired",
            Self::OutsideScope => "outside-scope",
            Self::SessionEnding => "session-ending",
        }
    }
}

impl PublicTopics {
    /// Whether anybody may do this.
    #[must_use]
    pub fn allow(&self, access: Access, topic: &[u8]) -> bool {
        permits(&self.matcher, access, topic)
    }
}

impl Session {
    /// Decides on a request of this session's client.
    #[inline]
    #[must_use]
    pub fn decide(&self, public: &PublicTopics, access: Access, topic: &[u8], now: Timestamp) -> Decision {
        let grant = match &self.rights {
            Rights::Token(grant) => grant,
            Rights::Public if public.allow(access, topic) => return Decision::Allow,
            Rights::Public => return Decision::Deny(Denial::OutsideScope),
            Rights::Foreign => return Decision::Defer,
        };
        let token_counts = match self.phase {
            Phase::Connected => grant.is_valid_at(now),
            Phase::Ending => return Decision::Deny(Denial::SessionEnding),
            // The broker asks about each subscription of a client that is being disconnected, and deletes what is denied: a
            // client whose token has merely expired finds its session whole when it returns (rfc9431.md R4). A Will that
            // the scope allows is sent whatever has become of the token (R3). Messages are not for it any more.
            Phase::Leaving => access != Access::Receive,
            // The same for Wills; and messages are queued for a client that may return. They are looked at again, with its
            // new token, before it is given them.
            Phase::Departed => true,
        };
        if token_counts && permits(&grant.matcher, access, topic) {
            return Decision::Allow;
        }
        if public.allow(access, topic) {
            return Decision::Allow;
        }
        Decision::Deny(if token_counts { Denial::OutsideScope } else { Denial::TokenExpired })
    }
}

#[inline]
fn permits(matcher: &Matcher, access: Access, topic: &[u8]) -> bool {
    match access {
        Access::Receive => matcher.may_receive(topic),
        Access::Publish => matcher.may_publish(topic),
        Access::Subscribe => matcher.may_subscribe(topic),
        // Giving a subscription up harms nobody.
        Access::Unsubscribe => true,
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use ace_profile::Fingerprint;
    use ace_profile::scope::Scope;
    use serde_json::json;

    use super::*;
    use crate::session::Grant;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);
    const ALL: [Access; 4] = [Access::Receive, Access::Publish, Access::Subscribe, Access::Unsubscribe];

    fn public(aif: serde_json::Value) -> PublicTopics {
        PublicTopics { matcher: Matcher::new(&Scope::from_aif_value(&aif).unwrap()) }
    }

    fn session(phase: Phase, expires: u64) -> Session {
        let scope = Scope::from_aif_value(&json!([["mine/#", ["pub", "sub"]]])).unwrap();
        let grant = Grant {
            matcher: Rc::new(Matcher::new(&scope)),
            expires: Timestamp::from_unix_seconds(expires),
            user_name: c"user".into(),
            identity: None,
            fingerprint: Fingerprint::of(b"token"),
        };
        Session { phase, ..Session::for_test(Rights::Token(Rc::new(grant))) }
    }

    #[test]
    fn a_valid_token_allows_what_its_scope_says() {
        let (nobody, session) = (public(json!([])), session(Phase::Connected, 1_001));
        for access in ALL {
            assert_eq!(session.decide(&nobody, access, b"mine/a", NOW), Decision::Allow, "{access:?}");
        }
        for access in [Access::Receive, Access::Publish, Access::Subscribe] {
            let decision = session.decide(&nobody, access, b"yours", NOW);
            assert_eq!(decision, Decision::Deny(Denial::OutsideScope), "{access:?}");
        }
    }

    #[test]
    fn an_expired_token_allows_nothing_but_what_is_public() {
        let (all, session) = (public(json!([["mine/open", ["sub"]]])), session(Phase::Connected, 1_000));
        for access in ALL {
            let decision = session.decide(&all, access, b"mine/a", NOW);
            let expected =
                if access == Access::Unsubscribe { Decision::Allow } else { Decision::Deny(Denial::TokenExpired) };
            assert_eq!(decision, expected, "{access:?}");
        }
        assert_eq!(session.decide(&all, Access::Receive, b"mine/open", NOW), Decision::Allow);
        assert_eq!(session.decide(&all, Access::Publish, b"mine/open", NOW), Decision::Deny(Denial::TokenExpired));
    }

    #[test]
    fn a_session_that_ends_keeps_its_subscriptions_and_its_will() {
        let nobody = public(json!([]));
        let leaving = session(Phase::Leaving, 1_000);
        assert_eq!(leaving.decide(&nobody, Access::Subscribe, b"mine/#", NOW), Decision::Allow);
        assert_eq!(leaving.decide(&nobody, Access::Publish, b"mine/will", NOW), Decision::Allow);
        assert_eq!(leaving.decide(&nobody, Access::Receive, b"mine/a", NOW), Decision::Deny(Denial::TokenExpired));
        let departed = session(Phase::Departed, 1_000);
        assert_eq!(departed.decide(&nobody, Access::Receive, b"mine/a", NOW), Decision::Allow);
        assert_eq!(departed.decide(&nobody, Access::Publish, b"yours", NOW), Decision::Deny(Denial::OutsideScope));
        let ending = session(Phase::Ending, 2_000);
        for access in ALL {
            assert_eq!(ending.decide(&nobody, access, b"mine/a", NOW), Decision::Deny(Denial::SessionEnding));
        }
    }

    #[test]
    fn the_anonymous_have_the_public_topics_and_others_are_deferred() {
        let all = public(json!([["hello/#", ["pub"]]]));
        let anonymous = Session::for_test(Rights::Public);
        assert_eq!(anonymous.decide(&all, Access::Publish, b"hello/a", NOW), Decision::Allow);
        assert_eq!(anonymous.decide(&all, Access::Receive, b"hello/a", NOW), Decision::Deny(Denial::OutsideScope));
        assert_eq!(Session::for_test(Rights::Foreign).decide(&all, Access::Publish, b"x", NOW), Decision::Defer);
    }
}
