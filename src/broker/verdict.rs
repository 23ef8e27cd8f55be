//! The answers that the broker understands.

use std::ffi::c_int;

use super::abi;

/// What the plugin says to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Let it happen.
    Allow,
    /// Do not let this client in (answer to authentication): the broker sends CONNACK 0x87 and closes.
    RefuseClient,
    /// Do not let this client in, and say nothing to it: it has been told. The broker just closes.
    RefuseSilently,
    /// Do not let this happen (answer to `ACL_CHECK`).
    RefuseAccess,
    /// Go on with the authentication: an AUTH packet goes out with the event's data.
    Continue,
    /// Not ours: ask the next plugin.
    Defer,
    /// The event has no outcome to decide on.
    Done,
    /// The plugin or its configuration is broken.
    Failed,
}

impl Verdict {
    pub(super) const fn code(self) -> c_int {
        match self {
            Self::Allow | Self::Done => abi::ACE_ERR_SUCCESS,
            Self::RefuseClient => abi::ACE_ERR_AUTH,
            // To an authentication, any code that the broker has no packet for.
            Self::RefuseAccess | Self::RefuseSilently => abi::ACE_ERR_ACL_DENIED,
            Self::Continue => abi::ACE_ERR_AUTH_CONTINUE,
            Self::Defer => abi::ACE_ERR_PLUGIN_DEFER,
            Self::Failed => abi::ACE_ERR_UNKNOWN,
        }
    }
}
