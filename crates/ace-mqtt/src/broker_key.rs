//! Whether a broker's certificate is for the key that the authorization server named (`rs_cnf`, RFC 9201 §3.2). This comes on top of the
//! certificate's own verification, and before any token is shown.

use ace_profile::{base64url, jose::Jwk};
use rustls::{pki_types::CertificateDer, server::ParsedCertificate};
use serde_json::Value;

/// Algorithm identifier and the head of the key, for the fixed shapes (RFC 8410 §4; RFC 5480 §2.1.1 with an uncompressed point).
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const P256_HEAD: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// The algorithm identifier of RSA keys (RFC 3279 §2.3.1).
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// Whether `certificate` is for `key`. A certificate that cannot be read, and a key that cannot be in one, are for nobody.
pub(crate) fn is_for(certificate: &CertificateDer<'_>, key: &Jwk) -> bool {
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return false };
    subject_public_key_info(key).is_some_and(|expected| parsed.subject_public_key_info().as_ref() == expected)
}

/// The key as a certificate holds it (SubjectPublicKeyInfo in DER, RFC 5280 §4.1.2.7); `None` for a symmetric key.
fn subject_public_key_info(key: &Jwk) -> Option<Vec<u8>> {
    let public = key.public_value()?;
    let member = |name: &str| base64url::decode(public.get(name).and_then(Value::as_str)?.as_bytes()).ok();
    match public.get("kty").and_then(Value::as_str)? {
        "OKP" => Some([&ED25519_HEAD[..], &member("x")?].concat()),
        "EC" => Some([&P256_HEAD[..], &member("x")?, &member("y")?].concat()),
        "RSA" => {
            let numbers = [der(0x02, &unsigned(member("n")?)), der(0x02, &unsigned(member("e")?))].concat();
            // A BIT STRING begins with the number of unused bits.
            let bits = [&[0][..], &der(0x30, &numbers)].concat();
            Some(der(0x30, &[&RSA_ALGORITHM[..], &der(0x03, &bits)].concat()))
        }
        _ => None,
    }
}

/// A number that DER does not take for a negative one.
fn unsigned(mut number: Vec<u8>) -> Vec<u8> {
    if number.first().is_some_and(|byte| byte & 0x80 != 0) {
        number.insert(0, 0);
    }
    number
}

/// Tag, length and content (X.690 §8.1).
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut encoded = vec![tag];
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    match (significant.as_slice(), content.len()) {
        (_, short @ 0..=0x7f) => encoded.push(short as u8),
        (long, _) => {
            encoded.push(0x80 | long.len() as u8);
            encoded.extend(long);
        }
    }
    encoded.extend(content);
    encoded
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ace_profile::random::SystemRandom;
    use rcgen::{CertificateParams, KeyPair, PublicKeyData};
    use serde_json::json;

    /// The same key as a JWK, out of the raw public key that rcgen shows.
    fn jwk(pair: &KeyPair) -> Jwk {
        let raw = pair.der_bytes();
        let value = if pair.algorithm() == &rcgen::PKCS_ED25519 {
            json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(raw)})
        } else if pair.algorithm() == &rcgen::PKCS_ECDSA_P256_SHA256 {
            json!({"kty": "EC", "crv": "P-256", "x": base64url::encode(&raw[1..33]), "y": base64url::encode(&raw[33..])})
        } else {
            // SEQUENCE { INTEGER n of 257 bytes, INTEGER 65537 }, for 2048 bits.
            json!({"kty": "RSA", "n": base64url::encode(&raw[9..265]), "e": base64url::encode(&raw[267..])})
        };
        Jwk::from_value(&value).unwrap()
    }

    #[test]
    fn each_kind_of_key_is_found_in_its_certificate_and_no_other() {
        let pairs: Vec<KeyPair> =
            [&rcgen::PKCS_ED25519, &rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_RSA_SHA256]
                .into_iter()
                .map(|algorithm| KeyPair::generate_for(algorithm).unwrap())
                .collect();
        for (index, pair) in pairs.iter().enumerate() {
            let certificate = CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(pair).unwrap();
            for (other_index, other) in pairs.iter().enumerate() {
                assert_eq!(is_for(certificate.der(), &jwk(other)), index == other_index, "{index} {other_index}");
            }
        }
    }

    #[test]
    fn garbage_and_symmetric_keys_are_for_nobody() {
        let key = Jwk::generate_ed25519(&mut SystemRandom).unwrap();
        assert!(!is_for(&CertificateDer::from(vec![0x30, 0x03, 1, 1, 1]), &key));
        let pair = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(&pair).unwrap();
        assert!(!is_for(certificate.der(), &Jwk::generate_symmetric(32, &mut SystemRandom).unwrap()));
    }
}
