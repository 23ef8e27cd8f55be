//! Keys that servers publish: fetched, and put in force.

use std::rc::Rc;
use std::time::Instant;

use ace_profile::jose::KeyError;
use ace_resource_server::remote::{KeyNews, KeySet};

use crate::broker::Level;
use crate::plugin::Plugin;

/// How many skipped keys are told of.
const SKIPPED_SHOWN: usize = 8;

impl Plugin {
    /// Has keys fetched when it is time, and judges tokens by those that have come from now on.
    pub(super) fn follow_keys(&self, now: Instant) {
        let mut remote = self.remote.borrow_mut();
        let news = remote.tick_keys(now);
        if news.iter().any(|(_, news)| matches!(news, KeyNews::Taken { .. })) {
            let configuration = self.configuration();
            *self.validator.borrow_mut() = Rc::new(remote.with_fetched_keys(&configuration.validator));
        }
        let lines: Vec<_> = news.iter().filter_map(|(at, news)| Some(line(remote.key_sets.get(*at)?, news))).collect();
        drop(remote);
        for (level, line) in lines {
            self.broker.log(level, &line);
        }
    }
}

impl Plugin {
    /// Tells what has been fetched.
    pub(crate) fn log_key_counters(&self, now: Instant) {
        let remote = self.remote.borrow();
        let line = |set: &KeySet| {
            let age = set.age(now).map(|age| format!(" age_s={}", age.as_secs())).unwrap_or_default();
            format!("ace: {}: {}{age}", whose(set), set.counters())
        };
        let lines: Vec<_> = remote.key_sets.iter().map(line).collect();
        drop(remote);
        for line in lines {
            self.broker.log(Level::Info, &line);
        }
    }
}

/// Which keys, for the log.
fn whose(set: &KeySet) -> String {
    format!("the keys of {}, asked for at {}", set.issuer().escape_debug(), set.url().escape_debug())
}

/// What the log is told.
fn line(set: &KeySet, news: &KeyNews) -> (Level, String) {
    let whose = format!("{},", whose(set));
    match news {
        KeyNews::Taken { keys, skipped } if skipped.is_empty() => {
            (Level::Notice, format!("ace: {whose} are in force: {keys}"))
        }
        KeyNews::Taken { keys, skipped } => {
            let told: Vec<_> = skipped.iter().take(SKIPPED_SHOWN).map(told).collect();
            let (number, told) = (skipped.len(), told.join("; "));
            (Level::Warning, format!("ace: {whose} are in force: {keys}; {number} are not taken: {told}"))
        }
        KeyNews::Failing(error) => {
            let rest = match set.keys() {
                Some(_) => "those that are known stay in force",
                None => "its tokens cannot be judged",
            };
            (Level::Warning, format!("ace: {whose} cannot be had: the server {error}; {rest}"))
        }
        KeyNews::Recovered => (Level::Notice, format!("ace: {whose} can be had again")),
    }
}

fn told((index, error): &(usize, KeyError)) -> String {
    format!("key {index}: {error}")
}
