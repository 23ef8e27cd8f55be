//! What a scope, and what is open to all, says about one request: a pure function of both.

use ace_profile::scope::{Matcher, Permission};

use super::Access;

/// Topics that are open to all (rfc9431.md S6).
#[derive(Debug)]
pub struct PublicTopics {
    /// Filters with the permissions that everybody has.
    pub matcher: Matcher,
}

impl PublicTopics {
    /// Whether anybody may do this.
    #[inline]
    #[must_use]
    pub fn allow(&self, access: Access, topic: &[u8]) -> bool {
        !self.matcher.is_empty() && permits(&self.matcher, access, topic)
    }
}

/// Whether a compiled scope permits this.
#[inline]
#[must_use]
pub fn permits(matcher: &Matcher, access: Access, topic: &[u8]) -> bool {
    match access {
        Access::Subscribe => matcher.may_subscribe(topic),
        // Giving a subscription up harms nobody.
        Access::Unsubscribe => true,
        // Together, so that the way through the scope is there once.
        Access::Receive | Access::Publish => {
            let publish = access == Access::Publish;
            matcher.permits(if publish { Permission::Publish } else { Permission::Subscribe }, topic)
        }
    }
}

#[cfg(test)]
mod tests {
    use ace_profile::scope::Scope;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_public_is_so_in_its_own_direction() {
        let scope = Scope::from_aif_value(&json!([["hello/#", ["pub"]]])).unwrap();
        let public = PublicTopics { matcher: Matcher::new(&scope) };
        assert!(public.allow(Access::Publish, b"hello/a"));
        assert!(!public.allow(Access::Receive, b"hello/a"));
        assert!(!public.allow(Access::Publish, b"other"));
        assert!(!PublicTopics { matcher: Matcher::new(&Scope::default()) }.allow(Access::Publish, b"hello/a"));
    }
}
