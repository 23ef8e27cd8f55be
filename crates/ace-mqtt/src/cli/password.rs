//! `ace-mqtt password`: the password for an MQTT client that is not ours.

use ace_mqtt::draft00_password;
use clap::Args;

use super::{
    Exit, Failure,
    as_arguments::{AsArguments, Wanted},
    output,
    token_arguments::TokenArguments,
};

const AFTER_HELP: &str = "\
Examples:
  mosquitto_pub -h broker.example -p 8883 --cafile ca.pem -i sensor-1 -t room/1/temperature -m 21.5 -q 1 \\
      -u ace -P \"$(ace-mqtt password -i sensor-1 --credentials sensor.credentials)\"

  # token and password in one go
  ace-mqtt password -i sensor-1 --as https://as.example/token --client-id sensor --client-secret-file sensor.secret \\
      --audience broker.example

The password is good for one connection under this client id, within a minute of now unless the broker is set otherwise (draft00_window): make a new
one for each connection. It holds the token, but not the key.";

/// Print a password for another MQTT client
///
/// The user name is `ace`. The password is JSON with the token and a proof over the client id, the audience, the time and a nonce: for clients
/// such as mosquitto_pub, which know user names and passwords and nothing of tokens.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Password {
    /// Client id that the other client connects with
    #[arg(short, long, value_name = "ID")]
    id: String,

    /// Show the public key beside the token, for a token that names it by a thumbprint (jkt)
    #[arg(long)]
    show_key: bool,

    #[command(flatten)]
    token: TokenArguments,

    #[command(flatten)]
    server: AsArguments,
}

impl Password {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let credentials = match &self.server.url {
            Some(_) => {
                let everything = Wanted { publish: &[], subscribe: &[] };
                self.server.source(&everything, self.token.key.as_ref())?.ask()?.credentials
            }
            None => self.token.credentials()?.ok_or_else(|| {
                Failure::Usage("no token: give --credentials, --token-file with --key, or --as".to_owned())
            })?,
        };
        let password = draft00_password(&credentials, &self.id, self.server.audience.as_deref(), self.show_key)?;
        output::line(&password)?;
        Ok(Exit::Done)
    }
}
