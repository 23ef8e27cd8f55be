//! Scopes in the words of ordinary OAuth servers (RFC 6749 §3.3): `mqtt:pub:sensors/+/temperature mqtt:sub:commands/#`.
//!
//! A word of ours is `mqtt:`, a permission (`pub` or `sub`), `:` and a topic filter. What a word of OAuth cannot hold
//! is written in the filter as `%` and two hexadecimal digits for each byte of its UTF-8 form, the `%` itself included.

use serde_json::Value;

use super::aif::{MAX_ENTRIES, shortened};
use super::{Permission, Permissions, Scope, ScopeError, TopicFilter};

/// What our words begin with. Others are other applications' and grant nothing here.
const PREFIX: &str = "mqtt:";

/// Reads a claim: words separated by spaces, or an array of words.
pub(super) fn read(claim: &Value) -> Result<Scope, ScopeError> {
    match claim {
        Value::String(text) => collect(text.split(' ').map(Some)),
        Value::Array(words) => collect(words.iter().map(Value::as_str)),
        _ => Err(ScopeError::NotWords),
    }
}

/// The words of a claim that are other applications'.
pub(super) fn ignored(claim: &Value) -> Vec<String> {
    let words: Vec<&str> = match claim {
        Value::String(text) => text.split(' ').collect(),
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let others = words.into_iter().filter(|word| !word.is_empty() && !word.starts_with(PREFIX));
    others.map(shortened).collect()
}

fn collect<'a>(words: impl Iterator<Item = Option<&'a str>>) -> Result<Scope, ScopeError> {
    let mut entries = Vec::new();
    for word in words {
        let word = word.ok_or(ScopeError::NotWords)?;
        let Some(granted) = word.strip_prefix(PREFIX) else { continue };
        if entries.len() == MAX_ENTRIES {
            return Err(ScopeError::TooLarge);
        }
        entries.push(read_word(word, granted)?);
    }
    Ok(Scope::new(entries))
}

/// Reads what follows the prefix of a word.
fn read_word(word: &str, granted: &str) -> Result<(TopicFilter, Permissions), ScopeError> {
    let malformed = || ScopeError::MalformedWord(shortened(word));
    let (permission, filter) =
        granted.split_once(':').filter(|(_, filter)| !filter.is_empty()).ok_or_else(malformed)?;
    let permission =
        Permission::from_word(permission).ok_or_else(|| ScopeError::UnknownPermission(shortened(permission)))?;
    let filter = decoded(filter).ok_or_else(malformed)?;
    let filter = TopicFilter::parse(&filter)
        .map_err(|error| ScopeError::MalformedFilter { filter: shortened(&filter), error })?;
    Ok((filter, permission.into()))
}

/// The filter that is written like this; `None` if something in it is not written as it must be.
fn decoded(written: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'%' => {
                let (digits, behind) = rest.split_first_chunk::<2>()?;
                let [high, low] = digits.map(hexadecimal);
                bytes.push(high? << 4 | low?);
                rest = behind;
            }
            // The characters of a word (RFC 6749 §3.3).
            0x21 | 0x23..=0x5b | 0x5d..=0x7e => bytes.push(*first),
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn granted(claim: Value) -> Result<Value, ScopeError> {
        read(&claim).map(|scope| scope.to_aif_value())
    }

    #[test]
    fn our_words_are_read_and_others_are_not() {
        let both = json!([["cmd/#", ["sub"]], ["sensors/+/temp", ["pub", "sub"]]]);
        let text = "openid mqtt:pub:sensors/+/temp  profile mqtt:sub:cmd/# mqtt:sub:sensors/+/temp";
        assert_eq!(granted(json!(text)), Ok(both.clone()));
        let array: Vec<&str> = text.split(' ').collect();
        assert_eq!(granted(json!(array)), Ok(both));
        for nothing in ["", " ", "openid", "MQTT:pub:a", "mqtt", "xmqtt:pub:a", "mqtt.pub:a", "\tmqtt:pub:a"] {
            assert_eq!(granted(json!(nothing)), Ok(json!([])), "{nothing:?}");
        }
    }

    #[test]
    fn odd_characters_are_written_with_percent() {
        for (written, filter) in [
            ("a%20b", "a b"),
            ("100%25", "100%"),
            ("%22%5c%5C", "\"\\\\"),
            ("d%C3%a9part", "départ"),
            ("%2Bx%2f%23", ""),
            ("%09", "\t"),
            ("a:b", "a:b"),
            ("{client_id}", "{client_id}"),
            ("%2B/%23", "+/#"),
        ] {
            let read = granted(json!(format!("mqtt:pub:{written}")));
            match filter {
                "" => assert!(matches!(read, Err(ScopeError::MalformedFilter { .. })), "{written}: {read:?}"),
                filter => assert_eq!(read, Ok(json!([[filter, ["pub"]]])), "{written}"),
            }
        }
    }

    #[test]
    fn a_malformed_word_of_ours_is_refused_and_named() {
        for word in [
            "mqtt:",
            "mqtt:pub",
            "mqtt:pub:",
            "mqtt::a",
            "mqtt:pub:a%",
            "mqtt:pub:a%2",
            "mqtt:pub:%zz",
            "mqtt:pub:%+1",
            "mqtt:pub:%ff",
            "mqtt:pub:é",
            "mqtt:pub:\"",
            "mqtt:pub:\\",
            "mqtt:pub:a\tb",
            "mqtt:pub:a\u{7f}",
        ] {
            match granted(json!(format!("openid {word}"))) {
                Err(ScopeError::MalformedWord(named)) => assert_eq!(named, word),
                Err(ScopeError::UnknownPermission(named)) => assert_eq!((word, named.as_str()), ("mqtt::a", "")),
                other => panic!("{word}: {other:?}"),
            }
        }
        // In an array a space separates nothing.
        let spaced = "mqtt:pub:a mqtt:sub:b".to_owned();
        assert_eq!(granted(json!([spaced])), Err(ScopeError::MalformedWord(spaced)));
        assert_eq!(granted(json!("mqtt:read:a")), Err(ScopeError::UnknownPermission("read".to_owned())));
        for filter in ["a/#/b", "a+", "%00", "#a"] {
            let read = granted(json!(format!("mqtt:pub:{filter}")));
            assert!(matches!(read, Err(ScopeError::MalformedFilter { .. })), "{filter}: {read:?}");
        }
    }

    #[test]
    fn what_holds_no_words_is_refused() {
        for claim in [json!(null), json!(7), json!({}), json!([["a", ["pub"]]]), json!(["openid", 1]), json!([null])] {
            assert_eq!(granted(claim.clone()), Err(ScopeError::NotWords), "{claim}");
        }
    }

    #[test]
    fn the_number_of_our_words_is_bounded() {
        let words = |count: usize| (0..count).map(|n| format!("mqtt:pub:{n}")).collect::<Vec<_>>().join(" ");
        assert!(granted(json!(words(MAX_ENTRIES))).is_ok());
        assert_eq!(granted(json!(words(MAX_ENTRIES + 1))), Err(ScopeError::TooLarge));
    }

    /// The word for a filter, as a server would have to write it.
    fn written(filter: &str) -> String {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/+#-_.".contains(byte);
        let write = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        format!("mqtt:sub:{}", filter.bytes().map(write).collect::<String>())
    }

    proptest! {
        #[test]
        fn every_filter_can_be_written(filter in "[^+#\u{0}]{1,40}") {
            let read = granted(json!(written(&filter)));
            prop_assert_eq!(read, Ok(json!([[filter, ["sub"]]])));
        }

        #[test]
        fn arbitrary_texts_never_panic(text in "\\PC{0,60}", word in "(mqtt:(pub|sub):)?[ -~]{0,20}") {
            let _ = granted(json!(text));
            let _ = granted(json!(word));
            let _ = granted(json!([word]));
        }
    }
}
