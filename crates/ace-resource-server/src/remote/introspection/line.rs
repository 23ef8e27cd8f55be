//! What is to be asked of one server: bounded, in the order in which it came, and so that strangers' tokens do not keep those waiting
//! that the sessions of connected clients rest on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ace_profile::revocation::TokenHash;
use ace_profile::token::AskedWith;

use crate::remote::https::Endpoint;

/// How many tokens that are new may wait to be asked about,
pub(super) const NEW_MAX: usize = 1024;
/// and how many bytes they may have.
const NEW_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many about which is asked again may wait. The others are due as long as it takes.
const AGAIN_MAX: usize = 256;

/// Why a server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Nothing that counts is known of the token.
    New,
    /// What is known will run out, and somebody rests on it.
    Again,
}

/// One question.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) with: AskedWith,
    /// Tells it from others, also about the same token.
    pub(super) number: u64,
    pub(super) cause: Cause,
    /// After this it is not sent any more.
    pub(super) deadline: Instant,
}

impl Request {
    pub(super) fn token(&self) -> TokenHash {
        self.with.token()
    }
}

/// The next thing to do for a thread.
pub(super) enum Next {
    /// To send this.
    Send(Request, Arc<Endpoint>),
    /// To say that this was not sent, since its time is over,
    Late(Request),
    /// or since the server wants to be left alone.
    Paused(Request),
}

/// The requests to one server. Shared with the threads that send them.
pub(super) struct Line {
    state: Mutex<State>,
}

struct State {
    endpoint: Arc<Endpoint>,
    new: Waiting,
    again: Waiting,
    new_bytes: usize,
    /// How many threads are at it, or will be.
    threads: usize,
    /// How many there may be.
    most: usize,
    paused_until: Option<Instant>,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Request>,
    in_flight: usize,
}

impl Waiting {
    /// How many more could be sent at once, if that many may be under way.
    fn ready(&self, most: usize) -> usize {
        self.queue.len().min(most.saturating_sub(self.in_flight))
    }
}

impl State {
    /// How many requests of a kind may be under way: some threads are left to the other kind.
    fn share(&self) -> usize {
        self.most - (self.most / 8).max(1).min(self.most - 1)
    }
}

impl Line {
    /// A line to this endpoint, with that many requests under way at a time.
    pub(super) fn new(endpoint: Arc<Endpoint>, most: usize) -> Self {
        Self {
            state: Mutex::new(State {
                endpoint,
                new: Waiting::default(),
                again: Waiting::default(),
                new_bytes: 0,
                threads: 0,
                most: most.max(1),
                paused_until: None,
            }),
        }
    }

    /// Nothing that could panic is done while it is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn endpoint(&self) -> Arc<Endpoint> {
        Arc::clone(&self.lock().endpoint)
    }

    /// Asks there from now on.
    pub(super) fn replace(&self, endpoint: Arc<Endpoint>, most: usize) {
        let mut state = self.lock();
        (state.endpoint, state.most) = (endpoint, most.max(1));
    }

    /// Puts a request at the end. `false` if there is no room.
    pub(super) fn push(&self, request: Request) -> bool {
        let mut state = self.lock();
        match request.cause {
            Cause::Again => {
                if state.again.queue.len() >= AGAIN_MAX {
                    return false;
                }
                state.again.queue.push_back(request);
            }
            Cause::New => {
                let bytes = state.new_bytes + request.with.sent().len();
                if state.new.queue.len() >= NEW_MAX || bytes > NEW_BYTES_MAX {
                    return false;
                }
                state.new_bytes = bytes;
                state.new.queue.push_back(request);
            }
        }
        true
    }

    /// Until when the server is not to be asked.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.lock().paused_until.filter(|until| now < *until)
    }

    /// The server wants to be left alone until then.
    pub(super) fn pause(&self, until: Instant) {
        let mut state = self.lock();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// How many threads more there is something to do for. They count as being at it.
    pub(super) fn call_threads(&self) -> usize {
        let mut state = self.lock();
        let share = state.share();
        let idle = state.threads.saturating_sub(state.new.in_flight + state.again.in_flight);
        let wanted = (state.new.ready(share) + state.again.ready(share)).saturating_sub(idle);
        let more = wanted.min(state.most.saturating_sub(state.threads));
        state.threads += more;
        more
    }

    /// A thread is not at it any more.
    pub(super) fn dismiss_thread(&self) {
        let mut state = self.lock();
        state.threads = state.threads.saturating_sub(1);
    }

    /// What a thread is to do next. `None`: nothing, and it is dismissed.
    ///
    /// What connected clients rest on comes first, but does not take all threads.
    pub(super) fn next(&self, now: Instant) -> Option<Next> {
        let mut state = self.lock();
        let share = state.share();
        let is_paused = state.paused_until.is_some_and(|until| now < until);
        let state = &mut *state;
        let request = if state.again.ready(if is_paused { usize::MAX } else { share }) > 0 {
            state.again.queue.pop_front()
        } else if state.new.ready(if is_paused { usize::MAX } else { share }) > 0 {
            state.new.queue.pop_front()
        } else {
            None
        };
        let Some(request) = request else {
            state.threads = state.threads.saturating_sub(1);
            return None;
        };
        let waiting = match request.cause {
            Cause::New => {
                state.new_bytes -= request.with.sent().len();
                &mut state.new
            }
            Cause::Again => &mut state.again,
        };
        if now >= request.deadline {
            return Some(Next::Late(request));
        }
        if is_paused {
            return Some(Next::Paused(request));
        }
        waiting.in_flight += 1;
        Some(Next::Send(request, Arc::clone(&state.endpoint)))
    }

    /// What was to be sent has been answered, or not.
    pub(super) fn done(&self, cause: Cause) {
        let mut state = self.lock();
        let waiting = match cause {
            Cause::New => &mut state.new,
            Cause::Again => &mut state.again,
        };
        waiting.in_flight = waiting.in_flight.saturating_sub(1);
    }

    /// How many requests wait, and how many are under way.
    pub(super) fn gauges(&self) -> (usize, usize) {
        let state = self.lock();
        (state.new.queue.len() + state.again.queue.len(), state.new.in_flight + state.again.in_flight)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line(most: usize) -> Line {
        let endpoint = Endpoint::new("https://localhost:1/introspect", None, Duration::from_secs(1)).unwrap();
        Line::new(Arc::new(endpoint), most)
    }

    fn request(token: &str, cause: Cause, deadline: Instant) -> Request {
        Request { with: AskedWith::new(token), number: 0, cause, deadline }
    }

    /// What the line gives to threads that never end what they send.
    fn sent(line: &Line, now: Instant) -> Vec<String> {
        let mut sent = Vec::new();
        for _ in 0..line.call_threads() {
            if let Some(Next::Send(request, _)) = line.next(now) {
                sent.push(String::from_utf8(request.with.sent().to_vec()).unwrap());
            }
        }
        sent
    }

    #[test]
    fn strangers_do_not_take_all_threads_and_neither_do_the_others() {
        let (line, now) = (line(8), Instant::now());
        let later = now + Duration::from_secs(1);
        for number in 0..20 {
            assert!(line.push(request(&format!("new-{number}"), Cause::New, later)));
        }
        assert_eq!(sent(&line, now).len(), 7);
        assert!(sent(&line, now).is_empty(), "there is one left for the others");
        for number in 0..20 {
            assert!(line.push(request(&format!("again-{number}"), Cause::Again, later)));
        }
        assert_eq!(sent(&line, now), ["again-0"]);
        assert_eq!(line.gauges(), (32, 8));
        // What connected clients rest on comes first as soon as something is done.
        line.done(Cause::New);
        assert!(matches!(line.next(now), Some(Next::Send(request, _)) if request.cause == Cause::Again));
        for _ in 0..6 {
            line.done(Cause::New);
        }
        let causes: Vec<Cause> = std::iter::from_fn(|| match line.next(now) {
            Some(Next::Send(request, _)) => Some(request.cause),
            _ => None,
        })
        .take(6)
        .collect();
        assert_eq!(causes, [Cause::Again, Cause::Again, Cause::Again, Cause::Again, Cause::Again, Cause::New]);
    }

    #[test]
    fn one_thread_serves_both() {
        let (line, now) = (line(1), Instant::now());
        let later = now + Duration::from_secs(1);
        assert!(line.push(request("new", Cause::New, later)) && line.push(request("again", Cause::Again, later)));
        assert_eq!(line.call_threads(), 1);
        for cause in [Cause::Again, Cause::New] {
            assert!(matches!(line.next(now), Some(Next::Send(request, _)) if request.cause == cause));
            line.done(cause);
        }
        assert!(line.next(now).is_none());
        assert_eq!(line.lock().threads, 0, "it has left");
    }

    #[test]
    fn the_queue_is_bounded_in_number_and_bytes() {
        let (line, now) = (line(4), Instant::now());
        for number in 0..NEW_MAX {
            assert!(line.push(request(&number.to_string(), Cause::New, now)));
        }
        assert!(!line.push(request("one more", Cause::New, now)));
        assert!(line.push(request("one more", Cause::Again, now)), "those have room of their own");
        let (line, long) = (self::line(4), "t".repeat(32 * 1024));
        assert_eq!((0..NEW_MAX).take_while(|_| line.push(request("again", Cause::Again, now))).count(), AGAIN_MAX);
        while line.next(now).is_some() {}
        let taken = (0..NEW_MAX).take_while(|_| line.push(request(&long, Cause::New, now))).count();
        assert_eq!(taken, NEW_BYTES_MAX / long.len());
        // Both come back.
        assert!(matches!(line.next(now), Some(Next::Late(_))));
        assert!(line.push(request(&long, Cause::New, now)));
    }

    #[test]
    fn what_is_late_is_not_sent() {
        let (line, now) = (line(4), Instant::now());
        assert!(line.push(request("late", Cause::New, now)));
        assert!(line.push(request("in time", Cause::New, now + Duration::from_secs(1))));
        assert!(matches!(line.next(now), Some(Next::Late(request)) if request.with.sent() == b"late"));
        assert!(matches!(line.next(now), Some(Next::Send(..))));
    }

    #[test]
    fn a_server_that_wants_to_be_left_alone_is() {
        let (line, now) = (line(2), Instant::now());
        let until = now + Duration::from_secs(5);
        line.pause(until);
        line.pause(now);
        assert_eq!(line.paused_until(now), Some(until));
        for number in 0..3 {
            assert!(line.push(request(&number.to_string(), Cause::New, until + Duration::from_secs(1))));
        }
        assert!(matches!(line.next(now), Some(Next::Paused(_))));
        assert!(matches!(line.next(until), Some(Next::Send(..))));
        assert_eq!(line.paused_until(until), None);
    }
}
