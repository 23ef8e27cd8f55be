//! Placeholders in the filters of a scope: `{client_id}` and `{sub}`, where an authorization server's tokens may have them.
//!
//! They let a server that writes the same words for all its clients give each topics of its own. A value is put in as it is, and
//! only if it can neither widen the filter nor lead elsewhere than into the level that the placeholder stands in.

use std::fmt;

use thiserror::Error;

use super::{Scope, TopicFilter};

/// The first level of the topics by which Mosquitto and its plugins take commands.
const CONTROL: &str = "$CONTROL";

/// What may stand in a filter for something that differs from client to client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// `{client_id}`: the client id in CONNECT.
    ClientId,
    /// `{sub}`: the token's subject.
    Subject,
}

/// Why a placeholder could not be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ValueFault {
    /// There is no such value, or it is empty.
    #[error("there is no value for it")]
    Missing,
    /// The value holds `+`, `#`, `/` or NUL: it would be more than a part of one level.
    #[error("its value holds \"+\", \"#\", \"/\" or NUL")]
    Syntax,
    /// The filter would come to begin with `$`.
    #[error("its value would make the filter begin with \"$\"")]
    Dollar,
    /// The filter is one for commands to the broker or its plugins: what a client says of itself has no place there.
    #[error("a filter that begins with \"$CONTROL\" may not depend on who the client is")]
    Control,
    /// The filter would become longer than MQTT can carry.
    #[error("its value would make the filter too long")]
    TooLong,
}

/// A placeholder that could not be filled in, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceholderError {
    /// Which it is.
    pub placeholder: Placeholder,
    /// What is wrong.
    pub fault: ValueFault,
}

impl Placeholder {
    const ALL: [Self; 2] = [Self::ClientId, Self::Subject];

    /// As it is written in a filter.
    #[must_use]
    pub const fn written(self) -> &'static str {
        match self {
            Self::ClientId => "{client_id}",
            Self::Subject => "{sub}",
        }
    }

    /// The first one in a text, and where it is.
    fn first_in(text: &str) -> Option<(usize, Self)> {
        Self::ALL.into_iter().filter_map(|it| Some((text.find(it.written())?, it))).min_by_key(|(at, _)| *at)
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.written())
    }
}

impl Scope {
    /// Whether a placeholder stands in one of the filters.
    #[must_use]
    pub fn has_placeholders(&self) -> bool {
        self.entries().iter().any(|entry| Placeholder::first_in(entry.filter.as_str()).is_some())
    }

    /// The scope with the client's own values. They are put in in one pass: what stands in a value is never taken for a placeholder.
    ///
    /// # Errors
    /// [`PlaceholderError`] names the first placeholder for which there is no value, or none that is fit.
    pub fn filled_in(&self, client_id: &str, subject: Option<&str>) -> Result<Self, PlaceholderError> {
        let value = |placeholder| match placeholder {
            Placeholder::ClientId => Some(client_id),
            Placeholder::Subject => subject,
        };
        let entries = self.entries().iter().map(|entry| Ok((fill(&entry.filter, value)?, entry.permissions)));
        Ok(Self::new(entries.collect::<Result<Vec<_>, _>>()?))
    }

    /// Whether the placeholders for the subject can be filled in: that is known before there is a client.
    ///
    /// # Errors
    /// [`PlaceholderError`] if not.
    pub fn check_subject(&self, subject: Option<&str>) -> Result<(), PlaceholderError> {
        // Whatever stands for the client id has nothing to do with the subject's fitness, but for the filter's length.
        self.filled_in("c", subject).map(drop)
    }
}

fn fill<'a>(
    filter: &TopicFilter,
    value: impl Fn(Placeholder) -> Option<&'a str>,
) -> Result<TopicFilter, PlaceholderError> {
    let mut rest = filter.as_str();
    let mut filled = String::new();
    let mut last = None;
    while let Some((at, placeholder)) = Placeholder::first_in(rest) {
        let refuse = |fault| Err(PlaceholderError { placeholder, fault });
        let Some(value) = value(placeholder).filter(|value| !value.is_empty()) else {
            return refuse(ValueFault::Missing);
        };
        if value.contains(['+', '#', '/', '\0']) {
            return refuse(ValueFault::Syntax);
        }
        let (before, behind) = rest.split_at(at);
        filled.push_str(before);
        if filled.is_empty() && value.starts_with('$') {
            return refuse(ValueFault::Dollar);
        }
        filled.push_str(value);
        rest = behind.get(placeholder.written().len()..).unwrap_or_default();
        last = Some(placeholder);
    }
    let Some(placeholder) = last else { return Ok(filter.clone()) };
    filled.push_str(rest);
    if filled.split('/').next() == Some(CONTROL) {
        return Err(PlaceholderError { placeholder, fault: ValueFault::Control });
    }
    // The filter was a good one, and what was put in has no meaning in filters: it can only have become too long.
    TopicFilter::parse(&filled).map_err(|_| PlaceholderError { placeholder, fault: ValueFault::TooLong })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::limits;

    fn scope(filter: &str) -> Scope {
        Scope::from_aif_value(&json!([[filter, ["pub"]]])).unwrap()
    }

    fn filled(filter: &str, client_id: &str, subject: Option<&str>) -> Result<String, (&'static str, ValueFault)> {
        let filled = scope(filter).filled_in(client_id, subject);
        let filled = filled.map_err(|error| (error.placeholder.written(), error.fault))?;
        Ok(filled.entries()[0].filter.as_str().to_owned())
    }

    #[test]
    fn values_take_the_places() {
        for (filter, expected) in [
            ("dev/{client_id}/#", "dev/c-1/#"),
            ("{client_id}", "c-1"),
            ("{sub}/{client_id}/{sub}", "s/c-1/s"),
            ("a-{client_id}{sub}-b/+", "a-c-1s-b/+"),
            ("$own/{client_id}", "$own/c-1"),
            ("nothing/here", "nothing/here"),
            ("{ sub }/{Sub}/{client}/{}", "{ sub }/{Sub}/{client}/{}"),
            ("{{sub}}", "{s}"),
        ] {
            assert_eq!(filled(filter, "c-1", Some("s")), Ok(expected.to_owned()), "{filter}");
        }
        assert!(scope("a/{sub}").has_placeholders() && scope("{client_id}").has_placeholders());
        assert!(!scope("a/{other}").has_placeholders());
    }

    #[test]
    fn they_are_filled_in_one_pass() {
        assert_eq!(filled("{client_id}/{sub}", "{sub}", Some("{client_id}")), Ok("{sub}/{client_id}".to_owned()));
        // Not even one that comes about by putting a value in.
        assert_eq!(filled("{{sub}}", "c", Some("client_id")), Ok("{client_id}".to_owned()));
        assert_eq!(filled("{{client_id}}", "sub", Some("s")), Ok("{sub}".to_owned()));
    }

    #[test]
    fn a_value_must_not_be_more_than_a_part_of_a_level() {
        for value in ["+", "#", "a/b", "/", "a+", "#b", "a\0"] {
            assert_eq!(filled("x/{client_id}", value, None), Err(("{client_id}", ValueFault::Syntax)), "{value:?}");
            assert_eq!(filled("x/{sub}", "c", Some(value)), Err(("{sub}", ValueFault::Syntax)), "{value:?}");
        }
        assert_eq!(filled("{client_id}/#", "$SYS", None), Err(("{client_id}", ValueFault::Dollar)));
        assert_eq!(filled("{sub}{client_id}", "c", Some("$")), Err(("{sub}", ValueFault::Dollar)));
        assert_eq!(filled("a/{client_id}", "$SYS", None), Ok("a/$SYS".to_owned()));
        assert_eq!(filled("a{client_id}", "$SYS", None), Ok("a$SYS".to_owned()));
        assert_eq!(filled("{sub}", "c", None), Err(("{sub}", ValueFault::Missing)));
        assert_eq!(filled("{sub}", "c", Some("")), Err(("{sub}", ValueFault::Missing)));
        assert_eq!(filled("{client_id}", "", Some("s")), Err(("{client_id}", ValueFault::Missing)));
        for (filter, value) in [
            ("$CONTROL/{client_id}/#", "ace"),
            ("$CONTROL/ace/{client_id}", "v1"),
            ("$CONTR{client_id}/ace/#", "OL"),
            ("${client_id}/ace/v1", "CONTROL"),
        ] {
            assert_eq!(filled(filter, value, None), Err(("{client_id}", ValueFault::Control)), "{filter}");
        }
        assert_eq!(filled("{client_id}/ace/#", "$CONTROL", None), Err(("{client_id}", ValueFault::Dollar)));
        assert_eq!(filled("$CONTROLS/{client_id}", "ace", None), Ok("$CONTROLS/ace".to_owned()));
        assert_eq!(filled("a/$CONTROL/{client_id}", "ace", None), Ok("a/$CONTROL/ace".to_owned()));
        let long = "a".repeat(limits::FILTER_BYTES);
        assert_eq!(filled("{client_id}b", &long, None), Err(("{client_id}", ValueFault::TooLong)));
    }

    #[test]
    fn what_becomes_equal_is_put_together() {
        let both = Scope::from_aif_value(&json!([["{sub}", ["pub"]], ["{client_id}", ["sub"]]])).unwrap();
        let filled = both.filled_in("same", Some("same")).unwrap();
        assert_eq!(filled.to_aif_value(), json!([["same", ["pub", "sub"]]]));
    }

    #[test]
    fn the_subject_is_checked_before_there_is_a_client() {
        assert_eq!(scope("{client_id}/{sub}").check_subject(Some("s")), Ok(()));
        let error = scope("{client_id}/{sub}").check_subject(Some("a/b")).unwrap_err();
        assert_eq!((error.placeholder, error.fault), (Placeholder::Subject, ValueFault::Syntax));
        assert_eq!(scope("{client_id}").check_subject(None), Ok(()));
    }

    proptest! {
        /// However a client calls itself, it gets nothing outside the level that the placeholder stands in.
        #[test]
        fn no_value_leads_elsewhere(client_id in "[a/+#$\u{0}{}ü]{0,6}", subject in "[b/+#${}]{0,4}", topic in "[ab/$]{1,8}") {
            let granted = json!([["x/{client_id}/y", ["pub"]], ["{sub}/z", ["pub"]]]);
            let granted = Scope::from_aif_value(&granted).unwrap();
            if let Ok(filled) = granted.filled_in(&client_id, Some(&subject)) {
                let filters: Vec<Value> = filled.entries().iter().map(|entry| entry.filter.as_str().into()).collect();
                prop_assert_eq!(filters.len(), 2);
                for entry in filled.entries() {
                    prop_assert!(entry.filter.is_literal());
                    prop_assert!(!entry.filter.as_str().starts_with('$'));
                    let is_expected = *entry.filter.as_str() == format!("x/{client_id}/y")
                        || *entry.filter.as_str() == format!("{subject}/z");
                    prop_assert!(is_expected, "{:?}", entry.filter);
                    prop_assert!(!entry.filter.matches(&topic) || entry.filter.as_str() == topic);
                }
            }
        }
    }
}
