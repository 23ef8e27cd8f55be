//! A hash table of texts that is made once and looked up many times.
//!
//! The longest probe is bounded when the table is made, by trying layouts, so that a look-up costs the same whatever is
//! in it. Texts beyond sixteen bytes are compared byte by byte when their hashes agree: nothing is found by chance.

use super::words::{Key, MULTIPLIER};

/// What is tried for, in this order: the longest probe sequence, and how often the smallest size is doubled for it. A table of
/// few texts gets along with one probe.
const LAYOUTS: [(usize, u32); 5] = [(1, 0), (2, 0), (4, 0), (4, 1), (4, 2)];
/// How many hash functions are tried for each.
const ATTEMPTS: u64 = 32;

/// What is found where there is nothing.
pub(super) const NONE: u32 = 0;

/// Texts, each under a number (the tree's node that it starts from; zero where there is no tree) and leading to another (a
/// node, or what is permitted).
#[derive(Debug, Default)]
pub(super) struct Literals {
    entries: Vec<Entry>,
    texts: Vec<u8>,
    multiplier: u64,
    shift: u32,
    /// How many entries are looked at, at most.
    probes: u32,
}

/// An entry of the table; empty where it leads to [`NONE`].
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    low: u64,
    high: u64,
    place: u64,
    to: u32,
    /// Where the text's bytes start among all texts.
    text: u32,
}

impl Literals {
    /// Lays out a table of (from, text, to); no `to` is [`NONE`], and no (from, text) comes twice.
    pub(super) fn new(literals: &[(u32, Box<str>, u32)]) -> Self {
        if literals.is_empty() {
            return Self::default();
        }
        let mut texts = Vec::new();
        let mut entries = Vec::with_capacity(literals.len());
        for (from, text, to) in literals {
            let key = Key::of(text.as_bytes());
            entries.push(Entry {
                low: key.low,
                high: key.high,
                place: place(*from, key.length),
                to: *to,
                text: u32::try_from(texts.len()).unwrap_or(u32::MAX),
            });
            texts.extend_from_slice(text.as_bytes());
        }
        let smallest = (entries.len() * 2).next_power_of_two().max(2);
        let layout = LAYOUTS
            .into_iter()
            .flat_map(|(most, doublings)| (0..ATTEMPTS).map(move |attempt| (smallest << doublings, attempt, most)))
            .find_map(|(size, attempt, most)| Self::lay_out(&entries, size, attempt, most))
            // Texts chosen to collide: slower to look up, still right and of bounded size.
            .or_else(|| Self::lay_out(&entries, smallest, 0, smallest));
        Self { texts, ..layout.unwrap_or_default() }
    }

    /// Whether there are no texts.
    #[inline(always)]
    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Places the entries in a table of this size, unless one would end up more than `most` probes away.
    fn lay_out(entries: &[Entry], size: usize, attempt: u64, most: usize) -> Option<Self> {
        let mut table = Self {
            entries: vec![Entry::default(); size],
            texts: Vec::new(),
            multiplier: MULTIPLIER.wrapping_mul(2 * attempt + 1),
            shift: u64::BITS - size.trailing_zeros(),
            probes: u32::try_from(most).unwrap_or(u32::MAX),
        };
        for entry in entries {
            let home = table.home(entry.low, entry.high, entry.place);
            let slot = (0..most)
                .map(|step| (home + step) & (size - 1))
                .find(|slot| table.entries.get(*slot).is_some_and(|there| there.to == NONE))?;
            *table.entries.get_mut(slot)? = *entry;
        }
        Some(table)
    }

    /// Where the text that `rest` begins with leads from there, given its key; [`NONE`] if nowhere.
    #[inline(always)]
    pub(super) fn find(&self, from: u32, key: Key, rest: &[u8]) -> u32 {
        let place = place(from, key.length);
        if key.is_exact() {
            self.find_exact(place, key.low, key.high)
        } else {
            self.find_text(place, key.low, rest.get(..key.length).unwrap_or_default())
        }
    }

    #[inline(always)]
    fn find_exact(&self, place: u64, low: u64, high: u64) -> u32 {
        let mask = self.entries.len().wrapping_sub(1);
        let mut slot = self.home(low, high, place);
        let mut left = self.probes;
        while let Some(entry) = self.entries.get(slot & mask) {
            if (entry.low == low && entry.high == high && entry.place == place) || entry.to == NONE {
                return entry.to;
            }
            left -= 1;
            if left == 0 {
                break;
            }
            slot += 1;
        }
        NONE
    }

    #[inline(never)]
    fn find_text(&self, place: u64, hash: u64, text: &[u8]) -> u32 {
        let mask = self.entries.len().wrapping_sub(1);
        let mut slot = self.home(hash, 0, place);
        // Half of the table is empty, so this ends.
        while let Some(entry) = self.entries.get(slot & mask) {
            if (entry.low == hash && entry.place == place && self.is_text(entry.text, text)) || entry.to == NONE {
                return entry.to;
            }
            slot += 1;
        }
        NONE
    }

    /// Whether the text that starts there among all texts, and has the same length, is this one.
    #[inline(always)]
    fn is_text(&self, start: u32, text: &[u8]) -> bool {
        let start = start as usize;
        self.texts.get(start..start + text.len()) == Some(text)
    }

    #[inline(always)]
    fn home(&self, low: u64, high: u64, place: u64) -> usize {
        // The multiplication brings differences up, the rotation back down to where `low` has its first bytes.
        let mixed = low ^ (high ^ place).wrapping_mul(MULTIPLIER).rotate_left(32);
        // Both halves of the product: the upper one knows of all bits of the key, the lower one evens it out.
        let product = u128::from(mixed) * u128::from(self.multiplier);
        (((product >> 64) as u64 ^ product as u64) >> self.shift) as usize
    }
}

/// From where, and how long the text is, in one number.
#[inline(always)]
const fn place(from: u32, length: usize) -> u64 {
    ((from as u64) << 32) | length as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(table: &Literals, from: u32, text: &str) -> u32 {
        table.find(from, Key::of(text.as_bytes()), text.as_bytes())
    }

    #[test]
    fn each_text_is_found_from_where_it_was_put() {
        let literals: Vec<(u32, Box<str>, u32)> =
            (1..2_000).map(|number| (number % 7, format!("text-{number}").into(), number)).collect();
        let table = Literals::new(&literals);
        for (from, text, to) in &literals {
            assert_eq!(find(&table, *from, text), *to);
            assert_eq!(find(&table, from + 1, text), NONE);
        }
        assert_eq!(find(&table, 1, "text-0"), NONE);
        assert!(table.entries.chunk_by(|one, next| (one.to == NONE) == (next.to == NONE)).count() > 500, "spread out");
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        assert_eq!(find(&Literals::new(&[]), 0, ""), NONE);
        assert_eq!(find(&Literals::default(), 0, "a"), NONE);
    }

    /// The key is the same, the text is not.
    #[test]
    fn texts_are_compared_where_keys_agree() {
        let table = Literals::new(&[(0, "a-text-of-twenty-four-by".into(), 1)]);
        let key = Key::of(b"a-text-of-twenty-four-by");
        assert_eq!(table.find(0, key, b"a-text-of-twenty-four-by"), 1);
        assert_eq!(table.find(0, key, b"a-text-of-twenty-four-b_"), NONE);
    }

    /// Eight bytes that the first multipliers send to the same slots: the table stays small, and right.
    #[test]
    fn colliding_texts_cost_no_more_than_their_number() {
        // The inverse of the multiplier turns small numbers into words that it sends to small products.
        let inverse =
            (0..6).fold(MULTIPLIER, |guess, _| guess.wrapping_mul(2_u64.wrapping_sub(MULTIPLIER.wrapping_mul(guess))));
        assert_eq!(inverse.wrapping_mul(MULTIPLIER), 1);
        let words: Vec<u64> = (1..200).map(|number: u64| number.wrapping_mul(inverse)).collect();
        let entries: Vec<Entry> = words
            .iter()
            .zip(1..)
            .map(|(word, to)| Entry { low: *word, high: 0, place: place(0, 8), to, text: 0 })
            .collect();
        let size = 512;
        let table = (0..ATTEMPTS).find_map(|attempt| Literals::lay_out(&entries, size, attempt, size));
        let table = table.unwrap();
        for (word, to) in words.iter().zip(1..) {
            let key = Key { low: *word, high: 0, length: 8 };
            assert_eq!(table.find(0, key, &word.to_le_bytes()), to);
        }
    }
}
