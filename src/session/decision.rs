//! The decision for one message or subscription: a pure function of session, topic, access and time.

use ace_profile::Timestamp;
use ace_profile::scope::Matcher;
use ace_resource_server::rights::{Access, Denial, permits};

use super::table::{Phase, Rights, Session};

/// What is to be done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may happen.
    Allow,
    /// It may not, for this reason.
    Deny(Denial),
    /// It is for the broker's other plugins to say.
    Defer,
    /// The session's connection has ended, and another client may be in its place without our having been asked.
    LookAgain,
}

impl Session {
    /// Decides on a request of this session's client by its own rights. What is open to all is for the caller to ask about:
    /// most requests are allowed without.
    ///
    /// `is_before` says whether a point in time is still to come; it is asked only where it matters.
    #[inline]
    #[must_use]
    pub fn decide(&self, access: Access, topic: &[u8], is_before: impl FnOnce(Timestamp) -> bool) -> Decision {
        let grant = match &self.rights {
            Rights::Token(grant) => grant,
            Rights::Public => return Decision::Deny(Denial::OutsideScope),
            Rights::AuthzInfo => return Decision::Deny(Denial::AuthzInfoOnly),
            Rights::Foreign => return Decision::Defer,
        };
        // By far the most come this way.
        if self.phase.get() == Phase::Connected && is_before(grant.expires) {
            return if permits(&grant.matcher, access, topic) {
                Decision::Allow
            } else {
                Decision::Deny(Denial::OutsideScope)
            };
        }
        if self.phase.get() == Phase::Departed {
            return Decision::LookAgain;
        }
        self.decide_without_connection_or_token(&grant.matcher, access, topic)
    }

    /// The same once it is known that a departed client has not come back.
    #[must_use]
    pub fn decide_departed(&self, access: Access, topic: &[u8]) -> Decision {
        match self.grant() {
            Some(grant) => self.decide_without_connection_or_token(&grant.matcher, access, topic),
            None => Decision::Deny(Denial::SessionEnding),
        }
    }

    /// The decision for a client that is not connected as it should be, or whose token has expired.
    #[cold]
    #[inline(never)]
    fn decide_without_connection_or_token(&self, matcher: &Matcher, access: Access, topic: &[u8]) -> Decision {
        let token_counts = match self.phase.get() {
            Phase::Connected => false,
            Phase::Ending => return Decision::Deny(Denial::SessionEnding),
            // The broker asks about each subscription of a client that is being disconnected, and deletes what is denied: a
            // client whose token has merely expired finds its session whole when it returns (rfc9431.md R4). A Will that
            // the scope allows is sent whatever has become of the token (R3). Messages are not for it any more.
            Phase::Leaving => access != Access::Receive,
            // The same for Wills; and messages are queued for a client that may return. They are looked at again, with its
            // new token, before it is given them.
            Phase::Departed => true,
        };
        match (token_counts, permits(matcher, access, topic)) {
            (true, true) => Decision::Allow,
            (true, false) => Decision::Deny(Denial::OutsideScope),
            // Giving a subscription up harms nobody.
            (false, _) if access == Access::Unsubscribe => Decision::Allow,
            (false, _) => Decision::Deny(Denial::TokenExpired),
        }
    }
}

impl Session {
    /// Whether a client may be let in with a Will for this topic by its own rights. Those of clients that are left to the
    /// broker's other plugins are theirs to judge, when they are sent.
    #[must_use]
    pub fn may_set_will(&self, topic: &[u8]) -> bool {
        match &self.rights {
            Rights::Token(grant) => grant.matcher.may_publish(topic),
            Rights::Public | Rights::AuthzInfo => false,
            Rights::Foreign => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use ace_profile::Fingerprint;
    use ace_profile::scope::Scope;
    use ace_resource_server::rights::{Grant, Origin};
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);
    const ALL: [Access; 4] = [Access::Receive, Access::Publish, Access::Subscribe, Access::Unsubscribe];

    fn at_now(deadline: Timestamp) -> bool {
        NOW < deadline
    }

    fn session(phase: Phase, expires: u64) -> Session {
        let scope = Scope::from_aif_value(&json!([["mine/#", ["pub", "sub"]]])).unwrap();
        let grant = Grant {
            matcher: Rc::new(Matcher::new(&scope)),
            scope: Rc::new(scope),
            expires: Timestamp::from_unix_seconds(expires),
            user_name: c"user".into(),
            identity: None,
            binding: None,
            fingerprint: Fingerprint::of(b"token"),
            origin: Origin::for_test(),
        };
        let session = Session::for_test(Rights::Token(Rc::new(grant)));
        session.phase.set(phase);
        session
    }

    #[test]
    fn a_valid_token_allows_what_its_scope_says() {
        let session = session(Phase::Connected, 1_001);
        for access in ALL {
            assert_eq!(session.decide(access, b"mine/a", at_now), Decision::Allow, "{access:?}");
        }
        for access in [Access::Receive, Access::Publish, Access::Subscribe] {
            assert_eq!(session.decide(access, b"yours", at_now), Decision::Deny(Denial::OutsideScope), "{access:?}");
        }
    }

    #[test]
    fn an_expired_token_allows_nothing() {
        let session = session(Phase::Connected, 1_000);
        for access in [Access::Receive, Access::Publish, Access::Subscribe] {
            assert_eq!(session.decide(access, b"mine/a", at_now), Decision::Deny(Denial::TokenExpired), "{access:?}");
        }
        assert_eq!(session.decide(Access::Unsubscribe, b"mine/a", at_now), Decision::Allow);
    }

    #[test]
    fn a_session_that_ends_keeps_its_subscriptions_and_its_will() {
        let leaving = session(Phase::Leaving, 1_000);
        assert_eq!(leaving.decide(Access::Subscribe, b"mine/#", at_now), Decision::Allow);
        assert_eq!(leaving.decide(Access::Publish, b"mine/will", at_now), Decision::Allow);
        assert_eq!(leaving.decide(Access::Receive, b"mine/a", at_now), Decision::Deny(Denial::TokenExpired));
        let departed = session(Phase::Departed, 1_000);
        assert_eq!(departed.decide(Access::Receive, b"mine/a", at_now), Decision::LookAgain);
        assert_eq!(departed.decide_departed(Access::Receive, b"mine/a"), Decision::Allow);
        assert_eq!(departed.decide_departed(Access::Publish, b"yours"), Decision::Deny(Denial::OutsideScope));
        let ending = session(Phase::Ending, 2_000);
        for access in ALL {
            assert_eq!(ending.decide(access, b"mine/a", at_now), Decision::Deny(Denial::SessionEnding));
        }
    }

    #[test]
    fn a_will_needs_the_right_to_publish_to_its_topic() {
        let session = session(Phase::Connected, 1_001);
        assert!(session.may_set_will(b"mine/will"));
        assert!(!session.may_set_will(b"yours"));
        assert!(!Session::for_test(Rights::Public).may_set_will(b"mine/will"));
        assert!(Session::for_test(Rights::Foreign).may_set_will(b"yours"));
    }

    #[test]
    fn the_anonymous_have_nothing_of_their_own_and_others_are_deferred() {
        let anonymous = Session::for_test(Rights::Public);
        assert_eq!(anonymous.decide(Access::Publish, b"hello/a", at_now), Decision::Deny(Denial::OutsideScope));
        assert_eq!(Session::for_test(Rights::Foreign).decide(Access::Publish, b"x", at_now), Decision::Defer);
        let for_one_topic = Session::for_test(Rights::AuthzInfo);
        for access in ALL {
            assert_eq!(for_one_topic.decide(access, b"hello/a", at_now), Decision::Deny(Denial::AuthzInfoOnly));
        }
        assert!(!for_one_topic.may_set_will(b"hello/a"));
        assert!(Denial::OutsideScope.leaves_public_topics() && !Denial::AuthzInfoOnly.leaves_public_topics());
    }
}
