//! The time of day, cheap enough to be asked for each message.

use std::mem::MaybeUninit;

use ace_profile::Timestamp;

/// How far the kernel's own time may lie back, in milliseconds: one of its ticks, of which it has a hundred a second at
/// least.
const TICK: u64 = 10;

/// The wall clock.
#[must_use]
pub fn now() -> Timestamp {
    read(libc::CLOCK_REALTIME)
}

/// The wall clock, told only as precisely as it takes to say on which side of `deadline` it stands.
///
/// Far from the deadline it is the begun second of the time that the kernel keeps in memory that it shares with the
/// process: no system call, the hardware is not asked, and nothing is divided.
#[inline]
#[must_use]
pub fn now_as_seen_from(deadline: Timestamp) -> Timestamp {
    match time(libc::CLOCK_REALTIME_COARSE) {
        Some(coarse) => {
            let second = coarse.tv_sec.cast_unsigned().wrapping_mul(1000);
            let latest = second.wrapping_add(1000 + TICK);
            if latest < deadline.as_unix_millis() { Timestamp::from_unix_millis(second) } else { now() }
        }
        None => Timestamp::MAX,
    }
}

#[cold]
#[inline(never)]
fn read(clock: libc::clockid_t) -> Timestamp {
    // Without a clock every token counts as expired.
    let Some(time) = time(clock) else { return Timestamp::MAX };
    // The clock stands after 1970, and the nanoseconds are fewer than a second's.
    let millis = time.tv_nsec.cast_unsigned() / 1_000_000;
    Timestamp::from_unix_millis(time.tv_sec.cast_unsigned().wrapping_mul(1000).wrapping_add(millis))
}

#[inline]
fn time(clock: libc::clockid_t) -> Option<libc::timespec> {
    let mut time = MaybeUninit::uninit();
    // SAFETY: the pointer is to a local of the right type.
    let result = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    // SAFETY: where the call succeeds, it has written the time.
    (result == 0).then(|| unsafe { time.assume_init() })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

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
    fn far_from_a_deadline_it_is_of_the_same_second() {
        let before = Timestamp::from_system_time(SystemTime::now());
        let told = now_as_seen_from(Timestamp::MAX);
        assert!(before.saturating_since(told) <= Duration::from_millis(1100));
        assert!(told <= Timestamp::from_system_time(SystemTime::now()));
    }
}
