//! What a validated token gives its holder, in the form in which each message is judged.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::rc::{Rc, Weak};

use ace_profile::scope::{Matcher, Scope};
use ace_profile::token::{Confirmation, Holder, ValidatedToken};
use ace_profile::{Fingerprint, Refusal, Timestamp};

use super::Origin;
use crate::Reason;

/// The rights of one token.
#[derive(Debug)]
pub struct Grant {
    /// The scope,
    pub scope: Rc<Scope>,
    /// and the same compiled.
    pub matcher: Rc<Matcher>,
    /// From this point on the token is worth nothing; [`Timestamp::MAX`] for one that does not expire.
    pub expires: Timestamp,
    /// Who holds it: the token's subject or, without one, what tells its key from others. Becomes the user name.
    pub user_name: CString,
    /// Issuer and subject, or issuer and key: what may not change while a client is connected. A bearer token without a
    /// subject belongs to nobody in particular.
    pub identity: Option<Holder>,
    /// The name of what the token is bound to.
    pub binding: Option<Box<str>>,
    /// What the log calls the token.
    pub fingerprint: Fingerprint,
    /// By what it is found to be revoked.
    pub origin: Origin,
}

impl Grant {
    /// The rights that a good token gives a client of this id at `now`, and its scope with the client's own values in it.
    ///
    /// # Errors
    /// The [`Reason`] why it gives none: it has ended since, it has been revoked, a placeholder cannot be filled in, or its holder's
    /// name cannot be a user name.
    pub fn for_client<'t>(
        token: &'t ValidatedToken,
        client_id: &CStr,
        now: Timestamp,
        has_revoked: impl FnOnce(&Origin) -> bool,
        matchers: &mut Matchers,
    ) -> Result<(Self, Cow<'t, Scope>), Reason> {
        if !token.is_valid_at(now) {
            return Err(Refusal::TokenExpired.into());
        }
        if has_revoked(&Origin::of(token)) {
            return Err(Reason::Revoked);
        }
        let scope = scope_for(token, client_id)?;
        let grant = Self::new(token, &scope, matchers).ok_or(Reason::UserName)?;
        Ok((grant, scope))
    }

    /// The rights that a token gives a client of this id, whose scope is `scope` ([`ValidatedToken::scope_for`]). `None` if its
    /// holder's name cannot be a user name.
    #[must_use]
    pub fn new(token: &ValidatedToken, scope: &Scope, matchers: &mut Matchers) -> Option<Self> {
        let (scope, matcher) = matchers.compiled(scope);
        Some(Self {
            scope,
            matcher,
            expires: token.expires.unwrap_or(Timestamp::MAX),
            user_name: CString::new(user_name(token)).ok()?,
            identity: token.identity(),
            binding: token.binding().map(Into::into),
            fingerprint: token.fingerprint,
            origin: Origin::of(token),
        })
    }

    /// Whether the token still counts.
    #[inline]
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        now < self.expires
    }
}

/// What a token permits a client of this id. A token with placeholders is held as it came, and filled in for each client.
///
/// # Errors
/// [`Reason::NoClientId`] if the id is needed and is no text, and what [`ValidatedToken::scope_for`] says.
pub fn scope_for<'t>(token: &'t ValidatedToken, client_id: &CStr) -> Result<Cow<'t, Scope>, Reason> {
    if !token.has_placeholders {
        return Ok(Cow::Borrowed(&token.scope));
    }
    Ok(token.scope_for(client_id.to_str().map_err(|_| Reason::NoClientId)?)?)
}

/// The token's subject; without one, what tells its key or its certificate from others, and without those, what tells the token.
fn user_name(token: &ValidatedToken) -> String {
    match (&token.subject, &token.confirmation) {
        (Some(subject), _) => subject.clone(),
        (None, Confirmation::Key(key)) => format!("ace-key-{}", key.thumbprint()),
        (None, Confirmation::Thumbprint(thumbprint)) => format!("ace-key-{thumbprint}"),
        (None, Confirmation::Certificate(thumbprint)) => format!("ace-certificate-{thumbprint}"),
        (None, Confirmation::Bearer) => format!("ace-token-{}", token.fingerprint),
    }
}

/// The compiled scopes in use: equal scopes share one.
#[derive(Debug, Default)]
pub struct Matchers {
    compiled: HashMap<Rc<Scope>, Weak<Matcher>>,
    /// At how many entries those that nobody uses any more are thrown out.
    sweep_at: usize,
}

impl Matchers {
    /// How many entries are kept before the first sweep.
    const SWEEP_MIN: usize = 64;

    /// A scope and its matcher, both of them shared by all that have it.
    #[must_use]
    pub fn compiled(&mut self, scope: &Scope) -> (Rc<Scope>, Rc<Matcher>) {
        let known = self.compiled.get_key_value(scope);
        if let Some((scope, matcher)) = known.and_then(|(scope, matcher)| Some((scope, matcher.upgrade()?))) {
            return (Rc::clone(scope), matcher);
        }
        if self.compiled.len() >= self.sweep_at.max(Self::SWEEP_MIN) {
            self.compiled.retain(|_, matcher| matcher.strong_count() > 0);
            self.sweep_at = self.compiled.len() * 2;
        }
        self.compiled.remove(scope);
        let (scope, matcher) = (Rc::new(scope.clone()), Rc::new(Matcher::new(scope)));
        self.compiled.insert(Rc::clone(&scope), Rc::downgrade(&matcher));
        (scope, matcher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ace_profile::scope::{Permissions, TopicFilter};

    fn scope(filter: &str) -> Scope {
        Scope::new([(TopicFilter::parse(filter).unwrap(), Permissions::BOTH)])
    }

    #[test]
    fn equal_scopes_share_a_matcher() {
        let mut matchers = Matchers::default();
        let ((one, matcher), (same, same_matcher)) =
            (matchers.compiled(&scope("a/#")), matchers.compiled(&scope("a/#")));
        assert!(Rc::ptr_eq(&one, &same) && Rc::ptr_eq(&matcher, &same_matcher));
        assert!(!Rc::ptr_eq(&matcher, &matchers.compiled(&scope("b/#")).1));
        // What nobody uses any more is compiled anew, and the scope is the one that stands beside it.
        drop((matcher, same_matcher));
        let (again, _matcher) = matchers.compiled(&scope("a/#"));
        assert_eq!(again, one);
    }

    #[test]
    fn what_nobody_uses_is_thrown_out() {
        let mut matchers = Matchers::default();
        for n in 0..10 * Matchers::SWEEP_MIN {
            let _ = matchers.compiled(&scope(&n.to_string()));
        }
        assert!(matchers.compiled.len() <= 2 * Matchers::SWEEP_MIN);
    }
}
