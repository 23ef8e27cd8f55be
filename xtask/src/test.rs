//! `cargo xtask test`: every test of the project, quick ones first.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::brokers::{self, Broker};
use crate::conformance::{self, Document};
use crate::{abi, bindings, cargo, clients, paths, process, promtool, servers, setup};

/// The plugin's test program that runs real brokers.
const BROKER_SUITE: &str = "broker";

/// The plugin's test program whose clients come over the network.
const NETWORK_SUITE: &str = "network";

/// What is to be tested.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Versions of the broker, as on the command line; all without any.
    pub brokers: Vec<String>,
    /// A part of the names of the tests to run; all tests without it.
    pub word: Option<String>,
    /// Leave out everything that needs a broker.
    pub quick: bool,
    /// Compare docs/conformance.md instead of writing it.
    pub check: bool,
}

impl Choice {
    /// What is to become of docs/conformance.md: only the whole suite can say what is in it.
    fn document(&self) -> Document {
        match (self.brokers.is_empty() && self.word.is_none(), self.check) {
            (false, _) => Document::Leave,
            (true, true) => Document::Check,
            (true, false) => Document::Write,
        }
    }
}

/// Runs the chosen tests and stops at the first step that fails.
///
/// # Errors
/// A test fails, or something that the tests need cannot be had.
pub fn run(choice: &Choice) -> Result<()> {
    let wanted = brokers::releases_named(&choice.brokers)?;
    setup::ensure(setup::TEST)?;
    let mut progress = Progress::of(if choice.quick { 5 } else { 12 });

    progress.step("unit tests of every crate", || {
        process::run(cargo::test().args(["--lib", "--bins"]).args(filter(choice)))
    })?;
    progress.step("bindings are those of the header", || bindings::make(true))?;
    progress.step("release build", cargo::build_release)?;
    progress.step("integration tests without brokers", || integration_tests(choice))?;
    progress.step("examples in the documentation", || process::run(cargo::test().arg("--doc").args(filter(choice))))?;
    if choice.quick {
        println!("all quick tests passed; no broker was started");
        return Ok(());
    }
    let mut tested: Vec<Broker> = Vec::new();
    progress.step("brokers from Debian's packages", || {
        tested = brokers::of_releases(&brokers::fetch(&wanted, false, None)?, &wanted);
        for broker in &tested {
            println!("{} is Debian's {} of {}", broker.version, broker.debian_version, broker.suite);
        }
        Ok(())
    })?;
    progress.step("servers that others have written", || servers::fetch().map(drop))?;
    progress.step("what the examples need", || clients::fetch().map(drop))?;
    progress.step("Prometheus' judge of metrics", || promtool::fetch().map(drop))?;
    progress.step("the header describes the brokers", || abi::check(&tested))?;
    progress.step("clients over the network", || network_suite(choice, &tested))?;
    progress.step("the plugin in the brokers", || broker_suite(choice, &tested))
}

fn integration_tests(choice: &Choice) -> Result<()> {
    let names: Vec<String> =
        cargo::integration_tests()?.into_iter().filter(|name| name != BROKER_SUITE && name != NETWORK_SUITE).collect();
    // Without a name cargo would run everything, the broker suite included.
    ensure!(!names.is_empty(), "cargo knows of no integration test");
    let mut command = cargo::test();
    for name in &names {
        command.args(["--test", name]);
    }
    process::run(command.args(filter(choice)).env("ACE_PLUGIN", paths::plugin()))
}

/// The file with the list of the brokers that are tested.
fn list_of(tested: &[Broker]) -> Result<PathBuf> {
    let results = conformance::results_file();
    let folder = results.parent().unwrap_or(&results);
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let list = folder.join("brokers.json");
    brokers::index::write(&list, tested)?;
    Ok(list)
}

/// With the newest broker: `cargo xtask docker test` runs the same in containers, with all of them.
fn network_suite(choice: &Choice, tested: &[Broker]) -> Result<()> {
    let mut command = cargo::test();
    command
        .args(["--test", NETWORK_SUITE])
        .args(filter(choice))
        .env("ACE_BROKERS", list_of(tested)?)
        .env("ACE_PLUGIN", paths::plugin());
    process::run(&mut command)
}

fn broker_suite(choice: &Choice, tested: &[Broker]) -> Result<()> {
    let results = conformance::results_file();
    let list = list_of(tested)?;
    // What an earlier run has left must not pass for this one's.
    if results.exists() {
        fs::remove_file(&results).with_context(|| format!("cannot remove {}", results.display()))?;
    }
    let mut command = cargo::test();
    command
        .args(["--test", BROKER_SUITE])
        .args(filter(choice))
        .env("ACE_BROKERS", &list)
        .env("ACE_PLUGIN", paths::plugin());
    let suite = process::run(&mut command);
    if suite.is_err() && !results.exists() {
        return suite;
    }
    println!();
    let table = conformance::report(tested, choice.document());
    match (suite, table) {
        (Err(suite), Err(table)) => Err(suite.context(format!("{table:#}"))),
        (suite, table) => suite.and(table),
    }
}

/// Arguments that choose tests by name, for every test program alike.
fn filter(choice: &Choice) -> Vec<&str> {
    choice.word.iter().flat_map(|word| ["--", word]).collect()
}

/// Says which step is going on, and how long each took.
struct Progress {
    done: usize,
    all: usize,
}

impl Progress {
    fn of(all: usize) -> Self {
        Self { done: 0, all }
    }

    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        self.done += 1;
        println!("[{}/{}] {name}", self.done, self.all);
        let start = Instant::now();
        work().with_context(|| format!("{name}: failed"))?;
        println!("[{}/{}] {name}: passed in {} s\n", self.done, self.all, start.elapsed().as_secs());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_suite_touches_the_document() {
        let mut choice = Choice::default();
        assert_eq!(choice.document(), Document::Write);
        choice.check = true;
        assert_eq!(choice.document(), Document::Check);
        choice.word = Some("c3".into());
        assert_eq!(choice.document(), Document::Leave);
        choice.word = None;
        choice.brokers = vec!["2.1".into()];
        assert_eq!(choice.document(), Document::Leave);
    }

    #[test]
    fn a_word_goes_to_the_test_programs() {
        assert!(filter(&Choice::default()).is_empty());
        assert_eq!(filter(&Choice { word: Some("c3".into()), ..Choice::default() }), ["--", "c3"]);
    }
}
