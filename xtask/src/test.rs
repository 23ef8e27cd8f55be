//! `cargo xtask test`: every test of the project, quick ones first.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::brokers::{self, Broker};
use crate::conformance::{self, Document};
use crate::{abi, bindings, paths, process, setup};

/// The root package: the plugin.
const PLUGIN: &str = "mosquitto-ace";
/// Its test program that runs real brokers.
const BROKER_SUITE: &str = "broker";

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
    let mut progress = Progress::of(if choice.quick { 4 } else { 7 });

    progress.step("protocol, authorization server, client, xtask", || {
        process::run(cargo(&["test", "--quiet", "--workspace", "--exclude", PLUGIN]).args(filter(choice)))
    })?;
    progress.step("the plugin, release build", build_plugin)?;
    progress.step("the plugin's own tests", || plugin_tests(choice))?;
    progress.step("bindings are those of the header", || bindings::make(true))?;
    if choice.quick {
        println!("all quick tests passed; no broker was started");
        return Ok(());
    }
    let mut tested: Vec<Broker> = Vec::new();
    progress.step("real brokers", || {
        tested = brokers::of_releases(&brokers::fetch(&wanted, false, None)?, &wanted);
        for broker in &tested {
            println!("{} is Debian's {} of {}", broker.version, broker.debian_version, broker.suite);
        }
        Ok(())
    })?;
    progress.step("the header describes the brokers", || abi::check(&tested))?;
    progress.step("the plugin in the brokers", || broker_suite(choice, &tested))?;
    Ok(())
}

/// Builds the plugin as operators build it.
///
/// # Errors
/// It does not compile.
pub fn build_plugin() -> Result<()> {
    process::run(&mut cargo(&["build", "--quiet", "--release", "--package", PLUGIN]))
}

fn plugin_tests(choice: &Choice) -> Result<()> {
    let mut command = cargo(&["test", "--quiet", "--package", PLUGIN, "--lib"]);
    for name in test_programs()?.iter().filter(|name| *name != BROKER_SUITE) {
        command.args(["--test", name]);
    }
    process::run(command.args(filter(choice)).env("ACE_PLUGIN", paths::plugin()))
}

/// The names of the plugin's test programs.
fn test_programs() -> Result<Vec<String>> {
    let text = process::output_of(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text).context("cargo's metadata is not JSON")?;
    let array = |value: &serde_json::Value, name: &str| value.get(name).and_then(serde_json::Value::as_array).cloned();
    let packages = array(&metadata, "packages").unwrap_or_default();
    let package = packages.iter().find(|package| package.get("name").is_some_and(|name| name == PLUGIN));
    let targets = package.and_then(|package| array(package, "targets")).context("cargo does not know the plugin")?;
    let tests = targets
        .iter()
        .filter(|target| array(target, "kind").unwrap_or_default().iter().any(|kind| kind == "test"))
        .filter_map(|target| target.get("name")?.as_str().map(str::to_owned));
    Ok(tests.collect())
}

fn broker_suite(choice: &Choice, tested: &[Broker]) -> Result<()> {
    let results = conformance::results_file();
    let folder = results.parent().unwrap_or(&results);
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let list = folder.join("brokers.json");
    brokers::index::write(&list, tested)?;
    // What an earlier run has left must not pass for this one's.
    if results.exists() {
        fs::remove_file(&results).with_context(|| format!("cannot remove {}", results.display()))?;
    }
    let mut command = cargo(&["test", "--quiet", "--package", PLUGIN, "--test", BROKER_SUITE]);
    command.args(filter(choice)).env("ACE_BROKERS", &list).env("ACE_PLUGIN", paths::plugin());
    let suite = process::run(&mut command);
    if suite.is_err() && !results.exists() {
        return suite;
    }
    println!();
    let table = conformance::report(tested, choice.document());
    suite.and(table)
}

/// Arguments that choose tests by name, for every test program alike.
fn filter(choice: &Choice) -> Vec<&str> {
    choice.word.iter().flat_map(|word| ["--", word]).collect()
}

/// The cargo that runs us.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths::root()).args(arguments);
    command
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
    fn the_broker_suite_is_one_of_the_test_programs() {
        assert!(test_programs().unwrap().iter().any(|name| name == BROKER_SUITE));
    }

    #[test]
    fn a_word_goes_to_the_test_programs() {
        assert!(filter(&Choice::default()).is_empty());
        assert_eq!(filter(&Choice { word: Some("c3".into()), ..Choice::default() }), ["--", "c3"]);
    }
}
