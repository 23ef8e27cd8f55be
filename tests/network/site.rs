//! Where broker and authorization server are, and what their clients do again and again.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs};

use ace_mqtt::ace_profile::jose::Jwk;
use ace_mqtt::ace_profile::random::SystemRandom;
use ace_mqtt::ace_profile::scope::Scope;
use ace_mqtt::{
    Authentication, Client, ConnectOptions, Credentials, Error, Message, RequestedKey, Result, TlsOptions, TokenClient,
    TokenRequest, Version, read_secret,
};
use serde_json::Value;

use crate::own::Own;

/// The broker's name in tokens.
pub(crate) const AUDIENCE: &str = "broker.example";
/// Who may publish and subscribe to `test/#`.
pub(crate) const TESTER: &str = "tester";
/// Who may do so with `test/brief/#`, for [`BRIEF_LIFE`] at a time.
pub(crate) const BRIEF: &str = "brief";
/// How long its tokens live: docker/trial/setup.sh.
pub(crate) const BRIEF_LIFE: Duration = Duration::from_secs(3);
/// How long something may take that takes a moment.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How often something without an event of its own is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// A broker and an authorization server.
#[derive(Debug)]
pub(crate) struct Site {
    /// The broker's host name.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// The authorization server's address, and its name in tokens.
    pub(crate) issuer: String,
    /// The folder with `ca-cert.pem` and `<client>.secret`.
    clients: PathBuf,
    /// The broker's log.
    log: PathBuf,
    /// What version the broker must be.
    pub(crate) version: Option<String>,
    /// Stopped when the tests have run.
    _own: Option<Own>,
}

impl Site {
    /// The site that the environment names; one of our own if it names none.
    ///
    /// # Errors
    /// A sentence for the person who started the tests.
    pub(crate) fn find() -> std::result::Result<Self, String> {
        match env::var("ACE_NETWORK_BROKER") {
            Ok(broker) => Self::from_environment(&broker),
            Err(_) => Own::start().map(Self::of_our_own),
        }
    }

    /// `ACE_NETWORK_BROKER` is the broker's host and port, `ACE_NETWORK_AS` the authorization server's issuer,
    /// `ACE_NETWORK_CLIENTS` the folder with the CA's certificate and the clients' secrets, `ACE_NETWORK_LOG` the broker's
    /// log, and `ACE_NETWORK_BROKER_VERSION` the version that the broker must be, if it matters.
    fn from_environment(broker: &str) -> std::result::Result<Self, String> {
        let variable = |name: &str| env::var(name).map_err(|_| format!("{name} is not set, and ACE_NETWORK_BROKER is"));
        let wrong = || format!("ACE_NETWORK_BROKER is {broker:?}: host:port is wanted");
        let (host, port) = broker.split_once(':').ok_or_else(wrong)?;
        Ok(Self {
            host: host.to_owned(),
            port: port.parse().map_err(|_| wrong())?,
            issuer: variable("ACE_NETWORK_AS")?,
            clients: variable("ACE_NETWORK_CLIENTS")?.into(),
            log: variable("ACE_NETWORK_LOG")?.into(),
            version: env::var("ACE_NETWORK_BROKER_VERSION").ok().filter(|version| !version.is_empty()),
            _own: None,
        })
    }

    fn of_our_own(own: Own) -> Self {
        Self {
            host: "localhost".to_owned(),
            port: own.broker_port,
            issuer: own.issuer(),
            clients: own.file("clients"),
            log: own.file("mosquitto.log"),
            version: Some(own.version.clone()),
            _own: Some(own),
        }
    }

    /// The CA's certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.clients.join("ca-cert.pem")
    }

    /// A client's secret.
    pub(crate) fn secret(&self, client: &str) -> String {
        read_secret(&self.clients.join(format!("{client}.secret"))).expect("the client's secret").to_string()
    }

    /// Who is trusted: the trial's CA alone.
    pub(crate) fn trust(&self) -> TlsOptions {
        TlsOptions { ca_file: Some(self.ca()), ..TlsOptions::default() }
    }

    /// The authorization server, for this client of its.
    pub(crate) fn authorization_server(&self, client: &str, secret: &str) -> TokenClient {
        TokenClient::new(&format!("{}/token", self.issuer), &self.trust())
            .expect("the server")
            .with_client(client, secret)
    }

    /// A token for this client, with all that it may have, bound to this key.
    pub(crate) fn token(&self, client: &str, key: RequestedKey) -> Credentials {
        let request = TokenRequest { audience: Some(AUDIENCE.to_owned()), scope: None, key };
        let server = self.authorization_server(client, &self.secret(client));
        server.request(&request).expect("a token").credentials
    }

    /// A token for the tester, bound to a new key.
    pub(crate) fn credentials(&self) -> Credentials {
        self.token(TESTER, own_key())
    }

    /// How a client of that id reaches the broker.
    pub(crate) fn options(&self, id: &str) -> ConnectOptions {
        ConnectOptions {
            port: self.port,
            client_id: Some(id.to_owned()),
            tls: self.trust(),
            connect_timeout: PATIENCE,
            response_timeout: PATIENCE,
            ..ConnectOptions::new(self.host.clone())
        }
    }

    /// The same with that version and that form of token and proof.
    pub(crate) fn way(&self, id: &str, version: Version, authentication: Authentication) -> ConnectOptions {
        ConnectOptions { version, authentication, ..self.options(id) }
    }

    /// A client of MQTT 5 with all the tester's rights.
    pub(crate) fn client(&self, id: &str) -> Client {
        Client::connect(&self.options(id), Some(&self.credentials())).expect("the client is let in")
    }

    /// That the broker refuses this client as not authorized, and says in its log that it was for this reason.
    pub(crate) fn refuses(&self, options: &ConnectOptions, credentials: Option<&Credentials>, reason: &str) {
        match Client::connect(options, credentials) {
            Err(Error::Refused { reason, .. }) => assert!(reason.is_not_authorized(), "{reason}"),
            other => panic!("not refused: {other:?}"),
        }
        let id = options.client_id.as_deref().expect("a client id");
        self.has_logged(&["ace: refused", &format!("\"{id}\""), reason]);
    }

    /// Waits for a line with all of these in the broker's log.
    pub(crate) fn has_logged(&self, words: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let late = Instant::now() >= deadline;
            let log = self.whole_log();
            if log.lines().any(|line| words.iter().all(|word| line.contains(word))) {
                return;
            }
            assert!(!late, "no line with {words:?} in the broker's log");
            sleep(GLANCE);
        }
    }

    /// Everything that the broker has logged.
    pub(crate) fn whole_log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_else(|error| panic!("{}: {error}", self.log.display()));
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Its last lines, for the person who reads why a test has failed.
    pub(crate) fn end_of_log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(60)..).unwrap_or_default().join("\n")
    }
}

/// A new key of the client's own, Ed25519.
pub(crate) fn own_key() -> RequestedKey {
    RequestedKey::Own(Box::new(Jwk::generate_ed25519(&mut SystemRandom).expect("a key")))
}

/// A scope as it is asked for.
pub(crate) fn scope(aif: &Value) -> String {
    Scope::from_aif_value(aif).expect("a scope").to_claim()
}

/// The next message.
pub(crate) fn next(client: &mut Client) -> Message {
    client.receive(PATIENCE).expect("the connection lasts").expect("a message in time")
}

/// Waits for the end of a connection; how it came.
pub(crate) fn end_of(client: &mut Client) -> Error {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Err(error) = client.receive(GLANCE) {
            return error;
        }
    }
    panic!("the connection does not end");
}

/// That a connection goes on for so long.
pub(crate) fn lasts(client: &mut Client, time: Duration) -> Result<()> {
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        client.receive(GLANCE)?;
    }
    client.ping()
}

/// A token with one character of its signature changed.
pub(crate) fn forged(credentials: &Credentials) -> Credentials {
    let (rest, signature) = credentials.token().rsplit_once('.').expect("a JWT");
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let token = format!("{rest}.{other}{}", signature.get(1..).unwrap_or_default());
    Credentials::new(&token, credentials.key().cloned()).expect("a token")
}

/// Reads a file.
pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
