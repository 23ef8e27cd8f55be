//! A list as the server sends it (RFC 9770 §7 to §9).

use minicbor::Decoder;
use minicbor::data::Type;
use minicbor::decode::Error as CborError;
use thiserror::Error;

use super::TokenHash;

/// The media type of a list (RFC 9770 §14.1).
pub const MEDIA_TYPE: &str = "application/ace-trl+cbor";

/// The parameters' keys (RFC 9770 §12).
const FULL_SET: u64 = 0;
const DIFF_SET: u64 = 1;
const CURSOR: u64 = 2;
const MORE: u64 = 3;

/// Why an answer is not a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ListError {
    /// Not CBOR of the form of RFC 9770.
    #[error("the list is not of the form of RFC 9770")]
    Malformed,
    /// A token hash by another algorithm than SHA-256, or of another length.
    #[error("the list has a token hash that is not a SHA-256")]
    UnknownHash,
    /// Neither the whole list nor its changes.
    #[error("the answer holds neither the list nor its changes")]
    Empty,
}

impl From<CborError> for ListError {
    fn from(_: CborError) -> Self {
        Self::Malformed
    }
}

/// What changed in one step.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) removed: Vec<TokenHash>,
    pub(super) added: Vec<TokenHash>,
}

/// An answer of the server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct List {
    /// All tokens that are revoked.
    pub(super) full_set: Option<Vec<TokenHash>>,
    /// What changed, the latest change first.
    pub(super) diff_set: Option<Vec<Change>>,
    /// Where the next question is to go on from. `None` if the server has not kept changes, or there were none.
    pub(super) cursor: Option<u64>,
    /// Whether there are more changes.
    pub(super) more: bool,
}

impl List {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ListError> {
        let mut decoder = Decoder::new(bytes);
        let mut list = Self::default();
        let length = decoder.map()?;
        for_each(&mut decoder, length, |decoder| {
            match decoder.u64()? {
                FULL_SET => list.full_set = Some(hashes(decoder)?),
                DIFF_SET => list.diff_set = Some(changes(decoder)?),
                CURSOR if decoder.datatype()? == Type::Null => decoder.null()?,
                CURSOR => list.cursor = Some(decoder.u64()?),
                MORE => list.more = decoder.bool()?,
                // What else a later version may say.
                _ => decoder.skip()?,
            }
            Ok(())
        })?;
        if decoder.position() != bytes.len() {
            return Err(ListError::Malformed);
        }
        if list.full_set.is_none() && list.diff_set.is_none() {
            return Err(ListError::Empty);
        }
        Ok(list)
    }
}

fn changes(decoder: &mut Decoder<'_>) -> Result<Vec<Change>, ListError> {
    let mut changes = Vec::new();
    let length = decoder.array()?;
    for_each(decoder, length, |decoder| {
        // An indefinite length would be legal, and of no use to anybody.
        if decoder.array()? != Some(2) {
            return Err(ListError::Malformed);
        }
        changes.push(Change { removed: hashes(decoder)?, added: hashes(decoder)? });
        Ok(())
    })?;
    Ok(changes)
}

fn hashes(decoder: &mut Decoder<'_>) -> Result<Vec<TokenHash>, ListError> {
    let mut hashes = Vec::new();
    let length = decoder.array()?;
    for_each(decoder, length, |decoder| {
        hashes.push(TokenHash::from_sent(decoder.bytes()?).ok_or(ListError::UnknownHash)?);
        Ok(())
    })?;
    Ok(hashes)
}

/// Reads the items of an array or a map, as many as it says, or up to its end. What it says is not believed beforehand: nothing
/// is taken for items that do not come.
fn for_each<'b>(
    decoder: &mut Decoder<'b>,
    length: Option<u64>,
    mut read: impl FnMut(&mut Decoder<'b>) -> Result<(), ListError>,
) -> Result<(), ListError> {
    match length {
        Some(length) => (0..length).try_for_each(|_| read(decoder)),
        None => {
            while decoder.datatype()? != Type::Break {
                read(decoder)?;
            }
            Ok(decoder.skip()?)
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The bytes of a hash in CBOR.
    pub(crate) fn sent(text: &str) -> Vec<u8> {
        [&[0x58, 33][..], &TokenHash::of(text).to_sent()].concat()
    }

    /// A short array in CBOR.
    pub(crate) fn array(items: &[Vec<u8>]) -> Vec<u8> {
        [vec![0x80 | u8::try_from(items.len()).unwrap()], items.concat()].concat()
    }

    /// A short map in CBOR.
    pub(crate) fn map(pairs: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let pairs_bytes: Vec<u8> = pairs.iter().flat_map(|(key, value)| [vec![*key], value.clone()].concat()).collect();
        [vec![0xa0 | u8::try_from(pairs.len()).unwrap()], pairs_bytes].concat()
    }

    #[test]
    fn the_whole_list_is_read() {
        let bytes = map(&[(0, array(&[sent("one"), sent("two")])), (2, vec![0x18, 42])]);
        let list = List::parse(&bytes).unwrap();
        assert_eq!(list.full_set, Some(vec![TokenHash::of("one"), TokenHash::of("two")]));
        assert_eq!((list.cursor, list.more), (Some(42), false));
        let empty = List::parse(&map(&[(0, array(&[])), (2, vec![0xf6])])).unwrap();
        assert_eq!((empty.full_set, empty.cursor), (Some(Vec::new()), None));
    }

    #[test]
    fn changes_are_read() {
        let change = |removed: &[&str], added: &[&str]| {
            let texts = |texts: &[&str]| array(&texts.iter().map(|text| sent(text)).collect::<Vec<_>>());
            array(&[texts(removed), texts(added)])
        };
        let bytes =
            map(&[(1, array(&[change(&["one"], &[]), change(&[], &["one", "two"])])), (2, vec![3]), (3, vec![0xf5])]);
        let list = List::parse(&bytes).unwrap();
        let hashes = |texts: &[&str]| texts.iter().map(TokenHash::of).collect();
        let expected = vec![
            Change { removed: hashes(&["one"]), added: Vec::new() },
            Change { removed: Vec::new(), added: hashes(&["one", "two"]) },
        ];
        assert_eq!((list.diff_set, list.cursor, list.more), (Some(expected), Some(3), true));
    }

    #[test]
    fn indefinite_lengths_and_unknown_parameters_are_read() {
        let hash = sent("one");
        let bytes = [&[0xbf, 0x18, 99, 0x61, b'x', 0x00, 0x9f][..], &hash, &[0xff, 0xff]].concat();
        assert_eq!(List::parse(&bytes).unwrap().full_set, Some(vec![TokenHash::of("one")]));
    }

    #[test]
    fn what_is_not_a_list_is_refused() {
        let hash = sent("one");
        let whole = map(&[(0, array(std::slice::from_ref(&hash)))]);
        for length in 0..whole.len() {
            assert!(List::parse(&whole[..length]).is_err(), "{length}");
        }
        for (bytes, error) in [
            ([&whole[..], &[0]].concat(), ListError::Malformed),
            (vec![0xa0], ListError::Empty),
            (map(&[(0, array(&[vec![0x41, 1]]))]), ListError::UnknownHash),
            (map(&[(0, vec![0x01])]), ListError::Malformed),
            (map(&[(1, array(&[array(&[array(&[])])]))]), ListError::Malformed),
            // Says that it has 2^64 - 1 items.
            ([&[0xa1, 0x00, 0x9b][..], &[0xff; 8]].concat(), ListError::Malformed),
            (br#"{"full_set":[]}"#.to_vec(), ListError::Malformed),
        ] {
            assert_eq!(List::parse(&bytes), Err(error), "{bytes:02x?}");
        }
    }
}
