//! A small OAuth 2.0 / ACE authorization server for MQTT (RFC 6749, RFC 9200, RFC 9201, RFC 9431).
//!
//! It gives clients that prove who they are by a secret access tokens bound to a key, with the scope that one TOML
//! file allows them, and answers brokers that ask what a token says. Library half of the program `ace-as`:
//!
//! ```no_run
//! use ace_as::{Config, Level, Log, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load("as.toml".as_ref())?;
//! let server = Server::start(config, "127.0.0.1:0".parse()?, Log::to_stderr(Level::Info))?;
//! println!("https://{}/token", server.local_addr());
//! server.shutdown();
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod answer;
mod authority;
mod body;
mod caller;
mod clock;
mod config;
mod endpoints;
mod grant;
pub mod init;
mod ledger;
mod log;
mod mint;
mod oauth_error;
mod parameters;
mod policy;
mod pop_key;
mod secret;
mod server;

pub use config::{Config, ConfigError, SigningKey};
pub use ledger::StateError;
pub use log::{Level, Log};
pub use server::{Server, StartError};
