//! A token that was found good, without the token.

use std::borrow::Cow;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{CertificateThumbprint, FirstSight};
use crate::proof::{ConfirmationKey, KeyThumbprint, ShownKey};
use crate::revocation::{TokenHash, TokenHashes};
use crate::scope::Scope;
use crate::{Fingerprint, Refusal, Timestamp};

/// What a good token says. Its holder has still to prove the key ([`Confirmation::Key`]).
#[derive(Debug, Clone)]
pub struct ValidatedToken {
    /// `iss`: one of the configured authorization servers.
    pub issuer: String,
    /// `sub`, fit to be a user name.
    pub subject: Option<String>,
    /// Those of the broker's own names that `aud` holds, in the order of the configuration; never empty.
    pub audience: Vec<String>,
    /// When the token ends, leeway included; `None` if it never does.
    pub expires: Option<Timestamp>,
    /// What is to be remembered of a token that ends so long after it was first seen. `expires` is as if that were now: it has to be
    /// set to what is remembered before the token is used.
    pub first_sight: Option<FirstSight>,
    /// How its holder shows that it is theirs.
    pub confirmation: Confirmation,
    /// What it permits, as the token has it; empty without a `scope` claim. What it permits a client:
    /// [`ValidatedToken::scope_for`].
    pub scope: Scope,
    /// Whether the filters have placeholders, to be filled in for each client.
    pub has_placeholders: bool,
    /// The trace of the token for the log.
    pub fingerprint: Fingerprint,
    /// By what a revocation list names it (RFC 9770).
    pub hashes: TokenHashes,
    /// The token as it was sent, if what is said here rests on an answer of its server: only by asking with it again can the token be
    /// judged again.
    pub asked_with: Option<AskedWith>,
}

/// A token as it was sent, with which its server is asked. Wiped when the last copy goes.
#[derive(Clone)]
pub struct AskedWith {
    sent: Arc<Zeroizing<Vec<u8>>>,
    token: TokenHash,
}

impl AskedWith {
    /// That of this token.
    #[must_use]
    pub fn new(token: &(impl AsRef<[u8]> + ?Sized)) -> Self {
        Self { sent: Arc::new(Zeroizing::new(token.as_ref().to_vec())), token: TokenHash::of(token) }
    }

    /// The token.
    #[must_use]
    pub fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// Its hash, by which what is known of it is found.
    #[must_use]
    pub const fn token(&self) -> TokenHash {
        self.token
    }
}

/// Shows the hash.
impl std::fmt::Debug for AskedWith {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AskedWith").field(&self.token).finish()
    }
}

/// How the holder of a token shows that it is theirs.
#[derive(Debug, Clone)]
pub enum Confirmation {
    /// By a proof with this key.
    Key(ConfirmationKey),
    /// By showing the key of this thumbprint (RFC 9449 §6.1), and a proof with it: [`ValidatedToken::with_shown_key`]; or by having proved it
    /// in its TLS handshake.
    Thumbprint(KeyThumbprint),
    /// By having shown this certificate in its TLS handshake.
    Certificate(CertificateThumbprint),
    /// By having it: a bearer token, where the policy allows those.
    Bearer,
}

/// Whose token it is: what has to stay the same when a client re-authenticates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A subject of an issuer.
    Subject {
        /// `iss`.
        issuer: String,
        /// `sub`.
        subject: String,
    },
    /// The holder of a key, where an issuer names no subject.
    Key {
        /// `iss`.
        issuer: String,
        /// What the token is bound to: [`ValidatedToken::binding`].
        thumbprint: String,
    },
}

impl ValidatedToken {
    /// Whether the token has not ended yet. Everything else about it was checked when it was validated.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// What the token permits a client of this id.
    ///
    /// # Errors
    /// [`Refusal::ScopePlaceholder`] if a placeholder in it cannot be filled in.
    pub fn scope_for(&self, client_id: &str) -> Result<Cow<'_, Scope>, Refusal> {
        if !self.has_placeholders {
            return Ok(Cow::Borrowed(&self.scope));
        }
        Ok(Cow::Owned(self.scope.filled_in(client_id, self.subject.as_deref())?))
    }

    /// What the token is bound to, as a name that tells it from all others: the key's thumbprint (RFC 7638), or `x5t#S256:` and
    /// the certificate's. `None` for a bearer token.
    #[must_use]
    pub fn binding(&self) -> Option<String> {
        match &self.confirmation {
            Confirmation::Key(key) => Some(key.thumbprint()),
            Confirmation::Thumbprint(thumbprint) => Some(thumbprint.as_str().to_owned()),
            Confirmation::Certificate(thumbprint) => Some(thumbprint.name()),
            Confirmation::Bearer => None,
        }
    }

    /// The token with the key that the client has shown in place of the thumbprint by which it names that key. A token that has its key
    /// already stays as it is, if it is the same one.
    ///
    /// # Errors
    /// [`Refusal::ShownKeyMismatch`] if the token is not bound to that key.
    pub fn with_shown_key(&self, shown: &ShownKey) -> Result<Cow<'_, Self>, Refusal> {
        if self.binding().as_deref() != Some(shown.thumbprint().as_str()) {
            return Err(Refusal::ShownKeyMismatch);
        }
        Ok(match &self.confirmation {
            Confirmation::Thumbprint(_) => {
                Cow::Owned(Self { confirmation: Confirmation::Key(shown.key().clone()), ..self.clone() })
            }
            _ => Cow::Borrowed(self),
        })
    }

    /// The key that has to be proved; `None` for a bearer token, for one that is bound to a certificate, and for one that names its key by
    /// a thumbprint.
    #[must_use]
    pub const fn key(&self) -> Option<&ConfirmationKey> {
        match &self.confirmation {
            Confirmation::Key(key) => Some(key),
            Confirmation::Thumbprint(_) | Confirmation::Certificate(_) | Confirmation::Bearer => None,
        }
    }

    /// The key that a proof is checked with; `None` for a bearer token, and for one that is bound to a certificate.
    ///
    /// # Errors
    /// [`Refusal::ShownKeyMissing`] if the key would have to be shown first.
    pub fn key_for_proof(&self) -> Result<Option<&ConfirmationKey>, Refusal> {
        match &self.confirmation {
            Confirmation::Thumbprint(_) => Err(Refusal::ShownKeyMissing),
            _ => Ok(self.key()),
        }
    }

    /// Whose token it is: issuer and subject, or issuer and key where there is no subject. A bearer token
    /// without a subject belongs to nobody in particular: `None`.
    #[must_use]
    pub fn identity(&self) -> Option<Holder> {
        let issuer = self.issuer.clone();
        match (&self.subject, self.binding()) {
            (Some(subject), _) => Some(Holder::Subject { issuer, subject: subject.clone() }),
            (None, Some(thumbprint)) => Some(Holder::Key { issuer, thumbprint }),
            (None, None) => None,
        }
    }
}
