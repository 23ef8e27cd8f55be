//! The listener's thread: one loop over all connections, which sleeps until there is something to do.
//!
//! It asks the broker's thread for its numbers by a flag, and is given them over a channel; it never touches the broker. Whatever
//! clients do, connections are bounded in number, size and time.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::connection::Connection;
use super::request::Answer;
use crate::metrics::exposition;
use crate::metrics::family::Family;

/// How many connections there are at a time.
const CONNECTIONS_MAX: usize = 16;
/// How many are taken in one round.
const ACCEPTS_MAX: usize = 16;
/// How long numbers are as good as new.
const FRESH: Duration = Duration::from_secs(1);
/// How long to take no connection where the system has none to give.
const PAUSE: Duration = Duration::from_millis(100);

/// What the thread is told.
pub(super) enum Notice {
    /// There is a plugin of this number. It looks at the flag.
    Here(usize, Arc<AtomicBool>),
    /// These are its numbers.
    Page(usize, Vec<Family>),
    /// It has gone.
    Gone(usize),
    /// The thread is to end.
    Stop,
}

/// A plugin.
struct Source {
    wanted: Arc<AtomicBool>,
    page: Option<(Instant, Vec<Family>)>,
}

impl Source {
    fn is_fresh(&self, at: Instant) -> bool {
        self.page.as_ref().is_some_and(|(given, _)| at.saturating_duration_since(*given) < FRESH)
    }
}

pub(super) struct Server {
    listener: TcpListener,
    wake: UnixStream,
    notices: Receiver<Notice>,
    sources: BTreeMap<usize, Source>,
    connections: Vec<Connection>,
    accepts_from: Option<Instant>,
}

impl Server {
    pub(super) fn new(listener: TcpListener, wake: UnixStream, notices: Receiver<Notice>) -> Self {
        Self { listener, wake, notices, sources: BTreeMap::new(), connections: Vec::new(), accepts_from: None }
    }

    /// Serves until it is told to stop, or has nobody any more who could tell it.
    pub(super) fn run(mut self) {
        loop {
            let now = Instant::now();
            if !self.heed_notices(now) {
                return;
            }
            self.answer_those_who_wait(now);
            self.connections.retain_mut(|connection| now < connection.deadline() || connection.is_late(now));
            if self.wait(now).is_err() {
                // Not to spin, whatever it is that goes wrong.
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// `false` when it is time to end.
    fn heed_notices(&mut self, now: Instant) -> bool {
        let mut woken = [0; 64];
        while matches!((&self.wake).read(&mut woken), Ok(read) if read > 0) {}
        loop {
            match self.notices.try_recv() {
                Ok(Notice::Here(number, wanted)) => drop(self.sources.insert(number, Source { wanted, page: None })),
                Ok(Notice::Gone(number)) => drop(self.sources.remove(&number)),
                Ok(Notice::Page(number, page)) => {
                    if let Some(source) = self.sources.get_mut(&number) {
                        source.page = Some((now, page));
                    }
                }
                Ok(Notice::Stop) | Err(std::sync::mpsc::TryRecvError::Disconnected) => return false,
                Err(std::sync::mpsc::TryRecvError::Empty) => return true,
            }
        }
    }

    /// Gives those their answers for whom all plugins' numbers are there, and asks for what is missing.
    fn answer_those_who_wait(&mut self, now: Instant) {
        let Self { sources, connections, .. } = self;
        let mut text = None;
        connections.retain_mut(|connection| {
            let Some(since) = connection.waits_since() else { return true };
            let is_complete = !sources.is_empty() && sources.values().all(|source| source.is_fresh(since));
            if is_complete {
                let text = text.get_or_insert_with(|| all(sources));
                return connection.answer(Answer::Metrics, Some(text), now);
            }
            for source in sources.values().filter(|source| !source.is_fresh(since)) {
                source.wanted.store(true, Ordering::Relaxed);
            }
            true
        });
    }

    /// Sleeps until something can be done, and does it.
    fn wait(&mut self, now: Instant) -> io::Result<()> {
        if self.accepts_from.is_some_and(|from| from <= now) {
            self.accepts_from = None;
        }
        let deadlines = self.connections.iter().map(Connection::deadline).chain(self.accepts_from);
        let next = deadlines.min().map(|deadline| deadline.saturating_duration_since(now));
        // Rounded up: otherwise it would spin through the last millisecond.
        let next = next.and_then(|next| Timespec::try_from(next + Duration::from_millis(1)).ok());
        let listens = if self.accepts_from.is_none() { PollFlags::IN } else { PollFlags::empty() };
        let mut waited_for = vec![PollFd::new(&self.wake, PollFlags::IN), PollFd::new(&self.listener, listens)];
        waited_for.extend(self.connections.iter().map(|it| PollFd::new(it.stream(), it.interest())));
        match poll(&mut waited_for, next.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = waited_for.iter().map(|waited| !waited.revents().is_empty()).collect();
        let now = Instant::now();
        let mut is_ready = ready.iter().skip(2);
        self.connections.retain_mut(|connection| match is_ready.next() {
            Some(true) => connection.go_on(now),
            _ => true,
        });
        if ready.get(1) == Some(&true) {
            self.accept(now);
        }
        Ok(())
    }

    fn accept(&mut self, now: Instant) {
        for _ in 0..ACCEPTS_MAX {
            match self.listener.accept() {
                // One of the system, or of a process that forwards to us: the socket is bound to loopback.
                Ok((stream, _)) => {
                    if self.has_room()
                        && let Ok(mut connection) = Connection::new(stream, now)
                        && connection.go_on(now)
                    {
                        self.connections.push(connection);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    self.accepts_from = Some(now + PAUSE);
                    return;
                }
            }
        }
    }

    /// Makes room for one more connection, at the expense of the oldest whose client is slow. `false` if all are being served.
    fn has_room(&mut self) -> bool {
        if self.connections.len() < CONNECTIONS_MAX {
            return true;
        }
        let oldest = self.connections.iter().position(Connection::is_idle);
        oldest.map(|at| self.connections.remove(at)).is_some()
    }
}

fn all(sources: &BTreeMap<usize, Source>) -> String {
    let pages: Vec<_> =
        sources.iter().filter_map(|(number, source)| Some((*number, source.page.as_ref()?.1.as_slice()))).collect();
    exposition::text(&pages)
}
