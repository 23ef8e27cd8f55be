//! `ACL_CHECK`: once per message and subscriber. No lock, no allocation, no waiting on the way to an answer.

use crate::broker::{Access, AclCheck, Verdict, clock};
use crate::config::{OnDenied, OtherClients};
use crate::plugin::Plugin;
use crate::report;
use crate::session::{Decision, Denial, Phase};

impl Plugin {
    #[inline]
    pub(crate) fn on_acl_check(&self, event: &AclCheck<'_>) -> Verdict {
        let sessions = self.sessions.borrow();
        let Some(session) = sessions.of(&event.client) else {
            drop(sessions);
            return self.unknown_client(event);
        };
        let now = clock::now_as_seen_from(session.expires());
        let decision = session.decide(&self.configuration.borrow().public, event.access, event.topic, now);
        drop(sessions);
        match decision {
            Decision::Allow => Verdict::Allow,
            Decision::Defer => Verdict::Defer,
            Decision::Deny(denial) => {
                self.on_denied(event, denial);
                Verdict::RefuseAccess
            }
        }
    }

    /// A client that never came to us to authenticate, or the stand-in for the publisher of a retained message.
    #[cold]
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
        let publishers = self.publishers.borrow();
        publishers.get(id, user_name, clock::now()).is_some_and(|grant| grant.matcher.may_publish(event.topic))
    }

    /// What follows a denial: a line in the log, and where MQTT has no other way to tell the client, its disconnection
    /// (RFC 9431 §2.3, §2.4).
    fn on_denied(&self, event: &AclCheck<'_>, denial: Denial) {
        let mut sessions = self.sessions.borrow_mut();
        let Some(session) = sessions.of_mut(&event.client) else { return };
        let connected = session.phase == Phase::Connected;
        let configuration = self.configuration.borrow();
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
        // Every subscription that is refused is written down, of messages only the first: they can be many.
        let logged = event.access != Access::Subscribe && session.denial_logged.replace(true);
        if ends && connected {
            session.phase = Phase::Ending;
            self.endings.borrow_mut().push(event.client.key());
        }
        drop(sessions);
        if !logged && connected {
            report::denied(&self.broker, &event.client, what, event.topic, denial.code());
        }
    }
}
