use coset::CborSerializable as _;
use coset::cbor::value::Value as Cbor;
use proptest::prelude::*;

use super::super::fixture::{Fixture, ISSUER, NOW};
use super::super::{AuthorizationServer, IntrospectionAnswer, Policy};
use super::*;
use crate::base64url;
use crate::cose::{Algorithm, Headers, encrypt, sign, with_cwt_tag};
use crate::jose::JwkSet;
use crate::random::SystemRandom;
use crate::revocation::TokenHash;
use crate::scope::{Scope, ScopeFormat};

fn map(entries: &[(i64, Cbor)]) -> Cbor {
    Cbor::Map(entries.iter().map(|(label, value)| ((*label).into(), value.clone())).collect())
}

/// Claims with this `iss` and `cnf`.
pub(crate) fn claims(issuer: &str, cnf: Cbor) -> Vec<u8> {
    let scope = Cbor::Array(vec![Cbor::Array(vec!["sensors/#".into(), Cbor::Array(vec!["pub".into()])])]);
    map(&[
        (1, issuer.into()),
        (2, "device-7".into()),
        (3, "broker.example".into()),
        (4, (NOW + 600).into()),
        (8, cnf),
        (9, Cbor::Bytes(scope.to_vec().unwrap())),
    ])
    .to_vec()
    .unwrap()
}

/// The client's key, public, and one that must not be read by others.
pub(crate) fn public_key(fixture: &Fixture) -> Cbor {
    let x = fixture.client.public_value().unwrap()["x"].as_str().unwrap().to_owned();
    map(&[(1, map(&[(1, 1.into()), (-1, 6.into()), (-2, Cbor::Bytes(base64url::decode(x.as_bytes()).unwrap()))]))])
}

fn symmetric_key() -> Cbor {
    map(&[(1, map(&[(1, 4.into()), (-1, Cbor::Bytes(vec![7; 32]))]))])
}

fn signed(fixture: &Fixture, claims: &[u8]) -> Vec<u8> {
    sign(claims, &fixture.signing, Algorithm::EdDsa, &Headers::of(&fixture.signing)).unwrap()
}

fn encrypted(content: &[u8], key: &Jwk, algorithm: Algorithm) -> Vec<u8> {
    encrypt(content, key, algorithm, &Headers::of(key), &mut SystemRandom).unwrap()
}

fn ccm_key() -> Jwk {
    Jwk::from_symmetric(&[4; 16]).unwrap().with_kid("ccm")
}

fn server(issuer: &str, keys: &[Jwk]) -> AuthorizationServer {
    AuthorizationServer {
        issuer: issuer.to_owned(),
        keys: keys.iter().cloned().collect(),
        ..AuthorizationServer::default()
    }
}

fn broker(servers: Vec<AuthorizationServer>) -> Validator {
    let policy = Policy { audience: vec!["broker.example".to_owned()], ..Policy::default() };
    Validator::new(servers, JwkSet::default(), policy)
}

fn judge(broker: &Validator, token: &[u8]) -> Result<ValidatedToken, Refusal> {
    broker.validate(token, Timestamp::from_unix_seconds(NOW))
}

#[test]
fn a_good_cwt_says_what_its_claims_say() {
    let fixture = Fixture::new();
    let token = with_cwt_tag(&signed(&fixture, &claims(ISSUER, public_key(&fixture))));
    let valid = fixture.validator().validate(&token, Timestamp::from_unix_seconds(NOW)).unwrap();
    assert_eq!((valid.issuer.as_str(), valid.subject.as_deref()), (ISSUER, Some("device-7")));
    assert_eq!(valid.audience, ["broker.example"]);
    assert_eq!(valid.expires, Some(Timestamp::from_unix_seconds(NOW + 605)));
    assert_eq!(valid.scope, Scope::from_aif_value(&serde_json::json!([["sensors/#", ["pub"]]])).unwrap());
    assert_eq!(valid.key().unwrap().thumbprint(), fixture.client.thumbprint());
    assert_eq!(valid.fingerprint, Fingerprint::of(&token));
}

#[test]
fn a_key_that_two_issuers_share_proves_neither() {
    let (key, mac) = (ccm_key(), Jwk::from_symmetric(&[5; 32]).unwrap().with_kid("mac"));
    let own = broker(vec![server("a", &[key.clone(), mac.clone()]), server("b", &[])]);
    let shared = broker(vec![
        server("a", &[key.clone(), mac.clone()]),
        server("b", &[key.clone().with_kid("theirs"), mac.clone().with_kid("theirs")]),
    ]);
    let encrypted_only = encrypted(&claims("a", symmetric_key()), &key, Algorithm::AesCcm16Tag64Key128);
    let fixture = Fixture::new();
    let maced = sign(&claims("a", public_key(&fixture)), &mac, Algorithm::Hmac256, &Headers::of(&mac)).unwrap();
    for token in [&encrypted_only, &maced] {
        assert!(judge(&own, token).is_ok());
        assert_eq!(judge(&shared, token).err(), Some(Refusal::CwtIssuerUnproved));
    }
    // What is signed inside proves its issuer by itself.
    let signing = fixture.signing.to_public().unwrap();
    let nested = encrypted(&signed(&fixture, &claims("a", symmetric_key())), &key, Algorithm::AesCcm16Tag64Key128);
    let shared = broker(vec![server("a", &[key.clone(), signing]), server("b", &[key.with_kid("theirs")])]);
    assert!(judge(&shared, &nested).is_ok());
}

#[test]
fn one_issuer_cannot_speak_for_another() {
    let fixture = Fixture::new();
    let (of_a, of_b) = (ccm_key(), Jwk::from_symmetric(&[6; 16]).unwrap().with_kid("ccm"));
    let both = broker(vec![
        server("a", &[of_a.clone(), fixture.signing.to_public().unwrap()]),
        server("b", std::slice::from_ref(&of_b)),
    ]);
    let by = |issuer: &str, key: &Jwk| encrypted(&claims(issuer, symmetric_key()), key, Algorithm::AesCcm16Tag64Key128);
    // Keys of one name are each tried for their own server.
    assert_eq!(judge(&both, &by("a", &of_a)).unwrap().issuer, "a");
    assert_eq!(judge(&both, &by("b", &of_b)).unwrap().issuer, "b");
    assert_eq!(judge(&both, &by("a", &of_b)).err(), Some(Refusal::CwtIssuerUnproved));
    let unknown = judge(&both, &by("c", &of_b)).err();
    assert_eq!(unknown, Some(Refusal::IssuerUnknown { issuer: "c".into() }));
    // Signed by a, and encrypted by b, who can read the key in it.
    let nested = encrypted(&signed(&fixture, &claims("a", symmetric_key())), &of_b, Algorithm::AesCcm16Tag64Key128);
    assert_eq!(judge(&both, &nested).err(), Some(Refusal::CwtIssuerUnproved));
}

#[test]
fn only_allowed_algorithms_are_taken() {
    let fixture = Fixture::new();
    let allowing = |names: &[&str]| {
        let algorithms = Some(names.iter().map(|name| name.parse().unwrap()).collect());
        let keys = [ccm_key(), fixture.signing.to_public().unwrap()];
        broker(vec![AuthorizationServer { algorithms, ..server("a", &keys) }])
    };
    let signed = signed(&fixture, &claims("a", symmetric_key()));
    let nested = encrypted(&signed, &ccm_key(), Algorithm::AesCcm16Tag64Key128);
    assert!(judge(&allowing(&["EdDSA", "AES-CCM-16-64-128"]), &nested).is_ok());
    for names in [&["EdDSA"][..], &["AES-CCM-16-64-128"], &["ES256"]] {
        let refusal = judge(&allowing(names), &nested).err();
        assert!(matches!(refusal, Some(Refusal::AlgorithmNotAllowed { .. })), "{names:?}: {refusal:?}");
    }
}

#[test]
fn several_fitting_keys_are_not_guessed_among() {
    let keys = [ccm_key(), Jwk::from_symmetric(&[6; 16]).unwrap().with_kid("other")];
    let broker = broker(vec![server("a", &keys)]);
    let content = claims("a", symmetric_key());
    let headers = Headers::default();
    let nameless = encrypt(&content, &keys[0], Algorithm::AesCcm16Tag64Key128, &headers, &mut SystemRandom).unwrap();
    assert_eq!(judge(&broker, &nameless).err(), Some(Refusal::KeyAmbiguous));
    assert!(judge(&broker, &encrypted(&content, &keys[0], Algorithm::AesCcm16Tag64Key128)).is_ok());
}

#[test]
fn a_kid_may_name_the_key_of_an_earlier_token_of_the_same_holder() {
    let fixture = Fixture::new();
    let earlier = ConfirmationKey::from_jwk(&fixture.client.to_public().unwrap()).unwrap();
    let known = |name: &EarlierKey<'_>| -> Option<ConfirmationKey> {
        let expected = EarlierKey { issuer: ISSUER, subject: "device-7", kid: "AQI" };
        (*name == expected).then(|| earlier.clone())
    };
    let by_name = |kid: &[u8]| {
        let token = signed(&fixture, &claims(ISSUER, map(&[(3, Cbor::Bytes(kid.to_vec()))])));
        fixture.validator().validate_knowing(&token, Timestamp::from_unix_seconds(NOW), known)
    };
    assert_eq!(by_name(b"\x01\x02").unwrap().key().unwrap().thumbprint(), earlier.thumbprint());
    assert!(matches!(by_name(b"\x01\x03"), Err(Refusal::ConfirmationKeyUnknown { .. })));
    assert_eq!(by_name(b"").err(), Some(Refusal::ConfirmationMalformed));
}

#[test]
fn words_are_read_from_where_servers_put_them() {
    let fixture = Fixture::new();
    let signing = fixture.signing.to_public().unwrap();
    let judged = |claim: Option<&str>, label: Cbor, scope: Cbor| {
        let scope_format = ScopeFormat::Words { claim: claim.map(str::to_owned) };
        let broker =
            broker(vec![AuthorizationServer { scope_format, ..server(ISSUER, std::slice::from_ref(&signing)) }]);
        let entry = |label: Cbor, value: Cbor| (label, value);
        let claims = Cbor::Map(vec![
            entry(1.into(), ISSUER.into()),
            entry(3.into(), "broker.example".into()),
            entry(4.into(), (NOW + 600).into()),
            entry(8.into(), public_key(&fixture)),
            entry(label, scope),
        ]);
        judge(&broker, &signed(&fixture, &claims.to_vec().unwrap())).map(|valid| valid.scope.to_aif_value())
    };
    let granted = Ok(serde_json::json!([["a", ["pub"]]]));
    assert_eq!(judged(None, 9.into(), "openid mqtt:pub:a".into()), granted);
    assert_eq!(judged(None, "scp".into(), Cbor::Array(vec!["mqtt:pub:a".into()])), granted);
    assert_eq!(judged(Some("roles"), "roles".into(), "mqtt:pub:a".into()), granted);
    assert_eq!(judged(Some("roles"), 9.into(), "mqtt:pub:a".into()), Ok(serde_json::json!([])));
    assert!(judged(None, 9.into(), Cbor::Bytes(b"mqtt:pub:a".to_vec())).is_err());
}

/// Whatever a client makes of its token that is as good, is found in a revocation list by the hash of what it was given
/// (RFC 9770 §4.3.1).
#[test]
fn a_cwt_has_one_set_of_hashes_however_it_is_written() {
    let fixture = Fixture::new();
    let p256 = Jwk::p256_from_scalar(&[1; 32]).unwrap().with_kid("AQI");
    let broker = broker(vec![server(ISSUER, &[p256.to_public().unwrap()])]);
    let token = sign(&claims(ISSUER, public_key(&fixture)), &p256, Algorithm::Es256, &Headers::default()).unwrap();
    let hashes = judge(&broker, &token).unwrap().hashes;
    let as_sent = TokenHash::of(&base64url::encode(&with_cwt_tag(&token)));
    assert!(hashes.all().any(|hash| hash == as_sent));
    assert!(hashes.all().any(|hash| hash == TokenHash::of(&base64url::encode(&token))));

    let written = Message::parse(&token).unwrap().equivalents(&cose::kids_of("AQI"));
    assert_eq!(written.len(), crate::limits::TOKEN_HASHES);
    let sorted = |hashes: &TokenHashes| {
        let mut all: Vec<_> = hashes.all().collect();
        all.sort();
        all
    };
    for one in &written {
        let valid = judge(&broker, one).unwrap();
        assert_eq!(sorted(&valid.hashes), sorted(&hashes));
        assert!(hashes.all().any(|hash| hash == TokenHash::of(&base64url::encode(one))));
    }
    // A protected kid stays where it is.
    let token = sign(&claims(ISSUER, public_key(&fixture)), &p256, Algorithm::Es256, &Headers::of(&p256)).unwrap();
    assert_eq!(judge(&broker, &token).unwrap().hashes.all().count(), 4);
}

#[test]
fn a_key_that_is_for_decryption_alone_decrypts_and_verifies_nothing() {
    let fixture = Fixture::new();
    let (key, mac) = (ccm_key(), Jwk::from_symmetric(&[5; 32]).unwrap().with_kid("mac"));
    let decryption_keys = [key.clone(), mac.clone()].into_iter().collect();
    let broker = broker(vec![AuthorizationServer { decryption_keys, ..server("a", &[]) }]);
    let token = encrypted(&claims("a", symmetric_key()), &key, Algorithm::AesCcm16Tag64Key128);
    assert!(judge(&broker, &token).is_ok());
    let maced = sign(&claims("a", public_key(&fixture)), &mac, Algorithm::Hmac256, &Headers::of(&mac)).unwrap();
    assert!(matches!(judge(&broker, &maced), Err(Refusal::KeyUnknown { .. })));
}

#[test]
fn a_cwt_for_its_server_alone_is_known_by_its_issuer_and_its_hashes() {
    let fixture = Fixture::new();
    let broker = broker(vec![server(ISSUER, &[])]);
    let token = signed(&fixture, &claims(ISSUER, public_key(&fixture)));
    assert_eq!(broker.claimed_issuer(&token), Some(ISSUER));
    assert_eq!(broker.claimed_issuer(&base64url::encode(&token)), Some(ISSUER));
    assert_eq!(broker.claimed_issuer(&signed(&fixture, &claims("other", public_key(&fixture)))), None);
    assert_eq!(
        broker.claimed_issuer(&encrypted(&claims(ISSUER, symmetric_key()), &ccm_key(), Algorithm::AesCcm16Tag64Key128)),
        None
    );
    let answer = IntrospectionAnswer::parse(
        &serde_json::to_vec(&serde_json::json!({
            "active": true, "exp": NOW + 60, "cnf": {"jwk": fixture.client.public_value()}, "scope": [["a", ["pub"]]],
        }))
        .unwrap(),
    )
    .unwrap();
    let now = Timestamp::from_unix_seconds(NOW);
    let valid = broker.validate_introspected(&token, ISSUER, &answer, now, |_| None).unwrap();
    let listed = TokenHash::of(&base64url::encode(&with_cwt_tag(&token)));
    assert!(valid.hashes.all().any(|hash| hash == listed));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_judged_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), tag in 0..3_usize) {
        let fixture = Fixture::new();
        let head = [&b"\xd2\x84\x43\xa1\x01\x27"[..], b"\xd1\x84\x43\xa1\x01\x05", b"\xd0\x83\x43\xa1\x01\x0a"][tag];
        let validator = fixture.validator();
        prop_assert!(judge(&validator, &[head, &bytes].concat()).is_err());
        prop_assert!(judge(&validator, &bytes).is_err());
    }

    #[test]
    fn arbitrary_claims_are_judged_without_panic(
        label in proptest::sample::select(vec![1, 2, 3, 4, 5, 6, 8, 9, 40]),
        value in proptest::collection::vec(any::<u8>(), 1..60),
    ) {
        let fixture = Fixture::new();
        let payload = [&[0xa1, label], value.as_slice()].concat();
        prop_assert!(judge(&fixture.validator(), &signed(&fixture, &payload)).is_err());
        let in_cnf = [&[0xa2, 0x01, 0x72], ISSUER.as_bytes(), &[0x08], value.as_slice()].concat();
        let _ = judge(&fixture.validator(), &signed(&fixture, &in_cnf));
    }
}
