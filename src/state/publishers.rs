//! The publishers' newest rights, as the thread keeps them.

use std::collections::HashMap;
use std::io;

use ace_profile::Timestamp;

use super::record::{self, Record};
use super::writer::Book;

/// How many publishers are kept; those whose tokens end first go first.
const PUBLISHERS_MAX: usize = 65_536;

/// Whose a record is: the client id, and the user name.
type Owner = (String, String);

fn owner(record: &Record) -> Owner {
    (record.client_id.clone(), record.user_name.clone())
}

/// All of them.
pub(super) struct Publishers(HashMap<Owner, Record>);

impl Publishers {
    pub(super) fn new(known: Vec<Record>) -> Self {
        Self(known.into_iter().map(|record| (owner(&record), record)).collect())
    }
}

impl Book for Publishers {
    type Record = Record;

    fn note(&mut self, record: Record) {
        self.0.insert(owner(&record), record);
    }

    fn text(&mut self, now: Timestamp) -> io::Result<Vec<u8>> {
        self.0.retain(|_, record| record.expires > now);
        while self.0.len() > PUBLISHERS_MAX {
            let soonest = self.0.values().min_by_key(|record| record.expires).map(owner);
            let Some(soonest) = soonest else { break };
            self.0.remove(&soonest);
        }
        Ok(record::write(self.0.values())?)
    }
}
