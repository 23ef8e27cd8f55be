//! JOSE: keys (RFC 7517, RFC 7518 §6, RFC 8037), signed and encrypted texts in compact form (RFC 7515, RFC 7516).
//!
//! Only what access tokens and proofs need, and only with fixed pairs of key type and algorithm. What a
//! token may demand is decided in [`crate::token`].

mod algorithm;
pub(crate) mod compact;
pub mod jwe;
mod jwk;
mod jwk_set;
pub mod jws;
mod key_error;
mod member;
mod rsa;
pub(crate) mod signature;
mod spki;
mod thumbprint;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use jwk::{Jwk, KeyType};
pub use jwk_set::{JwkSet, JwkSetError};
pub use key_error::KeyError;

pub use compact::looks_like_jwt;
pub(crate) use jwk::Material;
