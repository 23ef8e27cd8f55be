//! CBOR from outside (RFC 8949), read strictly: bounded in depth and size, every length known beforehand and written in its
//! shortest form, no label of a map twice, and nothing behind the item.
//!
//! Two readers that forgive differently see two different tokens, so nothing is forgiven. What is read borrows from what was sent:
//! a key in it is not copied about.

mod value;

use minicbor::Decoder;
use minicbor::data::Type;
use minicbor::decode::Error as DecodeError;

pub(crate) use value::{Label, Map, Value};

use crate::limits;

/// What is wrong with CBOR from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborFault {
    /// Not CBOR, or cut off.
    #[error("it is not valid CBOR")]
    Syntax,
    /// A string, an array or a map without a length.
    #[error("an item in it has an indefinite length")]
    Indefinite,
    /// A number or a length that could be written in fewer bytes.
    #[error("a number in it is not in its shortest form")]
    NotShortest,
    /// A map has a label twice.
    #[error("a map in it has a label twice")]
    DuplicateLabel,
    /// Something follows the item.
    #[error("more bytes follow it")]
    TrailingBytes,
    /// Nested deeper than [`limits::CBOR_DEPTH`].
    #[error("it is nested too deeply")]
    TooDeep,
    /// A map with more than [`limits::CBOR_MAP_ENTRIES`] labels.
    #[error("a map in it has too many labels")]
    TooLarge,
    /// A number beyond 63 bits, a label that is neither a number nor a text, or a simple value that means nothing here.
    #[error("it has an item that means nothing in a token")]
    Unsupported,
    /// Valid CBOR, but not a map.
    #[error("it is not a map")]
    NotAMap,
}

impl From<DecodeError> for CborFault {
    fn from(_: DecodeError) -> Self {
        Self::Syntax
    }
}

/// Reads exactly one item.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value<'_>, CborFault> {
    let mut reader = Reader { decoder: Decoder::new(bytes) };
    let value = reader.value(0)?;
    if reader.decoder.position() != bytes.len() {
        return Err(CborFault::TrailingBytes);
    }
    Ok(value)
}

/// Reads exactly one map.
pub(crate) fn parse_map(bytes: &[u8]) -> Result<Map<'_>, CborFault> {
    match parse(bytes)? {
        Value::Map(map) => Ok(map),
        _ => Err(CborFault::NotAMap),
    }
}

struct Reader<'b> {
    decoder: Decoder<'b>,
}

impl<'b> Reader<'b> {
    fn value(&mut self, depth: usize) -> Result<Value<'b>, CborFault> {
        let start = self.decoder.position();
        match self.decoder.datatype()? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => {
                let number = self.decoder.u64()?;
                self.shortest(start, number, 0)?;
                i64::try_from(number).map(Value::Int).map_err(|_| CborFault::Unsupported)
            }
            Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
                let number = self.decoder.i64().map_err(|_| CborFault::Unsupported)?;
                self.shortest(start, !number.cast_unsigned(), 0)?;
                Ok(Value::Int(number))
            }
            Type::Bytes => {
                let bytes = self.decoder.bytes()?;
                self.shortest(start, length(bytes.len()), bytes.len())?;
                Ok(Value::Bytes(bytes))
            }
            Type::String => {
                let text = self.decoder.str()?;
                self.shortest(start, length(text.len()), text.len())?;
                Ok(Value::Text(text))
            }
            Type::Array => {
                let depth = deeper(depth)?;
                let items = self.decoder.array()?.ok_or(CborFault::Indefinite)?;
                self.shortest(start, items, 0)?;
                // What it says is not believed beforehand: nothing is taken for items that do not come.
                (0..items).map(|_| self.value(depth)).collect::<Result<_, _>>().map(Value::Array)
            }
            Type::Map => self.map(start, deeper(depth)?).map(Value::Map),
            Type::Tag => {
                let depth = deeper(depth)?;
                let tag = self.decoder.tag()?.as_u64();
                self.shortest(start, tag, 0)?;
                Ok(Value::Tag(tag, Box::new(self.value(depth)?)))
            }
            Type::Bool => Ok(Value::Bool(self.decoder.bool()?)),
            Type::Null => self.decoder.null().map(|()| Value::Null).map_err(Into::into),
            Type::F16 | Type::F32 | Type::F64 => self.float().map(Value::Float),
            Type::BytesIndef | Type::StringIndef | Type::ArrayIndef | Type::MapIndef => Err(CborFault::Indefinite),
            Type::Int | Type::Undefined | Type::Simple => Err(CborFault::Unsupported),
            Type::Break | Type::Unknown(_) => Err(CborFault::Syntax),
        }
    }

    fn map(&mut self, start: usize, depth: usize) -> Result<Map<'b>, CborFault> {
        let entries = self.decoder.map()?.ok_or(CborFault::Indefinite)?;
        self.shortest(start, entries, 0)?;
        if entries > length(limits::CBOR_MAP_ENTRIES) {
            return Err(CborFault::TooLarge);
        }
        let mut map = Map::default();
        for _ in 0..entries {
            let label = match self.value(depth)? {
                Value::Int(number) => Label::Int(number),
                Value::Text(text) => Label::Text(text),
                _ => return Err(CborFault::Unsupported),
            };
            let value = self.value(depth)?;
            if !map.insert(label, value) {
                return Err(CborFault::DuplicateLabel);
            }
        }
        Ok(map)
    }

    /// A number of any width: what its shortest form is, is not agreed on as it is for the others.
    fn float(&mut self) -> Result<f64, CborFault> {
        // minicbor reads the halves only with a feature that takes a dependency.
        let input = self.decoder.input();
        let start = self.decoder.position();
        if input.get(start) == Some(&0xf9) {
            let half = input.get(start + 1..).and_then(<[u8]>::first_chunk::<2>).ok_or(CborFault::Syntax)?;
            self.decoder.set_position(start + 3);
            return Ok(value::half(u16::from_be_bytes(*half)));
        }
        match self.decoder.datatype()? {
            Type::F32 => Ok(self.decoder.f32()?.into()),
            _ => Ok(self.decoder.f64()?),
        }
    }

    /// Whether the head that began at `start`, and behind which this many bytes of content have been read, is the shortest that
    /// holds the number.
    fn shortest(&self, start: usize, number: u64, content: usize) -> Result<(), CborFault> {
        let head: usize = match number {
            0..=23 => 1,
            24..=0xff => 2,
            0x100..=0xffff => 3,
            0x1_0000..=0xffff_ffff => 5,
            _ => 9,
        };
        if self.decoder.position() == start + head + content { Ok(()) } else { Err(CborFault::NotShortest) }
    }
}

fn deeper(depth: usize) -> Result<usize, CborFault> {
    if depth >= limits::CBOR_DEPTH { Err(CborFault::TooDeep) } else { Ok(depth + 1) }
}

/// Lengths are no larger than memory.
const fn length(bytes: usize) -> u64 {
    bytes as u64
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
