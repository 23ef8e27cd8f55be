//! The MQTT-TLS profile of ACE (RFC 9431): access tokens, proof of possession, scopes and the bytes that
//! clients put into CONNECT and AUTH.
//!
//! Everything here is a pure function of what is handed in: no I/O, no clock, no broker. The one thing
//! that is fetched from the system is randomness for new keys ([`random::SystemRandom`]), and only where
//! the caller asks for it.
//!
//! Every input that comes over the network is hostile until proved otherwise. Each refusal is a
//! [`Refusal`], a typed reason that is safe to log: it never carries a token, a key or a MAC.
//!
//! # One token's way
//! ```
//! use ace_profile::connect::AuthenticationData;
//! use ace_profile::jose::{Algorithm, Jwk, JwkSet, jws};
//! use ace_profile::proof::{EXPORTER_BYTES, ProofKey};
//! use ace_profile::random::SystemRandom;
//! use ace_profile::scope::Matcher;
//! use ace_profile::token::{AuthorizationServer, Policy, Validator};
//! use ace_profile::Timestamp;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The authorization server binds a token to the client's public key.
//! let server_key = Jwk::generate_ed25519(&mut SystemRandom)?.with_kid("as-1");
//! let client_key = Jwk::generate_p256(&mut SystemRandom)?;
//! let claims = serde_json::json!({
//!     "iss": "https://as.example", "sub": "device-7", "aud": "broker.example", "exp": 1_700_000_600,
//!     "cnf": {"jwk": client_key.public_value()},
//!     "scope": [["sensors/#", ["pub"]]],
//! });
//! let token = jws::sign(claims.to_string().as_bytes(), &server_key, Algorithm::EdDsa, Some("JWT"))?;
//!
//! // The client proves its key over bytes that both sides export from the TLS session.
//! let exported = [7; EXPORTER_BYTES];
//! let proof = ProofKey::from_jwk(&client_key)?.prove(&exported)?;
//! let data = AuthenticationData::WithProof { token: token.as_bytes(), proof: &proof }.encode()?;
//!
//! // The broker knows the server's public key, and judges.
//! let server = AuthorizationServer {
//!     issuer: "https://as.example".to_owned(),
//!     keys: server_key.to_public().into_iter().collect::<JwkSet>(),
//!     ..AuthorizationServer::default()
//! };
//! let policy = Policy { audience: vec!["broker.example".to_owned()], ..Policy::default() };
//! let validator = Validator::new(vec![server], JwkSet::default(), policy);
//!
//! let AuthenticationData::WithProof { token, proof } = AuthenticationData::parse(&data)? else { unreachable!() };
//! let valid = validator.validate(token, Timestamp::from_unix_seconds(1_700_000_000))?;
//! valid.key().ok_or("a bearer token")?.verify(&exported, proof)?;
//! assert!(Matcher::new(&valid.scope).may_publish(b"sensors/7/temperature"));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod base64url;
mod cbor;
pub mod connect;
pub mod cose;
pub mod fingerprint;
pub mod jose;
pub mod json;
pub mod limits;
pub mod proof;
pub mod quoted;
pub mod random;
pub mod refusal;
pub mod revocation;
pub mod scope;
pub mod time;
pub mod token;

pub use cbor::CborFault;
pub use fingerprint::Fingerprint;
pub use json::JsonFault;
pub use quoted::Quoted;
pub use refusal::{Refusal, RefusalKind};
pub use time::Timestamp;
