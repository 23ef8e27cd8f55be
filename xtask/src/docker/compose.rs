//! The compose command of the documentation, with the images of this machine; and the cleaning up after it.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use super::engine::Engine;
use super::images;
use crate::{paths, process, setup};

/// How long a run may take, images included, in seconds.
const PATIENCE: &str = "900";
/// The project, so that a user's own containers are not touched.
const PROJECT: &str = "mosquitto-ace-xtask";

/// Runs compose; what has been started is gone when this is dropped, but for the images.
pub(super) struct Compose<'engine> {
    engine: &'engine Engine,
    suite: &'static str,
    /// `docker compose` or `docker-compose`.
    words: &'static [&'static str],
}

impl<'engine> Compose<'engine> {
    /// # Errors
    /// There is no compose, and it cannot be installed.
    pub(super) fn of(engine: &'engine Engine, suite: &'static str) -> Result<Self> {
        let mut plugin = engine.command("docker");
        let has_plugin = process::output_of(plugin.args(["compose", "version"])).is_ok();
        let words: &[&str] = if has_plugin { &["docker", "compose"] } else { &["docker-compose"] };
        if !has_plugin {
            setup::ensure(&[setup::DOCKER_COMPOSE])?;
        }
        let compose = Self { engine, suite, words };
        // What a run that was cut off has left.
        compose.down()?;
        Ok(compose)
    }

    /// Builds, starts, tests, and stops.
    pub(super) fn test(&self, release: &str) -> Result<()> {
        let mut command = self.command(&["up", "--build", "--exit-code-from", "tests"]);
        // A release line such as 2.1 is no version.
        if release.split('.').count() == 3 {
            command.env("ACE_NETWORK_BROKER_VERSION", release);
        }
        self.run(&mut command)
    }

    /// Builds, starts and shows.
    pub(super) fn demo(&self) -> Result<()> {
        // docker-compose 1.29 knows the service only once its profile is named, if its exit code is asked for.
        self.run(&mut self.command(&["--profile", "demo", "up", "--build", "--exit-code-from", "demo", "demo"]))
    }

    fn run(&self, command: &mut Command) -> Result<()> {
        println!("+ {}", process::shown(command));
        process::run(command.stdin(Stdio::null()))
    }

    fn down(&self) -> Result<()> {
        let mut command = self.command(&["--profile", "demo", "down", "--volumes", "--remove-orphans"]);
        let output = process::whole_output_of(&mut command)?;
        if !output.status.success() {
            bail!("`{}` failed:\n{}", process::shown(&command), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.engine.command("timeout");
        command.args(["--foreground", "--kill-after=60", PATIENCE]).args(self.words);
        command.args(["-f", "docker/compose.yaml"]).args(arguments).current_dir(paths::root());
        command
            .env("COMPOSE_PROJECT_NAME", PROJECT)
            .env("SUITE", self.suite)
            .env("BASE", images::BASE)
            .env("BUILDER", images::name(self.suite))
            .env("PROGRAMS", "host");
        command
    }
}

impl Drop for Compose<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.down() {
            eprintln!("{error:#}");
        }
    }
}
