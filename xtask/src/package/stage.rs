//! A folder in which a package's files are put together: with fixed modes and times, whatever the machine's are.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::contents::files_in;
use crate::process;

/// The root of a package, or of the archive.
#[derive(Debug)]
pub(super) struct Stage {
    root: PathBuf,
}

impl Stage {
    /// A new one, in a folder that is made.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(super) fn new(root: &Path) -> Result<Self> {
        let stage = Self { root: root.to_path_buf() };
        stage.make(root)?;
        Ok(stage)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A file that anybody may read.
    pub(super) fn file(&self, from: &Path, to: &str) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.write(&bytes, to, 0o644)
    }

    /// A file that anybody may run.
    pub(super) fn program(&self, from: &Path, to: &str) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.write(&bytes, to, 0o755)
    }

    /// A file with this text.
    pub(super) fn text(&self, text: &str, to: &str) -> Result<()> {
        self.write(text.as_bytes(), to, 0o644)
    }

    /// A file with this text, compressed; the same on every day.
    pub(super) fn gzipped(&self, text: &str, to: &str) -> Result<()> {
        let mut gzip = Command::new("gzip");
        gzip.args(["--best", "--no-name", "--stdout"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = gzip.spawn().context("cannot start gzip")?;
        let mut input = child.stdin.take().context("gzip takes nothing")?;
        // gzip may fill its output before it has read all: both have to go on at the same time.
        let output = std::thread::scope(|scope| {
            let writer = scope.spawn(move || input.write_all(text.as_bytes()));
            let output = child.wait_with_output().context("gzip ended early")?;
            let written = writer.join().map_err(|_| anyhow::anyhow!("gzip was fed by a thread that failed"))?;
            written.context("gzip does not take what it is given")?;
            anyhow::Ok(output)
        })?;
        ensure!(output.status.success(), "gzip failed: {}", output.status);
        self.write(&output.stdout, to, 0o644)
    }

    /// All files of a folder, without those in folders below.
    pub(super) fn folder(&self, from: &Path, to: &str) -> Result<()> {
        for path in files_in(from)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.file(&path, &format!("{to}/{name}"))?;
        }
        Ok(())
    }

    /// A folder with nothing in it.
    pub(super) fn empty_folder(&self, to: &str) -> Result<()> {
        self.make(&self.root.join(to))
    }

    /// A symbolic link.
    pub(super) fn link(&self, target: &str, to: &str) -> Result<()> {
        let path = self.root.join(to);
        self.make(path.parent().unwrap_or(&self.root))?;
        symlink(target, &path).with_context(|| format!("cannot make {}", path.display()))
    }

    /// `SHA256SUMS`, of all that is in it so far.
    pub(super) fn checksums(&self) -> Result<()> {
        let sums = self.digests("sha256sum")?;
        self.text(&sums, "SHA256SUMS")
    }

    /// What `md5sum` or `sha256sum` says of all regular files, in the order of their names; those of dpkg left out.
    pub(super) fn digests(&self, program: &str) -> Result<String> {
        let mut find = Command::new("find");
        find.current_dir(&self.root).args([".", "-type", "f", "-not", "-path", "./DEBIAN/*"]);
        let found = process::output_of(&mut find)?;
        let mut names: Vec<&str> = found.lines().map(|name| name.trim_start_matches("./")).collect();
        names.sort_unstable();
        process::output_of(Command::new(program).current_dir(&self.root).arg("--").args(names))
    }

    /// The files below `/etc`: what dpkg does not replace where an administrator has changed it.
    pub(super) fn conffiles(&self) -> Result<Vec<String>> {
        if !self.root.join("etc").exists() {
            return Ok(Vec::new());
        }
        let mut find = Command::new("find");
        let found = process::output_of(find.current_dir(&self.root).args(["etc", "-type", "f"]))?;
        let mut names: Vec<String> = found.lines().map(|name| format!("/{name}")).collect();
        names.sort();
        Ok(names)
    }

    pub(super) fn write(&self, bytes: &[u8], to: &str, mode: u32) -> Result<()> {
        let path = self.root.join(to);
        self.make(path.parent().unwrap_or(&self.root))?;
        fs::write(&path, bytes)
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// A folder and those above it within the stage, for anybody to look into whatever our umask is.
    fn make(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for above in folder.ancestors().take_while(|above| above.starts_with(&self.root)) {
            fs::set_permissions(above, Permissions::from_mode(0o755))
                .with_context(|| format!("cannot set the mode of {}", above.display()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_texts_are_compressed_whole() {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::new(&folder.path().join("stage")).unwrap();
        // More than the buffers of the pipes take, and hard to compress.
        let text: String = (0..200_000u64).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        stage.gzipped(&text, "a.gz").unwrap();
        let unpacked = process::output_of(Command::new("zcat").arg(stage.root().join("a.gz"))).unwrap();
        assert!(unpacked == text);
    }

    #[test]
    fn files_below_etc_are_the_administrators() {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::new(&folder.path().join("stage")).unwrap();
        assert!(stage.conffiles().unwrap().is_empty());
        for name in ["usr/bin/x", "etc/b/y", "etc/a"] {
            stage.text(name, name).unwrap();
        }
        assert_eq!(stage.conffiles().unwrap(), ["/etc/a", "/etc/b/y"]);
        let sums = stage.digests("md5sum").unwrap();
        let names: Vec<&str> = sums.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(names, ["etc/a", "etc/b/y", "usr/bin/x"]);
    }
}
