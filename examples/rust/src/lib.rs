//! A connection that shows a token, and stays when the token ends, because a fresh one has come before: what the sensor and the dashboard have in
//! common.

use std::{
    env,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use ace_mqtt::{
    Client, ConnectOptions, Credentials, Error, RequestedKey, Result, TlsOptions, TokenClient, TokenRequest,
    ace_profile::{jose::Jwk, random::SystemRandom},
    read_secret,
};

// Where things are: as `ace-as init trial` has made them, seen from the folder trial.
const TOKEN_ENDPOINT: &str = "https://localhost:8443/token";
const BROKER: &str = "localhost";
const PORT: &str = "8883";
const AUDIENCE: &str = "broker.example";
const CA_FILE: &str = "ca-cert.pem";

/// How long the broker keeps subscriptions and messages while we are away, in seconds.
const SESSION_EXPIRY: u32 = 300;
/// How long to wait before the next attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// A client of the authorization server and of the broker, under one name.
#[derive(Debug)]
pub struct Device {
    tokens: TokenClient,
    request: TokenRequest,
    options: ConnectOptions,
}

impl Device {
    /// One with a key of its own, which lives as long as the program. Its secret is in the file `NAME.secret`.
    ///
    /// # Errors
    /// A file that cannot be read, or a setting that is none.
    pub fn new(name: &str) -> Result<Self> {
        let tls = TlsOptions { ca_file: Some(CA_FILE.into()), ..TlsOptions::default() };
        let secret = read_secret(Path::new(&format!("{name}.secret")))?;
        let key = Jwk::generate_ed25519(&mut SystemRandom).map_err(|error| Error::Invalid(error.to_string()))?;
        let port = setting("PORT", PORT);
        Ok(Self {
            tokens: TokenClient::new(&setting("TOKEN_ENDPOINT", TOKEN_ENDPOINT), &tls)?.with_client(name, &secret),
            // Without a scope the token opens all that this client may do.
            request: TokenRequest {
                audience: Some(AUDIENCE.to_owned()),
                scope: None,
                key: RequestedKey::Own(Box::new(key)),
            },
            options: ConnectOptions {
                port: port.parse().map_err(|_| Error::Invalid(format!("PORT is {port:?}, which is no port")))?,
                client_id: Some(name.to_owned()),
                clean_start: false,
                session_expiry: SESSION_EXPIRY,
                tls,
                ..ConnectOptions::new(setting("BROKER", BROKER))
            },
        })
    }

    /// Connects for ever. Calls `connected` on each connection, and `work` again and again while there is one.
    pub fn run(
        &self,
        mut connected: impl FnMut(&mut Client) -> Result<()>,
        mut work: impl FnMut(&mut Client) -> Result<()>,
    ) -> ! {
        loop {
            if let Err(error) = self.serve(&mut connected, &mut work) {
                println!("refused or lost: {error}");
            }
            sleep(PAUSE);
        }
    }

    /// One connection, until it breaks.
    fn serve(
        &self,
        connected: &mut impl FnMut(&mut Client) -> Result<()>,
        work: &mut impl FnMut(&mut Client) -> Result<()>,
    ) -> Result<()> {
        let (credentials, mut stale_at) = self.token()?;
        let mut client = Client::connect(&self.options, Some(&credentials))?;
        println!("connected");
        connected(&mut client)?;
        loop {
            work(&mut client)?;
            if Instant::now() >= stale_at {
                let (credentials, then) = self.token()?;
                client.reauthenticate(&credentials)?;
                stale_at = then;
                println!("stayed, with a fresh token");
            }
        }
    }

    /// A token, and when it should be used no more: after four fifths of its life, so that it never ends first.
    fn token(&self) -> Result<(Credentials, Instant)> {
        let asked = Instant::now();
        let answer = self.tokens.request(&self.request)?;
        let life = Duration::from_secs(answer.expires_in.unwrap_or(3600));
        Ok((answer.credentials, asked + life * 4 / 5))
    }
}

fn setting(name: &str, usual: &str) -> String {
    env::var(name).unwrap_or_else(|_| usual.to_owned())
}
