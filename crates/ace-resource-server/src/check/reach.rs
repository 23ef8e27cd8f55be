//! Whether the servers of a configuration can be asked: each once, as the broker asks them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::config::Configuration;
use crate::remote::{RequestError, probe_introspection, probe_revocation_list};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A server's keys, and where they are if it has to be asked for that.
    Keys,
    /// What it says about a token: one that cannot exist.
    Introspection,
    /// Its list of revoked tokens.
    RevocationList,
}

/// What came of asking for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// What.
    pub resource: Resource,
    /// Of which server.
    pub issuer: String,
    /// Where.
    pub url: String,
    /// How long it took.
    pub took: Duration,
    /// What there is, in words, or why there is nothing.
    pub outcome: Result<String, String>,
}

/// Asks each server once, one after the other, within its time. Waits.
#[must_use]
pub fn reach(configuration: &Configuration) -> Vec<Reached> {
    let mut reached = Vec::new();
    let mut endpoints = HashMap::new();
    for source in &configuration.key_sources {
        let outcome = timed(Resource::Keys, source.issuer(), source.url(), || {
            let (keys, endpoint) = source.probe()?;
            endpoints.extend(endpoint.map(|endpoint| (source.issuer().to_owned(), endpoint)));
            let names: Vec<String> =
                keys.keys().iter().map(|key| key.kid().unwrap_or("without kid").escape_debug().to_string()).collect();
            let skipped = match keys.skipped().len() {
                0 => String::new(),
                skipped => format!("; {skipped} more cannot be used"),
            };
            Ok(match names.len() {
                0 => "no keys, by its own word: it is asked about all of its tokens".to_owned(),
                1 => format!("1 key: {}{skipped}", names.join(", ")),
                count => format!("{count} keys: {}{skipped}", names.join(", ")),
            })
        });
        reached.push(outcome);
    }
    for source in &configuration.introspection {
        let found = endpoints.get(&source.issuer).map(String::as_str);
        let url = found.filter(|_| !source.endpoint.is_known()).unwrap_or_else(|| source.endpoint.url());
        reached.push(timed(Resource::Introspection, &source.issuer, url, || {
            match probe_introspection(source, found)? {
                false => Ok("answers, and knows the broker".to_owned()),
                true => Err(RequestError::Unusable("it calls a token active that cannot exist".to_owned())),
            }
        }));
    }
    for source in &configuration.revocation_lists {
        reached.push(timed(Resource::RevocationList, &source.issuer, source.endpoint.url(), || {
            probe_revocation_list(&source.endpoint).map(|()| "the list can be read".to_owned())
        }));
    }
    reached
}

fn timed(resource: Resource, issuer: &str, url: &str, ask: impl FnOnce() -> Result<String, RequestError>) -> Reached {
    let begun = Instant::now();
    let outcome = ask().map_err(|error| error.to_string());
    Reached { resource, issuer: issuer.to_owned(), url: url.to_owned(), took: begun.elapsed(), outcome }
}
