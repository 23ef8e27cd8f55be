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

/// Whether the wall clock stands before `deadline`.
///
/// Far from it, the begun second of the time that the kernel keeps in memory that it shares with the process is enough: no
/// system call, the hardware is not asked, and nothing is divided.
#[inline]
#[must_use]
pub fn is_before(deadline: Timestamp) -> bool {
    let surely = time(libc::CLOCK_REALTIME_COARSE).is_some_and(|coarse| {
        let latest = coarse.tv_sec.cast_unsigned().wrapping_mul(1000).wrapping_add(1000 + TICK);
        latest < deadline.as_unix_millis()
    });
    surely || now() < deadline
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
        for millis in 0..200 {
            let deadline =
                Timestamp::from_system_time(SystemTime::now()).saturating_add(Duration::from_millis(millis % 3));
            let before = now();
            let told = is_before(deadline);
            let after = now();
            assert!(!told || before < deadline, "past the deadline at the start already");
            assert!(told || after >= deadline, "before the deadline at the end still");
        }
    }

    #[test]
    fn far_from_a_deadline_it_is_right() {
        let at = |seconds: u64| now().saturating_add(Duration::from_secs(seconds));
        assert!(is_before(Timestamp::MAX) && is_before(at(3600)) && is_before(at(2)));
        assert!(!is_before(Timestamp::EPOCH) && !is_before(now().saturating_sub(Duration::from_secs(2))));
    }
}
