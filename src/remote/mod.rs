//! What goes over the network: requests to authorization servers, on threads of their own.
//!
//! The broker's thread decides what is to be asked and when, hands a request over without waiting, and looks for answers in
//! `TICK`: docs/decisions/0013-network-on-threads-of-its-own.md. Nothing else in the plugin opens a connection.

mod client;
mod counters;
mod https;
mod introspection;
mod judgement;
mod retry_after;
mod revocation_list;
mod schedule;
mod workers;

use std::time::Instant;

use ace_profile::connect::is_opaque;
use ace_profile::jose::looks_like_jwt;
use ace_profile::proof::ConfirmationKey;
use ace_profile::token::{AnswerError, EarlierKey, IntrospectionAnswer, ValidatedToken, Validator};
use ace_profile::{Refusal, Timestamp};

use crate::report::Reason;
use crate::session::Origin;

use introspection::{Introspection, Known, Now, Whom};

pub use counters::Counters;
pub use https::{Endpoint, EndpointError, RequestError};
pub use introspection::{CacheBounds, IntrospectionNews, IntrospectionSource, Lease, SERVERS_MAX};
pub use judgement::{Confirmed, Inquiry, Judgement, Progress};
pub use revocation_list::{News, RevocationList};
pub use workers::{NotTaken, Workers};

/// All that is asked for, and the threads for it.
#[derive(Default)]
pub struct Remote {
    /// The threads.
    pub workers: Workers,
    /// The lists of revoked tokens.
    pub revocation_lists: Vec<RevocationList>,
    /// What servers say about tokens.
    introspection: Introspection,
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
        self.introspection.replace(servers, bounds);
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

    /// What has been asked about tokens, and what came of it.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.introspection.counters()
    }

    /// Judges a token as it is at `now`, by what is known. Where something has to be found out first, asks for it. Never waits.
    ///
    /// A signed token of a configured issuer is validated by its keys, and confirmed by its server where that is configured; where an
    /// issuer has no keys, its server alone can say what its signed tokens are worth. All others are for their servers only.
    ///
    /// # Errors
    /// The [`Reason`] why the token is refused, or cannot be judged now.
    pub(crate) fn judge(
        &mut self,
        validator: &Validator,
        token: &[u8],
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) -> Result<Judgement, Reason> {
        if !self.introspection.has_servers() {
            return Ok(Judgement::Good(Box::new(validator.validate_knowing(token, now, earlier)?)));
        }
        self.introspection.collect(&mut self.workers, Now::read());
        let is_opaque = std::str::from_utf8(token).is_ok_and(is_opaque);
        if is_opaque && !looks_like_jwt(token) {
            return self.judge_by_server(validator, token, &Whom::Any, now, earlier);
        }
        let without_keys = validator.issuer_without_keys(token);
        if let Some(whom) = without_keys.and_then(|issuer| self.introspection.asks(issuer)) {
            return self.judge_by_server(validator, token, &whom, now, earlier);
        }
        let validated = match validator.validate_knowing(token, now, &earlier) {
            // A token that is encrypted to somebody else, its server.
            Err(Refusal::TokenEncrypted) if is_opaque => {
                return self.judge_by_server(validator, token, &Whom::Any, now, earlier);
            }
            validated => validated?,
        };
        match self.introspection.confirms(&validated.issuer) {
            Some(whom) => self.confirm_by_server(validator, token, validated, &whom, now),
            None => Ok(Judgement::Good(Box::new(validated))),
        }
    }

    fn judge_by_server(
        &mut self,
        validator: &Validator,
        token: &[u8],
        whom: &Whom,
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) -> Result<Judgement, Reason> {
        match self.introspection.look_up(&mut self.workers, token, whom, Instant::now())? {
            Known::Active { issuer, answer } => {
                let answer = read(answer)?;
                let validated = validator.validate_introspected(token, issuer, &answer, now, earlier)?;
                Ok(Judgement::Good(Box::new(validated)))
            }
            Known::Inactive => Err(Refusal::TokenInactive.into()),
            Known::Asked(inquiry) => Ok(Judgement::Needs(inquiry)),
        }
    }

    fn confirm_by_server(
        &mut self,
        validator: &Validator,
        token: &[u8],
        validated: ValidatedToken,
        whom: &Whom,
        now: Timestamp,
    ) -> Result<Judgement, Reason> {
        match self.introspection.look_up(&mut self.workers, token, whom, Instant::now())? {
            Known::Active { answer, .. } => {
                let confirmed = validator.confirm_introspected(&validated, token, &read(answer)?, now)?;
                Ok(Judgement::Good(Box::new(confirmed)))
            }
            Known::Inactive => Err(Refusal::TokenInactive.into()),
            Known::Asked(inquiry) => Ok(Judgement::Needs(inquiry)),
        }
    }

    /// What confirms a token that was found good.
    pub fn lease(&mut self, token: &ValidatedToken) -> Confirmed {
        self.introspection.lease(token, Instant::now())
    }

    /// How far an inquiry is. One that is not known any more has failed.
    #[must_use]
    pub fn progress(&self, inquiry: &Inquiry) -> Progress {
        match inquiry {
            Inquiry::Token { token, number } => self.introspection.progress(*token, *number, Instant::now()),
            Inquiry::Keys { .. } => Progress::Failed,
        }
    }

    /// Whether a token has been revoked, as far as is known.
    #[must_use]
    pub fn has_revoked(&self, token: &Origin) -> bool {
        self.revocation_lists.iter().any(|list| list.has_revoked(&token.issuer, &token.hashes))
    }
}

/// An answer as it was taken up: it was read then.
fn read(answer: &[u8]) -> Result<IntrospectionAnswer, Reason> {
    IntrospectionAnswer::parse(answer).map_err(|_: AnswerError| Reason::ServerUnavailable)
}
