//! The newest token of each client id, for as long as it is valid.
//!
//! The broker asks about the publisher of a retained message each time that it would deliver it, long after that client has
//! gone: the message lives as long as the publisher's token (RFC 9431 §5, rfc9431.md R1, R2). Kept in memory: a publisher
//! that has not been seen since the broker's start counts as expired.

use std::collections::{BTreeSet, HashMap};
use std::ffi::CStr;
use std::rc::Rc;

use ace_profile::Timestamp;

use super::grant::Grant;

/// How many clients are remembered; beyond that, those whose tokens expire first are forgotten.
const CLIENTS_MAX: usize = 65_536;

/// What clients have last shown.
#[derive(Debug)]
pub struct Publishers {
    by_client: HashMap<Box<CStr>, Rc<Grant>>,
    by_expiry: BTreeSet<(Timestamp, Box<CStr>)>,
    most: usize,
}

impl Default for Publishers {
    fn default() -> Self {
        Self::with_most(CLIENTS_MAX)
    }
}

impl Publishers {
    fn with_most(most: usize) -> Self {
        Self { by_client: HashMap::new(), by_expiry: BTreeSet::new(), most }
    }

    /// Notes a client's newest token.
    pub fn insert(&mut self, client_id: &CStr, grant: Rc<Grant>) {
        self.remove(client_id);
        while self.by_client.len() >= self.most {
            let Some((_, soonest)) = self.by_expiry.pop_first() else { break };
            self.by_client.remove(&soonest);
        }
        self.by_expiry.insert((grant.expires, client_id.into()));
        self.by_client.insert(client_id.into(), grant);
    }

    /// The token that a client of this id and user name has last shown, if it is still valid.
    #[must_use]
    pub fn get(&self, client_id: &CStr, user_name: &CStr, now: Timestamp) -> Option<&Grant> {
        let grant = self.by_client.get(client_id)?;
        (grant.user_name.as_c_str() == user_name && grant.is_valid_at(now)).then_some(grant)
    }

    /// Forgets those whose tokens have expired.
    pub fn forget_expired(&mut self, now: Timestamp) {
        while self.by_expiry.first().is_some_and(|(expires, _)| *expires <= now) {
            if let Some((_, client)) = self.by_expiry.pop_first() {
                self.by_client.remove(&client);
            }
        }
    }

    fn remove(&mut self, client_id: &CStr) {
        if let Some((client_id, grant)) = self.by_client.remove_entry(client_id) {
            self.by_expiry.remove(&(grant.expires, client_id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ace_profile::Fingerprint;
    use ace_profile::scope::{Matcher, Scope};

    fn grant(user_name: &CStr, expires: u64) -> Rc<Grant> {
        Rc::new(Grant {
            matcher: Rc::new(Matcher::new(&Scope::default())),
            expires: Timestamp::from_unix_seconds(expires),
            user_name: user_name.into(),
            identity: None,
            fingerprint: Fingerprint::of(b"token"),
        })
    }

    #[test]
    fn the_newest_token_of_the_same_user_counts_until_it_expires() {
        let at = Timestamp::from_unix_seconds;
        let mut publishers = Publishers::default();
        publishers.insert(c"a", grant(c"user", 10));
        publishers.insert(c"a", grant(c"user", 20));
        assert!(publishers.get(c"a", c"user", at(19)).is_some());
        assert!(publishers.get(c"a", c"user", at(20)).is_none());
        assert!(publishers.get(c"a", c"other", at(19)).is_none());
        assert!(publishers.get(c"b", c"user", at(19)).is_none());
        publishers.forget_expired(at(10));
        assert!(publishers.get(c"a", c"user", at(19)).is_some());
        publishers.forget_expired(at(20));
        assert!(publishers.by_client.is_empty() && publishers.by_expiry.is_empty());
    }

    #[test]
    fn beyond_the_bound_the_soonest_to_expire_is_forgotten() {
        let mut publishers = Publishers::with_most(2);
        for (client, expires) in [(c"a", 10), (c"b", 5), (c"c", 20)] {
            publishers.insert(client, grant(c"user", expires));
        }
        let known = |client| publishers.get(client, c"user", Timestamp::EPOCH).is_some();
        assert!(known(c"a") && !known(c"b") && known(c"c"));
    }
}
