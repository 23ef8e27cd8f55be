//! Messages, Wills and subscriptions as a client sees them, with the checks of topics that spare a round trip.

use std::fmt;

use ace_profile::scope::{TopicFilter, shared_subscription_filter};

use crate::{
    error::{Error, Result},
    reason::Reason,
};

/// Quality of service (MQTT 5 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Qos {
    /// At most once: no acknowledgement, and on MQTT no way to learn of a refusal other than the end of the connection.
    #[default]
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
    /// Exactly once.
    ExactlyOnce,
}

impl TryFrom<u8> for Qos {
    type Error = Error;

    fn try_from(level: u8) -> Result<Self> {
        match level {
            0 => Ok(Self::AtMostOnce),
            1 => Ok(Self::AtLeastOnce),
            2 => Ok(Self::ExactlyOnce),
            other => Err(Error::Invalid(format!("QoS {other} does not exist: 0, 1 or 2"))),
        }
    }
}

impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtMostOnce => "0",
            Self::AtLeastOnce => "1",
            Self::ExactlyOnce => "2",
        })
    }
}

/// An application message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Topic name.
    pub topic: String,
    /// Content.
    pub payload: Vec<u8>,
    /// Quality of service.
    pub qos: Qos,
    /// To be kept by the broker for later subscribers (outgoing), or so kept (incoming).
    pub retain: bool,
    /// Incoming: the broker may have sent it before. Ignored in outgoing messages.
    pub duplicate: bool,
}

impl Message {
    /// A message of QoS 0 that is not retained.
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.into(), payload: payload.into(), ..Self::default() }
    }

    /// The same with another quality of service.
    #[must_use]
    pub fn with_qos(mut self, qos: Qos) -> Self {
        self.qos = qos;
        self
    }

    /// The same, retained or not.
    #[must_use]
    pub fn with_retain(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }
}

/// What a client asks to receive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Topic filter, wildcards and `$share/<group>/` allowed.
    pub filter: String,
    /// Highest quality of service wanted.
    pub qos: Qos,
    /// MQTT 5: do not send back what this client published itself.
    pub no_local: bool,
    /// MQTT 5: keep the retain flag as the publisher set it.
    pub retain_as_published: bool,
    /// Whether retained messages are wanted at once (MQTT 5 only when not `Always`).
    pub retained: RetainedMessages,
}

/// When a subscription brings retained messages (MQTT 5 §3.8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetainedMessages {
    /// At each subscribe.
    #[default]
    Always,
    /// Only if the subscription is new.
    IfNew,
    /// Never.
    Never,
}

impl Subscription {
    /// A plain subscription.
    pub fn new(filter: impl Into<String>, qos: Qos) -> Self {
        Self {
            filter: filter.into(),
            qos,
            no_local: false,
            retain_as_published: false,
            retained: RetainedMessages::Always,
        }
    }
}

/// The broker's answer to one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// The filter asked for.
    pub filter: String,
    /// The quality of service granted, or why it was refused.
    pub result: std::result::Result<Qos, Reason>,
}

/// Longest MQTT string, in bytes (MQTT 5 §1.5.4).
const STRING_BYTES: usize = 65_535;

/// Checks a topic to publish to (MQTT 5 §4.7): not empty, no wildcard, no U+0000, at most 65,535 bytes.
///
/// # Errors
/// [`Error::Invalid`] with the reason.
pub fn check_topic(topic: &str) -> Result<()> {
    check_string("topic", topic)?;
    if topic.contains(['+', '#']) {
        return Err(Error::Invalid(format!("topic {topic:?}: a message cannot be published to a wildcard")));
    }
    Ok(())
}

/// Checks a topic filter by the rules of the profile crate (MQTT 5 §4.7), the shared subscription's prefix put aside (§4.8.2).
///
/// # Errors
/// [`Error::Invalid`] with the reason.
pub fn check_filter(filter: &str) -> Result<()> {
    check_string("topic filter", filter)?;
    let invalid = |reason: &str| Error::Invalid(format!("topic filter {filter:?}: {reason}"));
    let bare = shared_subscription_filter(filter.as_bytes())
        .and_then(|bare| std::str::from_utf8(bare).ok())
        .ok_or_else(|| invalid("a shared subscription is $share/GROUP/FILTER"))?;
    TopicFilter::parse(bare).map(|_| ()).map_err(|error| invalid(&error.to_string()))
}

fn check_string(what: &str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::Invalid(format!("the {what} is empty")));
    }
    if text.len() > STRING_BYTES {
        return Err(Error::Invalid(format!("the {what} is longer than {STRING_BYTES} bytes")));
    }
    if text.contains('\0') {
        return Err(Error::Invalid(format!("the {what} holds the character U+0000")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_filters_are_told_apart() {
        assert!(check_topic("a/b").is_ok());
        assert!(check_topic("/").is_ok());
        for bad in ["", "a/+", "#", "a\0b"] {
            assert!(check_topic(bad).is_err(), "{bad:?}");
        }
        for good in ["a/+/#", "#", "+", "$share/g/a/#", "/", "a//b"] {
            assert!(check_filter(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a#", "#/a", "a+/b", "$share/g", "$share//a", "$share/+/a", "$share/g/"] {
            assert!(check_filter(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn qos_levels_are_three() {
        assert_eq!(Qos::try_from(2).ok(), Some(Qos::ExactlyOnce));
        assert!(Qos::try_from(3).is_err());
    }
}
