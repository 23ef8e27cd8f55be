//! The set-up that the READMEs have a newcomer make: `ace-as init trial`, its authorization server, and a broker that trusts it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::https_server::{Answer, HttpsServer};
use super::key::{Key, random};
use super::pki::pki;
use super::programs::{Program, program};
use super::{Authority, Broker, Ctx, Setup, encode, now, secrets};

/// How often the clock is looked at.
const GLANCE: Duration = Duration::from_millis(5);
/// The broker's name in the tokens of a trial.
pub const AUDIENCE: &str = "broker.example";
/// Where a trial's authorization server says that it is.
const ISSUER: &str = "https://localhost:8443";

/// A folder as `ace-as init` leaves it, and who runs by it.
pub struct Trial {
    folder: TempDir,
    /// The broker. Its first listener has a certificate that the trial's clients do not trust, its second the trial's own. Its third has one
    /// for another name, of an authority that they may come to trust. Its fourth asks for clients' certificates.
    pub broker: Broker,
    token_endpoint: String,
    _server: Program,
    impostor: Option<HttpsServer>,
}

impl Trial {
    /// Makes one whose tokens live for so long. The sensor may publish below `sensors/`, the dashboard may read there.
    pub fn start(ctx: &Ctx, token_lifetime: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut init = program(ctx, "ace-as");
        init.arg("init").arg(folder.path()).args(["--token-lifetime", token_lifetime]);
        let mut init = Program::start(ctx, "ace-as-init", &mut init);
        assert_eq!(init.ended(), Some(0), "{}", init.errors());

        let mut serve = program(ctx, "ace-as");
        serve.arg("serve").arg("--config").arg(folder.path().join("as.toml")).args(["--listen", "127.0.0.1:0"]);
        let mut server = Program::start(ctx, "ace-as", &mut serve);
        let mut port = None;
        server.wait_until("the authorization server listens", |_, errors| {
            port = errors.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(':').next()?.parse::<u16>().ok());
            port.is_some()
        });
        let token_endpoint = format!("https://localhost:{}/token", port.expect("a port"));

        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a file of the trial");
        for name in ["sensor", "dashboard"] {
            secrets::register(read(&format!("{name}.secret")).trim_end().as_bytes());
        }
        let jwks: Value = serde_json::from_str(&read("as-jwks.json")).expect("a JWK set");
        let jwks = jwks["keys"].as_array().expect("its keys").clone();
        let misnamed = pki().of_another_name();
        let broker = Setup::with(Authority { issuer: ISSUER.to_owned(), key: Key::ed25519(), jwks })
            .audience(&json!(AUDIENCE).to_string())
            .file("trial.crt", &read("broker-cert.pem"))
            .file("trial.key", &read("broker-key.pem"))
            .listener(&["certfile {dir}/trial.crt", "keyfile {dir}/trial.key"])
            .mqtt("authz_info_topic = \"authz-info\"")
            .file("clients-ca.pem", &read("ca-cert.pem"))
            .file("misnamed.crt", &misnamed.certificate)
            .file("misnamed.key", &misnamed.private_key)
            .listener(&["certfile {dir}/misnamed.crt", "keyfile {dir}/misnamed.key"])
            .listener(&[
                "certfile {dir}/trial.crt",
                "keyfile {dir}/trial.key",
                "cafile {dir}/clients-ca.pem",
                "require_certificate true",
            ])
            .start(ctx);
        // A proof over a time, which is in whole seconds, must be younger than the broker.
        let started = now().as_secs();
        let deadline = Instant::now() + Duration::from_secs(2);
        while now().as_secs() <= started {
            assert!(Instant::now() < deadline, "the clock stands still");
            sleep(GLANCE);
        }
        Self { folder, broker, token_endpoint, _server: server, impostor: None }
    }

    /// A command that runs in the folder and finds everything as it would by the README, but for the ports.
    pub fn command(&self, ctx: &Ctx, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let folders = [ctx.plugin.parent(), ctx.version.launcher.parent()].map(|folder| folder.expect("a folder"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = folders.iter().map(|folder| folder.to_path_buf()).chain(std::env::split_paths(&path));
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env("TMPDIR", self.folder.path()).stdin(Stdio::null());
        command.env("PATH", std::env::join_paths(path).expect("a search path"));
        command.env("TOKEN_ENDPOINT", &self.token_endpoint).env("PORT", self.broker.port(0).to_string());
        command.env("CERTIFICATE_PORT", self.broker.port(2).to_string());
        command
    }

    /// `ace-mqtt` as this client, with a token of its own, at this trial's broker.
    pub fn ace_mqtt(&self, ctx: &Ctx, client: &str, command: &str, arguments: &[&str]) -> Program {
        let port = self.broker.port(0).to_string();
        let secret = format!("{client}.secret");
        let mut program = self.command(ctx, ctx.plugin.with_file_name("ace-mqtt"));
        program.args([command, "-h", "localhost", "-p", &port, "--cafile", "ca-cert.pem", "-i", "the-other-side"]);
        program.args(["--as", &self.token_endpoint, "--as-ca", "ca-cert.pem", "--audience", AUDIENCE]);
        program.args(["--client-id", client, "--client-secret-file", &secret]).args(arguments);
        Program::start(ctx, "ace-mqtt", &mut program)
    }

    /// `ace-mqtt token` with a symmetric key: gives the file for this client.
    pub fn credentials(&self, ctx: &Ctx, client: &str) -> PathBuf {
        self.token(ctx, client, &format!("{client}.credentials"), &["--symmetric"])
    }

    fn token(&self, ctx: &Ctx, client: &str, file: &str, arguments: &[&str]) -> PathBuf {
        let secret = format!("{client}.secret");
        let mut token = self.command(ctx, ctx.plugin.with_file_name("ace-mqtt"));
        token.args(["token", "--as", &self.token_endpoint, "--as-ca", "ca-cert.pem", "--audience", AUDIENCE]);
        token.args(["--client-id", client, "--client-secret-file", &secret, "--out", file]).args(arguments);
        let mut token = Program::start(ctx, "token", &mut token);
        assert_eq!(token.ended(), Some(0), "{}", token.errors());
        self.folder.path().join(file)
    }

    /// From here on, clients that ask for a token get one that is bound to another key than theirs: a stolen one, as it were.
    pub fn give_stolen_tokens(&mut self, ctx: &Ctx) {
        let stolen = |arguments: &[&str]| {
            let file = std::fs::read(self.token(ctx, "sensor", "stolen.credentials", arguments)).expect("a file");
            let credentials: Value = serde_json::from_slice(&file).expect("JSON");
            json!({ "access_token": credentials["access_token"], "token_type": "PoP", "expires_in": 300 })
        };
        let for_own_key = stolen(&[]);
        let mut for_symmetric_key = stolen(&["--symmetric"]);
        for_symmetric_key["cnf"] = json!({ "jwk": { "kty": "oct", "k": encode(&random(32)) } });
        let impostor = HttpsServer::start(move |request| {
            let has_own_key = String::from_utf8_lossy(&request.body).contains("req_cnf");
            let answer = if has_own_key { &for_own_key } else { &for_symmetric_key };
            Answer::ok("application/json", answer.to_string().into_bytes())
        });
        self.token_endpoint = impostor.url("/token");
        self.impostor = Some(impostor);
        self.trust_the_suites_authority();
    }

    /// From here on, clients trust the authority of the suite's own servers as well.
    pub fn trust_the_suites_authority(&self) {
        let trusted = self.folder.path().join("ca-cert.pem");
        let both = std::fs::read_to_string(&trusted).expect("the authority") + &pki().authority;
        std::fs::write(trusted, both).expect("both authorities");
    }
}
