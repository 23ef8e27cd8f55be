//! What can be done with a topic.

/// What a client, or the broker for it, wants to do with a topic.
///
/// The numbers are the broker's (`MOSQ_ACL_READ` and so on), so that nothing needs to be translated for each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Access {
    /// Be given a message.
    Receive = 1,
    /// Publish, by PUBLISH or as a Will.
    Publish = 2,
    /// Subscribe to a topic filter.
    Subscribe = 4,
    /// Give a subscription up.
    Unsubscribe = 8,
}
