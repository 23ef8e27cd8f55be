//! Pre-shared keys: which one a connection's handshake was offered, and whether the client has proved it.
//!
//! The broker asks for a key in the middle of the handshake, and that proves nothing yet. On TLS 1.2 the handshake fails unless
//! the client has the key. On TLS 1.3 OpenSSL asks about each identity that the client offers, tickets of earlier sessions
//! included, may then find that the cipher suite does not fit, and go on to the next one or to certificates: so the hello
//! messages have to say that the key's identity was taken up.

use std::rc::Rc;

use ace_profile::token::ValidatedToken;

use super::connection::Connection;
use super::openssl::{OpenSsl, Ssl, TLS_1_2, TLS_1_3};
use super::registry::{Entry, with_connection};

/// A key that the broker was given for a handshake, and the token that it is bound to.
#[derive(Debug, Clone)]
pub struct OfferedPsk {
    /// What the client called it.
    pub identity: Box<[u8]>,
    /// The token.
    pub token: Rc<ValidatedToken>,
    /// Whether the identity was the token.
    pub is_brought: bool,
}

/// What a connection's handshake says of pre-shared keys.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    /// How many identities the broker has asked about.
    requests: usize,
    /// The identities of the last `ClientHello`, until it is answered.
    identities: Vec<Box<[u8]>>,
    /// The key that was given last: where OpenSSL goes on after it, it has given it up.
    offered: Option<OfferedPsk>,
    /// Whether the `ServerHello` takes that key up (TLS 1.3).
    is_selected: bool,
}

impl Handshake {
    /// A `ClientHello` has come with these identities.
    pub(super) fn begin(&mut self, identities: Vec<Box<[u8]>>) {
        *self = Self { requests: self.requests, identities, ..Self::default() };
    }

    /// The `ServerHello` goes out, and takes this one of the identities up. On TLS 1.2 the key is still to be asked for.
    pub(super) fn answer(&mut self, selected: Option<usize>) {
        let identities = std::mem::take(&mut self.identities);
        let selected = selected.and_then(|at| identities.get(at));
        self.is_selected = self.offered.as_ref().is_some_and(|offered| Some(&offered.identity) == selected);
        if !self.is_selected {
            self.offered = None;
        }
    }

    /// The key that the client has proved.
    fn proved(&self, openssl: &OpenSsl, ssl: *mut Ssl) -> Option<&OfferedPsk> {
        let offered = self.offered.as_ref()?;
        let is_proved = openssl.is_handshake_finished(ssl)
            && match openssl.version(ssl) {
                TLS_1_3 => self.is_selected,
                // A resumed session has the identity of the first one, and asks for no key.
                TLS_1_2 => !openssl.is_resumed(ssl) && openssl.psk_identity(ssl).as_ref() == Some(&offered.identity),
                _ => false,
            };
        is_proved.then_some(offered)
    }

    /// Whether the session that looks resumed is one by a pre-shared key, and so one of its own.
    pub(super) const fn is_by_selected_key(&self) -> bool {
        self.is_selected
    }
}

impl Connection {
    /// Counts the identities that the broker asks about in this connection's handshake, this one included. `None` if the
    /// connection has gone.
    #[must_use]
    pub fn count_psk_request(&self) -> Option<usize> {
        self.with_handshake(|handshake| {
            handshake.requests += 1;
            handshake.requests
        })
    }

    /// Notes which key the broker is given for the handshake.
    #[must_use]
    pub fn offer_psk(&self, offered: OfferedPsk) -> bool {
        self.with_handshake(|handshake| handshake.offered = Some(offered)).is_some()
    }

    /// The key that the client has proved in the handshake, if it was one.
    #[must_use]
    pub fn proved_psk(&self) -> Option<OfferedPsk> {
        self.with(|openssl, ssl, entry: &mut Entry| entry.handshake.proved(openssl, ssl).cloned())?
    }

    fn with_handshake<T>(&self, body: impl FnOnce(&mut Handshake) -> T) -> Option<T> {
        self.with(|_, _, entry| body(&mut entry.handshake))
    }

    pub(super) fn with<T>(&self, body: impl FnOnce(&OpenSsl, *mut Ssl, &mut Entry) -> T) -> Option<T> {
        with_connection(self.address, self.generation, body)
    }
}

#[cfg(test)]
mod tests {
    use ace_profile::revocation::TokenHashes;
    use ace_profile::token::Confirmation;
    use ace_profile::{Fingerprint, scope::Scope};

    use super::*;

    fn offered(identity: &[u8]) -> OfferedPsk {
        let token = ValidatedToken {
            issuer: "as".into(),
            subject: None,
            audience: Vec::new(),
            expires: None,
            confirmation: Confirmation::Bearer,
            scope: Scope::default(),
            has_placeholders: false,
            fingerprint: Fingerprint::of(b""),
            hashes: TokenHashes::of_text(""),
            asked_with: None,
            first_sight: None,
        };
        OfferedPsk { identity: identity.into(), token: Rc::new(token), is_brought: false }
    }

    fn after(identities: &[&[u8]], given: &[&[u8]], selected: Option<usize>) -> Handshake {
        let mut handshake = Handshake::default();
        handshake.begin(identities.iter().map(|identity| Box::from(*identity)).collect());
        for identity in given {
            handshake.offered = Some(offered(identity));
        }
        handshake.answer(selected);
        handshake
    }

    #[test]
    fn only_the_key_that_is_taken_up_is_selected() {
        assert!(after(&[b"a", b"b"], &[b"b"], Some(1)).is_selected);
        assert!(after(&[b"a", b"b"], &[b"a", b"b"], Some(1)).is_selected);
        for (given, selected) in [
            // The suite did not fit, and a ticket was taken up, or certificates were.
            (&[&b"a"[..]][..], Some(1)),
            (&[b"a"], None),
            (&[b"a"], Some(2)),
            (&[], Some(0)),
            // The broker sees no more than what is before a zero byte.
            (&[b"b"], Some(2)),
        ] {
            let handshake = after(&[b"a", b"ticket", b"b\0b"], given, selected);
            assert!(!handshake.is_selected && handshake.offered.is_none() && handshake.identities.is_empty());
        }
    }

    #[test]
    fn a_second_hello_begins_anew() {
        let mut handshake = after(&[b"a"], &[b"a"], Some(0));
        handshake.begin(Vec::new());
        assert!(!handshake.is_selected && handshake.offered.is_none());
    }
}
