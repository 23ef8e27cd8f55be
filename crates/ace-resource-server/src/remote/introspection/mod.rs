//! What servers say about tokens that do not speak for themselves (RFC 7662, RFC 9200 §5.9, rfc9431.md T2).
//!
//! A token is asked about once, however many wait for the answer; what was answered counts for a while; and as long as somebody rests
//! on it, the server is asked again before it runs out. That a server could not be asked says nothing about a token, and is not kept.

mod asking;
mod cache;
mod line;
#[cfg(any(test, feature = "for-tests"))]
mod measured;
mod server;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use ace_profile::Timestamp;
use ace_profile::revocation::TokenHash;
use ace_profile::token::{AskedWith, IntrospectionAnswer, ValidatedToken};
use zeroize::Zeroizing;

pub use asking::probe;
pub use cache::{CacheBounds, Lease};
#[cfg(any(test, feature = "for-tests"))]
pub use measured::Measured;
pub use server::IntrospectionSource;

use super::counters::Counters;
use super::https::RequestError;
use super::judgement::{Confirmed, Inquiry, Progress};
use super::workers::{THREADS_MAX, Workers};
use crate::Reason;
use asking::{Answer, Failure};
use cache::{Cache, Consequence, Said};
use line::{Cause, Line, Request};
use server::{Server, spread};

/// How many servers can be asked about tokens, at most.
pub const SERVERS_MAX: usize = 16;
/// How many of the threads are for other requests than these.
const OTHER_THREADS: usize = 8;
/// How long it counts that a token is not active.
const INACTIVE: Duration = Duration::from_secs(5);
/// How long an answer counts at least after it has come, so that those who have waited for it find it: one that came late, or about a
/// token that ends at this moment.
const FOUND: Duration = Duration::from_secs(1);
/// How long it counts what a server is said to have answered, without having been asked.
const TOLD: Duration = Duration::from_secs(3600);
/// How long after its time a request is given up, should nothing be heard of it.
const GRACE: Duration = Duration::from_millis(500);
/// How often to look for such requests.
const GLANCE: Duration = Duration::from_millis(100);
/// How long to wait for room when it is time to ask again.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(100);
/// About how many tokens at most to ask again in one turn of the broker's loop.
const AGAIN_IN_A_TURN: usize = 64;

/// What the plugin is to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntrospectionNews {
    /// The server says something else of an active token than it did: it is to be judged again.
    Changed(TokenHash),
    /// The server says that the token is not active any more: what rests on it ends, as if it had been revoked.
    Ended(TokenHash),
    /// The server has not answered in time: what is known of the token does not count any more.
    RanOut(TokenHash),
    /// The server cannot be asked.
    Failing {
        /// Where.
        url: String,
        /// Why.
        error: RequestError,
    },
    /// The server can be asked again.
    Recovered {
        /// Where.
        url: String,
    },
}

/// Who is to be asked about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whom {
    /// Each server in turn, until one says that it is active.
    Any,
    /// The server of this issuer.
    Only(Arc<str>),
}

/// What is known of a token.
pub(super) enum Known<'a> {
    /// What this server has answered: the token is active.
    Active { issuer: &'a str, answer: &'a [u8] },
    /// No server that was to be asked says that it is active.
    Inactive,
    /// Nothing yet. It has been asked.
    Asked(Inquiry),
}

/// A token that is being asked about.
struct Pending {
    /// The number of the inquiry, and
    number: u64,
    /// that of the request that is under way for it: what another has brought is not taken for its answer.
    request: u64,
    with: AskedWith,
    whom: Whom,
    cause: Cause,
    /// Who is being asked now.
    issuer: Arc<str>,
    /// Since when.
    asked: Instant,
    deadline: Instant,
    /// Whether a server could not be asked.
    has_failed: bool,
}

/// The two clocks: how long things take, and what time it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) time: Timestamp,
}

impl Now {
    pub(super) fn read() -> Self {
        Self { instant: Instant::now(), time: Timestamp::from_system_time(std::time::SystemTime::now()) }
    }
}

/// All that is asked about tokens, and known.
pub(super) struct Introspection {
    servers: Vec<Server>,
    cache: Cache,
    pending: HashMap<TokenHash, Pending>,
    inquiries: u64,
    requests: u64,
    answers: Receiver<Answer>,
    answer: Sender<Answer>,
    news: Vec<IntrospectionNews>,
    counters: Counters,
    glanced: Option<Instant>,
}

impl Default for Introspection {
    fn default() -> Self {
        let (answer, answers) = mpsc::channel();
        Self {
            servers: Vec::new(),
            cache: Cache::default(),
            pending: HashMap::new(),
            inquiries: 0,
            requests: 0,
            answers,
            answer,
            news: Vec::new(),
            counters: Counters::default(),
            glanced: None,
        }
    }
}

impl Introspection {
    /// Asks these servers from now on, in this order, without forgetting what is known of those that stay.
    pub(super) fn replace(&mut self, sources: &[IntrospectionSource], bounds: CacheBounds) {
        // One that does not answer is not to take all threads.
        let most = (THREADS_MAX - OTHER_THREADS) / sources.len().max(1);
        let same = |source: &IntrospectionSource| {
            let mut before = self.servers.iter();
            before.find(|server| {
                *server.issuer == *source.issuer && server.line.endpoint().url() == source.endpoint.url()
            })
        };
        let with_line = |source: &IntrospectionSource| {
            if let Some(before) = same(source) {
                before.line.replace(Arc::clone(&source.endpoint), most);
                let mut server = Server::new(source, Arc::clone(&before.line));
                server.inherit(before);
                (server, true)
            } else {
                (Server::new(source, Arc::new(Line::new(Arc::clone(&source.endpoint), most))), false)
            }
        };
        let servers: Vec<(Server, bool)> = sources.iter().map(with_line).collect();
        let kept = |issuer: &str| {
            // That no server knows a token is soon asked again.
            let server = servers.iter().find(|(server, stays)| *stays && *server.issuer == *issuer)?;
            Some(server.0.cache)
        };
        self.cache.adapt(kept);
        self.cache.set_bounds(bounds);
        self.servers = servers.into_iter().map(|(server, _)| server).collect();
    }

    /// Whether anybody can be asked.
    pub(super) const fn has_servers(&self) -> bool {
        !self.servers.is_empty()
    }

    /// The server of this issuer, if it alone can tell about tokens that it has signed.
    pub(super) fn judges(&self, issuer: &str) -> Option<Whom> {
        self.server(issuer).filter(|server| server.has_no_keys).map(|server| Whom::Only(Arc::clone(&server.issuer)))
    }

    /// The server of this issuer, if it is to be asked about tokens that it has signed.
    pub(super) fn confirms(&self, issuer: &str) -> Option<Whom> {
        self.server(issuer).filter(|server| server.introspect_jwt).map(|server| Whom::Only(Arc::clone(&server.issuer)))
    }

    fn server(&self, issuer: &str) -> Option<&Server> {
        self.servers.iter().find(|server| *server.issuer == *issuer)
    }

    /// What is known of a token. If that is nothing, asks.
    ///
    /// # Errors
    /// [`Reason::ServerUnavailable`] and [`Reason::IntrospectionFull`] if that cannot be done now.
    pub(super) fn look_up(
        &mut self,
        workers: &mut Workers,
        token: &[u8],
        whom: &Whom,
        now: Instant,
    ) -> Result<Known<'_>, Reason> {
        let hash = TokenHash::of(token);
        if self.knows(hash, whom, now) {
            self.counters.hits += 1;
            return Ok(match self.cache.get(hash, now) {
                Some(Said { issuer, answer: Some(answer), .. }) => Known::Active { issuer, answer },
                _ => Known::Inactive,
            });
        }
        if let Some(pending) = self.pending.get(&hash) {
            self.counters.coalesced += 1;
            return Ok(Known::Asked(Inquiry::Token { token: hash, number: pending.number }));
        }
        self.counters.misses += 1;
        if !self.cache.has_room(token.len()) {
            self.counters.full += 1;
            return Err(Reason::IntrospectionFull);
        }
        self.inquiries += 1;
        let number = self.inquiries;
        let inquiry = Inquiry::Token { token: hash, number };
        let full = self.counters.full;
        if self.ask_from(workers, 0, AskedWith::new(token), number, whom.clone(), false, now) {
            return Ok(Known::Asked(inquiry));
        }
        Err(if self.counters.full > full { Reason::IntrospectionFull } else { Reason::ServerUnavailable })
    }

    /// Whether something is known that one of those has said who would be asked now.
    fn knows(&self, token: TokenHash, whom: &Whom, now: Instant) -> bool {
        self.cache.get(token, now).is_some_and(|said| match whom {
            _ if said.answer.is_none() => true,
            Whom::Any => self.server(&said.issuer).is_some(),
            Whom::Only(issuer) => *issuer == said.issuer,
        })
    }

    /// Asks the first server from this one on that can be asked. `false` if there is none.
    #[allow(clippy::too_many_arguments)]
    fn ask_from(
        &mut self,
        workers: &mut Workers,
        first: usize,
        with: AskedWith,
        number: u64,
        whom: Whom,
        mut has_failed: bool,
        now: Instant,
    ) -> bool {
        let is_meant = |server: &Server| match &whom {
            Whom::Any => true,
            Whom::Only(issuer) => *issuer == server.issuer,
        };
        for server in self.servers.iter().skip(first).filter(|server| is_meant(server)) {
            if server.line.paused_until(now).is_some() {
                self.counters.paused += 1;
                has_failed = true;
                continue;
            }
            let deadline = now + server.line.endpoint().timeout();
            let request = self.requests + 1;
            if !server.line.push(Request { with: with.clone(), number: request, cause: Cause::New, deadline }) {
                self.counters.full += 1;
                has_failed = true;
                continue;
            }
            self.requests = request;
            asking::start(workers, &server.line, &self.answer);
            let issuer = Arc::clone(&server.issuer);
            let token = with.token();
            let (cause, asked) = (Cause::New, now);
            let pending = Pending { number, request, with, whom, cause, issuer, asked, deadline, has_failed };
            self.pending.insert(token, pending);
            return true;
        }
        false
    }

    /// Has servers asked about all that is known: at once about what somebody rests on, who keeps it until there is something new; about
    /// everything else when it is wanted. Gives the number of answers that this was about.
    pub(super) fn flush(&mut self, now: Instant) -> usize {
        self.cache.flush(now)
    }

    /// The same of one token, about which its server is asked when it is wanted.
    pub(super) fn forget(&mut self, token: TokenHash) {
        self.cache.forget(token);
    }

    /// How far an inquiry is.
    pub(super) fn progress(&self, token: TokenHash, number: u64, now: Instant) -> Progress {
        if self.pending.get(&token).is_some_and(|pending| pending.number == number) {
            Progress::UnderWay
        } else if self.cache.get(token, now).is_some() {
            Progress::Settled
        } else {
            Progress::Failed
        }
    }

    /// What a server has said of a token, and which.
    pub(super) fn answer(&self, token: TokenHash, now: Instant) -> Option<(&str, &[u8])> {
        let said = self.cache.get(token, now)?;
        Some((&*said.issuer, said.answer.as_ref()?.as_slice()))
    }

    /// Takes an answer of this server for its word about a token, as if it had been asked.
    pub(super) fn told(&mut self, token: TokenHash, issuer: &str, answer: Option<&[u8]>, now: Instant) {
        let answer = answer.map(|answer| Zeroizing::new(answer.to_vec()));
        let said = Said { issuer: issuer.into(), answer, asked: now, ends: now + TOLD, ends_with_token: false };
        self.cache.put(token, said, Duration::ZERO);
    }

    /// Whom to ask, and where.
    pub(super) fn endpoints(&self) -> Vec<(String, String)> {
        let place = |server: &Server| (server.issuer.to_string(), server.line.endpoint().url().to_owned());
        self.servers.iter().map(place).collect()
    }

    /// A leased token as it was sent.
    pub(super) fn asked_with(&self, token: TokenHash) -> Option<AskedWith> {
        self.cache.asked_with(token)
    }

    /// What confirms a token now.
    pub(super) fn lease(&mut self, token: &ValidatedToken, now: Instant) -> Confirmed {
        let Some(with) = &token.asked_with else { return Confirmed::NotNeeded };
        let servers = &self.servers;
        let spread = |issuer: &str| {
            let server = servers.iter().find(|server| *server.issuer == *issuer);
            server.map_or(Duration::ZERO, |server| server.spread(with.token()))
        };
        self.cache.lease(with, now, spread).map_or(Confirmed::Lapsed, Confirmed::By)
    }

    /// Takes up the answers that have come.
    pub(super) fn collect(&mut self, workers: &mut Workers, now: Now) {
        while let Ok(answer) = self.answers.try_recv() {
            self.take_up(workers, answer, now);
        }
    }

    /// Takes up answers, asks again what it is time to ask again, and forgets what has run out. Never waits.
    pub(super) fn tick(&mut self, workers: &mut Workers, now: Now) {
        self.collect(workers, now);
        self.give_up(workers, now);
        for _ in 0..AGAIN_IN_A_TURN {
            let Some((with, issuer)) = self.cache.next_due(now.instant) else { break };
            self.ask_again(with, &issuer, now.instant);
        }
        for server in &self.servers {
            asking::start(workers, &server.line, &self.answer);
        }
        self.news.extend(self.cache.expire(now.instant).into_iter().map(IntrospectionNews::RanOut));
    }

    /// What has happened since this was asked last.
    pub(super) fn take_news(&mut self) -> Vec<IntrospectionNews> {
        std::mem::take(&mut self.news)
    }

    pub(super) fn counters(&self) -> Counters {
        let gauges = self.servers.iter().map(|server| server.line.gauges());
        let (queued, in_flight) = gauges.fold((0, 0), |sum, line| (sum.0 + line.0, sum.1 + line.1));
        Counters {
            evictions: self.cache.evicted(),
            entries: self.cache.len(),
            bytes: self.cache.bytes(),
            queued,
            in_flight,
            ..self.counters
        }
    }

    fn ask_again(&mut self, with: AskedWith, issuer: &str, now: Instant) {
        let token = with.token();
        // A server that is not configured any more cannot be asked: what it has said runs out.
        let Some(server) = self.servers.iter().find(|server| *server.issuer == *issuer) else { return };
        if let Some(until) = server.line.paused_until(now) {
            // Not all at the moment at which it may be asked again.
            return self.cache.postpone(token, until + spread(server.cache / 8, token));
        }
        if self.pending.contains_key(&token) {
            return self.cache.postpone(token, now + NO_ROOM_PAUSE);
        }
        let (number, request) = (self.inquiries + 1, self.requests + 1);
        let deadline = now + server.line.endpoint().timeout();
        if !server.line.push(Request { with: with.clone(), number: request, cause: Cause::Again, deadline }) {
            return self.cache.postpone(token, now + NO_ROOM_PAUSE);
        }
        (self.inquiries, self.requests) = (number, request);
        self.counters.asked_again += 1;
        let issuer = Arc::clone(&server.issuer);
        let whom = Whom::Only(Arc::clone(&issuer));
        let (cause, asked) = (Cause::Again, now);
        let pending = Pending { number, request, with, whom, cause, issuer, asked, deadline, has_failed: false };
        self.pending.insert(token, pending);
    }

    /// Requests that nothing has been heard of, though their time is over, have failed.
    fn give_up(&mut self, workers: &mut Workers, now: Now) {
        if self.glanced.is_some_and(|glanced| now.instant < glanced + GLANCE) {
            return;
        }
        self.glanced = Some(now.instant);
        let overdue = self.pending.values().filter(|pending| now.instant >= pending.deadline + GRACE);
        let overdue: Vec<_> = overdue.map(|pending| (pending.with.token(), pending.request)).collect();
        for (token, number) in overdue {
            self.take_up(workers, Answer { token, number, outcome: Err(Failure::Late), took: None }, now);
        }
    }

    fn take_up(&mut self, workers: &mut Workers, answer: Answer, now: Now) {
        let Answer { token, number, outcome, took } = answer;
        if let Some(took) = took {
            self.counters.count_latency(took);
        }
        // It may have been given up, and another request, perhaps to another server, be under way for the token.
        if self.pending.get(&token).is_none_or(|pending| pending.request != number) {
            return;
        }
        let Some(pending) = self.pending.remove(&token) else { return };
        let read = outcome.and_then(|bytes| {
            let unusable = |error: ace_profile::token::AnswerError| RequestError::Unusable(error.to_string());
            let answer = IntrospectionAnswer::parse(&bytes).map_err(unusable).map_err(Failure::Request)?;
            Ok((bytes, answer))
        });
        match read {
            Ok((bytes, IntrospectionAnswer::Active(claims))) => {
                self.counters.active += 1;
                self.server_answers(&pending.issuer);
                self.is_active(&pending, &bytes, claims.expires(), now);
            }
            Ok((_, IntrospectionAnswer::Inactive)) => {
                self.counters.inactive += 1;
                self.server_answers(&pending.issuer);
                self.is_inactive(workers, pending, now.instant);
            }
            Err(failure) => {
                self.server_fails(&pending.issuer, failure, now.instant);
                match pending.cause {
                    Cause::New => {
                        self.ask_next(workers, Pending { has_failed: true, ..pending }, now.instant);
                    }
                    Cause::Again => self.put_off(&pending, now.instant),
                }
            }
        }
    }

    fn is_active(&mut self, pending: &Pending, answer: &[u8], expires: Option<Timestamp>, now: Now) {
        let token = pending.with.token();
        let Some(server) = self.server(&pending.issuer) else { return };
        let (cached, spread) = (pending.asked + server.cache, server.spread(token));
        // RFC 7662 §4: not beyond the end of the token.
        let left = expires.map(|expires| now.instant.checked_add(expires.saturating_since(now.time)).unwrap_or(cached));
        let ends = left.map_or(cached, |left| left.min(cached)).max(now.instant + FOUND);
        let said = Said {
            issuer: Arc::clone(&pending.issuer),
            // As long as it is, and no longer.
            answer: Some(Zeroizing::new(answer.to_vec())),
            asked: pending.asked,
            ends,
            ends_with_token: left.is_some_and(|left| left < cached),
        };
        self.put(token, said, spread);
    }

    fn is_inactive(&mut self, workers: &mut Workers, pending: Pending, now: Instant) {
        let (token, cause) = (pending.with.token(), pending.cause);
        let issuer = Arc::clone(&pending.issuer);
        if cause == Cause::New && !self.ask_next(workers, pending, now) {
            return;
        }
        let counts = self.server(&issuer).map_or(INACTIVE, |server| server.cache.min(INACTIVE));
        let said = Said { issuer, answer: None, asked: now, ends: now + counts, ends_with_token: false };
        self.put(token, said, counts);
    }

    /// Asks the server behind the one that was asked. Otherwise the inquiry is over: `true` if all servers have said that the token is
    /// not active.
    fn ask_next(&mut self, workers: &mut Workers, pending: Pending, now: Instant) -> bool {
        let Pending { number, with, whom, issuer, has_failed, .. } = pending;
        let place = self.servers.iter().position(|server| server.issuer == issuer);
        let Some(place) = place else { return false };
        let before = (self.counters.paused, self.counters.full);
        if self.ask_from(workers, place + 1, with, number, whom, has_failed, now) {
            return false;
        }
        !has_failed && before == (self.counters.paused, self.counters.full)
    }

    fn put(&mut self, token: TokenHash, said: Said, spread: Duration) {
        match self.cache.put(token, said, spread) {
            Consequence::Nothing => {}
            Consequence::Changed => self.news.push(IntrospectionNews::Changed(token)),
            Consequence::Ended => self.news.push(IntrospectionNews::Ended(token)),
            Consequence::NoRoom { leased } => {
                self.counters.full += 1;
                if leased {
                    self.news.push(IntrospectionNews::RanOut(token));
                }
            }
        }
    }

    fn put_off(&mut self, pending: &Pending, now: Instant) {
        let token = pending.with.token();
        let Some(server) = self.server(&pending.issuer) else { return };
        let pause = spread(server.cache / 8, token);
        let not_before = server.line.paused_until(now).map(|until| until + pause);
        self.cache.put_off(token, now, not_before, pause);
    }

    fn server_answers(&mut self, issuer: &str) {
        let Some(server) = self.servers.iter_mut().find(|server| *server.issuer == *issuer) else { return };
        if server.succeeded() {
            self.news.push(IntrospectionNews::Recovered { url: server.line.endpoint().url().to_owned() });
        }
    }

    fn server_fails(&mut self, issuer: &str, failure: Failure, now: Instant) {
        let error = match failure {
            Failure::Late => {
                self.counters.late += 1;
                return;
            }
            Failure::Paused => {
                self.counters.paused += 1;
                return;
            }
            Failure::Request(error) => error,
        };
        self.counters.count_failure(&error);
        let Some(server) = self.servers.iter_mut().find(|server| *server.issuer == *issuer) else { return };
        if server.failed(&error, now) {
            self.news.push(IntrospectionNews::Failing { url: server.line.endpoint().url().to_owned(), error });
        }
    }
}

#[cfg(test)]
mod tests;
