//! Everything that must not be in any log: each secret that the run made, and each log that it wrote.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use aho_corasick::AhoCorasick;

use super::authority::encode;

/// Shorter ones would be found by chance.
const SHORTEST: usize = 12;
/// How much of a secret is looked for: its beginning tells, even where a log cut it off.
const BEGINNING: usize = 32;

static SECRETS: Mutex<BTreeSet<Vec<u8>>> = Mutex::new(BTreeSet::new());
static LOGS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Notes secret bytes: they are looked for as they are, in base64url and in hexadecimal.
pub fn register(secret: &[u8]) {
    let beginning = secret.get(..BEGINNING).unwrap_or(secret);
    if beginning.len() < SHORTEST || is_uniform(beginning) {
        return;
    }
    let lower: String = beginning.iter().map(|byte| format!("{byte:02x}")).collect();
    // The last characters depend on what follows.
    let encoded = encode(&beginning[..beginning.len() / 3 * 3]);
    let mut secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    secrets.insert(beginning.to_vec());
    secrets.insert(encoded.into_bytes());
    secrets.insert(lower.to_uppercase().into_bytes());
    secrets.insert(lower.into_bytes());
}

/// Notes a secret text, such as a token: the whole, and each of its parts but the header, which
/// says nothing.
pub fn register_text(secret: &str) {
    register(secret.as_bytes());
    for part in secret.split('.').skip(1) {
        register(part.as_bytes());
    }
}

/// Notes a log that this run writes.
pub fn register_log(log: PathBuf) {
    LOGS.lock().unwrap_or_else(PoisonError::into_inner).insert(log);
}

/// Looks for every secret in every log; gives the logs that hold one, with the byte where it begins.
pub fn found_in_logs() -> Vec<(PathBuf, usize)> {
    let secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    let search = AhoCorasick::new(secrets.iter()).expect("a search for all secrets");
    let logs = LOGS.lock().unwrap_or_else(PoisonError::into_inner);
    logs.iter()
        .filter_map(|log| {
            let text = std::fs::read(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
            Some((log.clone(), search.find(&text)?.start()))
        })
        .collect()
}

/// A signature of zeros and the like is no secret.
fn is_uniform(secret: &[u8]) -> bool {
    secret.iter().all(|byte| Some(byte) == secret.first())
}
