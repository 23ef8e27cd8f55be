//! What a server answers, and how.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::lock;

/// What to answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// More headers, each with its line end.
    pub headers: String,
    /// The content.
    pub body: Vec<u8>,
    /// When to answer.
    pub(super) moment: Moment,
    /// In which shape, and how much of it.
    pub(super) manner: Manner,
}

/// When an answer is sent.
#[derive(Debug, Clone)]
pub(super) enum Moment {
    AtOnce,
    After(Duration),
    When(Gate),
    Never,
}

/// How an answer is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    /// With its length.
    Whole,
    /// In chunks of so many bytes.
    Chunked(usize),
    /// With another length than it has; then the connection is kept open.
    Declaring(u64),
    /// Only its first bytes; then the connection is cut.
    Cut(usize),
    /// Its content over and over, until the other side has enough.
    Endless,
    /// Byte by byte, with a pause before each.
    Dripping(Duration),
    /// Not at all: the connection is closed.
    Closed,
}

impl Answer {
    /// Status 200 with this content.
    pub fn ok(media_type: &str, body: Vec<u8>) -> Self {
        Self::new(200, format!("Content-Type: {media_type}\r\n"), body)
    }

    /// A status without content.
    pub fn status(status: u16) -> Self {
        Self::new(status, String::new(), Vec::new())
    }

    /// Status 302, to another address.
    pub fn redirect(location: &str) -> Self {
        Self::new(302, format!("Location: {location}\r\n"), Vec::new())
    }

    /// None, ever: the connection stays open until the other side leaves.
    pub fn never() -> Self {
        Self { moment: Moment::Never, ..Self::status(200) }
    }

    /// None: the connection is closed.
    pub fn closed() -> Self {
        Self::status(200).sent(Manner::Closed)
    }

    fn new(status: u16, headers: String, body: Vec<u8>) -> Self {
        Self { status, headers, body, moment: Moment::AtOnce, manner: Manner::Whole }
    }

    fn sent(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }

    /// The same with this status.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same with one more header field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// The same, so long after the request.
    pub fn after(self, delay: Duration) -> Self {
        Self { moment: Moment::After(delay), ..self }
    }

    /// The same, once the gate is open.
    pub fn when(self, gate: &Gate) -> Self {
        Self { moment: Moment::When(gate.clone()), ..self }
    }

    /// The same in chunks of so many bytes, without a length.
    pub fn chunked(self, bytes: usize) -> Self {
        self.sent(Manner::Chunked(bytes))
    }

    /// The same with another length than it has. What is missing does not come; the connection stays open.
    pub fn declaring(self, length: u64) -> Self {
        self.sent(Manner::Declaring(length))
    }

    /// The first bytes of the same, counted from the status line on; then the connection is cut.
    pub fn cut_after(self, bytes: usize) -> Self {
        self.sent(Manner::Cut(bytes))
    }

    /// Its content again and again, in chunks, until the other side has enough.
    pub fn endless(self) -> Self {
        self.sent(Manner::Endless)
    }

    /// The same byte by byte, with so long a pause before each.
    pub fn dripping(self, pause: Duration) -> Self {
        self.sent(Manner::Dripping(pause))
    }
}

/// What answers wait for. Its clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// One that is shut.
    pub fn shut() -> Self {
        Self::default()
    }

    /// Lets pass all who wait, and who come later.
    pub fn open(&self) {
        *lock(&self.0.0) = true;
        self.0.1.notify_all();
    }

    /// Waits for a while; tells whether it is open then.
    pub(super) fn wait(&self, while_shut: Duration) -> bool {
        let guard = lock(&self.0.0);
        self.0.1.wait_timeout_while(guard, while_shut, |is_open| !*is_open).is_ok_and(|(is_open, _)| *is_open)
    }
}
