//! `cargo xtask docker`: docker/compose.yaml as its users run it, on machines that reach no image registry.
//!
//! The images are made from Debian's packages, the programs are those of this machine's build, and where no Docker
//! answers one is started for as long as it takes. What is run is the command in the documentation.

mod compose;
#[cfg(test)]
mod context;
mod engine;
mod images;
mod programs;

use std::time::Instant;

use anyhow::{Context, Result};

use crate::brokers::release::Release;
use crate::brokers::releases_named;
use crate::setup;

use self::compose::Compose;
use self::engine::Engine;

/// Runs the tests in containers, with each of these versions of the broker; all without any.
///
/// # Errors
/// Docker cannot be had, an image cannot be made, or a test fails.
pub fn test(brokers: &[String]) -> Result<()> {
    let wanted = releases_named(brokers)?;
    let engine = prepare()?;
    for release in wanted {
        let start = Instant::now();
        let suite = suite(&release)?;
        println!("Mosquitto {} of Debian {suite}, in containers", release.name);
        let compose = ready(&engine, suite)?;
        compose.test(release.name).with_context(|| format!("Mosquitto {}: the tests in containers", release.name))?;
        println!("Mosquitto {}: passed in {} s\n", release.name, start.elapsed().as_secs());
    }
    Ok(())
}

/// Plays the demonstration in containers, with this version of the broker.
///
/// # Errors
/// Docker cannot be had, an image cannot be made, or something does not happen as it should.
pub fn demo(broker: &str) -> Result<()> {
    let wanted = releases_named(&[broker.to_owned()])?;
    let release = wanted.first().context("no such broker")?;
    let engine = prepare()?;
    ready(&engine, suite(release)?)?.demo()
}

/// Puts this machine's build of the programs where `PROGRAMS=host` takes them from.
///
/// # Errors
/// They cannot be built.
pub fn programs() -> Result<()> {
    setup::ensure(&[setup::COMPILER, setup::HEADERS, setup::BINUTILS])?;
    programs::put()
}

fn prepare() -> Result<Engine> {
    programs()?;
    Engine::find_or_start()
}

fn ready<'engine>(engine: &'engine Engine, suite: &'static str) -> Result<Compose<'engine>> {
    images::make(engine, suite)?;
    programs::check(suite)?;
    Compose::of(engine, suite)
}

/// The suite whose image has this release: Debian's own, without backports.
fn suite(release: &Release) -> Result<&'static str> {
    let first = release.suites.first().and_then(|suites| suites.first());
    first.copied().with_context(|| format!("no Debian suite has Mosquitto {}", release.name))
}
