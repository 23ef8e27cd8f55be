//! Opaque tokens: random names for grants that are kept here, in memory, until they expire.

use std::collections::{HashMap, VecDeque};

use aws_lc_rs::digest;

use crate::grant::Grant;

/// How many opaque tokens a client may hold at a time; one more ends its oldest. With the number of clients fixed by
/// the configuration, this bounds the memory.
const PER_CLIENT: usize = 64;

/// A token's SHA-256 digest. Tokens are looked up by it, so that neither a memory dump nor the time a look-up takes
/// gives one away.
type Name = [u8; 32];

/// The opaque tokens that are out.
#[derive(Default)]
pub(crate) struct References {
    grants: HashMap<Name, Grant>,
    by_client: HashMap<String, VecDeque<Name>>,
}

impl References {
    /// Keeps a grant under a token.
    pub(crate) fn insert(&mut self, token: &str, grant: Grant, now: u64) {
        let names = self.by_client.entry(grant.client_id.clone()).or_default();
        names.retain(|name| {
            let alive = self.grants.get(name).is_some_and(|grant| grant.expires_at > now);
            if !alive {
                self.grants.remove(name);
            }
            alive
        });
        while names.len() >= PER_CLIENT {
            if let Some(oldest) = names.pop_front() {
                self.grants.remove(&oldest);
            }
        }
        let name = name_of(token);
        names.push_back(name);
        self.grants.insert(name, grant);
    }

    /// The grant that a token stands for, unless it has expired.
    pub(crate) fn find(&self, token: &str, now: u64) -> Option<&Grant> {
        self.grants.get(&name_of(token)).filter(|grant| grant.expires_at > now)
    }
}

fn name_of(token: &str) -> Name {
    let mut name = [0; 32];
    name.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Confirmation;
    use ace_profile::scope::Scope;

    fn grant(client: &str, expires_at: u64) -> Grant {
        Grant {
            client_id: client.to_owned(),
            subject: client.to_owned(),
            audience: "broker".to_owned(),
            scope: Scope::default(),
            issued_at: 0,
            expires_at,
            confirmation: Confirmation::Public(serde_json::Value::Null),
        }
    }

    #[test]
    fn a_token_is_found_until_it_expires() {
        let mut references = References::default();
        references.insert("one", grant("a", 100), 0);
        assert!(references.find("one", 99).is_some());
        assert!(references.find("one", 100).is_none());
        assert!(references.find("two", 0).is_none());
    }

    #[test]
    fn each_client_is_bounded_and_the_oldest_goes_first() {
        let mut references = References::default();
        references.insert("other", grant("b", 100), 0);
        for number in 0..=PER_CLIENT {
            references.insert(&format!("t{number}"), grant("a", 100), 0);
        }
        assert!(references.find("t0", 0).is_none());
        assert!(references.find("t1", 0).is_some());
        assert!(references.find(&format!("t{PER_CLIENT}"), 0).is_some());
        assert!(references.find("other", 0).is_some());
        assert_eq!(references.grants.len(), PER_CLIENT + 1);
    }

    #[test]
    fn expired_ones_are_dropped() {
        let mut references = References::default();
        for number in 0..10 {
            references.insert(&format!("t{number}"), grant("a", 100), 0);
        }
        references.insert("new", grant("a", 300), 200);
        assert_eq!(references.grants.len(), 1);
        assert_eq!(references.by_client["a"].len(), 1);
    }
}
