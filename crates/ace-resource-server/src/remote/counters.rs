//! What has been asked of servers about tokens, and what came of it.

use std::fmt;
use std::time::Duration;

use super::https::RequestError;

/// Counted since the plugin was loaded, but for the last four, which are as of now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Answers that a token is active,
    pub active: u64,
    /// and that it is not.
    pub inactive: u64,
    /// Requests that brought nothing, by why: no connection, or one that broke,
    pub unreachable: u64,
    /// TLS or the server's certificate,
    pub tls: u64,
    /// no answer in time,
    pub timed_out: u64,
    /// the server does not let the broker ask (401, 403),
    pub credentials: u64,
    /// it is overloaded (429, 503),
    pub overloaded: u64,
    /// another status,
    pub status: u64,
    /// an answer that is too long, of another type, or says nothing of the token.
    pub unusable: u64,
    /// Requests that were not sent: their time was over when their turn came,
    pub late: u64,
    /// or the server wanted to be left alone,
    pub paused: u64,
    /// or too many waited already, or too much that is known is rested on.
    pub full: u64,
    /// Requests about tokens that sessions rest on, out of all.
    pub asked_again: u64,
    /// Judgements that found an answer,
    pub hits: u64,
    /// that had to ask,
    pub misses: u64,
    /// and that had to wait for what was being asked already.
    pub coalesced: u64,
    /// Answers that were forgotten for want of room.
    pub evictions: u64,
    /// How long the answers took, together, in milliseconds,
    pub latency_sum: u64,
    /// how many that were,
    pub latency_count: u64,
    /// and the longest, in milliseconds.
    pub latency_max: u64,
    /// How many answers took no longer than each of [`Self::LATENCY_BOUNDS`], and longer than the one before it.
    pub latencies: [u64; Self::LATENCY_BOUNDS.len()],
    /// Of how many tokens something is known,
    pub entries: usize,
    /// and how many bytes that takes, about.
    pub bytes: usize,
    /// Requests that wait for their turn,
    pub queued: usize,
    /// and that are under way.
    pub in_flight: usize,
}

impl Counters {
    /// Up to which times answers are counted, in milliseconds.
    pub const LATENCY_BOUNDS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

    pub(super) const fn count_failure(&mut self, error: &RequestError) {
        let counter = match error {
            RequestError::Unreachable(_) => &mut self.unreachable,
            RequestError::Tls(_) => &mut self.tls,
            RequestError::TimedOut(_) => &mut self.timed_out,
            RequestError::Credentials(_) => &mut self.credentials,
            RequestError::Overloaded { .. } => &mut self.overloaded,
            RequestError::Status(_) => &mut self.status,
            RequestError::TooLong(_) | RequestError::MediaType | RequestError::Unusable(_) => &mut self.unusable,
        };
        *counter += 1;
    }

    pub(super) fn count_latency(&mut self, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.latency_sum = self.latency_sum.saturating_add(millis);
        self.latency_count += 1;
        self.latency_max = self.latency_max.max(millis);
        let bucket = Self::LATENCY_BOUNDS.iter().position(|bound| millis <= *bound);
        if let Some(bucket) = bucket.and_then(|bucket| self.latencies.get_mut(bucket)) {
            *bucket += 1;
        }
    }

    /// Whether anything has been asked at all.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        self.misses > 0
    }
}

/// One line for the log.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { active, inactive, unreachable, tls, timed_out, credentials, overloaded, status, unusable, .. } =
            self;
        let Self { late, paused, full, asked_again, hits, misses, coalesced, evictions, .. } = self;
        let Self { latency_sum, latency_count, latency_max, entries, bytes, queued, in_flight, .. } = self;
        let mean = latency_sum.checked_div(*latency_count).unwrap_or_default();
        write!(
            f,
            "active={active} inactive={inactive} unreachable={unreachable} tls={tls} timed_out={timed_out} \
             credentials={credentials} overloaded={overloaded} status={status} unusable={unusable} late={late} \
             paused={paused} full={full} asked_again={asked_again} hits={hits} misses={misses} coalesced={coalesced} \
             evictions={evictions} latency_mean_ms={mean} latency_max_ms={latency_max} entries={entries} bytes={bytes} \
             queued={queued} in_flight={in_flight}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_counter_and_the_line_shows_it() {
        let mut counters = Counters::default();
        assert!(!counters.is_used());
        for error in [
            RequestError::Unreachable(String::new()),
            RequestError::Tls(String::new()),
            RequestError::TimedOut(Duration::ZERO),
            RequestError::Credentials(401),
            RequestError::Overloaded { status: 429, retry_after: None },
            RequestError::Status(500),
            RequestError::TooLong(1),
        ] {
            counters.count_failure(&error);
        }
        counters.count_latency(Duration::from_millis(10));
        counters.count_latency(Duration::from_millis(30));
        assert_eq!(counters.latencies[..4], [0, 1, 0, 1]);
        let mut late = Counters::default();
        late.count_latency(Duration::from_secs(11));
        assert_eq!((late.latencies.iter().sum::<u64>(), late.latency_count), (0, 1), "beyond all bounds");
        let line = counters.to_string();
        for part in [
            "unreachable=1 tls=1 timed_out=1 credentials=1 overloaded=1 status=1 unusable=1",
            "mean_ms=20",
            "max_ms=30",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }
}
