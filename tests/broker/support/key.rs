//! Keys made at random, for authorization servers and for clients, and what is signed with them.

use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};

use super::authority::encode;
use super::secrets;

/// A key pair or a symmetric key, with the name that a JWKS gives it.
#[derive(Clone)]
pub struct Key {
    /// `kid`; none where the test wants none.
    pub kid: Option<String>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Ed25519(Arc<Ed25519KeyPair>),
    P256(Arc<EcdsaKeyPair>),
    Rsa(Arc<RsaKeyPair>),
    Oct(Vec<u8>),
}

/// Random bytes.
pub fn random(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    SystemRandom::new().fill(&mut bytes).expect("random bytes");
    bytes
}

impl Key {
    fn new(material: Material) -> Self {
        Self { kid: None, material }
    }

    /// Ed25519.
    pub fn ed25519() -> Self {
        let pair = Ed25519KeyPair::generate().expect("an Ed25519 key");
        Self::new(Material::Ed25519(Arc::new(pair)))
    }

    /// EC P-256.
    pub fn p256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key");
        Self::new(Material::P256(Arc::new(pair)))
    }

    /// RSA, 2048 bits: one for the whole run, since they are slow to make.
    pub fn rsa() -> Self {
        static PAIR: OnceLock<Arc<RsaKeyPair>> = OnceLock::new();
        let pair = PAIR.get_or_init(|| Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key")));
        Self::new(Material::Rsa(Arc::clone(pair)))
    }

    /// Symmetric, of `bytes` bytes.
    pub fn oct(bytes: usize) -> Self {
        Self::symmetric(random(bytes))
    }

    /// This symmetric key.
    pub fn symmetric(secret: Vec<u8>) -> Self {
        secrets::register(&secret);
        Self::new(Material::Oct(secret))
    }

    /// The same key under another name.
    pub fn named(mut self, kid: &str) -> Self {
        self.kid = Some(kid.to_owned());
        self
    }

    /// The private key as TLS libraries take it: PKCS #8, DER.
    pub fn pkcs8(&self) -> Vec<u8> {
        match &self.material {
            Material::Ed25519(pair) => pair.to_pkcs8v1().expect("PKCS #8").as_ref().to_vec(),
            Material::P256(pair) => pair.to_pkcs8v1().expect("PKCS #8").as_ref().to_vec(),
            Material::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(&**pair).expect("PKCS #8").as_ref().to_vec(),
            Material::Oct(_) => panic!("a symmetric key has no halves"),
        }
    }

    /// The JWK of an Ed25519 or EC key with its private half, which is not for others' eyes.
    pub fn private_jwk(&self) -> Value {
        let private = match &self.material {
            // The seed is the end of PKCS #8 in its first version (RFC 8410, section 7).
            Material::Ed25519(_) => self.pkcs8().split_off(16),
            Material::P256(pair) => {
                let number: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().expect("a private key");
                number.as_ref().to_vec()
            }
            _ => panic!("an Ed25519 or EC key"),
        };
        secrets::register(&private);
        let mut jwk = self.jwk();
        jwk["d"] = json!(encode(&private));
        jwk
    }

    /// The symmetric key's bytes.
    pub fn secret(&self) -> &[u8] {
        match &self.material {
            Material::Oct(secret) => secret,
            _ => panic!("not a symmetric key"),
        }
    }

    /// The JWK: public, but for a symmetric key, which has nothing else.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.material {
            Material::Ed25519(pair) => json!({
                "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()),
            }),
            Material::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({
                    "kty": "EC", "crv": "P-256",
                    "x": encode(&point[1..33]), "y": encode(&point[33..65]),
                })
            }
            Material::Rsa(pair) => {
                let (modulus, exponent) = rsa_numbers(pair.public_key().as_ref());
                json!({ "kty": "RSA", "n": encode(modulus), "e": encode(exponent) })
            }
            Material::Oct(secret) => json!({ "kty": "oct", "k": encode(secret) }),
        };
        if let Some(kid) = &self.kid {
            jwk["kid"] = json!(kid);
        }
        jwk
    }

    /// The JWS algorithm that this key is used with unless a test says otherwise.
    pub fn algorithm(&self) -> &'static str {
        match &self.material {
            Material::Ed25519(_) => "EdDSA",
            Material::P256(_) => "ES256",
            Material::Rsa(_) => "RS256",
            Material::Oct(_) => "HS256",
        }
    }

    /// Signs, or makes a MAC, by [`Key::algorithm`]: JWS signatures and proofs of possession alike.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.sign_with(self.algorithm(), message)
    }

    /// Signs by the JWS algorithm named, as far as the key can.
    pub fn sign_with(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let signed = match &self.material {
            Material::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Material::P256(pair) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Material::Rsa(pair) => {
                let padding: &dyn signature::RsaEncoding = match algorithm {
                    "PS256" => &signature::RSA_PSS_SHA256,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut made = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut made).expect("a signature");
                made
            }
            Material::Oct(secret) => hmac_sha256(secret, message),
        };
        secrets::register(&signed);
        signed
    }
}

/// HMAC-SHA-256 with any key: for tests that misuse one key's bytes as another's.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

/// An ECDSA signature of the JWS form (two 32-byte numbers) in DER, as other software sends it.
pub fn der_signature(fixed: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let first = number.iter().position(|byte| *byte != 0).unwrap_or(31);
        let mut digits = number[first..].to_vec();
        if digits[0] & 0x80 != 0 {
            digits.insert(0, 0);
        }
        let mut der = vec![0x02, u8::try_from(digits.len()).expect("short")];
        der.extend(digits);
        der
    };
    let body = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    let mut der = vec![0x30, u8::try_from(body.len()).expect("short")];
    der.extend(body);
    secrets::register(&der);
    der
}

/// Modulus and exponent out of a DER `RSAPublicKey`.
fn rsa_numbers(der: &[u8]) -> (&[u8], &[u8]) {
    fn element(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, start) = match der[1] {
            short @ 0..=0x7f => (usize::from(short), 2),
            0x81 => (usize::from(der[2]), 3),
            _ => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
        };
        (&der[start..start + length], &der[start + length..])
    }
    let (sequence, _) = element(der);
    let (modulus, rest) = element(sequence);
    let (exponent, _) = element(rest);
    let without_sign = |number: &'_ [u8]| number.iter().take_while(|byte| **byte == 0).count();
    (&modulus[without_sign(modulus)..], &exponent[without_sign(exponent)..])
}
