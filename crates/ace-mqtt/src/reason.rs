//! What a broker's answer codes mean, in words. No decisions: only names.

use std::fmt;

/// The MQTT version that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    #[default]
    V5,
}

/// A code with which a broker accepts or refuses something.
///
/// MQTT 5 has one space of reason codes for all packets (MQTT 5 §2.4); MQTT 3.1.1 has a handful of CONNACK return codes
/// (MQTT 3.1.1 §3.2.2.3) and one SUBACK failure code. The version is kept, since 5 means "not authorized" in one and nothing in the other.
///
/// ```
/// use ace_mqtt::{Reason, Version};
/// assert_eq!(Reason::new(Version::V5, 0x87).to_string(), "not authorized (0x87)");
/// assert_eq!(Reason::new(Version::V311, 5).to_string(), "not authorized (5)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    version: Version,
    code: u8,
}

impl Reason {
    /// The reason that `code` stands for in `version`.
    #[must_use]
    pub const fn new(version: Version, code: u8) -> Self {
        Self { version, code }
    }

    /// The code as the broker sent it.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.code
    }

    /// Whether the code says that the request failed.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        match self.version {
            Version::V5 => self.code >= 0x80,
            // CONNACK return codes other than 0, and the SUBACK failure; granted QoS levels are told apart by `Subscribed`.
            Version::V311 => self.code != 0,
        }
    }

    /// Whether it is the code for lacking rights: 0x87 in MQTT 5, 5 or 0x80 in MQTT 3.1.1.
    #[must_use]
    pub const fn is_not_authorized(self) -> bool {
        match self.version {
            Version::V5 => self.code == 0x87,
            Version::V311 => self.code == 5 || self.code == 0x80,
        }
    }

    /// The meaning in lower-case words, without the code.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self.version {
            Version::V311 => words_v311(self.code),
            Version::V5 => words_v5(self.code),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.version, self.code) {
            (Version::V311, code @ 0..=0x7f) => write!(f, "{} ({code})", self.words()),
            (_, code) => write!(f, "{} (0x{code:02X})", self.words()),
        }
    }
}

const fn words_v311(code: u8) -> &'static str {
    match code {
        0 => "accepted",
        1 => "unacceptable protocol version",
        2 => "client identifier rejected",
        3 => "server unavailable",
        4 => "bad user name or password",
        5 => "not authorized",
        0x80 => "refused",
        _ => "unknown return code",
    }
}

const fn words_v5(code: u8) -> &'static str {
    match code {
        0x00 => "success",
        0x01 => "granted QoS 1",
        0x02 => "granted QoS 2",
        0x04 => "disconnect with will message",
        0x10 => "no matching subscribers",
        0x11 => "no subscription existed",
        0x18 => "continue authentication",
        0x19 => "re-authenticate",
        0x80 => "unspecified error",
        0x81 => "malformed packet",
        0x82 => "protocol error",
        0x83 => "implementation specific error",
        0x84 => "unsupported protocol version",
        0x85 => "client identifier not valid",
        0x86 => "bad user name or password",
        0x87 => "not authorized",
        0x88 => "server unavailable",
        0x89 => "server busy",
        0x8a => "banned",
        0x8b => "server shutting down",
        0x8c => "bad authentication method",
        0x8d => "keep alive timeout",
        0x8e => "session taken over",
        0x8f => "topic filter invalid",
        0x90 => "topic name invalid",
        0x91 => "packet identifier in use",
        0x92 => "packet identifier not found",
        0x93 => "receive maximum exceeded",
        0x94 => "topic alias invalid",
        0x95 => "packet too large",
        0x96 => "message rate too high",
        0x97 => "quota exceeded",
        0x98 => "administrative action",
        0x99 => "payload format invalid",
        0x9a => "retain not supported",
        0x9b => "QoS not supported",
        0x9c => "use another server",
        0x9d => "server moved",
        0x9e => "shared subscriptions not supported",
        0x9f => "connection rate exceeded",
        0xa0 => "maximum connect time",
        0xa1 => "subscription identifiers not supported",
        0xa2 => "wildcard subscriptions not supported",
        _ => "unknown reason code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_as_words_with_the_code_behind() {
        assert_eq!(Reason::new(Version::V5, 0x87).to_string(), "not authorized (0x87)");
        assert_eq!(Reason::new(Version::V5, 0).to_string(), "success (0x00)");
        assert_eq!(Reason::new(Version::V311, 0x80).to_string(), "refused (0x80)");
        assert_eq!(Reason::new(Version::V5, 0xff).to_string(), "unknown reason code (0xFF)");
    }

    #[test]
    fn the_same_number_means_different_things_in_the_two_versions() {
        assert!(Reason::new(Version::V311, 5).is_not_authorized());
        assert!(!Reason::new(Version::V5, 5).is_not_authorized());
        assert!(Reason::new(Version::V311, 1).is_failure());
        assert!(!Reason::new(Version::V5, 1).is_failure());
    }
}
