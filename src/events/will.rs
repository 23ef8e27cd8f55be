//! `PERSIST_WILL_ADD`: a client that has just been let in has a Will. One outside its scope is no Will to connect with
//! (RFC 9431 §2.2.4.1, rfc9431.md C7).
//!
//! The broker tells of it when its CONNACK has gone out, so the connection cannot be refused any more: it is ended. Brokers
//! that do not tell ask about the Will when they would send it, by `ACL_CHECK`, as this one does then, too.

use ace_resource_server::rights::Access;
use ace_resource_server::rights::Denial;

use crate::broker::WillSet;
use crate::metrics::{End, Wish};
use crate::plugin::Plugin;
use crate::session::{Phase, Rights, Session};

impl Plugin {
    pub(crate) fn on_will_set(&self, event: &WillSet<'_>) {
        if self.sessions.borrow().of(&event.client).is_none() {
            self.adopt(&event.client, true);
        }
        let sessions = self.sessions.borrow();
        let Some(session) = sessions.of(&event.client) else { return };
        // The broker tells of a Will again when its delay begins to run: it has been judged then, and its client has gone.
        let just_let_in = session.phase.get() == Phase::Connected && session.turn == self.turn.get();
        if !just_let_in {
            return;
        }
        let Some(denial) = self.will_denied(session, event.topic) else { return };
        session.phase.set(Phase::Ending);
        self.counters.end(End::Will);
        self.endings.borrow_mut().push(event.client.key());
        self.denied(&event.client, Wish::Will, "set a Will for", event.topic, denial);
    }

    /// Why a client may not have a Will for this topic; `None` if it may.
    fn will_denied(&self, session: &Session, topic: &[u8]) -> Option<Denial> {
        let configuration = self.configuration();
        if configuration.authz_info.as_ref().is_some_and(|authz_info| authz_info.topic.as_bytes() == topic) {
            return Some(Denial::AuthzInfoWill);
        }
        if matches!(session.rights, Rights::AuthzInfo) {
            return Some(Denial::AuthzInfoOnly);
        }
        let may = session.may_set_will(topic) || configuration.public.allow(Access::Publish, topic);
        (!may).then_some(Denial::OutsideScope)
    }
}
