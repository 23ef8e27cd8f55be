//! What a token is called in a revocation list (RFC 9770 §4).

use std::{fmt, iter};

use aws_lc_rs::digest::{SHA256, digest};

use crate::base64url;
use crate::jose::{Algorithm, signature};
use crate::limits;

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
/// another text of it that is as good, and has other hashes. So the hashes of that twin are looked for as well. And of a CWT those
/// of every way to write it: its tag and its unprotected headers are nobody's signature's (RFC 9770 §13.9).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenHashes(Box<[TokenHash]>);

impl TokenHashes {
    /// The hashes of a signed JWT that has been found good, given the algorithm of its signature.
    #[must_use]
    pub fn of_jwt(token: &str, algorithm: Algorithm) -> Self {
        let twin = if algorithm == Algorithm::Es256 { twin(token) } else { None };
        let texts = iter::once(token).chain(twin.as_deref());
        Self(texts.flat_map(|text| in_json_and_cbor(text.as_bytes())).collect())
    }

    /// The hashes of a CWT that has been found good, given all ways to write it. What is hashed is the same whether the client was
    /// given it in JSON or in CBOR (RFC 9770 §4.3.1).
    pub(crate) fn of_cwt(written: &[Vec<u8>]) -> Self {
        Self(written.iter().map(|bytes| TokenHash::of(&base64url::encode(bytes))).collect())
    }

    /// The hashes of an opaque token, which is what it is.
    #[must_use]
    pub fn of_text(token: &(impl AsRef<[u8]> + ?Sized)) -> Self {
        Self(in_json_and_cbor(token.as_ref()).into())
    }

    /// The hashes, as [`Self::all`] gives them; `None` if there are none, or more than any token has.
    #[must_use]
    pub fn from_all(hashes: &[TokenHash]) -> Option<Self> {
        (1..=limits::TOKEN_HASHES).contains(&hashes.len()).then(|| Self(hashes.into()))
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = TokenHash> {
        self.0.iter().copied()
    }
}

fn in_json_and_cbor(token: &[u8]) -> [TokenHash; 2] {
    [TokenHash::of(token), TokenHash::of(&base64url::encode(token))]
}

/// The same token with the other signature that verifies: r ‖ n − s. `None` if the signature is not of that form.
fn twin(token: &str) -> Option<String> {
    let (signed, signature) = token.rsplit_once('.')?;
    let signature = signature::ecdsa_twin(&base64url::decode(signature.as_bytes()).ok()?)?;
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
        assert_eq!(TokenHashes::from_all(&[]), None);
        assert_eq!(TokenHashes::from_all(&vec![all[0]; limits::TOKEN_HASHES + 1]), None);
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
