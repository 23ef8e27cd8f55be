//! `ace-mqtt authz-info`: hands a token over by publishing it, for clients that authenticate by TLS alone (RFC 9431 §2.2.2).

use std::time::{Duration, Instant};

use ace_mqtt::{Authentication, Client, Credentials, Error, Message, Qos, Reason, check_topic};
use clap::Args;

use super::{
    Exit, Failure,
    as_arguments::{AsArguments, Wanted},
    connection_arguments::{ConnectionArguments, TlsArguments},
    output,
    token_arguments::TokenArguments,
};

/// How long a broker has to object to a token of QoS 0.
const OBJECTION: Duration = Duration::from_secs(2);

const AFTER_HELP: &str = "\
Examples:
  ace-mqtt authz-info -h broker.example --credentials sensor.credentials
  ace-mqtt authz-info -h broker.example --token-file sensor.token

  # afterwards, on a connection that proves the token's key in TLS:
  ace-mqtt sub -h broker.example -t 'room/1/#' --cert sensor.crt --cert-key sensor.key --auth none

The exit code is 12 if the broker refuses the token, which it says with 0x87 (not authorized), or with 0x99 (payload format invalid) for what is no token at
all. With -q 0 and on MQTT 3.1.1 it has no words for that: it closes the connection, or says nothing.";

/// Hand a token over before connecting with it
///
/// Connects as an anonymous client and publishes the token to a topic that the broker keeps for this. It is for clients that
/// prove the token's key in TLS: by certificate or by pre-shared key.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct AuthzInfo {
    /// Topic that the broker takes tokens at
    #[arg(short, long, value_name = "TOPIC", default_value = "authz-info")]
    topic: String,

    /// Quality of service
    #[arg(short, long, value_name = "QOS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,

    #[command(flatten)]
    connection: ConnectionArguments,

    #[command(flatten)]
    tls: TlsArguments,

    #[command(flatten)]
    token: TokenArguments,

    #[command(flatten)]
    server: AsArguments,
}

impl AuthzInfo {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        check_topic(&self.topic)?;
        let qos = Qos::try_from(self.qos)?;
        let mut options = self.connection.options(&self.tls);
        options.authentication = Authentication::None;
        let credentials = self.credentials()?;
        self.connection.say(&format!("connecting to {}:{}", options.host, options.port));
        let mut client = Client::connect(&options, None)?;
        match self.publish(&mut client, &credentials, qos) {
            Ok(()) => {
                client.disconnect()?;
                output::line(match (qos, self.connection.is_v311()) {
                    (Qos::AtMostOnce, _) => "the broker did not object to the token; -q 1 asks for an answer",
                    (_, true) => "the broker acknowledged the token; MQTT 3.1.1 has no words for a refusal",
                    (_, false) => "the broker stored the token",
                })?;
                Ok(Exit::Done)
            }
            Err(Error::PublishRefused { reason, .. }) => {
                // The refusal is what counts.
                let _ = client.disconnect();
                Ok(refused(reason))
            }
            // QoS 0 has no other answer.
            Err(Error::Disconnected { reason, .. }) if qos == Qos::AtMostOnce && is_about_the_token(reason) => {
                Ok(refused(reason))
            }
            Err(other) => Err(other.into()),
        }
    }

    fn publish(&self, client: &mut Client, credentials: &Credentials, qos: Qos) -> Result<(), Error> {
        client.publish(&Message::new(self.topic.clone(), credentials.token()).with_qos(qos))?;
        if qos == Qos::AtMostOnce {
            // Nothing but the end of the connection tells of a refusal, and brokers end it in their own time. What else arrives is not for us.
            let end = Instant::now() + OBJECTION;
            while client.receive(end.saturating_duration_since(Instant::now()))?.is_some() {}
        }
        Ok(())
    }

    fn credentials(&self) -> Result<Credentials, Failure> {
        if let Some(url) = &self.server.url {
            if self.token.key.is_none() {
                return Err(Failure::Usage(
                    "the token's key would be lost: give --key, or get the token with `ace-mqtt token --out`"
                        .to_owned(),
                ));
            }
            self.connection.say(&format!("asking {url} for a token"));
            let wanted = Wanted { publish: &[], subscribe: &[] };
            return Ok(self.server.source(&wanted, self.token.key.as_ref())?.ask()?.credentials);
        }
        self.token
            .credentials()?
            .ok_or_else(|| Failure::Usage("no token: give --credentials, --token-file, or --as with --key".to_owned()))
    }
}

/// Whether a broker ends a connection with this because of the message that came over it.
fn is_about_the_token(reason: Reason) -> bool {
    const PAYLOAD_FORMAT_INVALID: u8 = 0x99;
    reason.is_not_authorized() || reason.code() == PAYLOAD_FORMAT_INVALID
}

fn refused(reason: Reason) -> Exit {
    output::note(&format!("the broker refused the token: {reason}; the broker's log says why"));
    Exit::Denied
}
