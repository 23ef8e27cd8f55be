//! The state file: one event a line, as JSON. What has happened is appended and reaches the disk before it is
//! answered; at each start, and when the file has grown, it is written anew with what still matters.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::Facts;
use super::updates::Update;

/// No state within the ledger's bounds is larger.
const FILE_BYTES: u64 = 1 << 30;

/// How many lines may be added before the file is written anew, besides as many as it had.
const LINES_BEFORE_REWRITE: usize = 1024;

/// Something to be remembered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Event {
    /// A token was given out.
    Issued {
        /// The token.
        token: Facts,
        /// What an opaque one stands for, its key included.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grant: Option<Value>,
    },
    /// A token was revoked.
    Revoked {
        /// The token.
        token: Facts,
    },
    /// A requester's part of the token revocation list changed.
    Updated {
        /// Its id.
        requester: String,
        /// How.
        update: Update,
    },
}

/// Why the state cannot be used. Displays as `file:line: reason`.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file cannot be read or written.
    #[error("{}: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another server uses it.
    #[error("{}: another ace-as is running with this state", file.display())]
    InUse {
        /// The file that is locked.
        file: PathBuf,
    },
    /// A line cannot be read. Guessing what it said might let a revoked token live.
    #[error("{}:{line}: not a line of ace-as's state: {reason}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Why, without the line's text.
        reason: &'static str,
    },
}

impl StateError {
    fn file(file: &Path, error: io::Error) -> Self {
        Self::File { file: file.to_owned(), error }
    }
}

/// Reads the events of a state file; none if it is not there.
///
/// # Errors
/// If the file cannot be read, or says something else than this program writes. The last line may be incomplete: the
/// server stopped while writing it, and has answered nothing that rests on it.
pub(super) fn read(path: &Path) -> Result<Vec<Event>, StateError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StateError::file(path, error)),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| StateError::file(path, error))?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(StateError::file(path, io::Error::other("larger than 1 GiB")));
    }
    let complete = bytes.iter().rposition(|byte| *byte == b'\n').and_then(|end| bytes.get(..end)).unwrap_or_default();
    let lines = complete.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_slice(line).map_err(|error| StateError::Line {
                file: path.to_owned(),
                line: number.saturating_add(1),
                // Not the error itself: it may quote the line, which may hold a key.
                reason: if error.is_data() { "unknown or missing members" } else { "not JSON" },
            })
        })
        .collect()
}

/// A state file that is being written.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// Locked as long as this lives.
    _lock: File,
    /// `None` after a failure, which may have left half a line: then it is written anew.
    file: Option<File>,
    written_anew: usize,
    appended: usize,
}

impl Journal {
    /// Takes a state file for this process alone.
    pub(super) fn open(path: &Path) -> Result<Self, StateError> {
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        // A file of its own: the state file itself is replaced from time to time.
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(|error| StateError::file(&lock_path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse { file: lock_path }),
            Err(TryLockError::Error(error)) => return Err(StateError::file(&lock_path, error)),
        }
        Ok(Self { path: path.to_owned(), _lock: lock, file: None, written_anew: 0, appended: 0 })
    }

    /// Whether [`rewrite`](Self::rewrite) is to be called before [`append`](Self::append).
    pub(super) fn wants_rewrite(&self) -> bool {
        self.file.is_none() || self.appended > self.written_anew.saturating_add(LINES_BEFORE_REWRITE)
    }

    /// Adds events. When this returns, they are on the disk.
    pub(super) fn append(&mut self, events: &[Event]) -> Result<(), StateError> {
        let written = lines(events).and_then(|text| {
            let file = self.file.as_mut().ok_or_else(|| io::Error::other("not open"))?;
            file.write_all(&text)?;
            file.sync_data()
        });
        self.appended = self.appended.saturating_add(events.len());
        written.map_err(|error| {
            self.file = None;
            StateError::file(&self.path, error)
        })
    }

    /// Replaces all that was written by these events: under another name first, so that there is always a whole file.
    pub(super) fn rewrite(&mut self, events: &[Event]) -> Result<(), StateError> {
        self.file = None;
        let file = self.replace(events).map_err(|error| StateError::file(&self.path, error))?;
        self.file = Some(file);
        self.written_anew = events.len();
        self.appended = 0;
        Ok(())
    }

    fn replace(&self, events: &[Event]) -> io::Result<File> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut temporary = tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
        temporary.write_all(&lines(events)?)?;
        temporary.as_file().sync_all()?;
        temporary.persist(&self.path)?;
        File::open(folder)?.sync_all()?;
        OpenOptions::new().append(true).open(&self.path)
    }
}

fn lines(events: &[Event]) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::new());
    for event in events {
        serde_json::to_writer(&mut *text, event)?;
        text.push(b'\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::Sha256;
    use super::*;

    fn revoked(text: &str) -> Event {
        let token = Facts {
            identity: Sha256::identity_of(text),
            hash: Sha256::of_token(text),
            client_id: "c".to_owned(),
            audience: "a".to_owned(),
            expires_at: 1,
        };
        Event::Revoked { token }
    }

    fn said(path: &Path) -> Vec<String> {
        read(path).unwrap().iter().map(|event| serde_json::to_string(event).unwrap()).collect()
    }

    fn as_text(events: &[Event]) -> Vec<String> {
        events.iter().map(|event| serde_json::to_string(event).unwrap()).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert!(said(&path).is_empty());
        let mut journal = Journal::open(&path).unwrap();
        assert!(journal.wants_rewrite());
        assert!(journal.append(&[revoked("0")]).is_err(), "not before it was written anew");
        journal.rewrite(&[revoked("1")]).unwrap();
        journal.append(&[revoked("2"), revoked("3")]).unwrap();
        assert_eq!(said(&path), as_text(&[revoked("1"), revoked("2"), revoked("3")]));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        journal.rewrite(&[]).unwrap();
        journal.append(&[revoked("4")]).unwrap();
        assert_eq!(said(&path), as_text(&[revoked("4")]));
    }

    #[test]
    fn a_state_has_one_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let first = Journal::open(&path).unwrap();
        assert!(matches!(Journal::open(&path), Err(StateError::InUse { .. })));
        drop(first);
        assert!(Journal::open(&path).is_ok());
    }

    #[test]
    fn an_incomplete_last_line_never_happened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut text = lines(&[revoked("1"), revoked("2")]).unwrap().to_vec();
        text.truncate(text.len() - 5);
        std::fs::write(&path, &text).unwrap();
        assert_eq!(said(&path), as_text(&[revoked("1")]));
        std::fs::write(&path, "{\"revo").unwrap();
        assert!(said(&path).is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let good = String::from_utf8(lines(&[revoked("1")]).unwrap().to_vec()).unwrap();
        for (bad, words) in [
            ("hush\n", "not JSON"),
            ("{\"hush\":1}\n", "members"),
            ("{\"revoked\":{}}\n", "members"),
            (&good.replace("\"c\"", "7"), "members"),
        ] {
            std::fs::write(&path, format!("{good}{bad}")).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{}:2: ", path.display())) && error.contains(words), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn it_grows_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("state")).unwrap();
        journal.rewrite(&[revoked("1")]).unwrap();
        assert!(!journal.wants_rewrite());
        journal.append(&vec![revoked("1"); LINES_BEFORE_REWRITE + 2]).unwrap();
        assert!(journal.wants_rewrite());
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none/state");
        assert!(Journal::open(&path).unwrap_err().to_string().contains("none/state"));
    }
}
