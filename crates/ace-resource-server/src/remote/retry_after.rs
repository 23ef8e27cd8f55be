//! When a server that is overloaded wants to be asked again (RFC 9110 §10.2.3).

use std::time::{Duration, SystemTime};

use ace_profile::Timestamp;
use ureq::http::HeaderMap;
use ureq::http::header::RETRY_AFTER;

/// What the header `Retry-After` says: a number of seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| Some(date(text)?.saturating_since(Timestamp::from_system_time(SystemTime::now()))))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A date as servers have to write it (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str) -> Option<Timestamp> {
    let (_, text) = text.strip_suffix(" GMT")?.split_once(", ")?;
    let mut parts = text.split([' ', ':']);
    let day: u64 = parts.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)?;
    let mut number = |most: u64| parts.next()?.parse::<u64>().ok().filter(|number| *number <= most);
    let (year, hour, minute, second) =
        (number(9999).filter(|year| *year >= 1970)?, number(23)?, number(59)?, number(60)?);
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let is_leap = leaps(year) > leaps(year - 1);
    let months = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before: u64 = months.iter().take(month).sum();
    let days = 365 * (year - 1970) + leaps(year - 1) - leaps(1969) + before + day - 1;
    Some(Timestamp::from_unix_seconds(((days * 24 + hour) * 60 + minute) * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        // RFC 9110's own example, a leap day, and the beginning.
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ] {
            assert_eq!(date(text), Some(Timestamp::from_unix_seconds(seconds)), "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Now 1994 08:49:37 GMT",
            "Sun, 99 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_and_dates_are_told_apart() {
        let after = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO), "long past");
        assert_eq!(after("-1"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
