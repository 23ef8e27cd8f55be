//! What the cases stand on: brokers, tokens, a raw MQTT client, and the record of what was found.
//!
//! Nothing here uses the plugin's own crates: a mistake that both sides share would go unseen.

pub mod authority;
pub mod broker;
pub mod brokers;
pub mod case;
pub mod client;
pub mod cwt;
pub mod device;
pub mod example;
pub mod foreign;
pub mod https_server;
pub mod introspector;
pub mod jwe;
pub mod key;
pub mod metrics;
pub mod mosquitto_conf;
pub mod packet;
pub mod page;
pub mod pki;
pub mod programs;
pub mod proxy;
pub mod psk;
pub mod record;
pub mod results;
pub mod secrets;
pub mod setup;
pub mod terminal;
pub mod tls;
pub mod trial;
pub mod websocket;

pub use authority::{Authority, Claims, encode, now};
pub use broker::{Broker, PATIENCE};
pub use case::{Case, Ctx, Kind};
pub use client::Client;
pub use device::{Attempt, Device, Reply, Way};
pub use https_server::{Answer, Gate, HttpsServer, MuteServer};
pub use introspector::Introspector;
pub use key::Key;
pub use mosquitto_conf::Example;
pub use packet::{Connect, Protocol};
pub use setup::Setup;
