//! Reading the members of a JWK.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::KeyError;
use crate::base64url;

/// A member that is a string if it is there.
pub(super) fn text<'a>(object: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, KeyError> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeyError::MemberMalformed(name)),
    }
}

/// A member that is an array of strings if it is there.
pub(super) fn texts(object: &Map<String, Value>, name: &'static str) -> Result<Option<Vec<String>>, KeyError> {
    let Some(value) = object.get(name) else { return Ok(None) };
    let array = value.as_array().ok_or(KeyError::MemberMalformed(name))?;
    array
        .iter()
        .map(|element| element.as_str().map(str::to_owned).ok_or(KeyError::MemberMalformed(name)))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// A member that is base64url if it is there. The bytes may be secret.
pub(super) fn bytes(object: &Map<String, Value>, name: &'static str) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let Some(text) = text(object, name)? else { return Ok(None) };
    base64url::decode_secret(text.as_bytes()).map(Some).map_err(|_| KeyError::MemberMalformed(name))
}

/// A base64url member that must be there.
pub(super) fn required_bytes(object: &Map<String, Value>, name: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    bytes(object, name)?.ok_or(KeyError::MemberMissing(name))
}

/// A base64url member of exactly `N` bytes, if it is there.
pub(super) fn array<const N: usize>(
    object: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<Zeroizing<[u8; N]>>, KeyError> {
    let Some(bytes) = bytes(object, name)? else { return Ok(None) };
    let array = <[u8; N]>::try_from(bytes.as_slice()).map_err(|_| KeyError::MemberMalformed(name))?;
    Ok(Some(Zeroizing::new(array)))
}

/// A base64url member of exactly `N` bytes that must be there.
pub(super) fn required_array<const N: usize>(
    object: &Map<String, Value>,
    name: &'static str,
) -> Result<Zeroizing<[u8; N]>, KeyError> {
    array(object, name)?.ok_or(KeyError::MemberMissing(name))
}
