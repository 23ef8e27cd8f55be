//! MQTT client for brokers that ask for ACE access tokens with proof of possession (RFC 9431).
//!
//! Three steps, each with its own type:
//!
//! 1. [`TokenClient`] gets a token from an authorization server and yields [`Credentials`]: the token and the key that it is bound to.
//! 2. [`Client::connect`] opens TLS to the broker, presents the token, and proves possession of the key, in the way that
//!    [`Authentication`] names.
//! 3. [`Client::publish`], [`Client::subscribe`], [`Client::receive`] do what MQTT clients do, and say in words what the broker refused.
//!
//! ```no_run
//! use std::{path::Path, time::Duration};
//! use ace_mqtt::{Client, ConnectOptions, Credentials, Message, Qos, Subscription};
//!
//! # fn main() -> ace_mqtt::Result<()> {
//! let credentials = Credentials::load(Path::new("sensor.credentials"))?;
//! let mut client = Client::connect(&ConnectOptions::new("broker.example"), Some(&credentials))?;
//! client.publish(&Message::new("room/1/temperature", "21.5").with_qos(Qos::AtLeastOnce))?;
//! for answer in client.subscribe(&[Subscription::new("room/1/#", Qos::AtLeastOnce)])? {
//!     if let Err(reason) = answer.result {
//!         eprintln!("{}: {reason}", answer.filter);
//!     }
//! }
//! while let Some(message) = client.receive(Duration::from_secs(60))? {
//!     println!("{}: {} bytes", message.topic, message.payload.len());
//! }
//! client.disconnect()
//! # }
//! ```
//!
//! `examples/rust/` at the top of the repository has whole devices.
//!
//! The API blocks, uses one thread, and bounds every wait and every buffer. TLS is rustls with aws-lc; the server's certificate is always
//! verified, and sessions are never resumed, since a proof over the exporter value of a resumed session is worth nothing.
#![forbid(unsafe_code)]

/// The README's example has to compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod authentication;
mod broker_key;
mod client;
mod credentials;
mod error;
mod files;
mod hint;
mod incoming;
mod message;
mod outgoing;
mod password;
mod reason;
mod tls;
mod token;

pub use ace_profile;
pub use authentication::Authentication;
pub use client::{Client, ConnectOptions};
pub use credentials::{Credentials, load_key};
pub use error::{Error, Result};
pub use files::{SECRET_FILE_BYTES, read_secret, read_text, write_private};
pub use hint::AsHint;
pub use message::{Message, Qos, RetainedMessages, Subscribed, Subscription, check_filter, check_topic};
pub use password::draft00_password;
pub use reason::{Reason, Version};
pub use tls::{ClientCertificate, TlsOptions, TlsVersion};
pub use token::{ClientAuthentication, RequestFormat, RequestedKey, TokenClient, TokenRequest, TokenResponse};
