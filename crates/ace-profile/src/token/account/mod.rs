//! What a token says, piece by piece, and what a broker thinks of each piece: for people who ask why.
//!
//! No verdict is made here: that is [`Validator::validate_knowing`]'s, which stops at the first thing that is wrong. An account goes on,
//! and shows the rest as well. Its pieces are judged by the same functions, and its first fault is the validator's refusal. It holds no
//! part of the token that could be used: no signature, and no key but by its public thumbprint.

mod claims;
mod signed;

use std::time::Duration;

use super::{EarlierKey, IntrospectionAnswer, Validator, encrypted, validator};
use crate::connect::is_opaque;
use crate::cose::{self, Message};
use crate::jose::{jwe, looks_like_jwt};
use crate::proof::ConfirmationKey;
use crate::scope::Scope;
use crate::{Quoted, Refusal, Timestamp};

/// What a token is, as far as its outside tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// A signed JWT (RFC 7519).
    SignedJwt,
    /// A signed JWT inside a JWE (RFC 7519 §5.2).
    EncryptedJwt,
    /// A CWT that is signed or has a MAC (RFC 8392 §7).
    Cwt,
    /// An encrypted CWT.
    EncryptedCwt,
    /// A text that only its server can read.
    Opaque,
    /// None of these.
    #[default]
    Other,
}

/// What stands in a piece of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Nothing that could be shown.
    Nothing,
    /// A text. What is not our own in it is escaped.
    Text(String),
    /// A point in time.
    Time(Timestamp),
    /// How long something lasts.
    Lifetime(Duration),
}

/// One piece of a token: a header, a claim, or a step on the way to believing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which: the claim's name in JSON, or what the step is about.
    pub about: &'static str,
    /// What stands there.
    pub shown: Shown,
    /// What is to be said about it.
    pub remark: Option<String>,
    /// Why the token is refused for it.
    pub fault: Option<Refusal>,
    /// The place of the fault among what the validator looks at.
    order: usize,
}

/// A token's account.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// What kind of token it is.
    pub form: Form,
    /// The pieces, in the order in which they are looked at.
    pub findings: Vec<Finding>,
    /// Whether the claims are proved to be their issuer's. If not, they are what somebody has written.
    pub is_believed: bool,
    /// Of which configured server it says that it is.
    pub issuer: Option<String>,
    /// The scope, as the token has it.
    pub scope: Option<Scope>,
    /// Whether placeholders in it are filled in.
    pub has_placeholders: bool,
    /// Words in the scope that are other applications'.
    pub ignored_words: Vec<Quoted>,
    /// Claims that nobody looks at.
    pub unread: Vec<Quoted>,
    /// The name of the key that the token is bound to (`kid`), if it is among those that only earlier tokens could tell.
    pub asked_for_earlier: Option<Quoted>,
}

impl Account {
    /// The first fault in the order in which the validator looks: its refusal.
    #[must_use]
    pub fn first_fault(&self) -> Option<&Refusal> {
        let faulty = self.findings.iter().filter(|finding| finding.fault.is_some());
        faulty.min_by_key(|finding| finding.order)?.fault.as_ref()
    }

    fn add(&mut self, about: &'static str, shown: Shown, remark: Option<String>, fault: Option<Refusal>) {
        // There is room for what is looked at in another order than it is shown in.
        let order = self.findings.len() * ROOM;
        self.findings.push(Finding { about, shown, remark, fault, order });
    }

    fn good(&mut self, about: &'static str, shown: impl Into<Shown>, remark: impl Into<String>) {
        self.add(about, shown.into(), Some(remark.into()).filter(|remark| !remark.is_empty()), None);
    }

    fn fault(&mut self, about: &'static str, shown: impl Into<Shown>, fault: Refusal) {
        self.add(about, shown.into(), None, Some(fault));
    }
}

/// How far apart the places of two pieces are.
const ROOM: usize = 8;

impl From<&str> for Shown {
    fn from(text: &str) -> Self {
        if text.is_empty() { Self::Nothing } else { Self::Text(text.to_owned()) }
    }
}

impl From<String> for Shown {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Quoted> for Shown {
    fn from(text: Quoted) -> Self {
        Self::Text(text.to_string())
    }
}

impl Validator {
    /// The account of a token as it is at `now`. `earlier` is as in [`Self::validate_knowing`].
    #[must_use]
    pub fn account(
        &self,
        token: &(impl AsRef<[u8]> + ?Sized),
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) -> Account {
        let token = token.as_ref();
        let mut account = Account::default();
        if let Some(cwt) = cose::cwt(token) {
            account.form = Form::Cwt;
            match Message::parse(&cwt) {
                Ok(message) => self.account_of_cwt(&mut account, &message, now, earlier),
                Err(refusal) => account.fault("form", "", refusal),
            }
            return account;
        }
        match validator::text(token) {
            Ok(text) => self.account_of_text(&mut account, text, now, earlier),
            Err(refusal) => account.fault("form", "", refusal),
        }
        account
    }

    fn account_of_text(
        &self,
        account: &mut Account,
        text: &str,
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) {
        if !jwe::is_compact(text) {
            account.form = match () {
                () if looks_like_jwt(text.as_bytes()) => Form::SignedJwt,
                () if is_opaque(text) => Form::Opaque,
                () => Form::Other,
            };
            return self.account_of_jwt(account, text, None, now, earlier);
        }
        account.form = Form::EncryptedJwt;
        match encrypted::open(text, &self.servers) {
            Ok(opened) => {
                account.good("encryption", "", "decrypts with a key that is for this broker");
                self.account_of_jwt(account, opened.text(), Some(&opened), now, earlier);
            }
            Err(refusal) => account.fault("encryption", "", refusal),
        }
    }

    /// The account of what the server of this issuer has answered about a token, as [`Self::validate_introspected`] judges it.
    #[must_use]
    pub fn account_of_answer(
        &self,
        issuer: &str,
        answer: &IntrospectionAnswer,
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) -> Account {
        let mut account = Account { form: Form::Opaque, issuer: Some(issuer.to_owned()), ..Account::default() };
        let IntrospectionAnswer::Active(answered) = answer else {
            account.fault("active", "false", Refusal::TokenInactive);
            return account;
        };
        account.is_believed = true;
        account.good("active", "true", "says its server");
        match validator::check_issuer(&answered.0, issuer) {
            Ok(()) => account.good("iss", Quoted::new(issuer), "the server that was asked"),
            Err(refusal) => account.fault("iss", "", refusal),
        }
        let said =
            claims::Read { claims: &answered.0, in_clear: super::confirmation::KeysInClear::Any, is_answer: true };
        self.account_of_claims(&mut account, &said, self.server(issuer).ok(), now, earlier);
        account
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
