//! Points in time and lengths of time, as people read and write them.

use std::{str::FromStr, time::Duration};

use ace_profile::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A point in time on the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(seconds) = text.parse::<u64>() {
            return Ok(Self(Timestamp::from_unix_seconds(seconds)));
        }
        let wrong = "neither seconds since 1970 nor RFC 3339, as 2030-01-31T12:00:00Z";
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wrong)?;
        let millis = u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).map_err(|_| wrong)?;
        Ok(Self(Timestamp::from_unix_millis(millis)))
    }
}

/// RFC 3339 in UTC, in whole seconds; the seconds since 1970 where the year has more than four digits.
pub(crate) fn rfc3339(moment: Timestamp) -> String {
    let seconds = moment.as_unix_seconds();
    let date = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| seconds.to_string())
}

/// How long, in its two largest units.
pub(crate) fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 && duration.subsec_millis() > 0 {
        return format!("{} ms", duration.subsec_millis());
    }
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (size, name) in units {
        let count = left / size;
        left %= size;
        if count > 0 || !parts.is_empty() {
            parts.push((count, name));
        }
    }
    parts.truncate(2);
    parts.retain(|(count, _)| *count > 0);
    let words: Vec<String> = parts.iter().map(|(count, name)| format!("{count} {name}")).collect();
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

/// Where a point lies, seen from another.
pub(crate) fn from_now(moment: Timestamp, now: Timestamp) -> String {
    if moment >= now {
        format!("in {}", length(moment.saturating_since(now)))
    } else {
        format!("{} ago", length(now.saturating_since(moment)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_written() {
        for (text, seconds) in [("0", 0), ("1700000000", 1_700_000_000), ("2023-11-14T22:13:20Z", 1_700_000_000)] {
            assert_eq!(text.parse::<Moment>().unwrap().0, Timestamp::from_unix_seconds(seconds));
        }
        assert_eq!("2023-11-14T23:13:20+01:00".parse::<Moment>().unwrap().0.as_unix_seconds(), 1_700_000_000);
        for text in ["", "now", "-1", "1969-12-31T23:59:59Z", "2023-11-14"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
        assert_eq!(rfc3339(Timestamp::from_unix_seconds(1_700_000_000)), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(Timestamp::from_unix_seconds(1 << 50)), (1_u64 << 50).to_string());
    }

    #[test]
    fn lengths_have_two_units() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (590, "9 min 50 s"),
            (3_600, "1 h"),
            (3_661, "1 h 1 min"),
            (90_061, "1 d 1 h"),
        ] {
            assert_eq!(length(Duration::from_secs(seconds)), words);
        }
        assert_eq!(length(Duration::from_millis(250)), "250 ms");
    }
}
