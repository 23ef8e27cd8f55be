//! Which keys a token may be bound to, and how it may name them.

use serde_json::json;

use super::*;
use crate::jose::Algorithm;
use crate::proof::{ProofKey, ShownKey};
use crate::random::SystemRandom;
use crate::token::fixture::Fixture;

fn judge(fixture: &Fixture, cnf: serde_json::Value) -> Result<ConfirmationKey, Refusal> {
    let valid = fixture.judge(&fixture.with("cnf", cnf))?;
    Ok(valid.key().cloned().expect("a token with cnf is bound to a key"))
}

#[test]
fn public_keys_are_taken_as_they_stand() {
    let fixture = Fixture::new();
    for key in [
        Jwk::generate_ed25519(&mut SystemRandom).unwrap(),
        Jwk::generate_p256(&mut SystemRandom).unwrap().with_use("sig").with_algorithm("ES256"),
    ] {
        let bound = judge(&fixture, json!({"jwk": key.public_value()})).unwrap();
        assert_eq!(bound.thumbprint(), key.thumbprint());
        let proof = ProofKey::from_jwk(&key).unwrap().prove(b"m").unwrap();
        assert_eq!(bound.verify(b"m", &proof), Ok(()));
    }
}

#[test]
fn whatever_gives_the_key_away_is_refused() {
    let fixture = Fixture::new();
    let symmetric = json!({"kty": "oct", "k": base64url_of(32)});
    assert_eq!(judge(&fixture, json!({"jwk": symmetric})).err(), Some(Refusal::ConfirmationKeyInClear));
    // Even a malformed one: the token's author meant to send a secret in clear.
    for jwk in [json!({"kty": "oct"}), json!({"kty": "OKP", "k": "AAAA"})] {
        assert_eq!(judge(&fixture, json!({"jwk": jwk})).err(), Some(Refusal::ConfirmationKeyInClear));
    }
    for key in [fixture.client.clone(), Jwk::generate_rsa(2048).unwrap()] {
        let refusal = judge(&fixture, json!({"jwk": key.secret_value()})).err();
        assert_eq!(refusal, Some(Refusal::ConfirmationKeyPrivate));
    }
}

fn base64url_of(bytes: usize) -> String {
    crate::base64url::encode(&vec![7; bytes])
}

#[test]
fn other_keys_are_unusable() {
    let fixture = Fixture::new();
    let public = fixture.client.public_value().unwrap();
    let changed = |member: &str, value: serde_json::Value| {
        let mut jwk = public.clone();
        jwk[member] = value;
        jwk
    };
    let neutral = crate::base64url::encode(&[&[1][..], &[0; 31]].concat());
    for jwk in [
        Jwk::generate_rsa(2048).unwrap().public_value().unwrap(),
        json!({"kty": "AKP", "pub": "AAAA"}),
        json!({"kty": "EC", "crv": "P-384", "x": "AAAA", "y": "AAAA"}),
        json!({"kty": "EC", "crv": "P-256", "x": base64url_of(32), "y": base64url_of(32)}),
        changed("x", json!(neutral)),
        changed("use", json!("enc")),
        changed("alg", json!("ES256")),
        changed("key_ops", json!(["deriveKey"])),
    ] {
        let refusal = judge(&fixture, json!({"jwk": jwk})).err();
        assert_eq!(refusal, Some(Refusal::ConfirmationKeyUnusable), "{jwk}");
    }
}

#[test]
fn a_confirmation_names_exactly_one_key() {
    let fixture = Fixture::new();
    let public = fixture.client.public_value().unwrap();
    for cnf in [
        json!(null),
        json!("kid"),
        json!([]),
        json!({}),
        json!({"jwk": "x"}),
        json!({"jwk": {}}),
        json!({"kid": 1}),
        json!({"jwe": {}}),
        json!({"jkt": 7}),
        json!({"jkt": "AAAA"}),
        json!({"jkt": crate::base64url::encode(&[7; 33])}),
        json!({"x5t#S256": 7}),
        json!({"x5t#S256": "AAAA"}),
        json!({"x5t#S256": crate::base64url::encode(&[7; 33])}),
    ] {
        assert_eq!(judge(&fixture, cnf.clone()).err(), Some(Refusal::ConfirmationMalformed), "{cnf}");
    }
    for cnf in [
        json!({"jwk": public, "kid": "a"}),
        json!({"kid": "a", "jwe": "b"}),
        json!({"jwk": public, "x5t#S256": "b"}),
        json!({"jwk": public, "jkt": "b"}),
    ] {
        assert_eq!(judge(&fixture, cnf).err(), Some(Refusal::ConfirmationAmbiguous));
    }
    for method in ["jku", "x5t", "x5t#S1"] {
        let refusal = Refusal::ConfirmationUnsupported { method: method.into() };
        assert_eq!(judge(&fixture, json!({method: "x"})).err(), Some(refusal));
    }
}

#[test]
fn a_kid_names_a_client_key_and_never_a_key_of_the_issuer() {
    let mut fixture = Fixture::new();
    let unknown = |kid: &str| Some(Refusal::ConfirmationKeyUnknown { kid: kid.into() });
    for kid in ["device-7", "as-1", "shared", ""] {
        assert_eq!(judge(&fixture, json!({"kid": kid})).err(), unknown(kid));
    }
    fixture.client_keys = vec![
        fixture.client.to_public().unwrap(),
        Jwk::from_symmetric(&[8; 16]).unwrap().with_kid("device-8"),
        fixture.client.clone().with_kid("private"),
    ];
    assert_eq!(judge(&fixture, json!({"kid": "device-7"})).unwrap().thumbprint(), fixture.client.thumbprint());
    assert_eq!(judge(&fixture, json!({"kid": "device-8"})).unwrap().algorithm(), Algorithm::Hs256);
    assert_eq!(judge(&fixture, json!({"kid": "private"})).err(), Some(Refusal::ConfirmationKeyUnusable));
    assert_eq!(judge(&fixture, json!({"kid": "as-1"})).err(), unknown("as-1"));
    fixture.client_keys.push(Jwk::from_symmetric(&[9; 16]).unwrap().with_kid("device-8"));
    let ambiguous = Refusal::ConfirmationKeyAmbiguous { kid: "device-8".into() };
    assert_eq!(judge(&fixture, json!({"kid": "device-8"})).err(), Some(ambiguous));
}

#[test]
fn an_encrypted_symmetric_key_is_taken() {
    let fixture = Fixture::new();
    for bytes in [16, 32, 64] {
        let key = Jwk::generate_symmetric(bytes, &mut SystemRandom).unwrap();
        let jwe = fixture.encrypt(key.secret_value().to_string().as_bytes());
        let bound = judge(&fixture, json!({"jwe": jwe})).unwrap();
        let proof = ProofKey::from_jwk(&key).unwrap().prove(b"m").unwrap();
        assert_eq!(bound.verify(b"m", &proof), Ok(()));
    }
}

#[test]
fn an_encrypted_something_else_is_not() {
    let fixture = Fixture::new();
    let judged = |plaintext: &[u8]| judge(&fixture, json!({"jwe": fixture.encrypt(plaintext)})).err();
    let public = fixture.client.public_value().unwrap().to_string();
    for plaintext in [&b""[..], b"\xff", b"{}", b"secret", br#"{"kty":"oct"}"#, public.as_bytes()] {
        assert_eq!(judged(plaintext), Some(Refusal::JweNotAKey));
    }
    let short = json!({"kty": "oct", "k": base64url_of(15)}).to_string();
    assert_eq!(judged(short.as_bytes()), Some(Refusal::ConfirmationKeyUnusable));
    let other_use = json!({"kty": "oct", "k": base64url_of(32), "alg": "A256KW"}).to_string();
    assert_eq!(judged(other_use.as_bytes()), Some(Refusal::ConfirmationKeyUnusable));
}

#[test]
fn a_key_encrypted_for_another_broker_is_refused() {
    let fixture = Fixture::new();
    let mut other = Fixture::new();
    other.shared = Jwk::from_symmetric(&[4; 32]).unwrap().with_kid("shared").with_use("enc");
    let key = Jwk::from_symmetric(&[5; 32]).unwrap().secret_value().to_string();
    let jwe = other.encrypt(key.as_bytes());
    assert_eq!(judge(&fixture, json!({"jwe": jwe})).err(), Some(Refusal::JweUndecryptable));
}

#[test]
fn a_token_may_be_bound_to_a_certificate() {
    let fixture = Fixture::new();
    let thumbprint = CertificateThumbprint::of(b"certificate");
    let claims = fixture.with("cnf", json!({"x5t#S256": thumbprint.to_string()}));
    let valid = fixture.judge(&claims).unwrap();
    assert!(matches!(valid.confirmation, Confirmation::Certificate(read) if read == thumbprint));
    assert!(valid.key().is_none());
    assert_eq!(valid.binding(), Some(thumbprint.name()));
}

#[test]
fn a_token_may_name_its_key_by_a_thumbprint() {
    let fixture = Fixture::new();
    let key = Jwk::generate_p256(&mut SystemRandom).unwrap();
    let valid = fixture.judge(&fixture.with("cnf", json!({"jkt": key.thumbprint()}))).unwrap();
    assert!(valid.key().is_none());
    assert_eq!(valid.binding(), Some(key.thumbprint()));

    let shown = ShownKey::from_jwk(&key.clone().with_kid("chosen").public_value().unwrap()).unwrap();
    let bound = valid.with_shown_key(&shown).unwrap();
    assert_eq!((bound.binding(), bound.key().unwrap().kid()), (Some(key.thumbprint()), None));
    let proof = ProofKey::from_jwk(&key).unwrap().prove(b"m").unwrap();
    assert_eq!(bound.key().unwrap().verify(b"m", &proof), Ok(()));
    // Nothing but the key changes.
    assert_eq!(
        (bound.fingerprint, bound.identity(), &bound.scope),
        (valid.fingerprint, valid.identity(), &valid.scope)
    );

    let other = ShownKey::of(&fixture.client).unwrap();
    assert_eq!(valid.with_shown_key(&other).err(), Some(Refusal::ShownKeyMismatch));
}

#[test]
fn a_key_that_is_shown_beside_a_token_that_has_one_must_be_the_same() {
    let fixture = Fixture::new();
    let valid = fixture.judge(&fixture.claims()).unwrap();
    let same = ShownKey::of(&fixture.client).unwrap();
    // What the token says about its key counts, not what the client says.
    assert_eq!(valid.with_shown_key(&same).unwrap().key().unwrap().kid(), Some("device-7"));
    let other = ShownKey::of(&Jwk::generate_ed25519(&mut SystemRandom).unwrap()).unwrap();
    assert_eq!(valid.with_shown_key(&other).err(), Some(Refusal::ShownKeyMismatch));
    let certificate = CertificateThumbprint::of(b"certificate");
    let valid = fixture.judge(&fixture.with("cnf", json!({"x5t#S256": certificate.to_string()}))).unwrap();
    assert_eq!(valid.with_shown_key(&same).err(), Some(Refusal::ShownKeyMismatch));
    let mut fixture = fixture;
    fixture.policy.allow_bearer = true;
    let valid = fixture.judge(&fixture.without("cnf")).unwrap();
    assert_eq!(valid.with_shown_key(&same).err(), Some(Refusal::ShownKeyMismatch));
}
