//! What each event of the broker means: one file per event.

mod acl_check;
mod admission;
mod authz_info;
mod basic_auth;
mod challenges;
mod extended_auth;
mod packets;
mod psk_key;
mod revocation;
mod tick;
mod tls_identity;
mod will;

pub use authz_info::AuthzInfo;
pub use challenges::Challenges;
