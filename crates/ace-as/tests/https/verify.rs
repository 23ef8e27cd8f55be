//! Reads tokens by a path of its own, with the cryptographic library alone: what another implementation would see.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_slice(&decode(text)).unwrap()
}

fn member(value: &Value, name: &str) -> Vec<u8> {
    decode(value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}")))
}

/// The header and the claims of a token signed by the one key of a JWK set.
pub(crate) fn token(token: &str, jwks: &Value) -> (Value, Value) {
    let keys = jwks["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    let key = &keys[0];
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let header = json(header);
    assert_eq!(header["kid"], key["kid"]);
    assert_eq!(header["alg"], key["alg"]);
    match header["alg"].as_str().unwrap() {
        "EdDSA" => UnparsedPublicKey::new(&ED25519, member(key, "x")).verify(signed.as_bytes(), &decode(signature)),
        "ES256" => {
            let point = [vec![4], member(key, "x"), member(key, "y")].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &decode(signature))
        }
        other => panic!("{other}"),
    }
    .expect("the signature is good");
    (header, json(claims))
}

/// The plaintext of a JWE under A256KW and the shared key.
pub(crate) fn decrypt(jwe: &str, shared: &Value) -> Value {
    let pieces: Vec<&str> = jwe.split('.').collect();
    let [protected, wrapped, nonce, sealed, tag] = pieces[..] else { panic!("{} pieces", pieces.len()) };
    let header = json(protected);
    assert_eq!(header["alg"], "A256KW");
    assert_eq!(header["kid"], shared["kid"]);
    let (algorithm, bytes) = match header["enc"].as_str().unwrap() {
        "A128GCM" => (&AES_128_GCM, 16),
        "A256GCM" => (&AES_256_GCM, 32),
        other => panic!("{other}"),
    };
    let kek = AesKek::new(&AES_256, &member(shared, "k")).unwrap();
    let mut content_key = vec![0; bytes];
    kek.unwrap(&decode(wrapped), &mut content_key).unwrap();
    let key = LessSafeKey::new(UnboundKey::new(algorithm, &content_key).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(&decode(nonce)).unwrap();
    let mut text = [decode(sealed), decode(tag)].concat();
    serde_json::from_slice(key.open_in_place(nonce, Aad::from(protected.as_bytes()), &mut text).unwrap()).unwrap()
}
