//! Options that say how to come in at a broker, and who with, shared by `pub` and `sub`. Names as those of mosquitto's clients.

use std::time::Instant;

use ace_mqtt::{Authentication, Client, ConnectOptions, Credentials, Message, Qos};
use clap::{Args, ValueEnum};

use super::{
    Failure,
    as_arguments::{AsArguments, Wanted},
    connection_arguments::{ConnectionArguments, TlsArguments},
    renewal::Renewal,
    token_arguments::TokenArguments,
};

/// The broker, and who we are.
#[derive(Args)]
pub(crate) struct BrokerArguments {
    #[command(flatten)]
    connection: ConnectionArguments,

    /// Continue an earlier session, and have the broker keep this one (needs --id)
    #[arg(short = 'c', long, requires = "id")]
    disable_clean_session: bool,

    /// MQTT 5: seconds for which the broker keeps the session; 4294967295 for ever, which -c alone stands for
    #[arg(short = 'x', long, value_name = "SECONDS")]
    session_expiry_interval: Option<u32>,

    #[command(flatten)]
    tls: TlsArguments,

    #[command(flatten)]
    will: WillArguments,

    #[command(flatten)]
    token: TokenArguments,

    #[command(flatten)]
    proof: ProofArguments,

    #[command(flatten)]
    server: AsArguments,
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
struct ProofArguments {
    /// How to present token and proof; by default exporter on MQTT 5 and username on MQTT 3.1.1
    #[arg(long, value_enum, value_name = "HOW")]
    auth: Option<AuthArgument>,

    /// Show the public key beside the token, for a token that names it by a thumbprint (jkt); with draft00 and draft00-time
    #[arg(long)]
    show_key: bool,

    /// MQTT 5: get a fresh token from --as whenever four fifths of the old one's life have passed, and stay connected
    #[arg(long, requires = "url")]
    renew: bool,
}

/// A connection, and what keeps its token fresh.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(crate) renewal: Option<Renewal>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AuthArgument {
    /// MQTT 5: proof over the TLS exporter value, in CONNECT
    Exporter,
    /// MQTT 5: proof over the broker's challenge
    Challenge,
    /// MQTT 5: no token but the one that the broker holds for this client id, and a proof over the broker's challenge (needs --id and the key)
    Stored,
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
    pub(crate) fn connect(&self, wanted: &Wanted<'_>) -> Result<Connected, Failure> {
        let options = self.options()?;
        self.check_renewal(&options)?;
        let (credentials, renewal) = self.credentials(&options, wanted)?;
        self.say(&format!("connecting to {}:{}", options.host, options.port));
        let client = Client::connect(&options, credentials.as_ref())?;
        self.say(&format!(
            "connected as {:?} over {}{}",
            client.client_id(),
            client.tls_description(),
            if client.session_present() { ", earlier session continued" } else { "" }
        ));
        Ok(Connected { client, renewal })
    }

    /// Whether the token is to be renewed.
    pub(crate) fn renews(&self) -> bool {
        self.proof.renew
    }

    /// A line on standard error, with --debug.
    pub(crate) fn say(&self, text: &str) {
        self.connection.say(text);
    }

    /// Whether MQTT 3.1.1 is spoken, which has no words for a refusal.
    pub(crate) fn is_v311(&self) -> bool {
        self.connection.is_v311()
    }

    fn options(&self) -> Result<ConnectOptions, Failure> {
        let mut options = self.connection.options(&self.tls);
        options.clean_start = !self.disable_clean_session;
        options.session_expiry = match (self.session_expiry_interval, self.disable_clean_session) {
            (Some(_), _) if self.is_v311() => {
                return Err(Failure::Usage("MQTT 3.1.1 has no session expiry interval".to_owned()));
            }
            (Some(seconds), _) => seconds,
            (None, true) => u32::MAX,
            (None, false) => 0,
        };
        options.authentication = match self.proof.auth {
            None if self.is_v311() => Authentication::UserName,
            None | Some(AuthArgument::Exporter) => Authentication::Exporter,
            Some(AuthArgument::Challenge) => Authentication::Challenge,
            Some(AuthArgument::Stored) => Authentication::Stored,
            Some(AuthArgument::Username) => Authentication::UserName,
            Some(AuthArgument::Draft00) => Authentication::Draft00,
            Some(AuthArgument::Draft00Time) => Authentication::Draft00Time,
            Some(AuthArgument::None) => Authentication::None,
        };
        if options.authentication == Authentication::Stored && self.connection.id.is_none() {
            return Err(Failure::Usage("--auth stored needs --id: the broker finds the token by it".to_owned()));
        }
        options.audience.clone_from(&self.server.audience);
        options.show_key = self.proof.show_key;
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

    fn check_renewal(&self, options: &ConnectOptions) -> Result<(), Failure> {
        if !self.renews() {
            return Ok(());
        }
        if self.is_v311() {
            return Err(Failure::Usage("--renew needs MQTT 5: MQTT 3.1.1 has no re-authentication".to_owned()));
        }
        match options.authentication {
            Authentication::Exporter | Authentication::Challenge => Ok(()),
            _ => Err(Failure::Usage(
                "--renew needs --auth exporter or challenge: only these connections can be re-authenticated".to_owned(),
            )),
        }
    }

    fn credentials(
        &self,
        options: &ConnectOptions,
        wanted: &Wanted<'_>,
    ) -> Result<(Option<Credentials>, Option<Renewal>), Failure> {
        match options.authentication {
            Authentication::None => return Ok((None, None)),
            Authentication::Stored if self.server.url.is_some() => {
                return Err(Failure::Usage("--auth stored sends no token, so --as has nothing to fetch".to_owned()));
            }
            Authentication::Stored => return Ok((Some(self.token.key_of_stored_token()?), None)),
            _ => {}
        }
        if let Some(url) = &self.server.url {
            self.say(&format!("asking {url} for a token"));
            let source = self.server.source(wanted, self.token.key.as_ref())?;
            let asked = Instant::now();
            let answer = source.ask()?;
            let renewal = self.renews().then(|| Renewal::start(source, asked, answer.expires_in)).transpose()?;
            return Ok((Some(answer.credentials), renewal));
        }
        let credentials = self.token.credentials()?.ok_or_else(|| {
            Failure::Usage(
                "no token: give --credentials, --token-file with --key, or --as; or --auth none to connect without"
                    .to_owned(),
            )
        })?;
        Ok((Some(credentials), None))
    }
}
