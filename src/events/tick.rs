//! `TICK`: sessions end whose token has expired or whose client has done what ends a session.

use std::ffi::CStr;
use std::time::Instant;

use ace_profile::{Quoted, Timestamp};

use super::packets::{DISCONNECT_NOT_AUTHORIZED, DISCONNECT_PAYLOAD_FORMAT_INVALID};
use crate::broker::tls::Connection;
use crate::broker::{ClientKey, Level};
use crate::metrics::End;
use crate::plugin::Plugin;
use crate::session::{Farewell, Phase};

/// A session that is being ended, and what is needed of it once it is not borrowed any more.
pub(super) struct Ending {
    pub(super) key: ClientKey,
    pub(super) client_id: Box<CStr>,
    pub(super) connection: Option<Connection>,
    pub(super) takes_disconnect: bool,
    pub(super) farewell: Farewell,
}

impl Plugin {
    pub(crate) fn on_tick(&self, now: Timestamp) {
        self.turn.set(self.turn.get().wrapping_add(1));
        self.rechecking.set(false);
        self.commands.begin_turn(&self.endings);
        self.take_up_arrivals();
        self.end_expired(now);
        let instant = Instant::now();
        self.follow_remote(instant);
        self.follow_attempts(instant);
        for ending in self.take_endings().into_iter().chain(self.authz_info.take_strangers()) {
            self.end(ending);
        }
        self.sweep(now);
        self.tell_metrics(instant);
    }

    fn end_expired(&self, now: Timestamp) {
        let mut sessions = self.sessions.borrow_mut();
        for key in sessions.take_expired(now) {
            let Some(session) = sessions.get_mut(key) else { continue };
            if session.phase.get() != Phase::Connected {
                continue;
            }
            session.phase.set(Phase::Ending);
            self.counters.end(End::Expired);
            self.endings.borrow_mut().push(key);
            let id = session.client_id.to_string_lossy();
            let token = session.grant().map(|grant| grant.fingerprint.to_string()).unwrap_or_default();
            let line = format!("ace: the session of client {} ends: token-expired (token {token})", Quoted::new(&id));
            self.broker.log(Level::Notice, &line);
        }
    }

    fn take_endings(&self) -> Vec<Ending> {
        let keys = self.endings.take();
        let mut sessions = self.sessions.borrow_mut();
        let mut endings = Vec::with_capacity(keys.len());
        for key in keys {
            // The client may have gone by itself, and another have its place.
            let Some(session) = sessions.get_mut(key).filter(|session| session.phase.get() == Phase::Ending) else {
                continue;
            };
            session.phase.set(Phase::Leaving);
            endings.push(Ending {
                key,
                client_id: session.client_id.clone(),
                connection: session.connection,
                takes_disconnect: session.takes_disconnect,
                farewell: session.farewell.get(),
            });
        }
        endings
    }

    fn end(&self, ending: Ending) {
        let known = self.broker.is_connected_as(&ending.client_id, ending.key);
        if known {
            // The broker will say 0x98, Administrative action; ours arrives first, and is the one that counts.
            let packet = match ending.farewell {
                Farewell::NotAuthorized => Some(DISCONNECT_NOT_AUTHORIZED),
                Farewell::PayloadFormatInvalid => Some(DISCONNECT_PAYLOAD_FORMAT_INVALID),
                Farewell::Administrative => None,
            };
            if let (Some(packet), Some(connection)) = (packet, ending.connection.filter(|_| ending.takes_disconnect)) {
                let _ = connection.send(&packet);
            }
            self.broker.kick(&ending.client_id);
        }
        let mut sessions = self.sessions.borrow_mut();
        let Some(session) = sessions.get_mut(ending.key).filter(|session| session.phase.get() == Phase::Leaving) else {
            return;
        };
        // Mosquitto 2.0.11 loses track of a client when somebody else of its id leaves in the middle of a challenge, and then
        // cannot disconnect it by its id, or disconnects another. Until it has really gone, nothing is allowed to it.
        match ending.connection {
            Some(connection) if connection.is_alive() => {
                session.phase.set(Phase::Ending);
                connection.cut();
            }
            // Without TLS there is nothing to cut: it may stay, and do nothing.
            None if !self.broker.is_2_1() => session.phase.set(Phase::Ending),
            // The broker did not tell of the disconnection, or had none to make.
            _ => sessions.give_up(ending.key),
        }
    }
}
