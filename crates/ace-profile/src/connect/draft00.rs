//! The form of the draft -00: user name `ace`, password a JSON object with token and proof.
//!
//! ```json
//! {"access_token": "<token>", "mac": "<base64url>"}
//! {"access_token": "<token>", "mac": "<base64url>", "ts": 1700000000, "nonce": "<base64url>"}
//! ```
//! A client whose token names its key by a thumbprint (`jkt`) shows the key beside it: `"jwk": {…}`, the public half.
//!
//! Without `ts` and `nonce` the proof is over the TLS exporter's bytes, with them over
//! [`draft00_message`](crate::proof::draft00_message).

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};

use crate::base64url;
use crate::cose;
use crate::json;
use crate::limits;
use crate::proof::{Freshness, ShownKey};
use crate::{Fingerprint, Quoted, Refusal};

/// What the password of the draft's form says.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft00 {
    /// The token as it was written, not validated. A CWT is written in base64url.
    pub token: String,
    /// The proof (`mac`), not verified; neither empty nor longer than [`limits::PROOF_BYTES_MAX`].
    pub proof: Vec<u8>,
    /// `ts` and `nonce`, if the proof is a dated one.
    pub freshness: Option<Freshness>,
    /// The key that the client shows (`jwk`).
    pub shown_key: Option<ShownKey>,
}

impl Draft00 {
    /// Reads the password. A member that is not known here is refused, not ignored: it could be a
    /// condition that the client wants kept.
    ///
    /// # Errors
    /// A [`Refusal`] of the `Draft00…` or the `ShownKey…` family, or [`Refusal::TokenTooLarge`].
    pub fn parse(password: &[u8]) -> Result<Self, Refusal> {
        if password.len() > limits::DRAFT00_PASSWORD_BYTES {
            return Err(Refusal::Draft00TooLarge { bytes: password.len() });
        }
        let object = json::parse_object(password).map_err(|fault| Refusal::Draft00NotJson { fault })?;
        let known = ["access_token", "mac", "ts", "nonce", "jwk"];
        if let Some(member) = object.keys().find(|member| !known.contains(&member.as_str())) {
            return Err(Refusal::Draft00MemberUnknown { member: Quoted::new(member) });
        }
        let token = text(&object, "access_token")?;
        if token.len() > limits::TOKEN_BYTES {
            return Err(Refusal::TokenTooLarge { bytes: token.len() });
        }
        let proof = base64url::decode(text(&object, "mac")?.as_bytes())
            .ok()
            .filter(|proof| (1..=limits::PROOF_BYTES_MAX).contains(&proof.len()))
            .ok_or(Refusal::Draft00MemberMalformed { member: "mac" })?;
        let freshness = if object.contains_key("ts") || object.contains_key("nonce") {
            Some(Freshness { ts: seconds(&object)?, nonce: nonce(&object)?.to_owned() })
        } else {
            None
        };
        let shown_key = object.get("jwk").map(ShownKey::from_jwk).transpose()?;
        Ok(Self { token: token.to_owned(), proof, freshness, shown_key })
    }

    /// The token itself: what was written, or the CWT that it encodes.
    #[must_use]
    pub fn token_bytes(&self) -> Cow<'_, [u8]> {
        cose::cwt(self.token.as_bytes()).unwrap_or(Cow::Borrowed(self.token.as_bytes()))
    }

    /// Writes the password.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut object = Map::new();
        object.insert("access_token".into(), self.token.as_str().into());
        object.insert("mac".into(), base64url::encode(&self.proof).into());
        if let Some(freshness) = &self.freshness {
            object.insert("ts".into(), freshness.ts.into());
            object.insert("nonce".into(), freshness.nonce.as_str().into());
        }
        if let Some(key) = &self.shown_key {
            object.insert("jwk".into(), key.as_jwk().clone());
        }
        Value::Object(object).to_string()
    }
}

/// Shows the form and the token's fingerprint.
impl fmt::Debug for Draft00 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft00")
            .field("token", &Fingerprint::of(&self.token_bytes()))
            .field("dated", &self.freshness.is_some())
            .finish_non_exhaustive()
    }
}

fn text<'a>(object: &'a Map<String, Value>, member: &'static str) -> Result<&'a str, Refusal> {
    let value = object.get(member).ok_or(Refusal::Draft00MemberMissing { member })?;
    value.as_str().ok_or(Refusal::Draft00MemberMalformed { member })
}

fn seconds(object: &Map<String, Value>) -> Result<u64, Refusal> {
    let value = object.get("ts").ok_or(Refusal::Draft00MemberMissing { member: "ts" })?;
    value
        .as_u64()
        .filter(|seconds| *seconds <= limits::NUMERIC_DATE_MAX)
        .ok_or(Refusal::Draft00MemberMalformed { member: "ts" })
}

fn nonce(object: &Map<String, Value>) -> Result<&str, Refusal> {
    let nonce = text(object, "nonce")?;
    let bytes = limits::DRAFT00_NONCE_BYTES_MIN..=limits::DRAFT00_NONCE_BYTES_MAX;
    base64url::decode(nonce.as_bytes())
        .ok()
        .filter(|decoded| bytes.contains(&decoded.len()))
        .map(|_| nonce)
        .ok_or(Refusal::Draft00MemberMalformed { member: "nonce" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::JsonFault;

    const NONCE: &str = "AAECAwQFBgcICQoLDA0ODw";

    fn parse(value: serde_json::Value) -> Result<Draft00, Refusal> {
        Draft00::parse(value.to_string().as_bytes())
    }

    #[test]
    fn both_forms_are_read() {
        let plain = parse(json!({"access_token": "tok", "mac": "AQID"})).unwrap();
        assert_eq!((plain.token.as_str(), &plain.proof[..], plain.freshness), ("tok", &[1, 2, 3][..], None));
        let dated = parse(json!({"access_token": "tok", "mac": "AQID", "ts": 17, "nonce": NONCE})).unwrap();
        assert_eq!(dated.freshness, Some(Freshness { ts: 17, nonce: NONCE.to_owned() }));
    }

    #[test]
    fn a_cwt_is_written_in_base64url() {
        let cwt = b"\xd2\x84\x43\xa1\x01\x27\xa0\x40\x40";
        let parsed = parse(json!({"access_token": base64url::encode(cwt), "mac": "AQID"})).unwrap();
        assert_eq!(*parsed.token_bytes(), *cwt);
        for other in ["2YotnFZFEjr1zCsicMWpAA", "0oRtnFZFEjr1zCsicMWpAA"] {
            let text = parse(json!({"access_token": other, "mac": "AQID"})).unwrap();
            assert_eq!(*text.token_bytes(), *other.as_bytes(), "another token is what it is");
        }
    }

    #[test]
    fn each_fault_has_its_reason() {
        let missing = |member| Err(Refusal::Draft00MemberMissing { member });
        assert_eq!(parse(json!({"mac": "AQID"})), missing("access_token"));
        assert_eq!(parse(json!({"access_token": "t"})), missing("mac"));
        assert_eq!(parse(json!({"access_token": "t", "mac": "AQID", "ts": 1})), missing("nonce"));
        assert_eq!(parse(json!({"access_token": "t", "mac": "AQID", "nonce": NONCE})), missing("ts"));
        let malformed = |member| Err(Refusal::Draft00MemberMalformed { member });
        assert_eq!(parse(json!({"access_token": 1, "mac": "AQID"})), malformed("access_token"));
        for mac in [json!(null), json!(""), json!("A"), json!("AQID=="), json!("A".repeat(88))] {
            assert_eq!(parse(json!({"access_token": "t", "mac": mac})), malformed("mac"));
        }
        for ts in [json!("1"), json!(1.5), json!(-1), json!(1e300), json!(u64::MAX)] {
            assert_eq!(parse(json!({"access_token": "t", "mac": "AQID", "ts": ts, "nonce": NONCE})), malformed("ts"));
        }
        for nonce in [json!(1), json!("AAAA"), json!("*".repeat(22)), json!("A".repeat(88))] {
            let value = json!({"access_token": "t", "mac": "AQID", "ts": 1, "nonce": nonce});
            assert_eq!(parse(value), malformed("nonce"));
        }
        let unknown = parse(json!({"access_token": "t", "mac": "AQID", "audience": "x"}));
        assert_eq!(unknown, Err(Refusal::Draft00MemberUnknown { member: Quoted::new("audience") }));
    }

    #[test]
    fn a_shown_key_is_a_public_jwk() {
        let key = crate::jose::Jwk::ed25519_from_seed(&[7; 32]).unwrap();
        let with = |jwk: serde_json::Value| parse(json!({"access_token": "t", "mac": "AQID", "jwk": jwk}));
        let shown = with(key.public_value().unwrap()).unwrap().shown_key;
        assert_eq!(shown.map(|shown| shown.thumbprint()), Some(key.thumbprint()));
        assert_eq!(with(json!("key")), Err(Refusal::ShownKeyMalformed));
        assert_eq!(with(key.secret_value()), Err(Refusal::ShownKeyNotPublic));
    }

    #[test]
    fn hostile_json_is_refused() {
        let fault = |text: &[u8]| match Draft00::parse(text) {
            Err(Refusal::Draft00NotJson { fault }) => fault,
            other => panic!("{other:?}"),
        };
        assert_eq!(fault(b"{"), JsonFault::Syntax);
        assert_eq!(fault(b"\xff\xfe"), JsonFault::Syntax);
        assert_eq!(fault(b"[]"), JsonFault::NotAnObject);
        assert_eq!(fault(br#"{"mac":"AQID","mac":"AQIE"}"#), JsonFault::DuplicateMember);
        assert_eq!(fault("{\"m\":[".repeat(5_000).as_bytes()), JsonFault::TooDeep);
        let large = json!({"access_token": "t".repeat(60 * 1024), "mac": "AQID"}).to_string();
        assert_eq!(Draft00::parse(large.as_bytes()), Err(Refusal::Draft00TooLarge { bytes: large.len() }));
        let token = parse(json!({"access_token": "t".repeat(limits::TOKEN_BYTES + 1), "mac": "AQID"}));
        assert_eq!(token, Err(Refusal::TokenTooLarge { bytes: limits::TOKEN_BYTES + 1 }));
    }

    #[test]
    fn debug_shows_neither_token_nor_proof() {
        let shown = format!("{:?}", parse(json!({"access_token": "secret", "mac": "AQID"})).unwrap());
        assert!(!shown.contains("secret") && !shown.contains("AQID") && !shown.contains("[1, 2, 3]"), "{shown}");
    }

    proptest! {
        #[test]
        fn parse_undoes_encode(
            token in "\\PC{0,50}",
            proof in proptest::collection::vec(any::<u8>(), 1..=64),
            shows_key: bool,
            dated in proptest::option::of((0..=limits::NUMERIC_DATE_MAX, proptest::collection::vec(any::<u8>(), 16..=64))),
        ) {
            let freshness = dated.map(|(ts, nonce)| Freshness { ts, nonce: base64url::encode(&nonce) });
            let key = crate::jose::Jwk::ed25519_from_seed(&[7; 32]).unwrap();
            let shown_key = shows_key.then(|| ShownKey::of(&key).unwrap());
            let sent = Draft00 { token, proof, freshness, shown_key };
            prop_assert_eq!(Draft00::parse(sent.encode().as_bytes()), Ok(sent));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Draft00::parse(&bytes);
        }
    }
}
