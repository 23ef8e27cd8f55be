//! `ace-mqtt token`: a token from an authorization server.

use std::{path::PathBuf, time::Duration};

use ace_mqtt::TokenResponse;
use clap::Args;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{
    Exit, Failure,
    as_arguments::{AsArguments, Wanted},
    output,
};

const AFTER_HELP: &str = "\
Examples:
  # token and key together in one file, for pub and sub; the key is made on the spot
  ace-mqtt token --as https://as.example/token --client-id sensor --client-secret-file sensor.secret \\
      --audience broker.example --publish 'room/1/#' --out sensor.credentials

  # a token for a key that exists already (ace-mqtt keygen --out sensor.key); the token alone is printed
  ace-mqtt token --as https://as.example/token --client-id sensor --client-secret-file sensor.secret \\
      --audience broker.example --subscribe 'room/+/temperature' --key sensor.key

  # a symmetric key from the server, everything as JSON
  ace-mqtt token --as https://as.example/token --client-id sensor --client-secret-file sensor.secret \\
      --audience broker.example --publish a --symmetric --json";

/// Get an access token
///
/// Asks an authorization server for a token that is bound to a key, with the client-credentials grant (RFC 6749 §4.4, RFC 9200 §5.8).
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Token {
    #[command(flatten)]
    server: AsArguments,

    /// Topic filter to publish to; several may be given
    #[arg(long, value_name = "FILTER", conflicts_with = "scope")]
    publish: Vec<String>,

    /// Topic filter to subscribe to; several may be given
    #[arg(long, value_name = "FILTER", conflicts_with = "scope")]
    subscribe: Vec<String>,

    /// File with the private key (JWK) that the token is to be bound to
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Save token and key together in this file, which only you can read, instead of printing the token
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Print the whole answer as JSON, with the symmetric key if there is one
    #[arg(long, conflicts_with = "out")]
    json: bool,
}

impl Token {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        if self.server.url.is_none() {
            return Err(Failure::Usage("--as is missing: the token endpoint to ask".to_owned()));
        }
        if self.key.is_none() && self.out.is_none() && !(self.server.symmetric && self.json) {
            return Err(Failure::Usage(
                "the token's key would be lost: give --key, or --out, or --symmetric with --json".to_owned(),
            ));
        }
        let wanted = Wanted { publish: &self.publish, subscribe: &self.subscribe };
        let answer = self.server.source(&wanted, self.key.as_ref())?.ask()?;
        if let Some(path) = &self.out {
            answer.credentials.save(path)?;
            let life = answer
                .expires_in
                .map_or_else(String::new, |seconds| format!("; valid for {:?}", Duration::from_secs(seconds)));
            output::note(&format!("token and key are in {}{life}", path.display()));
            return Ok(Exit::Done);
        }
        if self.json {
            let text = Zeroizing::new(self.describe(&answer).to_string());
            output::line(&text)?;
        } else {
            output::line(answer.credentials.token())?;
        }
        Ok(Exit::Done)
    }

    fn describe(&self, answer: &TokenResponse) -> Value {
        let mut object = Map::new();
        object.insert("access_token".to_owned(), json!(answer.credentials.token()));
        if let Some(seconds) = answer.expires_in {
            object.insert("expires_in".to_owned(), json!(seconds));
        }
        if let Some(scope) = &answer.scope {
            object.insert("scope".to_owned(), scope.clone());
        }
        if let Some(rs_cnf) = &answer.rs_cnf {
            object.insert("rs_cnf".to_owned(), rs_cnf.clone());
        }
        if self.server.symmetric
            && let Some(key) = answer.credentials.key()
        {
            object.insert("cnf".to_owned(), json!({ "jwk": key.secret_value() }));
        }
        Value::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn contradictions_are_refused() {
        let server = ["token", "--as", "https://a/token", "--client-id", "i", "--client-secret-file", "f"];
        let with = |more: &[&str]| parse(&[&server[..], more].concat()).is_ok();
        assert!(with(&["--publish", "a", "--publish", "b", "--subscribe", "c"]));
        assert!(!with(&["--publish", "a", "--scope", "x"]));
        assert!(!with(&["--key", "k", "--symmetric"]));
        assert!(parse(&["token", "--as", "https://a/token"]).is_err());
    }
}
