//! What goes over the network: requests to authorization servers, on threads of their own.
//!
//! The broker's thread decides what is to be asked and when, hands a request over without waiting, and looks for answers in
//! `TICK`: docs/decisions/0013-network-on-threads-of-its-own.md. Nothing else in the plugin opens a connection.

mod client;
mod https;
mod judgement;
mod retry_after;
mod revocation_list;
mod schedule;
mod workers;

use std::time::Instant;

use ace_profile::Timestamp;
use ace_profile::proof::ConfirmationKey;
use ace_profile::token::{EarlierKey, Validator};

use crate::report::Reason;
use crate::session::Origin;

pub use https::{Endpoint, EndpointError, RequestError};
pub use judgement::{Inquiry, Judgement, Lease, Progress};
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

    /// Judges a token as it is at `now`, by what is known. Where something has to be found out first, asks for it. Never waits.
    ///
    /// # Errors
    /// The [`Reason`] why the token is refused.
    pub(crate) fn judge(
        &mut self,
        validator: &Validator,
        token: &[u8],
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) -> Result<Judgement, Reason> {
        Ok(Judgement::Good(Box::new(validator.validate_knowing(token, now, earlier)?)))
    }

    /// How far an inquiry is. One that is not known any more has failed.
    #[must_use]
    pub fn progress(&self, _inquiry: &Inquiry) -> Progress {
        Progress::Failed
    }

    /// Whether a token has been revoked, as far as is known.
    #[must_use]
    pub fn has_revoked(&self, token: &Origin) -> bool {
        self.revocation_lists.iter().any(|list| list.has_revoked(&token.issuer, &token.hashes))
    }
}
