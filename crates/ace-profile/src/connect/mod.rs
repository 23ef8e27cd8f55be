//! The bytes with which clients bring token and proof: Authentication Data in MQTT 5's CONNECT and AUTH
//! (RFC 9431 §2.2.4), user name and password in MQTT 3.1.1's CONNECT (§6), and the form of the draft -00. And the
//! identity with which a client names its token already in the TLS handshake (§2.2.3).
//!
//! Everything is read within bounds and without trust in any length field. Nothing is decided here.

mod authentication_data;
mod challenge;
mod credentials;
mod draft00;
mod password;
mod psk_identity;
mod token_text;
mod username;

pub use authentication_data::{AuthenticationData, TooLong};
pub use challenge::{ChallengeAnswer, encode_challenge, parse_challenge};
pub use credentials::Credentials;
pub use draft00::Draft00;
pub use password::PasswordBytes;
pub use psk_identity::PskIdentity;
pub use token_text::{is_opaque, token_text};
pub use username::{encode_username, encode_username_twice};

/// The Authentication Method of this profile (RFC 9431 §2.2.4.2).
pub const METHOD: &str = "ace";

/// What the user name of MQTT 3.1.1 begins with when a token follows (RFC 9431 §6), and the whole user name
/// in the draft's form.
pub const USERNAME_PREFIX: &str = "ace";
