//! A requester's update collection: what was last added to and removed from its part of the token revocation list
//! (RFC 9770 §6.2), with the "Cursor" extension (§6.2.1, §9).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Sha256;

/// How many updates are kept for each requester: `MAX_N`.
pub(crate) const MAX_N: usize = 64;

/// How many diff entries an answer holds at most: `MAX_DIFF_BATCH`.
pub(crate) const MAX_DIFF_BATCH: usize = 16;

/// One update of the list, as far as it pertains to a requester: a series item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    /// Counts the updates from 0. `MAX_INDEX` is 2^64 - 1, so that it never wraps around.
    pub(crate) index: u64,
    /// Hashes of revoked tokens that expired.
    pub(crate) removed: Vec<Sha256>,
    /// Hashes of tokens that were revoked.
    pub(crate) added: Vec<Sha256>,
}

/// The last [`MAX_N`] updates, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Updates(VecDeque<Update>);

/// What a diff query is answered with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Diff<'a> {
    /// The diff entries, the newest first.
    pub(crate) entries: Vec<&'a Update>,
    /// Where the next query may go on.
    pub(crate) cursor: Option<u64>,
    /// Whether there is more to be had from there; together with no cursor: whether updates were lost.
    pub(crate) more: bool,
}

/// The cursor lies beyond the last update.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutOfBound;

impl Updates {
    /// Adds an update; the oldest makes room for it.
    pub(crate) fn push(&mut self, removed: Vec<Sha256>, added: Vec<Sha256>) -> Update {
        let index = self.last_index().map_or(0, |last| last.wrapping_add(1));
        let update = Update { index, removed, added };
        self.restore(update.clone());
        update
    }

    /// Adds an update that has its index already.
    pub(super) fn restore(&mut self, update: Update) {
        if self.0.len() >= MAX_N {
            self.0.pop_front();
        }
        self.0.push_back(update);
    }

    /// All that are kept, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Update> {
        self.0.iter()
    }

    /// `last_index`, unless there are no updates yet.
    pub(crate) fn last_index(&self) -> Option<u64> {
        self.0.back().map(|update| update.index)
    }

    /// Answers a diff query for the last `number` updates (0: as many as can be had), those after `cursor` only.
    pub(crate) fn diff(&self, number: u64, cursor: Option<u64>) -> Result<Diff<'_>, OutOfBound> {
        let (Some(first), Some(last)) = (self.0.front().map(|update| update.index), self.last_index()) else {
            return Ok(Diff { entries: Vec::new(), cursor: None, more: false });
        };
        let after = match cursor {
            None => 0,
            Some(cursor) if cursor > last => return Err(OutOfBound),
            // Neither the update at the cursor nor the one after it is there any more.
            Some(cursor) if cursor.saturating_add(1) < first => {
                return Ok(Diff { entries: Vec::new(), cursor: None, more: true });
            }
            Some(cursor) => self.0.partition_point(|update| update.index <= cursor),
        };
        let number = match usize::try_from(number) {
            Ok(0) | Err(_) => MAX_N,
            Ok(number) => number.min(MAX_N),
        };
        let wanted = self.0.len().saturating_sub(after).min(number);
        let start = self.0.len().saturating_sub(wanted);
        let mut entries: Vec<&Update> = self.0.iter().skip(start).take(wanted.min(MAX_DIFF_BATCH)).collect();
        entries.reverse();
        let cursor = entries.first().map_or(last, |update| update.index);
        Ok(Diff { entries, cursor: Some(cursor), more: wanted > MAX_DIFF_BATCH })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(count: usize) -> Updates {
        let mut updates = Updates::default();
        for number in 0..count {
            updates.push(Vec::new(), vec![Sha256::of_token(&number.to_string())]);
        }
        updates
    }

    /// Indices, cursor and more.
    fn diff(updates: &Updates, number: u64, cursor: Option<u64>) -> (Vec<u64>, Option<u64>, bool) {
        let diff = updates.diff(number, cursor).unwrap();
        (diff.entries.iter().map(|update| update.index).collect(), diff.cursor, diff.more)
    }

    #[test]
    fn without_updates_there_is_no_cursor() {
        let updates = Updates::default();
        assert_eq!(updates.last_index(), None);
        assert_eq!(diff(&updates, 0, None), (vec![], None, false));
        assert_eq!(diff(&updates, 3, Some(7)), (vec![], None, false), "whatever the cursor");
    }

    #[test]
    fn the_newest_come_first() {
        let updates = after(4);
        assert_eq!(diff(&updates, 0, None), (vec![3, 2, 1, 0], Some(3), false));
        assert_eq!(diff(&updates, 2, None), (vec![3, 2], Some(3), false));
        assert_eq!(diff(&updates, u64::MAX, None), (vec![3, 2, 1, 0], Some(3), false));
    }

    #[test]
    fn a_cursor_goes_on_after_it() {
        let updates = after(4);
        assert_eq!(diff(&updates, 0, Some(1)), (vec![3, 2], Some(3), false));
        assert_eq!(diff(&updates, 1, Some(1)), (vec![3], Some(3), false), "the most recent ones");
        assert_eq!(diff(&updates, 0, Some(3)), (vec![], Some(3), false));
        assert_eq!(updates.diff(0, Some(4)), Err(OutOfBound));
        assert_eq!(updates.diff(0, Some(u64::MAX)), Err(OutOfBound));
    }

    #[test]
    fn long_answers_come_in_batches_the_eldest_first() {
        let updates = after(20);
        let batch: Vec<u64> = (0..16).rev().collect();
        assert_eq!(diff(&updates, 0, None), (batch, Some(15), true));
        assert_eq!(diff(&updates, 0, Some(15)), (vec![19, 18, 17, 16], Some(19), false));
        assert_eq!(diff(&updates, 17, None), ((3..19).rev().collect(), Some(18), true));
        assert_eq!(diff(&updates, 16, None), ((4..20).rev().collect(), Some(19), false));
    }

    #[test]
    fn lost_updates_are_told() {
        let updates = after(MAX_N + 10);
        assert_eq!(updates.iter().count(), MAX_N);
        assert_eq!(diff(&updates, 0, Some(8)), (vec![], None, true));
        let first: Vec<u64> = (10..26).rev().collect();
        assert_eq!(diff(&updates, 0, Some(9)), (first, Some(25), true), "the one after it is there");
    }
}
