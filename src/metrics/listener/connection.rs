//! One connection to the listener: a request, an answer, the end. It never waits, and it has a time by which it is over.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::request::{Answer, HEAD_BYTES_MAX, answer};

/// How long a request may take to come, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the broker may take to tell its numbers. It does so ten times a second.
const BROKER_PATIENCE: Duration = Duration::from_secs(2);
/// How long the connection is kept after the answer, so that the client can read it though it has sent more than was read.
const LINGER: Duration = Duration::from_secs(1);

/// Where a connection is in its life.
enum Phase {
    /// The request is coming.
    Reading(Vec<u8>),
    /// It has come, and the broker's numbers are not there yet.
    Waiting { since: Instant },
    /// The answer is going, so far sent up to there.
    Writing { bytes: Vec<u8>, sent: usize },
    /// It has gone. What the client still sends is not looked at.
    Lingering,
}

/// A connection.
pub(super) struct Connection {
    stream: TcpStream,
    phase: Phase,
    deadline: Instant,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, now: Instant) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, phase: Phase::Reading(Vec::new()), deadline: now + PATIENCE })
    }

    pub(super) const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// By when it is over, or goes on.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Since when it waits for the broker's numbers, if it does.
    pub(super) const fn waits_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { since } => Some(since),
            _ => None,
        }
    }

    /// Whether the client's turn it is: then the connection is the first to go when there are too many.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Reading(_) | Phase::Lingering)
    }

    /// What it is to be woken for.
    pub(super) const fn interest(&self) -> PollFlags {
        match self.phase {
            Phase::Reading(_) | Phase::Lingering => PollFlags::IN,
            // Nothing that the client sends is of interest, its half of the connection may have ended.
            Phase::Waiting { .. } => PollFlags::empty(),
            Phase::Writing { .. } => PollFlags::OUT,
        }
    }

    /// Reads or writes what can be without waiting. `false` when the connection is over.
    pub(super) fn go_on(&mut self, now: Instant) -> bool {
        let outcome = match &self.phase {
            Phase::Reading(_) => self.read(now),
            // It has gone, or is broken: nothing else wakes it.
            Phase::Waiting { .. } => Ok(false),
            Phase::Writing { .. } => self.write(now),
            Phase::Lingering => self.discard(),
        };
        outcome.unwrap_or(false)
    }

    /// What becomes of it when its time is over. `false` if it is.
    pub(super) fn is_late(&mut self, now: Instant) -> bool {
        match &self.phase {
            Phase::Reading(head) if !head.is_empty() => self.answer(Answer::Timeout, None, now),
            Phase::Waiting { .. } => self.answer(Answer::Unavailable, None, now),
            Phase::Reading(_) | Phase::Writing { .. } | Phase::Lingering => false,
        }
    }

    /// Answers the request. `false` when the connection is over.
    pub(super) fn answer(&mut self, answer: Answer, metrics: Option<&str>, now: Instant) -> bool {
        self.phase = Phase::Writing { bytes: answer.bytes(metrics), sent: 0 };
        self.deadline = now + PATIENCE;
        self.write(now).unwrap_or(false)
    }

    fn read(&mut self, now: Instant) -> io::Result<bool> {
        let Phase::Reading(head) = &mut self.phase else { return Ok(true) };
        let mut piece = [0; 1024];
        loop {
            let room = HEAD_BYTES_MAX.saturating_sub(head.len()).min(piece.len());
            let read = match piece.get_mut(..room).map(|piece| self.stream.read(piece)) {
                Some(Ok(0)) | None => return Ok(false),
                Some(Ok(read)) => read,
                Some(Err(error)) if is_for_later(&error) => return Ok(true),
                Some(Err(error)) => return Err(error),
            };
            head.extend_from_slice(piece.get(..read).unwrap_or_default());
            match answer(head) {
                None => {}
                Some(Answer::Metrics) => {
                    self.phase = Phase::Waiting { since: now };
                    self.deadline = now + BROKER_PATIENCE;
                    return Ok(true);
                }
                Some(other) => return Ok(self.answer(other, None, now)),
            }
        }
    }

    fn write(&mut self, now: Instant) -> io::Result<bool> {
        let Phase::Writing { bytes, sent } = &mut self.phase else { return Ok(true) };
        while let Some(rest) = bytes.get(*sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Ok(false),
                Ok(written) => *sent += written,
                Err(error) if is_for_later(&error) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        self.stream.shutdown(Shutdown::Write)?;
        self.phase = Phase::Lingering;
        self.deadline = now + LINGER;
        Ok(true)
    }

    /// Reads what is not looked at, a piece at a time. `false` at its end.
    fn discard(&mut self) -> io::Result<bool> {
        let mut piece = [0; 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => Ok(false),
            Ok(_) => Ok(true),
            Err(error) if is_for_later(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
