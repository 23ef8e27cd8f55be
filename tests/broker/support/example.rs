//! The programs in `examples/`, run as their READMEs say, with what `cargo xtask clients` has installed for them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::broker::target_folder;
use super::key::random;
use super::programs::Program;
use super::trial::Trial;
use super::{Ctx, encode};

/// One of the examples that connect by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Example {
    Paho,
    MqttJs,
    MosquittoClients,
    C,
    Rust,
}

/// A program of an example's that runs. It is ended when this goes, and so is what it has started.
pub struct Running {
    pub program: Program,
    /// What it is run from, if that is a copy.
    _copy: Option<TempDir>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.program.ask_to_end();
    }
}

impl Example {
    /// Starts its `sensor`, `dashboard` or another program of its, in the trial's folder.
    pub fn start(self, ctx: &Ctx, trial: &Trial, name: &str, arguments: &[&str]) -> Running {
        self.start_with(ctx, trial, name, arguments, &[])
    }

    /// The same with these settings in its environment.
    pub fn start_with(
        self,
        ctx: &Ctx,
        trial: &Trial,
        name: &str,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> Running {
        let mut copy = None;
        let line: Vec<OsString> = match self {
            Self::Paho => vec![
                installed("python-paho/venv/bin/python").into(),
                folder("python-paho").join(format!("{name}.py")).into(),
            ],
            Self::MqttJs => {
                let place = copy.insert(mqtt_js()).path().join(format!("{name}.mjs"));
                vec!["node".into(), place.into()]
            }
            // A shell that is ended leaves the program behind that it waits for. `timeout` ends all of them.
            Self::MosquittoClients => vec![
                "timeout".into(),
                "120".into(),
                "sh".into(),
                folder("mosquitto-clients").join(format!("{name}.sh")).into(),
            ],
            Self::C => {
                trial.credentials(ctx, name);
                vec![compiled_c().join(name).into()]
            }
            Self::Rust => vec![ctx.plugin.with_file_name(name).into()],
        };
        let mut command = trial.command(ctx, &line[0]);
        command.args(&line[1..]).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
        command.envs(settings.iter().copied());
        Running { program: Program::start(ctx, &format!("{self:?}-{name}"), &mut command), _copy: copy }
    }

    /// Starts its sensor with a token that is bound to another key than it has.
    pub fn start_with_a_wrong_key(self, ctx: &Ctx, trial: &mut Trial) -> Running {
        if self != Self::C {
            trial.give_stolen_tokens(ctx);
            return self.start(ctx, trial, "sensor", &[]);
        }
        let file = trial.credentials(ctx, "sensor");
        let mut credentials: Value = serde_json::from_slice(&fs::read(&file).expect("the file")).expect("JSON");
        credentials["key"]["k"] = json!(encode(&random(32)));
        fs::write(file, credentials.to_string()).expect("the file");
        let mut command = trial.command(ctx, compiled_c().join("sensor"));
        Running { program: Program::start(ctx, "C-sensor", &mut command), _copy: None }
    }

    /// How the plugin's log names the way in which it connects.
    pub fn form(self) -> &'static str {
        match self {
            Self::Paho | Self::MosquittoClients | Self::C => "draft-00 timed proof",
            Self::MqttJs => "challenge",
            Self::Rust => "exporter proof",
        }
    }
}

/// What `password` of the Arduino example prints for these arguments.
pub fn arduino_password(arguments: &[&str]) -> String {
    static PROGRAM: OnceLock<TempDir> = OnceLock::new();
    let place = PROGRAM.get_or_init(|| {
        let place = tempfile::tempdir().expect("a temporary folder");
        let mut compiler = Command::new("c++");
        compiler.args(["-std=c++11", "-Wall", "-Wextra", "-Werror", "-o"]).arg(place.path().join("password"));
        run(compiler.arg(folder("arduino").join("password.cpp")).arg("-lcrypto"));
        place
    });
    run(Command::new(place.path().join("password")).args(arguments)).trim_end().to_owned()
}

/// The folder of this example in the checkout.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// What `cargo xtask clients` has installed.
fn installed(path: &str) -> PathBuf {
    let place = target_folder().join("clients").join(path);
    assert!(place.exists(), "{}: run `cargo xtask clients` first", place.display());
    place
}

/// A copy of the example beside its packages: Node looks for these where the program lies.
fn mqtt_js() -> TempDir {
    let place = tempfile::tempdir().expect("a temporary folder");
    copy(&folder("mqtt-js"), place.path(), &["mjs", "json"]);
    std::os::unix::fs::symlink(installed("mqtt-js/node_modules"), place.path().join("node_modules")).expect("a link");
    place
}

/// The example in C as its Makefile builds it, once for all cases.
fn compiled_c() -> &'static Path {
    static PLACE: OnceLock<TempDir> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let place = tempfile::tempdir().expect("a temporary folder");
        copy(&folder("c"), place.path(), &["c", "h"]);
        fs::copy(folder("c").join("Makefile"), place.path().join("Makefile")).expect("a copy");
        run(Command::new("make").arg("--quiet").current_dir(place.path()));
        place
    });
    place.path()
}

fn copy(from: &Path, to: &Path, kinds: &[&str]) {
    for file in fs::read_dir(from).expect("the example").map(|entry| entry.expect("a file").path()) {
        if file.extension().is_some_and(|kind| kinds.iter().any(|wanted| kind == *wanted)) {
            fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("a copy");
        }
    }
}

/// Runs a command that ends by itself and must succeed; gives what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
