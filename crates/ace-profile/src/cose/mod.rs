//! COSE (RFC 9052, RFC 9053): what CWTs (RFC 8392) are made of.
//!
//! Read more strictly than COSE has to be: no algorithm but those of [`Algorithm`], each in its own structure, and every header
//! protected but `kid` and IV. What is written, is written so.

mod algorithm;
mod encryption;
mod form;
mod key;
mod message;
mod write;

use std::borrow::Cow;

pub use algorithm::Algorithm;
pub use write::{Headers, encrypt, sign, with_cwt_tag};

pub(crate) use form::{cwt, looks_like_cwt};
pub(crate) use key::{Secret, read as read_key, secret};
pub(crate) use message::Message;

use crate::base64url;

/// The name of the key with this `kid`: in COSE a `kid` is bytes, and in JOSE, in which keys are configured, it is text. Bytes that
/// are a text without control characters mean the key of that name; others the one of their base64url text.
#[must_use]
pub fn kid_name(kid: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(kid) {
        Ok(text) if !text.contains(char::is_control) => Cow::Borrowed(text),
        _ => Cow::Owned(base64url::encode(kid)),
    }
}

/// The `kid`s in COSE that mean the key of this name.
pub(crate) fn kids_of(name: &str) -> Vec<Vec<u8>> {
    let candidates = [Some(name.as_bytes().to_vec()), base64url::decode(name.as_bytes()).ok()];
    candidates.into_iter().flatten().filter(|kid| !kid.is_empty() && kid_name(kid) == name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kid_is_text_or_the_base64url_of_what_is_none() {
        assert_eq!(kid_name(b"as-1"), "as-1");
        assert_eq!(kid_name(b"\x01\x02"), "AQI");
        assert_eq!(kid_name(b"\xff\xfe\xfd"), "__79");
        assert_eq!(kids_of("as-1"), [b"as-1"]);
        assert_eq!(kids_of("AQI"), [&b"AQI"[..], b"\x01\x02"]);
        assert_eq!(kids_of("QUJD"), [b"QUJD"], "the bytes are the text ABC, and mean the key of that name");
        assert_eq!(kids_of("a\nb"), Vec::<Vec<u8>>::new());
    }
}
