//! A token in the user name (RFC 9431 §6): `ace`, then the token.

use std::borrow::Cow;

use super::token_text::opaque_token_text;
use super::{USERNAME_PREFIX, token_text};
use crate::base64url;

/// The token in a user name, if there is one. A user called `acerola` has a name and no token.
pub(super) fn token(username: &[u8]) -> Option<Cow<'_, [u8]>> {
    username.strip_prefix(USERNAME_PREFIX.as_bytes()).and_then(token_text)
}

/// The opaque token in a user name, if there is one.
pub(super) fn opaque_token(username: &[u8]) -> Option<String> {
    username.strip_prefix(USERNAME_PREFIX.as_bytes()).and_then(opaque_token_text)
}

/// The user name that brings `token`, a JWT, as it is.
#[must_use]
pub fn encode_username(token: &str) -> String {
    format!("{USERNAME_PREFIX}{token}")
}

/// The user name that brings `token` base64url-encoded (a JWT once more), as RFC 9431 §6 has it word for word; a CWT and an opaque
/// token come so, too.
#[must_use]
pub fn encode_username_twice(token: impl AsRef<[u8]>) -> String {
    format!("{USERNAME_PREFIX}{}", base64url::encode(token.as_ref()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJhIn0.c2ln";

    #[test]
    fn a_jwt_is_taken_as_it_is_and_encoded_once_more() {
        assert_eq!(token(encode_username(TOKEN).as_bytes()).as_deref(), Some(TOKEN.as_bytes()));
        assert_eq!(token(encode_username_twice(TOKEN).as_bytes()).as_deref(), Some(TOKEN.as_bytes()));
    }

    #[test]
    fn names_are_names() {
        let padded = format!("{}==", encode_username_twice(TOKEN));
        for name in ["ace", "acerola", "aceman.of.spades", "ACEeyJ.e30.", "", "a", "eyJ.e30.", "ace\u{e9}", &padded] {
            assert_eq!(token(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(token(b"ace\xff\xfe"), None);
    }

    proptest! {
        #[test]
        fn every_jwt_survives(payload in proptest::collection::vec(any::<u8>(), 0..100)) {
            let jwt = format!("eyJhbGciOiJFUzI1NiJ9.{}.{}", base64url::encode(&payload), base64url::encode(&payload));
            let (plain, twice) = (encode_username(&jwt), encode_username_twice(&jwt));
            prop_assert_eq!(token(plain.as_bytes()), Some(Cow::Borrowed(jwt.as_bytes())));
            prop_assert_eq!(token(twice.as_bytes()), Some(Cow::Borrowed(jwt.as_bytes())));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = token(&[b"ace", bytes.as_slice()].concat());
        }
    }
}
