//! `ACL_CHECK`: once per message and subscriber. No lock, no allocation, no waiting on the way to an answer.

use ace_profile::scope::{Permission, shared_subscription_filter};
use ace_resource_server::config::{Configuration, OnDenied, OtherClients};
use ace_resource_server::rights::Access;
use ace_resource_server::rights::Denial;

use crate::broker::{AclCheck, Verdict, clock};
use crate::control;
use crate::metrics::{End, Wish};
use crate::plugin::Plugin;
use crate::session::{Decision, Phase, Session};

impl Plugin {
    #[inline]
    pub(crate) fn on_acl_check(&self, event: AclCheck<'_>) -> Verdict {
        let topic = event.topic();
        // The topic that takes tokens has rules of its own. Nearly every other one is told from it by its length.
        if (topic.len() == self.authz_info.length() || event.access() == Access::Subscribe)
            && let Some(verdict) = self.on_authz_info(event)
        {
            return verdict;
        }
        let sessions = self.sessions.borrow();
        let Some(session) = sessions.of(&event.client()) else {
            drop(sessions);
            return self.unknown_client(event);
        };
        match session.decide(event.access(), topic, clock::is_before) {
            Decision::Allow => Verdict::Allow,
            Decision::Defer => self.leave_to_others(event),
            // A token that would allow it may have come since we last looked.
            Decision::Deny(_) if !self.arrivals.borrow().is_empty() => {
                drop(sessions);
                self.take_up_arrivals();
                self.on_acl_check(event)
            }
            Decision::Deny(denial) if self.is_denied_again(session, event) => {
                self.counters.denial(Wish::Publish, denial);
                Verdict::RefuseAccess
            }
            Decision::Deny(denial) => self.not_by_own_rights(session, event, denial),
            Decision::LookAgain => {
                drop(sessions);
                self.departed_or_back(event)
            }
        }
    }

    /// A client has gone, or another has its place that the broker has let in without asking us.
    #[cold]
    #[inline(never)]
    fn departed_or_back(&self, event: AclCheck<'_>) -> Verdict {
        if self.is_back(&event.client()) {
            self.sessions.borrow_mut().forget(event.client().key());
            return self.unknown_client(event);
        }
        let sessions = self.sessions.borrow();
        match sessions.of(&event.client()).map(|session| session.decide_departed(event.access(), event.topic())) {
            Some(Decision::Allow) => Verdict::Allow,
            _ if self.configuration().public.allow(event.access(), event.topic()) => Verdict::Allow,
            Some(Decision::Deny(denial)) => {
                if let Some(wish) = wish(event.access()) {
                    self.counters.denial(wish, denial);
                }
                Verdict::RefuseAccess
            }
            _ => self.refuse_without_session(event),
        }
    }

    /// Whether a denied message is one of many: nothing is open to all, the client is told by the acknowledgement, and the
    /// log has a line about it. Then nothing is left to be done.
    #[inline]
    fn is_denied_again(&self, session: &Session, event: AclCheck<'_>) -> bool {
        !self.has_public_topics.get() && session.denial_logged.get() && is_told(session, event)
    }

    /// What the client may not do by its own rights, everybody may, or it is denied. Apart, so that what
    /// is allowed need not save the registers that this takes.
    #[cold]
    #[inline(never)]
    fn not_by_own_rights(&self, session: &Session, event: AclCheck<'_>, denial: Denial) -> Verdict {
        let configuration = self.configuration();
        if denial.leaves_public_topics() && configuration.public.allow(event.access(), event.topic()) {
            return Verdict::Allow;
        }
        self.on_denied(&configuration, session, event, denial);
        Verdict::RefuseAccess
    }

    /// A client that never came to us to authenticate, or one that is not there: the publisher of a retained message, or a
    /// client whose session the broker has taken up from before its restart.
    #[cold]
    #[inline(never)]
    fn unknown_client(&self, event: AclCheck<'_>) -> Verdict {
        // The Will of a client that has left before it was let in.
        if event.access() == Access::Publish && self.is_delayed(event.client().key()) {
            return Verdict::RefuseAccess;
        }
        let configuration = self.configuration();
        if configuration.public.allow(event.access(), event.topic()) {
            return Verdict::Allow;
        }
        if event.client().address().is_none() && self.absent_client_may(event) {
            return Verdict::Allow;
        }
        // The broker has let it in by its certificate or its pre-shared key, and has not asked us.
        if self.adopt(&event.client(), true) {
            let sessions = self.sessions.borrow();
            let Some(session) = sessions.of(&event.client()) else { return Verdict::RefuseAccess };
            return match session.decide(event.access(), event.topic(), clock::is_before) {
                Decision::Allow => Verdict::Allow,
                Decision::Defer => self.leave_to_others(event),
                Decision::Deny(denial) => self.not_by_own_rights(session, event, denial),
                Decision::LookAgain => Verdict::RefuseAccess,
            };
        }
        match configuration.other_clients {
            OtherClients::Defer => self.leave_to_others(event),
            OtherClients::Refuse => self.refuse_without_session(event),
        }
    }

    /// What a client without a token of its own may do is for the broker's other plugins and files to say: except that it may not command.
    #[inline(never)]
    fn leave_to_others(&self, event: AclCheck<'_>) -> Verdict {
        let topic = event.topic();
        let is_subscription = event.access() == Access::Subscribe;
        let topic = if is_subscription { shared_subscription_filter(topic).unwrap_or(topic) } else { topic };
        if control::is_ours(topic) { self.deny_control(event) } else { Verdict::Defer }
    }

    fn refuse_without_session(&self, event: AclCheck<'_>) -> Verdict {
        if let Some(wish) = wish(event.access()) {
            self.counters.denial_without_session(wish);
        }
        Verdict::RefuseAccess
    }

    /// Whether the newest token of a client that is not there is valid and allows this. The broker makes a stand-in for the
    /// publisher of a retained message on the spot, with nothing but its id, user name and listener; of a client whose session it
    /// has from before a restart, and that may come back, it knows no more, and asks about each message that it would queue: what
    /// is queued is looked at again, with the client's new token, before it is given it.
    fn absent_client_may(&self, event: AclCheck<'_>) -> bool {
        let (Some(id), Some(user_name)) = (event.client().id(), event.client().user_name()) else { return false };
        let permission = match event.access() {
            Access::Publish => Permission::Publish,
            Access::Receive => Permission::Subscribe,
            Access::Subscribe | Access::Unsubscribe => return false,
        };
        self.publishers.borrow().may(id, user_name, permission, event.topic(), clock::now())
    }

    /// What follows a denial: a line in the log, and where MQTT has no other way to tell the client, its disconnection
    /// (RFC 9431 §2.3, §2.4).
    fn on_denied(&self, configuration: &Configuration, session: &Session, event: AclCheck<'_>, denial: Denial) {
        if let Some(wish) = wish(event.access()) {
            self.counters.denial(wish, denial);
        }
        if session.phase.get() != Phase::Connected {
            return;
        }
        let (what, ends) = match event.access() {
            Access::Publish => {
                let told = is_told(session, event);
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
            self.counters.end(End::Denied);
            self.endings.borrow_mut().push(event.client().key());
        }
        // Every subscription that is refused is written down, of messages only the first: they can be many.
        if event.access() == Access::Subscribe || !session.denial_logged.replace(true) {
            self.tell_denied(&event.client(), what, event.topic(), denial);
        }
    }
}

/// What a client wants; giving a subscription up harms nobody, and is not counted.
const fn wish(access: Access) -> Option<Wish> {
    match access {
        Access::Publish => Some(Wish::Publish),
        Access::Receive => Some(Wish::Receive),
        Access::Subscribe => Some(Wish::Subscribe),
        Access::Unsubscribe => None,
    }
}

/// Whether the client learns of a denial without us: at QoS 1 and 2, MQTT 5 clients do by the acknowledgement.
#[inline]
fn is_told(session: &Session, event: AclCheck<'_>) -> bool {
    event.access() == Access::Publish && event.qos() > 0 && session.speaks_mqtt5
}
