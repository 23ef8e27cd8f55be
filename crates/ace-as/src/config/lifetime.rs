//! Lifetimes as people write them: "500ms", "90s", "5m", "1h", "7d".

use std::time::Duration;

/// The longest lifetime that a token may be given: one year.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Reads a token's lifetime: whole seconds, at least one, at most [`LONGEST`].
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| explain(text))?;
    let milliseconds_each = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(explain(text)),
    };
    let milliseconds = number.checked_mul(milliseconds_each).ok_or_else(|| explain(text))?;
    let lifetime = Duration::from_millis(milliseconds);
    if lifetime.subsec_millis() != 0 || lifetime.is_zero() {
        return Err(format!("{text:?} is not a lifetime of at least one second, in whole seconds"));
    }
    if lifetime > LONGEST {
        return Err(format!("{text:?} is longer than a year"));
    }
    Ok(lifetime)
}

fn explain(text: &str) -> String {
    format!("{text:?} is not a duration such as \"90s\", \"5m\", \"1h\" or \"7d\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_understood() {
        assert_eq!(parse("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse("3000ms"), Ok(Duration::from_secs(3)));
        assert_eq!(parse("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse("7d"), Ok(Duration::from_secs(7 * 86400)));
    }

    #[test]
    fn what_is_no_lifetime_is_refused() {
        for text in [
            "",
            "0",
            "0s",
            "1",
            "s",
            "-1s",
            "1.5h",
            "500ms",
            "366d",
            "99999999999999999999s",
            "18446744073709551615d",
            "1 h",
            "1H",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
