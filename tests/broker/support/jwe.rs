//! JWE (RFC 7516), as far as an authorization server needs it to hide a symmetric key in a token.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use serde_json::json;

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
    let header = encode(header.to_string().as_bytes());
    let iv: [u8; 12] = random(12).try_into().expect("12 bytes");
    let cipher = LessSafeKey::new(UnboundKey::new(algorithm, &content_key).expect("a key that fits"));
    let mut text = plaintext.to_vec();
    let tag = cipher
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(iv), Aad::from(header.as_bytes()), &mut text)
        .expect("encrypted");
    let jwe = [header, encode(&wrapped), encode(&iv), encode(&text), encode(tag.as_ref())].join(".");
    secrets::register_text(&jwe);
    jwe
}
