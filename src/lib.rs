//! OAuth 2.0 / ACE access control for a stock Mosquitto broker (RFC 9431): the plugin.
//!
//! This file has the functions that the broker calls. What they lead to is in [`plugin`], and the way there in [`broker`].

use std::ffi::CStr;

pub mod broker;
pub mod control;
pub mod events;
pub mod metrics;
pub mod plugin;
mod refusal_log;
mod report;
pub mod session;
pub mod state;

/// The plugin's version, as the broker is told.
pub const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

broker::entry_points!(plugin::Plugin);
