//! The parameters of a request, from a form (RFC 6749) or an `application/ace+json` object (RFC 9200 §5).
//!
//! Every parameter at most once (RFC 6749 §3.2); unknown ones are ignored, as OAuth asks.

use std::collections::BTreeMap;
use std::fmt;

use axum::http::StatusCode;
use percent_encoding::percent_decode;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use crate::oauth_error::{Code, OAuthError};

/// The media type of an ACE request or answer in JSON (RFC 9200 §8.14).
pub(crate) const ACE_JSON: &str = "application/ace+json";

/// The two ways of writing requests and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `application/x-www-form-urlencoded`, answered in `application/json`.
    Form,
    /// `application/ace+json` both ways.
    AceJson,
}

impl Encoding {
    /// The encoding that a `Content-Type` names.
    pub(crate) fn from_content_type(content_type: Option<&[u8]>) -> Option<Self> {
        let text = std::str::from_utf8(content_type?).ok()?;
        let media_type = text.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Some(Self::Form)
        } else if media_type.eq_ignore_ascii_case(ACE_JSON) {
            Some(Self::AceJson)
        } else {
            None
        }
    }

    /// The media type of the answer.
    pub(crate) fn answer_media_type(self) -> &'static str {
        match self {
            Self::Form => "application/json",
            Self::AceJson => ACE_JSON,
        }
    }
}

/// What a request says, by parameter name. It holds secrets: `Debug` shows names only.
pub(crate) struct Parameters {
    encoding: Encoding,
    values: BTreeMap<String, Value>,
}

impl Parameters {
    /// The parameters of a body whose encoding is known.
    pub(crate) fn parse(encoding: Encoding, body: &[u8]) -> Result<Self, OAuthError> {
        let values = match encoding {
            Encoding::Form => form(body)?,
            Encoding::AceJson => {
                serde_json::from_slice::<UniqueObject>(body)
                    .map_err(|_| {
                        OAuthError::invalid_request(
                            "the body is not a JSON object, nests too deep, or names a parameter twice",
                        )
                    })?
                    .0
            }
        };
        Ok(Self { encoding, values })
    }

    /// Those of a request without body.
    pub(crate) fn none() -> Self {
        Self { encoding: Encoding::Form, values: BTreeMap::new() }
    }

    /// How the request is written.
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// A parameter as it came. JSON's `null` and a form's empty text count as absent (RFC 6749 §3.1).
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// A parameter that must be text if it is there at all.
    pub(crate) fn text(&self, name: &str, if_not_text: &'static str) -> Result<Option<&str>, OAuthError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(OAuthError::invalid_request(if_not_text)),
        }
    }

    /// Refuses a media type that is neither of the two.
    pub(crate) fn unsupported_media_type() -> OAuthError {
        OAuthError::with_status(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::InvalidRequest,
            "the content type must be application/x-www-form-urlencoded or application/ace+json",
        )
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

fn form(body: &[u8]) -> Result<BTreeMap<String, Value>, OAuthError> {
    let mut values = BTreeMap::new();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = form_decode(halves.next().unwrap_or_default());
        let value = form_decode(halves.next().unwrap_or_default());
        let (Some(name), Some(value)) = (name, value) else {
            return Err(OAuthError::invalid_request("the form is not UTF-8"));
        };
        if values.insert(name, Value::String(value)).is_some() {
            return Err(OAuthError::invalid_request("a parameter appears twice"));
        }
    }
    Ok(values)
}

/// Undoes `application/x-www-form-urlencoded` for one name or value; `None` if it is not UTF-8 then.
pub(crate) fn form_decode(encoded: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Some(percent_decode(&spaced).decode_utf8().ok()?.into_owned())
}

/// A JSON object without repeated names.
struct UniqueObject(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for UniqueObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = UniqueObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueObject, A::Error> {
                let mut values = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    if values.insert(name, value).is_some() {
                        return Err(A::Error::custom("repeated name"));
                    }
                }
                Ok(UniqueObject(values))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(parameters: &Parameters, name: &str) -> Option<String> {
        parameters.text(name, "text").unwrap().map(str::to_owned)
    }

    #[test]
    fn a_form_is_decoded() {
        let parameters =
            Parameters::parse(Encoding::Form, b"grant_type=client_credentials&audience=a%20b+c&scope=").unwrap();
        assert_eq!(text(&parameters, "grant_type").as_deref(), Some("client_credentials"));
        assert_eq!(text(&parameters, "audience").as_deref(), Some("a b c"));
        assert_eq!(text(&parameters, "scope"), None, "empty counts as absent");
    }

    #[test]
    fn a_parameter_may_appear_once() {
        assert!(Parameters::parse(Encoding::Form, b"scope=a&scope=a").is_err());
        assert!(Parameters::parse(Encoding::Form, b"scope=a&%73cope=a").is_err());
        assert!(Parameters::parse(Encoding::AceJson, br#"{"scope":"a","scope":"a"}"#).is_err());
    }

    #[test]
    fn what_is_not_utf8_is_refused() {
        assert!(Parameters::parse(Encoding::Form, b"scope=\xff").is_err());
        assert!(Parameters::parse(Encoding::Form, b"scope=%ff").is_err());
        assert!(Parameters::parse(Encoding::AceJson, b"{\"scope\":\"\xff\"}").is_err());
    }

    #[test]
    fn deep_json_is_refused() {
        let deep = format!("{{\"scope\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(Parameters::parse(Encoding::AceJson, deep.as_bytes()).is_err());
    }

    #[test]
    fn types_are_checked() {
        let parameters = Parameters::parse(Encoding::AceJson, br#"{"audience":["a"],"ace_profile":null}"#).unwrap();
        assert!(parameters.text("audience", "no").is_err());
        assert!(parameters.value("ace_profile").is_none());
        assert!(Parameters::parse(Encoding::AceJson, b"[]").is_err());
        assert!(Parameters::parse(Encoding::AceJson, b"{} {}").is_err());
    }

    #[test]
    fn stray_percent_signs_stay() {
        assert_eq!(form_decode(b"100%").as_deref(), Some("100%"));
        assert_eq!(form_decode(b"%zz%4").as_deref(), Some("%zz%4"));
        assert_eq!(form_decode(b"%41%c3%a4").as_deref(), Some("Aä"));
    }

    #[test]
    fn content_types_are_recognised() {
        let of = |text: &str| Encoding::from_content_type(Some(text.as_bytes()));
        assert_eq!(of("application/x-www-form-urlencoded; charset=UTF-8"), Some(Encoding::Form));
        assert_eq!(of("Application/ACE+JSON"), Some(Encoding::AceJson));
        assert_eq!(of("application/json"), None);
        assert_eq!(Encoding::from_content_type(None), None);
    }

    #[test]
    fn debug_shows_names_only() {
        let parameters = Parameters::parse(Encoding::Form, b"client_secret=hush").unwrap();
        assert_eq!(format!("{parameters:?}"), r#"{"client_secret"}"#);
    }
}
