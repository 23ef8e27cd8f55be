//! Scopes against a brute-force oracle: over small alphabets every topic is written down, and coverage is what MQTT says
//! of each of them.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test that meets something unexpected stops there")]

use std::sync::LazyLock;

use ace_profile::scope::{Matcher, Permission, Permissions, Scope, TopicFilter};
use proptest::prelude::*;

/// Levels of which filters are made. `z` is left to the topics, so that no set of literals stands in for a `+`.
const FILTER_LEVELS: [&str; 7] = ["a", "b", "", "$s", "of-ten-bytes", "a-level-beyond-sixteen", "+"];
const TOPIC_LEVELS: [&str; 7] = ["a", "b", "", "$s", "of-ten-bytes", "a-level-beyond-sixteen", "z"];
const FILTER_DEPTH: usize = 3;
const TOPIC_DEPTH: usize = 4;

/// Every topic over the alphabet, up to one level deeper than the filters are.
static TOPICS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut topics: Vec<Vec<&str>> = vec![Vec::new()];
    let mut all = Vec::new();
    for _ in 0..TOPIC_DEPTH {
        topics = topics
            .iter()
            .flat_map(|topic| TOPIC_LEVELS.iter().map(move |level| [topic.as_slice(), &[*level]].concat()))
            .collect();
        all.extend(topics.iter().map(|levels| levels.join("/")).filter(|topic| !topic.is_empty()));
    }
    all
});

/// MQTT 5 §4.7, level by level.
fn means(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) | ([], []) => true,
            (["+", filter @ ..], [_, topic @ ..]) => levels(filter, topic),
            ([level, filter @ ..], [same, topic @ ..]) if level == same => levels(filter, topic),
            _ => false,
        }
    }
    let (filter, topic): (Vec<_>, Vec<_>) = (filter.split('/').collect(), topic.split('/').collect());
    let hidden = topic[0].starts_with('$') && ["+", "#"].contains(&filter[0]);
    !hidden && levels(&filter, &topic)
}

fn covers_all(granted: &str, asked: &str) -> bool {
    TOPICS.iter().filter(|topic| means(asked, topic)).all(|topic| means(granted, topic))
}

fn filter() -> impl Strategy<Value = String> {
    let levels = prop::collection::vec(prop::sample::select(&FILTER_LEVELS[..]), 0..=FILTER_DEPTH);
    (levels, any::<bool>())
        .prop_map(|(mut levels, hash)| {
            if hash {
                levels.push("#");
            }
            levels.join("/")
        })
        .prop_filter("a filter has at least one character", |filter| !filter.is_empty())
}

fn deep_filters() -> impl Strategy<Value = Vec<String>> {
    let levels = prop::sample::select(vec!["a", "nine-char", "seventeen-letters", "+"]);
    let filter = (prop::collection::vec(levels, 1..=7), prop::bool::weighted(0.2)).prop_map(|(levels, hash)| {
        let hash = if hash { "/#" } else { "" };
        format!("{}{hash}", levels.join("/"))
    });
    prop::collection::vec(filter, 0..40)
}

fn deep_topics() -> impl Strategy<Value = Vec<String>> {
    let levels = prop::sample::select(vec!["a", "nine-char", "seventeen-letters"]);
    prop::collection::vec(prop::collection::vec(levels, 1..=8).prop_map(|levels| levels.join("/")), 100)
}

fn permissions() -> impl Strategy<Value = Permissions> {
    prop::sample::select(vec![Permission::Publish.into(), Permission::Subscribe.into(), Permissions::BOTH])
}

fn scope() -> impl Strategy<Value = Scope> {
    prop::collection::vec((filter(), permissions()), 0..6).prop_map(|entries| {
        Scope::new(entries.into_iter().map(|(filter, permissions)| (TopicFilter::parse(&filter).unwrap(), permissions)))
    })
}

fn permitted(scope: &Scope, permission: Permission) -> impl Iterator<Item = &str> {
    scope
        .entries()
        .iter()
        .filter(move |entry| entry.permissions.contains(permission))
        .map(|entry| entry.filter.as_str())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn one_filter_covers_as_the_oracle_says(granted in filter(), asked in filter()) {
        let covers = TopicFilter::parse(&granted).unwrap().covers(&TopicFilter::parse(&asked).unwrap());
        prop_assert_eq!(covers, covers_all(&granted, &asked), "{} covers {}", granted, asked);
    }

    #[test]
    fn intersections_mean_what_both_mean(left in filter(), right in filter()) {
        let both = TopicFilter::parse(&left).unwrap().intersect(&TopicFilter::parse(&right).unwrap());
        for topic in TOPICS.iter() {
            let expected = means(&left, topic) && means(&right, topic);
            prop_assert_eq!(both.as_ref().is_some_and(|both| means(both.as_str(), topic)), expected, "{}", topic);
        }
    }

    #[test]
    fn the_matcher_covers_as_the_oracle_says(scope in scope(), asked in filter(), group in "[a-z]{1,3}") {
        let expected = permitted(&scope, Permission::Subscribe).any(|granted| covers_all(granted, &asked));
        let matcher = Matcher::new(&scope);
        prop_assert_eq!(matcher.may_subscribe(asked.as_bytes()), expected, "{:?} {}", scope, asked);
        let shared = format!("$share/{group}/{asked}");
        prop_assert_eq!(matcher.may_subscribe(shared.as_bytes()), expected, "{:?} {}", scope, shared);
    }

    #[test]
    fn the_matcher_matches_as_the_oracle_says(scope in scope()) {
        let matcher = Matcher::new(&scope);
        for topic in TOPICS.iter() {
            let publish = permitted(&scope, Permission::Publish).any(|granted| means(granted, topic));
            let receive = permitted(&scope, Permission::Subscribe).any(|granted| means(granted, topic));
            prop_assert_eq!(matcher.may_publish(topic.as_bytes()), publish, "{:?} {}", scope, topic);
            prop_assert_eq!(matcher.may_receive(topic.as_bytes()), receive, "{:?} {}", scope, topic);
        }
    }

    /// Deeper than all topics can be written down for: many filters and some topics that are made of the same few levels.
    #[test]
    fn deep_scopes_of_many_filters_match_as_the_oracle_says(filters in deep_filters(), topics in deep_topics()) {
        let entries = filters.iter().map(|filter| (TopicFilter::parse(filter).unwrap(), Permission::Publish.into()));
        let matcher = Matcher::new(&Scope::new(entries));
        for topic in topics {
            let expected = filters.iter().any(|filter| means(filter, &topic));
            prop_assert_eq!(matcher.may_publish(topic.as_bytes()), expected, "{:?} {}", filters, topic);
            prop_assert!(!matcher.may_receive(topic.as_bytes()));
        }
    }

    #[test]
    fn what_is_no_filter_is_never_covered(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let everything = Scope::new([(TopicFilter::parse("#").unwrap(), Permissions::BOTH)]);
        let matcher = Matcher::new(&everything);
        let valid = std::str::from_utf8(&bytes).ok().is_none_or(|text| TopicFilter::parse(text).is_ok());
        prop_assert!(valid || !matcher.may_subscribe(&bytes));
        let _ = matcher.may_publish(&bytes);
    }
}

/// `/#` means the empty topic besides what is below it, but there is no empty topic.
#[test]
fn what_would_mean_the_empty_topic_is_covered_without_it() {
    for (granted, asked) in [("+/#", "#"), ("#", "#"), ("+/+/#", "/#"), ("/+/#", "/#"), ("+/#", "/#"), ("/#", "/#")] {
        assert!(covers_all(granted, asked), "{granted} {asked}");
        assert!(TopicFilter::parse(granted).unwrap().covers(&TopicFilter::parse(asked).unwrap()), "{granted} {asked}");
        let scope = Scope::new([(TopicFilter::parse(granted).unwrap(), Permissions::BOTH)]);
        assert!(Matcher::new(&scope).may_subscribe(asked.as_bytes()), "{granted} {asked}");
    }
    for (granted, asked) in
        [("+", "#"), ("+/+/#", "#"), ("/+", "/#"), ("+/+/+/#", "/#"), ("a/+/#", "a/#"), ("a/#", "/#")]
    {
        assert!(!covers_all(granted, asked), "{granted} {asked}");
        assert!(!TopicFilter::parse(granted).unwrap().covers(&TopicFilter::parse(asked).unwrap()), "{granted} {asked}");
        let scope = Scope::new([(TopicFilter::parse(granted).unwrap(), Permissions::BOTH)]);
        assert!(!Matcher::new(&scope).may_subscribe(asked.as_bytes()), "{granted} {asked}");
    }
}

#[test]
fn deep_topics_and_many_filters_are_only_work() {
    let deep = vec!["+"; 20_000].join("/");
    let wide = (0..4_000).map(|n| format!("sensors/{n}/temperature"));
    let filters = wide.chain([deep.clone(), format!("{deep}/x")]);
    let scope = Scope::new(filters.map(|text| (TopicFilter::parse(&text).unwrap(), Permissions::BOTH)));
    let matcher = Matcher::new(&scope);
    assert!(matcher.may_publish(b"sensors/3999/temperature"));
    assert!(!matcher.may_publish(b"sensors/4000/temperature"));
    assert!(matcher.may_publish(vec!["a"; 20_000].join("/").as_bytes()));
    assert!(!matcher.may_publish("/".repeat(65_535).as_bytes()));
    assert!(!matcher.may_subscribe("/".repeat(65_535).as_bytes()));
}

/// Two filters for each level, one by a literal and one by `+`: as a naive search sees it, two to the twentieth ways.
#[test]
fn a_scope_made_to_branch_is_walked_once() {
    let filters = (0..18).map(|n| {
        let levels: Vec<&str> = (0..18).map(|level| if level < n { "a" } else { "+" }).collect();
        levels.join("/")
    });
    let scope = Scope::new(filters.map(|text| (TopicFilter::parse(&text).unwrap(), Permissions::BOTH)));
    let matcher = Matcher::new(&scope);
    assert!(matcher.may_publish(vec!["a"; 18].join("/").as_bytes()));
    assert!(!matcher.may_publish(vec!["a"; 19].join("/").as_bytes()));
}
