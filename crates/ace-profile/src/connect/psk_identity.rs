//! The PSK identity of a TLS handshake (RFC 9431 §2.2.3.2, RFC 9202 §3.3.2): which token the client means, or the token itself.

use std::borrow::Cow;
use std::fmt;

use minicbor::Decoder;
use serde_json::{Map, Value};

use crate::cose::looks_like_cwt;
use crate::jose::looks_like_jwt;
use crate::{Fingerprint, Refusal, json, limits};

/// What a map with one member looks like in CBOR. No text begins so.
const CBOR_MAP_OF_ONE: u8 = 0xa1;
/// `cnf` in a CWT (RFC 8747 §3.1).
const CNF: u8 = 8;
/// `COSE_Key` in `cnf` (RFC 8747 §3.1).
const COSE_KEY: u8 = 1;
/// `kty` and `kid` in a `COSE_Key` (RFC 9052 §7.1), and the key type of symmetric keys (RFC 9053 §7).
const KTY: u8 = 1;
const KID: u8 = 2;
const SYMMETRIC: u8 = 4;

/// What a PSK identity says.
#[derive(Clone, PartialEq, Eq)]
pub enum PskIdentity<'a> {
    /// The `kid` of the key that a token is bound to, which the broker must hold already.
    KeyId(Cow<'a, str>),
    /// A token, not validated.
    Token(&'a [u8]),
}

impl<'a> PskIdentity<'a> {
    /// Reads an identity: `{"cnf":{"jwk":{"kty":"oct","kid":"…"}}}`, the same in CBOR, `{8: {1: {1: 4, 2: h'…'}}}`, a JWT, a
    /// CWT, or a bare `kid`.
    ///
    /// What begins like JSON or CBOR is read as such and strictly: there is one way to name a key in it, and nothing beside.
    /// The bytes of a `kid` in CBOR are those of its text in JSON.
    ///
    /// # Errors
    /// [`Refusal::PskIdentityMalformed`].
    pub fn parse(identity: &'a [u8]) -> Result<Self, Refusal> {
        let named = match identity.first() {
            None => None,
            Some(_) if identity.len() > limits::PSK_IDENTITY_BYTES => None,
            Some(b'{') => kid_in_json(identity).map(|kid| Self::KeyId(kid.into())),
            Some(&CBOR_MAP_OF_ONE) => {
                kid_in_cbor(identity).and_then(|kid| std::str::from_utf8(kid).ok()).map(|kid| Self::KeyId(kid.into()))
            }
            Some(_) if looks_like_jwt(identity) || looks_like_cwt(identity) => Some(Self::Token(identity)),
            Some(_) => match std::str::from_utf8(identity) {
                Ok(text) => Some(Self::KeyId(text.into())),
                Err(_) => None,
            },
        };
        named.ok_or(Refusal::PskIdentityMalformed)
    }
}

/// The only member of an object, if it has this name and is an object.
fn only_member<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Map<String, Value>> {
    if object.len() != 1 {
        return None;
    }
    object.get(name)?.as_object()
}

fn kid_in_json(identity: &[u8]) -> Option<String> {
    let identity = json::parse_object(identity).ok()?;
    let jwk = only_member(only_member(&identity, "cnf")?, "jwk")?;
    if jwk.len() != 2 || jwk.get("kty")? != "oct" {
        return None;
    }
    jwk.get("kid")?.as_str().filter(|kid| !kid.is_empty()).map(str::to_owned)
}

fn kid_in_cbor(identity: &[u8]) -> Option<&[u8]> {
    let mut decoder = Decoder::new(identity);
    enter_only_member(&mut decoder, CNF)?;
    enter_only_member(&mut decoder, COSE_KEY)?;
    if decoder.map().ok()? != Some(2) {
        return None;
    }
    let (mut is_symmetric, mut kid) = (false, None);
    for _ in 0..2 {
        match decoder.u8().ok()? {
            KTY if !is_symmetric => is_symmetric = decoder.u8().ok()? == SYMMETRIC,
            KID if kid.is_none() => kid = Some(decoder.bytes().ok()?),
            _ => return None,
        }
    }
    let is_whole = decoder.position() == identity.len();
    kid.filter(|kid| is_symmetric && is_whole && !kid.is_empty())
}

/// Goes into a map whose only key is this number.
fn enter_only_member(decoder: &mut Decoder<'_>, key: u8) -> Option<()> {
    (decoder.map().ok()? == Some(1) && decoder.u8().ok()? == key).then_some(())
}

/// Shows a trace: a bare `kid` may be a token of a kind that is not known here.
impl fmt::Debug for PskIdentity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, bytes): (_, &[u8]) = match self {
            Self::KeyId(kid) => ("KeyId", kid.as_bytes()),
            Self::Token(token) => ("Token", token),
        };
        f.debug_tuple(name).field(&Fingerprint::of(bytes)).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key_id(kid: &str) -> Result<PskIdentity<'_>, Refusal> {
        Ok(PskIdentity::KeyId(kid.into()))
    }

    #[test]
    fn each_form_names_its_key() {
        assert_eq!(PskIdentity::parse(br#"{"cnf":{"jwk":{"kty":"oct","kid":"device-7"}}}"#), key_id("device-7"));
        assert_eq!(PskIdentity::parse(br#"{ "cnf": { "jwk": { "kid": "\u00e9", "kty": "oct" } } }"#), key_id("\u{e9}"));
        assert_eq!(PskIdentity::parse(b"device-7"), key_id("device-7"));
        assert_eq!(PskIdentity::parse(b"\xa1\x08\xa1\x01\xa2\x01\x04\x02\x48device-7"), key_id("device-7"));
        assert_eq!(PskIdentity::parse(b"\xa1\x08\xa1\x01\xa2\x02\x48device-7\x01\x04"), key_id("device-7"));
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln";
        assert_eq!(PskIdentity::parse(token.as_bytes()), Ok(PskIdentity::Token(token.as_bytes())));
        let cwt = b"\xd2\x84\x43\xa1\x01\x27";
        assert_eq!(PskIdentity::parse(cwt), Ok(PskIdentity::Token(cwt)));
    }

    #[test]
    fn everything_else_is_refused() {
        let long = vec![b'k'; limits::PSK_IDENTITY_BYTES + 1];
        let identities: &[&[u8]] = &[
            b"",
            &long,
            b"\xff",
            b"{",
            b"{}",
            br#"{"cnf":{"kid":"a"}}"#,
            br#"{"cnf":{"jwk":{"kid":"a"}}}"#,
            br#"{"cnf":{"jwk":{"kty":"oct","kid":""}}}"#,
            br#"{"cnf":{"jwk":{"kty":"oct","kid":7}}}"#,
            br#"{"cnf":{"jwk":{"kty":"OKP","kid":"a"}}}"#,
            br#"{"cnf":{"jwk":{"kty":"oct","kid":"a","k":"AAAA"}}}"#,
            br#"{"cnf":{"jwk":{"kty":"oct","kid":"a"}},"x":1}"#,
            br#"{"cnf":{"jwk":{"kty":"oct","kid":"a"},"kid":"b"}}"#,
            br#"{"cnf":{"jwk":{"kty":"oct","kid":"a","kid":"b"}}}"#,
            br#"{"cnf":{"jwk":{"kty":"oct","kid":"a"}}} "a""#,
            b"\xa1",
            b"\xa1\x08",
            b"\xa1\x09\xa1\x01\xa2\x01\x04\x02\x41a",
            b"\xa1\x08\xa1\x02\xa2\x01\x04\x02\x41a",
            b"\xa1\x08\xa1\x01\xa2\x01\x01\x02\x41a",
            b"\xa1\x08\xa1\x01\xa2\x01\x04\x02\x61a",
            b"\xa1\x08\xa1\x01\xa2\x01\x04\x02\x40",
            b"\xa1\x08\xa1\x01\xa2\x01\x04\x02\x42a",
            b"\xa1\x08\xa1\x01\xa2\x01\x04\x02\x41\xff",
            b"\xa1\x08\xa1\x01\xa2\x01\x04\x01\x04",
            b"\xa1\x08\xa1\x01\xa2\x02\x41a\x02\x41b",
            b"\xa1\x08\xa1\x01\xa1\x02\x41a",
            b"\xa1\x08\xa1\x01\xa2\x01\x04\x02\x41a\x00",
            b"\xa1\x08\xa1\x01\xbf\x01\x04\x02\x41a\xff",
        ];
        for identity in identities {
            assert_eq!(PskIdentity::parse(identity), Err(Refusal::PskIdentityMalformed), "{identity:?}");
        }
    }

    #[test]
    fn debug_shows_no_token() {
        for identity in ["eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln", "opaque-token"] {
            let shown = format!("{:?}", PskIdentity::parse(identity.as_bytes()).unwrap());
            assert!(!shown.contains("eyJ") && !shown.contains("opaque"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = PskIdentity::parse(&bytes);
            let _ = PskIdentity::parse(&[b"\xa1\x08\xa1\x01\xa2", bytes.as_slice()].concat());
        }
    }
}
