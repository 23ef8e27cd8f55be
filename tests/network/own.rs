//! A broker and an authorization server on this machine, set up as those in the containers are: docker/trial/.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, io};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long they may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// Both, until this goes.
#[derive(Debug)]
pub(crate) struct Own {
    /// Where the broker is.
    pub(crate) broker_port: u16,
    as_port: u16,
    /// Its version.
    pub(crate) version: String,
    processes: Vec<Running>,
    folder: TempDir,
}

impl Own {
    /// Sets both up, starts them and waits until they can be reached.
    ///
    /// # Errors
    /// A sentence for the person who started the tests.
    pub(crate) fn start() -> Result<Self, String> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new("target"));
        let plugin = path("ACE_PLUGIN", target, "release/libmosquitto_ace.so");
        let programs = plugin.parent().unwrap_or(Path::new(".")).to_owned();
        for program in [&plugin, &programs.join("ace-as")] {
            if !program.is_file() {
                return Err(format!("{}: run `cargo build --release --workspace` first", program.display()));
            }
        }
        let (version, launcher) = newest_broker(&path("ACE_BROKERS", target, "brokers/brokers.json"))?;
        let failed = |error: io::Error| error.to_string();
        let folder = tempfile::tempdir().map_err(failed)?;
        // Both are held until both are known, so that they differ.
        let [first, second] = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let (first, second) = (first.map_err(failed)?, second.map_err(failed)?);
        let (broker_port, as_port) =
            (first.local_addr().map_err(failed)?.port(), second.local_addr().map_err(failed)?.port());
        drop((first, second));
        let mut own = Self { broker_port, as_port, version, processes: Vec::new(), folder };
        own.set_up(&programs, &plugin)?;
        let mut server = Command::new(programs.join("ace-as"));
        server.arg("serve").arg("--config").arg(own.file("as/as.toml"));
        own.run("ace-as", server, own.as_port)?;
        let mut broker = Command::new(launcher);
        broker.arg("-c").arg(own.file("broker/mosquitto.conf"));
        own.run("mosquitto", broker, own.broker_port)?;
        Ok(own)
    }

    /// The authorization server's name and address.
    pub(crate) fn issuer(&self) -> String {
        format!("https://localhost:{}", self.as_port)
    }

    /// A file of the set.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the service `setup` does in the containers, with the places changed to those here.
    fn set_up(&self, programs: &Path, plugin: &Path) -> Result<(), String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/trial/setup.sh");
        let mut search = programs.as_os_str().to_owned();
        search.push(":");
        search.push(env::var_os("PATH").unwrap_or_default());
        let made = Command::new("sh")
            .arg(script)
            .env("PATH", search)
            .env("TRIAL", self.folder.path())
            .env("STATE", self.folder.path())
            .env("ISSUER", self.issuer())
            .env("LISTEN", format!("127.0.0.1:{}", self.as_port))
            .output()
            .map_err(|error| format!("cannot start sh: {error}"))?;
        if !made.status.success() {
            return Err(format!("docker/trial/setup.sh: {}", String::from_utf8_lossy(&made.stderr)));
        }
        let place = |path: PathBuf| path.display().to_string();
        self.change(
            "broker/ace.toml",
            &[("https://ace-as:8443", self.issuer()), ("/var/lib/mosquitto", place(self.file("state")))],
        )?;
        self.change(
            "broker/mosquitto.conf",
            &[
                ("listener 8883", format!("listener {} 127.0.0.1", self.broker_port)),
                ("/etc/mosquitto", place(self.file("broker"))),
                ("/usr/lib/mosquitto/libmosquitto_ace.so", place(plugin.to_owned())),
                ("/var/log/mosquitto", place(self.folder.path().to_owned())),
                // As root it would become another user, who may not read this folder.
                (
                    "log_type all",
                    if rustix::process::geteuid().is_root() { "user root\nlog_type all" } else { "log_type all" }
                        .into(),
                ),
            ],
        )?;
        fs::create_dir(self.file("state")).map_err(|error| error.to_string())
    }

    fn change(&self, name: &str, changes: &[(&str, String)]) -> Result<(), String> {
        let path = self.file(name);
        let mut text = crate::site::read(&path);
        for (from, to) in changes {
            if !text.contains(from) {
                return Err(format!("{name}: there is no {from:?} in it"));
            }
            text = text.replace(from, to);
        }
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Starts a server and waits until it can be reached.
    fn run(&mut self, name: &str, mut command: Command, port: u16) -> Result<(), String> {
        let failed = |error: io::Error| format!("{name}: {error}");
        let said = self.file(&format!("{name}.out"));
        let output = File::create(&said).map_err(failed)?;
        command.stdin(Stdio::null()).stdout(output.try_clone().map_err(failed)?).stderr(output);
        let mut child = command.spawn().map_err(failed)?;
        let deadline = Instant::now() + PATIENCE;
        let reached = loop {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                break true;
            }
            if Instant::now() >= deadline || !matches!(child.try_wait(), Ok(None)) {
                break false;
            }
            sleep(Duration::from_millis(20));
        };
        self.processes.push(Running(child));
        if reached { Ok(()) } else { Err(format!("{name} cannot be reached; it said:\n{}", crate::site::read(&said))) }
    }
}

/// The version and the program of the newest broker in the list that `cargo xtask brokers` leaves.
fn newest_broker(list: &Path) -> Result<(String, PathBuf), String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("{}: {error}: run `cargo xtask brokers` first", list.display());
    let text = fs::read_to_string(list).map_err(|error| failed(&error))?;
    let document: Value = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    let brokers = document.as_array().or_else(|| document["brokers"].as_array());
    let newest = brokers.and_then(|brokers| brokers.last()).ok_or_else(|| failed(&"it lists no broker"))?;
    let (Some(version), Some(launcher)) = (newest["version"].as_str(), newest["launcher"].as_str()) else {
        return Err(failed(&"an entry without version or launcher"));
    };
    Ok((version.to_owned(), list.parent().unwrap_or(Path::new(".")).join(launcher)))
}

/// A file that a variable names, or the usual one below the target folder.
fn path(variable: &str, target: &Path, usual: &str) -> PathBuf {
    env::var_os(variable).map_or_else(|| target.join(usual), PathBuf::from)
}

/// A process that is stopped when this goes.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // Not waited for yet, so its id is still its own.
            let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < deadline {
            sleep(Duration::from_millis(20));
        }
        // Fails only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
