//! The time of day, cheap enough to be asked for each message.

use ace_profile::Timestamp;

/// The wall clock as the kernel last kept it (a few milliseconds old at most): read from memory that the kernel shares with
/// the process, without a system call and without asking the hardware.
#[must_use]
pub fn now() -> Timestamp {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local of the right type, which the call fills.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &raw mut time) };
    if result != 0 {
        // Without a clock every token counts as expired.
        return Timestamp::MAX;
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
    Timestamp::from_unix_millis(seconds.saturating_mul(1000).saturating_add(millis))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn it_is_the_system_clock_to_within_a_tick() {
        let exact = Timestamp::from_system_time(SystemTime::now());
        assert!(exact.saturating_since(now()) < Duration::from_millis(100));
        assert!(now().saturating_since(exact) < Duration::from_secs(1));
    }
}
