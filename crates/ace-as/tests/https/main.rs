//! The authorization server over real HTTPS, its certificate checked against the CA that `ace-as init` makes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets something unexpected should stop there and say so"
)]

mod command;
mod configuration;
mod errors;
mod hostile;
mod introspection;
mod revocation;
mod rotation;
mod state;
mod token;
mod trial;
mod trl;
mod verify;
