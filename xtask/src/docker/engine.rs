//! A Docker to talk to: the one that answers, or one of our own, which is stopped when we are done.
//!
//! Our own keeps its images in `target/docker/`, so that the next run finds them, and listens on a socket in a temporary
//! folder, where no other program looks for it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{paths, process, setup};

/// How long it may take to come up, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Docker that answers.
pub(super) struct Engine {
    /// Where, if not at the usual place.
    host: Option<String>,
    own: Option<Own>,
}

/// A daemon of our own.
struct Own {
    daemon: Child,
    folder: TempDir,
}

impl Engine {
    /// # Errors
    /// None answers, and none can be started.
    pub(super) fn find_or_start() -> Result<Self> {
        let usual = Self { host: None, own: None };
        if process::exists("docker") && usual.answers() {
            return Ok(usual);
        }
        setup::ensure(&[setup::DOCKER])?;
        setup::ensure(&[setup::DOCKER_CLIENT])?;
        // What has just been installed may have been started with it.
        if usual.answers() {
            return Ok(usual);
        }
        Self::start()
    }

    fn start() -> Result<Self> {
        let data = paths::target().join("docker");
        fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        // A socket's path must be short.
        let folder = tempfile::Builder::new().prefix("ace-docker-").tempdir().context("no temporary folder")?;
        let host = format!("unix://{}", folder.path().join("docker.sock").display());
        let log = data.join("dockerd.log");
        let output = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        let mut command = Command::new("dockerd");
        command.args(["--host", &host]).arg("--data-root").arg(data.join("data"));
        command.arg("--exec-root").arg(folder.path().join("exec")).arg("--pidfile").arg(folder.path().join("pid"));
        let errors = output.try_clone().context("cannot share a file")?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        eprintln!("no Docker answers; starting one for this run, with its images in {}", data.display());
        let daemon = command.spawn().context("cannot start dockerd")?;
        let mut engine = Self { host: Some(host), own: Some(Own { daemon, folder }) };
        let deadline = Instant::now() + PATIENCE;
        while !engine.answers() {
            let ended = engine.own.as_mut().is_some_and(|own| !matches!(own.daemon.try_wait(), Ok(None)));
            if ended || Instant::now() >= deadline {
                let said = fs::read_to_string(&log).unwrap_or_default();
                let lines: Vec<&str> = said.lines().collect();
                let end = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n");
                bail!("dockerd does not come up (it takes root); the end of {}:\n{end}", log.display());
            }
            sleep(Duration::from_millis(100));
        }
        Ok(engine)
    }

    /// A program that is to talk to this Docker.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if let Some(host) = &self.host {
            command.env("DOCKER_HOST", host);
        }
        command
    }

    fn answers(&self) -> bool {
        let mut command = self.command("timeout");
        command.args(["10", "docker", "version", "--format", "{{.Server.Version}}"]);
        process::output_of(&mut command).is_ok()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let id = PathBuf::from(self.folder.path()).join("pid");
        if matches!(self.daemon.try_wait(), Ok(None)) {
            // Not waited for yet, so its id is still its own. It stops its containers and its containerd itself.
            let _ = kill_process(Pid::from_child(&self.daemon), Signal::TERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.daemon.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                eprintln!("dockerd does not stop: killed; its process id was in {}", id.display());
                let _ = self.daemon.kill();
                let _ = self.daemon.wait();
                return;
            }
            sleep(Duration::from_millis(50));
        }
    }
}
