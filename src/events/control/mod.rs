//! `CONTROL`: commands to the plugin, published to `$CONTROL/ace/v1` (docs/control.md).
//!
//! The broker asks `ACL_CHECK` first, but it asks other plugins, too, and does not ask about bridges: who may command is found out here, by
//! the client's token and by nothing else.

mod caches;
mod ending;
mod status;

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::rc::Rc;
use std::time::Instant;

use ace_profile::Timestamp;
use serde_json::json;

use ace_resource_server::rights::{Access, Grant};

use crate::broker::{AclCheck, Client, ClientKey, Control, Level, Verdict, clock};
use crate::control::{self, Answer, Asked, Command, Denials, Denied, UnderWay};
use crate::plugin::Plugin;
use crate::report;
use crate::session::{Phase, Rights};
use ending::Target;

/// What is known about commands.
pub struct Commands {
    /// Since when they are taken.
    started: Timestamp,
    /// Those of clients that may not command.
    pub(super) denials: Denials,
    /// How many were done, and how many were wrong or failed.
    pub(super) done: Cell<u64>,
    pub(super) failed: Cell<u64>,
    under_way: UnderWay,
    /// Sessions that commands have ended. The broker sends answers when its loop begins its next turn, and whoever has ended its own
    /// session is to be told of it: their clients are disconnected after that.
    ended: RefCell<[Vec<ClientKey>; 2]>,
}

impl Commands {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            started: now,
            denials: Denials::default(),
            done: Cell::new(0),
            failed: Cell::new(0),
            under_way: UnderWay::default(),
            ended: RefCell::default(),
        }
    }

    /// A turn of the broker's loop has begun, or will at once.
    pub(crate) fn begin_turn(&self, endings: &RefCell<Vec<ClientKey>>) {
        self.under_way.clear();
        let mut ended = self.ended.borrow_mut();
        let [first, second] = &mut *ended;
        if !second.is_empty() {
            endings.borrow_mut().append(second);
        }
        std::mem::swap(first, second);
    }

    /// Whether a client that connects under this id could be given an answer that is not for it.
    pub(crate) fn would_overhear(&self, client_id: &CStr, grant: Option<&Grant>) -> bool {
        self.under_way.is_to(client_id) && !grant.is_some_and(may_be_answered)
    }
}

/// Who commands.
struct Asker {
    client_id: Box<CStr>,
    grant: Rc<Grant>,
}

impl Plugin {
    pub(crate) fn on_control(&self, event: &Control<'_>) {
        let client = &event.client;
        let asker = match self.asker(client) {
            Ok(asker) => asker,
            Err(denied) => return self.command_denied(client, denied),
        };
        let asked = control::read(event.payload);
        let targets = self.targets(&asked);
        let mut answer = Answer::default();
        for (asked, target) in asked.iter().zip(targets) {
            match &asked.command {
                Ok(command) => self.carry_out(client, &asker, asked, command, target, &mut answer),
                Err(fault) => answer.wrong(asked, fault),
            }
        }
        let failed = answer.failures();
        self.commands.failed.set(self.commands.failed.get() + failed);
        self.commands.done.set(self.commands.done.get() + asked.len() as u64 - failed);
        if self.broker.send_to(&asker.client_id, control::RESPONSE_TOPIC, &answer.into_bytes()) {
            self.commands.under_way.note(&asker.client_id, Instant::now());
        } else {
            self.broker.log(Level::Warning, "ace: no memory for the answer to a command");
        }
    }

    fn carry_out(
        &self,
        client: &Client<'_>,
        asker: &Asker,
        asked: &Asked,
        command: &Command,
        target: Target,
        answer: &mut Answer,
    ) {
        let tell = |what: &str| {
            report::commanded(&self.broker, client, &asker.grant.user_name, asker.grant.fingerprint, what);
        };
        match command {
            Command::ListSessions { filter, offset, count } => {
                if answer.room() == 0 {
                    return answer.failed(asked, "answer-full", "the answer is full: ask for this in another request");
                }
                let page = control::page(&self.sessions.borrow(), filter, *offset, *count, answer.room());
                answer.take_room(page.bytes);
                let mut data = json!({ "sessions": page.sessions });
                if let (Some(next), Some(data)) = (page.next, data.as_object_mut()) {
                    data.insert("next".to_owned(), next.into());
                }
                answer.done(asked, data);
            }
            Command::EndSession { client_id } => match self.end_client(client_id, target, &tell) {
                Some(data) => answer.done(asked, data),
                None => answer.failed(asked, "session-missing", "no session of a client with this id is known"),
            },
            Command::EndSubject { subject, issuer, forget_tokens } => {
                answer.done(asked, self.end_subject(subject, issuer.as_deref(), *forget_tokens, target, &tell));
            }
            Command::FlushCaches => answer.done(asked, self.flush_caches(&tell)),
            Command::ReloadKeys => match self.reload_keys(&tell) {
                Ok(data) => answer.done(asked, data),
                Err(error) => answer.failed(asked, "files-unusable", &error),
            },
            Command::GetStatus => answer.done(asked, self.status()),
        }
    }

    /// Who commands, if the client may.
    fn asker(&self, client: &Client<'_>) -> Result<Asker, Denied> {
        if self.sessions.borrow().of(client).is_none() {
            self.adopt(client, true);
        }
        let sessions = self.sessions.borrow();
        let session = sessions.of(client).ok_or(Denied::WithoutToken)?;
        let Rights::Token(grant) = &session.rights else { return Err(Denied::WithoutToken) };
        if session.phase.get() != Phase::Connected {
            return Err(Denied::SessionEnding);
        }
        if !clock::is_before(grant.expires) {
            return Err(Denied::TokenExpired);
        }
        if !grant.matcher.may_publish(control::TOPIC.to_bytes()) {
            return Err(Denied::OutsideScope);
        }
        if !may_be_answered(grant) {
            return Err(Denied::ResponseOutsideScope);
        }
        Ok(Asker { client_id: session.client_id.clone(), grant: Rc::clone(grant) })
    }

    /// Notes that a client may not command. It is not told: the broker acknowledges what it has published in any case.
    fn command_denied(&self, client: &Client<'_>, denied: Denied) {
        self.commands.denials.count(denied);
        let sessions = self.sessions.borrow();
        // Of one client's, the first is written down: there can be many.
        let is_logged = sessions.of(client).is_some_and(|session| session.denial_logged.replace(true));
        drop(sessions);
        if !is_logged {
            report::denied(&self.broker, client, "command on", control::TOPIC.to_bytes(), denied.code());
        }
    }

    /// What a client without a token of its own wants with one of our topics: that is not for the broker's other plugins to allow.
    #[cold]
    pub(super) fn deny_control(&self, event: AclCheck<'_>) -> Verdict {
        self.commands.denials.count(Denied::WithoutToken);
        let what = match event.access() {
            Access::Publish => "publish to",
            Access::Subscribe => "subscribe to",
            Access::Receive | Access::Unsubscribe => return Verdict::RefuseAccess,
        };
        let sessions = self.sessions.borrow();
        let is_logged = sessions.of(&event.client()).is_some_and(|session| session.denial_logged.replace(true));
        drop(sessions);
        if !is_logged {
            report::denied(&self.broker, &event.client(), what, event.topic(), Denied::WithoutToken.code());
        }
        Verdict::RefuseAccess
    }
}

fn may_be_answered(grant: &Grant) -> bool {
    grant.matcher.may_receive(control::RESPONSE_TOPIC.to_bytes())
}
