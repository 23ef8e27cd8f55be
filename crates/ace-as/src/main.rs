//! `ace-as`: a small OAuth 2.0 / ACE authorization server for MQTT.
#![forbid(unsafe_code)]

mod cli;

use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use ace_as::init::{self, Options, TrialSet};
use ace_as::{Config, Level, Log, Server};
use clap::{CommandFactory as _, Parser as _};
use clap_complete::Shell;
use tokio::signal::unix::{SignalKind, signal};

use cli::{Cli, Command, InitArgs, NewKeyArgs, ServeArgs};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Init(args) => run_init(args),
        Command::Serve(args) => serve(&args),
        Command::Check(args) => check(&args.config),
        Command::NewKey(args) => new_key(&args),
        Command::Man { folder } => man(folder.as_deref()),
        Command::Completions { shell } => completions(shell),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done about a standard error that is gone.
            let _ = writeln!(io::stderr(), "ace-as: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_init(args: InitArgs) -> Result<(), Box<dyn Error>> {
    let trial = init::init(&Options {
        folder: args.folder,
        issuer: args.issuer,
        listen: args.listen,
        broker_port: args.broker_port,
        audience: args.audience,
        hosts: args.hosts,
        clients: args.clients,
        token_lifetime: args.token_lifetime,
        signing: args.signing,
        plugin: args.plugin,
        force: args.force,
    })?;
    let mut out = Vec::new();
    describe(&trial, &mut out)?;
    print(&out)?;
    Ok(())
}

/// Writes to standard output. A reader that has left, such as `head`, is no failure.
fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn describe(trial: &TrialSet, out: &mut impl io::Write) -> io::Result<()> {
    let (folder, port) = (trial.folder.display(), trial.broker_port);
    writeln!(out, "Made in {folder}:")?;
    for (path, purpose) in &trial.files {
        let name = path.file_name().unwrap_or_default().display().to_string();
        writeln!(out, "  {name:<22} {purpose}")?;
    }
    writeln!(out, "\nNext, in that folder, each in a terminal of its own:")?;
    writeln!(out, "  ace-as serve --config as.toml\n  mosquitto -c mosquitto.conf")?;
    // Who listens first hears something.
    let (subscribers, publishers): (Vec<_>, Vec<_>) =
        trial.clients.iter().partition(|client| !client.subscribe().is_empty());
    for client in subscribers.into_iter().chain(publishers) {
        let (verb, filter, rest) = match (client.subscribe(), client.publish()) {
            ([filter, ..], _) => ("sub", filter.clone(), ""),
            // A topic for the filter: something in place of its wildcards.
            ([], [filter, ..]) => ("pub", filter.replace(['#', '+'], "1"), " -m hello"),
            ([], []) => continue,
        };
        let (token_url, id, secret) =
            (format!("{}/token", trial.issuer.trim_end_matches('/')), client.id(), client.secret_file());
        writeln!(out, "  ace-mqtt {verb} -h localhost -p {port} --cafile ca-cert.pem -t '{filter}'{rest} \\")?;
        writeln!(out, "      --as {token_url} --as-ca ca-cert.pem --audience '{}' --symmetric \\", trial.audience)?;
        writeln!(out, "      --client-id {id} --client-secret-file {secret}")?;
    }
    Ok(())
}

fn serve(args: &ServeArgs) -> Result<(), Box<dyn Error>> {
    let level = match (args.verbose, args.quiet) {
        (true, _) => Level::Debug,
        (false, 0) => Level::Info,
        (false, 1) => Level::Warn,
        (false, _) => Level::Error,
    };
    let log = Log::to_stderr(level);
    let config = Config::load(&args.config)?;
    for warning in &config.warnings {
        log.write(Level::Warn, format_args!("{warning}"));
    }
    let listen = args.listen.unwrap_or(config.listen);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before the server starts: a signal that comes at once must not kill it half-way.
    let (mut terminate, mut interrupt) = {
        let _context = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let server = Server::start(config, listen, log.clone())?;
    let name = runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    });
    log.write(Level::Info, format_args!("stopping on {name}"));
    server.shutdown();
    Ok(())
}

fn check(path: &Path) -> Result<(), Box<dyn Error>> {
    let config = Config::load(path)?;
    let mut out = Vec::new();
    for warning in &config.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out, "{}: good: {}", path.display(), config.summary())?;
    if let Some(state) = config.state_summary()? {
        writeln!(out, "{state}")?;
    }
    print(&out)?;
    Ok(())
}

fn new_key(args: &NewKeyArgs) -> Result<(), Box<dyn Error>> {
    let public = init::new_key(&args.file, args.signing)?;
    print(format!("{public}\n").as_bytes())?;
    Ok(())
}

fn man(folder: Option<&Path>) -> Result<(), Box<dyn Error>> {
    match folder {
        Some(folder) => clap_mangen::generate_to(Cli::command(), folder)?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print(&page)?;
        }
    }
    Ok(())
}

fn completions(shell: Shell) -> Result<(), Box<dyn Error>> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ace-as", &mut script);
    print(&script)?;
    Ok(())
}
