//! What each event of the broker means: one file per event.

mod acl_check;
mod admission;
mod arriving;
mod authz_info;
mod basic_auth;
mod challenges;
mod control;
mod delayed;
mod extended_auth;
mod introspection;
mod keys;
mod metrics;
mod packets;
mod psk_key;
mod reports;
mod revocation;
mod tick;
mod tls_identity;
mod waiting;
mod will;

pub use arriving::Arriving;
pub use authz_info::AuthzInfo;
pub use challenges::Challenges;
pub use control::Commands;
pub use delayed::Delayed;
pub use waiting::Allowance;
