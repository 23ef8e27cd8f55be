//! Points in time, always handed in by the caller: this crate has no clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time, in milliseconds since the Unix epoch (1970-01-01T00:00:00Z, leap seconds not counted).
///
/// This is the `NumericDate` of RFC 7519 §2 with a millisecond's resolution. Arithmetic saturates, so that
/// a hostile claim cannot make it overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch itself.
    pub const EPOCH: Self = Self(0);
    /// The farthest point that can be told.
    pub const MAX: Self = Self(u64::MAX);

    /// The point `seconds` after the Unix epoch; saturates at [`Timestamp::MAX`].
    #[must_use]
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The point `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The time that the operating system's clock gave, for callers that have one. A clock that stands
    /// before the epoch counts as the epoch.
    #[must_use]
    pub fn from_system_time(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(millis_of(since_epoch))
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_unix_millis(self) -> u64 {
        self.0
    }

    /// This point moved forward, at most to [`Timestamp::MAX`]. Fractions of a millisecond are dropped.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(by)))
    }

    /// This point moved back, at most to the epoch. Fractions of a millisecond are dropped.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(by)))
    }

    /// How long after `earlier` this point lies; zero if it does not.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in milliseconds, saturating.
fn millis_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_milliseconds_agree() {
        assert_eq!(Timestamp::from_unix_seconds(5), Timestamp::from_unix_millis(5000));
        assert_eq!(Timestamp::from_unix_millis(5999).as_unix_seconds(), 5);
        assert_eq!(Timestamp::from_unix_millis(5999).as_unix_millis(), 5999);
    }

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Timestamp::from_unix_seconds(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_unix_seconds(1).saturating_sub(Duration::from_secs(2)), Timestamp::EPOCH);
        assert_eq!(Timestamp::EPOCH.saturating_since(Timestamp::MAX), Duration::ZERO);
    }

    #[test]
    fn a_clock_before_the_epoch_counts_as_the_epoch() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Timestamp::from_system_time(before), Timestamp::EPOCH);
        assert_eq!(Timestamp::from_system_time(UNIX_EPOCH + Duration::from_secs(3)), Timestamp::from_unix_seconds(3));
    }
}
