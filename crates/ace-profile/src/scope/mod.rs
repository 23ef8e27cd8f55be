//! Scopes: which topics a token lets its holder publish to and subscribe to (RFC 9431 §3).
//!
//! [`TopicFilter`] is one filter, [`Scope`] the list that a token carries (AIF-MQTT, RFC 9237, or as [`ScopeFormat`] says),
//! [`Matcher`] the compiled form that answers for each message. Nothing here knows where a scope came
//! from or who holds it.

mod aif;
mod filter;
mod format;
mod literals;
mod matcher;
mod permission;
mod placeholders;
mod tree;
mod word_list;
mod words;

pub use aif::{Scope, ScopeEntry, ScopeError};
pub use filter::{FilterError, TopicFilter, shared_subscription_filter};
pub use format::{ScopeFormat, ScopeFormatName, UnknownScopeFormat};
pub use matcher::Matcher;
pub use permission::{Permission, Permissions};
pub use placeholders::{Placeholder, PlaceholderError, ValueFault};
