//! The answer to a request: one response for each command, within a bound for all of them together.

use serde_json::{Map, Value, json};

use super::request::{Asked, Fault};

/// How many bytes lists may take in one answer. One session more than fits may be in it, and what has no list is always answered.
const LISTS_BYTES: usize = 128 * 1024;

/// What has been answered so far.
#[derive(Debug, Default)]
pub struct Answer {
    responses: Vec<Value>,
    failures: u64,
    listed: usize,
}

impl Answer {
    /// How many bytes are left for lists.
    #[must_use]
    pub const fn room(&self) -> usize {
        LISTS_BYTES.saturating_sub(self.listed)
    }

    /// Notes that a list has taken so many bytes.
    pub const fn take_room(&mut self, bytes: usize) {
        self.listed = self.listed.saturating_add(bytes);
    }

    /// The command has been done, and this is what came of it.
    pub fn done(&mut self, to: &Asked, data: Value) {
        let mut response = Self::head(to);
        response.insert("data".to_owned(), data);
        self.responses.push(Value::Object(response));
    }

    /// The command has not been done, because it was wrong.
    pub fn wrong(&mut self, to: &Asked, fault: &Fault) {
        self.failed(to, fault.code(), &fault.to_string());
    }

    /// The command could not be done.
    pub fn failed(&mut self, to: &Asked, code: &str, error: &str) {
        self.failures += 1;
        let mut response = Self::head(to);
        response.insert("error".to_owned(), error.into());
        response.insert("code".to_owned(), code.into());
        self.responses.push(Value::Object(response));
    }

    /// How many of the commands were wrong, or could not be done.
    #[must_use]
    pub const fn failures(&self) -> u64 {
        self.failures
    }

    /// As it is sent.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        json!({ "responses": self.responses }).to_string().into_bytes()
    }

    fn head(to: &Asked) -> Map<String, Value> {
        let mut response = Map::new();
        response.insert("command".to_owned(), to.name.as_str().into());
        if let Some(correlation) = &to.correlation {
            response.insert("correlationData".to_owned(), correlation.as_str().into());
        }
        response
    }
}
