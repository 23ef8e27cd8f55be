//! What goes over the network: requests to authorization servers, on threads of their own.
//!
//! The broker's thread decides what is to be asked and when, hands a request over without waiting, and looks for answers in
//! `TICK`: docs/decisions/0013-network-on-threads-of-its-own.md. Nothing else in the plugin opens a connection.

mod https;
mod revocation_list;
mod schedule;
mod workers;

use std::time::Instant;

use crate::session::Origin;

pub use https::{Endpoint, EndpointError, RequestError};
pub use revocation_list::{News, RevocationList};
pub use workers::{NotTaken, Workers};

/// All that is asked for, and the threads for it.
#[derive(Default)]
pub struct Remote {
    /// The threads.
    pub workers: Workers,
    /// The lists of revoked tokens.
    pub revocation_lists: Vec<RevocationList>,
}

impl Remote {
    /// Asks for other lists from now on, without forgetting what is known of those that stay.
    pub fn replace_revocation_lists(&mut self, mut lists: Vec<RevocationList>) {
        for list in &mut lists {
            list.inherit(&mut self.revocation_lists);
        }
        self.revocation_lists = lists;
    }

    /// Looks for answers, and asks what it is time to ask. News come with the URL that they are about.
    pub fn tick(&mut self, now: Instant) -> Vec<(String, News)> {
        let Self { workers, revocation_lists } = self;
        let news = |list: &mut RevocationList| Some((list.tick(workers, now)?, list.url().to_owned()));
        revocation_lists.iter_mut().filter_map(news).map(|(news, url)| (url, news)).collect()
    }

    /// Whether a token has been revoked, as far as is known.
    #[must_use]
    pub fn has_revoked(&self, token: &Origin) -> bool {
        self.revocation_lists.iter().any(|list| list.has_revoked(&token.issuer, &token.hashes))
    }
}
