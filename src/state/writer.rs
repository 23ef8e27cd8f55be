//! The thread that writes the state down: at most once a second, into a new file that then takes the old one's place, so that
//! a crash at any moment leaves a whole file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use ace_profile::Timestamp;

/// The longest file that is read or written, in bytes.
pub(super) const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How many records may wait for the writer.
const QUEUE: usize = 4096;
/// The least time between two writes.
const PAUSE: Duration = Duration::from_secs(1);

/// What the thread keeps, and writes down.
pub(super) trait Book: Send + 'static {
    /// What is noted in it.
    type Record: Send;

    /// Takes a record up.
    fn note(&mut self, record: Self::Record);

    /// The file's text, without what has ended by now.
    fn text(&mut self, now: Timestamp) -> io::Result<Vec<u8>>;
}

/// Where a new file is written before it takes the old one's place.
pub(super) fn temporary(file: &str) -> String {
    format!("{file}.new")
}

/// The broker's end of the thread.
#[derive(Debug)]
pub(super) struct Writer<R> {
    /// `None` only while it is being dropped.
    records: Option<SyncSender<R>>,
    complaints: Receiver<String>,
    complain: SyncSender<String>,
    thread: Option<JoinHandle<()>>,
}

impl<R: Send + 'static> Writer<R> {
    pub(super) fn start(folder: PathBuf, file: &'static str, book: impl Book<Record = R>) -> io::Result<Self> {
        let (records, incoming) = mpsc::sync_channel(QUEUE);
        let (complain, complaints) = mpsc::sync_channel(1);
        let keeper = Keeper { folder, file, book, complain: complain.clone() };
        let thread = thread::Builder::new().name("ace-state".into()).spawn(move || keeper.keep(&incoming))?;
        Ok(Self { records: Some(records), complaints, complain, thread: Some(thread) })
    }

    /// Hands a record over, without waiting. `false` if it is lost.
    pub(super) fn remember(&self, record: R) -> bool {
        let Some(records) = &self.records else { return false };
        match records.try_send(record) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                let _ = self.complain.try_send("the disk is too slow, and a record was lost".into());
                false
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    pub(super) fn complaint(&self) -> Option<String> {
        self.complaints.try_recv().ok()
    }
}

impl<R> Drop for Writer<R> {
    fn drop(&mut self) {
        // The thread writes what is left when nobody can send it more.
        self.records = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's part.
struct Keeper<B> {
    folder: PathBuf,
    file: &'static str,
    book: B,
    complain: SyncSender<String>,
}

impl<B: Book> Keeper<B> {
    fn keep(mut self, incoming: &Receiver<B::Record>) {
        while let Ok(first) = incoming.recv() {
            self.book.note(first);
            // Whatever comes within the pause is written together.
            let until = Instant::now() + PAUSE;
            let ended = loop {
                match incoming.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(record) => self.book.note(record),
                    Err(RecvTimeoutError::Timeout) => break false,
                    Err(RecvTimeoutError::Disconnected) => break true,
                }
            };
            if let Err(error) = self.write() {
                let _ = self.complain.try_send(format!("it could not be written: {error}"));
            }
            if ended {
                return;
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let text = self.book.text(Timestamp::from_system_time(SystemTime::now()))?;
        if text.len() > FILE_BYTES_MAX {
            return Err(io::Error::other("it would be too long to be read again"));
        }
        let temporary = self.folder.join(temporary(self.file));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary, self.folder.join(self.file))?;
        File::open(&self.folder)?.sync_all()
    }
}
