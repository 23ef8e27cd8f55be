//! The answers that the broker understands.

use std::ffi::c_int;

use super::abi;

/// Added to the code of a verdict that shares it with another.
const OTHER: i32 = 1 << 16;

/// What the plugin says to an event.
///
/// The lower halves of the numbers are the broker's codes, so that nothing needs to be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Verdict {
    /// Let it happen.
    Allow = abi::ACE_ERR_SUCCESS,
    /// Do not let this client in (answer to authentication): the broker sends CONNACK 0x87 and closes.
    RefuseClient = abi::ACE_ERR_AUTH,
    /// Do not let this client in, and say nothing to it: it has been told. The broker just closes. Its code is any that the
    /// broker has no packet for, in answer to an authentication.
    RefuseSilently = OTHER + abi::ACE_ERR_ACL_DENIED,
    /// Do not let this happen (answer to `ACL_CHECK`).
    RefuseAccess = abi::ACE_ERR_ACL_DENIED,
    /// Go on with the authentication: an AUTH packet goes out with the event's data.
    Continue = abi::ACE_ERR_AUTH_CONTINUE,
    /// Whether this client is let in is said later, by [`Broker::complete_delayed`](super::Broker::complete_delayed) (answer to an
    /// authentication without method).
    Delay = abi::ACE_ERR_AUTH_DELAYED,
    /// Not ours: ask the next plugin.
    Defer = abi::ACE_ERR_PLUGIN_DEFER,
    /// The event has no outcome to decide on.
    Done = OTHER + abi::ACE_ERR_SUCCESS,
    /// The plugin or its configuration is broken.
    Failed = abi::ACE_ERR_UNKNOWN,
}

impl Verdict {
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is not a part of the code")]
    pub(super) const fn code(self) -> c_int {
        (self as i32 as i16) as c_int
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_brokers() {
        for (verdict, code) in [
            (Verdict::Allow, abi::ACE_ERR_SUCCESS),
            (Verdict::Done, abi::ACE_ERR_SUCCESS),
            (Verdict::RefuseClient, abi::ACE_ERR_AUTH),
            (Verdict::RefuseSilently, abi::ACE_ERR_ACL_DENIED),
            (Verdict::RefuseAccess, abi::ACE_ERR_ACL_DENIED),
            (Verdict::Continue, abi::ACE_ERR_AUTH_CONTINUE),
            (Verdict::Delay, abi::ACE_ERR_AUTH_DELAYED),
            (Verdict::Defer, abi::ACE_ERR_PLUGIN_DEFER),
            (Verdict::Failed, abi::ACE_ERR_UNKNOWN),
        ] {
            assert_eq!(verdict.code(), code, "{verdict:?}");
        }
    }
}
