//! What outlives a restart of the broker: the newest tokens' rights of publishers, by which retained messages are judged
//! (RFC 9431 §5, rfc9431.md R1, R2); and when tokens with a relative lifetime were first seen (`first_seen.rs`).
//!
//! The broker's thread only hands records over. A thread of our own keeps them and writes them down (`writer.rs`); the files'
//! forms are in `record.rs` and `first_seen.rs`. No token, key or proof is kept: client id, user name, scope and end.

mod first_seen;
mod publishers;
mod record;
mod writer;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};

use ace_profile::Timestamp;
use ace_profile::token::FirstSight;
use thiserror::Error;

use first_seen::{FirstSeen, Seen};
use publishers::Publishers;
use record::FileError;
use writer::Writer;

pub use first_seen::NotSeen;
pub use record::Record;

/// The files in the state folder.
const FILE: &str = "publishers.json";
const FIRST_SEEN: &str = "first-seen.json";

/// A state folder that cannot be used.
#[derive(Debug, Error)]
#[error("{} cannot be written to: {reason}", folder.display())]
pub struct StateError {
    folder: PathBuf,
    reason: std::io::Error,
}

/// An open state folder.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
    writer: Writer<Record>,
    first_seen: RefCell<FirstSeen>,
    first_seen_writer: Writer<Seen>,
}

/// What was found in a state folder.
#[derive(Debug)]
pub struct Opened {
    /// To hand new records to.
    pub state: Rc<State>,
    /// What was known before.
    pub records: Vec<Record>,
    /// What could not be read, and is not known therefore: for the log.
    pub complaints: Vec<String>,
    /// The file, if there was none: the folder is new, or somebody has removed it.
    pub missing: Option<PathBuf>,
}

thread_local! {
    // With `per_listener_settings` the plugin is loaded once per listener, and all of them write to one file.
    static OPEN: RefCell<HashMap<PathBuf, Weak<State>>> = RefCell::default();
}

impl State {
    /// Opens a folder and reads what is there. A missing file is no error: there was nothing yet. Nor is a damaged one: a start
    /// of the broker is worth more than what is in it, and without it publishers merely count as expired.
    ///
    /// # Errors
    /// [`StateError`] if nothing can be written there.
    pub fn open(folder: &Path) -> Result<Opened, StateError> {
        let error = |reason| StateError { folder: folder.into(), reason };
        let folder = fs::canonicalize(folder).map_err(error)?;
        let file = folder.join(FILE);
        let mut complaints = Vec::new();
        let mut complain =
            |file: &Path, reason| complaints.push(format!("{}: {reason}; it is not used", file.display()));
        let (records, missing) = match record::read(&file) {
            Ok(records) => (records, None),
            Err(FileError::Missing) => (Vec::new(), Some(file)),
            Err(reason) => {
                complain(&file, reason);
                (Vec::new(), None)
            }
        };
        let known = OPEN.with(|open| open.borrow().get(&folder).and_then(Weak::upgrade));
        if let Some(state) = known {
            return Ok(Opened { state, records, complaints, missing });
        }
        let file = folder.join(FIRST_SEEN);
        let first_seen = match FirstSeen::read(&file) {
            Ok(first_seen) => first_seen,
            Err(FileError::Missing) => FirstSeen::default(),
            Err(reason) => {
                complain(&file, reason);
                FirstSeen::default()
            }
        };
        // To find out now, not at the first client.
        let probe = folder.join(writer::temporary(FILE));
        OpenOptions::new().write(true).create(true).truncate(true).open(&probe).map_err(error)?;
        fs::remove_file(&probe).map_err(error)?;
        let writer = Writer::start(folder.clone(), FILE, Publishers::new(records.clone())).map_err(error)?;
        let first_seen_writer = Writer::start(folder.clone(), FIRST_SEEN, first_seen.clone()).map_err(error)?;
        let first_seen = RefCell::new(first_seen);
        let state = Rc::new(Self { folder: folder.clone(), writer, first_seen, first_seen_writer });
        OPEN.with(|open| open.borrow_mut().insert(folder, Rc::downgrade(&state)));
        Ok(Opened { state, records, complaints, missing })
    }

    /// Hands a record over. Never waits: where the writer does not keep up, the record is lost, and after a restart its
    /// publisher counts as expired.
    pub fn remember(&self, record: Record) {
        self.writer.remember(record);
    }

    /// The end of a token with a relative lifetime, which is seen now, if not for the first time.
    ///
    /// # Errors
    /// [`NotSeen`] if it has ended, or cannot be remembered: without that it would have no end.
    pub fn see(&self, issuer: &str, sight: &FirstSight, now: Timestamp) -> Result<Timestamp, NotSeen> {
        let mut first_seen = self.first_seen.borrow_mut();
        let (end, new) = first_seen.see(issuer, sight, now)?;
        if new.is_some_and(|seen| !self.first_seen_writer.remember(seen)) {
            first_seen.unsee(issuer, sight);
            return Err(NotSeen::Full);
        }
        Ok(end)
    }

    /// What has gone wrong since the last call, for the log.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        self.writer
            .complaint()
            .or_else(|| self.first_seen_writer.complaint())
            .map(|reason| format!("state in {}: {reason}", self.folder.display()))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn record(client: &str, expires: u64) -> Record {
        Record {
            client_id: client.into(),
            user_name: "user".into(),
            expires: Timestamp::from_unix_seconds(expires),
            scope: json!([["a/#", ["pub"]]]),
            origin: ace_resource_server::rights::Origin::for_test(),
        }
    }

    const FAR: u64 = 4_000_000_000;

    #[test]
    fn what_was_remembered_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let opened = State::open(folder.path()).unwrap();
        assert!(opened.records.is_empty() && opened.complaints.is_empty());
        assert!(opened.missing.is_some_and(|file| file.ends_with("publishers.json")));
        opened.state.remember(record("a", FAR));
        opened.state.remember(record("b", FAR));
        opened.state.remember(record("a", FAR + 1));
        opened.state.remember(record("expired", 1));
        drop(opened.state);
        let opened = State::open(folder.path()).unwrap();
        assert!(opened.missing.is_none());
        let mut records = opened.records;
        records.sort_by(|one, other| one.client_id.cmp(&other.client_id));
        assert_eq!(records, [record("a", FAR + 1), record("b", FAR)]);
    }

    #[test]
    fn one_client_id_may_have_been_several_users() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap().state;
        state.remember(record("a", FAR));
        state.remember(Record { user_name: "other".into(), ..record("a", FAR + 1) });
        drop(state);
        assert_eq!(State::open(folder.path()).unwrap().records.len(), 2);
    }

    #[test]
    fn two_plugins_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (State::open(folder.path()).unwrap(), State::open(folder.path()).unwrap());
        one.state.remember(record("a", FAR));
        other.state.remember(record("b", FAR));
        drop((one, other));
        assert_eq!(State::open(folder.path()).unwrap().records.len(), 2);
    }

    #[test]
    fn a_damaged_file_is_told_of_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for damaged in ["", "{", "[]", "{\"version\":2,\"publishers\":[]}", "{\"version\":1}"] {
            fs::write(folder.path().join(FILE), damaged).unwrap();
            let opened = State::open(folder.path()).unwrap();
            assert!(opened.records.is_empty());
            assert!(opened.complaints.iter().any(|complaint| complaint.contains("publishers.json")), "{damaged}");
            opened.state.remember(record("a", FAR));
            drop(opened.state);
            assert_eq!(State::open(folder.path()).unwrap().records.len(), 1);
        }
    }

    #[test]
    fn a_token_keeps_its_end_across_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let sight = FirstSight { audience: "broker".into(), sequence: 7, lifetime: Duration::from_secs(600) };
        let (first, later) = (Timestamp::from_unix_seconds(FAR), Timestamp::from_unix_seconds(FAR + 60));
        let state = State::open(folder.path()).unwrap().state;
        let end = state.see("as", &sight, first).unwrap();
        let other = State::open(folder.path()).unwrap().state;
        assert_eq!(other.see("as", &sight, later), Ok(end), "two plugins share what they have seen");
        drop((state, other));
        let state = State::open(folder.path()).unwrap().state;
        assert_eq!(state.see("as", &sight, later), Ok(end));
        assert_eq!(state.see("as", &sight, end), Err(NotSeen::Ended));
        drop(state);
        fs::write(folder.path().join(FIRST_SEEN), "{").unwrap();
        let opened = State::open(folder.path()).unwrap();
        assert!(opened.complaints.iter().any(|complaint| complaint.contains(FIRST_SEEN)), "{:?}", opened.complaints);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let error = State::open(Path::new("/nonexistent/state")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/state"), "{error}");
    }
}
