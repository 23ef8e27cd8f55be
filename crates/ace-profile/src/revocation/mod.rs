//! Revoked tokens: an authorization server's token revocation list (RFC 9770), as a broker sees it.
//!
//! The list names tokens by their [`TokenHash`]. [`RevokedTokens`] says what to ask the server next, and takes up its answers;
//! asking is for the caller.

mod list;
mod revoked;
mod token_hash;

pub use list::{ListError, MEDIA_TYPE};
pub use revoked::{Query, RevokedTokens, TakenUp};
pub use token_hash::{TokenHash, TokenHashes};
