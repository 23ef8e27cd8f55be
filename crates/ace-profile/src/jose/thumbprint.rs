//! The JWK thumbprint (RFC 7638): one name per key, whatever its `kid`.

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::Material;
use crate::base64url;

/// SHA-256 over the key's required members in lexicographic order (RFC 7638 §3), base64url.
pub(super) fn of(material: &Material) -> String {
    let members = match material {
        Material::Ed25519 { public, .. } => {
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url::encode(public))
        }
        Material::X25519 { public, .. } => {
            format!(r#"{{"crv":"X25519","kty":"OKP","x":"{}"}}"#, base64url::encode(public))
        }
        Material::P256 { x, y, .. } => {
            format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, base64url::encode(x), base64url::encode(y))
        }
        Material::Rsa(key) => {
            let (e, n) = (base64url::encode(&key.exponent), base64url::encode(&key.modulus));
            format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
        }
        Material::Symmetric(bytes) => {
            format!(r#"{{"k":"{}","kty":"oct"}}"#, base64url::encode_secret(bytes).as_str())
        }
    };
    let members = Zeroizing::new(members);
    base64url::encode(digest(&SHA256, members.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use crate::jose::Jwk;

    #[test]
    fn example_of_rfc_7638() {
        let key = Jwk::from_json(
            r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#,
        )
        .unwrap();
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn example_of_rfc_8037() {
        let key = Jwk::from_json(r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#)
            .unwrap();
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
