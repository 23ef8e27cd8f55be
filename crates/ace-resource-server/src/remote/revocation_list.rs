//! A server's token revocation list, asked for again and again (RFC 9770, rfc9431.md E4).

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use ace_profile::revocation::{ListError, MEDIA_TYPE, RevokedTokens, TokenHashes};

use super::answer::Answer;
use super::https::{Endpoint, RequestError};
use super::schedule::Schedule;
use super::workers::Workers;

/// The longest list that is read, in bytes: more than a hundred thousand tokens.
const LIST_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What the plugin is to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Tokens are revoked now that were not before.
    Revoked,
    /// The list cannot be had. What is known of it stays in force.
    Failing(RequestError),
    /// The list can be had again.
    Recovered,
}

/// What has come of asking for a list, since the start or since it came into the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListCounters {
    /// Requests that brought a usable answer.
    pub succeeded: u64,
    /// Requests that did not.
    pub failed: u64,
}

/// The list of one server.
pub struct RevocationList {
    issuer: String,
    endpoint: Arc<Endpoint>,
    schedule: Schedule,
    tokens: RevokedTokens,
    /// Whether an answer has come, of whatever kind.
    has_been_asked: bool,
    counters: ListCounters,
    taken: Option<Instant>,
    answers: Receiver<Result<Vec<u8>, RequestError>>,
    answer: Sender<Result<Vec<u8>, RequestError>>,
}

/// Asks for a list once, for who wants to know whether it can be had. Waits: not for the broker's thread.
///
/// # Errors
/// [`RequestError`] if it cannot.
pub fn probe(endpoint: &Endpoint) -> Result<(), RequestError> {
    let mut tokens = RevokedTokens::default();
    let answer = endpoint.get(tokens.next_query().parameters().as_deref(), MEDIA_TYPE, LIST_BYTES_MAX)?;
    tokens.take_up(&answer).map(drop).map_err(|error| RequestError::Unusable(error.to_string()))
}

impl RevocationList {
    /// The list of this issuer, asked for at this interval, for the first time now.
    #[must_use]
    pub fn new(issuer: String, endpoint: Arc<Endpoint>, interval: Duration, now: Instant) -> Self {
        let (answer, answers) = mpsc::channel();
        Self {
            issuer,
            endpoint,
            schedule: Schedule::new(interval, now),
            tokens: RevokedTokens::default(),
            has_been_asked: false,
            counters: ListCounters::default(),
            taken: None,
            answers,
            answer,
        }
    }

    /// Takes over what another has learnt, if it is the same server's: a new configuration is no reason to forget.
    pub fn inherit(&mut self, before: &mut [Self]) {
        let same =
            before.iter_mut().find(|list| list.issuer == self.issuer && list.endpoint.url() == self.endpoint.url());
        if let Some(same) = same {
            self.tokens = std::mem::take(&mut same.tokens);
            self.tokens.start_again();
            (self.counters, self.taken) = (same.counters, same.taken);
        }
    }

    /// Whose tokens it is about.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.endpoint.url()
    }

    /// Whether the list has been asked for, and something has come of it.
    #[must_use]
    pub const fn has_been_asked(&self) -> bool {
        self.has_been_asked
    }

    /// Whether the list has ever been had.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.taken.is_some()
    }

    /// How long ago the server has last said what is on it.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.taken.map(|taken| now.saturating_duration_since(taken))
    }

    /// How many tokens are on it.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.tokens.len()
    }

    /// What came of asking for it.
    #[must_use]
    pub const fn counters(&self) -> ListCounters {
        self.counters
    }

    /// Whether a token of this issuer has been revoked.
    #[must_use]
    pub fn has_revoked(&self, issuer: &str, token: &TokenHashes) -> bool {
        self.issuer == issuer && self.tokens.contains(token)
    }

    /// Has it asked for at once, unless that is under way.
    pub fn refresh(&mut self, now: Instant) {
        self.schedule.hasten(now);
    }

    /// Takes up an answer, if one has come, and asks again when it is time. Never waits.
    pub fn tick(&mut self, workers: &mut Workers, now: Instant) -> Option<News> {
        let news = self.answers.try_recv().ok().and_then(|answer| self.take_up(answer, now));
        if self.schedule.begin(now) {
            let (endpoint, answer) = (Arc::clone(&self.endpoint), Answer::new(self.answer.clone()));
            let query = self.tokens.next_query().parameters();
            let submitted =
                workers.submit(move || answer.send(endpoint.get(query.as_deref(), MEDIA_TYPE, LIST_BYTES_MAX)));
            if submitted.is_err() {
                self.schedule.put_off(now);
            }
        }
        news
    }

    fn take_up(&mut self, answer: Result<Vec<u8>, RequestError>, now: Instant) -> Option<News> {
        let unusable = |error: ListError| RequestError::Unusable(error.to_string());
        let taken = answer.and_then(|answer| self.tokens.take_up(&answer).map_err(unusable));
        self.has_been_asked = true;
        match taken {
            Ok(taken) => {
                let was_failing = self.schedule.is_failing();
                self.schedule.succeeded(taken.ask_again, now);
                self.counters.succeeded += 1;
                self.taken = Some(now);
                // More important than that the server is back.
                if taken.has_new { Some(News::Revoked) } else { was_failing.then_some(News::Recovered) }
            }
            Err(error) => {
                self.tokens.start_again();
                self.counters.failed += 1;
                self.schedule.failed(now).then_some(News::Failing(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ace_profile::revocation::TokenHash;

    use super::*;

    fn list() -> RevocationList {
        let endpoint = Endpoint::new("https://localhost:1/trl", None, Duration::from_secs(1)).unwrap();
        RevocationList::new("as".into(), Arc::new(endpoint), Duration::from_secs(30), Instant::now())
    }

    /// The whole list, of one token.
    fn whole(token: &str) -> Vec<u8> {
        [&[0xa1, 0x00, 0x81, 0x58, 33][..], &TokenHash::of(token).to_sent()].concat()
    }

    #[test]
    fn answers_become_news() {
        let (mut list, now) = (list(), Instant::now());
        let failure = RequestError::Status(500);
        assert_eq!(list.take_up(Err(failure.clone()), now), Some(News::Failing(failure.clone())));
        assert_eq!(list.take_up(Err(failure), now), None, "told once");
        assert_eq!(list.take_up(Ok(whole("one")), now), Some(News::Revoked));
        assert!(list.has_revoked("as", &TokenHashes::of_text("one")));
        assert!(!list.has_revoked("other", &TokenHashes::of_text("one")), "a server speaks of its own tokens only");
        assert_eq!(list.take_up(Ok(whole("one")), now), None);
        assert!(matches!(list.take_up(Ok(b"nonsense".into()), now), Some(News::Failing(RequestError::Unusable(_)))));
        assert!(list.has_revoked("as", &TokenHashes::of_text("one")), "what is known stays known");
        assert_eq!(list.take_up(Ok(whole("one")), now), Some(News::Recovered));
    }

    #[test]
    fn a_new_configuration_forgets_nothing_of_the_same_list() {
        let mut before = list();
        before.take_up(Ok(whole("one")), Instant::now());
        let mut after = list();
        after.inherit(&mut [before]);
        assert_eq!((after.counters(), after.entries()), (ListCounters { succeeded: 1, failed: 0 }, 1));
        assert!(after.age(Instant::now()).is_some());
        assert!(after.has_revoked("as", &TokenHashes::of_text("one")));
    }
}
