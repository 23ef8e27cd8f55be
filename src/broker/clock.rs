//! The time of day, cheap enough to be asked for each message.

use std::time::Duration;

use ace_profile::Timestamp;

/// How far the kernel's own time may lie back: one of its ticks, of which it has a hundred a second at least.
const TICK: Duration = Duration::from_millis(10);

/// The wall clock.
#[must_use]
pub fn now() -> Timestamp {
    read(libc::CLOCK_REALTIME)
}

/// The wall clock, told only as precisely as it takes to say on which side of `deadline` it stands.
///
/// Far from the deadline it is the time that the kernel keeps in memory that it shares with the process, a tick old at
/// most: no system call, and the hardware is not asked.
#[inline]
#[must_use]
pub fn now_as_seen_from(deadline: Timestamp) -> Timestamp {
    let coarse = read(libc::CLOCK_REALTIME_COARSE);
    if coarse.saturating_add(TICK) < deadline || coarse >= deadline { coarse } else { now() }
}

#[inline]
fn read(clock: libc::clockid_t) -> Timestamp {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local of the right type, which the call fills.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    if result != 0 {
        // Without a clock every token counts as expired.
        return Timestamp::MAX;
    }
    // The clock stands after 1970, and the nanoseconds are fewer than a second's.
    let millis = time.tv_nsec.cast_unsigned() / 1_000_000;
    Timestamp::from_unix_millis(time.tv_sec.cast_unsigned().wrapping_mul(1000).wrapping_add(millis))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn it_is_the_system_clock() {
        let before = Timestamp::from_system_time(SystemTime::now());
        let told = now();
        let after = Timestamp::from_system_time(SystemTime::now());
        assert!((before..=after).contains(&told));
    }

    #[test]
    fn near_a_deadline_it_is_exact() {
        for _ in 0..200 {
            let before = Timestamp::from_system_time(SystemTime::now());
            let deadline = before.saturating_add(Duration::from_millis(1));
            let told = now_as_seen_from(deadline);
            let after = Timestamp::from_system_time(SystemTime::now());
            assert!(told >= deadline || told >= before, "behind the clock, and not past the deadline");
            assert!(told <= after);
        }
    }

    #[test]
    fn far_from_a_deadline_it_is_a_tick_old_at_most() {
        let before = Timestamp::from_system_time(SystemTime::now());
        assert!(before.saturating_since(now_as_seen_from(Timestamp::MAX)) <= Duration::from_millis(100));
    }
}
