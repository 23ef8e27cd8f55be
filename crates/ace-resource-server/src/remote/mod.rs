//! What goes over the network: requests to authorization servers, on threads of their own.
//!
//! The broker's thread decides what is to be asked and when, hands a request over without waiting, and looks for answers in
//! `TICK`: docs/decisions/0013-network-on-threads-of-its-own.md. Nothing else in the plugin opens a connection.

mod answer;
mod cache_control;
mod client;
mod counters;
mod discovery;
mod https;
mod introspection;
mod judgement;
mod key_sets;
mod retry_after;
mod revocation_list;
mod schedule;
mod workers;

use std::sync::Arc;
use std::time::Instant;

use ace_profile::jose::JwkSet;
use ace_profile::revocation::TokenHash;
use ace_profile::token::{AskedWith, ValidatedToken, Validator};

use crate::rights::Origin;

use introspection::{Introspection, Now};

pub use counters::Counters;
pub use https::{Endpoint, EndpointError, RequestError};
#[cfg(any(test, feature = "for-tests"))]
pub use introspection::Measured;
pub use introspection::{
    CacheBounds, IntrospectionNews, IntrospectionSource, Lease, SERVERS_MAX, probe as probe_introspection,
};
pub use judgement::{Confirmed, Inquiry, Judgement, Progress};
pub use key_sets::{KeyCounters, KeyNews, KeySet, KeySource};
pub use revocation_list::{ListCounters, News, RevocationList, probe as probe_revocation_list};
pub use workers::{NotTaken, Workers};

/// All that is asked for, and the threads for it.
#[derive(Default)]
pub struct Remote {
    /// The threads.
    pub workers: Workers,
    /// The lists of revoked tokens.
    pub revocation_lists: Vec<RevocationList>,
    /// What servers say about tokens, and where they are asked, as configured.
    introspection: Introspection,
    introspection_sources: Vec<IntrospectionSource>,
    introspection_bounds: CacheBounds,
    /// The keys that servers publish.
    pub key_sets: Vec<KeySet>,
}

impl Remote {
    /// Asks for other lists from now on, without forgetting what is known of those that stay.
    pub fn replace_revocation_lists(&mut self, mut lists: Vec<RevocationList>) {
        for list in &mut lists {
            list.inherit(&mut self.revocation_lists);
        }
        self.revocation_lists = lists;
    }

    /// Asks these servers about tokens from now on, in this order, without forgetting what is known of those that stay.
    pub fn replace_introspection(&mut self, servers: &[IntrospectionSource], bounds: CacheBounds) {
        servers.clone_into(&mut self.introspection_sources);
        self.introspection_bounds = bounds;
        self.place_introspection();
    }

    /// Has servers asked where they say that they are asked, as far as they have said so.
    fn place_introspection(&mut self) {
        let placed = |source: &IntrospectionSource| {
            let said = self.key_sets.iter().find(|set| set.issuer() == source.issuer && !source.endpoint.is_known());
            let found = said.and_then(|set| source.endpoint.found(set.introspection_endpoint()?).ok());
            let endpoint = found.map_or_else(|| Arc::clone(&source.endpoint), Arc::new);
            let has_no_keys = source.has_no_keys || said.is_some_and(KeySet::is_of_none);
            IntrospectionSource { endpoint, has_no_keys, ..source.clone() }
        };
        let sources: Vec<_> = self.introspection_sources.iter().map(placed).collect();
        self.introspection.replace(&sources, self.introspection_bounds);
    }

    /// Fetches keys from other sources from now on, without forgetting those from sources that stay.
    pub fn replace_key_sets(&mut self, sources: &[Arc<KeySource>], now: Instant) {
        let mut before = std::mem::take(&mut self.key_sets);
        let continuing = |source: &Arc<KeySource>| KeySet::continuing(Arc::clone(source), &mut before, now);
        self.key_sets = sources.iter().map(continuing).collect();
    }

    /// Has all that servers have said asked for anew, without putting anybody out: sessions rest on what is known until there is
    /// something new, and the last good keys and lists stay in force. Gives the number of answers about tokens.
    pub fn flush(&mut self, now: Instant) -> usize {
        self.key_sets.iter_mut().for_each(|set| set.refresh(now));
        self.revocation_lists.iter_mut().for_each(|list| list.refresh(now));
        self.introspection.flush(now)
    }

    /// Has all keys fetched anew. Those that are known stay in force meanwhile.
    pub fn reload_keys(&mut self, now: Instant) {
        self.key_sets.iter_mut().for_each(|set| set.refresh(now));
    }

    /// Has the servers asked about these tokens when they are shown again, whatever is known of them.
    pub fn forget_answers(&mut self, tokens: &[TokenHash]) {
        tokens.iter().for_each(|token| self.introspection.forget(*token));
    }

    /// The validator with the keys that have been fetched.
    #[must_use]
    pub fn with_fetched_keys(&self, validator: &Validator) -> Validator {
        let known = self.key_sets.iter().filter_map(|set| Some((set.issuer(), set.keys()?)));
        known.fold(validator.clone(), |validator, (issuer, keys)| validator.with_keys(issuer, keys.clone()))
    }

    /// Looks for keys that have come, and fetches those that it is time for. News come with the place of their set.
    pub fn tick_keys(&mut self, now: Instant) -> Vec<(usize, KeyNews)> {
        let Self { workers, key_sets, .. } = self;
        let news = |(at, set): (usize, &mut KeySet)| Some((at, set.tick(workers, now)?));
        let news = key_sets.iter_mut().enumerate().filter_map(news).collect();
        if key_sets.iter_mut().map(KeySet::take_moved).fold(false, |moved, also| moved | also) {
            self.place_introspection();
        }
        news
    }

    /// Looks for answers, and asks what it is time to ask. News of revocation lists come with the URL that they are about; those of
    /// tokens are taken with [`Self::take_introspection_news`].
    pub fn tick(&mut self, now: Instant) -> Vec<(String, News)> {
        let Self { workers, revocation_lists, introspection, .. } = self;
        introspection.tick(workers, Now { instant: now, ..Now::read() });
        let news = |list: &mut RevocationList| Some((list.tick(workers, now)?, list.url().to_owned()));
        revocation_lists.iter_mut().filter_map(news).map(|(news, url)| (url, news)).collect()
    }

    /// What has happened to tokens that servers are asked about, and to those servers, since this was asked last.
    pub fn take_introspection_news(&mut self) -> Vec<IntrospectionNews> {
        self.introspection.take_news()
    }

    /// Whether tokens that only a server can judge are taken at all.
    #[must_use]
    pub const fn takes_opaque_tokens(&self) -> bool {
        self.introspection.has_servers()
    }

    /// A token as it was sent, while a session rests on what its server says of it.
    #[must_use]
    pub fn asked_with(&self, token: TokenHash) -> Option<AskedWith> {
        self.introspection.asked_with(token)
    }

    /// What a server has said of a token, and which: as long as that counts.
    #[must_use]
    pub fn answer(&self, token: &[u8]) -> Option<(&str, &[u8])> {
        self.introspection.answer(TokenHash::of(token), Instant::now())
    }

    /// Takes an answer of this issuer's server for its word about a token, as if it had been asked; `None` if it says that the token is
    /// not active.
    pub fn told(&mut self, token: &[u8], issuer: &str, answer: Option<&[u8]>) {
        self.introspection.told(TokenHash::of(token), issuer, answer, Instant::now());
    }

    /// Takes these for the keys of an issuer that publishes them, as if they had been fetched.
    pub fn told_keys(&mut self, issuer: &str, keys: &JwkSet) {
        let now = Instant::now();
        for set in self.key_sets.iter_mut().filter(|set| set.issuer() == issuer) {
            set.told(keys.clone(), now);
        }
    }

    /// Who is asked about tokens, and where, in this order.
    #[must_use]
    pub fn introspection_endpoints(&self) -> Vec<(String, String)> {
        self.introspection.endpoints()
    }

    /// What has been asked about tokens, and what came of it.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.introspection.counters()
    }

    /// How far an inquiry is. One that is not known any more has failed.
    #[must_use]
    pub fn progress(&self, inquiry: &Inquiry) -> Progress {
        match inquiry {
            Inquiry::Token { token, number } => self.introspection.progress(*token, *number, Instant::now()),
            Inquiry::Keys { issuer, fetch } => {
                let set = self.key_sets.iter().find(|set| set.issuer() == &**issuer);
                match set.map(|set| set.outcome(*fetch)) {
                    Some(None) => Progress::UnderWay,
                    Some(Some(true)) => Progress::Settled,
                    Some(Some(false)) | None => Progress::Failed,
                }
            }
        }
    }

    /// What confirms a token that was found good.
    pub fn lease(&mut self, token: &ValidatedToken) -> Confirmed {
        self.introspection.lease(token, Instant::now())
    }

    /// Whether an inquiry has been put to its server. If not, strangers have put too many: it will be, but the broker's thread is not
    /// to wait for that.
    #[must_use]
    pub fn has_begun(&self, inquiry: &Inquiry) -> bool {
        let Inquiry::Keys { issuer, fetch } = inquiry else { return true };
        self.key_sets.iter().any(|set| set.issuer() == &**issuer && set.has_begun(*fetch))
    }

    /// Whether a token has been revoked, as far as is known.
    #[must_use]
    pub fn has_revoked(&self, token: &Origin) -> bool {
        self.revocation_lists.iter().any(|list| list.has_revoked(&token.issuer, &token.hashes))
    }
}

#[cfg(test)]
mod tests;
