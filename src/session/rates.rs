//! How many tokens clients publish to the `authz-info` topic in a second: each of them, and all together.
//!
//! A client has a bucket that fills at its rate and holds what may come in one second; each token takes something out of it.

use std::collections::HashMap;
use std::time::Duration;

use ace_profile::Timestamp;

use crate::broker::ClientKey;

/// What one token takes out of a bucket. A bucket gains one for each millisecond and token per second.
const PER_TOKEN: u64 = 1000;
/// For how long the log says no more about a client, or about all, when it has said that there are too many tokens.
const QUIET: Duration = Duration::from_secs(60);

/// Which rate was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// The client's own.
    Client {
        /// Whether the log has not been told for a while.
        tell: bool,
    },
    /// That of all clients together.
    Total {
        /// Whether the log has not been told for a while.
        tell: bool,
    },
}

/// The rates of all clients. Only those are known that have published a token lately.
#[derive(Debug, Default)]
pub struct Rates {
    clients: HashMap<ClientKey, Client>,
    total: Client,
}

#[derive(Debug, Default)]
struct Client {
    /// `None` before the first token.
    bucket: Option<Bucket>,
    /// `None` if the log has not been told yet.
    quiet_until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    content: u64,
    filled: Timestamp,
}

impl Rates {
    /// Notes a token of this client. 0 stands for any number in a second.
    ///
    /// # Errors
    /// Which rate it exceeds: then it is not to be looked at.
    pub fn note(&mut self, client: ClientKey, now: Timestamp, rate: u32, rate_total: u32) -> Result<(), Exceeded> {
        if rate > 0 {
            let client = self.clients.entry(client).or_default();
            if !client.take(now, rate) {
                return Err(Exceeded::Client { tell: client.may_tell(now) });
            }
        }
        if rate_total > 0 && !self.total.take(now, rate_total) {
            return Err(Exceeded::Total { tell: self.total.may_tell(now) });
        }
        Ok(())
    }

    /// Forgets a client that has gone.
    pub fn forget(&mut self, client: ClientKey) {
        self.clients.remove(&client);
    }

    /// Forgets the clients that have not published a token for so long that their buckets are full, and of which the log
    /// may be told again.
    pub fn sweep(&mut self, now: Timestamp) {
        self.clients.retain(|_, client| !client.is_rested(now));
    }
}

impl Client {
    fn take(&mut self, now: Timestamp, rate: u32) -> bool {
        let most = u64::from(rate) * PER_TOKEN;
        let Bucket { content, filled } = self.bucket.unwrap_or(Bucket { content: most, filled: now });
        // A clock that was set back gives nothing, once.
        let gained = millis_between(filled, now).saturating_mul(u64::from(rate));
        let content = content.saturating_add(gained).min(most);
        let left = content.checked_sub(PER_TOKEN);
        self.bucket = Some(Bucket { content: left.unwrap_or(content), filled: now });
        left.is_some()
    }

    fn may_tell(&mut self, now: Timestamp) -> bool {
        let may = self.quiet_until.is_none_or(|until| now >= until);
        if may {
            self.quiet_until = Some(now.saturating_add(QUIET));
        }
        may
    }

    fn is_rested(&self, now: Timestamp) -> bool {
        // Whatever the rate is, a bucket is full after a second.
        let full = self.bucket.is_none_or(|bucket| millis_between(bucket.filled, now) >= 1000);
        full && self.quiet_until.is_none_or(|until| now >= until)
    }
}

const fn millis_between(earlier: Timestamp, later: Timestamp) -> u64 {
    later.as_unix_millis().saturating_sub(earlier.as_unix_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: usize = 64;
    const OTHER: usize = 128;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_700_000_000_000 + millis)
    }

    /// How many out of 1,000 tokens at that moment are looked at.
    fn passed(rates: &mut Rates, client: usize, millis: u64, rate: u32, rate_total: u32) -> usize {
        let client = ClientKey::for_test(client);
        (0..1000).filter(|_| rates.note(client, at(millis), rate, rate_total).is_ok()).count()
    }

    #[test]
    fn a_client_may_publish_as_many_as_its_rate_says() {
        let mut rates = Rates::default();
        assert_eq!(passed(&mut rates, ONE, 0, 10, 0), 10);
        assert_eq!(passed(&mut rates, ONE, 99, 10, 0), 0);
        assert_eq!(passed(&mut rates, ONE, 100, 10, 0), 1);
        assert_eq!(passed(&mut rates, ONE, 350, 10, 0), 2);
        assert_eq!(passed(&mut rates, OTHER, 350, 10, 0), 10);
        assert_eq!(passed(&mut rates, ONE, 60_000, 10, 0), 10);
        assert_eq!(passed(&mut rates, ONE, 60_000, 0, 0), 1000);
        // Half of one is kept.
        assert_eq!(passed(&mut rates, ONE, 60_150, 10, 0), 1);
        assert_eq!(passed(&mut rates, ONE, 60_200, 10, 0), 1);
    }

    #[test]
    fn all_together_may_publish_as_many_as_theirs_says() {
        let mut rates = Rates::default();
        assert_eq!(passed(&mut rates, ONE, 0, 10, 15), 10);
        assert_eq!(passed(&mut rates, OTHER, 0, 10, 15), 5);
        assert_eq!(passed(&mut rates, OTHER, 1000, 0, 15), 15);
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nobody_for_long() {
        let mut rates = Rates::default();
        assert_eq!(passed(&mut rates, ONE, 3_600_000, 10, 0), 10);
        assert_eq!(passed(&mut rates, ONE, 0, 10, 0), 0);
        assert_eq!(passed(&mut rates, ONE, 500, 10, 0), 5);
    }

    #[test]
    fn the_log_is_told_once_in_a_while() {
        let mut rates = Rates::default();
        let client = ClientKey::for_test(ONE);
        let told = |rates: &mut Rates, millis, rate, total| {
            let outcomes: Vec<_> = (0..5).map(|_| rates.note(client, at(millis), rate, total)).collect();
            outcomes
                .iter()
                .filter(|outcome| {
                    matches!(outcome, Err(Exceeded::Client { tell: true } | Exceeded::Total { tell: true }))
                })
                .count()
        };
        assert_eq!(told(&mut rates, 0, 1, 0), 1);
        assert_eq!(told(&mut rates, 59_999, 1, 0), 0);
        assert_eq!(told(&mut rates, 60_000, 1, 0), 1);
        assert_eq!(told(&mut rates, 60_000, 0, 1), 1);
        assert_eq!(told(&mut rates, 60_001, 0, 1), 0);
    }

    #[test]
    fn clients_that_rest_are_forgotten() {
        let mut rates = Rates::default();
        assert!(rates.note(ClientKey::for_test(ONE), at(0), 2, 0).is_ok());
        assert_eq!(passed(&mut rates, OTHER, 0, 2, 0), 2);
        rates.sweep(at(999));
        assert_eq!(rates.clients.len(), 2);
        rates.sweep(at(1000));
        assert_eq!(rates.clients.len(), 1, "the log was told of the other one");
        rates.sweep(at(60_000));
        assert!(rates.clients.is_empty());
        assert_eq!(passed(&mut rates, ONE, 60_000, 2, 0), 2);
        rates.forget(ClientKey::for_test(ONE));
        assert!(rates.clients.is_empty());
    }
}
