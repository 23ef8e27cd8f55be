//! `cargo xtask`: the project's own commands. This file reads the command line, nothing else.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::{abi, bindings, brokers, clients, demo, deny, docker, package, promtool, servers, setup, test, trees};

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Shows the main job with real software: tokens, proofs, messages, refusals, expiry
    ///
    /// Starts the authorization server and a stock Mosquitto with the plugin on free ports of this machine, lets
    /// clients get tokens, exchange messages and be refused, and stops everything again. Each line that is printed has
    /// happened and was checked. Installs from Debian's packages what is missing, and fetches the broker.
    Demo {
        /// The version of the broker: 2.0.11, 2.0.21 or 2.1
        #[arg(long, value_name = "VERSION", default_value = "2.1")]
        broker: String,
        /// Keep the folder with keys, tokens and configuration, to go on by hand
        #[arg(long)]
        keep: bool,
    },
    /// Runs all tests, quick ones first; ends with the table requirement × broker version
    ///
    /// Installs from Debian's packages what is missing, fetches the brokers, and writes docs/conformance.md when the
    /// whole suite has run.
    Test {
        /// Only this version of the broker, such as 2.0.11 or 2.1 (may be given several times)
        #[arg(long = "broker", value_name = "VERSION")]
        brokers: Vec<String>,
        /// Leave out everything that needs a broker
        #[arg(long)]
        quick: bool,
        /// Do not write docs/conformance.md; fail if it is not what the tests have shown
        #[arg(long)]
        check: bool,
        /// Only tests with this in their names, such as c3
        word: Option<String>,
    },
    /// Fetches the Mosquitto versions that the tests run on from Debian's packages into target/brokers/
    ///
    /// They are installed nowhere: each is unpacked with all libraries of its own Debian suite and started by a
    /// script of its own, such as target/brokers/2.0.11/mosquitto. target/brokers/brokers.json lists them.
    /// The Debian mirror is the one in this machine's apt sources. No root rights are needed.
    Brokers {
        /// Fetch again what is there
        #[arg(long)]
        force: bool,
        /// Only this version, such as 2.0.11 or 2.1 (may be given several times)
        #[arg(long = "broker", value_name = "VERSION")]
        brokers: Vec<String>,
        /// A Debian archive to use instead of this machine's, as in an apt source
        #[arg(long, value_name = "URI")]
        mirror: Option<String>,
    },
    /// Fetches servers that others have written, for the tests to deal with, into target/servers/
    ///
    /// They are the authorization servers oidc-provider from npm and glewlwyd from Debian, and Debian's proxy HAProxy.
    /// They are installed nowhere. No root rights are needed.
    Servers,
    /// Fetches Prometheus' program that judges metrics, for the tests to ask, as target/tools/promtool
    ///
    /// It comes out of Debian's package, which is installed nowhere. No root rights are needed.
    Promtool,
    /// Runs docker/compose.yaml where no image registry can be reached
    ///
    /// The images are made from Debian's packages, the programs are this machine's build. Starts a Docker for the
    /// time it takes if none answers (as root), and installs from Debian's packages what is missing.
    Docker {
        #[command(subcommand)]
        what: Docker,
    },
    /// Makes minimal Debian systems from this machine's Debian mirror, as target/trees/SUITE.tar
    ///
    /// For container images where there is no registry, and to try packages in. Without root's rights the package
    /// uidmap is needed.
    Tree {
        /// Make again what is there
        #[arg(long)]
        force: bool,
        /// Which: bookworm, trixie, forky or sid
        #[arg(required = true, value_name = "SUITE")]
        suites: Vec<String>,
    },
    /// Installs what the examples need from PyPI and npm into target/clients/, for the tests to run them
    ///
    /// It is installed nowhere else. No root rights are needed.
    Clients,
    /// Makes Debian packages of the plugin, the server and the client, and a release archive, in target/packages/
    ///
    /// They run on Debian 12 and newer: where this machine's glibc is newer than that one's, they are built in a tree of
    /// Debian 12, which needs root.
    Package {
        /// Build in a tree of Debian 12, whatever this machine's glibc is
        #[arg(long)]
        in_tree: bool,
        #[command(subcommand)]
        action: Option<PackageTask>,
    },
    /// Installs from Debian's packages what the other commands need; does nothing if nothing is missing
    ///
    /// As root or with sudo; without either it says what to run.
    Setup,
    /// Makes src/broker/abi.rs from include/mosquitto_ace_abi.h with Debian's bindgen
    Bindings {
        /// Change nothing; fail if the file is not what the header gives
        #[arg(long)]
        check: bool,
    },
    /// Checks licences, sources and bans of all dependencies (deny.toml), and advisories where a database is at hand
    Deny,
    /// Compares include/mosquitto_ace_abi.h with the headers of the real brokers
    Abi {
        /// Only this version, such as 2.0.11 or 2.1 (may be given several times)
        #[arg(long = "broker", value_name = "VERSION")]
        brokers: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum PackageTask {
    /// Installs, uses, upgrades, removes and purges them in clean trees of Debian; needs root
    ///
    /// On loopback interfaces of their own. Packages of a lower version are made for it, too, and all are made twice
    /// and compared.
    Test {
        /// Only this suite of Debian: bookworm or trixie (may be given several times)
        #[arg(long = "suite", value_name = "SUITE")]
        suites: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Docker {
    /// docker compose -f docker/compose.yaml up --build --exit-code-from tests, on three broker versions
    Test {
        /// Only this version of the broker, such as 2.0.11 or 2.1 (may be given several times)
        #[arg(long = "broker", value_name = "VERSION")]
        brokers: Vec<String>,
    },
    /// docker compose -f docker/compose.yaml up demo
    Demo {
        /// The version of the broker: 2.0.11, 2.0.21 or 2.1
        #[arg(long, value_name = "VERSION", default_value = "2.1")]
        broker: String,
    },
    /// Puts this machine's build into docker/programs/, for PROGRAMS=host
    Programs,
}

fn main() -> ExitCode {
    match carry_out(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(task: Task) -> Result<()> {
    match task {
        Task::Demo { broker, keep } => demo::play(&broker, keep),
        Task::Test { brokers, quick, check, word } => test::run(&test::Choice { brokers, word, quick, check }),
        Task::Brokers { force, brokers: names, mirror } => {
            let wanted = brokers::releases_named(&names)?;
            for broker in brokers::fetch(&wanted, force, mirror.as_deref())? {
                println!(
                    "{}  {} ({})  {}",
                    broker.version,
                    broker.debian_version,
                    broker.suite,
                    broker.launcher.display()
                );
            }
            Ok(())
        }
        Task::Promtool => {
            println!("{}", promtool::fetch()?.display());
            Ok(())
        }
        Task::Servers => {
            for server in servers::fetch()? {
                println!("{}", server.display());
            }
            Ok(())
        }
        Task::Docker { what: Docker::Test { brokers } } => docker::test(&brokers),
        Task::Docker { what: Docker::Demo { broker } } => docker::demo(&broker),
        Task::Docker { what: Docker::Programs } => docker::programs(),
        Task::Tree { force, suites } => {
            for suite in suites {
                println!("{}", trees::fetch(&suite, force)?.display());
            }
            Ok(())
        }
        Task::Clients => {
            setup::ensure(&[setup::PYTHON, setup::NODE, setup::NPM])?;
            for client in clients::fetch()? {
                println!("{}", client.display());
            }
            Ok(())
        }
        Task::Package { in_tree, action } => {
            let made = package::make(in_tree)?;
            for file in made.packages.iter().chain([&made.archive]) {
                println!("{}", file.display());
            }
            match action {
                Some(PackageTask::Test { suites }) => package::trial::run(&made, &suites),
                None => Ok(()),
            }
        }
        Task::Deny => deny::check(),
        Task::Setup => setup::ensure(setup::TEST),
        Task::Bindings { check } => bindings::make(check),
        Task::Abi { brokers: names } => {
            setup::ensure(&[setup::COMPILER, setup::HEADERS])?;
            let wanted = brokers::releases_named(&names)?;
            let all = brokers::fetch(&wanted, false, None)?;
            abi::check(&brokers::of_releases(&all, &wanted))
        }
    }
}
