//! Filters of topics that are open to all.

use std::str::FromStr;

use ace_profile::scope::{FilterError, TopicFilter};
use thiserror::Error;

/// The first level of the topics by which Mosquitto and its plugins take commands.
const CONTROL: &str = "$CONTROL";

/// A topic filter that may be open to all.
#[derive(Debug)]
pub(super) struct PublicFilter(pub(super) TopicFilter);

/// Why a text is not one.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum PublicFilterError {
    /// It is no topic filter.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// It is for commands to the broker and its plugins, this one included.
    #[error("commands to the broker and its plugins cannot be open to all")]
    Control,
}

impl FromStr for PublicFilter {
    type Err = PublicFilterError;

    fn from_str(text: &str) -> Result<Self, PublicFilterError> {
        let filter = TopicFilter::parse(text)?;
        if text.split('/').next() == Some(CONTROL) { Err(PublicFilterError::Control) } else { Ok(Self(filter)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_cannot_be_open_to_all() {
        for control in ["$CONTROL/#", "$CONTROL", "$CONTROL/ace/v1", "$CONTROL/+/v1", "$CONTROL/dynamic-security/#"] {
            assert_eq!(PublicFilter::from_str(control).err(), Some(PublicFilterError::Control), "{control}");
        }
        // What begins with a wildcard does not mean topics that begin with "$".
        for other in ["#", "+/#", "+/ace/v1", "hello/#", "$SYS/#", "$CONTROLS", "a/$CONTROL"] {
            assert!(PublicFilter::from_str(other).is_ok(), "{other}");
        }
        assert_eq!(PublicFilter::from_str("a#").err(), Some(PublicFilterError::Filter(FilterError::MisplacedHash)));
    }
}
