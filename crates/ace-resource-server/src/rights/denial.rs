//! Why a request of a client that is connected is denied.

/// Why a request is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The client's token has expired.
    TokenExpired,
    /// No filter of the scope, and none that is open to all, allows it.
    OutsideScope,
    /// The session is about to end.
    SessionEnding,
    /// The client was let in to publish a token to the `authz-info` topic, and for nothing else.
    AuthzInfoOnly,
    /// The `authz-info` topic is there to be published to.
    AuthzInfoPublishOnly,
    /// A Will for the `authz-info` topic: what a client leaves behind is no token to be taken up.
    AuthzInfoWill,
}

impl Denial {
    /// A short name that stays the same over versions.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TokenExpired => "token-expired",
            Self::OutsideScope => "outside-scope",
            Self::SessionEnding => "session-ending",
            Self::AuthzInfoOnly => "authz-info-only",
            Self::AuthzInfoPublishOnly => "authz-info-publish-only",
            Self::AuthzInfoWill => "authz-info-will",
        }
    }

    /// Whether what is open to all is open to the client nevertheless.
    #[must_use]
    pub const fn leaves_public_topics(self) -> bool {
        matches!(self, Self::TokenExpired | Self::OutsideScope)
    }
}
