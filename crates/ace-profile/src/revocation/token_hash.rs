//! What a token is called in a revocation list (RFC 9770 §4).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

use crate::base64url;
use crate::jose::Algorithm;

/// The suite identifier of SHA-256 in front of a hash (RFC 6920 §9.4).
const SHA_256: u8 = 1;

/// The hash of a token, as a revocation list has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash over the bytes of a text (RFC 9770 §4.4, RFC 6920 §6).
    #[must_use]
    pub fn of(text: &(impl AsRef<[u8]> + ?Sized)) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, text.as_ref()).as_ref());
        Self(hash)
    }

    /// A hash as it is sent; `None` for another algorithm, or a length that does not fit.
    #[must_use]
    pub fn from_sent(sent: &[u8]) -> Option<Self> {
        match sent.split_first() {
            Some((&SHA_256, hash)) => hash.try_into().ok().map(Self),
            _ => None,
        }
    }

    /// The hash as it is sent: the algorithm's number, and the 32 bytes.
    #[must_use]
    pub fn to_sent(self) -> [u8; 33] {
        let mut sent = [SHA_256; 33];
        if let Some(hash) = sent.last_chunk_mut::<32>() {
            *hash = self.0;
        }
        sent
    }
}

/// The first bytes: enough to tell hashes apart in a message of a test.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The hashes by which a token can be found in a list: two for a JWT, since it cannot be told from the token whether the client
/// was given it in JSON or in CBOR (RFC 9770 §4.3.2).
///
/// An ECDSA signature (r, s) verifies as (r, n − s), too, n being the order of the curve: whoever has such a token can make
/// another text of it that is as good, and has other hashes. So the hashes of that twin are looked for as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHashes {
    as_shown: [TokenHash; 2],
    of_twin: Option<[TokenHash; 2]>,
}

impl TokenHashes {
    /// The hashes of a signed JWT that has been found good, given the algorithm of its signature.
    #[must_use]
    pub fn of_jwt(token: &str, algorithm: Algorithm) -> Self {
        let twin = if algorithm == Algorithm::Es256 { twin(token) } else { None };
        Self {
            as_shown: in_json_and_cbor(token.as_bytes()),
            of_twin: twin.map(|twin| in_json_and_cbor(twin.as_bytes())),
        }
    }

    /// The hashes of an opaque token, which is what it is.
    #[must_use]
    pub fn of_text(token: &(impl AsRef<[u8]> + ?Sized)) -> Self {
        Self { as_shown: in_json_and_cbor(token.as_ref()), of_twin: None }
    }

    /// The hashes, as [`Self::all`] gives them; `None` if there are not two or four.
    #[must_use]
    pub fn from_all(hashes: &[TokenHash]) -> Option<Self> {
        match *hashes {
            [one, two] => Some(Self { as_shown: [one, two], of_twin: None }),
            [one, two, three, four] => Some(Self { as_shown: [one, two], of_twin: Some([three, four]) }),
            _ => None,
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = TokenHash> {
        self.as_shown.into_iter().chain(self.of_twin.into_iter().flatten())
    }
}

fn in_json_and_cbor(token: &[u8]) -> [TokenHash; 2] {
    [TokenHash::of(token), TokenHash::of(&base64url::encode(token))]
}

/// The order of P-256 (FIPS 186-5, SP 800-186 §3.2.1.3), big-endian.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The same token with the other signature that verifies: r ‖ n − s. `None` if the signature is not of that form.
fn twin(token: &str) -> Option<String> {
    let (signed, signature) = token.rsplit_once('.')?;
    let mut signature = base64url::decode(signature.as_bytes()).ok().filter(|signature| signature.len() == 64)?;
    let mut borrow = false;
    for (digit, order) in signature.iter_mut().skip(32).zip(P256_ORDER).rev() {
        let (difference, first) = order.overflowing_sub(*digit);
        let (difference, second) = difference.overflowing_sub(u8::from(borrow));
        (*digit, borrow) = (difference, first || second);
    }
    Some(format!("{signed}.{}", base64url::encode(&signature)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Jwk, jws, jws::Jws};
    use crate::random::SystemRandom;

    #[test]
    fn it_is_the_sha_256_of_the_text_behind_its_number() {
        // SHA-256 of "abc", FIPS 180-4's first example.
        let sent = TokenHash::of("abc").to_sent();
        assert_eq!(sent[..5], [0x01, 0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(TokenHash::from_sent(&sent), Some(TokenHash::of("abc")));
        let hashes = TokenHashes::of_text("abc");
        let all: Vec<_> = hashes.all().collect();
        assert_eq!(all, [TokenHash::of("abc"), TokenHash::of("YWJj")]);
        assert_eq!(TokenHashes::from_all(&all), Some(hashes));
        assert_eq!(TokenHashes::from_all(&all[..1]), None);
    }

    /// What a client can make of an ES256 token that was revoked is as good as that, and is found by it.
    #[test]
    fn a_token_and_its_twin_have_the_same_hashes() {
        let key = Jwk::generate_p256(&mut SystemRandom).unwrap().with_kid("as");
        let token = jws::sign(br#"{"iss":"as"}"#, &key, Algorithm::Es256, Some("JWT")).unwrap();
        let twin = twin(&token).unwrap();
        assert_ne!(token, twin);
        for text in [&token, &twin] {
            Jws::parse(text).unwrap().verify(&key.to_public().unwrap()).unwrap();
        }
        let sorted = |token: &str| {
            let mut hashes: Vec<_> = TokenHashes::of_jwt(token, Algorithm::Es256).all().collect();
            hashes.sort();
            hashes
        };
        assert_eq!(sorted(&token).len(), 4);
        assert_eq!(sorted(&token), sorted(&twin));
        let hashes = TokenHashes::of_jwt(&token, Algorithm::Es256);
        assert_eq!(TokenHashes::from_all(&hashes.all().collect::<Vec<_>>()), Some(hashes));
        assert_eq!(TokenHashes::of_jwt(&token, Algorithm::EdDsa).all().count(), 2, "others cannot be altered");
    }

    #[test]
    fn other_algorithms_and_lengths_are_no_hashes() {
        let sent = TokenHash::of("abc").to_sent();
        let other = [&[2], &sent[1..]].concat();
        for bad in [&[][..], &sent[..32], &[&sent[..], &[0]].concat(), &other] {
            assert_eq!(TokenHash::from_sent(bad), None, "{bad:?}");
        }
    }
}
