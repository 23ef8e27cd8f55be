//! A scope compiled for the broker's thread: one answer per message, whatever the number of filters.
//!
//! Filters without wildcards are looked up as a whole; those with wildcards are walked level by level (see
//! [`tree`](super::tree)). Neither takes memory, and the cost grows with the topic, not with the scope.

use super::literals::Literals;
use super::permission::{Permission, Permissions};
use super::tree::{self, Tree};
use super::words::Key;
use super::{Scope, filter, shared_subscription_filter};

/// A compiled [`Scope`]. Made once per scope and shared by all sessions that have it.
#[derive(Debug)]
pub struct Matcher {
    /// The filters without wildcards, each leading to what it permits.
    literals: Literals,
    /// The filters with wildcards; `None` if there are none.
    tree: Option<Tree>,
}

impl Matcher {
    /// Compiles a scope.
    #[must_use]
    pub fn new(scope: &Scope) -> Self {
        let mut literals = Vec::new();
        let mut builder = tree::Builder::new();
        for entry in scope.entries() {
            if entry.filter.is_literal() {
                literals.push((0, entry.filter.as_str().into(), entry.permissions.bits()));
            } else {
                builder.add(entry.filter.as_str(), entry.permissions);
            }
        }
        let tree = Some(builder.finish()).filter(|tree| !tree.is_empty());
        Self { literals: Literals::new(&literals), tree }
    }

    /// Whether the scope permits nothing at all.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.literals.is_empty() && self.tree.is_none()
    }

    /// Whether the scope lets its holder publish to this topic name (rfc9431.md S2).
    #[inline]
    #[must_use]
    pub fn may_publish(&self, topic: &[u8]) -> bool {
        self.permits(Permission::Publish, topic)
    }

    /// Whether the scope lets its holder be given a message of this topic name (rfc9431.md S2).
    #[inline]
    #[must_use]
    pub fn may_receive(&self, topic: &[u8]) -> bool {
        self.permits(Permission::Subscribe, topic)
    }

    /// Whether the scope gives this permission for this topic name: [`Self::may_publish`] or [`Self::may_receive`].
    #[inline]
    #[must_use]
    pub fn permits(&self, permission: Permission, topic: &[u8]) -> bool {
        self.has::<false>(topic, permission.into())
    }

    /// Whether one filter of the scope covers all that this topic filter can match (rfc9431.md S3); a shared
    /// subscription is judged by the filter in it (S4). A malformed filter is covered by none.
    #[must_use]
    pub fn may_subscribe(&self, asked: &[u8]) -> bool {
        match shared_subscription_filter(asked) {
            Some(asked) => {
                filter::check(asked).is_ok()
                    && self.has::<true>(filter::spelled_out(asked), Permission::Subscribe.into())
            }
            None => false,
        }
    }

    /// Whether one filter with the wanted permission matches the topic name or, where `FILTER`, covers the filter.
    #[inline(always)]
    fn has<const FILTER: bool>(&self, topic: &[u8], wanted: Permissions) -> bool {
        if !self.literals.is_empty() && self.has_literal(topic, wanted) {
            return true;
        }
        self.tree.as_ref().is_some_and(|tree| tree.walk::<FILTER>(topic, wanted))
    }

    /// The same of the filters without wildcards. Such a filter covers itself only.
    #[inline(never)]
    fn has_literal(&self, topic: &[u8], wanted: Permissions) -> bool {
        Permissions::from_bits(self.literals.find(0, Key::of(topic), topic)).meets(wanted)
    }
}
