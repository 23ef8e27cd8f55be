//! What the broker would say to a token, and why: without a broker, for people who ask.
//!
//! The verdict is that of the functions that the plugin calls itself: [`Remote::judge`](crate::remote::Remote) for the token,
//! [`Grant::for_client`] for what it gives a client, [`permits`](crate::rights::permits) and
//! [`PublicTopics`](crate::rights::PublicTopics) for each request. What is said beside the verdict is told by the profile's
//! [`Account`]. What only the broker knows (what it has seen before, what it holds), or what only a server could tell, is named and not
//! guessed: docs/decisions/0020-explaining.md.

mod nearest;
mod request;
mod servers;

use std::ffi::CString;

use ace_profile::scope::Scope;
use ace_profile::token::{Account, Confirmation, EarlierKey, FirstSight, IntrospectionAnswer, ValidatedToken};
use ace_profile::{Fingerprint, Refusal, Timestamp};

use crate::Reason;
use crate::config::Configuration;
use crate::rights::{Access, Grant, Matchers, Origin};

pub use nearest::{Nearest, Why};
pub use request::{Answered, By, Outcome};
pub use servers::{Servers, Trouble};

/// What is asked.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The token as the broker gets to see it.
    pub token: &'a [u8],
    /// The id of the client that brings it, if there is one in particular.
    pub client_id: Option<&'a str>,
    /// When it does.
    pub at: Timestamp,
    /// What the client then wants to do.
    pub requests: &'a [(Access, String)],
}

/// What the broker would say.
#[derive(Debug)]
pub struct Explanation {
    /// What the log calls the token.
    pub fingerprint: Fingerprint,
    /// The length of the token, in bytes.
    pub bytes: usize,
    /// What the token says, claim by claim.
    pub account: Account,
    /// What its server says about it, claim by claim, if that was asked.
    pub answer: Option<Account>,
    /// Whether a client is let in with it, if its proof is right.
    pub verdict: Verdict,
    /// What it gives the client, if it is good.
    pub rights: Option<Rights>,
    /// What comes of each request.
    pub requests: Vec<Answered>,
}

/// Whether a client is let in that brings the token and proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Admitted,
    /// It is not, for this reason.
    Refused(Reason),
    /// It is if all of this turns out well.
    Depends(Vec<Dependency>),
}

/// Something that is not known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dependency {
    /// What a server says about the token (RFC 7662).
    Introspection {
        /// Who would be asked, one after the other: issuer and URL.
        servers: Vec<(String, String)>,
    },
    /// The keys of the token's issuer, which have to be fetched.
    Keys {
        /// Whose.
        issuer: String,
        /// From where.
        url: String,
    },
    /// Whether the token stands in its server's list of revoked ones (RFC 9770).
    Revocation {
        /// Where that is.
        url: String,
    },
    /// When the broker has first seen the token, and whether it remembers that one of a higher number has ended (`exi`,
    /// RFC 9200 §5.10.3).
    FirstSight(FirstSight),
    /// Whether the broker holds an earlier token of the same issuer and subject whose key has this name (RFC 7800 §3.4).
    EarlierToken {
        /// The `kid`.
        kid: String,
    },
    /// The client's id, which stands in the scope's filters.
    ClientId,
}

/// What a good token gives its holder.
#[derive(Debug)]
pub struct Rights {
    /// The user name that the client gets.
    pub user_name: CString,
    /// When they end; `None` if they do not.
    pub expires: Option<Timestamp>,
    /// What has to be proved.
    pub confirmation: Confirmation,
    /// The filters, with the client's own values in them.
    pub scope: Scope,
}

/// Explains.
#[must_use]
pub fn explain(configuration: &Configuration, servers: &mut Servers, question: &Question<'_>) -> Explanation {
    let earlier = |_: &EarlierKey<'_>| None;
    let judged = servers.judge(configuration, question.token, question.at);
    // With the keys that were fetched, if any were.
    let validator = servers.validator(configuration);
    let account = validator.account(question.token, question.at, earlier);
    let answer = servers.answer(question.token).and_then(|(issuer, answer)| {
        let answer = IntrospectionAnswer::parse(answer).ok()?;
        Some(validator.account_of_answer(issuer, &answer, question.at, earlier))
    });
    let (verdict, granted) = match judged {
        Ok(token) => given(servers, &token, question),
        Err(Unjudged::Depends(on)) => (Verdict::Depends(vec![on]), None),
        Err(Unjudged::Refused(reason)) => {
            let asked = answer.as_ref().unwrap_or(&account).asked_for_earlier.as_ref();
            match (&reason, asked) {
                (Reason::Profile(Refusal::ConfirmationKeyUnknown { kid }), Some(asked)) if kid == asked => {
                    (Verdict::Depends(vec![Dependency::EarlierToken { kid: asked.to_string() }]), None)
                }
                _ => (Verdict::Refused(reason), None),
            }
        }
    };
    let of = |(access, topic): &(Access, String)| {
        request::answer(
            configuration,
            &verdict,
            granted.as_ref().map(|(grant, rights)| (grant, &rights.scope)),
            *access,
            topic,
        )
    };
    let requests = question.requests.iter().map(of).collect();
    Explanation {
        fingerprint: Fingerprint::of(question.token),
        bytes: question.token.len(),
        account,
        answer,
        verdict,
        rights: granted.map(|(_, rights)| rights),
        requests,
    }
}

/// Why a token is not found good.
pub(crate) enum Unjudged {
    Refused(Reason),
    Depends(Dependency),
}

/// What a good token gives a client, and on what that depends.
fn given(servers: &Servers, token: &ValidatedToken, question: &Question<'_>) -> (Verdict, Option<(Grant, Rights)>) {
    let mut on = servers.revocation_to_be_asked(&token.issuer);
    on.extend(token.first_sight.clone().map(Dependency::FirstSight));
    if token.has_placeholders && question.client_id.is_none() {
        on.push(Dependency::ClientId);
        return (Verdict::Depends(on), None);
    }
    // Where it makes no difference, any id is as good.
    let Ok(client_id) = CString::new(question.client_id.unwrap_or("client")) else {
        return (Verdict::Refused(Reason::NoClientId), None);
    };
    let has_revoked = |origin: &Origin| servers.has_revoked(origin);
    match Grant::for_client(token, &client_id, question.at, has_revoked, &mut Matchers::default()) {
        Ok((grant, scope)) => {
            let rights = Rights {
                user_name: grant.user_name.clone(),
                expires: token.expires,
                confirmation: token.confirmation.clone(),
                scope: scope.into_owned(),
            };
            (if on.is_empty() { Verdict::Admitted } else { Verdict::Depends(on) }, Some((grant, rights)))
        }
        Err(reason) => (Verdict::Refused(reason), None),
    }
}
