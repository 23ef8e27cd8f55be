//! What user name and password of a CONNECT say (RFC 9431 §6, and the draft -00's form).

use std::borrow::Cow;

use super::{Draft00, PasswordBytes, USERNAME_PREFIX, username};
use crate::{Fingerprint, Refusal};

/// What user name and password of a CONNECT are.
#[derive(Clone)]
pub enum Credentials<'a> {
    /// Neither is there.
    None,
    /// At least one is there, and they are no ACE material: a client for the broker's other means.
    Foreign,
    /// A token in the user name, and its proof in the password.
    TokenInUsername {
        /// The token, not validated.
        token: Cow<'a, [u8]>,
        /// Where the proof should be; [`PasswordBytes::absent`] if the client sent no password.
        password: PasswordBytes<'a>,
    },
    /// The draft's form.
    Draft00(Draft00),
}

impl<'a> Credentials<'a> {
    /// Tells what the client brought.
    ///
    /// A user name counts as a token only if what follows `ace` looks like a JWT, as it is or
    /// base64url-encoded once more, or like a CWT that is base64url-encoded; and the user name `ace` only if the password begins like a JSON object.
    /// Anything else is [`Credentials::Foreign`].
    ///
    /// # Errors
    /// Those of [`Draft00::parse`].
    pub fn parse(username: Option<&'a [u8]>, password: Option<PasswordBytes<'a>>) -> Result<Self, Refusal> {
        Self::read(username, password, false)
    }

    /// The same, for a broker that can ask about opaque tokens: what follows `ace` counts as one if it is base64url of visible ASCII
    /// that is long enough.
    ///
    /// # Errors
    /// Those of [`Draft00::parse`].
    pub fn parse_with_opaque(username: Option<&'a [u8]>, password: Option<PasswordBytes<'a>>) -> Result<Self, Refusal> {
        Self::read(username, password, true)
    }

    fn read(
        username: Option<&'a [u8]>,
        password: Option<PasswordBytes<'a>>,
        takes_opaque: bool,
    ) -> Result<Self, Refusal> {
        let (username, password) = match (username, password) {
            (None, None) => return Ok(Self::None),
            (None, Some(_)) => return Ok(Self::Foreign),
            (Some(username), password) => (username, password.unwrap_or(PasswordBytes::absent())),
        };
        if username == USERNAME_PREFIX.as_bytes() {
            let begins_object = password.as_sent.trim_ascii_start().starts_with(b"{");
            return if begins_object { Draft00::parse(password.as_sent).map(Self::Draft00) } else { Ok(Self::Foreign) };
        }
        let token = username::token(username);
        let opaque = || {
            takes_opaque.then(|| username::opaque_token(username)).flatten().map(|token| Cow::Owned(token.into_bytes()))
        };
        Ok(token.or_else(opaque).map_or(Self::Foreign, |token| Self::TokenInUsername { token, password }))
    }
}

/// Shows the form and the token's fingerprint.
impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Foreign => f.write_str("Foreign"),
            Self::TokenInUsername { token, password } => f
                .debug_struct("TokenInUsername")
                .field("token", &Fingerprint::of(token))
                .field("password", password)
                .finish(),
            Self::Draft00(draft) => std::fmt::Debug::fmt(draft, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connect::{encode_username, encode_username_twice};

    const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJhIn0.c2ln";

    fn parse<'a>(username: Option<&'a str>, password: Option<&'a [u8]>) -> Result<Credentials<'a>, Refusal> {
        Credentials::parse(username.map(str::as_bytes), password.map(PasswordBytes::exact))
    }

    #[test]
    fn a_token_in_the_user_name_is_found() {
        for name in [encode_username(TOKEN), encode_username_twice(TOKEN)] {
            for password in [None, Some(&b"mac"[..])] {
                let Ok(Credentials::TokenInUsername { token, password: found }) = parse(Some(&name), password) else {
                    panic!("{name}");
                };
                assert_eq!(*token, *TOKEN.as_bytes());
                assert_eq!(found.as_sent, password.unwrap_or_default());
            }
        }
    }

    #[test]
    fn an_opaque_token_is_found_where_one_is_taken() {
        let opaque = "2YotnFZFEjr1zCsicMWpAA";
        let name = encode_username_twice(opaque);
        let found = Credentials::parse_with_opaque(Some(name.as_bytes()), None);
        assert!(matches!(found, Ok(Credentials::TokenInUsername { token, .. }) if *token == *opaque.as_bytes()));
        assert!(matches!(Credentials::parse(Some(name.as_bytes()), None), Ok(Credentials::Foreign)));
        for name in ["acerola", "ace2YotnFZFEjr1zCsicMWpAA", "ace-in-the-hole-of-the-company"] {
            let found = Credentials::parse_with_opaque(Some(name.as_bytes()), None);
            assert!(matches!(found, Ok(Credentials::Foreign)), "{name}");
        }
    }

    #[test]
    fn the_drafts_form_is_found() {
        let json = br#" {"access_token":"t","mac":"AQID"}"#;
        assert!(matches!(parse(Some("ace"), Some(json)), Ok(Credentials::Draft00(_))));
        assert!(matches!(parse(Some("ace"), Some(b"{")), Err(Refusal::Draft00NotJson { .. })));
        let memory = [&json[..], b"\0left behind"].concat();
        let password = PasswordBytes::c_string(&memory);
        assert!(matches!(Credentials::parse(Some(b"ace"), Some(password)), Ok(Credentials::Draft00(_))));
    }

    #[test]
    fn clients_of_other_means_are_left_alone() {
        for (name, password) in [
            (Some("acerola"), Some(&b"pw"[..])),
            (Some("ace"), Some(b"pw")),
            (Some("ace"), None),
            (Some(""), None),
            (Some("alice"), None),
            (Some("alice"), Some(br#"{"access_token":"t","mac":"AQID"}"#)),
            (None, Some(b"pw")),
        ] {
            assert!(matches!(parse(name, password), Ok(Credentials::Foreign)), "{name:?}");
        }
        assert!(matches!(parse(None, None), Ok(Credentials::None)));
        assert!(matches!(Credentials::parse(Some(b"\xff\xff"), None), Ok(Credentials::Foreign)));
    }

    #[test]
    fn debug_shows_no_token() {
        let name = encode_username(TOKEN);
        let shown = format!("{:?}", parse(Some(&name), Some(b"secret")).unwrap());
        assert!(!shown.contains("eyJ") && !shown.contains("secret"), "{shown}");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            name in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..64)),
            password in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..64)),
        ) {
            let _ = Credentials::parse(name.as_deref(), password.as_deref().map(PasswordBytes::c_string));
        }
    }
}
