//! The programs `ace-as` and `ace-mqtt` as users run them, from the folder in which the plugin lies too.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::authority::{AUDIENCE, Authority};
use super::broker::{Broker, PATIENCE, log_folder};
use super::case::Ctx;
use super::key::Key;
use super::pki::pki;
use super::secrets;
use super::setup::Setup;

/// How often something without an event of its own is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// A program to start.
pub(super) fn program(ctx: &Ctx, name: &str) -> Command {
    let path = ctx.plugin.with_file_name(name);
    assert!(path.is_file(), "{}: build ace-as and ace-mqtt for release as well", path.display());
    let mut command = Command::new(path);
    command.stdin(Stdio::null());
    command
}

/// A program that has been started, and what it says in files. It is ended when this goes.
pub struct Program {
    child: Child,
    output: PathBuf,
    errors: PathBuf,
}

impl Program {
    /// Starts this command; what it prints and says goes into files.
    pub fn start(ctx: &Ctx, name: &str, command: &mut Command) -> Self {
        static STARTS: AtomicU32 = AtomicU32::new(0);
        let number = STARTS.fetch_add(1, Ordering::Relaxed);
        let file = |end: &str| log_folder().join(format!("{}-{}.{name}-{number}.{end}", ctx.name, ctx.version.number));
        let (output, errors) = (file("out"), file("err"));
        let create = |path: &Path| File::create(path).expect("a file for what a program says");
        // What is printed may be a token; what is logged must not hold any.
        secrets::register_log(errors.clone());
        let child = command.stdout(create(&output)).stderr(create(&errors)).spawn().expect("the program starts");
        Self { child, output, errors }
    }

    /// What it has printed up to now.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).expect("what was printed")).into_owned()
    }

    /// What it has said on standard error up to now.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.errors).expect("what was said")).into_owned()
    }

    /// Waits until `found` finds what it looks for in what is printed and said.
    pub fn wait_until(&mut self, what: &str, mut found: impl FnMut(&str, &str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // What it has said before its end counts: so its end is looked for first.
            let ended = self.child.try_wait().expect("the process");
            if found(&self.output(), &self.errors()) {
                return;
            }
            assert!(ended.is_none(), "{what}: the program has ended: {ended:?}\n{}", self.errors());
            assert!(Instant::now() < deadline, "{what}: not in time\n{}", self.errors());
            sleep(GLANCE);
        }
    }

    /// Waits for its end; gives its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.status().code()
    }

    /// Has it end by SIGTERM; gives its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), Signal::TERM).expect("a signal");
        self.ended()
    }

    /// Has it end by SIGTERM if it still runs, and waits for it as long as it may take: for those that have started others. Says
    /// nothing of how it went.
    pub(super) fn ask_to_end(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let deadline = Instant::now() + PATIENCE;
        let mut was_asked = false;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            if !was_asked && let Some(pid) = pid {
                was_asked = kill_process(pid, Signal::TERM).is_ok();
            }
            sleep(GLANCE);
        }
    }

    fn status(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the process") {
                return status;
            }
            assert!(Instant::now() < deadline, "the program does not end:\n{}", self.errors());
            sleep(GLANCE);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `ace-mqtt` with these arguments, for this broker.
pub fn ace_mqtt(ctx: &Ctx, broker: &Broker, command: &str, arguments: &[&str]) -> Program {
    Program::start(ctx, "ace-mqtt", &mut ace_mqtt_command(ctx, broker, command, arguments))
}

/// The same with an input that the case writes, and ends by dropping it.
pub fn ace_mqtt_with_input(ctx: &Ctx, broker: &Broker, command: &str, arguments: &[&str]) -> (Program, ChildStdin) {
    let mut command = ace_mqtt_command(ctx, broker, command, arguments);
    let mut client = Program::start(ctx, "ace-mqtt", command.stdin(Stdio::piped()));
    let input = client.child.stdin.take().expect("its input");
    (client, input)
}

fn ace_mqtt_command(ctx: &Ctx, broker: &Broker, command: &str, arguments: &[&str]) -> Command {
    let authority = broker.file("authority.pem");
    std::fs::write(&authority, &pki().authority).expect("a file");
    let mut client = program(ctx, "ace-mqtt");
    client.args([command, "-h", "localhost", "-p", &broker.tls_port().to_string(), "--cafile"]).arg(authority);
    client.args(arguments);
    client
}

/// `ace-mqtt keygen`: gives the file with the key.
pub fn keygen(ctx: &Ctx, broker: &Broker, name: &str) -> PathBuf {
    let file = broker.file(name);
    let mut made = program(ctx, "ace-mqtt");
    let mut made = Program::start(ctx, "keygen", made.arg("keygen").arg("--out").arg(&file));
    assert_eq!(made.ended(), Some(0), "{}", made.errors());
    file
}

/// A running `ace-as` with one client, whose tokens are for the broker.
pub struct AuthorizationServer {
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
    running: Option<Program>,
}

/// The client's id, at the server and, where the cases say so, at the broker.
pub const CLIENT: &str = "sensor";

impl AuthorizationServer {
    /// Starts one whose tokens live for so long and grant `dev/#` in both directions.
    pub fn start(ctx: &Ctx, lifetime: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut init = program(ctx, "ace-as");
        init.arg("init").arg(folder.path()).args(["--audience", AUDIENCE, "--token-lifetime", lifetime]);
        let mut init = Program::start(ctx, "ace-as-init", init.args(["--client", &format!("{CLIENT}:dev/#:dev/#")]));
        assert_eq!(init.ended(), Some(0), "{}", init.errors());
        let mut server = Self { folder, port: 0, arguments: Vec::new(), running: None };
        // The brokers of these tests have certificates of their own.
        server.change("public_key = ", "# public_key = ");
        server.go_on(ctx);
        let path = |name: &str| server.file(name).display().to_string();
        server.arguments = [
            ("--as", format!("https://localhost:{}/token", server.port)),
            ("--as-ca", path("ca-cert.pem")),
            ("--client-id", CLIENT.to_owned()),
            ("--client-secret-file", path("sensor.secret")),
            ("--audience", AUDIENCE.to_owned()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
        let secret = std::fs::read_to_string(server.file("sensor.secret")).expect("the secret");
        secrets::register(secret.trim_end().as_bytes());
        server
    }

    /// Changes its configuration, for the next start.
    pub fn change(&self, from: &str, to: &str) {
        let file = self.file("as.toml");
        let text = std::fs::read_to_string(&file).expect("as.toml");
        assert!(text.contains(from), "{from} is not in as.toml");
        std::fs::write(&file, text.replacen(from, to, 1)).expect("as.toml");
    }

    /// Ends it; nobody listens there then.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Starts it, at the port where it was before.
    pub fn go_on(&mut self, ctx: &Ctx) {
        let mut serve = program(ctx, "ace-as");
        serve.arg("serve").arg("--config").arg(self.file("as.toml"));
        let mut running = Program::start(ctx, "ace-as", serve.args(["--listen", &format!("127.0.0.1:{}", self.port)]));
        let mut port = None;
        running.wait_until("the authorization server listens", |_, errors| {
            port = errors.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(':').next()?.parse().ok());
            port.is_some()
        });
        self.port = port.expect("a port");
        self.running = Some(running);
    }

    /// Starts it again as an issuer whose name is where it is, so that it can be found by it.
    pub fn found_by_issuer(&mut self, ctx: &Ctx) -> String {
        let issuer = self.url("");
        self.stop();
        self.change("https://localhost:8443", &issuer);
        self.go_on(ctx);
        issuer
    }

    /// The beginnings of a broker that takes its tokens, and the suite's own, to the second.
    pub fn setup(&self) -> Setup {
        let text = std::fs::read_to_string(self.file("as-jwks.json")).expect("its keys");
        let document: Value = serde_json::from_str(&text).expect("a JWK set");
        let key = Key::ed25519().named("of-the-suite");
        let mut jwks = document["keys"].as_array().expect("its keys").clone();
        jwks.push(key.jwk());
        let issuer = "https://localhost:8443".to_owned();
        Setup::with(Authority { issuer, key, jwks }).tokens(r#"leeway = "0s""#)
    }

    /// The arguments with which `ace-mqtt` gets a token here.
    pub fn arguments(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }

    /// A token from it, and its key, in a file.
    pub fn credentials(&self, ctx: &Ctx) -> PathBuf {
        let file = self.file("credentials");
        let mut token = program(ctx, "ace-mqtt");
        let mut token = Program::start(ctx, "token", token.arg("token").args(self.arguments()).arg("--out").arg(&file));
        assert_eq!(token.ended(), Some(0), "{}", token.errors());
        file
    }

    /// Makes a key that signs tokens, in this file of its.
    pub fn new_key(&self, ctx: &Ctx, name: &str) {
        let mut made = program(ctx, "ace-as");
        let mut made = Program::start(ctx, "new-key", made.arg("new-key").arg(self.file(name)));
        assert_eq!(made.ended(), Some(0), "{}", made.errors());
    }

    /// The secret of one whom it knows.
    pub fn secret(&self, id: &str) -> String {
        let secret = std::fs::read_to_string(self.file(&format!("{id}.secret"))).expect("a secret");
        secrets::register(secret.trim_end().as_bytes());
        secret
    }

    /// The authority that its certificate comes from, PEM.
    pub fn authority(&self) -> String {
        std::fs::read_to_string(self.file("ca-cert.pem")).expect("its authority")
    }

    /// Where this path of its is.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// A public document of its.
    pub fn get(&self, path: &str) -> Value {
        answer(self.agent().get(self.url(path)).call().expect("an answer")).1
    }

    /// Status and answer to a form that somebody sends, authenticated by HTTP Basic.
    pub fn post(&self, path: &str, id: &str, form: &str) -> (u16, Value) {
        let credentials = STANDARD.encode(format!("{id}:{}", self.secret(id).trim_end()));
        let request = self.agent().post(self.url(path)).header("authorization", format!("Basic {credentials}"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        answer(request.send(form).expect("an answer"))
    }

    fn agent(&self) -> ureq::Agent {
        let authority = Certificate::from_pem(self.authority().as_bytes()).expect("a certificate");
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .root_certs(RootCerts::new_with_certs(&[authority]))
            .build();
        let config = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false);
        config.timeout_global(Some(PATIENCE)).build().into()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The status, and the content as JSON; null if it is none.
fn answer(mut response: ureq::http::Response<ureq::Body>) -> (u16, Value) {
    let content = response.body_mut().read_to_string().expect("the content");
    (response.status().as_u16(), serde_json::from_str(&content).unwrap_or_default())
}
