//! What servers say anew about tokens that sessions rest on (rfc9431.md T2): sessions get other rights, or end.

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::rc::Rc;

use ace_profile::revocation::TokenHash;
use ace_profile::token::ValidatedToken;
use ace_profile::{Fingerprint, Quoted, Refusal, Timestamp};
use ace_resource_server::Reason;
use ace_resource_server::remote::{Confirmed, IntrospectionNews, Lease};
use ace_resource_server::rights::Grant;

use super::reports::end_for;
use super::waiting::Judged;
use crate::broker::{ClientKey, Level, clock};
use crate::plugin::Plugin;
use crate::session::Phase;
use crate::state::Record;

/// What has become of a token.
#[derive(Clone, Copy)]
enum Fate {
    /// Its server says something else about it.
    Changed,
    /// It is not active any more.
    Ended,
    /// Its server has not answered in time.
    RanOut,
}

impl Plugin {
    /// Acts on what servers have said about tokens.
    pub(super) fn follow_introspection(&self) {
        let news = self.remote.borrow_mut().take_introspection_news();
        if news.is_empty() {
            return;
        }
        // The last word about a token counts.
        let mut fates = HashMap::new();
        for news in news {
            match news {
                IntrospectionNews::Changed(token) => drop(fates.insert(token, Fate::Changed)),
                IntrospectionNews::Ended(token) => drop(fates.insert(token, Fate::Ended)),
                IntrospectionNews::RanOut(token) => drop(fates.insert(token, Fate::RanOut)),
                IntrospectionNews::Failing { url, error } => {
                    let line = format!(
                        "ace: the introspection endpoint {url} {error}; what it has said counts until it runs out"
                    );
                    self.broker.log(Level::Warning, &line);
                }
                IntrospectionNews::Recovered { url } => {
                    self.broker
                        .log(Level::Notice, &format!("ace: the introspection endpoint {url} can be asked again"));
                }
            }
        }
        let mut sessions: HashMap<TokenHash, Vec<ClientKey>> = HashMap::new();
        if !fates.is_empty() {
            for (key, token) in self.sessions.borrow().with_lease(|token| fates.contains_key(&token)) {
                sessions.entry(token).or_default().push(key);
            }
        }
        let mut ended = HashSet::new();
        for (token, fate) in fates {
            let sessions = sessions.remove(&token).unwrap_or_default();
            match fate {
                Fate::Changed => self.judge_sessions_again(token, &sessions),
                Fate::Ended => {
                    self.end_sessions(&sessions, &Reason::Profile(Refusal::TokenInactive));
                    ended.insert(token);
                }
                Fate::RanOut => self.end_sessions(&sessions, &Reason::ServerUnavailable),
            }
        }
        if !ended.is_empty() {
            self.forget_ended(&ended);
        }
    }

    /// What confirms a token now, if something has to. `Err` if nothing does any more: its answer has run out.
    pub(super) fn lease(&self, token: &ValidatedToken) -> Result<Option<Lease>, Reason> {
        match self.remote.borrow_mut().lease(token) {
            Confirmed::NotNeeded => Ok(None),
            Confirmed::By(lease) => Ok(Some(lease)),
            Confirmed::Lapsed => Err(Reason::ServerUnavailable),
        }
    }

    /// The server says something else about a token than before: the sessions get the rights that it has now.
    fn judge_sessions_again(&self, token: TokenHash, sessions: &[ClientKey]) {
        let Some(asked_with) = self.remote.borrow().asked_with(token) else { return };
        match self.judge(asked_with.sent()) {
            Ok(Judged::Good(judged)) => self.replace_grants(sessions, &judged),
            // Neither is it known what it is worth now.
            Ok(Judged::Later(_)) => self.end_sessions(sessions, &Reason::ServerUnavailable),
            Err(refused) => self.end_sessions(sessions, &refused.reason),
        }
    }

    fn replace_grants(&self, sessions: &[ClientKey], judged: &ValidatedToken) {
        for &key in sessions {
            let Some((client_id, user_name, known)) = self.resting(key) else { continue };
            // What the client has proved was for another key, if the token has one now.
            let is_same = |grant: &Grant| known.binding == grant.binding && known.identity == grant.identity;
            match self.grant(judged, &client_id) {
                Ok((grant, lease)) if is_same(&grant) => {
                    self.sessions.borrow_mut().replace_grant(key, Rc::clone(&grant), lease);
                    self.remember_publisher(&client_id, &user_name, &grant, judged);
                }
                Ok(_) => self.end_session(key, &Reason::IdentityChanged),
                Err(refused) => self.end_session(key, &refused.reason),
            }
        }
        // Unless a newer one is held for its key.
        let mut held = self.held.borrow_mut();
        let is_held = |name: String| held.of_key(&name, clock::now());
        if judged.binding().and_then(is_held).is_some_and(|known| known.fingerprint == judged.fingerprint) {
            held.hold(Rc::new(judged.clone()), None);
        }
    }

    fn resting(&self, key: ClientKey) -> Option<(Box<CStr>, Box<CStr>, Rc<Grant>)> {
        let mut sessions = self.sessions.borrow_mut();
        let session = sessions.get_mut(key).filter(|session| session.phase.get() == Phase::Connected)?;
        let grant = session.grant()?;
        let user_name = session.user_name.clone().unwrap_or_else(|| grant.user_name.as_c_str().into());
        Some((session.client_id.clone(), user_name, Rc::clone(grant)))
    }

    /// Forgets tokens that are not active any more: they count as revoked.
    fn forget_ended(&self, ended: &HashSet<TokenHash>) {
        let is_it = |hash: TokenHash| ended.contains(&hash);
        self.held.borrow_mut().forget(|held| held.hashes.all().any(is_it));
        let forgotten = self.publishers.borrow_mut().forget(|origin| origin.hashes.all().any(is_it));
        for (client_id, publisher) in forgotten {
            let names = (client_id.to_str(), publisher.user_name.to_str());
            if let (Some(state), (Ok(client_id), Ok(user_name))) = (&self.state, names) {
                // What was written down must not come back with a restart.
                state.remember(Record {
                    client_id: client_id.into(),
                    user_name: user_name.into(),
                    expires: Timestamp::EPOCH,
                    scope: serde_json::Value::Array(Vec::new()),
                    origin: publisher.origin,
                });
            }
        }
    }

    fn end_sessions(&self, sessions: &[ClientKey], reason: &Reason) {
        for &key in sessions {
            self.end_session(key, reason);
        }
    }

    /// Ends a session for its token's sake.
    pub(super) fn end_session(&self, key: ClientKey, reason: &Reason) {
        let mut sessions = self.sessions.borrow_mut();
        let Some(session) = sessions.get_mut(key).filter(|session| session.phase.get() == Phase::Connected) else {
            return;
        };
        session.phase.set(Phase::Ending);
        self.counters.end(end_for(reason));
        self.endings.borrow_mut().push(key);
        let id = session.client_id.to_string_lossy();
        let token = session.grant().map(|grant| grant.fingerprint).as_ref().map(Fingerprint::to_string);
        let (code, token) = (reason.code(), token.unwrap_or_default());
        let line = format!("ace: the session of client {} ends: {code} (token {token})", Quoted::new(&id));
        self.broker.log(Level::Notice, &line);
    }
}
