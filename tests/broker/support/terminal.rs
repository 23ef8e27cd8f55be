//! A terminal in which a test types what a page shows.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::PATIENCE;
use super::page::is_shown;

/// How often something without an event of its own is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// A shell, and what it has shown. What goes on in it is ended when this goes.
pub struct Terminal {
    home: PathBuf,
    programs: PathBuf,
    output: PathBuf,
    /// Where the shell has last told in which folder it is.
    folder: PathBuf,
    running: Option<Child>,
    /// How many of the lines have been looked at.
    seen: usize,
}

impl Terminal {
    /// One for somebody who has this home and, before all others, these programs. What it shows goes to `output`.
    pub fn open(home: &Path, programs: &Path, output: PathBuf, number: usize) -> Self {
        let folder = home.join(format!(".folder-of-terminal-{number}"));
        std::fs::write(&folder, home.display().to_string()).expect("a file");
        let (home, programs) = (home.to_owned(), programs.to_owned());
        Self { home, programs, output, folder, running: None, seen: 0 }
    }

    /// Interrupts what goes on, and types this.
    pub fn type_in(&mut self, text: &str) {
        self.interrupt();
        let folder = std::fs::read_to_string(&self.folder).expect("the shell's folder");
        let told = self.folder.display();
        let script = format!("cd '{}'\nset -e\ntrap 'pwd > \"{told}\"' DEBUG EXIT\n{text}\n", folder.trim_end());
        let output = File::create(&self.output).expect("a file for what is shown");
        let usual = std::env::var("PATH").unwrap_or_default();
        let child = Command::new("bash")
            .args(["-c", &script])
            .env("HOME", &self.home)
            .env("PATH", format!("{}:{usual}", self.programs.display()))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("the file again"))
            .stderr(output)
            .spawn()
            .expect("bash");
        (self.running, self.seen) = (Some(child), 0);
    }

    /// Waits until what was typed last has ended.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let running = self.running.as_mut().expect("something that was typed");
            if let Some(status) = running.try_wait().expect("the shell") {
                self.running = None;
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.shown());
            sleep(GLANCE);
        }
    }

    /// What it has shown since something was typed last.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).expect("what was shown")).into_owned()
    }

    /// Waits until these lines have been shown, in this order, with any others between them, after those that were looked for before.
    pub fn expect(&mut self, lines: &[String]) {
        let deadline = Instant::now() + PATIENCE;
        for wanted in lines.iter().filter(|line| *line != "…") {
            loop {
                let shown = self.shown();
                // The last line may be there by half.
                let whole = shown.rfind('\n').map_or("", |end| &shown[..end]);
                let found = whole.lines().skip(self.seen).position(|line| is_shown(wanted, line));
                if let Some(at) = found {
                    self.seen += at + 1;
                    break;
                }
                assert!(Instant::now() < deadline, "nowhere after line {}: {wanted}\n{shown}", self.seen);
                sleep(GLANCE);
            }
        }
    }

    /// Ctrl-C: ends what goes on.
    fn interrupt(&mut self) {
        if self.running.is_some() {
            self.signal(Signal::INT);
            self.ended();
        }
    }

    fn signal(&self, signal: Signal) {
        let group = self.running.as_ref().and_then(|child| i32::try_from(child.id()).ok()).and_then(Pid::from_raw);
        // Fails only if all of them have ended already.
        let _ = kill_process_group(group.expect("a process"), signal);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.signal(Signal::KILL);
        }
        if let Some(mut child) = self.running.take() {
            let _ = child.wait();
        }
    }
}
