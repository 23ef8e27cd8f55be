//! Commands, and what their failure means for the exit code.

mod as_arguments;
mod authz_info;
mod broker_arguments;
mod check_config;
mod connection_arguments;
mod ctl;
mod exit;
mod explain;
mod interrupt;
mod keygen;
mod manual;
mod output;
mod password;
mod publish;
mod renewal;
mod subscribe;
mod token;
mod token_arguments;

use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

pub(crate) use exit::{Exit, Failure};

const AFTER_HELP: &str = "\
A first message, step by step:

  # 1. A token for one topic, and the key that it is bound to, in a file that only you can read:
  ace-mqtt token --as https://as.example/token --client-id sensor --client-secret-file sensor.secret \\
      --audience broker.example --publish 'room/1/#' --subscribe 'room/1/#' --out sensor.credentials

  # 2. Listen, and in another terminal publish:
  ace-mqtt sub -h broker.example -t 'room/1/#' --credentials sensor.credentials -v
  ace-mqtt pub -h broker.example -t room/1/temperature -m 21.5 -q 1 --credentials sensor.credentials

pub and sub take the options of mosquitto_pub and mosquitto_sub (-h is the host: help is --help).

Exit codes, as those of mosquitto's clients where these have one:
  0  done                                   9  the broker broke the protocol
  1  a file, key or value cannot be used   12  the broker refused the message, command or token, or every subscription
  2  wrong usage                           14  the broker cannot be reached
  3  no token from the server              27  nothing in time
  5  the broker refused the connection, or a fresh token for it
  7  the connection was lost or ended by the broker
  8  TLS with the broker failed

explain and check-config answer a question instead: 0 yes, 1 no, 2 it cannot be told, or wrong usage.";

/// Gets ACE access tokens, and publishes and subscribes with them at MQTT brokers that ask for proof of possession (RFC 9431).
#[derive(Parser)]
#[command(name = "ace-mqtt", version, disable_help_flag = true, disable_help_subcommand = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    help: Help,
}

/// `--help` without the short form, which is the host.
#[derive(Args)]
pub(crate) struct Help {
    /// Show this help
    #[arg(long, action = clap::ArgAction::HelpLong, global = true, display_order = 1000)]
    help: Option<bool>,
}

#[derive(Subcommand)]
enum Command {
    Keygen(keygen::Keygen),
    Token(token::Token),
    Pub(Box<publish::Publish>),
    Sub(Box<subscribe::Subscribe>),
    AuthzInfo(Box<authz_info::AuthzInfo>),
    Ctl(Box<ctl::Ctl>),
    Password(Box<password::Password>),
    Explain(Box<explain::Explain>),
    CheckConfig(check_config::CheckConfig),
    /// Print the manual page
    #[command(hide = true)]
    Man(manual::Man),
    /// Print a shell's completion script
    #[command(hide = true)]
    Completions(manual::Completions),
}

/// Parses the command line, runs the command, prints what went wrong.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `print` fails only if the terminal is gone.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let result = match cli.command {
        Command::Keygen(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Pub(command) => command.run(),
        Command::Sub(command) => command.run(),
        Command::AuthzInfo(command) => command.run(),
        Command::Ctl(command) => command.run(),
        Command::Password(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::CheckConfig(command) => command.run(),
        Command::Man(command) => command.run(Cli::command()),
        Command::Completions(command) => command.run(Cli::command()),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::note(&failure.to_string());
            failure.exit().into()
        }
    }
}

#[cfg(test)]
pub(crate) fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("ace-mqtt").chain(arguments.iter().copied()))
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn h_is_the_host_and_help_is_spelled_out() {
        assert!(parse(&["sub", "-h", "broker.example", "-t", "a"]).is_ok());
        let Err(help) = parse(&["sub", "--help"]) else { panic!("--help parsed as something else") };
        assert!(!help.use_stderr());
        assert!(help.to_string().contains("mosquitto_sub"));
    }

    #[test]
    fn verification_cannot_be_switched_off() {
        assert!(parse(&["sub", "-h", "b", "-t", "a", "--insecure"]).is_err());
    }
}
