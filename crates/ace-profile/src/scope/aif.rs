//! The scope that a token carries: AIF-MQTT (RFC 9237, RFC 9431 §3), read, written and intersected.
//!
//! ```json
//! [["sensors/+/temperature", ["pub"]], ["commands/#", ["sub", "pub"]]]
//! ```
//! In a JWT the claim is the base64url form of that text; the array in place is accepted too.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use thiserror::Error;

use super::filter::{FilterError, TopicFilter};
use super::permission::{Permission, Permissions};
use crate::cbor;

/// The most entries that a scope may have.
pub(super) const MAX_ENTRIES: usize = 4096;
/// How much of a foreign word is repeated in an error.
const SHOWN_CHARACTERS: usize = 40;

/// What a scope permits with the topics of one filter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScopeEntry {
    /// The topics that are meant.
    pub filter: TopicFilter,
    /// What may be done with them; never empty.
    pub permissions: Permissions,
}

/// A list of topic filters with permissions, in an order of its own and without repetition: scopes that say the same
/// in another order are equal. The empty scope permits nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Scope {
    entries: Vec<ScopeEntry>,
}

/// Why a claim is not a scope of this profile. A token with such a scope is refused as a whole (rfc9431.md S5).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScopeError {
    /// Neither an AIF array nor the base64url text of one.
    #[error("the scope is not AIF: {0}")]
    NotAif(&'static str),
    /// Neither words nor an array of words, where those are expected.
    #[error("the scope is neither text nor an array of texts")]
    NotWords,
    /// A word that begins as ours do, and does not go on so.
    #[error("the scope has the malformed word {0:?}")]
    MalformedWord(String),
    /// A permission that this profile does not have.
    #[error("the scope has the unknown permission {0:?}")]
    UnknownPermission(String),
    /// An entry without any permission.
    #[error("the scope has an entry without permissions, for {0:?}")]
    NoPermissions(String),
    /// An entry whose topic filter breaks the rules of MQTT.
    #[error("the scope has the malformed topic filter {filter:?}: {error}")]
    MalformedFilter {
        /// The filter, shortened.
        filter: String,
        /// The rule that it breaks.
        error: FilterError,
    },
    /// More entries than are accepted.
    #[error("the scope has more than {MAX_ENTRIES} entries")]
    TooLarge,
}

impl Scope {
    /// Collects entries. Those for the same filter are put together; those without permissions are left out.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = (TopicFilter, Permissions)>) -> Self {
        let mut collected: BTreeMap<TopicFilter, Permissions> = BTreeMap::new();
        for (filter, permissions) in entries {
            let known = collected.entry(filter).or_default();
            *known = known.union(permissions);
        }
        let entries = collected
            .into_iter()
            .filter(|(_, permissions)| !permissions.is_empty())
            .map(|(filter, permissions)| ScopeEntry { filter, permissions })
            .collect();
        Self { entries }
    }

    /// Reads the `scope` claim of a JWT: base64url text (RFC 9431 §3), or the array in place.
    ///
    /// # Errors
    /// [`ScopeError`] says what is wrong with it.
    pub fn from_claim(claim: &Value) -> Result<Self, ScopeError> {
        let Value::String(text) = claim else { return Self::from_aif_value(claim) };
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| ScopeError::NotAif("the text is not base64url"))?;
        let aif = serde_json::from_slice(&json).map_err(|_| ScopeError::NotAif("the text does not hold JSON"))?;
        Self::from_aif_value(&aif)
    }

    /// Reads AIF-MQTT as JSON text.
    ///
    /// # Errors
    /// [`ScopeError`] says what is wrong with it.
    pub fn from_aif_text(text: &str) -> Result<Self, ScopeError> {
        let aif = serde_json::from_str(text).map_err(|_| ScopeError::NotAif("the text does not hold JSON"))?;
        Self::from_aif_value(&aif)
    }

    /// Reads AIF-MQTT in JSON.
    ///
    /// # Errors
    /// [`ScopeError`] says what is wrong with it.
    pub fn from_aif_value(aif: &Value) -> Result<Self, ScopeError> {
        let entries = aif.as_array().ok_or(ScopeError::NotAif("it is not an array"))?;
        if entries.len() > MAX_ENTRIES {
            return Err(ScopeError::TooLarge);
        }
        let entry = |entry: &Value| {
            let Some([filter, permissions]) = entry.as_array().map(Vec::as_slice) else { return Err(NOT_A_PAIR) };
            let words = permissions.as_array().map(|words| words.iter().map(Value::as_str));
            read_entry(filter.as_str(), words)
        };
        Ok(Self::new(entries.iter().map(entry).collect::<Result<Vec<_>, _>>()?))
    }

    /// Reads the `scope` claim of a CWT: AIF-MQTT in CBOR (RFC 9431 §3), in place or in a byte string (RFC 8693 §4.2 has text,
    /// RFC 9200 §5.8.1 bytes for what is structured).
    ///
    /// # Errors
    /// [`ScopeError`] says what is wrong with it.
    pub(crate) fn from_cbor_claim(claim: &cbor::Value<'_>) -> Result<Self, ScopeError> {
        match claim {
            cbor::Value::Bytes(bytes) => {
                let aif = cbor::parse(bytes).map_err(|_| ScopeError::NotAif("the bytes do not hold CBOR"))?;
                Self::from_aif_cbor(&aif)
            }
            in_place => Self::from_aif_cbor(in_place),
        }
    }

    fn from_aif_cbor(aif: &cbor::Value<'_>) -> Result<Self, ScopeError> {
        let entries = aif.as_array().ok_or(ScopeError::NotAif("it is not an array"))?;
        if entries.len() > MAX_ENTRIES {
            return Err(ScopeError::TooLarge);
        }
        let entry = |entry: &cbor::Value<'_>| {
            let Some([filter, permissions]) = entry.as_array() else { return Err(NOT_A_PAIR) };
            let words = permissions.as_array().map(|words| words.iter().map(cbor::Value::as_text));
            read_entry(filter.as_text(), words)
        };
        Ok(Self::new(entries.iter().map(entry).collect::<Result<Vec<_>, _>>()?))
    }

    /// The scope as AIF-MQTT in JSON.
    #[must_use]
    pub fn to_aif_value(&self) -> Value {
        let entry = |entry: &ScopeEntry| {
            let words: Vec<&str> = entry.permissions.iter().map(Permission::word).collect();
            serde_json::json!([entry.filter.as_str(), words])
        };
        self.entries.iter().map(entry).collect()
    }

    /// The scope as a claim of a JWT, and as the `scope` parameter of a token request: base64url without padding.
    #[must_use]
    pub fn to_claim(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.to_aif_value().to_string())
    }

    /// The entries, ordered by filter.
    #[must_use]
    pub fn entries(&self) -> &[ScopeEntry] {
        &self.entries
    }

    /// Whether the scope permits nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What both scopes permit: what an authorization server grants of what was asked for (rfc9431.md AS4).
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let pairs = self.entries.iter().flat_map(|left| other.entries.iter().map(move |right| (left, right)));
        Self::new(pairs.filter_map(|(left, right)| {
            let permissions = left.permissions.intersection(right.permissions);
            let filter = if permissions.is_empty() { None } else { left.filter.intersect(&right.filter) };
            filter.map(|filter| (filter, permissions))
        }))
    }
}

const NOT_A_PAIR: ScopeError = ScopeError::NotAif("an entry is not a pair of filter and permissions");

/// Reads an entry. What is not a text, or not an array, is `None`.
fn read_entry<'a>(
    filter: Option<&'a str>,
    words: Option<impl ExactSizeIterator<Item = Option<&'a str>>>,
) -> Result<(TopicFilter, Permissions), ScopeError> {
    let filter = filter.ok_or(ScopeError::NotAif("a topic filter is not text"))?;
    let words = words.ok_or(ScopeError::NotAif("permissions are not an array"))?;
    if words.len() == 0 {
        return Err(ScopeError::NoPermissions(shortened(filter)));
    }
    let permission = |word: Option<&str>| {
        let word = word.ok_or(ScopeError::NotAif("a permission is not text"))?;
        Permission::from_word(word).ok_or_else(|| ScopeError::UnknownPermission(shortened(word)))
    };
    let permissions = words.map(permission).collect::<Result<Permissions, _>>()?;
    let filter =
        TopicFilter::parse(filter).map_err(|error| ScopeError::MalformedFilter { filter: shortened(filter), error })?;
    Ok((filter, permissions))
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(SHOWN_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope(aif: Value) -> Scope {
        Scope::from_aif_value(&aif).unwrap()
    }

    #[test]
    fn aif_is_read_and_written() {
        let read = scope(json!([["b/#", ["sub"]], ["a/+", ["pub", "sub"]], ["b/#", ["pub"]]]));
        assert_eq!(read.to_aif_value(), json!([["a/+", ["pub", "sub"]], ["b/#", ["pub", "sub"]]]));
        assert_eq!(Scope::from_claim(&Value::String(read.to_claim())), Ok(read.clone()));
        assert_eq!(Scope::from_claim(&read.to_aif_value()), Ok(read));
        assert!(scope(json!([])).is_empty());
    }

    #[test]
    fn what_is_not_a_scope_is_refused_with_its_reason() {
        let refused = |claim: Value| Scope::from_claim(&claim).unwrap_err();
        for not_aif in [
            json!(null),
            json!(7),
            json!({}),
            json!("not base64url!"),
            json!("bm90IGpzb24"),
            json!([["a"]]),
            json!([["a", ["pub"], 1]]),
            json!([[1, ["pub"]]]),
            json!([["a", "pub"]]),
            json!([["a", [1]]]),
        ] {
            assert!(matches!(refused(not_aif.clone()), ScopeError::NotAif(_)), "{not_aif}");
        }
        assert!(matches!(refused(json!([["a", ["read"]]])), ScopeError::UnknownPermission(_)));
        assert!(matches!(refused(json!([["a", []]])), ScopeError::NoPermissions(_)));
        assert!(matches!(refused(json!([["a/#/b", ["pub"]]])), ScopeError::MalformedFilter { .. }));
        let many: Vec<Value> = (0..=MAX_ENTRIES).map(|n| json!([n.to_string(), ["pub"]])).collect();
        assert_eq!(refused(Value::Array(many)), ScopeError::TooLarge);
    }

    #[test]
    fn errors_repeat_no_more_than_a_little() {
        let long = "x".repeat(10_000);
        let error = Scope::from_aif_value(&json!([["a", [long]]])).unwrap_err();
        assert!(error.to_string().len() < 100);
    }

    #[test]
    fn intersection_grants_the_narrower_filter() {
        let asked = scope(json!([["#", ["pub", "sub"]], ["other", ["pub"]]]));
        let allowed = scope(json!([["sensors/#", ["pub"]], ["commands/+", ["sub"]]]));
        assert_eq!(asked.intersect(&allowed), allowed);
        let narrow = scope(json!([["sensors/a", ["pub", "sub"]]]));
        assert_eq!(narrow.intersect(&allowed).to_aif_value(), json!([["sensors/a", ["pub"]]]));
        assert!(narrow.intersect(&Scope::default()).is_empty());
    }
}
