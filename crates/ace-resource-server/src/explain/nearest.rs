//! Which filter of a scope almost permits what is asked: for people who look for their mistake.

use ace_profile::scope::{Permission, Permissions, Scope, TopicFilter};

/// The filter that comes nearest to permitting a request that it does not permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// The filter.
    pub filter: TopicFilter,
    /// What it permits.
    pub permissions: Permissions,
    /// Why that is not this request.
    pub why: Why,
}

/// Why a filter does not permit a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is for these topics, and lacks the permission.
    Permission(Permission),
    /// It is for other topics: of their levels, counted from 1, this is the first that differs.
    Level {
        /// Which.
        number: usize,
        /// What was asked for; `None` if it has no such level.
        asked: Option<String>,
        /// What the filter has there; `None` if it has no such level.
        has: Option<String>,
    },
    /// It begins with a wildcard, and those are not for topics that begin with `$` (MQTT 5 §4.7.2).
    Dollar,
}

/// Whether a filter is for all that is asked: a topic, or a topic filter to subscribe to.
pub(super) fn is_for(filter: &TopicFilter, asked: &str) -> bool {
    TopicFilter::parse(asked).is_ok_and(|asked| filter.covers(&asked))
}

/// The nearest filter; `None` if none is anywhere near.
pub(super) fn nearest(scope: &Scope, permission: Permission, asked: &str) -> Option<Nearest> {
    let near = scope.entries().iter().filter_map(|entry| {
        let (why, distance) = if is_for(&entry.filter, asked) {
            (Why::Permission(permission), 0)
        } else {
            let (why, equal) = difference(entry.filter.as_str(), asked)?;
            // The more levels agree, the nearer; and one with the permission is nearer than one without.
            (why, usize::MAX - 2 * equal - usize::from(entry.permissions.contains(permission)))
        };
        Some((distance, Nearest { filter: entry.filter.clone(), permissions: entry.permissions, why }))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, nearest)| nearest)
}

/// Where a filter and what is asked first differ, and how many levels agree before; `None` if they have nothing to do with each
/// other.
fn difference(filter: &str, asked: &str) -> Option<(Why, usize)> {
    if asked.starts_with('$') && filter.starts_with(['+', '#']) {
        return Some((Why::Dollar, 0));
    }
    let (mut has, mut wants) = (filter.split('/'), asked.split('/'));
    let mut equal = 0;
    loop {
        let (level, wanted) = (has.next(), wants.next());
        match (level, wanted) {
            (Some(level), Some(wanted)) if level == wanted || level == "+" && wanted != "#" => equal += 1,
            (None, None) => return None,
            _ => {
                // Levels that differ in case alone are a common mistake.
                let is_near = level.zip(wanted).is_some_and(|(level, wanted)| level.eq_ignore_ascii_case(wanted));
                let (asked, has) = (wanted.map(str::to_owned), level.map(str::to_owned));
                let why = Why::Level { number: equal + 1, asked, has };
                return (equal > 0 || is_near).then_some((why, equal));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn near(asked: &str, permission: Permission) -> Option<(String, Why)> {
        let scope = Scope::from_aif_value(&json!([
            ["sensors/+/temperature", ["pub"]],
            ["sensors/7/humidity", ["pub"]],
            ["commands/#", ["sub"]],
            ["+/status", ["sub"]],
        ]));
        nearest(&scope.unwrap(), permission, asked).map(|nearest| (nearest.filter.as_str().to_owned(), nearest.why))
    }

    #[test]
    fn a_filter_that_only_lacks_the_permission_is_nearest() {
        let commands = near("commands/7", Permission::Publish).unwrap();
        assert_eq!(commands, ("commands/#".to_owned(), Why::Permission(Permission::Publish)));
    }

    #[test]
    fn the_more_levels_agree_the_nearer() {
        let level = |number, asked: Option<&str>, has: Option<&str>| Why::Level {
            number,
            asked: asked.map(str::to_owned),
            has: has.map(str::to_owned),
        };
        let (filter, why) = near("sensors/7/humidities", Permission::Publish).unwrap();
        assert_eq!(
            (filter.as_str(), why),
            ("sensors/+/temperature", level(3, Some("humidities"), Some("temperature")))
        );
        let (filter, why) = near("sensors/7/humidity/x", Permission::Publish).unwrap();
        assert_eq!((filter.as_str(), why), ("sensors/7/humidity", level(4, Some("x"), None)));
        let (filter, why) = near("Commands/7", Permission::Subscribe).unwrap();
        assert_eq!(filter, "+/status", "its first level is anything");
        assert_eq!(why, level(2, Some("7"), Some("status")));
        assert_eq!(near("$SYS/x", Permission::Subscribe), Some(("+/status".to_owned(), Why::Dollar)));
        assert_eq!(near("elsewhere", Permission::Publish).map(|(filter, _)| filter), Some("+/status".to_owned()));
    }

    #[test]
    fn what_has_nothing_in_common_is_not_near() {
        let scope = Scope::from_aif_value(&json!([["sensors/#", ["pub"]]])).unwrap();
        assert_eq!(nearest(&scope, Permission::Publish, "rooms/1"), None);
        assert!(nearest(&scope, Permission::Publish, "Sensors/1").is_some());
    }
}
