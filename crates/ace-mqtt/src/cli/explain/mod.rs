//! `ace-mqtt explain`: what the broker would say to a token, and why.
//!
//! The verdict is the plugin's own code's (`ace_resource_server::explain`). This file asks; `report.rs` puts the answer into words and
//! JSON, `text.rs` prints the words.

mod help;
mod moment;
mod report;
mod text;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use ace_mqtt::{Credentials, Error};
use ace_profile::{Timestamp, connect::token_text, limits, scope};
use ace_resource_server::{
    config::Configuration,
    explain::{Explanation, Question, Servers, explain},
    rights::Access,
};
use clap::Args;
use zeroize::Zeroizing;

use super::{Exit, Failure, output};
use moment::Moment;
pub(crate) use moment::length;
use report::Report;

const AFTER_HELP: &str = "\
Examples:
  # would the broker let this client in, and why?
  ace-mqtt explain --config /etc/mosquitto/ace.toml --credentials sensor.credentials

  # and may it do this?
  ace-mqtt explain --config ace.toml --token sensor.jwt --client-id sensor --publish room/1/temperature --subscribe 'room/#'

  # a token from standard input, as it will be tomorrow noon, for a machine
  ace-mqtt token ... | ace-mqtt explain --config ace.toml --token - --at 2030-01-01T12:00:00Z --json

  # ask the authorization servers as the broker would: for keys, about opaque tokens, for revoked ones
  ace-mqtt explain --config ace.toml --token opaque.txt --online

The token, keys and secrets are never printed.

Exit codes:
  0  the client would be let in if its proof is right, and may do all of what was asked
  1  it would be refused, or denied something
  2  that depends on what is not known here; or wrong usage, or a file that cannot be used";

/// Say what the broker would say to a token, and why
///
/// Reads the plugin's configuration and judges the token with the plugin's code, without a broker. Asks nobody unless --online is given.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Explain {
    /// The plugin's configuration, as in plugin_opt_config_file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// The token: a file, "-" for standard input, or the token itself (which other users of this machine can then see)
    #[arg(long, value_name = "FILE|-|TEXT", required_unless_present = "credentials")]
    token: Option<String>,

    /// File with token and key, as "ace-mqtt token --out" writes it: tells besides whether the key is the token's
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,

    /// May the client publish to this topic? Several may be given
    #[arg(long, value_name = "TOPIC")]
    publish: Vec<String>,

    /// May the client subscribe to this topic filter? Several may be given
    #[arg(long, value_name = "FILTER")]
    subscribe: Vec<String>,

    /// May the client be given messages of this topic? Several may be given
    #[arg(long, value_name = "TOPIC")]
    receive: Vec<String>,

    /// The client's id, for scopes with {client_id} in them
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// As it would be at this time instead of now: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,

    /// Ask the authorization servers, once, as the broker would
    #[arg(long)]
    online: bool,

    /// Print JSON, for machines
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match self.answer() {
            Ok(exit) => Ok(exit),
            // 1 would say that the broker refuses.
            Err(Failure::Stream(name, error)) => Err(Failure::Stream(name, error)),
            Err(failure) => {
                output::note(&failure.to_string());
                Ok(Exit::UNKNOWN)
            }
        }
    }

    fn answer(&self) -> Result<Exit, Failure> {
        let requests = self.requests()?;
        let credentials = self.credentials.as_deref().map(Credentials::load).transpose()?;
        let token = match (&self.token, &credentials) {
            (Some(given), _) => read_token(given)?,
            (None, Some(credentials)) => Zeroizing::new(credentials.token().as_bytes().to_vec()),
            (None, None) => return Err(Failure::Usage("--token or --credentials is missing".to_owned())),
        };
        let configuration = Configuration::load(&self.config).map_err(|error| Error::Invalid(error.to_string()))?;
        let mut servers = if self.online { Servers::asked(&configuration) } else { Servers::unasked(&configuration) };
        let at = self.at.map_or_else(|| Timestamp::from_system_time(std::time::SystemTime::now()), |moment| moment.0);
        let question = Question {
            // As the broker gets it, whether it comes in a user name or in authentication data.
            token: &token_text(&token).unwrap_or(token.as_slice().into()),
            client_id: self.client_id.as_deref(),
            at,
            requests: &requests,
        };
        let explanation: Explanation = explain(&configuration, &mut servers, &question);
        let key = credentials.as_ref().and_then(Credentials::key);
        let report = Report::new(&configuration, &explanation, servers.troubles(), key, at);
        if self.json {
            let text = serde_json::to_string_pretty(&report).map_err(|error| Error::Invalid(error.to_string()))?;
            output::line(&text)?;
        } else {
            output::write(&[text::written(&report).as_bytes()])?;
        }
        Ok(report.exit())
    }

    fn requests(&self) -> Result<Vec<(Access, String)>, Failure> {
        let topic = |option: &str, topic: &String| {
            let is_name = !topic.is_empty() && !topic.contains(['+', '#', '\0']) && topic.len() <= 65_535;
            if is_name {
                Ok(topic.clone())
            } else {
                Err(Failure::Usage(format!("{option}: {topic:?} is no topic name")))
            }
        };
        let filter = |filter: &String| {
            let inner = scope::shared_subscription_filter(filter.as_bytes());
            let inner = inner.and_then(|inner| std::str::from_utf8(inner).ok());
            match inner.map(scope::TopicFilter::parse) {
                Some(Ok(_)) => Ok(filter.clone()),
                Some(Err(error)) => Err(Failure::Usage(format!("--subscribe: {filter:?}: {error}"))),
                None => Err(Failure::Usage(format!("--subscribe: {filter:?} is no shared subscription"))),
            }
        };
        let mut requests = Vec::new();
        for name in &self.publish {
            requests.push((Access::Publish, topic("--publish", name)?));
        }
        for name in &self.subscribe {
            requests.push((Access::Subscribe, filter(name)?));
        }
        for name in &self.receive {
            requests.push((Access::Receive, topic("--receive", name)?));
        }
        Ok(requests)
    }
}

/// A token from a file, from standard input, or as it is given. A text loses the line end that editors and shells add.
fn read_token(given: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut token = Zeroizing::new(Vec::new());
    // One more than any token has, encoded: what is longer is told to be too long.
    let most = limits::TOKEN_TEXT_BYTES as u64 + 3;
    if given == "-" {
        std::io::stdin()
            .take(most)
            .read_to_end(&mut token)
            .map_err(|error| Failure::Stream("standard input", error))?;
    } else if Path::new(given).is_file() {
        let path = Path::new(given);
        let file = std::fs::File::open(path).map_err(|error| file_error(path, &error))?;
        file.take(most).read_to_end(&mut token).map_err(|error| file_error(path, &error))?;
    } else {
        token.extend_from_slice(given.as_bytes());
    }
    if std::str::from_utf8(&token).is_ok() {
        while token.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            token.pop();
        }
    }
    if token.first() == Some(&b'{') {
        return Err(Failure::Usage("the token is JSON: a file with token and key goes to --credentials".to_owned()));
    }
    if token.is_empty() {
        return Err(Failure::Usage("the token is empty".to_owned()));
    }
    Ok(token)
}

fn file_error(path: &Path, error: &std::io::Error) -> Failure {
    Error::File { path: path.to_owned(), reason: error.to_string() }.into()
}
