//! The threads that wait for the network, so that the broker's need not.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How many threads there are, and so how many requests are under way at a time. They mostly wait.
pub(super) const THREADS_MAX: usize = 64;
/// How many jobs may wait for their turn.
const QUEUE: usize = 1024;
/// How long a thread waits for something to do before it ends.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// A job that could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// All threads are at work, and the queue is full.
    Busy,
    /// The system gives no thread.
    NoThread,
}

/// The threads. None is started before there is something to do: an unused plugin has none. Each job finds an idle thread, or is a
/// reason to start one, up to a bound; a thread that has had nothing to do for a while ends.
///
/// When this goes, they end after what is queued; nobody waits for them. The library stays in memory (see build.rs).
#[derive(Default)]
pub struct Workers {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    /// How many of them wait for a job. One that has been woken and has not got to it yet counts, as its job does in the queue.
    idle: usize,
    is_over: bool,
}

impl Workers {
    /// Has a job done. Never waits.
    ///
    /// # Errors
    /// [`NotTaken`] says why it will not be done.
    pub fn submit(&mut self, job: impl FnOnce() + Send + 'static) -> Result<(), NotTaken> {
        let mut state = self.shared.lock();
        if state.is_over {
            return Err(NotTaken::NoThread);
        }
        if state.queue.len() >= QUEUE {
            return Err(NotTaken::Busy);
        }
        state.queue.push_back(Box::new(job));
        if state.idle >= state.queue.len() {
            self.shared.wake.notify_one();
        } else if state.threads < THREADS_MAX {
            let shared = Arc::clone(&self.shared);
            let started = thread::Builder::new().name("ace-remote".into()).spawn(move || shared.work());
            match started {
                Ok(_) => state.threads += 1,
                // The others get to it, if there are any.
                Err(_) if state.threads == 0 => {
                    state.queue.pop_back();
                    return Err(NotTaken::NoThread);
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// How many threads there are now, and how many jobs wait for one.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        let state = self.shared.lock();
        (state.threads, state.queue.len())
    }
}

impl Workers {
    /// Without any thread: nothing is ever done. For those who ask nobody, and for tests that play the threads' part themselves.
    #[must_use]
    pub fn none() -> Self {
        let workers = Self::default();
        workers.shared.lock().is_over = true;
        workers
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    /// Nothing can panic while it is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // A mistake of ours in one job is not to cost the others their thread.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(job)) {
                std::mem::forget(payload);
            }
        }
    }

    /// The next job; `None` when it is time for the thread to end.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                return Some(job);
            }
            let mut is_late = state.is_over;
            if !is_late {
                state.idle += 1;
                let (after, waited) = self.wake.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
                state = after;
                state.idle -= 1;
                is_late = waited.timed_out();
            }
            if is_late && state.queue.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn jobs_are_done_at_the_same_time_and_a_panic_ends_one_only() {
        let mut workers = Workers::default();
        let (done, results) = mpsc::channel();
        for _ in 0..2 * THREADS_MAX {
            workers.submit(|| panic!("in a job")).unwrap();
        }
        // Each waits for the other: one thread alone would never finish.
        let (to_one, from_other) = mpsc::channel();
        let (to_other, from_one) = mpsc::channel();
        let (one, other) = (done.clone(), done);
        workers
            .submit(move || one.send(from_one.recv_timeout(PATIENCE).map(|()| to_one.send(()).is_ok())).unwrap())
            .unwrap();
        workers
            .submit(move || {
                to_other.send(()).unwrap();
                other.send(from_other.recv_timeout(PATIENCE).map(|()| true)).unwrap();
            })
            .unwrap();
        assert_eq!(results.recv_timeout(PATIENCE), Ok(Ok(true)));
        assert_eq!(results.recv_timeout(PATIENCE), Ok(Ok(true)));
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let mut workers = Workers::default();
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let mut taken = 0;
        let error = loop {
            let held = Arc::clone(&held);
            match workers.submit(move || drop(held.lock().map(|held| held.recv()))) {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken <= QUEUE + THREADS_MAX);
        };
        assert_eq!(error, NotTaken::Busy);
        assert_eq!(workers.load().0, THREADS_MAX);
        assert!(taken >= QUEUE);
        drop(release);
    }

    /// As many at a time as there may be, each waiting for all of them; then no more than that.
    #[test]
    fn there_are_as_many_threads_as_are_needed() {
        let mut workers = Workers::default();
        workers.submit(|| {}).unwrap();
        assert_eq!(workers.shared.lock().threads, 1, "one job needs one");
        let (done, results) = mpsc::channel();
        let barrier = Arc::new(std::sync::Barrier::new(THREADS_MAX));
        for _ in 0..2 * THREADS_MAX {
            let (barrier, done) = (Arc::clone(&barrier), done.clone());
            workers
                .submit(move || {
                    barrier.wait();
                    done.send(()).unwrap();
                })
                .unwrap();
        }
        assert!(workers.shared.lock().threads <= THREADS_MAX);
        for _ in 0..2 * THREADS_MAX {
            results.recv_timeout(PATIENCE).unwrap();
        }
    }

    #[test]
    fn threads_end_with_the_plugin() {
        let mut workers = Workers::default();
        let shared = Arc::clone(&workers.shared);
        for _ in 0..8 {
            workers.submit(|| {}).unwrap();
        }
        drop(workers);
        let deadline = Instant::now() + PATIENCE;
        while shared.lock().threads > 0 {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
    }

    #[test]
    fn what_waits_is_done_when_nobody_submits_any_more() {
        let mut workers = Workers::default();
        let (done, results) = mpsc::channel();
        for number in 0..100 {
            let done = done.clone();
            workers.submit(move || done.send(number).unwrap()).unwrap();
        }
        drop((workers, done));
        let mut numbers: Vec<i32> = results.iter().collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }
}
