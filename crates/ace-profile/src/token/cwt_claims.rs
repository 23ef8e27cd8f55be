//! The claims of a CWT (RFC 8392 §3 and §4).

use std::collections::HashMap;

use serde_json::Value as JsonValue;

use super::FirstSight;
use super::claims::{Claims, date_of_fraction, date_of_seconds, usable_subject};
use super::confirmation::{Confirmed, KeysInClear};
use super::cwt_confirmation;
use crate::cbor::{self, Label, Map, Value};
use crate::jose::JwkSet;
use crate::limits;
use crate::scope::{Scope, ScopeFormat};
use crate::{Refusal, Timestamp};

/// The claims' keys (RFC 8392 §4, RFC 8747 §7.1, RFC 8693 §7.5, RFC 9200 §8.13).
const ISS: i64 = 1;
const SUB: i64 = 2;
const AUD: i64 = 3;
const EXP: i64 = 4;
const NBF: i64 = 5;
const IAT: i64 = 6;
const CTI: i64 = 7;
const CNF: i64 = 8;
const SCOPE: i64 = 9;
const EXI: i64 = 40;

/// What they are called in JSON.
const NAMES: [(i64, &str); 10] = [
    (ISS, "iss"),
    (SUB, "sub"),
    (AUD, "aud"),
    (EXP, "exp"),
    (NBF, "nbf"),
    (IAT, "iat"),
    (CTI, "cti"),
    (CNF, "cnf"),
    (SCOPE, "scope"),
    (EXI, "exi"),
];

/// The claims of a CWT. Before it has been verified they only tell whose token it wants to be.
pub(super) struct CwtClaims<'b>(Map<'b>);

impl<'b> CwtClaims<'b> {
    pub(super) fn parse(payload: &'b [u8]) -> Result<Self, Refusal> {
        cbor::parse_map(payload).map(Self).map_err(|fault| Refusal::ClaimsNotCbor { fault })
    }

    fn text(&self, label: i64, claim: &'static str) -> Result<Option<&'b str>, Refusal> {
        match self.0.get(label) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::ClaimMalformed { claim }),
        }
    }
}

/// A claim with the name that it has in a JWT.
fn named_in_json<'a>((label, value): &'a (Label<'_>, Value<'_>)) -> Option<(&'a str, JsonValue)> {
    let name = match label {
        Label::Int(SCOPE) => "scope",
        Label::Int(_) => return None,
        Label::Text(name) => name,
    };
    // What JSON does not have is no scope in any of its forms.
    Some((name, value.to_json().unwrap_or(JsonValue::Null)))
}

impl Claims for CwtClaims<'_> {
    fn issuer(&self) -> Result<Option<&str>, Refusal> {
        self.text(ISS, "iss")
    }

    fn audience(&self) -> Result<Option<Vec<&str>>, Refusal> {
        let malformed = Refusal::ClaimMalformed { claim: "aud" };
        match self.0.get(AUD) {
            None => Ok(None),
            Some(Value::Text(one)) => Ok(Some(vec![*one])),
            Some(Value::Array(many)) if many.len() <= limits::AUDIENCES => {
                many.iter().map(Value::as_text).collect::<Option<_>>().ok_or(malformed).map(Some)
            }
            Some(_) => Err(malformed),
        }
    }

    fn subject(&self) -> Result<Option<&str>, Refusal> {
        self.text(SUB, "sub")?.map(usable_subject).transpose()
    }

    /// A number of seconds without a tag (RFC 8392 §2).
    fn date(&self, claim: &'static str) -> Result<Option<Timestamp>, Refusal> {
        let label = match claim {
            "exp" => EXP,
            "nbf" => NBF,
            _ => IAT,
        };
        let date = match self.0.get(label) {
            None => return Ok(None),
            Some(Value::Int(seconds)) => u64::try_from(*seconds).ok().and_then(date_of_seconds),
            Some(Value::Float(seconds)) => date_of_fraction(*seconds),
            Some(_) => None,
        };
        date.ok_or(Refusal::ClaimMalformed { claim }).map(Some)
    }

    fn first_sight(&self, names: &[String]) -> Result<Option<FirstSight>, Refusal> {
        let lifetime = match self.0.get(EXI) {
            None => return Ok(None),
            Some(Value::Int(seconds)) => u64::try_from(*seconds).ok().and_then(date_of_seconds),
            Some(_) => None,
        };
        let lifetime = lifetime.ok_or(Refusal::ClaimMalformed { claim: "exi" })?;
        let cti = match self.0.get(CTI) {
            None => return Err(Refusal::ExpirySequence),
            Some(Value::Bytes(cti)) => cti,
            Some(_) => return Err(Refusal::ClaimMalformed { claim: "cti" }),
        };
        FirstSight::of_cti(cti, names, lifetime.saturating_since(Timestamp::EPOCH)).map(Some)
    }

    fn confirmed(&self, in_clear: KeysInClear, server_keys: &JwkSet) -> Result<Option<Confirmed>, Refusal> {
        self.0.get(CNF).map(|cnf| cwt_confirmation::read(cnf, in_clear, server_keys)).transpose()
    }

    fn scope(&self, format: &ScopeFormat) -> Result<Scope, Refusal> {
        if *format == ScopeFormat::Aif {
            return Ok(self.0.get(SCOPE).map(Scope::from_cbor_claim).transpose()?.unwrap_or_default());
        }
        // What ordinary OAuth servers say in texts, they say so in a CWT, too.
        let said: HashMap<&str, JsonValue> = self.0.entries().filter_map(named_in_json).collect();
        Ok(format.read(|name| said.get(name))?)
    }

    fn ignored_words(&self, format: &ScopeFormat) -> Vec<String> {
        let said: HashMap<&str, JsonValue> = self.0.entries().filter_map(named_in_json).collect();
        format.ignored_words(|name| said.get(name))
    }

    fn names(&self) -> Vec<String> {
        let name = |label: Label<'_>| match label {
            Label::Int(number) => NAMES
                .iter()
                .find(|(known, _)| *known == number)
                .map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned()),
            Label::Text(text) => text.to_owned(),
        };
        self.0.labels().map(name).collect()
    }
}
