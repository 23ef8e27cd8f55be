//! The threads that wait for the network, so that the broker's need not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// How many requests are under way at a time.
const THREADS: usize = 8;
/// How many may wait for their turn.
const QUEUE: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

/// A job that could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// All threads are at work, and the queue is full.
    Busy,
    /// The system gives no thread.
    NoThread,
}

/// The threads. None is started before there is something to do: an unused plugin has none.
///
/// When this goes, they end after what they are at; nobody waits for them. The library stays in memory (see build.rs).
#[derive(Default)]
pub struct Workers {
    queue: Option<SyncSender<Job>>,
}

impl Workers {
    /// Has a job done. Never waits.
    ///
    /// # Errors
    /// [`NotTaken`] says why it will not be done.
    pub fn submit(&mut self, job: impl FnOnce() + Send + 'static) -> Result<(), NotTaken> {
        let queue = match &self.queue {
            Some(queue) => queue,
            None => self.queue.insert(start()?),
        };
        queue.try_send(Box::new(job)).map_err(|error| match error {
            TrySendError::Full(_) => NotTaken::Busy,
            TrySendError::Disconnected(_) => NotTaken::NoThread,
        })
    }
}

/// Starts the threads; with fewer than all it is slower, and works.
fn start() -> Result<SyncSender<Job>, NotTaken> {
    let (queue, jobs) = mpsc::sync_channel(QUEUE);
    let jobs = Arc::new(Mutex::new(jobs));
    let started = (0..THREADS)
        .filter(|number| {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new().name(format!("ace-remote-{number}")).spawn(move || work(&jobs)).is_ok()
        })
        .count();
    if started == 0 { Err(NotTaken::NoThread) } else { Ok(queue) }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // Held while waiting: the others wait for the lock instead of for a job, which is the same.
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A mistake of ours in one job is not to cost the others their thread.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(job)) {
            std::mem::forget(payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn jobs_are_done_at_the_same_time_and_a_panic_ends_one_only() {
        let mut workers = Workers::default();
        let (done, results) = mpsc::channel();
        for _ in 0..2 * THREADS {
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
            assert!(taken <= QUEUE + THREADS);
        };
        assert_eq!(error, NotTaken::Busy);
        assert!(taken >= QUEUE);
        drop(release);
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
