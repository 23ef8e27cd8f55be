//! What the hello messages of a TLS 1.3 handshake say about pre-shared keys (RFC 8446 §4.1.2, §4.1.3, §4.2.11).
//!
//! OpenSSL has judged the messages, or is about to: here, whatever cannot be read says nothing.

/// The longest identity that is kept: OpenSSL asks about none that is longer.
const IDENTITY_BYTES_MAX: usize = 256;
/// The extension `pre_shared_key`.
const PRE_SHARED_KEY: u16 = 41;

/// The identities that a `ClientHello` offers, in their order. One that is too long to be asked about is left empty.
pub(super) fn offered_identities(message: &[u8]) -> Vec<Box<[u8]>> {
    identities(message).unwrap_or_default()
}

/// The number of the identity that a `ServerHello` takes up. A `HelloRetryRequest` has none.
pub(super) fn selected_identity(message: &[u8]) -> Option<usize> {
    let mut hello = begin(message)?;
    // The cipher suite, and the compression method.
    hello.take(3)?;
    extension(hello, PRE_SHARED_KEY)?.number().map(usize::from)
}

fn identities(message: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let mut hello = begin(message)?;
    // The cipher suites,
    hello.vector()?;
    // and the compression methods.
    hello.short_vector()?;
    let mut offered = Reader(extension(hello, PRE_SHARED_KEY)?.vector()?);
    let mut identities = Vec::new();
    while !offered.0.is_empty() {
        let identity = offered.vector()?;
        // The ticket's age.
        offered.take(4)?;
        identities.push(if identity.len() > IDENTITY_BYTES_MAX { Box::default() } else { identity.into() });
    }
    Some(identities)
}

/// What both messages begin with: the handshake's header, version, random, session id.
fn begin(message: &[u8]) -> Option<Reader<'_>> {
    let mut hello = Reader(message);
    hello.take(4 + 2 + 32)?;
    hello.short_vector()?;
    Some(hello)
}

/// The content of an extension, out of what is left of a message.
fn extension(mut hello: Reader<'_>, wanted: u16) -> Option<Reader<'_>> {
    let mut extensions = Reader(hello.vector()?);
    loop {
        let kind = extensions.number()?;
        let content = extensions.vector()?;
        if kind == wanted {
            return Some(Reader(content));
        }
    }
}

/// What is still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// Bytes with two bytes of length before them.
    fn vector(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }

    /// Bytes with one byte of length before them.
    fn short_vector(&mut self) -> Option<&'a [u8]> {
        let [length] = *self.take(1)? else { return None };
        self.take(length.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(content: &[u8]) -> Vec<u8> {
        [&u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
    }

    fn extensions(extensions: &[(u16, &[u8])]) -> Vec<u8> {
        let all: Vec<u8> = extensions
            .iter()
            .flat_map(|(kind, content)| [&kind.to_be_bytes()[..], &vector(content)].concat())
            .collect();
        vector(&all)
    }

    fn client_hello(identities: &[&[u8]]) -> Vec<u8> {
        let offered: Vec<u8> = identities.iter().flat_map(|one| [vector(one), vec![1, 2, 3, 4]].concat()).collect();
        let psk = [vector(&offered), vector(&[32; 33])].concat();
        let begin = [&[1, 0, 0, 0, 3, 3][..], &[9; 32], &[2, 7, 7]].concat();
        [begin, vector(&[0x13, 1]), vec![1, 0], extensions(&[(43, &[2, 3, 4]), (41, &psk)])].concat()
    }

    fn server_hello(selected: Option<&[u8]>) -> Vec<u8> {
        let begin = [&[2, 0, 0, 0, 3, 3][..], &[9; 32], &[2, 7, 7], &[0x13, 1, 0]].concat();
        let psk: Vec<(u16, &[u8])> = selected.map(|selected| (41, selected)).into_iter().collect();
        [begin, extensions(&[&[(43, &[3, 4][..])][..], &psk].concat())].concat()
    }

    #[test]
    fn identities_are_read_in_their_order() {
        let long = [b'a'; IDENTITY_BYTES_MAX + 1];
        let read = offered_identities(&client_hello(&[b"one", b"t\0o", &long, b"three"]));
        assert_eq!(read, [&b"one"[..], b"t\0o", b"", b"three"].map(Box::from));
        assert!(offered_identities(&client_hello(&[])).is_empty());
    }

    #[test]
    fn the_selection_is_read() {
        assert_eq!(selected_identity(&server_hello(Some(&[0, 3]))), Some(3));
        assert_eq!(selected_identity(&server_hello(Some(&[0]))), None);
        assert_eq!(selected_identity(&server_hello(None)), None);
        // As one of TLS 1.2 may do without extensions at all.
        assert_eq!(selected_identity(&[&[2, 0, 0, 0, 3, 3][..], &[9; 32], &[0, 0, 1, 0]].concat()), None);
    }

    #[test]
    fn what_is_cut_off_says_nothing_or_less() {
        let whole = client_hello(&[b"one", b"two"]);
        for length in 0..whole.len() {
            assert!(offered_identities(&whole[..length]).is_empty(), "{length}");
        }
        let whole = server_hello(Some(&[0, 0]));
        for length in 0..whole.len() {
            assert_eq!(selected_identity(&whole[..length]), None, "{length}");
        }
    }
}
