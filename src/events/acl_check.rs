//! `ACL_CHECK`: once per message and subscriber. No lock, no allocation, no waiting on the way to an answer.

use crate::broker::{Access, AclCheck, Verdict, clock};
use crate::config::{Configuration, OnDenied, OtherClients};
use crate::plugin::Plugin;
use crate::report;
use crate::session::{Decision, Denial, Phase, Session};

impl Plugin {
    #[inline]
    pub(crate) fn on_acl_check(&self, event: &AclCheck<'_>) -> Verdict {
        let sessions = self.sessions.borrow();
        let Some(session) = sessions.of(&event.client) else {
            drop(sessions);
            return self.unknown_client(event);
        };
        let denial = match session.decide(event.access, event.topic, clock::now_as_seen_from) {
            Decision::Allow => return Verdict::Allow,
            Decision::Defer => return Verdict::Defer,
            Decision::Deny(denial) => denial,
        };
        let configuration = self.configuration.borrow();
        if denial != Denial::SessionEnding && configuration.public.allow(event.access, event.topic) {
            return Verdict::Allow;
        }
        // Denied again, and the client has been told: nothing more to do.
        let told = event.access == Access::Publish && event.qos > 0 && session.speaks_mqtt5;
        if !(told && session.denial_logged.get()) {
            self.on_denied(&configuration, session, event, denial);
        }
        Verdict::RefuseAccess
    }

    /// A client that never came to us to authenticate, or the stand-in for the publisher of a retained message.
    #[cold]
    #[inline(never)]
    fn unknown_client(&self, event: &AclCheck<'_>) -> Verdict {
        let configuration = self.configuration();
        if configuration.public.allow(event.access, event.topic) {
            return Verdict::Allow;
        }
        // The broker makes the stand-in on the spot, with nothing but the publisher's id, user name and listener: no real
        // client is without an address.
        if event.access == Access::Publish && event.client.address().is_none() && self.publisher_may(event) {
            return Verdict::Allow;
        }
        match configuration.other_clients {
            OtherClients::Defer => Verdict::Defer,
            OtherClients::Refuse => Verdict::RefuseAccess,
        }
    }

    /// Whether the newest token of a retained message's publisher is valid and allows the topic.
    fn publisher_may(&self, event: &AclCheck<'_>) -> bool {
        let (Some(id), Some(user_name)) = (event.client.id(), event.client.user_name()) else { return false };
        self.publishers.borrow().may_publish(id, user_name, event.topic, clock::now())
    }

    /// What follows a denial: a line in the log, and where MQTT has no other way to tell the client, its disconnection
    /// (RFC 9431 §2.3, §2.4).
    #[cold]
    #[inline(never)]
    fn on_denied(&self, configuration: &Configuration, session: &Session, event: &AclCheck<'_>, denial: Denial) {
        if session.phase.get() != Phase::Connected {
            return;
        }
        let (what, ends) = match event.access {
            // At QoS 1 and 2, MQTT 5 clients are told by the acknowledgement.
            Access::Publish => {
                let told = session.speaks_mqtt5 && event.qos > 0;
                ("publish to", !told && configuration.on_denied_publish == OnDenied::Disconnect)
            }
            // While a client is let in, the broker asks about each message that it had queued for it: those are dropped, and
            // the client may stay.
            Access::Receive => {
                let queued = session.turn == self.turn.get();
                ("receive from", !queued && configuration.on_denied_delivery == OnDenied::Disconnect)
            }
            Access::Subscribe => ("subscribe to", false),
            Access::Unsubscribe => return,
        };
        if ends {
            session.phase.set(Phase::Ending);
            self.endings.borrow_mut().push(event.client.key());
        }
        // Every subscription that is refused is written down, of messages only the first: they can be many.
        if event.access == Access::Subscribe || !session.denial_logged.replace(true) {
            report::denied(&self.broker, &event.client, what, event.topic, denial.code());
        }
    }
}
