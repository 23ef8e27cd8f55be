//! Tokens that their server has revoked (rfc9431.md E4, RFC 9770): what rests on them ends.

use std::time::Instant;

use ace_resource_server::Reason;
use ace_resource_server::remote::News;
use ace_resource_server::rights::Origin;

use crate::broker::Level;
use crate::plugin::Plugin;

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
        self.follow_introspection();
    }

    /// Ends the sessions of revoked tokens, and forgets those that are held.
    fn end_revoked(&self) {
        let remote = self.remote.borrow();
        self.held.borrow_mut().forget(|token| remote.has_revoked(&Origin::of(token)));
        // Not for good: after a restart the list is asked for again.
        let _ = self.publishers.borrow_mut().forget(|origin| remote.has_revoked(origin));
        let revoked = self.sessions.borrow().with_grant(|grant| remote.has_revoked(&grant.origin));
        drop(remote);
        for key in revoked {
            self.end_session(key, &Reason::Revoked);
        }
    }
}
