//! The header of an encrypted text (RFC 7516 §4), read strictly.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::{Encryption, Management};
use crate::base64url;
use crate::jose::{Jwk, jws};
use crate::json;
use crate::limits;
use crate::{Quoted, Refusal};

/// Members that would change what the text means: extensions that must be understood, compression, unencoded content, and the work
/// factor of passwords, by which a sender could have us compute for hours.
const NOT_UNDERSTOOD: [&str; 5] = ["crit", "zip", "b64", "p2s", "p2c"];

/// What the header says. Members that are not here (`jku`, `jwk`, `x5c`, …) are passed over: a text does not bring the key to
/// decrypt it with.
pub(super) struct Header {
    pub(super) management: Management,
    pub(super) encryption: Encryption,
    pub(super) kid: Option<String>,
    /// Whether the content is said to be a JWT.
    pub(super) holds_jwt: bool,
    /// `iss`, where the sender has repeated it outside (RFC 7519 §5.3).
    pub(super) issuer: Option<String>,
    /// What the sender contributes to the agreement of a key; there if the key management is by one.
    pub(super) agreement: Option<Contribution>,
}

/// The sender's part of an agreement (RFC 7518 §4.6.1).
pub(super) struct Contribution {
    /// `epk`: a point of its curve, without a private half.
    pub(super) ephemeral: Jwk,
    /// `apu`.
    pub(super) party_u: Vec<u8>,
    /// `apv`.
    pub(super) party_v: Vec<u8>,
}

impl Header {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let members = json::parse_object(text).map_err(|_| Refusal::JweMalformed)?;
        let management: Management = named(&members, "alg")?;
        let encryption = named(&members, "enc")?;
        if NOT_UNDERSTOOD.iter().any(|member| members.contains_key(*member)) {
            return Err(Refusal::JweExtension);
        }
        member(&members, "typ")?;
        let kid = member(&members, "kid")?.map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > limits::KID_BYTES) {
            return Err(Refusal::JweMalformed);
        }
        Ok(Self {
            management,
            encryption,
            kid,
            holds_jwt: member(&members, "cty")?.is_some_and(jws::is_jwt_type),
            issuer: member(&members, "iss")?.map(str::to_owned),
            agreement: Contribution::of(&members, management)?,
        })
    }
}

impl Contribution {
    fn of(members: &Map<String, Value>, management: Management) -> Result<Option<Self>, Refusal> {
        if !management.agrees() {
            let is_stray = ["epk", "apu", "apv"].iter().any(|member| members.contains_key(*member));
            return if is_stray { Err(Refusal::JweMalformed) } else { Ok(None) };
        }
        let ephemeral = members.get("epk").ok_or(Refusal::JweMalformed)?;
        let ephemeral = Jwk::from_value(ephemeral).map_err(|_| Refusal::JweMalformed)?;
        if ephemeral.is_private() || ephemeral.symmetric_bytes().is_some() {
            return Err(Refusal::JweMalformed);
        }
        let party = |name| match member(members, name)? {
            None => Ok(Vec::new()),
            Some(text) => base64url::decode(text.as_bytes())
                .ok()
                .filter(|party| party.len() <= limits::PARTY_INFO_BYTES)
                .ok_or(Refusal::JweMalformed),
        };
        Ok(Some(Self { ephemeral, party_u: party("apu")?, party_v: party("apv")? }))
    }
}

/// A member that names one of the supported algorithms.
fn named<T: FromStr>(members: &Map<String, Value>, name: &str) -> Result<T, Refusal> {
    let algorithm = member(members, name)?.ok_or(Refusal::JweMalformed)?;
    algorithm.parse().map_err(|_| Refusal::JweUnsupported { algorithm: Quoted::new(algorithm) })
}

/// A member that is text if it is there.
fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Refusal> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::JweMalformed),
    }
}
