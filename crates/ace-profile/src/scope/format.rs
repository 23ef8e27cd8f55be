//! In which form an authorization server's tokens carry their scope.

use std::str::FromStr;

use serde_json::Value;
use thiserror::Error;

use super::word_list;
use super::{Scope, ScopeError};

/// The form of the scopes of one authorization server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ScopeFormat {
    /// The claim `scope` holds AIF-MQTT (RFC 9431 §3): its base64url text, or the array in place.
    #[default]
    Aif,
    /// The words of ordinary OAuth servers (RFC 6749 §3.3), of which those that begin with `mqtt:` are meant: separated by spaces
    /// or in an array.
    Words {
        /// The claim that holds them; `None` for `scope` and, where there is no such claim, `scp`.
        claim: Option<String>,
    },
    /// AIF-MQTT in a claim of another name: the array in place, its JSON text, or the base64url of that text.
    Claim(String),
}

/// The name of a form, as it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeFormatName {
    /// [`ScopeFormat::Aif`].
    Aif,
    /// [`ScopeFormat::Words`].
    Words,
    /// [`ScopeFormat::Claim`].
    Claim,
}

/// A name that is none of the forms'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown form of scopes; known are aif, words, claim")]
pub struct UnknownScopeFormat;

impl FromStr for ScopeFormatName {
    type Err = UnknownScopeFormat;

    fn from_str(name: &str) -> Result<Self, UnknownScopeFormat> {
        match name {
            "aif" => Ok(Self::Aif),
            "words" => Ok(Self::Words),
            "claim" => Ok(Self::Claim),
            _ => Err(UnknownScopeFormat),
        }
    }
}

impl ScopeFormat {
    /// Reads the scope out of the claims. Without the claim that should hold it, it is empty.
    ///
    /// # Errors
    /// [`ScopeError`] says what is wrong with it.
    pub fn read<'a>(&self, claim: impl Fn(&str) -> Option<&'a Value>) -> Result<Scope, ScopeError> {
        let scope = match self {
            Self::Aif => claim("scope").map(Scope::from_claim),
            Self::Words { claim: None } => claim("scope").or_else(|| claim("scp")).map(word_list::read),
            Self::Words { claim: Some(name) } => claim(name).map(word_list::read),
            Self::Claim(name) => claim(name).map(aif_in_any_form),
        };
        scope.unwrap_or_else(|| Ok(Scope::default()))
    }

    /// The names of the claims that are looked at for the scope, in this order: of several that are there, the first counts.
    #[must_use]
    pub fn claims(&self) -> Vec<&str> {
        match self {
            Self::Aif => vec!["scope"],
            Self::Words { claim: None } => vec!["scope", "scp"],
            Self::Words { claim: Some(name) } | Self::Claim(name) => vec![name],
        }
    }

    /// The words in the scope's claim that are other applications', and grant nothing here.
    #[must_use]
    pub fn ignored_words<'a>(&self, claim: impl Fn(&str) -> Option<&'a Value>) -> Vec<String> {
        match self {
            Self::Words { .. } => self.claims().into_iter().find_map(claim).map(word_list::ignored).unwrap_or_default(),
            Self::Aif | Self::Claim(_) => Vec::new(),
        }
    }
}

/// AIF-MQTT as servers can be made to write it into a claim: many can only map texts.
fn aif_in_any_form(value: &Value) -> Result<Scope, ScopeError> {
    match value {
        Value::String(text) if text.trim_start().starts_with('[') => Scope::from_aif_text(text),
        other => Scope::from_claim(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(format: &ScopeFormat, claims: &Value) -> Result<Value, ScopeError> {
        format.read(|name| claims.get(name)).map(|scope| scope.to_aif_value())
    }

    #[test]
    fn names_are_read() {
        assert_eq!("aif".parse(), Ok(ScopeFormatName::Aif));
        assert_eq!("words".parse(), Ok(ScopeFormatName::Words));
        assert_eq!("claim".parse(), Ok(ScopeFormatName::Claim));
        for name in ["", "AIF", "oauth"] {
            assert_eq!(name.parse::<ScopeFormatName>(), Err(UnknownScopeFormat));
        }
    }

    #[test]
    fn aif_is_read_from_the_scope_alone() {
        let aif = json!([["a", ["pub"]]]);
        assert_eq!(read(&ScopeFormat::Aif, &json!({"scope": aif, "scp": "mqtt:pub:b"})), Ok(aif));
        assert_eq!(read(&ScopeFormat::Aif, &json!({"scp": [["a", ["pub"]]]})), Ok(json!([])));
    }

    #[test]
    fn words_are_read_from_the_claim_that_servers_put_them_into() {
        let granted = json!([["a", ["pub"]]]);
        let words = ScopeFormat::Words { claim: None };
        for claims in [
            json!({"scope": "openid mqtt:pub:a"}),
            json!({"scp": "mqtt:pub:a"}),
            json!({"scp": ["openid", "mqtt:pub:a"]}),
            json!({"scope": ["mqtt:pub:a"], "scp": "mqtt:pub:b"}),
        ] {
            assert_eq!(read(&words, &claims), Ok(granted.clone()), "{claims}");
        }
        let roles = ScopeFormat::Words { claim: Some("roles".to_owned()) };
        assert_eq!(read(&roles, &json!({"roles": ["mqtt:pub:a"], "scope": "mqtt:pub:b"})), Ok(granted));
        for claims in [json!({}), json!({"scope": ""}), json!({"scp": []})] {
            assert_eq!(read(&words, &claims), Ok(json!([])), "{claims}");
        }
    }

    #[test]
    fn a_claim_of_its_own_holds_aif_in_any_form() {
        let format = ScopeFormat::Claim("https://broker.example/topics".to_owned());
        let aif = json!([["a/#", ["pub", "sub"]]]);
        let text = aif.to_string();
        let encoded = crate::base64url::encode(text.as_bytes());
        for value in [aif.clone(), json!(text), json!(format!(" {text}\n")), json!(encoded)] {
            let claims = json!({"https://broker.example/topics": value, "scope": "openid"});
            assert_eq!(read(&format, &claims), Ok(aif.clone()), "{claims}");
        }
        assert_eq!(read(&format, &json!({"scope": aif})), Ok(json!([])));
        for value in [json!("[["), json!("openid"), json!(7), json!({}), json!("[[\"a\",[\"read\"]]]"), json!(null)] {
            let claims = json!({"https://broker.example/topics": value});
            assert!(read(&format, &claims).is_err(), "{claims}");
        }
    }
}
