//! Signed texts: vectors of the RFCs, and what is refused about form and header.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::JsonFault;
use crate::random::SystemRandom;

/// A signed text with this header, this payload and an arbitrary signature.
fn text(header: &str, payload: &[u8]) -> String {
    format!("{}.{}.AAAA", base64url::encode(header.as_bytes()), base64url::encode(payload))
}

fn refusal(token: &str) -> Refusal {
    match Jws::parse(token) {
        Err(refusal) => refusal,
        Ok(_) => panic!("accepted: {token}"),
    }
}

fn header_refusal(header: serde_json::Value) -> Refusal {
    refusal(&text(&header.to_string(), b"{}"))
}

/// RFC 7515 §A.1, §A.2, §A.3 and RFC 8037 §A.4.
const VECTORS: [(&str, &str); 4] = [
    (
        r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#,
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    ),
    (
        r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    ),
    (
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
    (
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    ),
];

#[test]
fn vectors_of_the_rfcs_verify() {
    for (key, token) in VECTORS {
        let key = Jwk::from_json(key).unwrap();
        assert!(verify(token, &key).is_ok(), "{key:?}");
        let mut altered = token.to_owned().into_bytes();
        let payload = token.find('.').unwrap() + 3;
        altered[payload] = if altered[payload] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert_eq!(verify(&altered, &key), Err(Refusal::SignatureWrong), "{key:?}");
    }
}

#[test]
fn what_is_signed_verifies_with_the_public_half() {
    let rsa = Jwk::generate_rsa(2048).unwrap();
    for (algorithm, key) in [
        (Algorithm::EdDsa, Jwk::generate_ed25519(&mut SystemRandom).unwrap().with_kid("k1")),
        (Algorithm::Es256, Jwk::generate_p256(&mut SystemRandom).unwrap().with_kid("k2")),
        (Algorithm::Rs256, rsa.clone().with_kid("k3")),
        (Algorithm::Ps256, rsa.with_kid("k4")),
        (Algorithm::Hs256, Jwk::generate_symmetric(32, &mut SystemRandom).unwrap().with_kid("k5")),
    ] {
        let token = sign(b"{\"iss\":\"as\"}", &key, algorithm, Some("at+jwt")).unwrap();
        let public = key.to_public().unwrap_or_else(|| key.clone());
        assert_eq!(verify(&token, &public).unwrap(), b"{\"iss\":\"as\"}");
        let jws = Jws::parse(&token).unwrap();
        assert_eq!((jws.header().algorithm, jws.header().kid.as_deref()), (algorithm, key.kid()));
        if key.is_private() {
            let mismatch = Refusal::AlgorithmKeyMismatch { algorithm: algorithm.name().into() };
            assert_eq!(verify(&token, &key), Err(mismatch), "a private key must not verify");
        }
    }
}

#[test]
fn a_key_signs_only_what_fits_it() {
    let key = Jwk::generate_ed25519(&mut SystemRandom).unwrap();
    assert_eq!(sign(b"{}", &key, Algorithm::Es256, None), Err(KeyError::Unfit("ES256")));
    assert_eq!(sign(b"{}", &key.to_public().unwrap(), Algorithm::EdDsa, None), Err(KeyError::Unfit("EdDSA")));
    let short = Jwk::from_symmetric(&[1; 16]).unwrap();
    assert_eq!(sign(b"{}", &short, Algorithm::Hs256, None), Err(KeyError::Unfit("HS256")));
}

#[test]
fn an_rsa_public_key_as_hmac_secret_is_refused() {
    let key = Jwk::generate_rsa(2048).unwrap().to_public().unwrap();
    // The attacker's secret is the public key's text, which everybody knows.
    let secret = Jwk::from_symmetric(key.public_value().unwrap().to_string().as_bytes()).unwrap();
    let token = sign(b"{}", &secret, Algorithm::Hs256, None).unwrap();
    assert_eq!(verify(&token, &key), Err(Refusal::AlgorithmKeyMismatch { algorithm: "HS256".into() }));
}

#[test]
fn zeros_and_der_are_no_ecdsa_signature() {
    let key = Jwk::generate_p256(&mut SystemRandom).unwrap().to_public().unwrap();
    let signed = |signature: &[u8]| {
        let input = format!("{}.{}", base64url::encode(br#"{"alg":"ES256"}"#), base64url::encode(b"{}"));
        verify(&format!("{input}.{}", base64url::encode(signature)), &key)
    };
    assert_eq!(signed(&[0; 64]), Err(Refusal::SignatureWrong));
    assert_eq!(signed(&[]), Err(Refusal::SignatureLength { bytes: 0 }));
    let mut der = vec![0x30, 0x44, 0x02, 0x20];
    der.resize(70, 1);
    assert_eq!(signed(&der), Err(Refusal::SignatureLength { bytes: 70 }));
}

#[test]
fn only_the_compact_form_is_read() {
    for token in
        ["", ".", "..", "a.b", "a.b.c.d", "a.b.c.d.e", "e30.e30", "{}", "e30.e30.AA==", "e30.e3 0.AA", "e30.e30.AB"]
    {
        let found = refusal(token);
        let expected = if token == ".." { "header-not-json" } else { "token-not-jwt" };
        assert_eq!(found.code(), expected, "{token:?}");
    }
    assert_eq!(refusal("eyJhbGciOiJkaXIifQ..AA.AA.AA"), Refusal::TokenNotJwt);
    assert_eq!(refusal("\u{e9}.e30.AA"), Refusal::TokenNotJwt);
}

#[test]
fn a_long_token_is_not_looked_at() {
    let bytes = 60 * 1024;
    assert_eq!(refusal(&"x".repeat(bytes)), Refusal::TokenTooLarge { bytes });
    assert_eq!(refusal(&"x".repeat(limits::TOKEN_BYTES)), Refusal::TokenNotJwt);
}

#[test]
fn hostile_headers_are_refused() {
    let fault = |header: &str| refusal(&text(header, b"{}"));
    assert_eq!(fault("{"), Refusal::HeaderNotJson { fault: JsonFault::Syntax });
    assert_eq!(fault("[]"), Refusal::HeaderNotJson { fault: JsonFault::NotAnObject });
    let twice = r#"{"alg":"none","alg":"EdDSA"}"#;
    assert_eq!(fault(twice), Refusal::HeaderNotJson { fault: JsonFault::DuplicateMember });
    let deep = format!("{{\"alg\":\"EdDSA\",\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(fault(&deep), Refusal::HeaderNotJson { fault: JsonFault::TooDeep });
}

#[test]
fn each_header_member_is_checked() {
    for none in ["none", "None", "NONE", "nOnE"] {
        assert_eq!(header_refusal(json!({"alg": none})), Refusal::AlgorithmNone);
    }
    let malformed = |member| Refusal::HeaderMemberMalformed { member };
    assert_eq!(header_refusal(json!({})), malformed("alg"));
    assert_eq!(header_refusal(json!({"alg": 1})), malformed("alg"));
    assert_eq!(header_refusal(json!({"alg": "EdDSA", "kid": 1})), malformed("kid"));
    assert_eq!(header_refusal(json!({"alg": "EdDSA", "kid": "k".repeat(257)})), malformed("kid"));
    assert_eq!(header_refusal(json!({"alg": "EdDSA", "typ": null})), malformed("typ"));
    assert_eq!(header_refusal(json!({"alg": "EdDSA", "cty": []})), malformed("cty"));
    assert_eq!(header_refusal(json!({"alg": "ES384"})), Refusal::AlgorithmUnsupported { algorithm: "ES384".into() });
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!(null)] {
        assert_eq!(header_refusal(json!({"alg": "EdDSA", "crit": crit})), Refusal::HeaderCritical);
    }
    for b64 in [json!(false), json!(true), json!("false")] {
        assert_eq!(header_refusal(json!({"alg": "EdDSA", "b64": b64})), Refusal::HeaderCritical);
    }
    assert_eq!(header_refusal(json!({"alg": "EdDSA", "zip": "DEF"})), Refusal::HeaderCompressed);
    for cty in ["JWT", "jwt", "application/jwt", "at+jwt"] {
        assert_eq!(header_refusal(json!({"alg": "EdDSA", "cty": cty})), Refusal::TokenNested);
    }
}

#[test]
fn keys_in_the_header_are_ignored() {
    let attacker = Jwk::generate_ed25519(&mut SystemRandom).unwrap();
    let header =
        json!({"alg": "EdDSA", "jwk": attacker.public_value(), "jku": "https://attacker.example", "x5c": ["A"]});
    let input = format!("{}.{}", base64url::encode(header.to_string().as_bytes()), base64url::encode(b"{}"));
    let signature = signature::sign(attacker.material(), Algorithm::EdDsa, input.as_bytes()).unwrap();
    let token = format!("{input}.{}", base64url::encode(&signature));
    let key = Jwk::generate_ed25519(&mut SystemRandom).unwrap().to_public().unwrap();
    assert_eq!(verify(&token, &key), Err(Refusal::SignatureWrong));
}

proptest! {
    #[test]
    fn any_payload_survives(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        let key = Jwk::from_symmetric(&[3; 32]).unwrap();
        let token = sign(&payload, &key, Algorithm::Hs256, None).unwrap();
        prop_assert_eq!(verify(&token, &key).unwrap(), payload);
    }

    #[test]
    fn one_altered_character_spoils_a_token(index in 0..200_usize, replacement in "[A-Za-z0-9_.-]") {
        let key = Jwk::from_symmetric(&[3; 32]).unwrap();
        let token = sign(b"{\"iss\":\"https://as.example\",\"exp\":1700000000}", &key, Algorithm::Hs256, None).unwrap();
        let index = index % token.len();
        let mut altered = token.clone();
        altered.replace_range(index..=index, &replacement);
        prop_assume!(altered != token);
        prop_assert!(verify(&altered, &key).is_err());
    }

    #[test]
    fn arbitrary_text_never_panics(token in "[A-Za-z0-9_.=-]{0,80}|\\PC{0,40}") {
        let _ = Jws::parse(&token);
    }

    #[test]
    fn arbitrary_headers_never_panic(header in "\\{\"(alg|kid|crit)\":\\PC{0,20}\\}", payload in proptest::collection::vec(any::<u8>(), 0..20)) {
        let _ = Jws::parse(&text(&header, &payload));
    }
}
