//! CWTs (RFC 8392) as an authorization server makes them, good and bad: CBOR and COSE written byte for byte.

use aes::Aes128;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ccm::aead::{AeadInOut as _, KeyInit as _};
use ccm::consts::{U8, U13};
use serde_json::Value;

use super::authority::{Claims, encode};
use super::key::{Key, hmac_sha256, random};
use super::secrets;

/// The tags of the structures.
pub const ENCRYPT0: u64 = 16;
pub const MAC0: u64 = 17;
pub const SIGN1: u64 = 18;

/// An item of CBOR.
#[derive(Clone, Debug)]
pub enum Cbor {
    /// A whole number.
    Int(i64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Text.
    Text(String),
    /// An array.
    Array(Vec<Cbor>),
    /// A map with numbers for labels.
    Map(Vec<(i64, Cbor)>),
    /// An item with a tag.
    Tag(u64, Box<Cbor>),
}

impl Cbor {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// The bytes.
    pub fn write(&self) -> Vec<u8> {
        match self {
            Self::Int(number) => match u64::try_from(*number) {
                Ok(number) => head(0, number),
                Err(_) => head(1, !number.cast_unsigned()),
            },
            Self::Bytes(bytes) => [head(2, bytes.len() as u64), bytes.clone()].concat(),
            Self::Text(text) => [head(3, text.len() as u64), text.as_bytes().to_vec()].concat(),
            Self::Array(items) => {
                [head(4, items.len() as u64), items.iter().flat_map(Self::write).collect::<Vec<_>>()].concat()
            }
            Self::Map(entries) => {
                let written =
                    entries.iter().flat_map(|(label, value)| [Self::Int(*label).write(), value.write()].concat());
                [head(5, entries.len() as u64), written.collect::<Vec<_>>()].concat()
            }
            Self::Tag(tag, inner) => [head(6, *tag), inner.write()].concat(),
        }
    }
}

fn head(major: u8, number: u64) -> Vec<u8> {
    let major = major << 5;
    let bytes = number.to_be_bytes();
    match number {
        0..=23 => vec![major | bytes[7]],
        24..=0xff => vec![major | 24, bytes[7]],
        0x100..=0xffff => [&[major | 25], &bytes[6..]].concat(),
        0x1_0000..=0xffff_ffff => [&[major | 26], &bytes[4..]].concat(),
        _ => [&[major | 27], &bytes[..]].concat(),
    }
}

/// How the content of a `COSE_Encrypt0` is encrypted.
#[derive(Clone, Copy, Debug)]
pub enum Encryption {
    /// 1
    A128Gcm,
    /// 3
    A256Gcm,
    /// 10
    AesCcm16Tag64Key128,
}

impl Encryption {
    const fn number(self) -> i64 {
        match self {
            Self::A128Gcm => 1,
            Self::A256Gcm => 3,
            Self::AesCcm16Tag64Key128 => 10,
        }
    }
}

/// The parts of a message, to be spoiled one by one.
#[derive(Clone)]
pub struct Message {
    /// The protected headers.
    pub protected: Vec<(i64, Cbor)>,
    /// The others.
    pub unprotected: Vec<(i64, Cbor)>,
    /// What is signed or encrypted.
    pub content: Vec<u8>,
}

impl Message {
    /// One with this algorithm and the key's `kid`, both protected.
    pub fn new(algorithm: i64, key: &Key, content: Vec<u8>) -> Self {
        let kid = key.kid.iter().map(|kid| (4, Cbor::Bytes(kid.as_bytes().to_vec())));
        Self {
            protected: [(1, Cbor::Int(algorithm))].into_iter().chain(kid).collect(),
            unprotected: Vec::new(),
            content,
        }
    }

    fn protected_bytes(&self) -> Vec<u8> {
        Cbor::Map(self.protected.clone()).write()
    }

    /// `COSE_Sign1`, signed by the key whatever the headers say.
    pub fn sign1(&self, key: &Key) -> Vec<u8> {
        let to_be_signed = Cbor::Array(vec![
            Cbor::text("Signature1"),
            Cbor::Bytes(self.protected_bytes()),
            Cbor::Bytes(Vec::new()),
            Cbor::Bytes(self.content.clone()),
        ]);
        self.with_signature(SIGN1, key.sign(&to_be_signed.write()))
    }

    /// `COSE_Mac0` with so many bytes of the MAC.
    pub fn mac0(&self, key: &Key, bytes: usize) -> Vec<u8> {
        let to_be_maced = Cbor::Array(vec![
            Cbor::text("MAC0"),
            Cbor::Bytes(self.protected_bytes()),
            Cbor::Bytes(Vec::new()),
            Cbor::Bytes(self.content.clone()),
        ]);
        self.with_signature(MAC0, hmac_sha256(key.secret(), &to_be_maced.write())[..bytes].to_vec())
    }

    /// The structure with this signature or MAC.
    pub fn with_signature(&self, tag: u64, signature: Vec<u8>) -> Vec<u8> {
        secrets::register(&signature);
        let structure = Cbor::Array(vec![
            Cbor::Bytes(self.protected_bytes()),
            Cbor::Map(self.unprotected.clone()),
            Cbor::Bytes(self.content.clone()),
            Cbor::Bytes(signature),
        ]);
        Cbor::Tag(tag, Box::new(structure)).write()
    }
}

/// Claims in CBOR: those of a JWT, with this `cnf`.
pub fn claims(claims: &Claims, cnf: Cbor) -> Vec<(i64, Cbor)> {
    let mut entries = Vec::new();
    for (label, name) in [(1, "iss"), (2, "sub"), (3, "aud"), (4, "exp"), (5, "nbf"), (6, "iat"), (40, "exi")] {
        match claims.0.get(name) {
            Some(Value::String(text)) => entries.push((label, Cbor::text(text))),
            Some(Value::Number(number)) => entries.push((label, Cbor::Int(number.as_i64().expect("a whole number")))),
            _ => {}
        }
    }
    entries.push((8, cnf));
    if let Some(scope) = claims.0.get("scope").and_then(Value::as_str) {
        let aif: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(scope).expect("base64url")).expect("AIF");
        entries.push((9, Cbor::Bytes(from_json(&aif).write())));
    }
    entries
}

fn from_json(value: &Value) -> Cbor {
    match value {
        Value::String(text) => Cbor::text(text),
        Value::Array(items) => Cbor::Array(items.iter().map(from_json).collect()),
        other => panic!("no scope has {other}"),
    }
}

/// The `COSE_Key` of a key: public, but for a symmetric one.
pub fn cose_key(key: &Key) -> Cbor {
    let jwk = key.jwk();
    let bytes =
        |name: &str| Cbor::Bytes(URL_SAFE_NO_PAD.decode(jwk[name].as_str().expect("a text")).expect("base64url"));
    let mut entries = match jwk["kty"].as_str() {
        Some("OKP") => vec![(1, Cbor::Int(1)), (-1, Cbor::Int(6)), (-2, bytes("x"))],
        Some("EC") => vec![(1, Cbor::Int(2)), (-1, Cbor::Int(1)), (-2, bytes("x")), (-3, bytes("y"))],
        Some("oct") => vec![(1, Cbor::Int(4)), (-1, bytes("k"))],
        other => panic!("no COSE_Key for {other:?}"),
    };
    if let Some(kid) = &key.kid {
        entries.push((2, Cbor::Bytes(kid.as_bytes().to_vec())));
    }
    Cbor::Map(entries)
}

/// `cnf` with the key itself.
pub fn cnf(key: &Key) -> Cbor {
    Cbor::Map(vec![(1, cose_key(key))])
}

/// `cnf` with the key encrypted for the broker.
pub fn encrypted_cnf(key: &Key, shared: &Key) -> Cbor {
    let Cbor::Tag(_, structure) = encrypt0(Encryption::AesCcm16Tag64Key128, shared, &cose_key(key).write()) else {
        panic!("no tag")
    };
    Cbor::Map(vec![(2, *structure)])
}

/// A `COSE_Encrypt0`, its IV unprotected as many implementations put it.
pub fn encrypt0(encryption: Encryption, key: &Key, content: &[u8]) -> Cbor {
    let protected = Cbor::Map(vec![(1, Cbor::Int(encryption.number()))]).write();
    let aad =
        Cbor::Array(vec![Cbor::text("Encrypt0"), Cbor::Bytes(protected.clone()), Cbor::Bytes(Vec::new())]).write();
    let mut sealed = content.to_vec();
    let iv = random(if matches!(encryption, Encryption::AesCcm16Tag64Key128) { 13 } else { 12 });
    match encryption {
        Encryption::AesCcm16Tag64Key128 => {
            let cipher = ccm::Ccm::<Aes128, U8, U13>::new_from_slice(key.secret()).expect("16 bytes");
            let nonce = <[u8; 13]>::try_from(iv.as_slice()).expect("13 bytes");
            let tag =
                cipher.encrypt_inout_detached(&nonce.into(), &aad, sealed.as_mut_slice().into()).expect("encrypted");
            sealed.extend_from_slice(&tag);
        }
        Encryption::A128Gcm | Encryption::A256Gcm => {
            let algorithm = if matches!(encryption, Encryption::A128Gcm) { &AES_128_GCM } else { &AES_256_GCM };
            let cipher = LessSafeKey::new(UnboundKey::new(algorithm, key.secret()).expect("a key that fits"));
            let nonce = Nonce::try_assume_unique_for_key(&iv).expect("12 bytes");
            cipher.seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed).expect("encrypted");
        }
    }
    let kid = key.kid.iter().map(|kid| (4, Cbor::Bytes(kid.as_bytes().to_vec())));
    let unprotected = kid.chain([(5, Cbor::Bytes(iv))]).collect();
    secrets::register(&sealed);
    let structure = Cbor::Array(vec![Cbor::Bytes(protected), Cbor::Map(unprotected), Cbor::Bytes(sealed)]);
    Cbor::Tag(ENCRYPT0, Box::new(structure))
}

/// The token as text, as a client is given it in JSON.
pub fn text(token: &[u8]) -> String {
    secrets::register(token);
    let text = encode(token);
    // The first bytes say what kind of token it is, and the issuer.
    secrets::register(text.as_bytes());
    text
}
