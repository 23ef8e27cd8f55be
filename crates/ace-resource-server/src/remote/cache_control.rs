//! For how long what a server has answered is fresh, by its own word (RFC 9111 §4.2, §5.2.2).

use std::time::Duration;

use ureq::http::HeaderMap;
use ureq::http::header::{AGE, CACHE_CONTROL, HeaderName};

/// Where the server does not say, or wants nothing to be kept: keys have to be.
const USUAL: Duration = Duration::from_secs(300);
/// The least and the most that is believed: a server must not have itself asked without a pause, nor have a key that it has withdrawn
/// believed for more than a day.
const LEAST: Duration = Duration::from_secs(5);
const MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long to keep an answer with these headers.
pub(super) fn lifetime(headers: &HeaderMap) -> Duration {
    let mut max_age: Option<u64> = None;
    for directive in texts(headers, CACHE_CONTROL).flat_map(|text| text.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return USUAL,
            "max-age" => {
                let value = seconds(value.trim().trim_matches('"'));
                max_age = Some(max_age.map_or(value, |before| before.min(value)));
            }
            _ => {}
        }
    }
    match max_age {
        None | Some(0) => USUAL,
        Some(max_age) => {
            let age = texts(headers, AGE).next().map_or(0, |text| seconds(text.trim()));
            Duration::from_secs(max_age.saturating_sub(age)).clamp(LEAST, MOST)
        }
    }
}

fn texts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

/// A number of seconds (RFC 9111 §1.2.2): one that is too large counts as very large, what is none as nothing.
fn seconds(text: &str) -> u64 {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().unwrap_or(u64::MAX) } else { 0 }
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::*;

    fn lifetime_of(headers: &[(HeaderName, &'static str)]) -> u64 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_static(value));
        }
        lifetime(&map).as_secs()
    }

    #[test]
    fn the_servers_word_counts_within_bounds() {
        for (text, seconds) in [
            ("max-age=3600", 3600),
            ("public, MAX-AGE=\"60\" , must-revalidate", 60),
            ("max-age=60, max-age=40", 40),
            ("s-maxage=10", 300),
            ("max-age=1", 5),
            ("max-age=99999999999999999999999", 86_400),
            ("max-age=0", 300),
            ("max-age=-1", 300),
            ("max-age=soon", 300),
            ("max-age", 300),
            ("max-age=3600, no-store", 300),
            ("no-cache", 300),
            ("", 300),
        ] {
            assert_eq!(lifetime_of(&[(CACHE_CONTROL, text)]), seconds, "{text}");
        }
        assert_eq!(lifetime_of(&[]), 300);
        assert_eq!(lifetime_of(&[(CACHE_CONTROL, "max-age=60"), (CACHE_CONTROL, "private, max-age=30")]), 30);
    }

    #[test]
    fn what_has_lain_in_a_cache_has_less_time_left() {
        for (age, seconds) in [("20", 40), ("0", 60), ("100", 5), ("soon", 60), ("99999999999999999999999", 5)] {
            assert_eq!(lifetime_of(&[(CACHE_CONTROL, "max-age=60"), (AGE, age)]), seconds, "{age}");
        }
    }
}
