//! What keys are accepted, and what they may be used for.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::random::SystemRandom;

/// RFC 8037 §A.1 and §A.2.
const ED25519_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const ED25519_D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
/// RFC 7515 §A.3.1.
const P256_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const P256_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const P256_D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

fn read(value: serde_json::Value) -> Result<Jwk, KeyError> {
    Jwk::from_json(&value.to_string())
}

fn ed25519() -> serde_json::Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": ED25519_X})
}

fn p256() -> serde_json::Value {
    json!({"kty": "EC", "crv": "P-256", "x": P256_X, "y": P256_Y})
}

fn with(mut value: serde_json::Value, member: &str, content: impl Into<serde_json::Value>) -> serde_json::Value {
    value[member] = content.into();
    value
}

#[test]
fn keys_of_the_rfcs_are_read() {
    let key = read(with(ed25519(), "d", ED25519_D)).unwrap();
    assert_eq!((key.key_type(), key.is_private()), (KeyType::Ed25519, true));
    let key = read(with(p256(), "d", P256_D)).unwrap();
    assert_eq!((key.key_type(), key.is_private()), (KeyType::P256, true));
    assert_eq!(key.to_public().unwrap().thumbprint(), key.thumbprint());
    let key = read(
        json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}),
    );
    assert_eq!(key.unwrap().symmetric_bytes().unwrap().len(), 64);
}

#[test]
fn a_seed_and_a_scalar_give_the_public_key_of_the_rfcs() {
    let seed: [u8; 32] = base64url::decode(ED25519_D.as_bytes()).unwrap().try_into().unwrap();
    let key = Jwk::ed25519_from_seed(&seed).unwrap();
    assert_eq!(key.public_value().unwrap(), ed25519());
    let scalar: [u8; 32] = base64url::decode(P256_D.as_bytes()).unwrap().try_into().unwrap();
    let key = Jwk::p256_from_scalar(&scalar).unwrap();
    assert_eq!(key.public_value().unwrap(), p256());
    assert_eq!(Jwk::p256_from_scalar(&[0; 32]).err(), Some(KeyError::PointInvalid));
    assert_eq!(Jwk::p256_from_scalar(&[0xff; 32]).err(), Some(KeyError::PointInvalid));
}

#[test]
fn malformed_members_are_named() {
    let missing =
        |value: serde_json::Value, member| assert_eq!(read(value).err(), Some(KeyError::MemberMissing(member)));
    missing(json!({}), "kty");
    missing(json!({"kty": "OKP", "x": ED25519_X}), "crv");
    missing(json!({"kty": "OKP", "crv": "Ed25519"}), "x");
    missing(json!({"kty": "EC", "crv": "P-256", "x": P256_X}), "y");
    missing(json!({"kty": "oct"}), "k");
    missing(json!({"kty": "RSA", "e": "AQAB"}), "n");
    let malformed =
        |value: serde_json::Value, member| assert_eq!(read(value).err(), Some(KeyError::MemberMalformed(member)));
    malformed(json!({"kty": 1}), "kty");
    malformed(with(ed25519(), "x", format!("{ED25519_X}=")), "x");
    malformed(with(ed25519(), "x", "AAAA"), "x");
    malformed(with(ed25519(), "kid", 7), "kid");
    malformed(with(ed25519(), "kid", "k".repeat(limits::KID_BYTES + 1)), "kid");
    malformed(with(ed25519(), "key_ops", "verify"), "key_ops");
    malformed(with(p256(), "d", "AAAA"), "d");
    // A coordinate without its leading zero bytes is not the fixed length that RFC 7518 §6.2.1.2 demands.
    malformed(with(p256(), "x", "AQ"), "x");
    assert!(matches!(Jwk::from_json("{"), Err(KeyError::NotJson(_))));
    assert!(matches!(Jwk::from_json(r#"{"kty":"oct","kty":"oct"}"#), Err(KeyError::NotJson(_))));
    assert!(matches!(Jwk::from_value(&json!([])), Err(KeyError::NotJson(_))));
}

#[test]
fn other_types_and_curves_are_not_supported() {
    assert!(matches!(read(json!({"kty": "AKP"})), Err(KeyError::TypeUnsupported(_))));
    assert!(matches!(read(with(ed25519(), "crv", "Ed448")), Err(KeyError::CurveUnsupported(_))));
    assert!(matches!(read(with(p256(), "crv", "P-384")), Err(KeyError::CurveUnsupported(_))));
}

#[test]
fn points_off_the_curve_are_refused() {
    assert_eq!(read(with(p256(), "y", P256_X)).err(), Some(KeyError::PointInvalid));
    let zeros = base64url::encode(&[0; 32]);
    assert_eq!(read(with(with(p256(), "x", zeros.clone()), "y", zeros)).err(), Some(KeyError::PointInvalid));
}

#[test]
fn ed25519_points_that_anybody_can_sign_for_are_refused() {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    // With the neutral element as public key, R = neutral element and s = 0 satisfy the equation for every message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    assert!(UnparsedPublicKey::new(&ED25519, neutral).verify(b"anything", &signature).is_ok());
    let mut high = neutral;
    high[31] |= 0x80;
    for point in [neutral, high, [0; 32]] {
        assert_eq!(read(with(ed25519(), "x", base64url::encode(&point))).err(), Some(KeyError::PointInvalid));
    }
}

#[test]
fn halves_that_do_not_belong_together_are_refused() {
    assert_eq!(read(with(ed25519(), "d", P256_D)).err(), Some(KeyError::HalvesDiffer));
    assert_eq!(read(with(p256(), "d", ED25519_D)).err(), Some(KeyError::HalvesDiffer));
    let (one, other) = (Jwk::generate_rsa(2048).unwrap(), Jwk::generate_rsa(2048).unwrap());
    let mixed = with(one.secret_value(), "n", other.public_value().unwrap()["n"].clone());
    assert_eq!(read(mixed).err(), Some(KeyError::RsaInvalid));
    let mut halved = one.secret_value();
    halved.as_object_mut().unwrap().remove("qi");
    assert_eq!(read(halved).err(), Some(KeyError::MemberMissing("qi")));
    assert_eq!(read(with(one.secret_value(), "oth", json!([]))).err(), Some(KeyError::MemberMalformed("oth")));
}

#[test]
fn weak_keys_are_refused() {
    let rsa = |bits: usize, exponent: &[u8]| {
        let mut modulus = vec![0xff; bits / 8];
        modulus[0] = 0x80;
        read(json!({"kty": "RSA", "n": base64url::encode(&modulus), "e": base64url::encode(exponent)}))
    };
    assert!(rsa(2048, &[1, 0, 1]).is_ok());
    assert_eq!(rsa(2040, &[1, 0, 1]).err(), Some(KeyError::RsaLength(2040)));
    assert_eq!(rsa(8200, &[1, 0, 1]).err(), Some(KeyError::RsaLength(8200)));
    for exponent in [&[1][..], &[0, 1], &[2], &[0], &[], &[0xff; 6]] {
        assert_eq!(rsa(2048, exponent).err(), Some(KeyError::RsaInvalid), "{exponent:?}");
    }
    assert_eq!(Jwk::from_symmetric(&[1; 15]).err(), Some(KeyError::SymmetricLength(15)));
    assert_eq!(Jwk::from_symmetric(&[1; 1025]).err(), Some(KeyError::SymmetricLength(1025)));
    assert!(Jwk::from_symmetric(&[1; 16]).is_ok_and(|key| !key.can_verify(Algorithm::Hs256)));
    assert!(Jwk::from_symmetric(&[1; 32]).is_ok_and(|key| key.can_verify(Algorithm::Hs256)));
}

#[test]
fn leading_zeros_of_an_rsa_modulus_do_not_count() {
    let key = Jwk::generate_rsa(2048).unwrap();
    let mut public = key.public_value().unwrap();
    let mut modulus = vec![0];
    modulus.extend(base64url::decode(public["n"].as_str().unwrap().as_bytes()).unwrap());
    public["n"] = base64url::encode(&modulus).into();
    assert_eq!(read(public).unwrap().thumbprint(), key.thumbprint());
}

#[test]
fn alg_use_and_key_ops_limit_what_a_key_verifies() {
    let verifies = |member: &str, content: serde_json::Value| {
        read(with(ed25519(), member, content)).unwrap().can_verify(Algorithm::EdDsa)
    };
    assert!(read(ed25519()).unwrap().can_verify(Algorithm::EdDsa));
    assert!(verifies("alg", "EdDSA".into()) && verifies("alg", "Ed25519".into()));
    assert!(!verifies("alg", "ES256".into()) && !verifies("alg", "ECDH-ES".into()));
    assert!(verifies("use", "sig".into()) && !verifies("use", "enc".into()));
    assert!(verifies("key_ops", json!(["sign", "verify"])) && !verifies("key_ops", json!(["sign"])));
    assert!(!read(ed25519()).unwrap().can_sign(Algorithm::EdDsa));
}

#[test]
fn private_keys_sign_and_never_verify() {
    let private = Jwk::generate_ed25519(&mut SystemRandom).unwrap();
    assert!(private.can_sign(Algorithm::EdDsa) && !private.can_verify(Algorithm::EdDsa));
    let public = private.to_public().unwrap();
    assert!(!public.can_sign(Algorithm::EdDsa) && public.can_verify(Algorithm::EdDsa));
}

#[test]
fn an_rsa_public_key_is_never_a_mac_key() {
    let key = Jwk::generate_rsa(2048).unwrap().to_public().unwrap();
    assert!(key.can_verify(Algorithm::Rs256) && key.can_verify(Algorithm::Ps256));
    assert!(!key.can_verify(Algorithm::Hs256) && !key.can_verify(Algorithm::Es256));
}

#[test]
fn the_algorithm_of_new_tokens_follows_the_key() {
    let key = Jwk::generate_p256(&mut SystemRandom).unwrap();
    assert_eq!(key.signature_algorithm(), Some(Algorithm::Es256));
    assert_eq!(key.with_algorithm("ECDH-ES").signature_algorithm(), None);
    let rsa = Jwk::generate_rsa(2048).unwrap();
    assert_eq!(rsa.signature_algorithm(), Some(Algorithm::Rs256));
    assert_eq!(rsa.with_algorithm("PS256").signature_algorithm(), Some(Algorithm::Ps256));
}

#[test]
fn every_kind_of_key_survives_its_json_form() {
    let keys = [
        Jwk::generate_ed25519(&mut SystemRandom).unwrap().with_kid("k1").with_use("sig").with_algorithm("EdDSA"),
        Jwk::generate_p256(&mut SystemRandom).unwrap(),
        Jwk::generate_rsa(2048).unwrap(),
        Jwk::generate_symmetric(32, &mut SystemRandom).unwrap().with_kid("k4"),
    ];
    for key in keys {
        let read = Jwk::from_value(&key.secret_value()).unwrap();
        assert_eq!(read.secret_value(), key.secret_value());
        assert_eq!(read.thumbprint(), key.thumbprint());
        assert_eq!((read.kid(), read.usage(), read.algorithm()), (key.kid(), key.usage(), key.algorithm()));
        match key.public_value() {
            None => assert_eq!(key.key_type(), KeyType::Symmetric),
            Some(public) => assert!(!Jwk::from_value(&public).unwrap().is_private()),
        }
    }
}

#[test]
fn a_published_key_drops_the_private_operations() {
    let key = read(with(with(ed25519(), "d", ED25519_D), "key_ops", json!(["sign"]))).unwrap();
    assert_eq!(key.public_value().unwrap(), with(ed25519(), "key_ops", json!(["verify"])));
}

#[test]
fn debug_shows_no_key_material() {
    let key = read(with(ed25519(), "d", ED25519_D)).unwrap().with_kid("device-7");
    let shown = format!("{key:?}");
    assert!(shown.contains("device-7") && !shown.contains(ED25519_D) && !shown.contains(ED25519_X), "{shown}");
    let shown = format!("{:?}", Jwk::from_symmetric(&[0x41; 32]).unwrap());
    assert!(!shown.contains("AAAA") && !shown.contains("65"), "{shown}");
}

#[test]
fn too_long_a_text_is_not_read() {
    assert_eq!(Jwk::from_json(&" ".repeat(limits::JWKS_BYTES + 1)).err(), Some(KeyError::TooLarge));
    assert_eq!(Jwk::generate_symmetric(4096, &mut SystemRandom).err(), Some(KeyError::SymmetricLength(4096)));
}

proptest! {
    #[test]
    fn symmetric_keys_round_trip(bytes in proptest::collection::vec(any::<u8>(), 16..128)) {
        let key = Jwk::from_symmetric(&bytes).unwrap();
        let read = Jwk::from_value(&key.secret_value()).unwrap();
        prop_assert_eq!(read.symmetric_bytes().unwrap(), &bytes[..]);
    }

    #[test]
    fn seeds_round_trip(seed: [u8; 32]) {
        let key = Jwk::ed25519_from_seed(&seed).unwrap();
        let read = Jwk::from_value(&key.secret_value()).unwrap();
        prop_assert_eq!(read.secret_value(), key.secret_value());
    }

    #[test]
    fn arbitrary_members_never_panic(kty in "OKP|EC|RSA|oct|x", text in "[A-Za-z0-9_-]{0,90}", crv in "Ed25519|P-256") {
        let members = ["x", "y", "d", "n", "e", "k", "p", "q", "dp", "dq", "qi"];
        let mut object = serde_json::Map::new();
        object.insert("kty".into(), kty.into());
        object.insert("crv".into(), crv.into());
        for member in members {
            object.insert(member.into(), text.clone().into());
        }
        let _ = Jwk::from_value(&object.into());
    }
}

/// RFC 7748 §6.1, RFC 8037 appendix A.6.
#[test]
fn x25519_keys_agree_and_do_nothing_else() {
    let private = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo";
    let public = "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo";
    let value = json!({"kty": "OKP", "crv": "X25519", "x": public, "d": private});
    let key = Jwk::from_value(&value).unwrap();
    assert_eq!((key.key_type(), key.is_private(), key.secret_value()), (KeyType::X25519, true, value.clone()));
    let bytes = <[u8; 32]>::try_from(base64url::decode(private.as_bytes()).unwrap()).unwrap();
    assert_eq!(Jwk::x25519_from_private(&bytes).unwrap().thumbprint(), key.thumbprint());
    let only_public = key.to_public().unwrap();
    assert!(!only_public.is_private() && only_public.thumbprint() == key.thumbprint());
    assert_eq!(only_public.public_value().unwrap(), json!({"kty": "OKP", "crv": "X25519", "x": public}));
    for key in [key, only_public] {
        assert_eq!(key.signature_algorithm(), None);
        assert!(!Algorithm::ALL.into_iter().any(|algorithm| key.can_verify(algorithm) || key.can_sign(algorithm)));
        assert!(crate::proof::ConfirmationKey::from_jwk(&key).is_err());
    }
    let mut halves = value.clone();
    halves["x"] = json!(private);
    assert_eq!(Jwk::from_value(&halves).err(), Some(KeyError::HalvesDiffer));
}
