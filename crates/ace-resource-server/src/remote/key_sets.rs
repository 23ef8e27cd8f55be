//! The keys of a server, fetched again and again: when they get old, and when a token names one that is not among them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use ace_profile::Fingerprint;
use ace_profile::jose::{JwkSet, KeyError};
use ace_profile::limits;

use super::answer::Answer;
use super::discovery::{self, Discovered};
use super::https::{Content, Endpoint, EndpointError, RequestError};
use super::schedule::Schedule;
use super::workers::Workers;

/// How servers call a JWK set (RFC 7517 §8.5.2), and how many call it in fact.
const MEDIA_TYPES: &[&str] = &["application/jwk-set+json", "application/json"];
/// The longest pause while a server's keys cannot be had.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// The longest pause that a server may ask for.
const OVERLOADED_MAX: Duration = Duration::from_secs(300);
/// How often tokens with unknown keys may have a server asked: so many times at once,
const BURST: u32 = 3;
/// and then once in this time. Anybody can make such tokens.
const REFILL: Duration = Duration::from_secs(5);
/// How long it is remembered that a token's key was asked for, and of how many tokens.
const MEMORY: Duration = Duration::from_secs(30);
const TOKENS_MAX: usize = 4096;

/// Where the keys of a server are.
#[derive(Debug)]
pub struct KeySource {
    issuer: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// There.
    Known(Box<Endpoint>),
    /// Where the server's metadata say, which are at one of these two.
    Discovered { oauth: Box<Endpoint>, openid: Box<Endpoint> },
}

impl KeySource {
    /// At this endpoint.
    #[must_use]
    pub fn at(issuer: String, endpoint: Endpoint) -> Self {
        Self { issuer, place: Place::Known(Box::new(endpoint)) }
    }

    /// Where an issuer says where its keys are, if it is one that can be asked.
    #[must_use]
    pub fn metadata_url(issuer: &str) -> Option<String> {
        discovery::places(issuer).map(|places| places.oauth)
    }

    /// Wherever the issuer itself says, which is asked first at this endpoint: that of [`Self::metadata_url`].
    ///
    /// # Errors
    /// [`EndpointError`] if the issuer cannot be asked.
    pub fn discovered(issuer: String, oauth: Endpoint) -> Result<Self, EndpointError> {
        let places = discovery::places(&issuer).ok_or_else(|| EndpointError::NotHttps(issuer.clone()))?;
        let openid = Box::new(oauth.at(&places.openid)?);
        Ok(Self { issuer, place: Place::Discovered { oauth: Box::new(oauth), openid } })
    }

    /// Whose keys they are.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where they are asked for first.
    #[must_use]
    pub fn url(&self) -> &str {
        match &self.place {
            Place::Known(endpoint) => endpoint.url(),
            Place::Discovered { oauth, .. } => oauth.url(),
        }
    }

    /// Gets the keys once, for who wants to know whether they can be had, and where the server says that it is asked about tokens.
    /// Waits: not for the broker's thread.
    ///
    /// # Errors
    /// [`RequestError`] if they cannot be had.
    pub fn probe(&self) -> Result<(JwkSet, Option<String>), RequestError> {
        let Fetched { discovered, published } = self.fetch(None);
        let endpoint = discovered.and_then(|known| known.metadata.introspection_endpoint);
        published.map(|published| (published.keys, endpoint))
    }

    /// Gets the keys. Waits: not for the broker's thread.
    fn fetch(&self, known: Option<Discovered>) -> Fetched {
        let (oauth, openid) = match &self.place {
            Place::Known(endpoint) => return Fetched { discovered: None, published: published(endpoint) },
            Place::Discovered { oauth, openid } => (oauth, openid),
        };
        let known = known.filter(|known| Instant::now() < known.until).map(Ok);
        let discovered = match known.unwrap_or_else(|| discovery::discover(&self.issuer, oauth, openid)) {
            Ok(discovered) => discovered,
            Err(error) => return Fetched { discovered: None, published: Err(error) },
        };
        if discovered.metadata.has_no_keys() {
            let lifetime = discovered.until.saturating_duration_since(Instant::now());
            return Fetched {
                discovered: Some(discovered),
                published: Ok(Published { keys: JwkSet::default(), lifetime }),
            };
        }
        let unusable = |reason: &str| RequestError::Unusable(reason.to_owned());
        let url = discovered.metadata.jwks_uri.as_deref().ok_or_else(|| unusable("its metadata name no jwks_uri"));
        let endpoint = url.and_then(|url| oauth.at(url).map_err(|error| unusable(&error.to_string())));
        let published = endpoint.and_then(|endpoint| published(&endpoint));
        Fetched { discovered: Some(discovered), published }
    }
}

/// What came of a fetch.
struct Fetched {
    discovered: Option<Discovered>,
    published: Result<Published, RequestError>,
}

/// Keys, and for how long they are fresh.
struct Published {
    keys: JwkSet,
    lifetime: Duration,
}

fn published(endpoint: &Endpoint) -> Result<Published, RequestError> {
    let most = u64::try_from(limits::JWKS_BYTES).unwrap_or(u64::MAX);
    let Content { body, lifetime } = endpoint.get_public(MEDIA_TYPES, most)?;
    let keys = JwkSet::from_published_json(&body).map_err(|error| RequestError::Unusable(error.to_string()))?;
    Ok(Published { keys, lifetime })
}

/// What the plugin is to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyNews {
    /// There are other keys than before.
    Taken {
        /// How many.
        keys: usize,
        /// Which of the set are not among them: their place in it, counted from 0, and why.
        skipped: Vec<(usize, KeyError)>,
    },
    /// The keys cannot be had. Those that are known stay in force.
    Failing(RequestError),
    /// They can be had again, and are the same.
    Recovered,
}

/// What is to be done about a token whose key is not known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The keys are being fetched, or will be as soon as that is allowed: the number of the fetch.
    Fetch(u64),
    /// They cannot be had.
    Unavailable,
    /// They have been fetched since, and the one that it wants is not among them.
    Nowhere,
}

/// What has happened, since the start or since the server came into the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyCounters {
    /// Fetches that brought a usable set.
    pub succeeded: u64,
    /// Fetches that did not.
    pub failed: u64,
    /// Fetches because of a token's key, not of the keys' age.
    pub for_unknown_keys: u64,
    /// Tokens that had to wait because such fetches have a limit.
    pub limited: u64,
}

/// A part of a line for the log.
impl fmt::Display for KeyCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { succeeded, failed, for_unknown_keys, limited } = self;
        write!(f, "succeeded={succeeded} failed={failed} for_unknown_keys={for_unknown_keys} limited={limited}")
    }
}

/// The keys of one server.
pub struct KeySet {
    source: Arc<KeySource>,
    schedule: Schedule,
    allowance: Allowance,
    /// The number of the last fetch that has begun, of the last that brought keys, and of the last that did not.
    begun: u64,
    succeeded: u64,
    failed: u64,
    /// Whether a token waits for a fetch that has not begun.
    is_wanted: bool,
    /// Whether the keys are to be fetched once more when the fetch that is under way is over: it may be from before what is wanted.
    is_stale: bool,
    asked_for: HashMap<Fingerprint, AskedFor>,
    keys: JwkSet,
    taken: Option<Instant>,
    discovered: Option<Discovered>,
    /// Whether the server has said something else than before about where it is asked, or about having keys at all.
    has_moved: bool,
    counters: KeyCounters,
    answers: Receiver<Result<Fetched, RequestError>>,
    answer: Sender<Result<Fetched, RequestError>>,
}

/// When a token's key was first found to be unknown.
struct AskedFor {
    /// How many fetches had begun.
    begun: u64,
    at: Instant,
}

impl KeySet {
    /// The keys from this source, of which none is known.
    #[must_use]
    pub fn new(source: Arc<KeySource>, now: Instant) -> Self {
        let (answer, answers) = mpsc::channel();
        Self {
            source,
            schedule: Schedule::new(RETRY_MAX, now),
            allowance: Allowance::full(now),
            begun: 0,
            succeeded: 0,
            failed: 0,
            is_wanted: false,
            is_stale: false,
            asked_for: HashMap::new(),
            keys: JwkSet::default(),
            taken: None,
            discovered: None,
            has_moved: false,
            counters: KeyCounters::default(),
            answers,
            answer,
        }
    }

    /// The same set in a new configuration: from this source, and with all that is known if that is where it came from. It is fetched
    /// anew, so that having the configuration read again is a way to have that done at once.
    pub(super) fn continuing(source: Arc<KeySource>, before: &mut Vec<Self>, now: Instant) -> Self {
        let is_same = |set: &Self| set.issuer() == source.issuer() && set.url() == source.url();
        match before.iter().position(is_same) {
            Some(at) => {
                let mut same = Self { source, ..before.swap_remove(at) };
                same.schedule.hasten(now);
                same
            }
            None => Self::new(source, now),
        }
    }

    /// Has the keys, and where they are, asked for anew at once. Those that are known stay in force meanwhile.
    pub fn refresh(&mut self, now: Instant) {
        if let Some(known) = &mut self.discovered {
            known.until = now;
        }
        self.is_stale = self.schedule.is_under_way();
        self.schedule.hasten(now);
    }

    /// Whether they could not be had when they were asked for last.
    #[must_use]
    pub const fn is_failing(&self) -> bool {
        self.schedule.is_failing()
    }

    /// Whose keys they are.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.source.issuer()
    }

    /// Where they are asked for.
    #[must_use]
    pub fn url(&self) -> &str {
        self.source.url()
    }

    /// The keys, if any are known.
    #[must_use]
    pub fn keys(&self) -> Option<&JwkSet> {
        self.taken.map(|_| &self.keys)
    }

    /// How old the keys are.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.taken.map(|taken| now.saturating_duration_since(taken))
    }

    /// Takes these for the server's keys, without having asked.
    pub(super) fn told(&mut self, keys: JwkSet, now: Instant) {
        self.taken = Some(now);
        self.begun += 1;
        self.succeeded = self.begun;
        self.keys = keys;
    }

    /// What has happened.
    #[must_use]
    pub const fn counters(&self) -> KeyCounters {
        self.counters
    }

    /// Where the server is asked about tokens, if it says so.
    #[must_use]
    pub fn introspection_endpoint(&self) -> Option<&str> {
        self.discovered.as_ref()?.metadata.introspection_endpoint.as_deref()
    }

    /// Whether the server is to be asked about tokens in another way than when this was asked last.
    pub(super) const fn take_moved(&mut self) -> bool {
        std::mem::replace(&mut self.has_moved, false)
    }

    /// Whether the server has no keys, by its own word: it has to be asked about all of its tokens.
    pub(super) fn is_of_none(&self) -> bool {
        self.taken.is_some() && self.keys.keys().is_empty()
    }

    /// Takes up an answer, if one has come, and asks again when it is time. Never waits.
    pub fn tick(&mut self, workers: &mut Workers, now: Instant) -> Option<KeyNews> {
        let news = self.answers.try_recv().ok().and_then(|answer| self.take_up(answer, now));
        if self.is_stale && !self.schedule.is_under_way() {
            self.refresh(now);
        }
        if self.is_wanted && !self.schedule.is_under_way() && self.allowance.take(now) {
            self.begin_for_token(workers, now);
        } else {
            self.begin(workers, now);
        }
        news
    }

    /// How far a fetch is: `None` while it is under way, and then whether it brought keys, or one after it did.
    pub(crate) const fn outcome(&self, fetch: u64) -> Option<bool> {
        if self.succeeded >= fetch {
            Some(true)
        } else if self.failed >= fetch || fetch > self.begun.saturating_add(1) {
            // Beyond the next one: it was to be another set's, of a configuration that is not in force any more.
            Some(false)
        } else {
            None
        }
    }

    /// Whether a fetch has begun, so that its answer is not far.
    pub(super) const fn has_begun(&self, fetch: u64) -> bool {
        self.begun >= fetch
    }

    /// A token of this issuer is signed with a key that is not known: has the keys fetched, if that may help.
    pub(super) fn want(&mut self, token: Fingerprint, workers: &mut Workers, now: Instant) -> Wanted {
        // An answer that was asked for before the token came may be from before its key was there.
        if self.succeeded > self.first_asked(token, now) {
            return Wanted::Nowhere;
        }
        if self.schedule.is_under_way() {
            return Wanted::Fetch(self.begun);
        }
        self.begin(workers, now);
        if self.schedule.is_under_way() {
            return Wanted::Fetch(self.begun);
        }
        if self.schedule.is_failing() {
            return Wanted::Unavailable;
        }
        if self.is_wanted || !self.allowance.take(now) {
            self.is_wanted = true;
            self.counters.limited += 1;
            return Wanted::Fetch(self.begun + 1);
        }
        let next = self.begun + 1;
        self.begin_for_token(workers, now);
        Wanted::Fetch(next)
    }

    /// How many fetches had begun when this token's key was first found to be unknown.
    fn first_asked(&mut self, token: Fingerprint, now: Instant) -> u64 {
        let is_recent = |asked: &AskedFor| now.saturating_duration_since(asked.at) < MEMORY;
        if let Some(asked) = self.asked_for.get(&token).filter(|asked| is_recent(asked)) {
            return asked.begun;
        }
        if self.asked_for.len() >= TOKENS_MAX {
            self.asked_for.retain(|_, asked| is_recent(asked));
        }
        // So many tokens are not made by servers. Forgetting costs a fetch, and those have their limit.
        if self.asked_for.len() >= TOKENS_MAX {
            self.asked_for.clear();
        }
        self.asked_for.insert(token, AskedFor { begun: self.begun, at: now });
        self.begun
    }

    fn begin_for_token(&mut self, workers: &mut Workers, now: Instant) {
        self.is_wanted = false;
        self.counters.for_unknown_keys += 1;
        self.schedule.hasten(now);
        self.begin(workers, now);
    }

    /// Begins a fetch, if one is due. Where all threads are at work, it stays due.
    fn begin(&mut self, workers: &mut Workers, now: Instant) {
        if !self.schedule.begin(now) {
            return;
        }
        let (source, known, answer) =
            (Arc::clone(&self.source), self.discovered.clone(), Answer::new(self.answer.clone()));
        if workers.submit(move || answer.send(Ok(source.fetch(known)))).is_err() {
            self.schedule.put_off(now);
            return;
        }
        self.begun += 1;
    }

    fn take_up(&mut self, answer: Result<Fetched, RequestError>, now: Instant) -> Option<KeyNews> {
        let (discovered, published) =
            answer.map_or_else(|error| (None, Err(error)), |fetched| (fetched.discovered, fetched.published));
        let before = (self.introspection_endpoint().map(str::to_owned), self.is_of_none());
        if discovered.is_some() {
            self.discovered = discovered;
        }
        let news = self.judge(published, now);
        self.has_moved |= (self.introspection_endpoint(), self.is_of_none()) != (before.0.as_deref(), before.1);
        news
    }

    fn judge(&mut self, published: Result<Published, RequestError>, now: Instant) -> Option<KeyNews> {
        match published {
            Ok(Published { keys, lifetime }) => {
                let metadata = self.discovered.as_ref().map(|known| known.until.saturating_duration_since(now));
                let lifetime = metadata.map_or(lifetime, |metadata| metadata.min(lifetime));
                self.take(keys, lifetime, now)
            }
            Err(error) => {
                self.failed = self.begun;
                self.counters.failed += 1;
                // The keys may have moved.
                if let Some(known) = &mut self.discovered {
                    known.until = now;
                }
                let is_first = self.schedule.failed(now);
                if let RequestError::Overloaded { retry_after: Some(pause), .. } = error {
                    self.schedule.put_off_for(pause.min(OVERLOADED_MAX), now);
                }
                is_first.then_some(KeyNews::Failing(error))
            }
        }
    }

    fn take(&mut self, keys: JwkSet, lifetime: Duration, now: Instant) -> Option<KeyNews> {
        let was_failing = self.schedule.is_failing();
        let is_same = self.taken.is_some() && self.keys.public_value() == keys.public_value();
        self.schedule.succeeded_for(lifetime, now);
        self.succeeded = self.begun;
        self.counters.succeeded += 1;
        self.taken = Some(now);
        if is_same {
            return was_failing.then_some(KeyNews::Recovered);
        }
        let news = KeyNews::Taken { keys: keys.keys().len(), skipped: keys.skipped().to_vec() };
        self.keys = keys;
        Some(news)
    }
}

/// How many fetches tokens may still cause.
struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    const fn full(now: Instant) -> Self {
        Self { left: BURST, since: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let refilled = now.saturating_duration_since(self.since).as_secs() / REFILL.as_secs();
        if let Ok(refilled) = u32::try_from(refilled)
            && self.left.saturating_add(refilled) < BURST
        {
            self.left += refilled;
            self.since += REFILL * refilled;
        } else {
            *self = Self::full(now);
        }
        let is_allowed = self.left > 0;
        self.left -= u32::from(is_allowed);
        is_allowed
    }
}

#[cfg(test)]
#[path = "key_sets_tests.rs"]
mod tests;
