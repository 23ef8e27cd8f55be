//! Topic names eight bytes at a time: where a level ends, and the key that stands for it in a table.

const SLASHES: u64 = u64::from_le_bytes([b'/'; 8]);
const ONES: u64 = u64::from_le_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
/// An odd number without pattern: multiplied by it, each bit of a word reaches all bits above.
pub(super) const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// What stands for a text in a table: up to sixteen bytes the text itself, in two words; beyond, a hash, and the text is to
/// be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Key {
    pub(super) low: u64,
    pub(super) high: u64,
    pub(super) length: usize,
}

/// One level of a topic.
#[derive(Clone, Copy)]
pub(super) struct Level {
    /// The offset of the slash behind it, or of the end.
    pub(super) end: usize,
    /// What stands for it.
    pub(super) key: Key,
}

impl Key {
    /// Up to this many bytes, texts are equal if their keys are.
    const EXACT_BYTES: usize = 16;

    /// The key of a text, without looking for slashes in it.
    #[inline(always)]
    pub(super) fn of(text: &[u8]) -> Self {
        let length = text.len();
        if length > Self::EXACT_BYTES {
            return Self { low: hash(text), high: 0, length };
        }
        let (low, available) = next_word(text, 0);
        let high = if available == 8 { next_word(text, 8).0 } else { 0 };
        Self { low, high, length }
    }

    /// Whether the key is all there is to the text.
    #[inline(always)]
    pub(super) const fn is_exact(self) -> bool {
        self.length <= Self::EXACT_BYTES
    }
}

impl Level {
    /// Reads the level that starts at `start`.
    #[inline(always)]
    pub(super) fn read(topic: &[u8], start: usize) -> Self {
        let (word, length) = piece(topic, start);
        if length < 8 {
            return Self { end: start + length, key: Key { low: word, high: 0, length } };
        }
        let low = word;
        let (high, more) = piece(topic, start + 8);
        if more < 8 {
            let length = 8 + more;
            return Self { end: start + length, key: Key { low, high, length } };
        }
        Self::read_long(topic, start)
    }

    /// The same for levels of sixteen bytes and more, kept apart to keep the usual way short.
    #[inline(never)]
    fn read_long(topic: &[u8], start: usize) -> Self {
        let end = Self::end(topic, start);
        Self { end, key: Key::of(topic.get(start..end).unwrap_or_default()) }
    }

    /// Only where the level ends that starts at `start`.
    #[inline(always)]
    pub(super) fn end(topic: &[u8], start: usize) -> usize {
        let mut at = start;
        loop {
            let length = piece(topic, at).1;
            at += length;
            if length < 8 {
                return at;
            }
        }
    }
}

/// The bytes from `at` up to a slash, the end, or the eighth, and how many they are.
#[inline(always)]
fn piece(topic: &[u8], at: usize) -> (u64, usize) {
    let (word, available) = next_word(topic, at);
    // Without a slash, the 64 zeros stand for eight bytes.
    let length = ((slashes(word).trailing_zeros() / 8) as usize).min(available);
    if length < 8 { (word & !(u64::MAX << (8 * length)), length) } else { (word, length) }
}

/// A hash of a text of eight bytes or more.
#[inline(always)]
fn hash(text: &[u8]) -> u64 {
    let (chunks, rest) = text.as_chunks::<8>();
    let hash = chunks.iter().fold(0, |hash, chunk| combined(hash, u64::from_le_bytes(*chunk)));
    combined(hash, tail_word(text, rest))
}

/// The hash of a text so far and of the next eight bytes of it.
#[inline(always)]
const fn combined(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER)
}

/// The high bit of each byte that is a slash, up to the first of them; bits above it may be anything.
#[inline(always)]
const fn slashes(word: u64) -> u64 {
    let zeros = word ^ SLASHES;
    zeros.wrapping_sub(ONES) & !zeros & HIGHS
}

/// Up to eight bytes from `at` as a little-endian word, and how many there are.
#[inline(always)]
fn next_word(text: &[u8], at: usize) -> (u64, usize) {
    let rest = text.get(at..).unwrap_or_default();
    match rest.first_chunk::<8>() {
        Some(chunk) => (u64::from_le_bytes(*chunk), 8),
        None => (tail_word(text, rest), rest.len()),
    }
}

/// The last bytes of a text, fewer than eight, as a word.
#[inline(always)]
fn tail_word(text: &[u8], rest: &[u8]) -> u64 {
    if rest.is_empty() {
        return 0;
    }
    match text.last_chunk::<8>() {
        // Of a longer text, the upper part of its last eight.
        Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
        None => rest.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_end_at_slashes_and_at_the_end() {
        let long = "0123456789abcdefghijklmnopqrstuvwxyz";
        for first in 0..=long.len() {
            for second in [0, 1, 7, 8, 9, 15, 16, 17, 24, 33] {
                for topic in [
                    long[..first].to_owned(),
                    format!("{}/", &long[..first]),
                    format!("{}/{}", &long[..first], &long[..second]),
                    format!("{}//{}/{}", &long[..first], &long[..second], &long[..first]),
                ] {
                    let (topic, mut start) = (topic.as_bytes(), 0);
                    for level in topic.split(|byte| *byte == b'/') {
                        let read = Level::read(topic, start);
                        assert_eq!(read.end, start + level.len(), "{topic:?}");
                        assert_eq!(Level::end(topic, start), read.end, "{topic:?}");
                        assert_eq!(read.key, Key::of(level), "the key does not depend on what is around: {topic:?}");
                        start = read.end + 1;
                    }
                }
            }
        }
    }

    /// The byte after the slash's in the alphabet, and bytes with the high bit, are where counting by words goes wrong.
    #[test]
    fn only_slashes_end_a_level() {
        for byte in 0..=u8::MAX {
            for length in [7, 8, 9, 15, 16, 17] {
                let level = vec![byte; length];
                let topic = [level.as_slice(), b"/x"].concat();
                let expected = if byte == b'/' { 0 } else { length };
                assert_eq!(Level::read(&topic, 0).end, expected, "{byte}");
                assert_eq!(Level::end(&topic, 0), expected, "{byte}");
            }
        }
    }

    #[test]
    fn short_texts_have_keys_of_their_own() {
        let mut keys = Vec::new();
        for length in 0..=16 {
            keys.push(Key::of(&vec![b'a'; length]));
            keys.push(Key::of(&vec![0; length + 1]));
            for changed in 0..length {
                let mut text = vec![b'a'; length];
                text[changed] = b'b';
                keys.push(Key::of(&text));
            }
        }
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{key:?}");
        }
        assert!(Key::of(&[b'a'; 16]).is_exact() && !Key::of(&[b'a'; 17]).is_exact());
    }
}
