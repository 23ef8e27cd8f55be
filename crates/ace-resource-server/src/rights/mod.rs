//! What a token, or nothing at all, gives a client the right to do.

mod access;
mod denial;
mod grant;
mod origin;
mod permitted;

pub use access::Access;
pub use denial::Denial;
pub use grant::{Grant, Matchers, scope_for};
pub use origin::Origin;
pub use permitted::{PublicTopics, permits};
