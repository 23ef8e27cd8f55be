//! What a broker knows and decides as resource server of ACE (RFC 9431): its configuration, what it has from its authorization
//! servers, its judgement of tokens, and the rights that they give.
//!
//! No broker is in here: the plugin asks this crate and tells Mosquitto, `ace-mqtt explain` asks it and tells people. The
//! protocol itself is in [`ace_profile`].

#![forbid(unsafe_code)]

pub mod check;
pub mod config;
pub mod explain;
mod exporter_error;
mod reason;
pub mod remote;
pub mod rights;

pub use exporter_error::ExporterError;
pub use reason::Reason;
