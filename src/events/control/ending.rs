//! `endSession` and `endSubject`: clients are disconnected as when their token expires, for administrative reasons.

use std::collections::HashMap;
use std::ffi::CStr;

use ace_profile::Quoted;
use ace_profile::revocation::TokenHash;
use ace_profile::token::ValidatedToken;
use ace_resource_server::remote::Lease;
use serde_json::{Value, json};

use crate::broker::ClientKey;
use crate::control::{Asked, Command, subject_of};
use crate::metrics::End;
use crate::plugin::Plugin;
use crate::session::{Farewell, Phase};

/// What a command is about.
#[derive(Default)]
pub(super) struct Target {
    sessions: Vec<ClientKey>,
    /// The tokens that are held: what they are bound to, and by what hash their server's answers are known.
    held: Vec<(String, Option<TokenHash>)>,
}

/// Tokens of a subject, for the command with this number.
struct Wanted<'a> {
    command: usize,
    issuer: Option<&'a str>,
}

impl Plugin {
    /// What the commands of a request are about. All sessions are looked at, and all tokens that are held: once, however many commands
    /// ask for that.
    pub(super) fn targets(&self, asked: &[Asked]) -> Vec<Target> {
        let mut by_client: HashMap<&CStr, Vec<usize>> = HashMap::new();
        let mut by_subject: HashMap<&str, Vec<Wanted<'_>>> = HashMap::new();
        for (command, asked) in asked.iter().enumerate() {
            match &asked.command {
                Ok(Command::EndSession { client_id }) => by_client.entry(client_id).or_default().push(command),
                Ok(Command::EndSubject { subject, issuer, .. }) => {
                    let wanted = Wanted { command, issuer: issuer.as_deref() };
                    by_subject.entry(subject).or_default().push(wanted);
                }
                _ => {}
            }
        }
        let mut targets: Vec<Target> = asked.iter().map(|_| Target::default()).collect();
        if by_client.is_empty() && by_subject.is_empty() {
            return targets;
        }
        let wanted = |subject: Option<&str>, issuer: &str| {
            let wanted = subject.and_then(|subject| by_subject.get(subject)).into_iter().flatten();
            let wanted = wanted.filter(|wanted| wanted.issuer.is_none_or(|only| *only == *issuer));
            wanted.map(|wanted| wanted.command).collect::<Vec<_>>()
        };
        self.sessions.borrow().for_each_connected(|key, session| {
            let mut note = |command: usize| {
                if let Some(target) = targets.get_mut(command) {
                    target.sessions.push(key);
                }
            };
            by_client.get(&*session.client_id).into_iter().flatten().copied().for_each(&mut note);
            if let Some(grant) = session.grant().filter(|_| !by_subject.is_empty()) {
                wanted(subject_of(grant), &grant.origin.issuer).into_iter().for_each(note);
            }
        });
        if !by_subject.is_empty() {
            self.held.borrow().for_each(|token: &ValidatedToken| {
                for command in wanted(token.subject.as_deref(), &token.issuer) {
                    let hash = token.asked_with.as_ref().map(|asked| asked.token());
                    if let (Some(target), Some(binding)) = (targets.get_mut(command), token.binding()) {
                        target.held.push((binding, hash));
                    }
                }
            });
        }
        targets
    }

    /// Ends the session of a client. `None` if there is none.
    pub(super) fn end_client(&self, client_id: &CStr, target: Target, tell: &impl Fn(&str)) -> Option<Value> {
        let ended = target.sessions.into_iter().filter(|key| self.end_by_command(*key).is_some()).count();
        (ended > 0).then(|| {
            tell(&format!("ends the session of client {}", Quoted::new(&client_id.to_string_lossy())));
            json!({ "ended": ended })
        })
    }

    /// Ends all sessions of a subject. What its server has said of its tokens does not count any more, so that whoever comes back with one
    /// has the server asked; tokens that speak for themselves let it in again.
    pub(super) fn end_subject(
        &self,
        subject: &str,
        issuer: Option<&str>,
        forget_tokens: bool,
        target: Target,
        tell: &impl Fn(&str),
    ) -> Value {
        let (mut ended, mut forgotten) = (0_u64, 0_u64);
        let mut asked_about: Vec<TokenHash> = target.held.iter().filter_map(|(_, hash)| *hash).collect();
        for key in target.sessions {
            if let Some(lease) = self.end_by_command(key) {
                ended += 1;
                asked_about.extend(lease);
            }
        }
        if forget_tokens {
            let mut held = self.held.borrow_mut();
            forgotten = target.held.iter().filter(|(binding, _)| held.forget_key(binding)).count() as u64;
        }
        self.remote.borrow_mut().forget_answers(&asked_about);
        let of = issuer.map(|issuer| format!(" of {}", Quoted::new(issuer))).unwrap_or_default();
        let and = if forget_tokens { format!(", and forgets {forgotten} held tokens") } else { String::new() };
        tell(&format!("ends all sessions of subject {}{of}: {ended}{and}", Quoted::new(subject)));
        json!({ "ended": ended, "forgottenTokens": forgotten })
    }

    /// Ends a session. `None` if it is ending already; else the token that its server's answers are known by, if it rests on them.
    fn end_by_command(&self, key: ClientKey) -> Option<Option<TokenHash>> {
        let mut sessions = self.sessions.borrow_mut();
        let session = sessions.get_mut(key).filter(|session| session.phase.get() == Phase::Connected)?;
        session.phase.set(Phase::Ending);
        session.farewell.set(Farewell::Administrative);
        self.counters.end(End::Command);
        let [first, _] = &mut *self.commands.ended.borrow_mut();
        first.push(key);
        Some(session.lease.as_ref().map(Lease::token))
    }
}
