//! One client of the broker, as far as the broker tells plugins about it.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use super::abi;
use super::functions::Broker;

/// A client, borrowed from the broker for the duration of one event.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    broker: &'a Broker,
    client: *mut abi::mosquitto,
}

/// A client's address in the broker's memory: tells clients apart while they live, and is used again for others
/// afterwards. Never dereferenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(usize);

impl ClientKey {
    pub(super) fn of(client: *const abi::mosquitto) -> Self {
        Self(client.expose_provenance())
    }

    /// The address as a number.
    #[must_use]
    pub const fn address(self) -> usize {
        self.0
    }

    /// The key of a client at this address.
    pub(crate) const fn at(address: usize) -> Self {
        Self(address)
    }

    /// A key of no client, for tests of what is keyed by it.
    #[cfg(test)]
    pub(crate) const fn for_test(address: usize) -> Self {
        Self(address)
    }
}

impl<'a> Client<'a> {
    pub(super) const fn new(broker: &'a Broker, client: *mut abi::mosquitto) -> Self {
        Self { broker, client }
    }

    /// What tells this client from others while it lives.
    #[inline]
    #[must_use]
    pub fn key(&self) -> ClientKey {
        ClientKey::of(self.client)
    }

    /// The client id, as given or assigned. The broker has none for a client that it has just refused.
    #[inline]
    #[must_use]
    pub fn id(&self) -> Option<&'a CStr> {
        self.text(self.broker.functions.client_id)
    }

    /// The user name, as given, derived from a certificate, or set by a plugin.
    #[inline]
    #[must_use]
    pub fn user_name(&self) -> Option<&'a CStr> {
        self.text(self.broker.functions.client_username)
    }

    /// Whether the client has this id. As [`Self::id`], without measuring the text first.
    #[inline]
    #[must_use]
    pub fn has_id(&self, id: &CStr) -> bool {
        self.has_text(self.broker.functions.client_id, id)
    }

    /// Whether the client has this user name.
    #[inline]
    #[must_use]
    pub fn has_user_name(&self, name: &CStr) -> bool {
        self.has_text(self.broker.functions.client_username, name)
    }

    /// The network address, without port. The stand-in for the publisher of a retained message has none, nor has a client that
    /// has not come back since the broker's restart.
    #[must_use]
    pub fn address(&self) -> Option<&'a CStr> {
        self.text(self.broker.functions.client_address)
    }

    /// Whether the client speaks MQTT 5.
    #[must_use]
    pub fn speaks_mqtt5(&self) -> bool {
        // SAFETY: the pointer came with the event that `'a` stands for.
        unsafe { (self.broker.functions.client_protocol_version)(self.client) == 5 }
    }

    /// Whether the client came through a WebSocket listener.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        // SAFETY: the pointer came with the event that `'a` stands for.
        let protocol = unsafe { (self.broker.functions.client_protocol)(self.client) };
        u32::try_from(protocol) == Ok(abi::ACE_CLIENT_PROTOCOL_WEBSOCKETS)
    }

    /// The certificate that the client has shown in its TLS handshake: an `X509` of OpenSSL's, to be freed by the caller.
    pub(super) fn certificate(&self) -> Option<NonNull<c_void>> {
        let certificate = self.broker.functions.client_certificate?;
        // SAFETY: the pointer came with the event that `'a` stands for.
        NonNull::new(unsafe { certificate(self.client) })
    }

    /// Replaces the user name, for the log and for other plugins. The texts that the event brought are gone afterwards.
    /// `false` if the broker does not take it.
    #[must_use]
    pub fn set_user_name(&self, name: &CStr) -> bool {
        // SAFETY: the pointer came with the event that `'a` stands for; the broker copies the name.
        unsafe { (self.broker.functions.set_username)(self.client, name.as_ptr()) == abi::ACE_ERR_SUCCESS }
    }

    /// Whether the client's connection is the one that OpenSSL keeps this extra data for.
    pub(super) fn is_at(&self, data: *const c_void) -> bool {
        data.addr() == self.client.addr()
    }

    #[inline]
    fn has_text(
        &self,
        function: unsafe extern "C" fn(*const abi::mosquitto) -> *const c_char,
        expected: &CStr,
    ) -> bool {
        // SAFETY: the pointer came with the event that `'a` stands for.
        let text = unsafe { function(self.client) };
        // SAFETY: both texts end with NUL.
        !text.is_null() && unsafe { libc::strcmp(text, expected.as_ptr()) == 0 }
    }

    #[inline]
    fn text(&self, function: unsafe extern "C" fn(*const abi::mosquitto) -> *const c_char) -> Option<&'a CStr> {
        // SAFETY: the pointer came with the event that `'a` stands for.
        let text = unsafe { function(self.client) };
        // SAFETY: the broker's texts end with NUL and live while the event is handled.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
    }
}
