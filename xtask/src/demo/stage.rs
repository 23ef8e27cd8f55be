//! Where the demonstration plays: a temporary folder, an authorization server and a broker on free ports of this
//! machine, and the client program.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::child::{Interrupt, Running, wait_for};
use super::screen::Screen;
use crate::brokers::Broker;
use crate::{paths, process};

/// The name of the broker in tokens.
pub(super) const AUDIENCE: &str = "broker.example";
/// The client that holds a short-lived token.
pub(super) const VISITOR: &str = "visitor";
/// How long its tokens live, in seconds.
pub(super) const VISIT: u64 = 5;
/// How long servers and clients may take for what takes them a moment.
pub(super) const SOON: Duration = Duration::from_secs(15);

/// The folder with everything in it, and the programs.
#[derive(Debug)]
pub(super) struct Stage {
    folder: TempDir,
    interrupt: Interrupt,
    as_port: u16,
    broker_port: u16,
}

/// How a client's command ended, and what it said.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) said: String,
}

impl Stage {
    /// Makes the folder, removed at the end unless it is to be kept.
    ///
    /// # Errors
    /// There is no room for it, or no free port.
    pub(super) fn new(interrupt: Interrupt, keep: bool) -> Result<Self> {
        let mut folder = tempfile::Builder::new().prefix("ace-demo-").tempdir().context("no temporary folder")?;
        folder.disable_cleanup(keep);
        // Both are held until both are known, so that they differ.
        let (first, second) = (free_port()?, free_port()?);
        let ports = (port(&first)?, port(&second)?);
        Ok(Self { folder, interrupt, as_port: ports.0, broker_port: ports.1 })
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address of the token endpoint.
    pub(super) fn token_url(&self) -> String {
        format!("https://localhost:{}/token", self.as_port)
    }

    /// Has `ace-as init` make keys, certificates and configurations, and adds what the demonstration needs beyond.
    pub(super) fn prepare(&self) -> Result<()> {
        let mut init = self.program("ace-as");
        init.args(["init", ".", "--listen"]).arg(format!("127.0.0.1:{}", self.as_port));
        for client in [
            "sensor:home/temperature:home/setpoint",
            "dashboard:home/setpoint:home/temperature",
            "visitor::home/temperature",
        ] {
            init.args(["--client", client]);
        }
        Screen::command(&init);
        process::output_of(&mut init)?;
        self.rewrite("as.toml", |text| {
            let entry = format!("id = \"{VISITOR}\"\n");
            let with_lifetime = text.replace(&entry, &format!("{entry}token_lifetime = \"{VISIT}s\"\n"));
            (with_lifetime != text).then_some(with_lifetime)
        })?;
        Screen::seen(&format!("as.toml: tokens for \"{VISITOR}\" live {VISIT} s"));
        self.rewrite("ace.toml", |text| Some(format!("{text}\n[tokens]\nleeway = \"0s\"\n")))?;
        Screen::seen("ace.toml: no leeway after a token's end");
        fs::write(self.folder().join("demo.conf"), self.broker_configuration()?).context("cannot write demo.conf")?;
        Screen::seen(&format!("demo.conf: a TLS listener on port {} and two lines for the plugin", self.broker_port));
        Ok(())
    }

    fn rewrite(&self, name: &str, change: impl FnOnce(&str) -> Option<String>) -> Result<()> {
        let path = self.folder().join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("ace-as init made no {name}"))?;
        let changed = change(&text).with_context(|| format!("{name} is not as it was expected:\n{text}"))?;
        fs::write(&path, changed).with_context(|| format!("cannot write {name}"))
    }

    fn broker_configuration(&self) -> Result<String> {
        let plugin = fs::canonicalize(paths::plugin()).context("the plugin is not built")?;
        // As root, the broker would become another user, who may not read this folder.
        let user = process::output_of(Command::new("id").arg("-un"))?;
        Ok(format!(
            "user {user}\nlog_type all\nlistener {port} 127.0.0.1\ncertfile {folder}/broker-cert.pem\n\
             keyfile {folder}/broker-key.pem\nplugin {plugin}\nplugin_opt_config_file {folder}/ace.toml\n",
            user = user.trim(),
            port = self.broker_port,
            folder = self.folder().display(),
            plugin = plugin.display(),
        ))
    }

    /// Starts the authorization server and waits until it can be reached.
    pub(super) fn start_authorization_server(&self) -> Result<Running> {
        let mut command = self.program("ace-as");
        command.args(["serve", "--config", "as.toml"]);
        self.start_server(command, "ace-as", self.as_port)
    }

    /// Starts the broker and waits until it can be reached.
    pub(super) fn start_broker(&self, broker: &Broker) -> Result<Running> {
        let mut command = Command::new(&broker.launcher);
        command.current_dir(self.folder()).args(["-c", "demo.conf"]);
        self.start_server(command, "mosquitto", self.broker_port)
    }

    fn start_server(&self, command: Command, name: &str, port: u16) -> Result<Running> {
        Screen::command(&command);
        let mut server = Running::start_server(command, self.folder(), name, &self.interrupt)?;
        let reached = wait_for(&self.interrupt, SOON, || {
            if !server.runs() {
                bail!("{name} ended at once and said:\n{}", server.said());
            }
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok())
        })?;
        reached.with_context(|| format!("{name} does not listen; it said:\n{}", server.said()))?;
        Ok(server)
    }

    /// `ace-mqtt pub` or `sub` with the options that say where the broker is.
    pub(super) fn client(&self, command: &str) -> Command {
        let mut client = self.program("ace-mqtt");
        client
            .args([command, "-h", "localhost", "-p"])
            .arg(self.broker_port.to_string())
            .args(["--cafile", "ca-cert.pem"]);
        client
    }

    /// One of our programs, to be run in the folder.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(paths::release_program(name));
        command.current_dir(self.folder());
        command
    }

    /// Starts a client that goes on for a while.
    pub(super) fn start(&self, command: Command, name: &str) -> Result<Running> {
        Screen::command(&command);
        Running::start(command, self.folder(), name, &self.interrupt)
    }

    /// Runs a client to its end.
    pub(super) fn run(&self, command: Command, name: &str) -> Result<Ended> {
        let mut running = self.start(command, name)?;
        let status = running.wait(SOON)?;
        let said = running.said();
        Screen::said(name, &said);
        Ok(Ended { status, said })
    }

    /// Waits until a server's log has a new line with all of these in it, and returns the line.
    pub(super) fn log_line(&self, server: &Running, after: usize, words: &[&str]) -> Result<String> {
        let found = wait_for(&self.interrupt, SOON, || {
            let log = server.said();
            let new = log.get(after..).unwrap_or_default();
            Ok(new.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned))
        })?;
        found.with_context(|| {
            format!("no line with {} in the log:\n{}", words.join(", "), server.said().get(after..).unwrap_or_default())
        })
    }

    /// A file in the folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }
}

fn free_port() -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on this machine")
}

fn port(listener: &TcpListener) -> Result<u16> {
    Ok(listener.local_addr().context("no free port on this machine")?.port())
}
