//! The boundary to the broker and to the OpenSSL in its process: C on one side, safe Rust types on the other.
//!
//! This is the only place with `unsafe` code. What is behind it ([`Handler`]) is called with borrowed views of the
//! broker's events and answers with [`Verdict`]s; a panic in there becomes a denial ([`panic`]).
//!
//! The broker has one thread. Everything here is used on that thread alone, and may be entered again while it runs:
//! some functions of the broker, [`Broker::kick`] above all, raise further events before they return.

#[allow(non_camel_case_types, missing_docs, dead_code, unreachable_pub, clippy::all)]
mod abi;
mod client;
pub mod clock;
mod entry;
mod event;
#[cfg(any(test, feature = "fake-broker"))]
pub mod fake;
mod functions;
mod panic;
pub mod tls;
mod verdict;

pub use crate::entry_points;

pub use client::{Client, ClientKey};
pub use entry::{Handler, cleanup, init, supported_version};
pub use event::{AclCheck, BasicAuth, Control, ExtendedAuth, Message, Options, Password, PskKey, WillSet};
pub use functions::{Broker, Level};
pub use verdict::Verdict;

/// The C types that the entry points' signatures need.
pub mod c {
    pub use super::abi::ace_opt;
    pub use std::ffi::{c_int, c_void};
}
