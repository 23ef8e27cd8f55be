//! The MQTT-TLS profile of ACE (RFC 9431): access tokens, proof of possession, scopes and the bytes that
//! clients put into CONNECT and AUTH.
//!
//! Everything here is a pure function of what is handed in: no I/O, no clock, no broker. The one thing
//! that is fetched from the system is randomness for new keys ([`random::SystemRandom`]), and only where
//! the caller asks for it.
//!
//! Every input that comes over the network is hostile until proved otherwise. Each refusal is a
//! [`Refusal`], a typed reason that is safe to log: it never carries a token, a key or a MAC.
#![forbid(unsafe_code)]

pub mod base64url;
pub mod connect;
pub mod fingerprint;
pub mod jose;
mod json;
pub mod limits;
pub mod proof;
pub mod quoted;
pub mod random;
pub mod refusal;
pub mod scope;
pub mod time;
pub mod token;

pub use fingerprint::Fingerprint;
pub use json::JsonFault;
pub use quoted::Quoted;
pub use refusal::{Refusal, RefusalKind};
pub use time::Timestamp;
