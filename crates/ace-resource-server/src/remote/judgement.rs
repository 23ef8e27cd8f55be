//! A token is judged by what is known, or it is said what has to be found out first: docs/decisions/0016-attempts-that-wait-for-a-server.md.

use std::time::Instant;

use ace_profile::connect::is_opaque;
use ace_profile::jose::looks_like_jwt;
use ace_profile::proof::ConfirmationKey;
use ace_profile::revocation::TokenHash;
use ace_profile::token::{AnswerError, EarlierKey, IntrospectionAnswer, ValidatedToken, Validator};
use ace_profile::{Fingerprint, Refusal, Timestamp};

use super::Remote;
use super::introspection::{Known, Lease, Now, Whom};
use super::key_sets::Wanted;
use crate::Reason;

/// What is to be said about a token now.
#[derive(Debug)]
pub enum Judgement {
    /// It is good.
    Good(Box<ValidatedToken>),
    /// That depends on what is being asked for.
    Needs(Inquiry),
}

/// Something that has been asked for, and on which judgements wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inquiry {
    /// What a server says about a token.
    Token {
        /// Which.
        token: TokenHash,
        /// The number of the inquiry.
        number: u64,
    },
    /// The keys of a server, fetched anew.
    Keys {
        /// Whose.
        issuer: Box<str>,
        /// The number of the fetch.
        fetch: u64,
    },
}

/// How far an inquiry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Not answered, and within its time.
    UnderWay,
    /// It is time to judge again.
    Settled,
    /// There is no answer that could be used.
    Failed,
}

/// What confirms that a token is still good, beside its own end.
#[derive(Debug)]
pub enum Confirmed {
    /// Nothing has to: it speaks for itself.
    NotNeeded,
    /// An answer of its server. As long as the lease lives, the server is asked again before the answer runs out.
    By(Lease),
    /// Nothing any more: it has to be judged again.
    Lapsed,
}

impl Remote {
    /// Judges a token as it is at `now`, by what is known. Where something has to be found out first, asks for it. Never waits.
    ///
    /// A signed token of a configured issuer is validated by its keys, and confirmed by its server where that is configured; where an
    /// issuer has no keys, its server alone can say what its signed tokens are worth. All others are for their servers only.
    ///
    /// # Errors
    /// The [`Reason`] why the token is refused, or cannot be judged now.
    pub fn judge(
        &mut self,
        validator: &Validator,
        token: &[u8],
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) -> Result<Judgement, Reason> {
        if !self.introspection.has_servers() {
            return match validator.validate_knowing(token, now, earlier) {
                Ok(validated) => Ok(Judgement::Good(Box::new(validated))),
                Err(refusal) => self.want_keys(token, refusal),
            };
        }
        self.introspection.collect(&mut self.workers, Now::read());
        let is_opaque = std::str::from_utf8(token).is_ok_and(is_opaque);
        if is_opaque && !looks_like_jwt(token) {
            return self.judge_by_server(validator, token, &Whom::Any, now, earlier);
        }
        let issuer = validator.claimed_issuer(token);
        if let Some(whom) = issuer.and_then(|issuer| self.introspection.judges(issuer)) {
            return self.judge_by_server(validator, token, &whom, now, earlier);
        }
        let validated = match validator.validate_knowing(token, now, &earlier) {
            // A token that is encrypted, and not for us: to its server it says something.
            Err(Refusal::JweKeyMissing | Refusal::JweUnsupported { .. } | Refusal::JweUndecryptable) if is_opaque => {
                return self.judge_by_server(validator, token, &Whom::Any, now, earlier);
            }
            Err(Refusal::CwtKeyMissing | Refusal::CwtUndecryptable) => {
                return self.judge_by_server(validator, token, &Whom::Any, now, earlier);
            }
            Ok(validated) => validated,
            Err(refusal) => return self.want_keys(token, refusal),
        };
        match self.introspection.confirms(&validated.issuer) {
            Some(whom) => self.confirm_by_server(validator, token, validated, &whom, now),
            None => Ok(Judgement::Good(Box::new(validated))),
        }
    }

    fn judge_by_server(
        &mut self,
        validator: &Validator,
        token: &[u8],
        whom: &Whom,
        now: Timestamp,
        earlier: impl Fn(&EarlierKey<'_>) -> Option<ConfirmationKey>,
    ) -> Result<Judgement, Reason> {
        match self.introspection.look_up(&mut self.workers, token, whom, Instant::now())? {
            Known::Active { issuer, answer } => {
                let answer = read(answer)?;
                let validated = validator.validate_introspected(token, issuer, &answer, now, earlier)?;
                Ok(Judgement::Good(Box::new(validated)))
            }
            Known::Inactive => Err(Refusal::TokenInactive.into()),
            Known::Asked(inquiry) => Ok(Judgement::Needs(inquiry)),
        }
    }

    fn confirm_by_server(
        &mut self,
        validator: &Validator,
        token: &[u8],
        validated: ValidatedToken,
        whom: &Whom,
        now: Timestamp,
    ) -> Result<Judgement, Reason> {
        match self.introspection.look_up(&mut self.workers, token, whom, Instant::now())? {
            Known::Active { answer, .. } => {
                let confirmed = validator.confirm_introspected(&validated, token, &read(answer)?, now)?;
                Ok(Judgement::Good(Box::new(confirmed)))
            }
            Known::Inactive => Err(Refusal::TokenInactive.into()),
            Known::Asked(inquiry) => Ok(Judgement::Needs(inquiry)),
        }
    }

    /// A token whose key is not known: its server may have new ones.
    fn want_keys(&mut self, token: &[u8], refusal: Refusal) -> Result<Judgement, Reason> {
        let Self { workers, key_sets, .. } = self;
        let wanted = refusal.wanted_key_of().and_then(|issuer| key_sets.iter_mut().find(|set| set.issuer() == issuer));
        let Some(set) = wanted else { return Err(refusal.into()) };
        match set.want(Fingerprint::of(token), workers, Instant::now()) {
            Wanted::Fetch(fetch) => Ok(Judgement::Needs(Inquiry::Keys { issuer: set.issuer().into(), fetch })),
            Wanted::Unavailable => Err(Reason::ServerUnavailable),
            Wanted::Nowhere => Err(refusal.into()),
        }
    }
}

/// An answer as it was taken up: it was read then.
fn read(answer: &[u8]) -> Result<IntrospectionAnswer, Reason> {
    IntrospectionAnswer::parse(answer).map_err(|_: AnswerError| Reason::ServerUnavailable)
}
