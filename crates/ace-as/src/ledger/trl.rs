//! The token revocation list (RFC 9770): tokens that were revoked and have not expired.

use std::collections::{BTreeMap, HashMap};

use super::requester::Requester;
use super::updates::{Update, Updates};
use super::{Facts, Sha256};

/// An update of the list, with the requester's id.
pub(super) type Told = (String, Update);

/// The list, and for each requester what was last changed in its part of it.
#[derive(Debug)]
pub(super) struct Trl {
    requesters: Vec<Requester>,
    updates: HashMap<String, Updates>,
    revoked: HashMap<Sha256, Facts>,
    /// No entry expires earlier than this.
    next_expiry: u64,
}

impl Trl {
    /// An empty list.
    pub(super) fn new(requesters: Vec<Requester>) -> Self {
        let updates = requesters.iter().map(|requester| (requester.id.clone(), Updates::default())).collect();
        Self { requesters, updates, revoked: HashMap::new(), next_expiry: u64::MAX }
    }

    /// The entry of a revoked token.
    pub(super) fn find(&self, identity: &Sha256) -> Option<&Facts> {
        self.revoked.get(identity)
    }

    /// All entries.
    pub(super) fn revoked(&self) -> impl Iterator<Item = &Facts> {
        self.revoked.values()
    }

    /// How many entries are tokens of a client.
    pub(super) fn count_of(&self, client_id: &str) -> usize {
        self.revoked.values().filter(|token| token.client_id == client_id).count()
    }

    /// Enters tokens without an update: it comes, or has come, on its own.
    pub(super) fn restore_revoked(&mut self, token: Facts) {
        self.next_expiry = self.next_expiry.min(token.expires_at);
        self.revoked.insert(token.identity, token);
    }

    /// Repeats an update. One of a requester that is unknown by now is of no use.
    pub(super) fn restore_update(&mut self, requester: &str, update: Update) {
        if !update.removed.is_empty() {
            self.revoked.retain(|_, token| !update.removed.contains(&token.hash));
        }
        if let Some(updates) = self.updates.get_mut(requester) {
            updates.restore(update);
        }
    }

    /// All updates that are kept.
    pub(super) fn updates(&self) -> impl Iterator<Item = (&str, &Update)> {
        self.updates.iter().flat_map(|(id, updates)| updates.iter().map(move |update| (id.as_str(), update)))
    }

    /// Enters tokens that were revoked together.
    pub(super) fn add(&mut self, tokens: &[Facts]) -> Vec<Told> {
        for token in tokens {
            self.restore_revoked(token.clone());
        }
        self.tell(&[], tokens)
    }

    /// Removes what has expired: an update for each second in which something has, in their order.
    pub(super) fn remove_expired(&mut self, now: u64) -> Vec<Told> {
        if self.next_expiry > now {
            return Vec::new();
        }
        let mut expired: BTreeMap<u64, Vec<Facts>> = BTreeMap::new();
        self.revoked.retain(|_, token| {
            let alive = token.expires_at > now;
            if !alive {
                expired.entry(token.expires_at).or_default().push(token.clone());
            }
            alive
        });
        self.next_expiry = self.revoked.values().map(|token| token.expires_at).min().unwrap_or(u64::MAX);
        expired.into_values().flat_map(|tokens| self.tell(&tokens, &[])).collect()
    }

    /// The hashes that pertain to a requester.
    pub(super) fn full_set(&self, requester: &str) -> Vec<Sha256> {
        let requester = self.requesters.iter().find(|known| known.id == requester);
        let pertaining = |token: &&Facts| requester.is_some_and(|requester| requester.pertains(token));
        self.revoked.values().filter(pertaining).map(|token| token.hash).collect()
    }

    /// What was last changed for a requester.
    pub(super) fn updates_of(&self, requester: &str) -> Option<&Updates> {
        self.updates.get(requester)
    }

    fn tell(&mut self, removed: &[Facts], added: &[Facts]) -> Vec<Told> {
        let Self { requesters, updates, .. } = self;
        let mut told = Vec::new();
        for requester in requesters {
            let pertaining = |tokens: &[Facts]| -> Vec<Sha256> {
                tokens.iter().filter(|token| requester.pertains(token)).map(|token| token.hash).collect()
            };
            let (removed, added) = (pertaining(removed), pertaining(added));
            if removed.is_empty() && added.is_empty() {
                continue;
            }
            if let Some(updates) = updates.get_mut(&requester.id) {
                told.push((requester.id.clone(), updates.push(removed, added)));
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::super::requester::Part;
    use super::*;

    fn token(text: &str, client: &str, audience: &str, expires_at: u64) -> Facts {
        Facts {
            identity: Sha256::identity_of(text),
            hash: Sha256::of_token(text),
            client_id: client.to_owned(),
            audience: audience.to_owned(),
            expires_at,
        }
    }

    fn trl() -> Trl {
        let requester = |id: &str, part| Requester { id: id.to_owned(), part };
        Trl::new(vec![
            requester("sensor", Part::OfClient),
            requester("broker", Part::ForAudiences(["b".to_owned(), "c".to_owned()].into())),
            requester("other", Part::ForAudiences(["d".to_owned()].into())),
            requester("admin", Part::All),
        ])
    }

    fn hashes(texts: &[&str]) -> Vec<Sha256> {
        texts.iter().map(|text| Sha256::of_token(text)).collect()
    }

    #[test]
    fn each_requester_sees_its_part() {
        let mut trl = trl();
        trl.add(&[token("1", "sensor", "b", 100), token("2", "lamp", "d", 100)]);
        trl.add(&[token("3", "lamp", "c", 100)]);
        let sorted = |id: &str| {
            let mut set = trl.full_set(id);
            set.sort();
            set
        };
        let expected = |texts: &[&str]| {
            let mut set = hashes(texts);
            set.sort();
            set
        };
        assert_eq!(sorted("sensor"), expected(&["1"]));
        assert_eq!(sorted("broker"), expected(&["1", "3"]));
        assert_eq!(sorted("other"), expected(&["2"]));
        assert_eq!(sorted("admin"), expected(&["1", "2", "3"]));
        assert_eq!(sorted("stranger"), vec![]);
        let last = |id: &str| trl.updates_of(id).unwrap().last_index();
        assert_eq!(
            (last("sensor"), last("broker"), last("other"), last("admin")),
            (Some(0), Some(1), Some(0), Some(1))
        );
        assert_eq!((trl.count_of("lamp"), trl.count_of("sensor")), (2, 1));
    }

    #[test]
    fn what_expires_is_removed_in_its_order() {
        let mut trl = trl();
        trl.add(&[token("1", "s", "b", 100), token("2", "s", "b", 50), token("3", "s", "b", 100)]);
        assert!(trl.remove_expired(49).is_empty());
        assert_eq!(trl.full_set("broker").len(), 3);
        trl.remove_expired(100);
        assert!(trl.full_set("broker").is_empty() && trl.find(&Sha256::identity_of("1")).is_none());
        let updates: Vec<Update> = trl.updates_of("broker").unwrap().iter().cloned().collect();
        assert_eq!(updates.len(), 3);
        assert_eq!(updates[1], Update { index: 1, removed: hashes(&["2"]), added: vec![] });
        let mut last = updates[2].removed.clone();
        last.sort();
        let mut expected = hashes(&["1", "3"]);
        expected.sort();
        assert_eq!(last, expected);
        assert!(trl.remove_expired(200).is_empty());
        assert!(trl.updates_of("other").unwrap().last_index().is_none());
    }
}
