//! What is known of a server's revoked tokens.

use std::collections::HashSet;

use super::list::{Change, List};
use super::{ListError, TokenHash, TokenHashes};

/// The tokens that a server has revoked, and that have not expired since.
#[derive(Debug, Default)]
pub struct RevokedTokens {
    hashes: HashSet<TokenHash>,
    cursor: Option<u64>,
}

/// What to ask the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// The whole list (RFC 9770 §7).
    Full,
    /// What has changed since (RFC 9770 §8, §9).
    Diff {
        /// Where the last answer ended.
        cursor: u64,
    },
}

impl Query {
    /// The parameters of the request; `None` if there are none.
    #[must_use]
    pub fn parameters(self) -> Option<String> {
        match self {
            Self::Full => None,
            Self::Diff { cursor } => Some(format!("diff=0&cursor={cursor}")),
        }
    }
}

/// What came of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenUp {
    /// Whether a token is revoked now that was not before.
    pub has_new: bool,
    /// Whether to ask again at once: there is more.
    pub ask_again: bool,
}

impl RevokedTokens {
    /// What to ask next. Changes can be asked for where the server has said from where.
    #[must_use]
    pub fn next_query(&self) -> Query {
        self.cursor.map_or(Query::Full, |cursor| Query::Diff { cursor })
    }

    /// Takes up the server's answer to [`Self::next_query`].
    ///
    /// # Errors
    /// [`ListError`] if it is not a list; what is known stays known, and the whole list is asked for next.
    pub fn take_up(&mut self, answer: &[u8]) -> Result<TakenUp, ListError> {
        let before = self.cursor.take();
        let list = List::parse(answer)?;
        let has_new = match (list.full_set, list.diff_set) {
            // A server may answer with the whole list whatever it is asked for.
            (Some(full_set), _) => {
                let hashes: HashSet<TokenHash> = full_set.into_iter().collect();
                let has_new = !hashes.is_subset(&self.hashes);
                self.hashes = hashes;
                has_new
            }
            (None, Some(changes)) => {
                // No changes, no cursor, and yet more: some have been forgotten there (§9.2.3, case A).
                if list.cursor.is_none() && list.more {
                    return Ok(TakenUp { has_new: false, ask_again: before.is_some() });
                }
                // The latest comes first.
                let mut has_new = false;
                for change in changes.into_iter().rev() {
                    has_new |= self.change(change);
                }
                has_new
            }
            (None, None) => return Err(ListError::Empty),
        };
        self.cursor = list.cursor;
        Ok(TakenUp { has_new, ask_again: list.more && list.cursor != before })
    }

    /// The server did not answer as it should: the whole list is asked for next.
    pub const fn start_again(&mut self) {
        self.cursor = None;
    }

    /// Whether a token has been revoked.
    #[must_use]
    pub fn contains(&self, token: &TokenHashes) -> bool {
        token.all().any(|hash| self.hashes.contains(&hash))
    }

    /// How many tokens are revoked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    fn change(&mut self, Change { removed, added }: Change) -> bool {
        for hash in removed {
            self.hashes.remove(&hash);
        }
        let mut has_new = false;
        for hash in added {
            has_new |= self.hashes.insert(hash);
        }
        has_new
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::{array, map, sent};
    use super::*;

    const TRUE: u8 = 0xf5;
    const FALSE: u8 = 0xf4;
    const NULL: u8 = 0xf6;

    fn full(texts: &[&str], cursor: Option<u8>) -> Vec<u8> {
        let set = array(&texts.iter().map(|text| sent(text)).collect::<Vec<_>>());
        match cursor {
            Some(cursor) => map(&[(0, set), (2, vec![cursor])]),
            None => map(&[(0, set)]),
        }
    }

    fn diff(changes: &[(&[&str], &[&str])], cursor: u8, more: u8) -> Vec<u8> {
        let texts = |texts: &[&str]| array(&texts.iter().map(|text| sent(text)).collect::<Vec<_>>());
        let changes: Vec<_> = changes.iter().map(|(removed, added)| array(&[texts(removed), texts(added)])).collect();
        map(&[(1, array(&changes)), (2, vec![cursor]), (3, vec![more])])
    }

    fn has(tokens: &RevokedTokens, text: &str) -> bool {
        tokens.contains(&TokenHashes::of_text(text))
    }

    #[test]
    fn without_a_cursor_the_whole_list_is_asked_for_each_time() {
        let mut tokens = RevokedTokens::default();
        assert_eq!(tokens.next_query().parameters(), None);
        let taken = tokens.take_up(&full(&["one", "two"], None)).unwrap();
        assert_eq!(taken, TakenUp { has_new: true, ask_again: false });
        assert!(has(&tokens, "one") && has(&tokens, "two") && !has(&tokens, "three"));
        assert_eq!(tokens.next_query(), Query::Full);
        let taken = tokens.take_up(&full(&["two"], None)).unwrap();
        assert_eq!(taken, TakenUp { has_new: false, ask_again: false });
        assert!(!has(&tokens, "one") && tokens.len() == 1);
    }

    #[test]
    fn with_a_cursor_changes_are_asked_for() {
        let mut tokens = RevokedTokens::default();
        tokens.take_up(&full(&["one"], Some(7))).unwrap();
        assert_eq!(tokens.next_query().parameters().as_deref(), Some("diff=0&cursor=7"));
        // Added and removed again, in that order.
        let taken = tokens.take_up(&diff(&[(&["two"], &["three"]), (&["one"], &["two"])], 9, FALSE)).unwrap();
        assert_eq!(taken, TakenUp { has_new: true, ask_again: false });
        assert!(!has(&tokens, "one") && !has(&tokens, "two") && has(&tokens, "three"));
        let taken = tokens.take_up(&diff(&[(&[], &["four"])], 10, TRUE)).unwrap();
        assert_eq!(taken, TakenUp { has_new: true, ask_again: true });
        assert_eq!(tokens.next_query(), Query::Diff { cursor: 10 });
        let taken = tokens.take_up(&diff(&[], 10, FALSE)).unwrap();
        assert_eq!(taken, TakenUp { has_new: false, ask_again: false });
    }

    #[test]
    fn where_changes_are_lost_the_whole_list_is_asked_for() {
        let mut tokens = RevokedTokens::default();
        tokens.take_up(&full(&["one"], Some(1))).unwrap();
        let taken = tokens.take_up(&diff(&[], NULL, TRUE)).unwrap();
        assert_eq!(taken, TakenUp { has_new: false, ask_again: true });
        assert_eq!(tokens.next_query(), Query::Full);
        assert!(has(&tokens, "one"), "what is known stays known");
        // A server that says so each time is not asked without end.
        assert!(!tokens.take_up(&diff(&[], NULL, TRUE)).unwrap().ask_again);
        assert!(tokens.take_up(b"not a list").is_err());
        assert!(has(&tokens, "one"));
    }

    #[test]
    fn a_server_that_stays_where_it_is_is_not_asked_without_end() {
        let mut tokens = RevokedTokens::default();
        tokens.take_up(&full(&[], Some(3))).unwrap();
        assert!(!tokens.take_up(&diff(&[], 3, TRUE)).unwrap().ask_again);
    }

    #[test]
    fn a_token_that_was_given_in_cbor_is_found() {
        let mut tokens = RevokedTokens::default();
        tokens.take_up(&full(&["YWJj"], None)).unwrap();
        assert!(has(&tokens, "abc") && !has(&tokens, "abd"));
    }
}
