//! Encrypted keys: round trips, a vector of RFC 7520, and everything that is refused.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::random::SystemRandom;

const PAIRS: [(Management, Encryption); 9] = [
    (Management::Direct, Encryption::A128Gcm),
    (Management::Direct, Encryption::A256Gcm),
    (Management::Direct, Encryption::A128CbcHs256),
    (Management::A128Kw, Encryption::A128Gcm),
    (Management::A128Kw, Encryption::A256Gcm),
    (Management::A128Kw, Encryption::A128CbcHs256),
    (Management::A256Kw, Encryption::A128Gcm),
    (Management::A256Kw, Encryption::A256Gcm),
    (Management::A256Kw, Encryption::A128CbcHs256),
];

fn key_for(management: Management, encryption: Encryption) -> Jwk {
    let bytes = management.wrapping_key_bytes().unwrap_or(encryption.key_bytes());
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
    let wraps = |value| shares(&key(value), Management::A256Kw, Encryption::A128Gcm, "decrypt");
    assert!(wraps(json!({"alg": "A256KW"})) && wraps(json!({"key_ops": ["wrapKey", "unwrapKey"]})));
    assert!(!wraps(json!({"alg": "dir"})) && !wraps(json!({"key_ops": ["decrypt"]})));
    let direct = |value| shares(&key(value), Management::Direct, Encryption::A256Gcm, "decrypt");
    assert!(direct(json!({"alg": "A256GCM"})) && direct(json!({"alg": "dir"})));
    assert!(direct(json!({"key_ops": ["decrypt"]})) && !direct(json!({"key_ops": ["unwrapKey"]})));
    assert!(!direct(json!({"alg": "A256KW"})) && !direct(json!({"alg": "A128GCM"})));
}

#[test]
fn encryption_wants_a_fitting_key() {
    let encrypt = |key: &Jwk| encrypt(b"p", key, Management::A256Kw, Encryption::A128Gcm, None, &mut SystemRandom);
    assert_eq!(encrypt(&Jwk::from_symmetric(&[1; 16]).unwrap()).err(), Some(KeyError::Unfit("A256KW")));
    assert_eq!(encrypt(&Jwk::generate_p256(&mut SystemRandom).unwrap()).err(), Some(KeyError::Unfit("A256KW")));
    for management in Management::ALL.into_iter().filter(|management| management.is_asymmetric()) {
        for key in [Jwk::from_symmetric(&[1; 32]).unwrap(), Jwk::generate_x25519(&mut SystemRandom).unwrap()] {
            let verdict = super::encrypt(b"p", &key, management, Encryption::A256Gcm, None, &mut SystemRandom);
            assert_eq!(verdict, Err(KeyError::Unfit(management.name())));
        }
    }
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
    assert_eq!(verdict(json!({"alg": "dir", "enc": "A256CBC-HS512"})), unsupported("A256CBC-HS512"));
    for name in ["none", "A128GCMKW", "A192KW", "ECDH-ES+A192KW", "DIR", ""] {
        assert_eq!(verdict(json!({"alg": name, "enc": "A256GCM"})), unsupported(name));
    }
    for (member, value) in [
        ("zip", json!("DEF")),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("p2s", json!("AAAA")),
        ("p2c", json!(1)),
    ] {
        let mut header = json!({"alg": "dir", "enc": "A256GCM"});
        header[member] = value;
        assert_eq!(verdict(header), Some(Refusal::JweExtension), "{member}");
    }
    for malformed in [
        json!({}),
        json!([]),
        json!({"alg": "dir"}),
        json!({"alg": 1, "enc": "A256GCM"}),
        json!({"alg": "dir", "enc": "A256GCM", "kid": 1}),
        json!({"alg": "dir", "enc": "A256GCM", "kid": "k".repeat(limits::KID_BYTES + 1)}),
        json!({"alg": "dir", "enc": "A256GCM", "cty": 1}),
        json!({"alg": "dir", "enc": "A256GCM", "typ": 1}),
        json!({"alg": "dir", "enc": "A256GCM", "iss": 1}),
        json!({"alg": "dir", "enc": "A256GCM", "epk": {}}),
        json!({"alg": "dir", "enc": "A256GCM", "apu": "AA"}),
        json!({"alg": "ECDH-ES", "enc": "A256GCM"}),
    ] {
        assert_eq!(verdict(malformed), Some(Refusal::JweMalformed));
    }
}

/// A header with this ephemeral key, on pieces that look right.
fn agreed(epk: &serde_json::Value, more: &serde_json::Value) -> String {
    let mut header = json!({"alg": "ECDH-ES", "enc": "A256GCM", "epk": epk});
    header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let pieces = [header.to_string().as_bytes(), b"", &[1; 12], b"text", &[1; 16]].map(base64url::encode);
    pieces.join(".")
}

#[test]
fn ephemeral_keys_are_public_points_of_their_curve() {
    let p256 = Jwk::generate_p256(&mut SystemRandom).unwrap();
    let x25519 = Jwk::generate_x25519(&mut SystemRandom).unwrap();
    let keys = set([p256.clone().with_use("enc"), x25519.clone().with_use("enc")]);
    let verdict = |epk: &serde_json::Value| decrypt(&agreed(epk, &json!({})), &keys).err();
    for good in [&p256, &x25519] {
        assert_eq!(verdict(&good.public_value().unwrap()), Some(Refusal::JweUndecryptable));
        assert_eq!(verdict(&good.secret_value()), Some(Refusal::JweMalformed));
    }
    let mut off_the_curve = p256.public_value().unwrap();
    off_the_curve["y"] = off_the_curve["x"].clone();
    let zero = base64url::encode(&[0; 32]);
    for malformed in [
        off_the_curve,
        json!({"kty": "EC", "crv": "P-256", "x": zero, "y": zero}),
        json!({"kty": "EC", "crv": "P-384", "x": zero, "y": zero}),
        json!({"kty": "OKP", "crv": "X448", "x": zero}),
        json!({"kty": "OKP", "crv": "X25519", "x": "AAAA"}),
        json!({"kty": "oct", "k": zero}),
        json!("key"),
        json!(null),
    ] {
        assert_eq!(verdict(&malformed), Some(Refusal::JweMalformed), "{malformed}");
    }
    // Every agreement with this one gives zero.
    assert_eq!(verdict(&json!({"kty": "OKP", "crv": "X25519", "x": zero})), Some(Refusal::JweUndecryptable));
    // A key of another kind is nobody's contribution.
    let ed25519 = Jwk::generate_ed25519(&mut SystemRandom).unwrap().public_value().unwrap();
    assert_eq!(verdict(&ed25519), Some(Refusal::JweKeyMissing));
    let epk = p256.public_value().unwrap();
    for more in
        [json!({"apu": "="}), json!({"apv": 1}), json!({"apu": "A".repeat(360)}), json!({"apv": "A".repeat(360)})]
    {
        assert_eq!(decrypt(&agreed(&epk, &more), &keys).err(), Some(Refusal::JweMalformed), "{more}");
    }
}

#[test]
fn private_keys_decrypt_only_if_they_say_so() {
    let epk = Jwk::generate_p256(&mut SystemRandom).unwrap().public_value().unwrap();
    let jwe = agreed(&epk, &json!({}));
    let key = Jwk::generate_p256(&mut SystemRandom).unwrap();
    let with_operations = |operations: serde_json::Value| {
        let mut value = key.clone().with_use("enc").secret_value();
        value["key_ops"] = operations;
        Jwk::from_value(&value).unwrap()
    };
    for fit in [
        key.clone().with_use("enc"),
        key.clone().with_algorithm("ECDH-ES"),
        key.clone().with_use("enc").with_algorithm("ECDH-ES"),
        with_operations(json!(["deriveKey"])),
        with_operations(json!(["deriveBits"])),
    ] {
        assert!(fit.can_decrypt());
        assert!(!fit.can_verify(crate::jose::Algorithm::Es256), "it checks no signature");
        assert_eq!(decrypt(&jwe, &set([fit])).err(), Some(Refusal::JweUndecryptable));
    }
    for unfit in [
        key.clone(),
        key.clone().with_use("sig"),
        key.clone().with_use("sig").with_algorithm("ECDH-ES"),
        key.clone().with_algorithm("ES256"),
        key.clone().with_use("enc").with_algorithm("ES256"),
        key.clone().with_use("enc").with_algorithm("ECDH-ES+A128KW"),
        key.to_public().unwrap().with_use("enc"),
        with_operations(json!(["sign"])),
        Jwk::generate_x25519(&mut SystemRandom).unwrap().with_use("enc"),
    ] {
        assert_eq!(decrypt(&jwe, &set([unfit])).err(), Some(Refusal::JweKeyMissing));
    }
}

/// With a wrong length, a wrong padding and a wrong key alike, a random key is tried, and the tag is wrong.
#[test]
fn rsa_tells_nothing_of_why() {
    let key = Jwk::generate_rsa(2048).unwrap().with_use("enc");
    let header = json!({"alg": "RSA-OAEP-256", "enc": "A128GCM"});
    for encrypted_key in [vec![], vec![0; 256], vec![0xff; 256], vec![7; 255], vec![7; 257]] {
        let pieces =
            [header.to_string().as_bytes(), &encrypted_key, &[1; 12], b"text", &[1; 16]].map(base64url::encode);
        let verdict = decrypt(&pieces.join("."), &set([key.clone()]));
        assert_eq!(verdict.err(), Some(Refusal::JweUndecryptable), "{}", encrypted_key.len());
    }
}

/// The tag is compared before anything is decrypted: a wrong padding behind a right tag is no way to ask about it, and any change of
/// the text shows in the tag.
#[test]
fn contents_in_cbc_are_what_rfc_7518_says() {
    // RFC 7518 appendix B.1.
    let bytes = |hex: &str| -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    };
    let key: Vec<u8> = (0..32).collect();
    let sealed = || Sealed {
        iv: bytes("1af38c2dc2b96ffdd86694092341bc04"),
        text: bytes(
            "c80edfa32ddf39d5ef00c0b468834279a2e46a1b8049f792f76bfe54b903a9c9a94ac9b47ad2655c5f10f9aef71427e2\
             fc6f9b3f399a221489f16362c703233609d45ac69864e3321cf82935ac4096c86e133314c54019e8ca7980dfa4b9cf1b\
             384c486f3a54c51078158ee5d79de59fbd34d848b3d69550a67646344427ade54b8851ffb598f7f80074b9473c82e2db",
        ),
        tag: bytes("652c3fa36b0a7c5b3219fab3a30bc1c4"),
    };
    let header = "The second principle of Auguste Kerckhoffs";
    let opened = Encryption::A128CbcHs256.open(&key, header, sealed()).unwrap();
    assert!(opened.starts_with(b"A cipher system must not be required to be secret"));
    for spoil in
        [|it: &mut Sealed| it.iv[0] ^= 1, |it: &mut Sealed| it.text[143] ^= 1, |it: &mut Sealed| it.tag[15] ^= 1]
    {
        let mut spoiled = sealed();
        spoil(&mut spoiled);
        assert!(Encryption::A128CbcHs256.open(&key, header, spoiled).is_none());
    }
    assert!(Encryption::A128CbcHs256.open(&key, "another header", sealed()).is_none());
    assert!(Encryption::A128CbcHs256.open(&key[..31], header, sealed()).is_none());
}

#[test]
fn the_same_key_twice_is_one_key() {
    let key = Jwk::from_symmetric(&[5; 32]).unwrap();
    let jwe = sealed(&key, Management::A256Kw, Encryption::A128Gcm);
    assert!(decrypt(&jwe, &set([key.clone(), key.clone().with_kid("again"), key])).is_ok());
}

#[test]
fn pieces_of_the_wrong_size_are_malformed() {
    for (management, encryption) in PAIRS {
        let key = key_for(management, encryption);
        let keys = set([key.clone()]);
        let jwe = sealed(&key, management, encryption);
        for (index, wrong) in [(1, vec![0; 3]), (2, vec![0; 11]), (2, vec![0; 17]), (4, vec![0; 12]), (4, vec![])] {
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
    for management in Management::ALL {
        assert_eq!(management.name().parse(), Ok(management));
    }
    assert_eq!("A192KW".parse::<Management>(), Err(UnknownJweAlgorithm));
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
    fn any_plaintext_survives(plaintext in proptest::collection::vec(any::<u8>(), 0..300), pair in 0..PAIRS.len()) {
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
