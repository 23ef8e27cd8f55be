//! Durations as they are written in `ace.toml`: `"500ms"`, `"2s"`, `"5m"`, `"1h"`, and `"0"`.

use std::time::Duration;

use serde::Deserialize;
use serde::de::Error as _;

/// A duration in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrittenDuration(pub(super) Duration);

impl WrittenDuration {
    fn parse(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Self(Duration::ZERO));
        }
        let digits = text.find(|character: char| !character.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(number.checked_mul(millis)?)))
    }
}

impl<'de> Deserialize<'de> for WrittenDuration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format_args!(
                "{text:?} is not a duration such as \"500ms\", \"2s\", \"5m\", \"1h\" or \"0\""
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, millis) in [("0", 0), ("0s", 0), ("500ms", 500), ("2s", 2_000), ("5m", 300_000), ("1h", 3_600_000)] {
            assert_eq!(WrittenDuration::parse(text), Some(WrittenDuration(Duration::from_millis(millis))), "{text}");
        }
        for bad in ["", "5", "s", "-1s", "1.5s", "1 s", "1d", "1S", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(WrittenDuration::parse(bad), None, "{bad}");
        }
    }
}
