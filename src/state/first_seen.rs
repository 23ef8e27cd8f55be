//! When tokens with a relative lifetime (`exi`) were first seen, and which of them have ended (RFC 9200 §5.10.3).
//!
//! A server numbers such tokens. Of those that live, the end is kept; of those that have ended, the highest number, up to which all
//! that are not known to live count as ended. So what is kept is bounded, and a token that has ended never comes back: not even
//! after a restart, since it is written down.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use ace_profile::Timestamp;
use ace_profile::token::FirstSight;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::record::{FileError, read_bytes};
use super::writer::Book;

/// The form that is written and read.
const VERSION: u32 = 1;
/// How many living tokens are known.
const TOKENS_MAX: usize = 65_536;
/// How many counters are kept: one for each server and name of the broker that such tokens have come for.
const COUNTERS_MAX: usize = 1_024;

/// Why a token cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotSeen {
    /// It has ended, or one of a higher number has, and it was not seen before.
    #[error("the token has expired")]
    Ended,
    /// There is no room to remember it.
    #[error("as many tokens with relative lifetimes are known as may be")]
    Full,
}

/// Who counts: the issuer, and the broker's name for which it does.
type Counter = (Box<str>, Box<str>);

/// A token that was seen for the first time.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    counter: Counter,
    sequence: u128,
    end: Timestamp,
}

/// The tokens of one counter.
#[derive(Debug, Default, Clone, PartialEq)]
struct Line {
    /// Those that live: their numbers and their ends.
    living: BTreeMap<u128, Timestamp>,
    /// The highest number of those that have ended.
    ended: Option<u128>,
}

/// All of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FirstSeen {
    lines: HashMap<Counter, Line>,
    living: usize,
    most: usize,
}

impl Default for FirstSeen {
    fn default() -> Self {
        Self { lines: HashMap::new(), living: 0, most: TOKENS_MAX }
    }
}

impl FirstSeen {
    /// The end of a token that is seen now, and what is to be written down if it is seen for the first time.
    pub(super) fn see(
        &mut self,
        issuer: &str,
        sight: &FirstSight,
        now: Timestamp,
    ) -> Result<(Timestamp, Option<Seen>), NotSeen> {
        let counter: Counter = (issuer.into(), sight.audience.as_str().into());
        let (known, ended) = match self.lines.get(&counter) {
            Some(line) => (line.living.get(&sight.sequence).copied(), line.ended_by(now)),
            None => (None, None),
        };
        if let Some(end) = known {
            return if now < end { Ok((end, None)) } else { Err(NotSeen::Ended) };
        }
        let end = now.saturating_add(sight.lifetime);
        if end <= now || ended.is_some_and(|ended| sight.sequence <= ended) {
            return Err(NotSeen::Ended);
        }
        if self.living >= self.most {
            self.forget_ended(now);
        }
        let is_full =
            self.living >= self.most || !self.lines.contains_key(&counter) && self.lines.len() >= COUNTERS_MAX;
        if is_full {
            return Err(NotSeen::Full);
        }
        let seen = Seen { counter, sequence: sight.sequence, end };
        self.note(seen.clone());
        Ok((end, Some(seen)))
    }

    /// Forgets a token that could not be written down: it has not been seen.
    pub(super) fn unsee(&mut self, issuer: &str, sight: &FirstSight) {
        let counter: Counter = (issuer.into(), sight.audience.as_str().into());
        if let Some(line) = self.lines.get_mut(&counter)
            && line.living.remove(&sight.sequence).is_some()
        {
            self.living -= 1;
        }
    }

    fn note(&mut self, seen: Seen) {
        let line = self.lines.entry(seen.counter).or_default();
        if line.living.insert(seen.sequence, seen.end).is_none() {
            self.living += 1;
        }
    }

    fn forget_ended(&mut self, now: Timestamp) {
        for line in self.lines.values_mut() {
            line.ended = line.ended_by(now);
            line.living.retain(|_, end| *end > now);
        }
        self.living = self.lines.values().map(|line| line.living.len()).sum();
    }

    /// Reads what was written down.
    pub(super) fn read(path: &Path) -> Result<Self, FileError> {
        let document: Document = serde_json::from_slice(&read_bytes(path)?).map_err(FileError::Damaged)?;
        if document.version != VERSION {
            return Err(FileError::OtherVersion(document.version));
        }
        let damaged = || FileError::Damaged(serde_json::Error::custom("a number that is none"));
        let mut seen = Self::default();
        for counter in document.counters {
            let ended = counter.ended.as_deref().map(|text| number(text).ok_or_else(damaged)).transpose()?;
            let mut line = Line { ended, ..Line::default() };
            for (text, end) in counter.living {
                line.living.insert(number(&text).ok_or_else(damaged)?, Timestamp::from_unix_millis(end));
            }
            seen.living += line.living.len();
            seen.lines.insert((counter.issuer, counter.audience), line);
        }
        Ok(seen)
    }
}

impl Line {
    /// The highest number of those that have ended by now.
    fn ended_by(&self, now: Timestamp) -> Option<u128> {
        let ended = self.living.iter().rev().find(|(_, end)| **end <= now).map(|(sequence, _)| *sequence);
        self.ended.max(ended)
    }
}

impl Book for FirstSeen {
    type Record = Seen;

    fn note(&mut self, seen: Seen) {
        self.note(seen);
    }

    fn text(&mut self, now: Timestamp) -> io::Result<Vec<u8>> {
        self.forget_ended(now);
        let counters = self.lines.iter().map(|((issuer, audience), line)| Written {
            issuer: issuer.clone(),
            audience: audience.clone(),
            ended: line.ended.map(|sequence| format!("{sequence:x}")),
            living: line.living.iter().map(|(sequence, end)| (format!("{sequence:x}"), end.as_unix_millis())).collect(),
        });
        let document = Document { version: VERSION, counters: counters.collect() };
        Ok(serde_json::to_vec(&document)?)
    }
}

/// A number is written in hexadecimal: in JSON it could be too large.
fn number(text: &str) -> Option<u128> {
    u128::from_str_radix(text, 16).ok()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    issuer: Box<str>,
    audience: Box<str>,
    ended: Option<String>,
    /// Numbers and ends, these in milliseconds since the Unix epoch.
    living: Vec<(String, u64)>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    counters: Vec<Written>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sight(sequence: u128, lifetime: u64) -> FirstSight {
        FirstSight { audience: "broker".into(), sequence, lifetime: Duration::from_secs(lifetime) }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn end(seen: &mut FirstSeen, sequence: u128, lifetime: u64, now: u64) -> Result<Timestamp, NotSeen> {
        seen.see("as", &sight(sequence, lifetime), at(now)).map(|(end, _)| end)
    }

    #[test]
    fn a_token_keeps_its_end() {
        let mut seen = FirstSeen::default();
        assert_eq!(end(&mut seen, 7, 60, 100), Ok(at(160)));
        assert_eq!(end(&mut seen, 7, 60, 159), Ok(at(160)));
        for now in [160, 1_000] {
            assert_eq!(end(&mut seen, 7, 60, now), Err(NotSeen::Ended));
        }
        assert_eq!(end(&mut seen, 8, 0, 100), Err(NotSeen::Ended), "it never lives");
    }

    #[test]
    fn an_ended_token_ends_all_before_it_that_were_not_seen() {
        let mut seen = FirstSeen::default();
        end(&mut seen, 5, 1_000, 100).unwrap();
        end(&mut seen, 7, 60, 100).unwrap();
        assert_eq!(end(&mut seen, 6, 60, 150), Ok(at(210)));
        assert_eq!(end(&mut seen, 4, 60, 200), Err(NotSeen::Ended));
        assert_eq!(end(&mut seen, 5, 1_000, 200), Ok(at(1_100)), "it is known to live");
        assert_eq!(end(&mut seen, 8, 60, 200), Ok(at(260)));
        // Nobody else's numbers are meant.
        assert!(seen.see("other", &sight(4, 60), at(200)).is_ok());
        let of_other_name = FirstSight { audience: "other".into(), ..sight(4, 60) };
        assert!(seen.see("as", &of_other_name, at(200)).is_ok());
    }

    #[test]
    fn when_there_is_no_room_tokens_are_refused_and_none_forgotten() {
        let mut seen = FirstSeen { most: 2, ..FirstSeen::default() };
        end(&mut seen, 1, 60, 100).unwrap();
        end(&mut seen, 2, 90, 100).unwrap();
        assert_eq!(end(&mut seen, 3, 60, 110), Err(NotSeen::Full));
        assert_eq!(end(&mut seen, 1, 60, 110), Ok(at(160)));
        assert_eq!(end(&mut seen, 3, 60, 170), Ok(at(230)), "the first has ended");
        assert_eq!(end(&mut seen, 1, 60, 170), Err(NotSeen::Ended));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("first-seen.json");
        let mut seen = FirstSeen::default();
        end(&mut seen, 1, 60, 100).unwrap();
        end(&mut seen, u128::MAX, 600, 100).unwrap();
        std::fs::write(&file, seen.text(at(170)).unwrap()).unwrap();
        let mut again = FirstSeen::read(&file).unwrap();
        assert_eq!(again, seen);
        assert_eq!(end(&mut again, 1, 60, 170), Err(NotSeen::Ended));
        assert_eq!(end(&mut again, u128::MAX, 600, 170), Ok(at(700)));
        for damaged in ["", "{}", "{\"version\":2,\"counters\":[]}"] {
            std::fs::write(&file, damaged).unwrap();
            assert!(FirstSeen::read(&file).is_err(), "{damaged}");
        }
    }
}
