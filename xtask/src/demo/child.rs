//! Processes of the demonstration: started with their output in files, waited for with a deadline, stopped by their
//! process id, whatever happens.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use std::os::unix::process::CommandExt as _;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How often a condition is looked at again.
const TURN: Duration = Duration::from_millis(20);
/// How long a process may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(5);

/// Set once the person at the keyboard has had enough.
#[derive(Clone, Debug)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes SIGINT and SIGTERM from now on: the processes are stopped and the files removed before we end.
    pub(super) fn listen() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&flag)).context("cannot listen for signals")?;
        }
        Ok(Self(flag))
    }

    fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }
}

/// Looks again and again until there is something; none when the deadline has passed.
///
/// # Errors
/// Looking fails, or the person at the keyboard interrupts.
pub(super) fn wait_for<T>(
    interrupt: &Interrupt,
    deadline: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let end = Instant::now() + deadline;
    loop {
        interrupt.check()?;
        // First the time, then the look: what happens just before the deadline still counts.
        let late = Instant::now() >= end;
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if late {
            return Ok(None);
        }
        thread::sleep(TURN);
    }
}

/// A process that is stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    name: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
    interrupt: Interrupt,
}

impl Running {
    /// Starts the program; its output goes to `<name>.out` and `<name>.err` in the folder.
    ///
    /// # Errors
    /// The files cannot be made, or the program cannot be started.
    pub(super) fn start(command: Command, folder: &Path, name: &str, interrupt: &Interrupt) -> Result<Self> {
        Self::spawn(command, name, folder.join(format!("{name}.out")), folder.join(format!("{name}.err")), interrupt)
    }

    /// Starts a server; all its output goes to `<name>.log` in the folder, in the order in which it is written.
    ///
    /// # Errors
    /// The file cannot be made, or the program cannot be started.
    pub(super) fn start_server(command: Command, folder: &Path, name: &str, interrupt: &Interrupt) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        Self::spawn(command, name, log.clone(), log, interrupt)
    }

    fn spawn(mut command: Command, name: &str, out: PathBuf, err: PathBuf, interrupt: &Interrupt) -> Result<Self> {
        for path in [&out, &err] {
            File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        let append = |path: &Path| {
            OpenOptions::new().append(true).open(path).with_context(|| format!("cannot open {}", path.display()))
        };
        command.stdin(Stdio::null()).stdout(append(&out)?).stderr(append(&err)?);
        // A Ctrl-C at the terminal reaches us alone, and we stop each process ourselves.
        command.process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, out, err, interrupt: interrupt.clone() })
    }

    /// Everything that it has written so far. Of a client: standard output, then standard error.
    pub(super) fn said(&self) -> String {
        if self.out == self.err { text(&self.out) } else { text(&self.out) + &text(&self.err) }
    }

    /// What it has written to its standard output so far.
    pub(super) fn output(&self) -> String {
        text(&self.out)
    }

    /// Waits until it has written this.
    ///
    /// # Errors
    /// It ends before, or does not write it in time: the error has what it wrote instead.
    pub(super) fn wait_until_it_says(&mut self, wanted: &str, deadline: Duration) -> Result<()> {
        let interrupt = self.interrupt.clone();
        let found = wait_for(&interrupt, deadline, || {
            let ended = self.child.try_wait().context("cannot look after a process")?;
            if self.said().contains(wanted) {
                return Ok(Some(()));
            }
            match ended {
                Some(status) => bail!("{} ended ({status}) and said: {}", self.name, self.said().trim()),
                None => Ok(None),
            }
        })?;
        found.with_context(|| format!("{} did not say {wanted:?} in time, but: {}", self.name, self.said().trim()))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end in time.
    pub(super) fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let interrupt = self.interrupt.clone();
        let status = wait_for(&interrupt, deadline, || self.child.try_wait().context("cannot look after a process"))?;
        status.with_context(|| format!("{} did not end in time; it said: {}", self.name, self.said().trim()))
    }

    /// Whether it still runs.
    pub(super) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end (SIGTERM), and kills it when it does not. None if it had ended before.
    pub(super) fn stop(&mut self) -> Option<ExitStatus> {
        if !self.runs() {
            return None;
        }
        // Not waited for yet, so its id is still its own.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(TURN);
        }
        let _ = self.child.kill();
        self.child.wait().ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

fn text(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn start(folder: &Path, script: &str) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Running::start(command, folder, "script", &Interrupt(Arc::default())).unwrap()
    }

    #[test]
    fn output_and_end_are_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = start(folder.path(), "echo ready; echo hint >&2; exit 7");
        running.wait_until_it_says("ready", SOON).unwrap();
        assert_eq!(running.wait(SOON).unwrap().code(), Some(7));
        assert_eq!((running.output().as_str(), running.said().as_str()), ("ready\n", "ready\nhint\n"));
        let error = running.wait_until_it_says("more", SOON).unwrap_err().to_string();
        assert!(error.contains("ended") && error.contains("hint"), "{error}");
    }

    #[test]
    fn a_server_has_one_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo 1; echo 2 >&2; echo 3"]);
        let mut server = Running::start_server(command, folder.path(), "server", &Interrupt(Arc::default())).unwrap();
        server.wait(SOON).unwrap();
        assert_eq!(server.said(), "1\n2\n3\n");
    }

    #[test]
    fn a_process_is_stopped_by_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = start(folder.path(), "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done");
        running.wait_until_it_says("up", SOON).unwrap();
        assert!(running.runs());
        assert!(running.wait(Duration::ZERO).is_err());
        assert_eq!(running.stop().and_then(|status| status.code()), Some(3));
        assert!(!running.runs() && running.stop().is_none());
    }

    #[test]
    fn an_interrupt_ends_the_waiting() {
        let interrupt = Interrupt(Arc::new(AtomicBool::new(true)));
        let waited = wait_for::<()>(&interrupt, SOON, || Ok(None));
        assert_eq!(waited.unwrap_err().to_string(), "interrupted");
    }
}
