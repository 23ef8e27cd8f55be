//! The claims of a token (RFC 7519 §4.1), typed: what is asked of them in whatever they are written, and those in JSON.

use serde_json::{Map, Value};

use super::FirstSight;
use super::confirmation::{self, Confirmed, KeysInClear};
use crate::jose::JwkSet;
use crate::json;
use crate::limits;
use crate::scope::{Scope, ScopeFormat};
use crate::{Refusal, Timestamp};

/// Claims of a token that is believed, or of an answer about one. Each method says `None` for a claim that is not there, and
/// refuses one of the wrong type.
pub(super) trait Claims {
    /// `iss`.
    fn issuer(&self) -> Result<Option<&str>, Refusal>;
    /// `aud`: one name or several.
    fn audience(&self) -> Result<Option<Vec<&str>>, Refusal>;
    /// `sub`, fit to be a user name.
    fn subject(&self) -> Result<Option<&str>, Refusal>;
    /// `exp`, `nbf` or `iat`.
    fn date(&self, claim: &'static str) -> Result<Option<Timestamp>, Refusal>;
    /// `exi`, and with it the token's identifier: what is to be remembered of it. `names` are the broker's.
    fn first_sight(&self, names: &[String]) -> Result<Option<FirstSight>, Refusal>;
    /// `cnf`. `server_keys` are those that decrypt what the issuer encrypts.
    fn confirmed(&self, in_clear: KeysInClear, server_keys: &JwkSet) -> Result<Option<Confirmed>, Refusal>;
    /// The scope, in the form in which the server's tokens carry it; empty if there is none.
    fn scope(&self, format: &ScopeFormat) -> Result<Scope, Refusal>;
    /// The words in the claim that holds the scope that are other applications'.
    fn ignored_words(&self, format: &ScopeFormat) -> Vec<String>;
    /// The names of all claims, as they are in JSON; a number where a CWT has one that is not known here.
    fn names(&self) -> Vec<String>;
}

/// A subject becomes a user name, so it has to be fit for one (MQTT 5 §1.5.4 forbids U+0000 and discourages other control
/// characters).
pub(super) fn usable_subject(subject: &str) -> Result<&str, Refusal> {
    let usable = !subject.is_empty() && subject.len() <= limits::SUBJECT_BYTES && !subject.contains(char::is_control);
    if usable { Ok(subject) } else { Err(Refusal::SubjectUnusable) }
}

/// A time in seconds, possibly with a fraction, of which milliseconds count. `None` for what no clock shows.
pub(super) fn date_of_fraction(seconds: f64) -> Option<Timestamp> {
    // The bound makes the conversion exact: it is far below 2^53 milliseconds. NaN is in no range.
    #[allow(clippy::cast_precision_loss)]
    let is_possible = (0.0..=limits::NUMERIC_DATE_MAX as f64).contains(&seconds);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let millis = (seconds * 1000.0).floor() as u64;
    is_possible.then(|| Timestamp::from_unix_millis(millis))
}

/// A time in whole seconds. `None` for what no clock shows.
pub(super) fn date_of_seconds(seconds: u64) -> Option<Timestamp> {
    (seconds <= limits::NUMERIC_DATE_MAX).then(|| Timestamp::from_unix_seconds(seconds))
}

/// Claims before the signature has been checked: they only tell whose token it wants to be.
pub(super) struct UnverifiedClaims(Map<String, Value>);

/// Claims in JSON that are believed.
pub(super) struct JsonClaims(Map<String, Value>);

impl UnverifiedClaims {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Refusal> {
        json::parse_object(payload).map(Self).map_err(|fault| Refusal::ClaimsNotJson { fault })
    }

    /// `iss`.
    pub(super) fn issuer(&self) -> Result<&str, Refusal> {
        match self.0.get("iss") {
            None => Err(Refusal::IssuerMissing),
            Some(Value::String(issuer)) => Ok(issuer),
            Some(_) => Err(Refusal::ClaimMalformed { claim: "iss" }),
        }
    }

    /// To be called when the signature over these claims has been found good.
    pub(super) fn believed(self) -> JsonClaims {
        JsonClaims(self.0)
    }
}

impl JsonClaims {
    /// All values, to be wiped.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.0.values_mut()
    }

    /// A claim as it is.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    fn text(&self, claim: &'static str) -> Result<Option<&str>, Refusal> {
        match self.0.get(claim) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::ClaimMalformed { claim }),
        }
    }
}

impl Claims for JsonClaims {
    fn issuer(&self) -> Result<Option<&str>, Refusal> {
        self.text("iss")
    }

    fn audience(&self) -> Result<Option<Vec<&str>>, Refusal> {
        let malformed = Refusal::ClaimMalformed { claim: "aud" };
        match self.0.get("aud") {
            None => Ok(None),
            Some(Value::String(one)) => Ok(Some(vec![one.as_str()])),
            Some(Value::Array(many)) if many.len() <= limits::AUDIENCES => {
                many.iter().map(Value::as_str).collect::<Option<_>>().ok_or(malformed).map(Some)
            }
            Some(_) => Err(malformed),
        }
    }

    fn subject(&self) -> Result<Option<&str>, Refusal> {
        self.text("sub")?.map(usable_subject).transpose()
    }

    fn date(&self, claim: &'static str) -> Result<Option<Timestamp>, Refusal> {
        let malformed = Refusal::ClaimMalformed { claim };
        let number = match self.0.get(claim) {
            None => return Ok(None),
            Some(Value::Number(number)) => number,
            Some(_) => return Err(malformed),
        };
        let date = match number.as_u64() {
            Some(seconds) => date_of_seconds(seconds),
            None => number.as_f64().and_then(date_of_fraction),
        };
        date.ok_or(malformed).map(Some)
    }

    fn first_sight(&self, names: &[String]) -> Result<Option<FirstSight>, Refusal> {
        let Some(lifetime) = self.date("exi")? else { return Ok(None) };
        let jti = self.text("jti")?.ok_or(Refusal::ExpirySequence)?;
        FirstSight::of_jti(jti, names, lifetime.saturating_since(Timestamp::EPOCH)).map(Some)
    }

    fn confirmed(&self, in_clear: KeysInClear, server_keys: &JwkSet) -> Result<Option<Confirmed>, Refusal> {
        self.get("cnf").map(|cnf| confirmation::read(cnf, in_clear, server_keys)).transpose()
    }

    fn scope(&self, format: &ScopeFormat) -> Result<Scope, Refusal> {
        Ok(format.read(|name| self.get(name))?)
    }

    fn ignored_words(&self, format: &ScopeFormat) -> Vec<String> {
        format.ignored_words(|name| self.get(name))
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn claims(value: serde_json::Value) -> JsonClaims {
        UnverifiedClaims::parse(value.to_string().as_bytes()).unwrap().believed()
    }

    #[test]
    fn dates_are_numbers_of_seconds() {
        let date = |value: serde_json::Value| claims(json!({"exp": value})).date("exp");
        assert_eq!(date(json!(0)), Ok(Some(Timestamp::EPOCH)));
        assert_eq!(date(json!(1_700_000_000)), Ok(Some(Timestamp::from_unix_seconds(1_700_000_000))));
        assert_eq!(date(json!(1_700_000_000.25)), Ok(Some(Timestamp::from_unix_millis(1_700_000_000_250))));
        assert_eq!(date(json!(1.7e9)), Ok(Some(Timestamp::from_unix_seconds(1_700_000_000))));
        assert_eq!(claims(json!({})).date("exp"), Ok(None));
    }

    #[test]
    fn other_dates_are_malformed() {
        let bad = [json!("1700000000"), json!(null), json!(true), json!([1]), json!(-1), json!(-0.5), json!(1e300)];
        for value in bad.into_iter().chain([json!(limits::NUMERIC_DATE_MAX + 1), json!(u64::MAX), json!(i64::MIN)]) {
            let verdict = claims(json!({"nbf": value})).date("nbf");
            assert_eq!(verdict, Err(Refusal::ClaimMalformed { claim: "nbf" }), "{value}");
        }
    }

    #[test]
    fn an_audience_is_a_string_or_several() {
        assert_eq!(claims(json!({"aud": "a"})).audience(), Ok(Some(vec!["a"])));
        assert_eq!(claims(json!({"aud": ["a", "b"]})).audience(), Ok(Some(vec!["a", "b"])));
        assert_eq!(claims(json!({})).audience(), Ok(None));
        assert_eq!(claims(json!({"aud": []})).audience(), Ok(Some(Vec::new())));
        for aud in [json!(null), json!(1), json!({}), json!(["a", 1]), json!(vec!["a"; limits::AUDIENCES + 1])] {
            assert_eq!(claims(json!({"aud": aud})).audience(), Err(Refusal::ClaimMalformed { claim: "aud" }));
        }
    }

    #[test]
    fn a_subject_has_to_be_a_user_name() {
        assert_eq!(claims(json!({})).subject(), Ok(None));
        assert_eq!(claims(json!({"sub": "dévice 7"})).subject(), Ok(Some("dévice 7")));
        for sub in [json!(""), json!("a\u{0}"), json!("a\nb"), json!("\u{85}"), json!("s".repeat(257))] {
            assert_eq!(claims(json!({"sub": sub})).subject(), Err(Refusal::SubjectUnusable));
        }
        assert_eq!(claims(json!({"sub": 7})).subject(), Err(Refusal::ClaimMalformed { claim: "sub" }));
    }

    proptest! {
        #[test]
        fn arbitrary_numbers_never_panic(number: f64) {
            let text = format!("{{\"exp\":{number:e}}}");
            if let Ok(claims) = UnverifiedClaims::parse(text.as_bytes()) {
                let _ = claims.believed().date("exp");
            }
        }
    }
}
