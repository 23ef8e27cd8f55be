//! Files of the trial set: gathered first, then written, each atomically and private ones readable for their owner
//! only.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::InitError;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody: mode 0644.
    Public,
    /// Its owner: mode 0600.
    Private,
}

struct File {
    path: PathBuf,
    contents: Zeroizing<Vec<u8>>,
    access: Access,
    purpose: &'static str,
}

/// The files of a folder, before they are written.
pub(super) struct FileSet {
    folder: PathBuf,
    files: Vec<File>,
}

impl FileSet {
    /// An empty set.
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), files: Vec::new() }
    }

    /// Adds a file.
    pub(super) fn add(&mut self, name: &str, contents: Zeroizing<Vec<u8>>, access: Access, purpose: &'static str) {
        self.files.push(File { path: self.folder.join(name), contents, access, purpose });
    }

    /// Those that are there already.
    pub(super) fn existing(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| &file.path).filter(|path| path.symlink_metadata().is_ok()).cloned().collect()
    }

    /// Writes all of them, in the order in which they were added.
    pub(super) fn write(self, replace: bool) -> Result<Vec<(PathBuf, &'static str)>, InitError> {
        self.files
            .into_iter()
            .map(|file| match file.write(replace) {
                Ok(()) => Ok((file.path, file.purpose)),
                Err(error) => Err(InitError::Write(file.path, error)),
            })
            .collect()
    }
}

impl File {
    /// Under another name first, so that nobody ever sees half a file or a private one with open permissions.
    fn write(&self, replace: bool) -> io::Result<()> {
        let mode = match self.access {
            Access::Public => 0o644,
            Access::Private => 0o600,
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut temporary = tempfile::Builder::new().permissions(Permissions::from_mode(mode)).tempfile_in(folder)?;
        temporary.write_all(&self.contents)?;
        temporary.as_file().sync_all()?;
        if replace {
            temporary.persist(&self.path)?;
        } else {
            temporary.persist_noclobber(&self.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_set_and_nothing_is_replaced_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let set = |text: &str| {
            let mut set = FileSet::new(folder.path());
            set.add("open", Zeroizing::new(text.as_bytes().to_vec()), Access::Public, "");
            set.add("private", Zeroizing::new(text.as_bytes().to_vec()), Access::Private, "");
            set
        };
        assert!(set("").existing().is_empty());
        set("one").write(false).unwrap();
        let mode = |name: &str| folder.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("open") & 0o600, mode("private")), (0o600, 0o600));

        assert_eq!(set("").existing().len(), 2);
        assert!(set("two").write(false).is_err());
        let read = || std::fs::read_to_string(folder.path().join("private")).unwrap();
        assert_eq!(read(), "one");
        set("two").write(true).unwrap();
        assert_eq!(read(), "two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
    }
}
