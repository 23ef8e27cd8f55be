//! A server that can be asked about tokens, and how it does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ace_profile::revocation::TokenHash;

use super::line::Line;
use crate::remote::https::{Endpoint, RequestError};

/// The longest that a server that is overloaded is left alone, whatever it asks for: what is known of tokens runs out meanwhile.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The least time between two complaints about a server that comes and goes.
const COMPLAINTS: Duration = Duration::from_secs(10);

/// Where and how to ask a server about tokens (RFC 7662).
#[derive(Debug, Clone)]
pub struct IntrospectionSource {
    /// Whose tokens it knows.
    pub issuer: String,
    /// Where to ask.
    pub endpoint: Arc<Endpoint>,
    /// How long an answer counts.
    pub cache: Duration,
    /// Whether it is asked about tokens that it has signed, too.
    pub introspect_jwt: bool,
    /// Whether it alone can tell about those: no keys of it are configured.
    pub has_no_keys: bool,
}

/// A server of the configuration, in the plugin's thread.
pub(super) struct Server {
    pub(super) issuer: Arc<str>,
    pub(super) cache: Duration,
    pub(super) introspect_jwt: bool,
    pub(super) has_no_keys: bool,
    pub(super) line: Arc<Line>,
    is_failing: bool,
    is_told: bool,
    told: Option<Instant>,
}

impl Server {
    pub(super) fn new(source: &IntrospectionSource, line: Arc<Line>) -> Self {
        Self {
            issuer: source.issuer.as_str().into(),
            cache: source.cache,
            introspect_jwt: source.introspect_jwt,
            has_no_keys: source.has_no_keys,
            line,
            is_failing: false,
            is_told: false,
            told: None,
        }
    }

    /// Takes over how the same server has done before.
    pub(super) const fn inherit(&mut self, before: &Self) {
        (self.is_failing, self.is_told, self.told) = (before.is_failing, before.is_told, before.told);
    }

    /// How long after it was asked about a token the server is asked again: about half of the time that its answer counts, so that
    /// there is time for a second attempt; and not at the same time for all.
    pub(super) fn spread(&self, token: TokenHash) -> Duration {
        spread(self.cache, token)
    }

    /// It has answered. Whether to tell that it does again.
    pub(super) const fn succeeded(&mut self) -> bool {
        self.is_failing = false;
        std::mem::replace(&mut self.is_told, false)
    }

    /// It has not. Whether to tell that.
    pub(super) fn failed(&mut self, error: &RequestError, now: Instant) -> bool {
        if let RequestError::Overloaded { retry_after: Some(after), .. } = error {
            self.line.pause(now + (*after).min(PAUSE_MAX));
        }
        self.is_failing = true;
        let is_news = !self.is_told && self.told.is_none_or(|told| now >= told + COMPLAINTS);
        if is_news {
            (self.is_told, self.told) = (true, Some(now));
        }
        is_news
    }
}

/// Between three and five eighths, by the token.
pub(super) fn spread(cache: Duration, token: TokenHash) -> Duration {
    let bytes = token.to_sent();
    let part = bytes.last_chunk::<2>().map_or(0, |last| u32::from(u16::from_be_bytes(*last)));
    cache * 3 / 8 + cache / 4 * part / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_asked_about_again_at_different_times() {
        let cache = Duration::from_secs(64);
        let times: Vec<Duration> = (0..10_000).map(|n: u32| spread(cache, TokenHash::of(&n.to_string()))).collect();
        let second = |second: u64| times.iter().filter(|time| time.as_secs() == second).count();
        assert!(times.iter().all(|time| (Duration::from_secs(24)..=Duration::from_secs(40)).contains(time)));
        assert!((24..40).all(|n| (450..800).contains(&second(n))), "{:?}", (24..40).map(second).collect::<Vec<_>>());
    }

    #[test]
    fn a_server_that_comes_and_goes_is_told_of_now_and_then() {
        let endpoint = Endpoint::new("https://localhost:1/introspect", None, Duration::from_secs(1)).unwrap();
        let endpoint = Arc::new(endpoint);
        let source = IntrospectionSource {
            issuer: "as".into(),
            endpoint: Arc::clone(&endpoint),
            cache: Duration::from_secs(60),
            introspect_jwt: false,
            has_no_keys: false,
        };
        let mut server = Server::new(&source, Arc::new(Line::new(endpoint, 4)));
        let (now, error) = (Instant::now(), RequestError::Status(500));
        assert!(!server.succeeded(), "nobody has asked");
        assert!(server.failed(&error, now) && !server.failed(&error, now), "told once");
        assert!(server.succeeded() && !server.succeeded());
        assert!(!server.failed(&error, now + Duration::from_secs(1)), "told lately");
        assert!(!server.succeeded(), "it was not told that it fails");
        assert!(server.failed(&error, now + COMPLAINTS));
        // A server is left alone as long as it asks for, within bounds.
        for (asked, paused) in [(3, 3), (3600, 30)] {
            let retry_after = Some(Duration::from_secs(asked));
            server.failed(&RequestError::Overloaded { status: 429, retry_after }, now);
            assert_eq!(server.line.paused_until(now), Some(now + Duration::from_secs(paused)));
        }
    }
}
