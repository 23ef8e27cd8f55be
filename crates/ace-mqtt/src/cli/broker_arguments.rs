//! Options that say which broker to connect to and how, shared by `pub` and `sub`. Names as those of mosquitto's clients.

use std::path::PathBuf;

use ace_mqtt::{
    Authentication, Client, ConnectOptions, Credentials, Error, Message, Qos, TlsOptions, TlsVersion, Version,
    load_key, read_secret,
};
use clap::{Args, ValueEnum};

use super::{
    Failure,
    as_arguments::{AsArguments, Wanted},
};

/// The broker, and who we are.
#[derive(Args)]
pub(crate) struct BrokerArguments {
    /// Broker's host name or address, which its certificate must name
    #[arg(short = 'h', long, value_name = "HOST", default_value = "localhost")]
    host: String,

    /// Broker's port
    #[arg(short, long, value_name = "PORT", default_value_t = 8883)]
    port: u16,

    /// Client id; a random one by default
    #[arg(short, long, value_name = "ID")]
    id: Option<String>,

    /// Seconds without traffic after which a ping is sent; 0 for never
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60)]
    keepalive: u16,

    /// Continue an earlier session, and have the broker keep this one (needs --id)
    #[arg(short = 'c', long, requires = "id")]
    disable_clean_session: bool,

    /// MQTT 5: seconds for which the broker keeps the session; 4294967295 for ever, which -c alone stands for
    #[arg(short = 'x', long, value_name = "SECONDS")]
    session_expiry_interval: Option<u32>,

    /// MQTT version
    #[arg(short = 'V', long, value_enum, value_name = "VERSION", default_value = "mqttv5")]
    protocol_version: VersionArgument,

    /// Say on standard error what is being done
    #[arg(short, long)]
    pub(crate) debug: bool,

    #[command(flatten)]
    tls: TlsArguments,

    #[command(flatten)]
    will: WillArguments,

    #[command(flatten)]
    token: TokenArguments,

    #[command(flatten)]
    server: AsArguments,
}

#[derive(Args)]
#[command(next_help_heading = "TLS")]
struct TlsArguments {
    /// CA certificates (PEM) to trust for the broker, instead of the system's
    #[arg(long, value_name = "FILE")]
    cafile: Option<PathBuf>,

    /// Folder of CA certificates to trust for the broker
    #[arg(long, value_name = "FOLDER")]
    capath: Option<PathBuf>,

    /// TLS version; 1.3 or 1.2 by default
    #[arg(long, value_enum, value_name = "VERSION")]
    tls_version: Option<TlsVersionArgument>,
}

#[derive(Args)]
#[command(next_help_heading = "Will")]
struct WillArguments {
    /// Topic of the message that the broker publishes if the connection breaks
    #[arg(long, value_name = "TOPIC")]
    will_topic: Option<String>,

    /// Its content; empty by default
    #[arg(long, value_name = "TEXT", requires = "will_topic")]
    will_payload: Option<String>,

    /// Its quality of service
    #[arg(long, value_name = "QOS", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2), requires = "will_topic")]
    will_qos: u8,

    /// Have it retained
    #[arg(long, requires = "will_topic")]
    will_retain: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Token and proof")]
struct TokenArguments {
    /// File with token and key, as written by `ace-mqtt token --out`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "token_file", "key", "url"])]
    credentials: Option<PathBuf>,

    /// File with the token
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "url"])]
    token_file: Option<PathBuf>,

    /// The token itself; other users of this machine can see it, so prefer --token-file
    #[arg(long, value_name = "TOKEN", conflicts_with = "url")]
    token: Option<String>,

    /// File with the private or symmetric key (JWK) that the token is bound to
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// How to present token and proof; by default exporter on MQTT 5 and username on MQTT 3.1.1
    #[arg(long, value_enum, value_name = "HOW")]
    auth: Option<AuthArgument>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum VersionArgument {
    #[value(name = "mqttv5", aliases = ["5", "v5"])]
    V5,
    #[value(name = "mqttv311", aliases = ["311", "v311", "3.1.1"])]
    V311,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TlsVersionArgument {
    #[value(name = "1.2", alias = "tlsv1.2")]
    V12,
    #[value(name = "1.3", alias = "tlsv1.3")]
    V13,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AuthArgument {
    /// MQTT 5: proof over the TLS exporter value, in CONNECT
    Exporter,
    /// MQTT 5: proof over the broker's challenge
    Challenge,
    /// Token in the user name, proof over the TLS exporter value in the password
    Username,
    /// Form of the 2017 draft: JSON in the password, proof over the TLS exporter value
    Draft00,
    /// The same with a proof over time and nonce, for TLS libraries without exporter
    Draft00Time,
    /// No token at all, for brokers that let anonymous clients in
    None,
}

impl BrokerArguments {
    /// Gets the token if that is asked for, and connects.
    pub(crate) fn connect(&self, wanted: &Wanted<'_>) -> Result<Client, Failure> {
        let options = self.options()?;
        let credentials = self.credentials(&options, wanted)?;
        self.say(&format!("connecting to {}:{}", options.host, options.port));
        let client = Client::connect(&options, credentials.as_ref())?;
        self.say(&format!(
            "connected as {:?} over {}{}",
            client.client_id(),
            client.tls_description(),
            if client.session_present() { ", earlier session continued" } else { "" }
        ));
        Ok(client)
    }

    /// A line on standard error, with --debug.
    pub(crate) fn say(&self, text: &str) {
        if self.debug {
            eprintln!("ace-mqtt: {text}");
        }
    }

    /// Whether MQTT 3.1.1 is spoken, which has no words for a refusal.
    pub(crate) fn is_v311(&self) -> bool {
        self.protocol_version == VersionArgument::V311
    }

    fn options(&self) -> Result<ConnectOptions, Failure> {
        let mut options = ConnectOptions::new(self.host.clone());
        options.port = self.port;
        options.client_id.clone_from(&self.id);
        options.keep_alive = self.keepalive;
        options.clean_start = !self.disable_clean_session;
        options.version = if self.is_v311() { Version::V311 } else { Version::V5 };
        options.session_expiry = match (self.session_expiry_interval, self.disable_clean_session) {
            (Some(_), _) if self.is_v311() => {
                return Err(Failure::Usage("MQTT 3.1.1 has no session expiry interval".to_owned()));
            }
            (Some(seconds), _) => seconds,
            (None, true) => u32::MAX,
            (None, false) => 0,
        };
        options.authentication = match self.token.auth {
            None if self.is_v311() => Authentication::UserName,
            None | Some(AuthArgument::Exporter) => Authentication::Exporter,
            Some(AuthArgument::Challenge) => Authentication::Challenge,
            Some(AuthArgument::Username) => Authentication::UserName,
            Some(AuthArgument::Draft00) => Authentication::Draft00,
            Some(AuthArgument::Draft00Time) => Authentication::Draft00Time,
            Some(AuthArgument::None) => Authentication::None,
        };
        options.audience.clone_from(&self.server.audience);
        options.tls = TlsOptions {
            ca_file: self.tls.cafile.clone(),
            ca_path: self.tls.capath.clone(),
            version: match self.tls.tls_version {
                None => TlsVersion::Any,
                Some(TlsVersionArgument::V12) => TlsVersion::V12,
                Some(TlsVersionArgument::V13) => TlsVersion::V13,
            },
        };
        options.will = match &self.will.will_topic {
            Some(topic) => Some(
                Message::new(topic.clone(), self.will.will_payload.clone().unwrap_or_default())
                    .with_qos(Qos::try_from(self.will.will_qos)?)
                    .with_retain(self.will.will_retain),
            ),
            None => None,
        };
        Ok(options)
    }

    fn credentials(&self, options: &ConnectOptions, wanted: &Wanted<'_>) -> Result<Option<Credentials>, Failure> {
        let token = &self.token;
        if options.authentication == Authentication::None {
            return Ok(None);
        }
        if let Some(path) = &token.credentials {
            return Ok(Some(Credentials::load(path)?));
        }
        if let Some(url) = &self.server.url {
            self.say(&format!("asking {url} for a token"));
            let answer = self.server.request(wanted, token.key.as_ref())?;
            return Ok(Some(answer.credentials));
        }
        let text = match (&token.token_file, &token.token) {
            (Some(path), _) => read_secret(path)?,
            (None, Some(text)) => zeroize::Zeroizing::new(text.clone()),
            (None, None) => {
                return Err(Failure::Usage(
                    "no token: give --credentials, --token-file with --key, or --as; or --auth none to connect without"
                        .to_owned(),
                ));
            }
        };
        let key = token.key.as_deref().map(load_key).transpose()?;
        let credentials = Credentials::new(text.trim(), key).map_err(|error| match error {
            Error::Invalid(reason) => Failure::Usage(reason),
            other => other.into(),
        })?;
        Ok(Some(credentials.with_audience(self.server.audience.iter().cloned().collect())))
    }
}
