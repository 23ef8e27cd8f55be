//! Signed texts in compact form (RFC 7515 §3.1, §5).
//!
//! Reading is in two steps, so that nothing is believed too early: [`Jws::parse`] looks at form and header,
//! [`Jws::verify`] checks the signature with one key and only then gives the payload away.

use serde_json::{Map, Value};

use super::signature::{self, SignatureFault};
use super::{Algorithm, Jwk, KeyError, compact};
use crate::base64url;
use crate::json;
use crate::limits;
use crate::{Quoted, Refusal};

/// A signed text that has the right form, and whose signature has not been checked.
#[derive(Clone)]
pub struct Jws<'a> {
    header: Header,
    signing_input: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// What a JWS header says (RFC 7515 §4.1). Members that are not here (`jku`, `jwk`, `x5c`, …) are ignored:
/// a token does not bring the key to believe it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// `alg`, one of the supported.
    pub algorithm: Algorithm,
    /// `alg` as it was written.
    pub algorithm_name: Quoted,
    /// `kid`.
    pub kid: Option<String>,
}

impl<'a> Jws<'a> {
    /// Reads form and header of a signed text.
    ///
    /// # Errors
    /// The [`Refusal`] that says what about the form or the header was not acceptable.
    pub fn parse(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > limits::TOKEN_BYTES {
            return Err(Refusal::TokenTooLarge { bytes: token.len() });
        }
        let Some([header, payload, signature]) = compact::split::<3>(token) else {
            return Err(Refusal::TokenNotJwt);
        };
        let signing_input = token.get(..header.len() + 1 + payload.len()).ok_or(Refusal::TokenNotJwt)?;
        let decode = |piece: &str| base64url::decode(piece.as_bytes()).map_err(|_| Refusal::TokenNotJwt);
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        let header = json::parse_object(&header).map_err(|fault| Refusal::HeaderNotJson { fault })?;
        Ok(Self { header: Header::from_members(&header)?, signing_input, payload, signature })
    }

    /// The header. Nothing in it can be believed; it only tells which key to try.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The payload before its signature has been checked: good for finding out whose key to check it with,
    /// and for nothing else.
    #[must_use]
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// Checks the signature with `key` and gives the payload.
    ///
    /// # Errors
    /// [`Refusal::AlgorithmKeyMismatch`] if the key may not verify the header's algorithm,
    /// [`Refusal::SignatureLength`] or [`Refusal::SignatureWrong`].
    pub fn verify(&self, key: &Jwk) -> Result<&[u8], Refusal> {
        let algorithm = self.header.algorithm;
        let mismatch = || Refusal::AlgorithmKeyMismatch { algorithm: self.header.algorithm_name.clone() };
        if !key.can_verify(algorithm) {
            return Err(mismatch());
        }
        match signature::verify(key.material(), algorithm, self.signing_input.as_bytes(), &self.signature) {
            Ok(()) => Ok(&self.payload),
            Err(SignatureFault::Length) => Err(Refusal::SignatureLength { bytes: self.signature.len() }),
            Err(SignatureFault::Wrong) => Err(Refusal::SignatureWrong),
            Err(SignatureFault::KeyType) => Err(mismatch()),
        }
    }
}

impl Header {
    fn from_members(object: &Map<String, Value>) -> Result<Self, Refusal> {
        let text = |member: &'static str| match object.get(member) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Refusal::HeaderMemberMalformed { member }),
        };
        let name = text("alg")?.ok_or(Refusal::HeaderMemberMalformed { member: "alg" })?;
        if name.eq_ignore_ascii_case("none") {
            return Err(Refusal::AlgorithmNone);
        }
        // A payload that is not encoded (RFC 7797) would have to be named in "crit".
        if object.contains_key("crit") || object.contains_key("b64") {
            return Err(Refusal::HeaderCritical);
        }
        if object.contains_key("zip") {
            return Err(Refusal::HeaderCompressed);
        }
        text("typ")?;
        if text("cty")?.is_some_and(is_jwt_type) {
            return Err(Refusal::TokenNested);
        }
        let kid = text("kid")?.map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > limits::KID_BYTES) {
            return Err(Refusal::HeaderMemberMalformed { member: "kid" });
        }
        let algorithm_name = Quoted::new(name);
        match name.parse() {
            Ok(algorithm) => Ok(Self { algorithm, algorithm_name, kid }),
            Err(_) => Err(Refusal::AlgorithmUnsupported { algorithm: algorithm_name }),
        }
    }
}

/// Whether a `cty` says that the content is a JWT: media types compare without case, and `application/` may
/// be left out (RFC 7515 §4.1.10).
pub(super) fn is_jwt_type(cty: &str) -> bool {
    let cty = cty.to_ascii_lowercase();
    let subtype = cty.strip_prefix("application/").unwrap_or(&cty);
    subtype == "jwt" || subtype.ends_with("+jwt")
}

/// Signs `payload` (for a token: its claims as JSON text) and gives the compact form. The header bears the
/// key's `kid`, and `typ` if one is handed in.
///
/// # Errors
/// [`KeyError::Unfit`] if the key cannot sign with this algorithm, [`KeyError::OperationFailed`].
pub fn sign(payload: &[u8], key: &Jwk, algorithm: Algorithm, typ: Option<&str>) -> Result<String, KeyError> {
    if !key.can_sign(algorithm) {
        return Err(KeyError::Unfit(algorithm.name()));
    }
    let mut header = Map::new();
    header.insert("alg".into(), algorithm.name().into());
    if let Some(kid) = key.kid() {
        header.insert("kid".into(), kid.into());
    }
    if let Some(typ) = typ {
        header.insert("typ".into(), typ.into());
    }
    let header = Value::Object(header).to_string();
    let mut token = format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(payload));
    let signature = signature::sign(key.material(), algorithm, token.as_bytes())?;
    token.push('.');
    token.push_str(&base64url::encode(&signature));
    Ok(token)
}

/// Checks a signed text with one key and gives its payload: [`Jws::parse`] and [`Jws::verify`] in one.
///
/// # Errors
/// Theirs.
pub fn verify(token: &str, key: &Jwk) -> Result<Vec<u8>, Refusal> {
    Jws::parse(token)?.verify(key).map(<[u8]>::to_vec)
}

#[cfg(test)]
#[path = "jws_tests.rs"]
mod tests;
