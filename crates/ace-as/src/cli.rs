//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use ace_as::init::{ClientSpec, SigningAlgorithm};
use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  Make everything for a trial in the folder \"trial\", and start the server:
    ace-as init trial
    ace-as serve --config trial/as.toml

  Get a token with any OAuth client, here curl:
    curl --cacert trial/ca-cert.pem --user \"sensor:$(cat trial/sensor.secret)\" \\
         --data grant_type=client_credentials https://localhost:8443/token

  End all tokens of a client, here again with curl:
    curl --cacert trial/ca-cert.pem --user \"administrator:$(cat trial/administrator.secret)\" \\
         --data all_of_client=sensor https://localhost:8443/revoke

  See whether a configuration is good, without starting anything:
    ace-as check --config trial/as.toml";

const INIT_EXAMPLES: &str = "\
Examples:
  A sensor that may publish sensors/#, and a dashboard that may subscribe to it:
    ace-as init trial

  Clients of your own. Each is ID:PUBLISH:SUBSCRIBE, where the latter two are topic filters
  separated by commas, or nothing:
    ace-as init trial --client 'lamp:lamps/1/state:lamps/1/set' \\
                      --client 'remote:lamps/+/set:lamps/#'

  A broker on another machine, and tokens that live for five minutes:
    ace-as init trial --host broker.lan --host 192.168.1.20 --token-lifetime 5m

  Where the usual ports are taken:
    ace-as init trial --listen 127.0.0.1:18443 --broker-port 18883";

const NEW_KEY_EXAMPLES: &str = "\
Changing the key, so that no token fails:
  1. ace-as new-key trial/signing-key-2.jwk > trial/signing-key-2.public.jwk
  2. In as.toml, add it and restart ace-as:
       [[published_key]]
       file = \"signing-key-2.jwk\"
  3. Give the public key to every broker that does not read /jwks.json by itself.
  4. In as.toml, let the two change places and restart ace-as once more. By the time that \"until\"
     says, all tokens of the old key must have expired:
       signing_key = \"signing-key-2.jwk\"
       [[published_key]]
       file = \"signing-key.jwk\"
       until = 2030-01-31T12:00:00Z";

/// A small OAuth 2.0 / ACE authorization server for MQTT
///
/// It gives access tokens bound to a key (RFC 9431, RFC 9200) to clients that it knows, with the scope that its
/// configuration allows them, over HTTPS: POST /token, POST /introspect, POST /revoke, GET /revoke/trl, GET /jwks.json.
#[derive(Debug, Parser)]
#[command(name = "ace-as", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a CA, certificates, keys, secrets and configuration files for a trial
    Init(InitArgs),
    /// Serve until SIGTERM or SIGINT
    Serve(ServeArgs),
    /// Read a configuration and every file it names, and say what is wrong with it
    Check(CheckArgs),
    /// Make a key that signs tokens, for a change of keys
    NewKey(NewKeyArgs),
    /// Print the main man page, or write those of all commands into a folder
    #[command(hide = true)]
    Man {
        /// The folder, which must be there
        folder: Option<PathBuf>,
    },
    /// Print a shell's completion script
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
#[command(after_help = INIT_EXAMPLES)]
pub(crate) struct InitArgs {
    /// The folder to put everything into; made if it is not there
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// A DNS name or IP address that both servers are reached at, besides localhost; may be repeated
    #[arg(long = "host", value_name = "NAME")]
    pub(crate) hosts: Vec<String>,
    /// The broker's name in tokens
    #[arg(long, value_name = "NAME", default_value = "broker.example")]
    pub(crate) audience: String,
    /// A client and what it may do; may be repeated [default: sensor:sensors/#: and dashboard::sensors/#]
    #[arg(long = "client", value_name = "ID:PUBLISH:SUBSCRIBE")]
    pub(crate) clients: Vec<ClientSpec>,
    /// The issuer of the tokens [default: https://localhost:PORT]
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Where the authorization server is to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8443")]
    pub(crate) listen: SocketAddr,
    /// Where the broker is to listen
    #[arg(long, value_name = "PORT", default_value = "8883", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) broker_port: u16,
    /// How long tokens live: 90s, 5m, 1h, 7d
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub(crate) token_lifetime: String,
    /// What signs tokens: EdDSA or ES256
    #[arg(long, value_name = "ALGORITHM", default_value = "EdDSA")]
    pub(crate) signing: SigningAlgorithm,
    /// Where the broker finds the plugin
    #[arg(long, value_name = "PATH", default_value = "/usr/lib/mosquitto/libmosquitto_ace.so")]
    pub(crate) plugin: PathBuf,
    /// Replace files that are there already, and with them all keys and secrets
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = "as.toml")]
    pub(crate) config: PathBuf,
    /// Listen here instead of where the configuration says; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Also log connections that fail before a request
    #[arg(short, long, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Log only refusals and failures; given twice, only failures
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) quiet: u8,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = "as.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = NEW_KEY_EXAMPLES)]
pub(crate) struct NewKeyArgs {
    /// The file to put the key into, readable for its owner only; must not be there yet
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// What it signs with: EdDSA or ES256
    #[arg(long, value_name = "ALGORITHM", default_value = "EdDSA")]
    pub(crate) signing: SigningAlgorithm,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_teaches_by_example() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("ace-as init trial") && help.contains("curl"));
        assert!(!help.contains("completions"), "for packagers only");
    }

    #[test]
    fn a_bad_client_is_refused_on_the_command_line() {
        assert!(Cli::try_parse_from(["ace-as", "init", "x", "--client", "a:b"]).is_err());
        assert!(Cli::try_parse_from(["ace-as", "init", "x", "--signing", "HS256"]).is_err());
        assert!(Cli::try_parse_from(["ace-as", "init", "x", "--broker-port", "0"]).is_err());
        assert!(Cli::try_parse_from(["ace-as", "init", "x", "--broker-port", "18883"]).is_ok());
        assert!(Cli::try_parse_from(["ace-as", "serve", "-v", "-q"]).is_err());
    }
}
