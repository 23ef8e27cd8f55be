//! Whose token it is, and whether that is proved: headers, issuer, key, signature.

use serde_json::{Map, Value};

use super::super::claims::{Claims, UnverifiedClaims};
use super::super::confirmation::KeysInClear;
use super::super::cwt_claims::CwtClaims;
use super::super::cwt_validation::{check_allowed, holds};
use super::super::encrypted::Opened;
use super::super::{AuthorizationServer, EarlierKey, Validator, key_selection};
use super::claims::Read;
use super::{Account, Form};
use crate::cose::{self, Message};
use crate::jose::jws::{Header, Jws};
use crate::jose::{Jwk, compact};
use crate::proof::ConfirmationKey;
use crate::{Quoted, Refusal, Timestamp, base64url, json};

impl Validator {
    pub(super) fn account_of_jwt(
        &self,
        account: &mut Account,
        text: &str,
        opened: Option<&Opened<'_>>,
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) {
        let jws = Jws::parse(text);
        let payload = match &jws {
            Ok(jws) => {
                header(account, jws.header());
                Some(jws.unverified_payload().to_vec())
            }
            Err(refusal) => {
                account.fault(
                    "header",
                    algorithm_in(text).map(|name| Quoted::new(&name).to_string()).unwrap_or_default(),
                    refusal.clone(),
                );
                payload_of(text)
            }
        };
        let Some(payload) = payload else { return };
        let claims = match UnverifiedClaims::parse(&payload) {
            Ok(claims) => claims,
            Err(refusal) => return account.fault("claims", "", refusal),
        };
        let server = self.account_of_issuer(account, claims.issuer());
        if let (Some(opened), Some(server)) = (opened, server)
            && !opened.may_be_of(&server.issuer)
        {
            account.fault("encryption", "", Refusal::JweIssuerForeign { issuer: Quoted::new(&server.issuer) });
        }
        if let (Ok(jws), Some(server)) = (&jws, server) {
            verification(account, jws, server);
        }
        let in_clear = if opened.is_some() { KeysInClear::Any } else { KeysInClear::Public };
        // What has not been verified is shown as what somebody has written.
        let claims = claims.believed();
        self.account_of_claims(account, &Read { claims: &claims, in_clear, is_answer: false }, server, now, earlier);
    }

    pub(super) fn account_of_cwt(
        &self,
        account: &mut Account,
        message: &Message,
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) {
        cose_header(account, message);
        if message.unverified_payload().is_some() {
            return self.account_of_signed_cwt(account, message, None, now, earlier);
        }
        account.form = Form::EncryptedCwt;
        let (content, server, key) = match self.decrypted(message) {
            Ok(decrypted) => decrypted,
            Err(refusal) => return account.fault("encryption", "", refusal),
        };
        let with = format!("decrypts with {}, of {}", named(key), Quoted::new(&server.issuer));
        account.good("encryption", "", with);
        if cose::looks_like_cwt(&content) {
            match Message::parse(&content) {
                Ok(inner) => {
                    cose_header(account, &inner);
                    self.account_of_signed_cwt(account, &inner, Some(key), now, earlier);
                }
                Err(refusal) => account.fault("form", "", refusal),
            }
            return;
        }
        let claims = match CwtClaims::parse(&content) {
            Ok(claims) => claims,
            Err(refusal) => return account.fault("claims", "", refusal),
        };
        let issuer = self.account_of_issuer(account, issuer_of(&claims));
        if let Some(issuer) = issuer {
            if issuer.issuer != server.issuer || self.is_shared(key, issuer) {
                account.fault("key", named(key), Refusal::CwtIssuerUnproved);
            } else {
                account.is_believed = true;
            }
        }
        let said = Read { claims: &claims, in_clear: KeysInClear::Any, is_answer: false };
        self.account_of_claims(account, &said, issuer, now, earlier);
    }

    /// `outer` is the key that it was encrypted with.
    fn account_of_signed_cwt(
        &self,
        account: &mut Account,
        message: &Message,
        outer: Option<&Jwk>,
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) {
        let Some(payload) = message.unverified_payload() else {
            return account.fault("form", "", Refusal::TokenNested);
        };
        let claims = match CwtClaims::parse(payload) {
            Ok(claims) => claims,
            Err(refusal) => return account.fault("claims", "", refusal),
        };
        let server = self.account_of_issuer(account, issuer_of(&claims));
        if let Some(server) = server {
            match check_allowed(server, message).and_then(|()| key_selection::select_cose(message, server)) {
                Ok(key) => self.cose_verification(account, message, server, key, outer),
                Err(refusal) => account.fault("key", "", refusal),
            }
        }
        let in_clear = if outer.is_some() { KeysInClear::Any } else { KeysInClear::Public };
        self.account_of_claims(account, &Read { claims: &claims, in_clear, is_answer: false }, server, now, earlier);
    }

    fn cose_verification(
        &self,
        account: &mut Account,
        message: &Message,
        server: &AuthorizationServer,
        key: &Jwk,
        outer: Option<&Jwk>,
    ) {
        account.good("key", named(key), format!("of {}", Quoted::new(&server.issuer)));
        if let Err(refusal) = message.verify(key) {
            return account.fault("signature", "", refusal);
        }
        let is_unproved = key.symmetric_bytes().is_some() && self.is_shared(key, server)
            || outer.is_some_and(|outer| !holds(server, outer));
        if is_unproved {
            return account.fault("signature", "", Refusal::CwtIssuerUnproved);
        }
        account.is_believed = true;
        account.good("signature", "", "verifies with that key");
    }

    /// The server that the token says it is of, if it is one of ours.
    fn account_of_issuer(&self, account: &mut Account, issuer: Result<&str, Refusal>) -> Option<&AuthorizationServer> {
        let issuer = match issuer {
            Ok(issuer) => issuer,
            Err(refusal) => {
                account.fault("iss", "", refusal);
                return None;
            }
        };
        match self.server(issuer) {
            Ok(server) => {
                account.issuer = Some(server.issuer.clone());
                account.good("iss", Quoted::new(issuer), "one of the configured authorization servers");
                Some(server)
            }
            Err(refusal) => {
                account.fault("iss", Quoted::new(issuer), refusal);
                None
            }
        }
    }
}

fn issuer_of<'a>(claims: &'a CwtClaims<'_>) -> Result<&'a str, Refusal> {
    claims.issuer()?.ok_or(Refusal::IssuerMissing)
}

fn header(account: &mut Account, header: &Header) {
    let kid = header
        .kid
        .as_deref()
        .map_or_else(|| "names no key (kid)".to_owned(), |kid| format!("names the key {} (kid)", Quoted::new(kid)));
    account.good("header", format!("alg {}", header.algorithm_name), kid);
}

fn cose_header(account: &mut Account, message: &Message) {
    let kid = message.kid().map_or_else(
        || "names no key (kid)".to_owned(),
        |kid| format!("names the key {} (kid)", Quoted::new(&cose::kid_name(kid))),
    );
    account.good("header", format!("alg {}", message.algorithm_name()), kid);
}

/// The steps by which a signed JWT is believed.
fn verification(account: &mut Account, jws: &Jws<'_>, server: &AuthorizationServer) {
    let header = jws.header();
    if server.algorithms.as_ref().is_some_and(|allowed| !allowed.allows(header.algorithm)) {
        let refusal = Refusal::AlgorithmNotAllowed { algorithm: header.algorithm_name.clone() };
        account.fault("algorithm", header.algorithm_name.to_string(), refusal);
    }
    let key = match key_selection::select(header, server) {
        Ok(key) => key,
        Err(refusal) => return account.fault("key", "", refusal),
    };
    account.good("key", named(key), format!("of {}", Quoted::new(&server.issuer)));
    match jws.verify(key) {
        Ok(_) => {
            account.is_believed = true;
            account.good("signature", "", "verifies with that key");
        }
        Err(refusal) => account.fault("signature", "", refusal),
    }
}

/// A key as it is shown: its kind and its name.
fn named(key: &Jwk) -> String {
    let kind = super::claims::kind(key.key_type());
    key.kid().map_or_else(|| format!("{kind} key without a kid"), |kid| format!("{kind} key {}", Quoted::new(kid)))
}

/// `alg` in a header that is not acceptable.
fn algorithm_in(text: &str) -> Option<String> {
    let [header, ..] = compact::split::<3>(text)?;
    let header: Map<String, Value> = json::parse_object(&base64url::decode(header.as_bytes()).ok()?).ok()?;
    Some(format!("alg {}", header.get("alg")?.as_str()?))
}

/// The payload of a text whose header is not acceptable.
fn payload_of(text: &str) -> Option<Vec<u8>> {
    let [_, payload, _] = compact::split::<3>(text)?;
    base64url::decode(payload.as_bytes()).ok()
}
