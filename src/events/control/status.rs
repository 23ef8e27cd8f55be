//! `getStatus`: what the plugin is, and how it is.

use std::time::Instant;

use ace_resource_server::remote::KeySet;
use serde_json::{Map, Value, json};

use crate::plugin::Plugin;

impl Plugin {
    /// How the plugin is.
    pub(super) fn status(&self) -> Value {
        let remote = self.remote.borrow();
        let now = Instant::now();
        let key_set = |set: &KeySet| {
            let counters = set.counters();
            json!({
                "issuer": set.issuer(),
                "keys": set.keys().map(|keys| keys.keys().len()),
                "age": set.age(now).map(|age| age.as_secs()),
                "failing": set.is_failing(),
                "fetched": counters.succeeded,
                "failed": counters.failed,
            })
        };
        let key_sets: Vec<Value> = remote.key_sets.iter().map(key_set).collect();
        let introspection = remote.counters();
        let denied: Map<String, Value> =
            self.commands.denials.all().map(|(code, count)| (code.to_owned(), count.into())).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "since": self.commands.started.as_unix_seconds(),
            "sessions": self.sessions.borrow().with_token(),
            "heldTokens": self.held.borrow().len(),
            "keySets": key_sets,
            "introspection": { "answers": introspection.entries, "waiting": introspection.queued + introspection.in_flight },
            "commands": {
                "done": self.commands.done.get(),
                "failed": self.commands.failed.get(),
                "denied": denied,
            },
        })
    }
}
