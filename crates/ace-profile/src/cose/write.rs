//! CWTs as an authorization server makes them (RFC 8392 §7.1): tagged, and with every header protected (RFC 9770 §3).

use aws_lc_rs::hmac;
use coset::{AsCborValue as _, CoseEncrypt0Builder, CoseMac0Builder, CoseSign1Builder, Header, HeaderBuilder};

use super::algorithm::Kind;
use super::form::{self, ENCRYPT0, MAC0, SIGN1};
use super::{Algorithm, encryption};
use crate::jose::{Jwk, KeyError, signature};
use crate::random::Random;

/// What a message says beside its algorithm.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    /// `kid`, protected.
    pub kid: Option<Vec<u8>>,
}

impl Headers {
    /// The `kid` of this key, if it has one.
    #[must_use]
    pub fn of(key: &Jwk) -> Self {
        Self { kid: key.kid().map(|kid| kid.as_bytes().to_vec()) }
    }

    fn builder(&self, algorithm: Algorithm) -> HeaderBuilder {
        let builder = HeaderBuilder::new().algorithm(algorithm.to_iana());
        match &self.kid {
            Some(kid) => builder.key_id(kid.clone()),
            None => builder,
        }
    }

    fn protected(&self, algorithm: Algorithm) -> Header {
        self.builder(algorithm).build()
    }
}

/// Signs claims in CBOR, or makes a MAC over them: a `COSE_Sign1` or `COSE_Mac0` with its tag.
///
/// # Errors
/// [`KeyError::Unfit`] if the key is not one of the algorithm's; [`KeyError::OperationFailed`].
pub fn sign(claims: &[u8], key: &Jwk, algorithm: Algorithm, headers: &Headers) -> Result<Vec<u8>, KeyError> {
    let protected = headers.protected(algorithm);
    let written = match algorithm.kind() {
        Kind::Signature => {
            let in_jose = algorithm.in_jose().filter(|jose| key.can_sign(*jose));
            let in_jose = in_jose.ok_or(KeyError::Unfit(algorithm.name()))?;
            let message = CoseSign1Builder::new()
                .protected(protected)
                .payload(claims.to_vec())
                .try_create_signature(b"", |signed| signature::sign(key.material(), in_jose, signed))?;
            (SIGN1, message.build().to_cbor_value())
        }
        Kind::Mac => {
            let bytes = key.symmetric_bytes().filter(|_| algorithm.fits(key));
            let bytes = bytes.ok_or(KeyError::Unfit(algorithm.name()))?;
            let message =
                CoseMac0Builder::new().protected(protected).payload(claims.to_vec()).create_tag(b"", |maced| {
                    let whole = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), maced);
                    let length = if algorithm == Algorithm::Hmac256Cut64 { 8 } else { 32 };
                    whole.as_ref().iter().copied().take(length).collect()
                });
            (MAC0, message.build().to_cbor_value())
        }
        Kind::Encryption => return Err(KeyError::Unfit(algorithm.name())),
    };
    tagged(written)
}

/// Encrypts claims in CBOR, or a token that is signed already: a `COSE_Encrypt0` with its tag. The IV is drawn anew.
///
/// # Errors
/// [`KeyError::Unfit`] if the key is not one of the algorithm's; [`KeyError::RandomUnavailable`]; [`KeyError::OperationFailed`].
pub fn encrypt(
    content: &[u8],
    key: &Jwk,
    algorithm: Algorithm,
    headers: &Headers,
    random: &mut dyn Random,
) -> Result<Vec<u8>, KeyError> {
    let unfit = KeyError::Unfit(algorithm.name());
    let mut iv = vec![0; encryption::nonce_bytes(algorithm).ok_or(unfit.clone())?];
    random.fill(&mut iv)?;
    let operation_fits = key.symmetric_bytes().is_some_and(|bytes| {
        bytes.len() == if algorithm == Algorithm::A256Gcm { 32 } else { 16 } && key.usage() != Some("sig")
    });
    let bytes = key.symmetric_bytes().filter(|_| operation_fits).ok_or(unfit)?;
    let protected = headers.builder(algorithm).iv(iv.clone()).build();
    let message =
        CoseEncrypt0Builder::new().protected(protected).try_create_ciphertext(content, b"", |content, aad| {
            encryption::seal(algorithm, bytes, &iv, aad, content).ok_or(KeyError::OperationFailed)
        })?;
    tagged((ENCRYPT0, message.build().to_cbor_value()))
}

/// A message with the tag of CWTs around it, which RFC 9770 §3 asks for.
#[must_use]
pub fn with_cwt_tag(message: &[u8]) -> Vec<u8> {
    [&[0xd8, 61], message].concat()
}

fn tagged((tag, value): (u64, coset::Result<coset::cbor::value::Value>)) -> Result<Vec<u8>, KeyError> {
    value.ok().and_then(|value| form::tagged(tag, value)).ok_or(KeyError::OperationFailed)
}
