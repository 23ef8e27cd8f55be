//! Every bound of this crate, in one place. Whatever arrives from outside is measured against one of these
//! before it is worked on.

/// Longest access token that is looked at, in bytes. The profile's own length field would allow 65,535
/// (RFC 9431 §2.2.4.2); real tokens, certificates chains included, stay far below.
pub const TOKEN_BYTES: usize = 32 * 1024;

/// Longest text in which a token of [`TOKEN_BYTES`] can come: four characters of base64url for three bytes.
pub const TOKEN_TEXT_BYTES: usize = TOKEN_BYTES.div_ceil(3) * 4;

/// Longest answer about a token that is read (RFC 7662 §2.2), in bytes: what a token of [`TOKEN_BYTES`] says is shorter.
pub const INTROSPECTION_BYTES: usize = 64 * 1024;

/// Deepest nesting of arrays and objects in a JSON text. Tokens of common servers nest four deep.
pub const JSON_DEPTH: usize = 32;

/// Most hashes of one token: a CWT in all ways to write it.
pub const TOKEN_HASHES: usize = 12;

/// Deepest nesting of arrays, maps and tags in CBOR.
pub const CBOR_DEPTH: usize = 16;

/// Most labels of a map in CBOR: claims, headers and keys have a dozen.
pub const CBOR_MAP_ENTRIES: usize = 64;

/// Longest `kid` (RFC 7515 §4.1.4, RFC 7517 §4.5) that is accepted, in bytes.
pub const KID_BYTES: usize = 256;

/// Longest `sub` claim (RFC 7519 §4.1.2), in bytes. It becomes the broker's user name.
pub const SUBJECT_BYTES: usize = 256;

/// Most entries of an `aud` array (RFC 7519 §4.1.3).
pub const AUDIENCES: usize = 64;

/// Most entries in a scope (an AIF-MQTT array, RFC 9431 §3).
pub const FILTERS: usize = 4096;

/// Longest topic filter, in bytes (a UTF-8 string of MQTT 5 §1.5.4).
pub const FILTER_BYTES: usize = 65_535;

/// Longest PSK identity, in bytes: what OpenSSL 3 hands over.
pub const PSK_IDENTITY_BYTES: usize = 256;

/// Length of the broker's and of the client's nonce in the challenge, in bytes (RFC 9431 §2.2.4.2.2).
pub const NONCE_BYTES: usize = 8;

/// Shortest symmetric proof-of-possession key, in bytes. RFC 7518 §3.2 wants 32 for HS256, and 32 is what
/// an authorization server should make; 16 (AES-128's) is accepted because constrained devices are often
/// provisioned with such keys, and a 128-bit key is out of reach of guessing all the same.
pub const POP_KEY_BYTES_MIN: usize = 16;

/// Shortest key for an HS256-signed token, in bytes (RFC 7518 §3.2).
pub const HS256_KEY_BYTES_MIN: usize = 32;

/// Longest symmetric key, in bytes.
pub const SYMMETRIC_KEY_BYTES_MAX: usize = 1024;

/// Shortest RSA modulus, in bits (RFC 7518 §3.3).
pub const RSA_BITS_MIN: usize = 2048;

/// Longest RSA modulus, in bits: what the cryptographic library verifies with.
pub const RSA_BITS_MAX: usize = 8192;

/// Longest JWK or JWK set text, in bytes.
pub const JWKS_BYTES: usize = 1024 * 1024;

/// Most keys in one JWK set.
pub const JWKS_KEYS: usize = 4096;

/// Longest RSA modulus of a key that decrypts, in bits: a private operation takes the broker's thread some milliseconds, and its cost
/// grows with the third power.
pub const RSA_DECRYPTION_BITS_MAX: usize = 4096;

/// How many keys of different servers are tried on an encrypted token that does not tell whose it is.
pub const DECRYPTION_TRIES: usize = 8;

/// Longest `apu` and `apv` of a JWE (RFC 7518 §4.6.1), in bytes before base64url.
pub const PARTY_INFO_BYTES: usize = 256;

/// Longest JWE that may stand in a token's `cnf` claim, in bytes: a JWK with one symmetric key is small.
pub const JWE_BYTES: usize = 8 * 1024;

/// Longest password of the draft's form (a JSON object with the token and the MAC), in bytes.
pub const DRAFT00_PASSWORD_BYTES: usize = TOKEN_BYTES + 1024;

/// Shortest nonce of the draft's form with `ts` and `nonce`, in bytes before base64url.
pub const DRAFT00_NONCE_BYTES_MIN: usize = 16;

/// Longest nonce of the draft's form with `ts` and `nonce`, in bytes before base64url.
pub const DRAFT00_NONCE_BYTES_MAX: usize = 64;

/// Longest proof (MAC or signature) that is looked at, in bytes. The longest of the supported algorithms
/// (Ed25519, ES256) is 64.
pub const PROOF_BYTES_MAX: usize = 64;

/// How many accepted proofs of the draft's form a [`ReplayCache`](crate::proof::ReplayCache) remembers
/// unless told otherwise.
pub const REPLAY_ENTRIES: usize = 65_536;

/// Longest piece of foreign text that a [`Quoted`](crate::Quoted) keeps for the log, in characters.
pub const QUOTED_CHARS: usize = 80;

/// Largest `NumericDate` that is believed, in seconds: the year 9999's last. Anything later is a mistake or
/// an attempt to overflow.
pub const NUMERIC_DATE_MAX: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::scope::{Scope, ScopeError, TopicFilter};

    #[test]
    fn scopes_keep_to_these_bounds() {
        assert!(TopicFilter::parse(&"a".repeat(FILTER_BYTES)).is_ok());
        assert!(TopicFilter::parse(&"a".repeat(FILTER_BYTES + 1)).is_err());
        let entries = |count: usize| (0..count).map(|n| json!([n.to_string(), ["pub"]])).collect::<Value>();
        assert!(Scope::from_claim(&entries(FILTERS)).is_ok());
        assert_eq!(Scope::from_claim(&entries(FILTERS + 1)), Err(ScopeError::TooLarge));
    }
}
