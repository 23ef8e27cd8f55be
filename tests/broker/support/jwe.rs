//! JWE (RFC 7516), as far as an authorization server needs it to hide a symmetric key in a token, or a whole token.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsBigEndian, AsDer as _, Curve25519SeedBin, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PrivateDecryptingKey};
use serde_json::{Value, json};

use super::authority::encode;
use super::key::{Key, random};
use super::secrets;

/// How the content key gets to the reader.
#[derive(Clone, Copy)]
pub enum Management {
    /// The shared key is the content key.
    Dir,
    /// The shared key wraps a fresh content key.
    A256Kw,
}

/// Encrypts `plaintext` with the key shared with the broker; `encryption` is `A128GCM` or `A256GCM`.
pub fn encrypt(plaintext: &[u8], shared: &Key, management: Management, encryption: &str) -> String {
    let algorithm: &'static Algorithm = match encryption {
        "A128GCM" => &AES_128_GCM,
        _ => &AES_256_GCM,
    };
    let (name, content_key, wrapped) = match management {
        Management::Dir => ("dir", shared.secret().to_vec(), Vec::new()),
        Management::A256Kw => {
            let content_key = random(algorithm.key_len());
            secrets::register(&content_key);
            let wrapping = AesKek::new(&AES_256, shared.secret()).expect("a wrapping key");
            let mut output = vec![0; content_key.len() + 8];
            let wrapped = wrapping.wrap(&content_key, &mut output).expect("wrapped").to_vec();
            ("A256KW", content_key, wrapped)
        }
    };
    let mut header = json!({ "alg": name, "enc": encryption });
    if let Some(kid) = &shared.kid {
        header["kid"] = json!(kid);
    }
    seal(plaintext, &header, &content_key, &wrapped)
}

/// Encrypts a token with the key shared with the broker, by `dir`; `cty` says what it holds.
pub fn encrypt_token(token: &[u8], shared: &Key, cty: Option<&str>) -> String {
    let mut header = json!({ "alg": "dir", "enc": "A256GCM", "kid": shared.kid });
    if let Some(cty) = cty {
        header["cty"] = json!(cty);
    }
    seal(token, &header, shared.secret(), &[])
}

fn seal(plaintext: &[u8], header: &Value, content_key: &[u8], wrapped: &[u8]) -> String {
    let algorithm: &'static Algorithm = match header["enc"].as_str() {
        Some("A128GCM") => &AES_128_GCM,
        _ => &AES_256_GCM,
    };
    let header = encode(header.to_string().as_bytes());
    let iv: [u8; 12] = random(12).try_into().expect("12 bytes");
    let cipher = LessSafeKey::new(UnboundKey::new(algorithm, content_key).expect("a key that fits"));
    let mut text = plaintext.to_vec();
    let tag = cipher
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(iv), Aad::from(header.as_bytes()), &mut text)
        .expect("encrypted");
    let jwe = [header, encode(wrapped), encode(&iv), encode(&text), encode(tag.as_ref())].join(".");
    secrets::register_text(&jwe);
    jwe
}

/// A broker's own key for decryption.
pub enum PrivateRecipient {
    /// For ECDH-ES, on P-256.
    P256(PrivateKey),
    /// For ECDH-ES, on X25519.
    X25519(PrivateKey),
    /// For RSA-OAEP-256, with what its JWK has.
    Rsa(Box<PrivateDecryptingKey>),
}

impl PrivateRecipient {
    /// A new one on P-256.
    pub fn p256() -> Self {
        Self::P256(PrivateKey::generate(&ECDH_P256).expect("a key"))
    }

    /// A new one on X25519.
    pub fn x25519() -> Self {
        Self::X25519(PrivateKey::generate(&X25519).expect("a key"))
    }

    /// A new one of RSA.
    pub fn rsa() -> Self {
        Self::Rsa(Box::new(PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("a key")))
    }

    /// The private JWK, of this name and for decryption.
    pub fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match self {
            Self::P256(private) => {
                let public = private.compute_public_key().expect("its public half");
                let scalar: EcPrivateKeyBin<'_> = private.as_be_bytes().expect("its bytes");
                secrets::register(scalar.as_ref());
                json!({ "kty": "EC", "crv": "P-256", "x": encode(&public.as_ref()[1..33]), "y": encode(&public.as_ref()[33..]),
                        "d": encode(scalar.as_ref()) })
            }
            Self::X25519(private) => {
                let public = private.compute_public_key().expect("its public half");
                let seed: Curve25519SeedBin<'_> = private.as_be_bytes().expect("its bytes");
                secrets::register(seed.as_ref());
                json!({ "kty": "OKP", "crv": "X25519", "x": encode(public.as_ref()), "d": encode(seed.as_ref()) })
            }
            Self::Rsa(private) => {
                let der: Pkcs8V1Der<'_> = private.as_der().expect("PKCS #8");
                let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
                let mut jwk = json!({ "kty": "RSA" });
                for (name, number) in names.into_iter().zip(rsa_numbers(der.as_ref())) {
                    jwk[name] = json!(encode(&number));
                }
                jwk
            }
        };
        jwk["kid"] = json!(kid);
        jwk["use"] = json!("enc");
        jwk
    }

    /// Encrypts a token with the public half, under A256GCM.
    pub fn encrypt(&self, token: &str, kid: &str) -> String {
        let mut header = json!({ "enc": "A256GCM", "kid": kid, "cty": "JWT" });
        let agreed = |header: &mut Value, algorithm: &'static agreement::Algorithm, private: &PrivateKey| {
            let ephemeral = PrivateKey::generate(algorithm).expect("an ephemeral key");
            let public = ephemeral.compute_public_key().expect("its public half");
            let public = public.as_ref();
            header["alg"] = json!("ECDH-ES");
            header["epk"] = match algorithm == &X25519 {
                true => json!({ "kty": "OKP", "crv": "X25519", "x": encode(public) }),
                false => {
                    json!({ "kty": "EC", "crv": "P-256", "x": encode(&public[1..33]), "y": encode(&public[33..]) })
                }
            };
            let recipient = private.compute_public_key().expect("the recipient's public half");
            let recipient = UnparsedPublicKey::new(algorithm, recipient.as_ref());
            let derive = |secret: &[u8]| Ok::<_, ()>(concat_kdf(secret));
            agreement::agree(&ephemeral, recipient, (), derive).expect("an agreement")
        };
        let (content_key, encrypted_key) = match self {
            Self::P256(private) => (agreed(&mut header, &ECDH_P256, private), Vec::new()),
            Self::X25519(private) => (agreed(&mut header, &X25519, private), Vec::new()),
            Self::Rsa(private) => {
                header["alg"] = json!("RSA-OAEP-256");
                let content_key = random(32);
                secrets::register(&content_key);
                let public = OaepPublicEncryptingKey::new(private.public_key()).expect("the public half");
                let mut encrypted = vec![0; public.ciphertext_size()];
                public.encrypt(&OAEP_SHA256_MGF1SHA256, &content_key, &mut encrypted, None).expect("encrypted");
                (content_key, encrypted)
            }
        };
        seal(token.as_bytes(), &header, &content_key, &encrypted_key)
    }
}

/// RFC 7518 §4.6.2, for 256 bits and A256GCM, with nothing said of the parties.
fn concat_kdf(secret: &[u8]) -> Vec<u8> {
    let parts: [&[u8]; 7] = [&[0, 0, 0, 1], secret, &[0, 0, 0, 7], b"A256GCM", &[0; 4], &[0; 4], &[0, 0, 1, 0]];
    digest(&SHA256, &parts.concat()).as_ref().to_vec()
}

/// The eight numbers of an RSA key in PKCS #8.
fn rsa_numbers(pkcs8: &[u8]) -> Vec<Vec<u8>> {
    fn element(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, start) = match der[1] {
            short @ 0..=0x7f => (usize::from(short), 2),
            0x81 => (usize::from(der[2]), 3),
            _ => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
        };
        (&der[start..start + length], &der[start + length..])
    }
    let (info, _) = element(pkcs8);
    let (_version, rest) = element(info);
    let (_algorithm, rest) = element(rest);
    let (octets, _) = element(rest);
    let (key, _) = element(octets);
    let (_version, mut rest) = element(key);
    let mut numbers = Vec::new();
    while !rest.is_empty() {
        let (number, behind) = element(rest);
        rest = behind;
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        numbers.push(number[zeros..].to_vec());
    }
    // Modulus and public exponent are no secrets.
    numbers.iter().skip(2).for_each(|number| secrets::register(number));
    numbers
}
