//! The TLS connection under a client, reached without touching the broker's own structures.
//!
//! The broker links OpenSSL, so its public functions are in the process. An index for extra data makes OpenSSL tell us of
//! each connection that is made and freed; a message callback tells which connection was read from last. Since the broker
//! has one thread and handles a packet as soon as it has read it, that connection belongs to the client of the event at
//! hand. Mosquitto 2.1 keeps the client's address in the connection's extra data, which proves it.
//!
//! The library stays in memory when the plugin is unloaded (see build.rs), so that OpenSSL's pointers to our callbacks never
//! dangle; without an installed plugin they do nothing.

mod certificate;
mod connection;
mod hello;
mod openssl;
mod psk;
mod registry;

pub use certificate::PeerCertificate;
pub use connection::Connection;
pub use psk::OfferedPsk;
pub use registry::{
    KeyHolder, ask_about_raw_keys, client_behind, forget_last_read, install, of_client, proved_of_client, uninstall,
};
