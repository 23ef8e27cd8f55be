//! Proof-of-possession keys: the client's own, as it names it in `req_cnf` (RFC 9201 §3.1), or a fresh symmetric one.

use std::borrow::Cow;

use ace_profile::base64url;
use ace_profile::jose::{Jwk, KeyError, KeyType};
use ace_profile::random::{Random as _, SystemRandom};
use serde_json::Value;

use crate::oauth_error::{Code, OAuthError};

/// Length of a fresh symmetric key: what HMAC with SHA-256 can use to the full (RFC 7518 §3.2).
const KEY_BYTES: usize = 32;

/// Length of a fresh key's random name.
const KID_BYTES: usize = 12;

/// The public key of a `req_cnf`: `{"jwk": …}`, in place or (in a form) as JSON text. Returned without private
/// members, usage limits and the like: what a token says about a key is that it is the client's.
pub(crate) fn from_request(req_cnf: &Value) -> Result<Value, OAuthError> {
    let malformed = || OAuthError::invalid_request("req_cnf is not of the form {jwk: a public JWK}");
    let confirmation = match req_cnf.as_str() {
        Some(text) => Cow::Owned(serde_json::from_str::<Value>(text).map_err(|_| malformed())?),
        None => Cow::Borrowed(req_cnf),
    };
    let members = confirmation.as_object().ok_or_else(malformed)?;
    let Some(jwk) = members.get("jwk") else {
        return Err(match members.is_empty() {
            true => malformed(),
            false => unsupported("of all confirmation methods only jwk is supported in req_cnf"),
        });
    };
    if members.len() != 1 {
        return Err(OAuthError::invalid_request("req_cnf has more than one member"));
    }
    // Before anything else, so that a client that sends its private key hears of just that.
    if jwk.get("d").is_some() {
        return Err(OAuthError::invalid_request(
            "req_cnf holds a private key: send the public one, and use another key from now on",
        ));
    }
    let key = Jwk::from_value(jwk).map_err(|error| match error {
        KeyError::TypeUnsupported(_) | KeyError::CurveUnsupported(_) => unsupported("keys are Ed25519 or P-256"),
        _ => OAuthError::invalid_request("the key in req_cnf is malformed"),
    })?;
    let algorithm = match key.key_type() {
        KeyType::Ed25519 => "EdDSA",
        KeyType::P256 => "ES256",
        KeyType::Rsa | KeyType::X25519 => return Err(unsupported("keys are Ed25519 or P-256")),
        KeyType::Symmetric => {
            return Err(unsupported("a client cannot choose a symmetric key: leave req_cnf out to be given one"));
        }
    };
    // RFC 9864 names Ed25519 signatures by their curve.
    let fits = key.algorithm().is_none_or(|name| name == algorithm || (algorithm == "EdDSA" && name == "Ed25519"));
    if !fits || key.usage().is_some_and(|usage| usage != "sig") {
        return Err(unsupported("the key in req_cnf is meant for another use"));
    }
    let mut public = key.public_value().ok_or_else(malformed)?;
    if let Some(members) = public.as_object_mut() {
        members.retain(|name, _| ["kty", "crv", "x", "y", "kid"].contains(&name.as_str()));
    }
    Ok(public)
}

/// A fresh symmetric key for HS256, with a name of its own.
pub(crate) fn fresh() -> Result<Jwk, OAuthError> {
    let mut kid = [0; KID_BYTES];
    SystemRandom.fill(&mut kid).map_err(failed)?;
    let key = Jwk::generate_symmetric(KEY_BYTES, &mut SystemRandom).map_err(failed)?;
    Ok(key.with_kid(base64url::encode(&kid)).with_algorithm("HS256"))
}

/// A failure of the cryptographic library, or of a key that was checked when it was read.
pub(crate) fn failed(_: KeyError) -> OAuthError {
    OAuthError::new(Code::ServerError, "a cryptographic operation failed")
}

fn unsupported(description: &'static str) -> OAuthError {
    OAuthError::new(Code::UnsupportedPopKey, description)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    // RFC 8037 appendix A.2, RFC 7517 appendix A.1.
    const ED25519: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const P256: (&str, &str) =
        ("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM");

    fn code(req_cnf: Value) -> &'static str {
        from_request(&req_cnf).unwrap_err().code.as_str()
    }

    #[test]
    fn public_keys_are_taken() {
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": ED25519 });
        assert_eq!(from_request(&json!({ "jwk": key })).unwrap(), key);
        assert_eq!(from_request(&Value::String(json!({ "jwk": key }).to_string())).unwrap(), key);
        let key = json!({ "kty": "EC", "crv": "P-256", "x": P256.0, "y": P256.1, "kid": "mine" });
        let mut adorned = key.clone();
        adorned["use"] = json!("sig");
        adorned["x5u"] = json!("https://elsewhere.example");
        assert_eq!(from_request(&json!({ "jwk": adorned })).unwrap(), key);
    }

    #[test]
    fn private_keys_are_refused() {
        let key =
            json!({ "kty": "OKP", "crv": "Ed25519", "x": ED25519, "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" });
        assert_eq!(code(json!({ "jwk": key })), "invalid_request");
    }

    #[test]
    fn other_kinds_are_unsupported() {
        for req_cnf in [
            json!({ "kid": "k" }),
            json!({ "jwe": "e" }),
            json!({ "jwk": { "kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" } }),
            json!({ "jwk": { "kty": "OKP", "crv": "X25519", "x": ED25519 } }),
            json!({ "jwk": { "kty": "EC", "crv": "P-384", "x": "", "y": "" } }),
            json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": ED25519, "use": "enc" } }),
            json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": ED25519, "alg": "ES256" } }),
        ] {
            assert_eq!(code(req_cnf.clone()), "unsupported_pop_key", "{req_cnf}");
        }
    }

    #[test]
    fn malformed_ones_are_invalid() {
        for req_cnf in [
            json!({}),
            json!([]),
            json!(7),
            json!("{"),
            json!({ "jwk": {} }),
            json!({ "jwk": "x" }),
            json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": "AAAA" } }),
            json!({ "jwk": { "kty": "EC", "crv": "P-256", "x": P256.0, "y": P256.0 } }),
            json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": ED25519 }, "kid": "k" }),
        ] {
            assert_eq!(code(req_cnf.clone()), "invalid_request", "{req_cnf}");
        }
    }

    #[test]
    fn fresh_keys_are_fresh() {
        let (one, other) = (fresh().unwrap(), fresh().unwrap());
        assert_ne!(one.symmetric_bytes().unwrap(), other.symmetric_bytes().unwrap());
        assert_ne!(one.kid(), other.kid());
        assert_eq!(one.symmetric_bytes().unwrap().len(), 32);
        assert_eq!(one.algorithm(), Some("HS256"));
    }
}
