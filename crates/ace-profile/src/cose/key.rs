//! `COSE_Key` (RFC 9052 §7, RFC 9053 §7): the keys that a proof can be made with.

use serde_json::{Map as JsonMap, Value as JsonValue};

use crate::base64url;
use crate::cbor::{Map, Value};
use crate::jose::{Jwk, KeyError};

/// Common parameters (RFC 9052 §7.1).
const KTY: i64 = 1;
const KID: i64 = 2;
const ALG: i64 = 3;
const KEY_OPS: i64 = 4;
/// Parameters of the key types (RFC 9053 §7). The numbers mean something else in each type.
const CRV: i64 = -1;
const K: i64 = -1;
const X: i64 = -2;
const Y: i64 = -3;
const D: i64 = -4;
/// Key types.
const OKP: i64 = 1;
const EC2: i64 = 2;
const SYMMETRIC: i64 = 4;
/// Curves.
const P256: i64 = 1;
const ED25519: i64 = 6;

/// Whether the key would let whoever reads it make proofs, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secret {
    /// A public key.
    No,
    /// A symmetric key.
    Symmetric,
    /// A key with its private half.
    Private,
}

/// What about a key gives it away. Looked at before anything else.
pub(crate) fn secret(key: &Map<'_>) -> Secret {
    if key.get(KTY) == Some(&Value::Int(SYMMETRIC)) {
        Secret::Symmetric
    } else if key.get(D).is_some() {
        Secret::Private
    } else {
        Secret::No
    }
}

/// Reads a public key on Ed25519 or P-256, or a symmetric one.
///
/// # Errors
/// A [`KeyError`] that says which parameter is at fault.
pub(crate) fn read(key: &Map<'_>) -> Result<Jwk, KeyError> {
    let jwk = match key.get(KTY).and_then(Value::as_int).ok_or(KeyError::MemberMissing("kty"))? {
        OKP => Jwk::from_value(&okp(key)?)?,
        EC2 => {
            expect_curve(key, P256)?;
            let x = coordinate(key, X, "x")?;
            match key.get(Y) {
                Some(Value::Bool(y_is_odd)) => Jwk::p256_from_compressed(&x, *y_is_odd)?,
                _ => Jwk::from_value(&ec2(key, &x)?)?,
            }
        }
        SYMMETRIC => Jwk::from_symmetric(bytes(key, K, "k")?)?,
        other => return Err(KeyError::TypeUnsupported(other.to_string().as_str().into())),
    };
    described(jwk, key)
}

fn okp(key: &Map<'_>) -> Result<JsonValue, KeyError> {
    expect_curve(key, ED25519)?;
    let x = bytes(key, X, "x")?;
    Ok(object([("kty", "OKP"), ("crv", "Ed25519"), ("x", &base64url::encode(x))]))
}

fn ec2(key: &Map<'_>, x: &[u8; 32]) -> Result<JsonValue, KeyError> {
    let y = coordinate(key, Y, "y")?;
    let (x, y) = (base64url::encode(x), base64url::encode(&y));
    Ok(object([("kty", "EC"), ("crv", "P-256"), ("x", &x), ("y", &y)]))
}

fn object<const N: usize>(members: [(&str, &str); N]) -> JsonValue {
    JsonValue::Object(members.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect::<JsonMap<_, _>>())
}

/// Refuses any other curve than the expected one.
fn expect_curve(key: &Map<'_>, expected: i64) -> Result<(), KeyError> {
    match key.get(CRV).and_then(Value::as_int).ok_or(KeyError::MemberMissing("crv"))? {
        curve if curve == expected => Ok(()),
        curve => Err(KeyError::CurveUnsupported(curve.to_string().as_str().into())),
    }
}

fn bytes<'b>(key: &Map<'b>, label: i64, name: &'static str) -> Result<&'b [u8], KeyError> {
    let value = key.get(label).ok_or(KeyError::MemberMissing(name))?;
    value.as_bytes().ok_or(KeyError::MemberMalformed(name))
}

fn coordinate(key: &Map<'_>, label: i64, name: &'static str) -> Result<[u8; 32], KeyError> {
    bytes(key, label, name)?.try_into().map_err(|_| KeyError::MemberMalformed(name))
}

/// What the key says about itself, in the words of JOSE.
fn described(mut jwk: Jwk, key: &Map<'_>) -> Result<Jwk, KeyError> {
    if let Some(kid) = key.get(KID) {
        jwk = jwk.with_kid(super::kid_name(kid.as_bytes().ok_or(KeyError::MemberMalformed("kid"))?));
    }
    match key.get(ALG) {
        None => {}
        Some(Value::Int(number)) => {
            let name = match number {
                -8 | -19 => "EdDSA",
                -7 | -9 => "ES256",
                5 => "HS256",
                _ => "another",
            };
            jwk = jwk.with_algorithm(name);
        }
        Some(Value::Text(name)) => jwk = jwk.with_algorithm(*name),
        Some(_) => return Err(KeyError::MemberMalformed("alg")),
    }
    if let Some(operations) = key.get(KEY_OPS) {
        let operations = operations.as_array().ok_or(KeyError::MemberMalformed("key_ops"))?;
        jwk = jwk.with_operations(operations.iter().filter_map(operation).map(str::to_owned).collect());
    }
    Ok(jwk)
}

/// The name that JOSE has for an operation (RFC 9052 §7.1, RFC 7517 §4.3): a MAC is signed and verified there.
fn operation<'b>(operation: &Value<'b>) -> Option<&'b str> {
    match operation {
        Value::Int(1 | 9) => Some("sign"),
        Value::Int(2 | 10) => Some("verify"),
        Value::Int(3) => Some("encrypt"),
        Value::Int(4) => Some("decrypt"),
        Value::Int(5) => Some("wrapKey"),
        Value::Int(6) => Some("unwrapKey"),
        Value::Int(7) => Some("deriveKey"),
        Value::Int(8) => Some("deriveBits"),
        Value::Text(name) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
