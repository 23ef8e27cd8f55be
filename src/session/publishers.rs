//! The newest token of each client id and user name, for as long as it is valid.
//!
//! The broker asks about the publisher of a retained message each time that it would deliver it, long after that client has
//! gone: the message lives as long as the publisher's token (RFC 9431 §5, rfc9431.md R1, R2). After a restart it also asks
//! about clients that it has the sessions of, and that have not come back yet, for each message that it would queue (R4). This
//! is what is in memory; [`state`](crate::state) keeps it across restarts.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{CStr, CString};
use std::rc::Rc;

use ace_profile::Timestamp;
use ace_profile::scope::{Matcher, Permission};
use ace_resource_server::rights::Origin;

/// How many publishers are remembered; beyond that, those whose tokens expire first are forgotten.
const PUBLISHERS_MAX: usize = 65_536;

/// What a client has last shown.
#[derive(Debug)]
pub struct Publisher {
    /// The user name that it had.
    pub user_name: CString,
    /// What it may do.
    pub matcher: Rc<Matcher>,
    /// Until when.
    pub expires: Timestamp,
    /// By what its token is found to be revoked.
    pub origin: Origin,
}

/// All of them.
#[derive(Debug)]
pub struct Publishers {
    /// Of one client id there may be several: somebody else's connection under it takes nothing from the one before.
    by_client: HashMap<Box<CStr>, Vec<Publisher>>,
    by_expiry: BTreeSet<(Timestamp, Box<CStr>, CString)>,
    most: usize,
}

impl Default for Publishers {
    fn default() -> Self {
        Self::with_most(PUBLISHERS_MAX)
    }
}

impl Publishers {
    fn with_most(most: usize) -> Self {
        Self { by_client: HashMap::new(), by_expiry: BTreeSet::new(), most }
    }

    /// Notes a client's newest token.
    pub fn insert(&mut self, client_id: &CStr, publisher: Publisher) {
        self.remove(client_id, &publisher.user_name);
        while self.by_expiry.len() >= self.most {
            if !self.remove_soonest() {
                break;
            }
        }
        self.by_expiry.insert((publisher.expires, client_id.into(), publisher.user_name.clone()));
        self.by_client.entry(client_id.into()).or_default().push(publisher);
    }

    /// Whether the token that a client of this id and user name has last shown is still valid, and gives this permission.
    #[must_use]
    pub fn may(
        &self,
        client_id: &CStr,
        user_name: &CStr,
        permission: Permission,
        topic: &[u8],
        now: Timestamp,
    ) -> bool {
        self.by_client.get(client_id).into_iter().flatten().any(|publisher| {
            publisher.user_name.as_c_str() == user_name
                && now < publisher.expires
                && publisher.matcher.permits(permission, topic)
        })
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_expiry.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_expiry.is_empty()
    }

    /// Forgets those whose tokens have expired.
    pub fn forget_expired(&mut self, now: Timestamp) {
        while self.by_expiry.first().is_some_and(|(expires, ..)| *expires <= now) {
            self.remove_soonest();
        }
    }

    /// Forgets those whose tokens are such, and gives them with their client ids.
    pub fn forget(&mut self, is_such: impl Fn(&Origin) -> bool) -> Vec<(Box<CStr>, Publisher)> {
        let Self { by_client, by_expiry, .. } = self;
        let mut forgotten = Vec::new();
        by_client.retain(|client_id, publishers| {
            for publisher in publishers.extract_if(.., |publisher| is_such(&publisher.origin)) {
                by_expiry.remove(&(publisher.expires, client_id.clone(), publisher.user_name.clone()));
                forgotten.push((client_id.clone(), publisher));
            }
            !publishers.is_empty()
        });
        forgotten
    }

    /// Forgets the one whose token expires first; `false` if there is none.
    fn remove_soonest(&mut self) -> bool {
        let Some((_, client_id, user_name)) = self.by_expiry.first().cloned() else { return false };
        self.remove(&client_id, &user_name);
        true
    }

    fn remove(&mut self, client_id: &CStr, user_name: &CStr) {
        let Some(publishers) = self.by_client.get_mut(client_id) else { return };
        if let Some(at) = publishers.iter().position(|publisher| publisher.user_name.as_c_str() == user_name) {
            let publisher = publishers.swap_remove(at);
            self.by_expiry.remove(&(publisher.expires, client_id.into(), publisher.user_name));
        }
        if publishers.is_empty() {
            self.by_client.remove(client_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ace_profile::revocation::TokenHashes;
    use ace_profile::scope::Scope;

    fn publisher(user_name: &CStr, expires: u64) -> Publisher {
        let scope = Scope::from_aif_value(&serde_json::json!([["a/#", ["pub"]]])).unwrap();
        Publisher {
            user_name: user_name.into(),
            matcher: Rc::new(Matcher::new(&scope)),
            expires: Timestamp::from_unix_seconds(expires),
            origin: Origin { issuer: "as".into(), hashes: TokenHashes::of_text(&expires.to_string()) },
        }
    }

    #[test]
    fn those_whose_tokens_are_revoked_are_forgotten() {
        let mut publishers = Publishers::default();
        for (user_name, expires) in [(c"one", 10), (c"two", 20), (c"three", 30)] {
            publishers.insert(c"client", publisher(user_name, expires));
        }
        publishers.forget(|origin| origin.hashes == TokenHashes::of_text("20"));
        let may = |user_name| {
            publishers.may(c"client", user_name, Permission::Publish, b"a/b", Timestamp::from_unix_seconds(5))
        };
        assert!(may(c"one") && !may(c"two") && may(c"three"));
        assert_eq!(publishers.by_expiry.len(), 2);
        publishers.forget(|_| true);
        assert!(publishers.by_client.is_empty() && publishers.by_expiry.is_empty());
    }

    #[test]
    fn the_newest_token_of_the_same_user_counts_until_it_expires() {
        let at = Timestamp::from_unix_seconds;
        let mut publishers = Publishers::default();
        publishers.insert(c"a", publisher(c"user", 10));
        publishers.insert(c"a", publisher(c"user", 20));
        assert!(publishers.may(c"a", c"user", Permission::Publish, b"a/b", at(19)));
        assert!(!publishers.may(c"a", c"user", Permission::Publish, b"b", at(19)));
        assert!(!publishers.may(c"a", c"user", Permission::Publish, b"a/b", at(20)));
        assert!(!publishers.may(c"a", c"other", Permission::Publish, b"a/b", at(19)));
        assert!(!publishers.may(c"b", c"user", Permission::Publish, b"a/b", at(19)));
        assert!(!publishers.may(c"a", c"user", Permission::Subscribe, b"a/b", at(19)));
        publishers.forget_expired(at(10));
        assert!(publishers.may(c"a", c"user", Permission::Publish, b"a/b", at(19)));
        publishers.forget_expired(at(20));
        assert!(publishers.by_client.is_empty() && publishers.by_expiry.is_empty());
    }

    #[test]
    fn of_one_client_id_each_user_has_its_own() {
        let at = Timestamp::from_unix_seconds;
        let mut publishers = Publishers::default();
        publishers.insert(c"a", publisher(c"user", 10));
        publishers.insert(c"a", publisher(c"other", 20));
        publishers.insert(c"a", publisher(c"other", 30));
        let may = |publishers: &Publishers, user, now| publishers.may(c"a", user, Permission::Publish, b"a/b", at(now));
        assert!(may(&publishers, c"user", 9) && may(&publishers, c"other", 9));
        publishers.forget_expired(at(10));
        assert!(!may(&publishers, c"user", 9) && may(&publishers, c"other", 29));
        publishers.forget_expired(at(30));
        assert!(publishers.by_client.is_empty() && publishers.by_expiry.is_empty());
    }

    #[test]
    fn beyond_the_bound_the_soonest_to_expire_is_forgotten() {
        let mut publishers = Publishers::with_most(2);
        for (client, expires) in [(c"a", 10), (c"b", 5), (c"c", 20)] {
            publishers.insert(client, publisher(c"user", expires));
        }
        let known = |client| publishers.may(client, c"user", Permission::Publish, b"a", Timestamp::EPOCH);
        assert!(known(c"a") && !known(c"b") && known(c"c"));
    }
}
