//! `ace-mqtt ctl`: commands to a broker's mosquitto-ace (docs/control.md).

mod exchange;
mod table;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Exit, Failure,
    as_arguments::Wanted,
    broker_arguments::{BrokerArguments, Connected},
    output,
};
use exchange::{Exchange, REQUEST_TOPIC, RESPONSE_TOPIC, Said};

const AFTER_HELP: &str = "\
Examples:
  ace-mqtt ctl -h broker.example --credentials ops.credentials sessions
  ace-mqtt ctl -h broker.example --credentials ops.credentials sessions --subject sensor-7 --json
  ace-mqtt ctl -h broker.example --credentials ops.credentials end sensor-7-attic
  ace-mqtt ctl -h broker.example --credentials ops.credentials end-subject sensor-7 --forget-tokens
  ace-mqtt ctl -h broker.example --as https://as.example/token --client-id ops --client-secret-file ops.secret \\
      --audience broker.example status

The token needs \"pub\" and \"sub\" on $CONTROL/ace/#: \"#\" does not mean topics that begin with \"$\". To get one into a file:
  ace-mqtt token --as https://as.example/token --client-id ops --client-secret-file ops.secret --audience broker.example \\
      --publish '$CONTROL/ace/#' --subscribe '$CONTROL/ace/#' --out ops.credentials

The exit code is 12 if the token does not allow it, or the broker could not do it, and 27 if no answer comes.";

/// See who is connected to a broker, end sessions, have keys and caches renewed
///
/// Connects with a token and a proof of possession, gives a command to the broker's mosquitto-ace, and prints the answer.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Ctl {
    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,

    /// Seconds to wait for the answer
    #[arg(short = 'W', value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout: u64,

    #[command(flatten)]
    broker: BrokerArguments,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Sessions(Sessions),
    End(End),
    EndSubject(EndSubject),
    /// Have everything asked for anew that authorization servers have said
    ///
    /// What servers have said about tokens, their keys, and their lists of revoked tokens. Nobody is put out by it.
    Flush,
    /// Read key files again, and have servers' keys fetched
    ReloadKeys,
    /// Show what the plugin is, and how it is
    Status,
}

/// List the sessions
#[derive(Args)]
struct Sessions {
    /// Those of this subject only
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,

    /// That of this client id only
    #[arg(long, value_name = "ID")]
    client: Option<String>,

    /// Those with tokens of this issuer only
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
}

/// End the session of a client
///
/// It is disconnected, and its Will sent. Its token is as good as before: to make that worth nothing, revoke it at its server.
#[derive(Args)]
struct End {
    /// Its client id
    #[arg(value_name = "CLIENT")]
    client: String,
}

/// End all sessions of a subject
///
/// What servers have said of its tokens does not count any more: they are asked again when it comes back. A token that speaks for itself is as good as
/// before: to make it worth nothing, revoke it at its server.
#[derive(Args)]
struct EndSubject {
    /// The subject: "sub" of its tokens
    #[arg(value_name = "SUBJECT")]
    subject: String,

    /// Those with tokens of this issuer only
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,

    /// Forget the tokens that the broker holds for it, too: it has to bring them again
    #[arg(long)]
    forget_tokens: bool,
}

impl Ctl {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        if self.broker.renews() {
            return Err(Failure::Usage("--renew is for connections that last".to_owned()));
        }
        let wanted = Wanted { publish: &[REQUEST_TOPIC.to_owned()], subscribe: &[RESPONSE_TOPIC.to_owned()] };
        let Connected { mut client, .. } = self.broker.connect(&wanted)?;
        let mut exchange = Exchange::begin(&mut client, self.broker.is_v311(), self.timeout)?;
        let said = match &self.command {
            Command::Sessions(sessions) => sessions.all(&mut exchange),
            command => exchange.ask(&command.request()),
        };
        let said = match said {
            Ok(said) => said,
            Err(failure) => {
                // It may have ended already. The failure is what counts.
                let _ = client.disconnect();
                return Err(failure);
            }
        };
        // Who has ended its own session is disconnected, politely or not.
        let _ = client.disconnect();
        match said {
            Said::Done(data) => {
                if self.json {
                    output::line(&data.to_string())?;
                } else {
                    output::line(self.command.told(&data).trim_end())?;
                }
                Ok(Exit::Done)
            }
            Said::Failed { error, code } => {
                output::note(&format!("the broker's plugin could not do it: {error:?} ({code:?})"));
                Ok(Exit::Denied)
            }
        }
    }
}

impl Command {
    /// What is asked of the plugin.
    fn request(&self) -> Value {
        match self {
            Self::Sessions(sessions) => sessions.request(0),
            Self::End(end) => json!({ "command": "endSession", "clientid": end.client }),
            Self::EndSubject(end) => {
                let mut request = json!({ "command": "endSubject", "subject": end.subject });
                if let Some(issuer) = &end.issuer {
                    set(&mut request, "issuer", issuer.as_str().into());
                }
                if end.forget_tokens {
                    set(&mut request, "forgetTokens", true.into());
                }
                request
            }
            Self::Flush => json!({ "command": "flushCaches" }),
            Self::ReloadKeys => json!({ "command": "reloadKeys" }),
            Self::Status => json!({ "command": "getStatus" }),
        }
    }

    /// The answer in words.
    fn told(&self, data: &Value) -> String {
        let number = |name: &str| data.get(name).and_then(Value::as_u64).unwrap_or(0);
        match self {
            Self::Sessions(_) => table::sessions(data),
            Self::End(end) => format!("ended the session of client {:?}", end.client),
            Self::EndSubject(end) => {
                let ended = format!("ended {} sessions of subject {:?}", number("ended"), end.subject);
                if end.forget_tokens {
                    format!("{ended}, and forgot {} tokens that were held for it", number("forgottenTokens"))
                } else {
                    ended
                }
            }
            Self::Flush => format!(
                "flushed {} answers about tokens; asking anew for {} key sets and {} revocation lists",
                number("answers"),
                number("keySets"),
                number("revocationLists")
            ),
            Self::ReloadKeys => table::reloaded(data),
            Self::Status => table::status(data),
        }
    }
}

impl Sessions {
    fn request(&self, offset: u64) -> Value {
        let mut request = json!({ "command": "listSessions", "offset": offset });
        for (name, value) in [("subject", &self.subject), ("clientid", &self.client), ("issuer", &self.issuer)] {
            if let Some(value) = value {
                set(&mut request, name, value.as_str().into());
            }
        }
        request
    }

    /// Page by page, until the plugin has no more.
    fn all(&self, exchange: &mut Exchange<'_>) -> Result<Said, Failure> {
        let mut all = Vec::new();
        let mut offset = 0;
        loop {
            let mut page = match exchange.ask(&self.request(offset))? {
                Said::Done(page) => page,
                failed @ Said::Failed { .. } => return Ok(failed),
            };
            if let Some(Value::Array(sessions)) = page.get_mut("sessions").map(Value::take) {
                all.extend(sessions);
            }
            match page.get("next").and_then(Value::as_u64) {
                // It gets on, or a broken broker would keep us here.
                Some(next) if next > offset => offset = next,
                _ => return Ok(Said::Done(Value::Array(all))),
            }
        }
    }
}

fn set(request: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = request {
        members.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn the_commands_are_taken_with_what_they_need() {
        let with = |more: &[&str]| parse(&[&["ctl", "-h", "b", "--credentials", "c"][..], more].concat()).is_ok();
        for good in [
            &["sessions"][..],
            &["sessions", "--subject", "s", "--client", "c", "--issuer", "i", "--json"],
            &["--json", "-W", "3", "status"],
            &["end", "client"],
            &["end-subject", "s", "--issuer", "i", "--forget-tokens"],
            &["flush"],
            &["reload-keys"],
            &["-V", "mqttv311", "-i", "id", "status"],
        ] {
            assert!(with(good), "{good:?}");
        }
        for bad in [&[][..], &["end"], &["end-subject"], &["end", "a", "b"], &["-W", "0", "status"], &["restart"]] {
            assert!(!with(bad), "{bad:?}");
        }
    }
}
