//! A running Mosquitto: its own folder, free ports, its log, and an orderly end.

use std::collections::HashSet;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use rustls::ClientConfig;
use tempfile::TempDir;

use super::case::Ctx;
use super::client::Client;
use super::device::{Device, Way};
use super::key::Key;
use super::pki::pki;
use super::setup::{CERTIFICATE, Setup};
use super::{record, secrets, tls};

/// How long a test waits for what must come. Far more than it takes, since other tests share the machine.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How often something without an event of its own is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// A Mosquitto of the test's own. It is ended when this goes.
pub struct Broker {
    child: Child,
    /// Shared with the one that it is restarted as.
    folder: Arc<TempDir>,
    log: PathBuf,
    setup: Setup,
    ports: Ports,
    /// The log's lines, by number, that have been taken for a refusal: each refusal has its own.
    taken: Mutex<HashSet<usize>>,
}

/// Where the listeners are.
#[derive(Clone)]
struct Ports {
    tls: u16,
    plain: Option<u16>,
    websocket: Option<u16>,
    more: Vec<u16>,
}

/// The folder for the brokers' logs, kept after the run.
pub fn log_folder() -> PathBuf {
    target_folder().join("broker-logs")
}

/// Cargo's target folder.
pub fn target_folder() -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    scratch.parent().unwrap_or(scratch).to_owned()
}

impl Broker {
    /// Starts one and waits until it accepts connections.
    pub fn start(ctx: &Ctx, setup: Setup) -> Self {
        for _ in 0..3 {
            let mut broker = Self::spawn(ctx, setup.clone());
            if broker.listens() {
                return broker;
            }
            let log = broker.log();
            assert!(log.contains("Address already in use"), "the broker did not start:\n{log}");
        }
        panic!("no free port in three tries");
    }

    /// Starts one that must not come up: gives its exit status and its log.
    pub fn start_in_vain(ctx: &Ctx, setup: Setup) -> (ExitStatus, String) {
        let mut broker = Self::spawn(ctx, setup);
        let status = broker.exit_status();
        (status, broker.log())
    }

    fn spawn(ctx: &Ctx, setup: Setup) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let ports = Ports {
            tls: free_port(),
            plain: setup.has_plain_listener.then(free_port),
            websocket: setup.has_websocket_listener.then(free_port),
            more: setup.listeners.iter().map(|_| free_port()).collect(),
        };
        setup.write(folder.path());
        let conf = match &setup.whole_conf {
            Some(text) => with_ports(text, &ports),
            None => mosquitto_conf(ctx, &setup, folder.path(), &ports),
        };
        let place = folder.path().display().to_string();
        std::fs::write(folder.path().join("mosquitto.conf"), conf.replace("{dir}", &place)).expect("mosquitto.conf");
        Self::launch(ctx, setup, folder, ports)
    }

    /// Starts the program with what is in the folder.
    fn launch(ctx: &Ctx, setup: Setup, folder: Arc<TempDir>, ports: Ports) -> Self {
        let log = log_file(ctx);
        let output = File::create(&log).expect("a log");
        secrets::register_log(log.clone());
        let all: Vec<u16> =
            [ports.plain, ports.websocket].into_iter().flatten().chain([ports.tls]).chain(ports.more.clone()).collect();
        record::broker_starts(ctx, &folder, &log, &all, setup.has_several_configurations());
        let child = command(ctx, &setup, folder.path())
            .arg("-c")
            .arg(folder.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("the log again"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", ctx.version.launcher.display()));
        Self { child, folder, log, setup, ports, taken: Mutex::default() }
    }

    /// Waits until every listener accepts; false if the process ends instead.
    fn listens(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let Ports { tls, plain, websocket, more } = self.ports.clone();
        let mut waiting: Vec<u16> = plain.into_iter().chain(websocket).chain([tls]).chain(more).collect();
        loop {
            if self.child.try_wait().expect("the process").is_some() {
                return false;
            }
            waiting.retain(|port| TcpStream::connect(("127.0.0.1", *port)).is_err());
            // A foreign listener on our port would accept just as well: the log must say that it is ours.
            if waiting.is_empty() && self.log().contains(" running\n") {
                return true;
            }
            assert!(Instant::now() < deadline, "the broker does not accept connections:\n{}", self.log());
            sleep(GLANCE);
        }
    }

    /// Opens a TLS 1.3 connection.
    pub fn open(&self) -> Client {
        self.open_with(tls::tls13())
    }

    /// Opens a TLS connection by this configuration.
    pub fn open_with(&self, config: Arc<ClientConfig>) -> Client {
        Client::tls(self.ports.tls, config)
    }

    /// Opens a connection to the listener without TLS.
    pub fn open_plain(&self) -> Client {
        Client::plain(self.ports.plain.expect("a listener without TLS"))
    }

    /// The port of one of the further listeners.
    pub fn port(&self, listener: usize) -> u16 {
        self.ports.more[listener]
    }

    /// Where the listener without TLS is.
    pub fn plain_port(&self) -> u16 {
        self.ports.plain.expect("a listener without TLS")
    }

    /// Opens a WebSocket over TLS 1.3.
    pub fn open_websocket(&self) -> Client {
        Client::websocket(self.ports.websocket.expect("a WebSocket listener"), tls::tls13())
    }

    /// A device with a fresh Ed25519 key, a good token and `dev/#`.
    pub fn device(&self, id: &str) -> Device {
        self.device_with(id, Key::ed25519())
    }

    /// The same with this key.
    pub fn device_with(&self, id: &str, key: Key) -> Device {
        Device::new(&self.setup.authority, id, key, |claims| claims)
    }

    /// A device whose token grants this scope.
    pub fn device_scoped(&self, id: &str, scope: &[(&str, &[&str])]) -> Device {
        let authority = &self.setup.authority;
        Device::new(authority, id, Key::ed25519(), |claims| claims.scope(scope))
    }

    /// The port of the listener with TLS.
    pub fn tls_port(&self) -> u16 {
        self.ports.tls
    }

    /// What it was started with.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Its log up to now.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).expect("the log")).into_owned()
    }

    /// Waits for a line that holds all of these; gives it.
    pub fn wait_for_line(&self, parts: &[&str]) -> String {
        self.wait_for(parts, |_| true)
    }

    /// Waits for a line that holds all of these and has not been given here before.
    fn wait_for_new_line(&self, parts: &[&str]) -> String {
        self.wait_for(parts, |number| {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.insert(number)
        })
    }

    fn wait_for(&self, parts: &[&str], may_take: impl Fn(usize) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            let found = log
                .lines()
                .enumerate()
                .find(|(number, line)| parts.iter().all(|part| line.contains(part)) && may_take(*number));
            if let Some((_, line)) = found {
                return line.to_owned();
            }
            assert!(
                Instant::now() < deadline,
                "no log line with {parts:?}; what the plugin said:\n{}",
                plugin_lines(&log)
            );
            sleep(GLANCE);
        }
    }

    /// The log says that this client was refused for this reason; one that ends with a dash stands
    /// for all that begin so.
    pub fn expect_refusal(&self, client_id: &str, code: &str) -> String {
        let client = format!("\"{client_id}\"");
        let end = if code.ends_with('-') { "" } else { ": " };
        let code = format!(": {code}{end}");
        self.wait_for_new_line(&["ace: refused", &client, &code])
    }

    /// The log says that this client was refused, for whatever reason in kebab-case; gives the reason.
    pub fn expect_some_refusal(&self, client_id: &str) -> String {
        let client = format!("\"{client_id}\"");
        let line = self.wait_for_new_line(&["ace: refused", &client]);
        let code = line
            .split(": ")
            .find(|part| {
                part.contains('-')
                    && part.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
            })
            .unwrap_or_else(|| panic!("no reason code in: {line}"));
        code.to_owned()
    }

    /// How much memory the process holds.
    pub fn resident_bytes(&self) -> usize {
        let file = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the resident size");
        let kibibytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kibibytes * 1024
    }

    /// How many files and connections the process has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("the process's files").count()
    }

    /// The names of the process's threads.
    pub fn thread_names(&self) -> Vec<String> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the process's threads");
        let names = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
        names.map(|name| name.trim_end().to_owned()).collect()
    }

    /// The process runs, and a client that comes now is let in and served.
    pub fn assert_alive(&mut self) {
        let ended = self.child.try_wait().expect("the process");
        assert!(ended.is_none(), "the broker ended: {ended:?}\n{}", self.log());
        let visitor = self.device("visitor-who-looks-after-the-broker");
        visitor.enter(self, Way::Challenge).round_trip("dev/alive");
    }

    /// Has new files read: writes them, sends SIGHUP and waits until the broker has taken it.
    pub fn reload(&mut self, setup: &Setup) {
        setup.write(self.folder.path());
        record::broker_reloads(self.ports.tls);
        let before = self.log().matches("Reloading config").count();
        self.signal(Signal::HUP);
        let deadline = Instant::now() + PATIENCE;
        while self.log().matches("Reloading config").count() == before {
            assert!(Instant::now() < deadline, "the broker took no SIGHUP");
            sleep(GLANCE);
        }
    }

    /// Ends it as [`Self::stop`] does, and starts it again with what it has left in its folder.
    pub fn restart(self, ctx: &Ctx) -> Self {
        self.restart_after(ctx, || ())
    }

    /// The same, and does something while it is down.
    pub fn restart_after(self, ctx: &Ctx, meanwhile: impl FnOnce()) -> Self {
        let (setup, folder, ports) = (self.setup.clone(), Arc::clone(&self.folder), self.ports.clone());
        self.stop();
        meanwhile();
        let mut broker = Self::launch(ctx, setup, folder, ports);
        assert!(broker.listens(), "the broker did not start again:\n{}", broker.log());
        broker
    }

    /// A file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends it by SIGTERM; it must end with exit code 0. Gives its log.
    pub fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let status = self.exit_status();
        let log = self.log();
        assert_eq!(status.code(), Some(0), "exit: {status:?}\n{log}");
        log
    }

    /// Has it do nothing until [`Self::go_on`]: what arrives meanwhile is there at once.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Has it go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("a signal");
    }

    fn exit_status(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the process") {
                return status;
            }
            assert!(Instant::now() < deadline, "the broker does not end:\n{}", self.log());
            sleep(GLANCE);
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program to start.
fn command(ctx: &Ctx, setup: &Setup, folder: &Path) -> Command {
    let launcher = &ctx.version.launcher;
    let Some(openssl) = &setup.openssl else { return Command::new(launcher) };
    let file = folder.join("openssl.cnf");
    std::fs::write(&file, openssl).expect("openssl.cnf");
    // The scripts that start the fetched brokers give OpenSSL an empty configuration: the same script with this one, told
    // by its name where it lies.
    let script = std::fs::read_to_string(launcher).unwrap_or_default();
    if script.starts_with("#!/bin/sh") {
        let script = script.replace("OPENSSL_CONF=/dev/null", &format!("OPENSSL_CONF='{}'", file.display()));
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).arg(launcher);
        return command;
    }
    let mut command = Command::new(launcher);
    command.env("OPENSSL_CONF", file);
    command
}

fn mosquitto_conf(ctx: &Ctx, setup: &Setup, folder: &Path, ports: &Ports) -> String {
    let server = &pki().server;
    for (name, text) in
        [("server.crt", &server.certificate), ("server.key", &server.private_key), ("ca.crt", &pki().authority)]
    {
        std::fs::write(folder.join(name), text).expect("a TLS file");
    }
    let mut plugin = Vec::new();
    if setup.has_plugin {
        plugin.push(format!("plugin {}", ctx.plugin.display()));
        plugin.push("plugin_opt_config_file {dir}/ace.toml".to_owned());
    }
    let tls = CERTIFICATE.map(str::to_owned);
    let mut listeners = vec![(ports.tls, tls.to_vec())];
    listeners.extend(ports.plain.map(|port| (port, Vec::new())));
    listeners.extend(ports.websocket.map(|port| {
        let protocol = "protocol websockets".to_owned();
        (port, [&[protocol][..], &tls].concat())
    }));

    let mut lines = vec![
        format!("per_listener_settings {}", setup.is_per_listener),
        "persistence false".to_owned(),
        "log_dest stderr".to_owned(),
        "log_type all".to_owned(),
        "connection_messages true".to_owned(),
    ];
    if geteuid().is_root() {
        lines.push("user root".to_owned());
    }
    lines.extend(setup.conf.iter().cloned());
    if !setup.is_per_listener {
        lines.extend(plugin.iter().cloned());
    }
    listeners.extend(ports.more.iter().copied().zip(setup.listeners.iter().cloned()));
    for (port, settings) in listeners {
        lines.push(format!("listener {port} 127.0.0.1"));
        // One that names a configuration of its own has that instead of the usual one.
        let (own, settings): (Vec<_>, Vec<_>) =
            settings.into_iter().partition(|line| line.starts_with("plugin_opt_config_file"));
        lines.extend(settings);
        if setup.is_per_listener {
            lines.extend(plugin.iter().take(if own.is_empty() { 2 } else { 1 }).cloned());
            lines.extend(own);
        }
    }
    lines.join("\n") + "\n"
}

/// The text with these ports behind `listener`, on the loopback: the usual one first, then the others.
fn with_ports(text: &str, ports: &Ports) -> String {
    let mut numbers = [ports.tls].into_iter().chain(ports.more.iter().copied());
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        lines.push(match line.strip_prefix("listener ") {
            Some(_) => format!("listener {} 127.0.0.1", numbers.next().expect("a port for each listener")),
            None => line.to_owned(),
        });
    }
    assert_eq!(numbers.next(), None, "a listener for each port");
    if geteuid().is_root() {
        lines.push("user root".to_owned());
    }
    lines.join("\n") + "\n"
}

/// A log of its own for each start, however many a test makes.
fn log_file(ctx: &Ctx) -> PathBuf {
    static STARTS: AtomicU32 = AtomicU32::new(0);
    let start = STARTS.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-{}.{start}.log", ctx.name, ctx.version.number);
    log_folder().join(name)
}

/// A port that nobody listens on, and that this run has not given out yet.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if given.get_or_insert_default().insert(port) {
            return port;
        }
    }
}

/// The plugin's lines of a log.
fn plugin_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().filter(|line| line.contains("ace: ")).collect();
    lines.join("\n")
}
