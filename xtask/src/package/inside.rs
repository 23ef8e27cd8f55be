//! A Debian tree to work in: unpacked into a folder, entered with `chroot` in namespaces of its own, and removed at the end.
//!
//! Whatever is started in it ends with the command that started it: it has process ids of its own, and its mounts are its own.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::brokers::WorkFolder;
use crate::{process, trees};

/// How long one command in a tree may take, in seconds.
const PATIENCE: &str = "300";
/// How long a build in a tree may take, in seconds.
const BUILD_PATIENCE: &str = "3600";

/// Runs in namespaces of its own: mounts what is to be seen in the tree, and becomes the command in it. Arguments: the tree, the
/// working folder, the number of mounts, the mounts, the command.
const ENTER: &str = r#"
set -eu
root=$1 folder=$2 count=$3
shift 3
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
for device in null zero full random urandom; do
    [ -e "$root/dev/$device" ] || : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir -p "$root/dev/shm" "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
[ -e "$root/dev/ptmx" ] || ln -s pts/ptmx "$root/dev/ptmx"
[ -e "$root/dev/fd" ] || ln -s /proc/self/fd "$root/dev/fd"
while [ "$count" -gt 0 ]; do
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    shift
    count=$((count - 1))
done
if [ -n "${ACE_LOOPBACK:-}" ]; then
    ip link set lo up
fi
exec chroot "$root" /usr/bin/env --chdir="$folder" "$@"
"#;

/// One unpacked tree.
pub(super) struct Tree {
    root: PathBuf,
    suite: String,
    /// Removes it.
    _work: WorkFolder,
}

impl Tree {
    /// Unpacks a fresh tree of the suite below this folder.
    ///
    /// # Errors
    /// We are not root, or the suite's tree cannot be had.
    pub(super) fn unpack(suite: &str, parent: &Path) -> Result<Self> {
        let id = process::output_of(Command::new("id").arg("-u"))?;
        ensure!(id.trim() == "0", "this needs root: packages are installed in a tree that is entered with chroot");
        let tar = trees::fetch(suite, false)?;
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        let work = WorkFolder::new(parent)?;
        let root = work.path().join(suite);
        fs::create_dir(&root).with_context(|| format!("cannot make {}", root.display()))?;
        let mut extract = Command::new("tar");
        extract
            .args(["--extract", "--numeric-owner", "--exclude=./dev/*", "--file"])
            .arg(&tar)
            .arg("--directory")
            .arg(&root);
        process::output_of(&mut extract)?;
        // Names are looked up as on this machine. A tree has no services, and none is to be started in it.
        for file in ["/etc/resolv.conf", "/etc/hosts"] {
            if Path::new(file).exists() {
                fs::copy(file, root.join(file.trim_start_matches('/')))
                    .with_context(|| format!("cannot copy {file}"))?;
            }
        }
        let policy = root.join("usr/sbin/policy-rc.d");
        fs::write(&policy, "#!/bin/sh\nexit 101\n")
            .and_then(|()| fs::set_permissions(&policy, Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write {}", policy.display()))?;
        Ok(Self { root, suite: suite.to_owned(), _work: work })
    }

    /// Where a path of the tree is on this machine.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }

    /// Installs packages, by name or by file of the tree, as an administrator would.
    ///
    /// # Errors
    /// The packages cannot be had, or not be installed.
    pub(super) fn apt(&self, packages: &[&str]) -> Result<()> {
        let lists = self.path("/var/lib/apt/lists");
        let known = fs::read_dir(&lists).into_iter().flatten().flatten().count() > 3;
        if !known {
            self.output_of(true, &words(&["apt-get", "update", "--quiet=2", "-o", "APT::Update::Error-Mode=any"]))?;
        }
        let mut command =
            words(&["apt-get", "install", "--yes", "--quiet=2", "-o", "Dpkg::Options::=--force-unsafe-io"]);
        command.extend(packages.iter().map(|package| (*package).to_owned()));
        self.output_of(true, &command).map(drop)
    }

    /// Runs a script of the tree with `sh`, in a network of its own, in which there is a loopback interface and nothing else.
    /// Gives what it wrote.
    ///
    /// # Errors
    /// It fails, or takes too long: the error has what it wrote.
    pub(super) fn script(&self, script: &str, arguments: &[&str]) -> Result<String> {
        let mut command = words(&["sh", "-eu", script]);
        command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self.output_of(false, &command)
    }

    /// Runs a command with its output shown, in its own folder, where it sees these folders of this machine.
    ///
    /// # Errors
    /// It fails.
    pub(super) fn run_with(&self, seen: &[PathBuf], command: &Command) -> Result<()> {
        let folder = command.get_current_dir().unwrap_or(Path::new("/"));
        let mut entered = self.enter(true, folder, seen, BUILD_PATIENCE);
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                entered.env(name, value);
            }
        }
        process::run(entered.arg(command.get_program()).args(command.get_args()))
    }

    fn output_of(&self, network: bool, command: &[String]) -> Result<String> {
        let start = Instant::now();
        let mut entered = self.enter(network, Path::new("/"), &[], PATIENCE);
        entered.env_clear();
        entered.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        entered.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive").env("HOME", "/root");
        if !network {
            entered.env("ACE_LOOPBACK", "1");
        }
        let output = process::whole_output_of(entered.args(command))?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            let seconds = start.elapsed().as_secs();
            bail!("in {}, `{}` failed after {seconds} s: {}\n{said}", self.suite, command.join(" "), output.status);
        }
        Ok(said)
    }

    fn enter(&self, network: bool, folder: &Path, seen: &[PathBuf], patience: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", patience]);
        command.args([
            "unshare",
            "--mount",
            "--propagation=private",
            "--pid",
            "--fork",
            "--kill-child=KILL",
            "--ipc",
            "--uts",
        ]);
        if !network {
            command.arg("--net");
        }
        command.args(["sh", "-c", ENTER, "enter"]).arg(&self.root).arg(folder).arg(seen.len().to_string()).args(seen);
        if let Some(path) = env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
