//! Reading files with a bound, and writing files that hold secrets so that only their owner can read them.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Upper bound of a file that holds a token, a key, credentials or certificates, in bytes.
pub const SECRET_FILE_BYTES: u64 = 256 * 1024;

/// Reads a text file of at most [`SECRET_FILE_BYTES`]. The text is wiped from memory when dropped.
///
/// # Errors
/// [`Error::File`] if it cannot be read, is too large or is not UTF-8.
pub fn read_text(path: &Path) -> Result<Zeroizing<String>> {
    let file = File::open(path).map_err(|error| file_error(path, &error))?;
    let mut text = Zeroizing::new(String::new());
    file.take(SECRET_FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| file_error(path, &error))?;
    if text.len() as u64 > SECRET_FILE_BYTES {
        return Err(Error::File { path: path.to_owned(), reason: format!("larger than {SECRET_FILE_BYTES} bytes") });
    }
    Ok(text)
}

/// Reads a secret from a file: the text without the line end that editors add.
///
/// # Errors
/// [`Error::File`] as for [`read_text`], or if nothing is left.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>> {
    let text = read_text(path)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Error::File { path: path.to_owned(), reason: "is empty".to_owned() });
    }
    Ok(Zeroizing::new(secret.to_owned()))
}

/// Writes a file that only its owner can read (mode 0600 on Unix), replacing an older one in one step.
///
/// # Errors
/// [`Error::File`] if it cannot be written.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    // `tempfile` creates with mode 0600 and renames over the target: no moment in which others could read it.
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| file_error(path, &error))
}

fn file_error(path: &Path, error: &std::io::Error) -> Error {
    Error::File { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn private_files_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn too_large_and_empty_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        std::fs::write(&path, vec![b'x'; SECRET_FILE_BYTES as usize + 1]).unwrap();
        assert!(read_text(&path).is_err());
        std::fs::write(&path, "\n").unwrap();
        assert!(read_secret(&path).is_err());
        std::fs::write(&path, "s3 cret\r\n").unwrap();
        assert_eq!(read_secret(&path).unwrap().as_str(), "s3 cret");
    }
}
