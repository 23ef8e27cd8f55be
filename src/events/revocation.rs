//! Tokens that their server has revoked (rfc9431.md E4, RFC 9770): what rests on them ends.

use std::time::Instant;

use ace_profile::Quoted;

use crate::broker::Level;
use crate::plugin::Plugin;
use crate::remote::{IntrospectionNews, News};
use crate::report::Reason;
use crate::session::{Origin, Phase};

impl Plugin {
    /// Asks servers for keys and revocation lists when it is time, and acts on what they say.
    pub(super) fn follow_remote(&self, now: Instant) {
        self.follow_keys(now);
        let news = self.remote.borrow_mut().tick(now);
        if news.iter().any(|(_, news)| *news == News::Revoked) {
            self.end_revoked();
        }
        for (url, news) in news {
            let (level, line) = match news {
                News::Revoked => continue,
                News::Failing(error) => (
                    Level::Warning,
                    format!(
                        "ace: the revocation list {url} {error}; tokens known to be revoked stay so, others are not noticed"
                    ),
                ),
                News::Recovered => (Level::Notice, format!("ace: the revocation list {url} can be had again")),
            };
            self.broker.log(level, &line);
        }
        let news = self.remote.borrow_mut().take_introspection_news();
        for news in news {
            let (level, line) = match news {
                IntrospectionNews::Failing { url, error } => (
                    Level::Warning,
                    format!("ace: the introspection endpoint {url} {error}; what it has said counts until it runs out"),
                ),
                IntrospectionNews::Recovered { url } => {
                    (Level::Notice, format!("ace: the introspection endpoint {url} can be asked again"))
                }
                IntrospectionNews::Changed(_) | IntrospectionNews::Ended(_) | IntrospectionNews::RanOut(_) => continue,
            };
            self.broker.log(level, &line);
        }
    }

    /// Ends the sessions of revoked tokens, and forgets those that are held.
    fn end_revoked(&self) {
        let remote = self.remote.borrow();
        self.held.borrow_mut().forget(|token| remote.has_revoked(&Origin::of(token)));
        self.publishers.borrow_mut().forget(|origin| remote.has_revoked(origin));
        let mut sessions = self.sessions.borrow_mut();
        let revoked = sessions.with_grant(|grant| remote.has_revoked(&grant.origin));
        for key in revoked {
            let Some(session) = sessions.get_mut(key).filter(|session| session.phase.get() == Phase::Connected) else {
                continue;
            };
            session.phase.set(Phase::Ending);
            self.endings.borrow_mut().push(key);
            let id = session.client_id.to_string_lossy();
            let token = session.grant().map(|grant| grant.fingerprint.to_string()).unwrap_or_default();
            let code = Reason::Revoked.code();
            let line = format!("ace: the session of client {} ends: {code} (token {token})", Quoted::new(&id));
            self.broker.log(Level::Notice, &line);
        }
    }
}
