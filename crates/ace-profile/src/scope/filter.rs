//! One topic filter (MQTT 5 §4.7): checked, compared, intersected.
//!
//! This is the plain, readable form of the rules; [`super::Matcher`] answers the same questions for many
//! filters at once, and is tested against this one.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest filter that MQTT can carry, in bytes.
const MAX_BYTES: usize = 65_535;

/// Why a text is not a topic filter (MQTT 5 §4.7.1, §4.7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FilterError {
    /// A filter has at least one character.
    #[error("a topic filter may not be empty")]
    Empty,
    /// Longer than MQTT can carry.
    #[error("a topic filter has at most 65535 bytes")]
    TooLong,
    /// The NUL character may not appear in a filter.
    #[error("a topic filter may not contain the NUL character")]
    Nul,
    /// `#` stands alone in the last level only.
    #[error("\"#\" must be the whole of the last level")]
    MisplacedHash,
    /// `+` is a whole level.
    #[error("\"+\" must be the whole of a level")]
    MisplacedPlus,
}

/// A valid topic filter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter(Box<str>);

impl TopicFilter {
    /// Checks a text and keeps it.
    ///
    /// # Errors
    /// [`FilterError`] says which rule of MQTT 5 §4.7 the text breaks.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        check(text.as_bytes())?;
        Ok(Self(text.into()))
    }

    /// The filter as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the filter has no wildcard.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['+', '#'])
    }

    /// Whether a message with this topic name is meant (MQTT 5 §4.7): levels are compared one by one, `a/#` means
    /// `a` too, and a leading wildcard does not mean topics that begin with `$`.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        // A topic name is a filter without wildcards, so the question is one of coverage. One that holds wildcard
        // characters all the same is no topic name, and nothing means it.
        !topic.is_empty() && !topic.contains(['+', '#']) && self.covers_text(topic)
    }

    /// Whether each topic that `other` can match is matched by this filter too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.covers_text(&other.0)
    }

    fn covers_text(&self, other: &str) -> bool {
        if leads_with_wildcard(&self.0) && other.starts_with('$') {
            return false;
        }
        let mut granted = self.0.as_bytes().split(|byte| *byte == b'/');
        let mut asked = spelled_out(other.as_bytes()).split(|byte| *byte == b'/');
        loop {
            match (granted.next(), asked.next()) {
                (Some(b"#"), _) | (None, None) => return true,
                (Some(b"+"), Some(level)) if level != b"#" => {}
                (Some(level), Some(asked)) if level == asked => {}
                _ => return false,
            }
        }
    }

    /// The filter that matches just the topics that both match; `None` where there is no such topic.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let dollar = |filter: &Self| filter.0.starts_with('$');
        if (dollar(self) && leads_with_wildcard(&other.0)) || (dollar(other) && leads_with_wildcard(&self.0)) {
            return None;
        }
        let mut common: Vec<&str> = Vec::new();
        let (mut left, mut right) = (self.0.split('/'), other.0.split('/'));
        loop {
            match (left.next(), right.next()) {
                (None, None) => break,
                // "#" takes whatever the other has left, and its parent level, which "a/#" means too.
                (Some("#"), rest) => {
                    common.extend(rest);
                    common.extend(right);
                    break;
                }
                (rest, Some("#")) => {
                    common.extend(rest);
                    common.extend(left);
                    break;
                }
                (Some("+"), Some(level)) | (Some(level), Some("+")) => common.push(level),
                (Some(level), Some(same)) if level == same => common.push(level),
                _ => return None,
            }
        }
        Self::parse(&common.join("/")).ok()
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for TopicFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

/// A filter with `#` means its parent level, too. Where that would be the empty topic, which does not exist, the filter
/// means the same as another that says so, and is covered by whatever covers that.
pub(super) const fn spelled_out(filter: &[u8]) -> &[u8] {
    match filter {
        b"#" => b"+/#",
        b"/#" => b"/+/#",
        filter => filter,
    }
}

/// Whether the filter's first level is a wildcard, which does not match a topic that begins with `$` (MQTT 5 §4.7.2).
fn leads_with_wildcard(filter: &str) -> bool {
    filter.starts_with(['+', '#'])
}

/// Checks the rules for a topic filter without keeping it.
pub(super) fn check(filter: &[u8]) -> Result<(), FilterError> {
    if filter.is_empty() {
        return Err(FilterError::Empty);
    }
    if filter.len() > MAX_BYTES {
        return Err(FilterError::TooLong);
    }
    if filter.contains(&0) {
        return Err(FilterError::Nul);
    }
    let mut levels = filter.split(|byte| *byte == b'/').peekable();
    while let Some(level) = levels.next() {
        if level.contains(&b'#') && (level.len() > 1 || levels.peek().is_some()) {
            return Err(FilterError::MisplacedHash);
        }
        if level.contains(&b'+') && level.len() > 1 {
            return Err(FilterError::MisplacedPlus);
        }
    }
    Ok(())
}

/// The filter by which a subscription is judged: for `$share/<group>/<filter>` the filter in it (MQTT 5 §4.8.2), else
/// the text as it is. `None` if it is a shared subscription without a proper group or filter.
#[must_use]
pub fn shared_subscription_filter(filter: &[u8]) -> Option<&[u8]> {
    let Some(shared) = filter.strip_prefix(b"$share") else { return Some(filter) };
    match shared.strip_prefix(b"/") {
        Some(rest) => {
            let end = rest.iter().position(|byte| *byte == b'/')?;
            let (group, inner) = (rest.get(..end)?, rest.get(end + 1..)?);
            let proper = !group.is_empty() && !group.contains(&b'+') && !group.contains(&b'#') && !inner.is_empty();
            proper.then_some(inner)
        }
        None if shared.is_empty() => None,
        // "$shared/…" is an ordinary filter that happens to begin alike.
        None => Some(filter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::parse(text).unwrap()
    }

    #[test]
    fn filters_are_checked() {
        for good in ["a", "/", "//", "+", "#", "a/+/b", "+/+", "a/#", "/#", "+/#", "$SYS/#", "ä/ö"] {
            assert!(TopicFilter::parse(good).is_ok(), "{good}");
        }
        for (bad, error) in [
            ("", FilterError::Empty),
            ("a\0b", FilterError::Nul),
            ("a/#/b", FilterError::MisplacedHash),
            ("a#", FilterError::MisplacedHash),
            ("##", FilterError::MisplacedHash),
            ("#/", FilterError::MisplacedHash),
            ("a+", FilterError::MisplacedPlus),
            ("++", FilterError::MisplacedPlus),
            ("a/+b/c", FilterError::MisplacedPlus),
        ] {
            assert_eq!(TopicFilter::parse(bad), Err(error), "{bad:?}");
        }
        assert_eq!(TopicFilter::parse(&"a".repeat(65_536)), Err(FilterError::TooLong));
    }

    #[test]
    fn topics_match_as_mqtt_says() {
        for (granted, topic, expected) in [
            ("a/+", "a/b", true),
            ("a/+", "a/", true),
            ("a/+", "a", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("+", "a", true),
            ("+", "/a", false),
            ("/+", "/a", true),
            ("+/+", "/a", true),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("$SYS/+", "$SYS/x", true),
            ("#", "+", false),
            ("#", "", false),
        ] {
            assert_eq!(filter(granted).matches(topic), expected, "{granted} {topic}");
        }
    }

    #[test]
    fn coverage_is_by_every_topic_that_can_match() {
        for (granted, asked, expected) in [
            ("a/+", "a/b", true),
            ("a/+", "a/+", true),
            ("a/+", "a/#", false),
            ("a/+", "a", false),
            ("a/#", "a", true),
            ("a/#", "a/#", true),
            ("a/#", "a/+/c", true),
            ("a/#", "+/b", false),
            ("a/b", "a/+", false),
            ("#", "#", true),
            ("#", "+/a", true),
            ("#", "$SYS/#", false),
            ("+/#", "#", true),
            ("+/#", "a", true),
            ("$SYS/#", "$SYS/#", true),
            ("$SYS/#", "#", false),
        ] {
            assert_eq!(filter(granted).covers(&filter(asked)), expected, "{granted} {asked}");
        }
    }

    #[test]
    fn intersections_are_single_filters() {
        for (left, right, expected) in [
            ("a/+", "+/b", Some("a/b")),
            ("a/#", "a", Some("a")),
            ("a/#", "a/+/c", Some("a/+/c")),
            ("a/#", "+/b/#", Some("a/b/#")),
            ("#", "#", Some("#")),
            ("+/+", "#", Some("+/+")),
            ("a", "b", None),
            ("a/b", "a", None),
            ("#", "$SYS/#", None),
            ("$SYS/#", "$SYS/+", Some("$SYS/+")),
            ("a/+/#", "a/#", Some("a/+/#")),
        ] {
            let expected = expected.map(filter);
            assert_eq!(filter(left).intersect(&filter(right)), expected, "{left} {right}");
            assert_eq!(filter(right).intersect(&filter(left)), expected, "{right} {left}");
        }
    }

    #[test]
    fn shared_subscriptions_are_judged_by_their_filter() {
        for (asked, judged) in [
            ("a/#", Some("a/#")),
            ("$share/group/a/#", Some("a/#")),
            ("$share/group//", Some("/")),
            ("$share/group/$SYS/#", Some("$SYS/#")),
            ("$shared/a", Some("$shared/a")),
            ("$share", None),
            ("$share/", None),
            ("$share/group", None),
            ("$share/group/", None),
            ("$share//a", None),
            ("$share/+/a", None),
            ("$share/#", None),
        ] {
            assert_eq!(shared_subscription_filter(asked.as_bytes()), judged.map(str::as_bytes), "{asked}");
        }
    }
}
