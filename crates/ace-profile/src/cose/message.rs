//! `COSE_Sign1`, `COSE_Mac0` and `COSE_Encrypt0` (RFC 9052 §4.2, §5.2, §6.2), read strictly.
//!
//! As for signed texts, reading is in two steps: [`Message::parse`] looks at form and headers, [`Message::verify`] and
//! [`Message::decrypt`] use a key, and only then can the content be believed.
//!
//! Whatever tells how to read a message has to be protected. The unprotected bucket may hold the `kid`, and in a `COSE_Encrypt0` the
//! IV, which real implementations put there, in this order and once: neither can be altered without the message becoming unreadable
//! or its key another.

use aws_lc_rs::{constant_time, hmac};
use coset::cbor::value::Value as CosetValue;
use coset::{AsCborValue as _, CoseEncrypt0, CoseMac0, CoseSign1, Header, ProtectedHeader};
use zeroize::Zeroizing;

use super::algorithm::{self, Kind};
use super::form::{CWT, ENCRYPT0, MAC0, SIGN1};
use super::{Algorithm, encryption};
use crate::cbor::{self, Label, Map, Value};
use crate::jose::Jwk;
use crate::jose::signature::{self, SignatureFault};
use crate::limits;
use crate::{Quoted, Refusal};

/// Labels of headers (RFC 9052 §3.1).
const ALG: i64 = 1;
const CRIT: i64 = 2;
const KID: i64 = 4;
const IV: i64 = 5;

/// A message of the right form, of which nothing has been verified.
pub(crate) struct Message {
    structure: Structure,
    algorithm: Algorithm,
    algorithm_name: Quoted,
    kid: Option<Vec<u8>>,
    /// Whether the `kid` is protected, so that nobody can take it away.
    kid_is_protected: bool,
}

enum Structure {
    Sign1(CoseSign1),
    Mac0(CoseMac0),
    Encrypt0 { message: CoseEncrypt0, iv: Vec<u8> },
}

impl Message {
    /// Reads a CWT: one of the three structures with its tag (RFC 8392 §6), with or without the tag of CWTs around it.
    ///
    /// # Errors
    /// The [`Refusal`] that says what about the form or the headers was not acceptable.
    pub(crate) fn parse(token: &[u8]) -> Result<Self, Refusal> {
        if token.len() > limits::TOKEN_BYTES {
            return Err(Refusal::TokenTooLarge { bytes: token.len() });
        }
        let value = cbor::parse(token).map_err(|fault| Refusal::CwtNotCbor { fault })?;
        let tagged = match &value {
            Value::Tag(CWT, inner) => inner,
            other => other,
        };
        match tagged {
            Value::Tag(tag @ (SIGN1 | MAC0 | ENCRYPT0), structure) => Self::read(*tag, structure),
            _ => Err(Refusal::CoseMalformed),
        }
    }

    /// Reads a `COSE_Encrypt0` that stands in something else, where the place tells what it is: with its tag or without.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn from_encrypt0(value: &Value<'_>) -> Result<Self, Refusal> {
        match value {
            Value::Tag(ENCRYPT0, structure) => Self::read(ENCRYPT0, structure),
            other => Self::read(ENCRYPT0, other),
        }
    }

    fn read(tag: u64, structure: &Value<'_>) -> Result<Self, Refusal> {
        let items = structure.as_array().ok_or(Refusal::CoseMalformed)?;
        let (protected, unprotected, content, signature) = match (tag, items) {
            (ENCRYPT0, [protected, unprotected, content]) => (protected, unprotected, content, None),
            (SIGN1 | MAC0, [protected, unprotected, content, signature]) => {
                (protected, unprotected, content, Some(signature.as_bytes().ok_or(Refusal::CoseMalformed)?.to_vec()))
            }
            _ => return Err(Refusal::CoseMalformed),
        };
        let protected = protected.as_bytes().ok_or(Refusal::CoseMalformed)?;
        let unprotected = unprotected.as_map().ok_or(Refusal::CoseMalformed)?;
        let content = match content {
            Value::Bytes(content) => content.to_vec(),
            Value::Null => return Err(Refusal::CosePayloadDetached),
            _ => return Err(Refusal::CoseMalformed),
        };
        let labels = check_buckets(tag, protected, unprotected)?;
        let (named, algorithm_name) = match labels.get(ALG) {
            Some(Value::Int(number)) => (Algorithm::from_number(*number), algorithm::shown(*number)),
            Some(Value::Text(name)) => (None, Quoted::new(name)),
            Some(_) | None => return Err(Refusal::HeaderMemberMalformed { member: "alg" }),
        };
        let Some(algorithm) = named else {
            return Err(Refusal::AlgorithmUnsupported { algorithm: algorithm_name });
        };
        let protected = ProtectedHeader::from_cbor_bstr(CosetValue::Bytes(protected.to_vec()))
            .map_err(|_| Refusal::CoseMalformed)?;
        let unprotected = unprotected_header(unprotected)?;

        let header = &protected.header;
        let expected = match tag {
            SIGN1 => Kind::Signature,
            MAC0 => Kind::Mac,
            _ => Kind::Encryption,
        };
        if algorithm.kind() != expected {
            return Err(Refusal::CoseAlgorithmMisplaced { algorithm: algorithm_name });
        }
        let kid_is_protected = !header.key_id.is_empty();
        let kid = if kid_is_protected { &header.key_id } else { &unprotected.key_id };
        if kid.len() > limits::KID_BYTES {
            return Err(Refusal::HeaderMemberMalformed { member: "kid" });
        }
        let kid = (!kid.is_empty()).then(|| kid.clone());
        let iv = if header.iv.is_empty() { unprotected.iv.clone() } else { header.iv.clone() };
        let iv_fits = encryption::nonce_bytes(algorithm).is_none_or(|bytes| iv.len() == bytes);
        if !iv_fits || !header.partial_iv.is_empty() {
            return Err(Refusal::HeaderMemberMalformed { member: "IV" });
        }
        let structure = match (tag, signature) {
            (SIGN1, Some(signature)) => {
                Structure::Sign1(CoseSign1 { protected, unprotected, payload: Some(content), signature })
            }
            (_, Some(tag)) => Structure::Mac0(CoseMac0 { protected, unprotected, payload: Some(content), tag }),
            (_, None) => {
                let message = CoseEncrypt0 { protected, unprotected, ciphertext: Some(content) };
                Structure::Encrypt0 { message, iv }
            }
        };
        Ok(Self { structure, algorithm, algorithm_name, kid, kid_is_protected })
    }

    /// The algorithm.
    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The algorithm as a message shows it.
    pub(crate) const fn algorithm_name(&self) -> &Quoted {
        &self.algorithm_name
    }

    /// The `kid`, if there is one.
    pub(crate) fn kid(&self) -> Option<&[u8]> {
        self.kid.as_deref()
    }

    /// The payload of a signed message before it has been verified: good for finding out whose key to verify it with. `None` for
    /// an encrypted one.
    pub(crate) fn unverified_payload(&self) -> Option<&[u8]> {
        match &self.structure {
            Structure::Sign1(message) => message.payload.as_deref(),
            Structure::Mac0(message) => message.payload.as_deref(),
            Structure::Encrypt0 { .. } => None,
        }
    }

    /// Verifies signature or MAC with this key. MACs are compared in constant time.
    ///
    /// # Errors
    /// [`Refusal::AlgorithmKeyMismatch`], [`Refusal::SignatureLength`] or [`Refusal::SignatureWrong`].
    pub(crate) fn verify(&self, key: &Jwk) -> Result<(), Refusal> {
        let mismatch = || Refusal::AlgorithmKeyMismatch { algorithm: self.algorithm_name.clone() };
        if !self.algorithm.fits(key) {
            return Err(mismatch());
        }
        match &self.structure {
            Structure::Sign1(message) => message.verify_signature(b"", |signature, signed| {
                let algorithm = self.algorithm.in_jose().ok_or_else(mismatch)?;
                signature::verify(key.material(), algorithm, signed, signature).map_err(|fault| match fault {
                    SignatureFault::Length => Refusal::SignatureLength { bytes: signature.len() },
                    SignatureFault::Wrong => Refusal::SignatureWrong,
                    SignatureFault::KeyType => mismatch(),
                })
            }),
            Structure::Mac0(message) => message.verify_payload_tag(
                b"",
                || Refusal::CosePayloadDetached,
                |tag, maced| {
                    let bytes = key.symmetric_bytes().ok_or_else(mismatch)?;
                    verify_mac(self.algorithm, bytes, maced, tag)
                },
            ),
            Structure::Encrypt0 { .. } => Err(mismatch()),
        }
    }

    /// Decrypts with this key. `None` if it does not fit, or the message was altered.
    pub(crate) fn decrypt(&self, key: &Jwk) -> Option<Zeroizing<Vec<u8>>> {
        let Structure::Encrypt0 { message, iv } = &self.structure else { return None };
        let bytes = key.symmetric_bytes().filter(|_| self.algorithm.fits(key))?;
        // The closure's result is a plain vector: what is in it has to get out by another way, to be wiped.
        let mut opened = None;
        let decrypted = message.decrypt_ciphertext(
            b"",
            || (),
            |ciphertext, aad| {
                opened = encryption::open(self.algorithm, bytes, iv, aad, ciphertext);
                Ok(Vec::new())
            },
        );
        decrypted.ok()?;
        opened
    }

    /// All the ways to write this message that say the same and can be verified as well, given the names by which its key is called
    /// (RFC 9770 §13.9): with and without the tag of CWTs; where the `kid` is not protected, with each of them and with none; and an
    /// ECDSA signature and its twin.
    pub(crate) fn equivalents(&self, kids: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut written = Vec::new();
        let mut unprotected_kids = vec![None];
        if !self.kid_is_protected {
            unprotected_kids.extend(kids.iter().map(Some));
        }
        for kid in unprotected_kids {
            match &self.structure {
                Structure::Sign1(message) => {
                    let mut one = message.clone();
                    one.unprotected.key_id = kid.cloned().unwrap_or_default();
                    if self.algorithm == Algorithm::Es256
                        && let Some(twin) = signature::ecdsa_twin(&one.signature)
                    {
                        written.push((SIGN1, CoseSign1 { signature: twin, ..one.clone() }.to_cbor_value()));
                    }
                    written.push((SIGN1, one.to_cbor_value()));
                }
                Structure::Mac0(message) => {
                    let mut one = message.clone();
                    one.unprotected.key_id = kid.cloned().unwrap_or_default();
                    written.push((MAC0, one.to_cbor_value()));
                }
                Structure::Encrypt0 { message, .. } => {
                    let mut one = message.clone();
                    one.unprotected.key_id = kid.cloned().unwrap_or_default();
                    written.push((ENCRYPT0, one.to_cbor_value()));
                }
            }
        }
        let tagged = written.into_iter().filter_map(|(tag, value)| super::form::tagged(tag, value.ok()?));
        tagged.flat_map(|inner| [[&[0xd8, 61], inner.as_slice()].concat(), inner]).collect()
    }
}

/// Checks which label stands where, and gives the protected ones.
fn check_buckets<'b>(tag: u64, protected: &'b [u8], unprotected: &Map<'_>) -> Result<Map<'b>, Refusal> {
    let protected = match protected {
        // An empty bucket is written as no bytes (RFC 9052 §3).
        [] => Map::default(),
        bytes => cbor::parse_map(bytes).map_err(|fault| Refusal::CwtNotCbor { fault })?,
    };
    // What must be understood, is not, whatever it is (RFC 9052 §3.1).
    match protected.get(CRIT) {
        None => {}
        Some(Value::Array(critical)) if !critical.is_empty() => return Err(Refusal::HeaderCritical),
        Some(_) => return Err(Refusal::CoseMalformed),
    }
    let labels: Vec<Label<'_>> = unprotected.labels().collect();
    if let Some(twice) = labels.iter().find(|label| protected.labels().any(|other| other == **label)) {
        return Err(Refusal::CoseHeaderTwice { label: shown(*twice) });
    }
    let may_be_there = |label: &Label<'_>| match label {
        Label::Int(KID) => true,
        Label::Int(IV) => tag == ENCRYPT0,
        _ => false,
    };
    if let Some(other) = labels.iter().find(|label| !may_be_there(label)) {
        return Err(Refusal::CoseHeaderUnprotected { label: shown(*other) });
    }
    // One way to write it, so that a revocation list has one name for it.
    if matches!(labels.as_slice(), [Label::Int(IV), Label::Int(KID)]) {
        return Err(Refusal::CoseMalformed);
    }
    Ok(protected)
}

/// The unprotected bucket, of which is known what is in it.
fn unprotected_header(unprotected: &Map<'_>) -> Result<Header, Refusal> {
    let bytes = |label: i64| match unprotected.get(label) {
        None => Ok(Vec::new()),
        Some(Value::Bytes(bytes)) if !bytes.is_empty() => Ok(bytes.to_vec()),
        Some(_) => Err(Refusal::CoseMalformed),
    };
    Ok(Header { key_id: bytes(KID)?, iv: bytes(IV)?, ..Header::default() })
}

/// How a label is called in a message.
fn shown(label: Label<'_>) -> Quoted {
    match label {
        Label::Int(ALG) => "alg".into(),
        Label::Int(CRIT) => "crit".into(),
        Label::Int(KID) => "kid".into(),
        Label::Int(IV) => "IV".into(),
        Label::Int(number) => Quoted::new(&number.to_string()),
        Label::Text(text) => Quoted::new(text),
    }
}

fn verify_mac(algorithm: Algorithm, key: &[u8], message: &[u8], tag: &[u8]) -> Result<(), Refusal> {
    let bytes = if algorithm == Algorithm::Hmac256Cut64 { 8 } else { 32 };
    if tag.len() != bytes {
        return Err(Refusal::SignatureLength { bytes: tag.len() });
    }
    let whole = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let expected = whole.as_ref().get(..bytes).ok_or(Refusal::SignatureWrong)?;
    constant_time::verify_slices_are_equal(expected, tag).map_err(|_| Refusal::SignatureWrong)
}
