//! Tokens that are out: remembered until they expire or are revoked.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::Sha256;
use crate::grant::Grant;

/// How many opaque tokens a client may hold at a time; one more ends its oldest. With the number of clients fixed by
/// the configuration, this bounds the memory.
const OPAQUE_PER_CLIENT: usize = 64;

/// How many JWTs of a client are remembered. One more makes its oldest forgotten, which does not end it: it speaks
/// for itself, and whoever presents it can still have it revoked.
const JWT_PER_CLIENT: usize = 256;

/// What has to be known of a token in order to revoke it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    /// What it is looked up by.
    pub(crate) identity: Sha256,
    /// Its hash in the token revocation list.
    pub(crate) hash: Sha256,
    /// Whose it is.
    pub(crate) client_id: String,
    /// Whom it is made out to.
    pub(crate) audience: String,
    /// `exp`.
    pub(crate) expires_at: u64,
}

/// A token that is out.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    /// What has to be known of any.
    pub(crate) facts: Facts,
    /// What it stands for, if it does not say so itself.
    pub(crate) grant: Option<Grant>,
}

impl Issued {
    /// Whether the token has exactly this text. An opaque token has no other, though its identity may.
    pub(crate) fn is_text(&self, token: &str) -> bool {
        self.facts.hash == Sha256::of_token(token)
    }
}

/// All tokens that are out.
#[derive(Debug, Default)]
pub(super) struct Live {
    tokens: HashMap<Sha256, Issued>,
    by_client: HashMap<String, VecDeque<Sha256>>,
}

impl Live {
    /// Remembers a token.
    pub(super) fn insert(&mut self, issued: Issued, now: u64) {
        let Self { tokens, by_client } = self;
        let names = by_client.entry(issued.facts.client_id.clone()).or_default();
        names.retain(|name| {
            let alive = tokens.get(name).is_some_and(|token| token.facts.expires_at > now);
            if !alive {
                tokens.remove(name);
            }
            alive
        });
        let opaque = issued.grant.is_some();
        let same_kind = |name: &Sha256| tokens.get(name).is_some_and(|token| token.grant.is_some() == opaque);
        let limit = if opaque { OPAQUE_PER_CLIENT } else { JWT_PER_CLIENT };
        if names.iter().filter(|name| same_kind(name)).count() >= limit
            && let Some(oldest) = names.iter().position(same_kind)
            && let Some(oldest) = names.remove(oldest)
        {
            tokens.remove(&oldest);
        }
        let name = issued.facts.identity;
        names.push_back(name);
        tokens.insert(name, issued);
    }

    /// A token, unless it has expired.
    pub(super) fn find(&self, identity: &Sha256, now: u64) -> Option<&Issued> {
        self.tokens.get(identity).filter(|token| token.facts.expires_at > now)
    }

    /// Ends or forgets a token.
    pub(super) fn remove(&mut self, identity: &Sha256) {
        if let Some(token) = self.tokens.remove(identity)
            && let Some(names) = self.by_client.get_mut(&token.facts.client_id)
        {
            names.retain(|name| name != identity);
        }
    }

    /// Those that have not expired, a client's in the order in which they were issued.
    pub(super) fn iter(&self, now: u64) -> impl Iterator<Item = &Issued> {
        self.by_client.values().flatten().filter_map(move |name| self.find(name, now))
    }
}

#[cfg(test)]
mod tests {
    use ace_profile::scope::Scope;

    use super::*;
    use crate::grant::Confirmation;

    fn token(text: &str, client: &str, expires_at: u64) -> Issued {
        let facts = Facts {
            identity: Sha256::identity_of(text),
            hash: Sha256::of_token(text),
            client_id: client.to_owned(),
            audience: "broker".to_owned(),
            expires_at,
        };
        Issued { facts, grant: None }
    }

    fn opaque(text: &str, client: &str, expires_at: u64) -> Issued {
        let grant = Grant {
            client_id: client.to_owned(),
            subject: client.to_owned(),
            audience: "broker".to_owned(),
            scope: Scope::default(),
            issued_at: 0,
            expires_at,
            confirmation: Confirmation::Public(serde_json::Value::Null),
        };
        Issued { grant: Some(grant), ..token(text, client, expires_at) }
    }

    fn found(live: &Live, text: &str, now: u64) -> bool {
        live.find(&Sha256::identity_of(text), now).is_some()
    }

    #[test]
    fn a_token_is_found_until_it_expires_or_is_removed() {
        let mut live = Live::default();
        live.insert(opaque("one", "a", 100), 0);
        assert!(found(&live, "one", 99) && !found(&live, "one", 100) && !found(&live, "two", 0));
        live.remove(&Sha256::identity_of("one"));
        assert!(!found(&live, "one", 99));
        assert!(live.by_client["a"].is_empty());
    }

    #[test]
    fn each_client_is_bounded_for_each_kind_and_the_oldest_goes_first() {
        let mut live = Live::default();
        live.insert(opaque("other", "b", 100), 0);
        live.insert(token("jwt.0.", "a", 100), 0);
        for number in 0..=OPAQUE_PER_CLIENT {
            live.insert(opaque(&format!("t{number}"), "a", 100), 0);
        }
        assert!(!found(&live, "t0", 0) && found(&live, "t1", 0) && found(&live, &format!("t{OPAQUE_PER_CLIENT}"), 0));
        assert!(found(&live, "other", 0) && found(&live, "jwt.0.", 0));
        assert_eq!(live.tokens.len(), OPAQUE_PER_CLIENT + 2);
        for number in 1..=JWT_PER_CLIENT {
            live.insert(token(&format!("jwt.{number}."), "a", 100), 0);
        }
        assert!(!found(&live, "jwt.0.", 0) && found(&live, "jwt.1.", 0) && found(&live, "t1", 0));
        assert_eq!(live.iter(0).count(), OPAQUE_PER_CLIENT + JWT_PER_CLIENT + 1);
    }

    #[test]
    fn expired_ones_are_dropped() {
        let mut live = Live::default();
        for number in 0..10 {
            live.insert(opaque(&format!("t{number}"), "a", 100), 0);
        }
        live.insert(opaque("new", "a", 300), 200);
        assert_eq!((live.tokens.len(), live.by_client["a"].len()), (1, 1));
    }
}
