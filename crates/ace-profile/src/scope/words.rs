//! Topic names eight bytes at a time: where a level ends, and the word that stands for it in a table.

const SLASHES: u64 = u64::from_le_bytes([b'/'; 8]);
const ONES: u64 = u64::from_le_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
/// An odd number without pattern: multiplied by it, each bit of a word reaches all bits above.
pub(super) const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Up to this many bytes, two texts of one length have the same word only if they are equal.
pub(super) const EXACT_BYTES: usize = 8;

/// One level of a topic.
#[derive(Clone, Copy)]
pub(super) struct Level {
    /// The offset of the slash behind it, or of the end.
    pub(super) end: usize,
    /// What stands for it: see [`word_of`].
    pub(super) word: u64,
}

impl Level {
    /// Reads the level that starts at `start`.
    #[inline(always)]
    pub(super) fn read(topic: &[u8], start: usize) -> Self {
        let mut at = start;
        let mut hash = 0;
        loop {
            let (word, available) = next_word(topic, at);
            let slashes = slashes(word);
            let length = if slashes == 0 { available } else { (slashes.trailing_zeros() / 8) as usize };
            if length < 8 {
                let word = word & !(u64::MAX << (8 * length));
                return Self { end: at + length, word: combined(hash, word, at > start) };
            }
            hash = combined(hash, word, at > start);
            at += 8;
        }
    }

    /// Only where the level ends that starts at `start`.
    #[inline(always)]
    pub(super) fn end(topic: &[u8], start: usize) -> usize {
        let mut at = start;
        loop {
            let (word, available) = next_word(topic, at);
            let slashes = slashes(word);
            if slashes != 0 {
                return at + (slashes.trailing_zeros() / 8) as usize;
            }
            if available < 8 {
                return at + available;
            }
            at += 8;
        }
    }
}

/// The word for a text without looking for slashes in it: its bytes up to eight, a hash beyond.
#[inline(always)]
pub(super) fn word_of(text: &[u8]) -> u64 {
    let (chunks, rest) = text.as_chunks::<8>();
    let tail = tail_word(text, rest);
    let Some((first, further)) = chunks.split_first() else { return tail };
    let hash =
        further.iter().fold(u64::from_le_bytes(*first), |hash, chunk| combined(hash, u64::from_le_bytes(*chunk), true));
    combined(hash, tail, true)
}

/// The bytes of a short text as a word, and how many they are; `None` if it has more than eight.
pub(super) fn exact_word(text: &[u8]) -> Option<(u64, u8)> {
    let length = u8::try_from(text.len()).ok().filter(|length| usize::from(*length) <= EXACT_BYTES)?;
    Some((next_word(text, 0).0, length))
}

/// Whether the level that starts at `start` is the one of this [`exact_word`].
#[inline(always)]
pub(super) fn begins_with(topic: &[u8], start: usize, word: u64, length: u8) -> bool {
    let end = start + usize::from(length);
    let ends = end == topic.len() || topic.get(end) == Some(&b'/');
    let unwanted = 64 - 8 * u32::from(length);
    // What is beyond the level's length is shifted out; nothing is left of an empty one.
    ends && (next_word(topic, start).0 ^ word).checked_shl(unwanted).unwrap_or(0) == 0
}

/// The word for a text so far and the next eight bytes of it: those bytes themselves as long as they are all.
#[inline(always)]
fn combined(hash: u64, word: u64, further: bool) -> u64 {
    if further { (hash.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER) } else { word }
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
        for topic in ["", "a", "/", "a/b", "12345678/b", "123456789", "1234567/", "a//b", "0123456789abcdef/x"] {
            let (topic, mut start) = (topic.as_bytes(), 0);
            for level in topic.split(|byte| *byte == b'/') {
                let read = Level::read(topic, start);
                assert_eq!(read.end, start + level.len(), "{topic:?}");
                assert_eq!(Level::end(topic, start), read.end, "{topic:?}");
                assert_eq!(read.word, word_of(level), "the word does not depend on what is around: {topic:?}");
                start = read.end + 1;
            }
        }
    }

    #[test]
    fn a_level_is_known_by_its_word() {
        for level in ["", "a", "1234567", "12345678"] {
            let (word, length) = exact_word(level.as_bytes()).unwrap();
            for (topic, is_it) in [
                (format!("x/{level}"), true),
                (format!("x/{level}/more"), true),
                (format!("x/{level}more"), false),
                (format!("x/{level}more/and/more"), false),
                (String::from("x/"), level.is_empty()),
                (String::from("x/_______/________"), false),
            ] {
                assert_eq!(begins_with(topic.as_bytes(), 2, word, length), is_it, "{level:?} in {topic:?}");
            }
        }
        assert_eq!(exact_word(b"123456789"), None);
    }

    #[test]
    fn short_texts_of_one_length_have_words_of_their_own() {
        let texts = ["aaaaaaaa", "aaaaaaab", "baaaaaaa", "aaaabaaa"];
        for (index, text) in texts.iter().enumerate() {
            for other in &texts[..index] {
                assert_ne!(word_of(text.as_bytes()), word_of(other.as_bytes()));
            }
        }
        assert_eq!(word_of(b"abc"), u64::from_le_bytes(*b"abc\0\0\0\0\0"));
    }
}
