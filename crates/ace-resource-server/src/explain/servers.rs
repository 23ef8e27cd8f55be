//! What is known of the authorization servers: nothing, or what they say when they are asked as the broker would.

use std::thread;
use std::time::{Duration, Instant};

use ace_profile::jose::JwkSet;
use ace_profile::proof::ConfirmationKey;
use ace_profile::token::{AnswerError, EarlierKey, IntrospectionAnswer, ValidatedToken, Validator};
use ace_profile::{Refusal, Timestamp};

use super::{Dependency, Unjudged};
use crate::Reason;
use crate::config::Configuration;
use crate::remote::{Inquiry, IntrospectionNews, Judgement, KeyNews, News, Progress, Remote, RevocationList, Workers};
use crate::rights::Origin;

/// How often a token is judged: its key has to be fetched, then its server to be asked, and one to spare. As in the plugin.
const JUDGEMENTS_MAX: u8 = 3;
/// How often answers are looked for.
const LOOK: Duration = Duration::from_millis(1);
/// How long nothing is waited for, whatever becomes of it: longer than any request can take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Where.
    pub url: String,
    /// Why.
    pub reason: String,
}

/// What is known of the servers of a configuration.
pub struct Servers {
    remote: Remote,
    is_online: bool,
    troubles: Vec<Trouble>,
}

impl Servers {
    /// Nothing: nobody is asked, ever.
    #[must_use]
    pub fn unasked(configuration: &Configuration) -> Self {
        Self { remote: remote(configuration, Workers::none()), is_online: false, troubles: Vec::new() }
    }

    /// Asks for the keys and the lists of revoked tokens, and waits for them. About tokens it is asked when one is judged.
    #[must_use]
    pub fn asked(configuration: &Configuration) -> Self {
        let remote = remote(configuration, Workers::default());
        let mut servers = Self { remote, is_online: true, troubles: Vec::new() };
        servers.wait_until(|servers| {
            let has_keys =
                servers.remote.key_sets.iter().all(|set| set.keys().is_some() || set.outcome(1) == Some(false));
            has_keys && servers.remote.revocation_lists.iter().all(RevocationList::has_been_asked)
        });
        servers
    }

    /// Takes this for the word of an issuer's server about a token: its answer (RFC 7662 §2.2).
    ///
    /// # Errors
    /// [`AnswerError`] if it is none.
    pub fn told(&mut self, token: &[u8], issuer: &str, answer: &[u8]) -> Result<(), AnswerError> {
        let said = match IntrospectionAnswer::parse(answer)? {
            IntrospectionAnswer::Active(_) => Some(answer),
            IntrospectionAnswer::Inactive => None,
        };
        self.remote.told(token, issuer, said);
        Ok(())
    }

    /// Takes these for the keys that an issuer publishes.
    pub fn told_keys(&mut self, issuer: &str, keys: &JwkSet) {
        self.remote.told_keys(issuer, keys);
    }

    /// Which servers could not be asked.
    #[must_use]
    pub fn troubles(&self) -> &[Trouble] {
        &self.troubles
    }

    /// The validator with the keys that are known.
    #[must_use]
    pub fn validator(&self, configuration: &Configuration) -> Validator {
        self.remote.with_fetched_keys(&configuration.validator)
    }

    /// What a server has said about a token, and which.
    #[must_use]
    pub fn answer(&self, token: &[u8]) -> Option<(&str, &[u8])> {
        self.remote.answer(token)
    }

    pub(super) fn has_revoked(&self, token: &Origin) -> bool {
        self.remote.has_revoked(token)
    }

    /// The lists that would have to be asked about a token of this issuer.
    pub(super) fn revocation_to_be_asked(&self, issuer: &str) -> Vec<Dependency> {
        let of_issuer = self.remote.revocation_lists.iter().filter(|list| list.issuer() == issuer && !list.is_known());
        of_issuer.map(|list| Dependency::Revocation { url: list.url().to_owned() }).collect()
    }

    /// What the plugin finds about a token, in the way in which it does.
    pub(super) fn judge(
        &mut self,
        configuration: &Configuration,
        token: &[u8],
        at: Timestamp,
    ) -> Result<Box<ValidatedToken>, Unjudged> {
        let earlier = |_: &EarlierKey<'_>| -> Option<ConfirmationKey> { None };
        let mut wanted = None;
        for _ in 0..JUDGEMENTS_MAX {
            let validator = self.validator(configuration);
            match self.remote.judge(&validator, token, at, earlier) {
                Ok(Judgement::Good(token)) => return Ok(token),
                Ok(Judgement::Needs(inquiry)) => {
                    let is_settled = self.is_online && self.settles(&inquiry);
                    wanted = Some(self.dependency(&inquiry));
                    if !is_settled {
                        break;
                    }
                }
                Err(Reason::ServerUnavailable) => {
                    wanted = wanted.or_else(|| self.unavailable(&validator, token, at));
                    break;
                }
                Err(reason) => return Err(Unjudged::Refused(reason)),
            }
        }
        Err(wanted.map_or(Unjudged::Refused(Reason::ServerUnavailable), Unjudged::Depends))
    }

    /// Waits for an answer. Whether it can be used.
    fn settles(&mut self, inquiry: &Inquiry) -> bool {
        self.wait_until(|servers| servers.remote.progress(inquiry) != Progress::UnderWay);
        self.remote.progress(inquiry) == Progress::Settled
    }

    fn wait_until(&mut self, is_over: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        loop {
            let now = Instant::now();
            for (at, news) in self.remote.tick_keys(now) {
                if let (KeyNews::Failing(error), Some(set)) = (news, self.remote.key_sets.get(at)) {
                    self.troubles.push(Trouble { url: set.url().to_owned(), reason: error.to_string() });
                }
            }
            for (url, news) in self.remote.tick(now) {
                if let News::Failing(error) = news {
                    self.troubles.push(Trouble { url, reason: error.to_string() });
                }
            }
            for news in self.remote.take_introspection_news() {
                if let IntrospectionNews::Failing { url, error } = news {
                    self.troubles.push(Trouble { url, reason: error.to_string() });
                }
            }
            if is_over(self) || begun.elapsed() >= PATIENCE {
                return;
            }
            thread::sleep(LOOK);
        }
    }

    fn dependency(&self, inquiry: &Inquiry) -> Dependency {
        match inquiry {
            Inquiry::Keys { issuer, .. } => self.keys_of(issuer),
            Inquiry::Token { .. } => self.introspection(),
        }
    }

    fn keys_of(&self, issuer: &str) -> Dependency {
        let url = self.remote.key_sets.iter().find(|set| set.issuer() == issuer).map(|set| set.url().to_owned());
        Dependency::Keys { issuer: issuer.to_owned(), url: url.unwrap_or_default() }
    }

    fn introspection(&self) -> Dependency {
        Dependency::Introspection { servers: self.remote.introspection_endpoints() }
    }

    /// What is missing where a server cannot be asked: a key that only it has, or its word.
    fn unavailable(&self, validator: &Validator, token: &[u8], at: Timestamp) -> Option<Dependency> {
        let refusal = validator.validate(token, at).err();
        match refusal.as_ref().and_then(Refusal::wanted_key_of) {
            Some(issuer) if self.remote.key_sets.iter().any(|set| set.issuer() == issuer) => Some(self.keys_of(issuer)),
            _ if self.remote.takes_opaque_tokens() => Some(self.introspection()),
            _ => None,
        }
    }
}

fn remote(configuration: &Configuration, workers: Workers) -> Remote {
    let now = Instant::now();
    let mut remote = Remote::default();
    remote.workers = workers;
    remote.replace_key_sets(&configuration.key_sources, now);
    remote.replace_introspection(&configuration.introspection, configuration.introspection_bounds);
    let list = |source: &crate::config::RevocationSource| {
        RevocationList::new(source.issuer.clone(), std::sync::Arc::clone(&source.endpoint), source.interval, now)
    };
    remote.replace_revocation_lists(configuration.revocation_lists.iter().map(list).collect());
    remote
}
