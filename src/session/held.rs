//! The tokens that the broker holds: one per proof-of-possession key, the newest (rfc9431.md T7), until it expires (R1).
//!
//! They come from CONNECT and from the `authz-info` topic, and outlive connections: a client that says nothing but who it is
//! (C4), or that shows its key in the TLS handshake (L2, L3), is found here. Holding a token gives nobody anything: each use
//! asks for the key's proof again.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};

use ace_profile::Timestamp;
use ace_profile::jose::KeyType;
use ace_profile::proof::ConfirmationKey;
use ace_profile::token::{EarlierKey, ValidatedToken};
use ace_resource_server::config::HeldBounds;

/// What a token takes beside its texts: the tables' entries with the room that they keep free, the key, and what is lost
/// between blocks of memory. Measured: tests/broker/flood.rs compares it with what the broker's process takes.
const BYTES_PER_TOKEN: usize = 1280;
/// What a filter takes beside its text.
const BYTES_PER_FILTER: usize = 48;

/// What a token is bound to: [`ValidatedToken::binding`].
type Thumbprint = Rc<str>;

/// The tokens that have come since they were last asked for, the newest last: sessions that rest on their keys may have to be
/// given their rights.
pub type Arrivals = Rc<RefCell<Vec<Rc<ValidatedToken>>>>;

thread_local! {
    // With `per_listener_settings` the plugin is loaded once per listener, and a token that is shown on one serves on all that
    // have the same configuration.
    static SHARED: RefCell<HashMap<PathBuf, Weak<RefCell<HeldTokens>>>> = RefCell::default();
}
/// A holder and the `kid` of its key, by which a later token may name the key.
type Name = Rc<str>;

/// All tokens that are held.
#[derive(Debug, Default)]
pub struct HeldTokens {
    by_key: HashMap<Thumbprint, Box<Held>>,
    by_client: HashMap<Box<CStr>, Thumbprint>,
    by_kid: HashMap<Box<str>, Thumbprint>,
    by_name: HashMap<Name, Thumbprint>,
    by_expiry: BTreeSet<(Timestamp, Thumbprint)>,
    bytes: usize,
    bounds: HeldBounds,
    watchers: Vec<Weak<RefCell<Vec<Rc<ValidatedToken>>>>>,
}

#[derive(Debug)]
struct Held {
    token: Rc<ValidatedToken>,
    client_id: Option<Box<CStr>>,
    kid: Option<Box<str>>,
    name: Option<Name>,
    expires: Timestamp,
    bytes: usize,
}

impl HeldTokens {
    /// Holds that many tokens from now on.
    pub fn set_bounds(&mut self, bounds: HeldBounds) {
        self.bounds = bounds;
        self.shrink();
    }

    /// The tokens that are held for this configuration, by all plugins of the process that have it.
    #[must_use]
    pub fn shared(configuration: &Path) -> Rc<RefCell<Self>> {
        let Ok(path) = configuration.canonicalize() else { return Rc::default() };
        SHARED.with_borrow_mut(|shared| {
            shared.retain(|_, held| held.strong_count() > 0);
            if let Some(held) = shared.get(&path).and_then(Weak::upgrade) {
                return held;
            }
            let held = Rc::default();
            shared.insert(path, Rc::downgrade(&held));
            held
        })
    }

    /// Has each token that comes from now on put there, too.
    #[must_use]
    pub fn watch(&mut self) -> Arrivals {
        let arrivals = Arrivals::default();
        self.watchers.retain(|watcher| watcher.strong_count() > 0);
        self.watchers.push(Rc::downgrade(&arrivals));
        arrivals
    }

    /// Holds a token in place of whatever was held for its key. `client_id` is the client that has proved the key, if one
    /// has. A bearer token has nothing to be found by, and is not held.
    ///
    /// `false` if the token is not held: there is no room, and all others expire later.
    pub fn hold(&mut self, token: Rc<ValidatedToken>, client_id: Option<&CStr>) -> bool {
        let Some(thumbprint) = token.binding().map(Thumbprint::from) else { return false };
        let kid: Option<Box<str>> = token.key().and_then(|key| key.kid()).map(Into::into);
        let name = kid.as_ref().and_then(|kid| Some(name(&token.issuer, token.subject.as_deref()?, kid)));
        // A token from `authz-info` says nothing about who will use it: what is known stays known.
        let known_client = self.remove(&thumbprint).and_then(|held| held.client_id);
        let client_id: Option<Box<CStr>> = client_id.map(Into::into).or(known_client);
        // The client id stands here and in the table.
        let bytes = bytes_of(&token) + client_id.as_ref().map_or(0, |id| 2 * id.count_bytes());
        let expires = token.expires.unwrap_or(Timestamp::MAX);
        if let Some(client_id) = &client_id {
            self.by_client.insert(client_id.clone(), Rc::clone(&thumbprint));
        }
        // Clients choose the kid of their public keys themselves: none of those takes the name of a symmetric one.
        if let Some(kid) = &kid
            && (is_symmetric(&token) || !self.names_symmetric_key(kid))
        {
            self.by_kid.insert(kid.clone(), Rc::clone(&thumbprint));
        }
        if let Some(name) = &name {
            self.by_name.insert(Rc::clone(name), Rc::clone(&thumbprint));
        }
        self.by_expiry.insert((expires, Rc::clone(&thumbprint)));
        self.bytes += bytes;
        for arrivals in self.watchers.iter().filter_map(Weak::upgrade) {
            arrivals.borrow_mut().push(Rc::clone(&token));
        }
        let held = Held { token, client_id, kid, name, expires, bytes };
        self.by_key.insert(Rc::clone(&thumbprint), Box::new(held));
        self.shrink();
        self.by_key.contains_key(&thumbprint)
    }

    /// Drops what is beyond the bounds.
    fn shrink(&mut self) {
        while self.by_key.len() > self.bounds.tokens || self.bytes > self.bounds.bytes {
            let Some((_, soonest)) = self.by_expiry.first().cloned() else { break };
            self.remove(&soonest);
        }
    }

    /// The token that this client has last shown, if it is still valid.
    #[must_use]
    pub fn of_client(&self, client_id: &CStr, now: Timestamp) -> Option<Rc<ValidatedToken>> {
        self.of_key(self.by_client.get(client_id)?, now)
    }

    /// The token whose key has this `kid`, if it is still valid.
    #[must_use]
    pub fn of_kid(&self, kid: &str, now: Timestamp) -> Option<Rc<ValidatedToken>> {
        self.of_key(self.by_kid.get(kid)?, now)
    }

    /// The token whose key has this thumbprint, or that is bound to the certificate of this name, if it is still valid.
    #[must_use]
    pub fn of_key(&self, thumbprint: &str, now: Timestamp) -> Option<Rc<ValidatedToken>> {
        let held = self.by_key.get(thumbprint)?;
        held.token.is_valid_at(now).then(|| Rc::clone(&held.token))
    }

    /// The key by this name of the newest token that its holder has one by, if that token is still valid.
    #[must_use]
    pub fn earlier_key(&self, wanted: &EarlierKey<'_>, now: Timestamp) -> Option<ConfirmationKey> {
        let thumbprint = self.by_name.get(&name(wanted.issuer, wanted.subject, wanted.kid))?;
        self.of_key(thumbprint, now)?.key().cloned()
    }

    /// Drops the tokens that have expired.
    pub fn forget_expired(&mut self, now: Timestamp) {
        while let Some((expires, soonest)) = self.by_expiry.first().cloned() {
            if expires > now {
                break;
            }
            self.remove(&soonest);
        }
    }

    /// Drops those tokens that are such.
    pub fn forget(&mut self, is_such: impl Fn(&ValidatedToken) -> bool) {
        let such: Vec<Thumbprint> =
            self.by_key.iter().filter(|(_, held)| is_such(&held.token)).map(|(key, _)| Rc::clone(key)).collect();
        for key in such {
            self.remove(&key);
        }
    }

    /// Looks at all of them.
    pub fn for_each(&self, mut look: impl FnMut(&ValidatedToken)) {
        self.by_key.values().for_each(|held| look(&held.token));
    }

    /// Drops the token for the key of this thumbprint. `false` if there is none.
    pub fn forget_key(&mut self, thumbprint: &str) -> bool {
        self.remove(thumbprint).is_some()
    }

    /// How many tokens are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// How many bytes they take, about.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn names_symmetric_key(&self, kid: &str) -> bool {
        self.by_kid.get(kid).and_then(|named| self.by_key.get(named)).is_some_and(|held| is_symmetric(&held.token))
    }

    fn remove(&mut self, thumbprint: &str) -> Option<Box<Held>> {
        let (thumbprint, held) = self.by_key.remove_entry(thumbprint)?;
        self.bytes -= held.bytes;
        // Another key may have taken the client's or the kid's place since.
        if let Some(client_id) = &held.client_id
            && self.by_client.get(client_id) == Some(&thumbprint)
        {
            self.by_client.remove(client_id);
        }
        if let Some(kid) = &held.kid
            && self.by_kid.get(kid) == Some(&thumbprint)
        {
            self.by_kid.remove(kid);
        }
        if let Some(name) = &held.name
            && self.by_name.get(name) == Some(&thumbprint)
        {
            self.by_name.remove(name);
        }
        self.by_expiry.remove(&(held.expires, thumbprint));
        Some(held)
    }
}

fn is_symmetric(token: &ValidatedToken) -> bool {
    token.key().is_some_and(|key| key.key_type() == KeyType::Symmetric)
}

/// Unambiguous: the lengths say where each part ends.
fn name(issuer: &str, subject: &str, kid: &str) -> Name {
    format!("{}:{}:{issuer}{subject}{kid}", issuer.len(), subject.len()).into()
}

fn bytes_of(token: &ValidatedToken) -> usize {
    let filters = token.scope.entries().iter().map(|entry| entry.filter.as_str().len() + BYTES_PER_FILTER);
    let audience = token.audience.iter().map(String::len).sum::<usize>();
    let kid = token.key().and_then(ConfirmationKey::kid).map_or(0, str::len);
    // They stand in the token and in the name of its key, the `kid` in the tables as well.
    let names = token.issuer.len() + token.subject.as_ref().map_or(0, String::len) + 2 * kid;
    let asked_with = token.asked_with.as_ref().map_or(0, |asked| asked.sent().len());
    BYTES_PER_TOKEN + filters.sum::<usize>() + audience + 2 * names + asked_with
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use ace_profile::Fingerprint;
    use ace_profile::jose::Jwk;
    use ace_profile::proof::ConfirmationKey;
    use ace_profile::revocation::TokenHashes;
    use ace_profile::scope::Scope;
    use ace_profile::token::Confirmation;

    use super::*;

    fn token(key: u8, subject: &str, expires: u64) -> Rc<ValidatedToken> {
        let jwk = Jwk::from_symmetric(&[key; 32]).unwrap().with_kid(format!("kid-{key}"));
        Rc::new(ValidatedToken {
            issuer: "as".into(),
            subject: Some(subject.into()),
            audience: vec!["broker".into()],
            expires: Some(Timestamp::from_unix_seconds(expires)),
            confirmation: Confirmation::Key(ConfirmationKey::from_jwk(&jwk).unwrap()),
            scope: Scope::default(),
            has_placeholders: false,
            fingerprint: Fingerprint::of(subject.as_bytes()),
            hashes: TokenHashes::of_text(subject),
            asked_with: None,
            first_sight: None,
        })
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn subject(token: Option<Rc<ValidatedToken>>) -> Option<String> {
        token.and_then(|token| token.subject.clone())
    }

    #[test]
    fn the_newest_token_of_a_key_is_held_until_it_expires() {
        let mut held = HeldTokens::default();
        assert!(held.hold(token(1, "first", 10), Some(c"client")));
        assert!(held.hold(token(1, "second", 20), None));
        assert_eq!(held.len(), 1);
        assert_eq!(subject(held.of_client(c"client", at(19))).as_deref(), Some("second"));
        assert_eq!(subject(held.of_kid("kid-1", at(19))).as_deref(), Some("second"));
        assert!(held.of_client(c"client", at(20)).is_none());
        assert!(held.of_client(c"other", at(19)).is_none());
        held.forget_expired(at(19));
        assert_eq!(held.len(), 1);
        held.forget_expired(at(20));
        assert!(held.is_empty() && held.by_client.is_empty() && held.by_kid.is_empty());
        assert!(held.by_name.is_empty() && held.by_expiry.is_empty());
        assert_eq!(held.bytes(), 0);
    }

    #[test]
    fn a_client_with_a_new_key_is_found_by_it() {
        let mut held = HeldTokens::default();
        assert!(held.hold(token(1, "old", 10), Some(c"client")));
        assert!(held.hold(token(2, "new", 20), Some(c"client")));
        assert_eq!(subject(held.of_client(c"client", at(5))).as_deref(), Some("new"));
        held.forget_expired(at(10));
        assert_eq!(subject(held.of_client(c"client", at(15))).as_deref(), Some("new"));
    }

    #[test]
    fn revoked_tokens_are_forgotten() {
        let mut held = HeldTokens::default();
        for key in 1..=3 {
            held.hold(token(key, &key.to_string(), 10), None);
        }
        held.forget(|token| token.hashes == TokenHashes::of_text("2"));
        let known = |kid| held.of_kid(kid, Timestamp::EPOCH).is_some();
        assert!(known("kid-1") && !known("kid-2") && known("kid-3"));
        assert_eq!(held.by_expiry.len(), 2);
    }

    #[test]
    fn a_public_key_does_not_take_the_name_of_a_symmetric_one() {
        let public = |kid: &str| {
            let jwk = Jwk::ed25519_from_seed(&[7; 32]).unwrap().to_public().unwrap().with_kid(kid);
            let confirmation = Confirmation::Key(ConfirmationKey::from_jwk(&jwk).unwrap());
            Rc::new(ValidatedToken { confirmation, ..(*token(9, "public", 20)).clone() })
        };
        let mut held = HeldTokens::default();
        held.hold(token(1, "symmetric", 20), None);
        held.hold(public("kid-1"), None);
        assert_eq!(subject(held.of_kid("kid-1", at(10))).as_deref(), Some("symmetric"));
        held.hold(public("kid-2"), None);
        held.hold(token(2, "symmetric", 20), None);
        assert_eq!(subject(held.of_kid("kid-2", at(10))).as_deref(), Some("symmetric"));
        held.hold(public("kid-3"), None);
        assert_eq!(subject(held.of_kid("kid-3", at(10))).as_deref(), Some("public"));
    }

    #[test]
    fn one_configuration_has_one_store_and_all_hear_of_a_new_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| {
            std::fs::write(folder.path().join(name), "").unwrap();
            folder.path().join(name)
        };
        let (one, same) = (HeldTokens::shared(&path("a")), HeldTokens::shared(&folder.path().join("./a")));
        let other = HeldTokens::shared(&path("b"));
        let arrivals = one.borrow_mut().watch();
        let more = same.borrow_mut().watch();
        let elsewhere = other.borrow_mut().watch();
        one.borrow_mut().hold(token(1, "device", 10), None);
        assert!(same.borrow().of_kid("kid-1", at(5)).is_some() && other.borrow().is_empty());
        assert_eq!((arrivals.borrow().len(), more.borrow().len(), elsewhere.borrow().len()), (1, 1, 0));
        drop((one, same));
        assert!(HeldTokens::shared(&path("a")).borrow().is_empty());
    }

    #[test]
    fn beyond_the_bounds_those_that_expire_first_are_dropped() {
        let mut held = HeldTokens::default();
        held.set_bounds(HeldBounds { tokens: 2, ..HeldBounds::default() });
        for (key, expires) in [(1, 30), (2, 10), (3, 20)] {
            assert!(held.hold(token(key, "subject", expires), None));
        }
        let known = |kid| held.of_kid(kid, Timestamp::EPOCH).is_some();
        assert!(known("kid-1") && !known("kid-2") && known("kid-3"));
        // One that would have to go first is not taken in the first place.
        assert!(!held.hold(token(4, "subject", 5), None));
        held.set_bounds(HeldBounds { tokens: 1, ..HeldBounds::default() });
        assert!(held.of_kid("kid-1", Timestamp::EPOCH).is_some() && held.len() == 1);
        let mut held = HeldTokens::default();
        held.set_bounds(HeldBounds { tokens: 100, bytes: 3 * BYTES_PER_TOKEN });
        for key in 1..100 {
            assert!(held.hold(token(key, "subject", u64::from(key)), None));
        }
        assert_eq!(held.len(), 2);
        assert!(held.bytes() <= 3 * BYTES_PER_TOKEN);
        // A long client id takes room, too, and gives it back.
        let (id, before) = (CString::new(vec![b'i'; 500]).unwrap(), held.bytes());
        assert!(held.hold(token(99, "subject", 99), Some(&id)));
        assert_eq!((held.len(), held.bytes()), (2, before + 1000));
        held.forget_expired(Timestamp::MAX);
        assert_eq!(held.bytes(), 0);
    }
    #[test]
    fn a_key_is_found_by_its_holders_name_for_it() {
        let mut held = HeldTokens::default();
        assert!(held.hold(token(1, "one", 10), None));
        let find = |held: &HeldTokens, issuer, subject, kid, now| {
            held.earlier_key(&EarlierKey { issuer, subject, kid }, at(now)).map(|key| key.thumbprint())
        };
        let thumbprint = token(1, "", 0).key().map(ConfirmationKey::thumbprint);
        assert_eq!(find(&held, "as", "one", "kid-1", 9), thumbprint);
        assert_eq!(find(&held, "as", "one", "kid-1", 10), None);
        for (issuer, subject, kid) in [("other", "one", "kid-1"), ("as", "two", "kid-1"), ("as", "one", "kid-2")] {
            assert_eq!(find(&held, issuer, subject, kid, 9), None, "{issuer} {subject} {kid}");
        }
        assert_eq!(find(&held, "aso", "ne", "kid-1", 9), None);
        // Another holder of a key of that name changes nothing for this one.
        let other = Jwk::from_symmetric(&[7; 32]).unwrap().with_kid("kid-1");
        let other = Confirmation::Key(ConfirmationKey::from_jwk(&other).unwrap());
        let token = ValidatedToken { confirmation: other, ..(*token(7, "two", 20)).clone() };
        assert!(held.hold(Rc::new(token), None));
        assert_eq!(find(&held, "as", "one", "kid-1", 9), thumbprint);
        assert!(find(&held, "as", "two", "kid-1", 9).is_some_and(|found| Some(found) != thumbprint));
    }
}
