//! Topic names eight and sixteen bytes at a time: where a level ends, and the key that stands for it in a table.

use wide::u8x16;

/// An odd number without pattern: multiplied by it, each bit of a word reaches all bits above.
pub(super) const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// What stands for a text in a table: up to sixteen bytes the text itself, in two words; beyond, a hash, and the text is to
/// be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// The first eight bytes, or all of a shorter text.
    pub(super) low: u64,
    /// The last eight bytes, some of which may be among the first; zero for a shorter text.
    pub(super) high: u64,
    /// How long the text is, in bytes.
    pub(super) length: usize,
}

impl Key {
    /// Up to this many bytes, texts are equal if their keys are.
    const EXACT_BYTES: usize = 16;

    /// The key of a text, without looking for slashes in it.
    #[inline(always)]
    pub(super) fn of(text: &[u8]) -> Self {
        let length = text.len();
        match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            (Some(first), Some(last)) if length <= Self::EXACT_BYTES => {
                Self { low: u64::from_le_bytes(*first), high: u64::from_le_bytes(*last), length }
            }
            (Some(_), _) => Self { low: hash(text), high: 0, length },
            (None, _) => Self { low: short_word(text), high: 0, length },
        }
    }

    /// The key of the first level of a topic; `None` if it is long, or near the topic's end.
    #[inline(always)]
    pub(super) fn of_short_level(topic: &[u8]) -> Option<Self> {
        let chunk = topic.first_chunk::<16>()?;
        let length = slash_in(chunk)?;
        let low = u128::from_le_bytes(*chunk) as u64;
        match chunk.get(..length)?.last_chunk::<8>() {
            Some(last) => Some(Self { low, high: u64::from_le_bytes(*last), length }),
            None => Some(Self { low: low & !(u64::MAX << (8 * length)), high: 0, length }),
        }
    }

    /// The key of the first level of a topic, whatever its length.
    #[inline(always)]
    pub(super) fn of_level(topic: &[u8]) -> Self {
        Self::of(topic.get(..level_end(topic)).unwrap_or_default())
    }

    /// Whether the key is all there is to the text.
    #[inline(always)]
    pub(super) const fn is_exact(self) -> bool {
        self.length <= Self::EXACT_BYTES
    }
}

/// The length of the first level of a topic.
#[inline(always)]
pub(super) fn level_end(topic: &[u8]) -> usize {
    topic.first_chunk::<16>().and_then(slash_in).unwrap_or_else(|| other_level_end(topic))
}

/// The same for a level that is long, or near the topic's end.
#[inline(never)]
fn other_level_end(topic: &[u8]) -> usize {
    let (chunks, rest) = topic.as_chunks::<16>();
    let mut at = 0;
    for chunk in chunks {
        if let Some(slash) = slash_in(chunk) {
            return at + slash;
        }
        at += 16;
    }
    at + slash_in(&padded(rest)).unwrap_or(rest.len())
}

/// A text of less than sixteen bytes, with zeros behind it.
#[inline(always)]
fn padded(text: &[u8]) -> [u8; 16] {
    let word = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        // Where the two overlap, they are the same bytes.
        (Some(first), Some(last)) => {
            u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << (8 * (text.len() - 8))
        }
        _ => short_word(text).into(),
    };
    word.to_le_bytes()
}

/// Where the first slash is in sixteen bytes.
#[inline(always)]
fn slash_in(chunk: &[u8; 16]) -> Option<usize> {
    let equal = u8x16::new(*chunk).simd_eq(u8x16::splat(b'/'));
    let slashes = equal.to_bitmask();
    (slashes != 0).then(|| slashes.trailing_zeros() as usize)
}

/// A level with the slash behind it, if both are eight bytes at most: known in a topic by one comparison.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prefix {
    word: u64,
    mask: u64,
}

impl Prefix {
    /// What no topic begins with.
    pub(super) const NEVER: Self = Self { word: 1, mask: 0 };

    /// The level with a slash behind it; `None` if it is too long.
    pub(super) fn of(level: &[u8]) -> Option<Self> {
        (level.len() < 8).then(|| {
            let word = short_word(level);
            Self { word: word | u64::from(b'/') << (8 * level.len()), mask: u64::MAX >> (56 - 8 * level.len()) }
        })
    }

    /// Whether the topic begins with it. Not told of topics with less than eight bytes: `false`.
    #[inline(always)]
    pub(super) fn begins(self, topic: &[u8]) -> bool {
        topic.first_chunk::<8>().is_some_and(|chunk| u64::from_le_bytes(*chunk) & self.mask == self.word)
    }
}

/// A hash of a text of eight bytes or more, of which the length is known besides.
#[inline(always)]
fn hash(text: &[u8]) -> u64 {
    let (chunks, _) = text.as_chunks::<8>();
    let hash = chunks.iter().fold(0, |hash, chunk| combined(hash, u64::from_le_bytes(*chunk)));
    // The last bytes with some of those before, which does no harm and saves taking them apart.
    combined(hash, text.last_chunk::<8>().map_or(0, |chunk| u64::from_le_bytes(*chunk)))
}

/// The hash of a text so far and of the next eight bytes of it.
#[inline(always)]
const fn combined(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER)
}

/// A text of less than eight bytes as a word.
#[inline(always)]
fn short_word(text: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        // Where the two overlap, they are the same bytes.
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last) << (8 * (text.len() - 4));
    }
    match *text {
        [first] => u64::from(first),
        [first, second] => u64::from(u16::from_le_bytes([first, second])),
        [first, second, third] => u64::from(u32::from_le_bytes([first, second, third, 0])),
        _ => 0,
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
                        let key = Key::of_level(&topic[start..]);
                        let rest = &topic[start..];
                        let is_seen = rest.len() >= 16 && level.len() < 16;
                        assert_eq!(Key::of_short_level(rest), is_seen.then_some(key), "{topic:?}");
                        assert_eq!(key, Key::of(level), "the key does not depend on what is around: {topic:?}");
                        assert_eq!(key.length, level.len(), "{topic:?}");
                        assert_eq!(level_end(&topic[start..]), level.len(), "{topic:?}");
                        start += level.len() + 1;
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
                assert_eq!(Key::of_level(&topic).length, expected, "{byte}");
                assert_eq!(level_end(&topic), expected, "{byte}");
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

    #[test]
    fn a_prefix_is_the_level_and_its_slash() {
        for level in ["", "a", "abc", "abcdefg"] {
            let prefix = Prefix::of(level.as_bytes()).unwrap();
            for rest in ["12345678", "/2345678", "/"] {
                let topic = format!("{level}/{rest}");
                assert_eq!(prefix.begins(topic.as_bytes()), topic.len() >= 8, "{topic:?}");
            }
            assert!(!prefix.begins(format!("{level}12345678").as_bytes()), "{level:?}");
            assert!(!prefix.begins(format!("_{level}/1234567").as_bytes()), "{level:?}");
        }
        assert!(Prefix::of(b"abcdefgh").is_none());
        assert!(!Prefix::NEVER.begins(&[0; 8]) && !Prefix::NEVER.begins(b"\x0112345678"));
    }
}
