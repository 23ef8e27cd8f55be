//! The time of day, cheap enough to be asked for each message.

use ace_profile::Timestamp;

/// How far the kernel's own time may lie back: one of its ticks, of which it has a hundred a second at least.
const TICK_MILLIS: u64 = 10;

/// The wall clock as the kernel last kept it, read from memory that the kernel shares with the process: without a system call
/// and without asking the hardware. One tick is added, so that the result is never behind the clock, and a token never
/// counts a moment too long.
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
    Timestamp::from_unix_millis(seconds.saturating_mul(1000).saturating_add(millis).saturating_add(TICK_MILLIS))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn it_is_the_system_clock_or_a_little_ahead() {
        let before = Timestamp::from_system_time(SystemTime::now());
        let told = now();
        assert!(told >= before);
        assert!(told.saturating_since(before) < Duration::from_secs(1));
    }
}
