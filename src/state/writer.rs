//! The thread that writes the state down: at most once a second, into a new file that then takes the old one's place, so that
//! a crash at any moment leaves a whole file.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use ace_profile::Timestamp;

use super::record::{self, FILE_BYTES_MAX, Record};

/// Where the new file is written.
pub(super) const TEMPORARY: &str = "publishers.json.new";
/// How many records may wait for the writer.
const QUEUE: usize = 4096;
/// How many publishers are kept; those whose tokens end first go first.
const PUBLISHERS_MAX: usize = 65_536;
/// The least time between two writes.
const PAUSE: Duration = Duration::from_secs(1);

/// The broker's end of the thread.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` only while it is being dropped.
    records: Option<SyncSender<Record>>,
    complaints: Receiver<String>,
    complain: SyncSender<String>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(folder: PathBuf, file: &'static str, known: Vec<Record>) -> io::Result<Self> {
        let (records, incoming) = mpsc::sync_channel(QUEUE);
        let (complain, complaints) = mpsc::sync_channel(1);
        let known = known.into_iter().map(|record| (owner(&record), record)).collect();
        let book = Book { folder, file, known, complain: complain.clone() };
        let thread = thread::Builder::new().name("ace-state".into()).spawn(move || book.keep(&incoming))?;
        Ok(Self { records: Some(records), complaints, complain, thread: Some(thread) })
    }

    pub(super) fn remember(&self, record: Record) {
        let Some(records) = &self.records else { return };
        if let Err(TrySendError::Full(_)) = records.try_send(record) {
            let _ = self.complain.try_send("the disk is too slow, and a record was lost".into());
        }
    }

    pub(super) fn complaint(&self) -> Option<String> {
        self.complaints.try_recv().ok()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread writes what is left when nobody can send it more.
        self.records = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whose a record is: the client id, and the user name.
type Owner = (String, String);

fn owner(record: &Record) -> Owner {
    (record.client_id.clone(), record.user_name.clone())
}

/// What the thread has.
struct Book {
    folder: PathBuf,
    file: &'static str,
    known: HashMap<Owner, Record>,
    complain: SyncSender<String>,
}

impl Book {
    fn keep(mut self, incoming: &Receiver<Record>) {
        while let Ok(first) = incoming.recv() {
            self.note(first);
            // Whatever comes within the pause is written together.
            let until = Instant::now() + PAUSE;
            let ended = loop {
                match incoming.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(record) => self.note(record),
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

    fn note(&mut self, record: Record) {
        self.known.insert(owner(&record), record);
    }

    fn write(&mut self) -> io::Result<()> {
        let now = Timestamp::from_system_time(SystemTime::now());
        self.known.retain(|_, record| record.expires > now);
        while self.known.len() > PUBLISHERS_MAX {
            let soonest = self.known.values().min_by_key(|record| record.expires).map(owner);
            let Some(soonest) = soonest else { break };
            self.known.remove(&soonest);
        }
        let text = record::write(self.known.values())?;
        if text.len() > FILE_BYTES_MAX {
            return Err(io::Error::other("it would be too long to be read again"));
        }
        let temporary = self.folder.join(TEMPORARY);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary, self.folder.join(self.file))?;
        File::open(&self.folder)?.sync_all()
    }
}
