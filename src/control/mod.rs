//! Commands to the plugin over MQTT, as the broker's own dynamic security plugin takes them: requests in JSON are published to
//! `$CONTROL/ace/v1`, and answered on `$CONTROL/ace/v1/response`, to the client alone that has asked. docs/control.md has the commands.
//!
//! Here is what requests and answers are, and why a client's are not looked at. What the commands do is in `events/control/`.

mod answer;
mod denial;
mod listing;
mod request;
mod under_way;

use std::ffi::CStr;

pub use answer::Answer;
pub use denial::{Denials, Denied};
pub use listing::{Filter, Page, page, subject_of};
pub use request::{Asked, COMMANDS_MAX, Command, Fault, REQUEST_BYTES, read};
pub use under_way::UnderWay;

/// Where requests are published to.
pub const TOPIC: &CStr = c"$CONTROL/ace/v1";

/// Where they are answered.
pub const RESPONSE_TOPIC: &CStr = c"$CONTROL/ace/v1/response";

/// What all of our topics begin with, now and in later versions.
const OURS: &[u8] = b"$CONTROL/ace";

/// Whether a topic, or a topic filter, is one of ours.
#[inline]
#[must_use]
pub fn is_ours(topic: &[u8]) -> bool {
    topic.strip_prefix(OURS).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_topics_are_told_from_those_of_others() {
        for ours in [TOPIC.to_bytes(), RESPONSE_TOPIC.to_bytes(), b"$CONTROL/ace", b"$CONTROL/ace/#"] {
            assert!(is_ours(ours), "{ours:?}");
        }
        for other in [&b"$CONTROL/aces/v1"[..], b"$CONTROL/dynamic-security/v1", b"$CONTROL", b"a/$CONTROL/ace", b""] {
            assert!(!is_ours(other), "{other:?}");
        }
    }
}
