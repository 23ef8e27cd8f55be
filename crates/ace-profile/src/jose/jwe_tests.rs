//! Encrypted keys: round trips, a vector of RFC 7520, and everything that is refused.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::random::SystemRandom;

const PAIRS: [(Management, Encryption); 4] = [
    (Management::Direct, Encryption::A128Gcm),
    (Management::Direct, Encryption::A256Gcm),
    (Management::A256Kw, Encryption::A128Gcm),
    (Management::A256Kw, Encryption::A256Gcm),
];

fn key_for(management: Management, encryption: Encryption) -> Jwk {
    let bytes = if management == Management::Direct { encryption.key_bytes() } else { 32 };
    Jwk::generate_symmetric(bytes, &mut SystemRandom).unwrap().with_kid("shared").with_use("enc")
}

fn set(keys: impl IntoIterator<Item = Jwk>) -> JwkSet {
    keys.into_iter().collect()
}

fn sealed(key: &Jwk, management: Management, encryption: Encryption) -> String {
    encrypt(b"plaintext", key, management, encryption, Some("jwk+json"), &mut SystemRandom).unwrap()
}

/// The pieces of `jwe` with one of them replaced.
fn with_piece(jwe: &str, index: usize, piece: &[u8]) -> String {
    let mut pieces: Vec<String> = jwe.split('.').map(str::to_owned).collect();
    pieces[index] = base64url::encode(piece);
    pieces.join(".")
}

#[test]
fn each_pair_decrypts_what_it_encrypted_and_no_altered_piece() {
    for (management, encryption) in PAIRS {
        let key = key_for(management, encryption);
        let keys = set([key.clone()]);
        let jwe = sealed(&key, management, encryption);
        assert_eq!(decrypt(&jwe, &keys).as_deref().map(Vec::as_slice), Ok(&b"plaintext"[..]));
        for index in 1..5 {
            let piece = base64url::decode(jwe.split('.').nth(index).unwrap().as_bytes()).unwrap();
            let Some(last) = piece.len().checked_sub(1) else { continue };
            let mut altered = piece.clone();
            altered[last] ^= 1;
            let verdict = decrypt(&with_piece(&jwe, index, &altered), &keys);
            assert_eq!(verdict.err(), Some(Refusal::JweUndecryptable), "{management} {encryption} piece {index}");
        }
        let header = json!({"alg": management.name(), "enc": encryption.name(), "kid": "shared"});
        let altered = with_piece(&jwe, 0, header.to_string().as_bytes());
        assert_eq!(decrypt(&altered, &keys).err(), Some(Refusal::JweUndecryptable), "the header is authenticated");
    }
}

#[test]
fn another_key_of_the_same_name_does_not_decrypt() {
    for (management, encryption) in PAIRS {
        let jwe = sealed(&key_for(management, encryption), management, encryption);
        let other = set([key_for(management, encryption)]);
        assert_eq!(decrypt(&jwe, &other).err(), Some(Refusal::JweUndecryptable));
    }
}

#[test]
fn example_of_rfc_7520_direct_encryption() {
    // RFC 7520 §5.6: dir with A128GCM.
    let key = Jwk::from_json(
        r#"{"kty":"oct","kid":"77c7e2b8-6e13-45cf-8672-617b5b45243a","use":"enc","alg":"A128GCM","k":"XctOhJAkA-pD9Lh7ZgW_2A"}"#,
    )
    .unwrap();
    let jwe = "eyJhbGciOiJkaXIiLCJraWQiOiI3N2M3ZTJiOC02ZTEzLTQ1Y2YtODY3Mi02MTdiNWI0NTI0M2EiLCJlbmMiOiJBMTI4R0NNIn0..refa467QzzKx6QAB.JW_i_f52hww_ELQPGaYyeAB6HYGcR559l9TYnSovc23XJoBcW29rHP8yZOZG7YhLpT1bjFuvZPjQS-m0IFtVcXkZXdH_lr_FrdYt9HRUYkshtrMmIUAyGmUnd9zMDB2n0cRDIHAzFVeJUDxkUwVAE7_YGRPdcqMyiBoCO-FBdE-Nceb4h3-FtBP-c_BIwCPTjb9o0SbdcdREEMJMyZBH8ySWMVi1gPD9yxi-aQpGbSv_F9N4IZAxscj5g-NJsUPbjk29-s7LJAGb15wEBtXphVCgyy53CoIKLHHeJHXex45Uz9aKZSRSInZI-wjsY0yu3cT4_aQ3i1o-tiE-F8Ios61EKgyIQ4CWao8PFMj8TTnp.vbb32Xvllea2OtmHAdccRQ";
    match decrypt(jwe, &set([key])) {
        Ok(plaintext) => assert!(plaintext.starts_with(b"You can trust us to stick with you")),
        Err(refusal) => panic!("{refusal}"),
    }
}

#[test]
fn the_key_is_chosen_by_name_or_by_being_the_only_one_that_fits() {
    let (management, encryption) = (Management::A256Kw, Encryption::A128Gcm);
    let key = Jwk::from_symmetric(&[5; 32]).unwrap();
    let jwe = sealed(&key, management, encryption);
    let unfit = [
        Jwk::from_symmetric(&[6; 32]).unwrap().with_use("sig"),
        Jwk::from_symmetric(&[6; 32]).unwrap().with_algorithm("HS256"),
        Jwk::from_symmetric(&[6; 16]).unwrap(),
        Jwk::generate_ed25519(&mut SystemRandom).unwrap(),
    ];
    assert!(decrypt(&jwe, &set(unfit.iter().cloned().chain([key.clone()]))).is_ok());
    assert_eq!(decrypt(&jwe, &set(unfit)).err(), Some(Refusal::JweKeyMissing));
    let two = set([key.clone(), Jwk::from_symmetric(&[6; 32]).unwrap()]);
    assert_eq!(decrypt(&jwe, &two).err(), Some(Refusal::JweKeyAmbiguous));
    let named = sealed(&key.clone().with_kid("a"), management, encryption);
    let both = set([key.clone().with_kid("a"), Jwk::from_symmetric(&[6; 32]).unwrap().with_kid("b")]);
    assert!(decrypt(&named, &both).is_ok());
    assert_eq!(decrypt(&named, &set([key.with_kid("b")])).err(), Some(Refusal::JweKeyMissing));
}

#[test]
fn alg_and_key_ops_of_the_shared_key_are_kept() {
    let key = |value: serde_json::Value| {
        let mut members = Jwk::from_symmetric(&[5; 32]).unwrap().secret_value();
        members.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        Jwk::from_value(&members).unwrap()
    };
    let wraps = |value| fits(&key(value), Management::A256Kw, Encryption::A128Gcm, "decrypt");
    assert!(wraps(json!({"alg": "A256KW"})) && wraps(json!({"key_ops": ["wrapKey", "unwrapKey"]})));
    assert!(!wraps(json!({"alg": "dir"})) && !wraps(json!({"key_ops": ["decrypt"]})));
    let direct = |value| fits(&key(value), Management::Direct, Encryption::A256Gcm, "decrypt");
    assert!(direct(json!({"alg": "A256GCM"})) && direct(json!({"alg": "dir"})));
    assert!(direct(json!({"key_ops": ["decrypt"]})) && !direct(json!({"key_ops": ["unwrapKey"]})));
    assert!(!direct(json!({"alg": "A256KW"})) && !direct(json!({"alg": "A128GCM"})));
}

#[test]
fn encryption_wants_a_fitting_key() {
    let encrypt = |key: &Jwk| encrypt(b"p", key, Management::A256Kw, Encryption::A128Gcm, None, &mut SystemRandom);
    assert_eq!(encrypt(&Jwk::from_symmetric(&[1; 16]).unwrap()).err(), Some(KeyError::Unfit("A256KW")));
    assert_eq!(encrypt(&Jwk::generate_p256(&mut SystemRandom).unwrap()).err(), Some(KeyError::Unfit("A256KW")));
}

#[test]
fn headers_outside_the_profile_are_refused() {
    let keys = set([Jwk::from_symmetric(&[5; 32]).unwrap()]);
    let jwe = sealed(&keys.keys()[0], Management::Direct, Encryption::A256Gcm);
    let verdict = |header: serde_json::Value| decrypt(&with_piece(&jwe, 0, header.to_string().as_bytes()), &keys).err();
    let unsupported = |name: &str| Some(Refusal::JweUnsupported { algorithm: name.into() });
    assert_eq!(verdict(json!({"alg": "RSA-OAEP", "enc": "A256GCM"})), unsupported("RSA-OAEP"));
    assert_eq!(verdict(json!({"alg": "RSA1_5", "enc": "A256GCM"})), unsupported("RSA1_5"));
    assert_eq!(
        verdict(json!({"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 1e9})),
        unsupported("PBES2-HS256+A128KW")
    );
    assert_eq!(verdict(json!({"alg": "dir", "enc": "A128CBC-HS256"})), unsupported("A128CBC-HS256"));
    for extension in
        [json!({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}), json!({"alg": "dir", "enc": "A256GCM", "crit": []})]
    {
        assert_eq!(verdict(extension), Some(Refusal::JweExtension));
    }
    for malformed in [
        json!({}),
        json!([]),
        json!({"alg": "dir"}),
        json!({"alg": 1, "enc": "A256GCM"}),
        json!({"alg": "dir", "enc": "A256GCM", "kid": 1}),
    ] {
        assert_eq!(verdict(malformed), Some(Refusal::JweMalformed));
    }
}

#[test]
fn pieces_of_the_wrong_size_are_malformed() {
    for (management, encryption) in PAIRS {
        let key = key_for(management, encryption);
        let keys = set([key.clone()]);
        let jwe = sealed(&key, management, encryption);
        for (index, wrong) in [(1, vec![0; 3]), (2, vec![0; 11]), (2, vec![0; 16]), (4, vec![0; 12]), (4, vec![])] {
            assert_eq!(decrypt(&with_piece(&jwe, index, &wrong), &keys).err(), Some(Refusal::JweMalformed));
        }
        for text in ["", "a.b.c", &format!("{jwe}.AA"), &jwe.replace('.', "=."), &"a".repeat(limits::JWE_BYTES + 1)] {
            assert_eq!(decrypt(text, &keys).err(), Some(Refusal::JweMalformed));
        }
    }
}

#[test]
fn names_round_trip() {
    for (management, encryption) in PAIRS {
        assert_eq!(management.to_string().parse(), Ok(management));
        assert_eq!(encryption.to_string().parse(), Ok(encryption));
    }
    assert_eq!("A128KW".parse::<Management>(), Err(UnknownJweAlgorithm));
    assert_eq!("a128gcm".parse::<Encryption>(), Err(UnknownJweAlgorithm));
}

#[test]
fn without_random_bytes_nothing_is_encrypted() {
    struct Dry;
    impl Random for Dry {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), KeyError> {
            Err(KeyError::RandomUnavailable)
        }
    }
    for (management, encryption) in PAIRS {
        let key = key_for(management, encryption);
        let verdict = encrypt(b"p", &key, management, encryption, None, &mut Dry);
        assert_eq!(verdict, Err(KeyError::RandomUnavailable));
    }
}

proptest! {
    #[test]
    fn any_plaintext_survives(plaintext in proptest::collection::vec(any::<u8>(), 0..300), pair in 0..4_usize) {
        let (management, encryption) = PAIRS[pair];
        let key = key_for(management, encryption);
        let jwe = encrypt(&plaintext, &key, management, encryption, None, &mut SystemRandom).unwrap();
        let decrypted = decrypt(&jwe, &set([key])).unwrap();
        prop_assert_eq!(decrypted.as_slice(), &plaintext[..]);
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[A-Za-z0-9_-]{0,20}(\\.[A-Za-z0-9_-]{0,40}){4}|\\PC{0,40}") {
        let _ = decrypt(&text, &set([Jwk::from_symmetric(&[5; 32]).unwrap()]));
    }

    #[test]
    fn arbitrary_pieces_never_panic(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 4), wrap: bool) {
        let alg = if wrap { "A256KW" } else { "dir" };
        let header = format!(r#"{{"alg":"{alg}","enc":"A256GCM"}}"#);
        let rest: Vec<String> = pieces.iter().map(|piece| base64url::encode(piece)).collect();
        let text = format!("{}.{}", base64url::encode(header.as_bytes()), rest.join("."));
        prop_assert!(decrypt(&text, &set([Jwk::from_symmetric(&[5; 32]).unwrap()])).is_err());
    }
}
