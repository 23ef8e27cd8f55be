//! Tokens that live for so long from when they are first seen (`exi`, RFC 9200 §5.10.3).
//!
//! Such a token does not say when it ends. Whoever validates it has to remember when it first did, and which have ended, for as long
//! as the token could come again: for ever. So that this takes no room for ever, each has a number, and all up to the highest that
//! has ended count as ended.

use std::time::Duration;

use crate::{Refusal, base64url};

/// What is to be remembered of a token that was seen for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstSight {
    /// For which of the broker's names the token's server counts: each has numbers of its own.
    pub audience: String,
    /// Its number.
    pub sequence: u128,
    /// How long it lives.
    pub lifetime: Duration,
}

/// Longest number, in bytes.
const SEQUENCE_BYTES_MAX: usize = 16;

impl FirstSight {
    /// Reads the identifier of a token (`cti`): the name of the broker, and right behind it the number. The number is written high
    /// byte first; in decimal digits it counts up in the same way, as long as it does not get leading zeros in between.
    pub(super) fn of_cti(cti: &[u8], names: &[String], lifetime: Duration) -> Result<Self, Refusal> {
        let named = names.iter().filter_map(|name| Some((name, cti.strip_prefix(name.as_bytes())?)));
        // Of two names of which one begins as the other does, the longer is meant.
        let (name, number) = named.max_by_key(|(name, _)| name.len()).ok_or(Refusal::ExpirySequence)?;
        if number.is_empty() || number.len() > SEQUENCE_BYTES_MAX {
            return Err(Refusal::ExpirySequence);
        }
        let sequence = number.iter().fold(0, |sequence, byte| sequence << 8 | u128::from(*byte));
        Ok(Self { audience: name.clone(), sequence, lifetime })
    }

    /// The same for a JWT (`jti`), in which it is a text: as it is, or in base64url.
    pub(super) fn of_jti(jti: &str, names: &[String], lifetime: Duration) -> Result<Self, Refusal> {
        Self::of_cti(jti.as_bytes(), names, lifetime).or_else(|missing| {
            let decoded = base64url::decode(jti.as_bytes()).map_err(|_| missing)?;
            Self::of_cti(&decoded, names, lifetime)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(60);

    fn names() -> Vec<String> {
        ["broker", "broker.example"].map(str::to_owned).to_vec()
    }

    fn sequence(cti: &[u8]) -> Result<(String, u128), Refusal> {
        FirstSight::of_cti(cti, &names(), LIFETIME).map(|sight| (sight.audience, sight.sequence))
    }

    #[test]
    fn the_name_is_followed_by_the_number() {
        assert_eq!(sequence(b"broker.example\x01\x00"), Ok(("broker.example".to_owned(), 256)));
        assert_eq!(sequence(b"broker\x07"), Ok(("broker".to_owned(), 7)));
        assert_eq!(sequence(&[b"broker", &[0xff; 16][..]].concat()), Ok(("broker".to_owned(), u128::MAX)));
        for other in [&b""[..], b"broker", b"other\x01", &[b"broker", &[1; 17][..]].concat()] {
            assert_eq!(sequence(other), Err(Refusal::ExpirySequence), "{other:?}");
        }
        assert_eq!(sequence(b"broker.example"), Err(Refusal::ExpirySequence), "the longer name, without a number");
    }

    #[test]
    fn in_a_jwt_it_is_a_text() {
        let jti = |text: &str| FirstSight::of_jti(text, &names(), LIFETIME).map(|sight| sight.sequence);
        assert_eq!(jti(&base64url::encode(b"broker.example\x01\x00")), Ok(256));
        assert!(jti("broker.example99").unwrap() < jti("broker.example100").unwrap());
        for other in ["", "17", "broker", "YnJva2Vy", "*"] {
            assert_eq!(jti(other), Err(Refusal::ExpirySequence), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn digits_count_up_as_numbers_do(one in 1..100_000_000_u64, more in 1..1_000_u64) {
            let sequence = |number: u64| sequence(format!("broker{number}").as_bytes()).unwrap().1;
            prop_assert!(sequence(one) < sequence(one + more));
        }
    }
}
