//! JSON texts from outside (RFC 8259), read strictly: bounded in depth, no member name twice.
//!
//! RFC 7515 §4 and RFC 7519 §4 leave it open whether a repeated name is refused or its last value wins.
//! Two readers that choose differently see two different tokens, so it is refused here, at every depth.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::limits;

/// What is wrong with a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Not JSON, or not UTF-8, or something behind the value.
    #[error("it is not valid JSON")]
    Syntax,
    /// An object names a member twice.
    #[error("an object in it names a member twice")]
    DuplicateMember,
    /// Nested deeper than [`limits::JSON_DEPTH`].
    #[error("it is nested too deeply")]
    TooDeep,
    /// Valid JSON, but not an object.
    #[error("it is not a JSON object")]
    NotAnObject,
}

/// Reads exactly one JSON value.
pub(crate) fn parse(text: &[u8]) -> Result<Value, JsonFault> {
    let fault = Cell::new(JsonFault::Syntax);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let strict = Strict { depth: 0, fault: &fault };
    let value = strict.deserialize(&mut deserializer).map_err(|_| fault.get())?;
    deserializer.end().map_err(|_| JsonFault::Syntax)?;
    Ok(value)
}

/// Reads exactly one JSON object.
///
/// # Errors
/// [`JsonFault`] says what is wrong with the text.
pub fn parse_object(text: &[u8]) -> Result<Map<String, Value>, JsonFault> {
    match parse(text)? {
        Value::Object(object) => Ok(object),
        _ => Err(JsonFault::NotAnObject),
    }
}

/// Builds a [`Value`], counting the depth and noting in `fault` what it objected to.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    fault: &'a Cell<JsonFault>,
}

impl Strict<'_> {
    fn refuse<E: serde::de::Error>(self, fault: JsonFault) -> E {
        self.fault.set(fault);
        E::custom(fault)
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= limits::JSON_DEPTH {
            return Err(self.refuse(JsonFault::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let element = self.deeper()?;
        let mut array = Vec::new();
        while let Some(value) = seq.next_element_seed(element)? {
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let member = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(self.refuse(JsonFault::DuplicateMember));
            }
            let value = map.next_value_seed(member)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_serde_json_reads() {
        let text = r#"{"a":[1,-2,2.5,null,true,"x\u00e9"],"b":{"c":{}},"d":18446744073709551615}"#;
        assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn a_name_twice_is_refused_at_every_depth_and_however_it_is_written() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"x":{"a":1,"b":2,"a":3}}]"#, r#"{"a":1,"\u0061":2}"#] {
            assert_eq!(parse(text.as_bytes()), Err(JsonFault::DuplicateMember), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded_without_touching_the_stack() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(limits::JSON_DEPTH).as_bytes()).is_ok());
        assert_eq!(parse(nested(limits::JSON_DEPTH + 1).as_bytes()), Err(JsonFault::TooDeep));
        assert_eq!(parse(nested(10_000).as_bytes()), Err(JsonFault::TooDeep));
        assert_eq!(parse("{\"a\":".repeat(10_000).as_bytes()), Err(JsonFault::TooDeep));
    }

    #[test]
    fn what_is_not_one_value_is_refused() {
        for text in ["", "{", "{}{}", "{} x", "nul", "1e999", "{'a':1}", "{\"a\":1,}", "\u{feff}{}", "[NaN]"] {
            assert_eq!(parse(text.as_bytes()), Err(JsonFault::Syntax), "{text:?}");
        }
        assert_eq!(parse(b"\"\xff\""), Err(JsonFault::Syntax));
        assert_eq!(parse_object(b"[]"), Err(JsonFault::NotAnObject));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes);
        }
    }
}
