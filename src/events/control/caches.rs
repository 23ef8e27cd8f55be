//! `flushCaches` and `reloadKeys`: what servers have said is asked for anew.
//!
//! Nothing is forgotten before there is something new, where that would put anybody out: sessions go on with what is known, and the last
//! good keys stay in force. Two things are not flushed at all. The proofs that have been used (draft -00): each of them is good for one
//! use, and would be for a second one. And the tokens that are held: they are not known from anywhere else.

use std::time::Instant;

use serde_json::{Value, json};

use crate::plugin::Plugin;

impl Plugin {
    /// Has everything that servers have said asked for anew.
    pub(super) fn flush_caches(&self, tell: &impl Fn(&str)) -> Value {
        let mut remote = self.remote.borrow_mut();
        let answers = remote.flush(Instant::now());
        let (sets, lists) = (remote.key_sets.len(), remote.revocation_lists.len());
        drop(remote);
        tell(&format!(
            "flushes the caches: {answers} answers about tokens, {sets} sets of keys, {lists} revocation lists"
        ));
        json!({ "answers": answers, "keySets": sets, "revocationLists": lists })
    }

    /// Reads the files that the configuration names again, and has the keys that servers publish fetched.
    ///
    /// # Errors
    /// What is wrong with the files. Then nothing has changed, and nothing is fetched.
    pub(super) fn reload_keys(&self, tell: &impl Fn(&str)) -> Result<Value, String> {
        let configuration = self.configuration().with_files_read_again().map_err(|error| error.to_string());
        let configuration = configuration.inspect_err(|error| tell(&format!("reloads the keys, in vain: {error}")))?;
        self.take_up_configuration(configuration);
        let mut remote = self.remote.borrow_mut();
        remote.reload_keys(Instant::now());
        let fetching: Vec<String> = remote.key_sets.iter().map(|set| set.issuer().to_owned()).collect();
        drop(remote);
        tell(&format!(
            "reloads the keys: those in files have been read, those of {} servers are fetched",
            fetching.len()
        ));
        Ok(json!({ "fetching": fetching }))
    }
}
