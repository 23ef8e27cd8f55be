//! Scopes: which topics a token lets its holder publish to and subscribe to (RFC 9431 §3).
//!
//! [`TopicFilter`] is one filter, [`Scope`] the list that a token carries (AIF-MQTT, RFC 9237),
//! [`Matcher`] the compiled form that answers for each message. Nothing here knows where a scope came
//! from or who holds it.

mod aif;
mod filter;
mod literals;
mod matcher;
mod permission;
mod tree;
mod words;

pub use aif::{Scope, ScopeEntry, ScopeError};
pub use filter::{FilterError, TopicFilter, shared_subscription_filter};
pub use matcher::Matcher;
pub use permission::{Permission, Permissions};
