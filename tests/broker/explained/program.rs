//! The program itself, asked about a sample of what has been compared: `ace-mqtt explain --json`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use ace_profile::Timestamp;
use ace_resource_server::config::Configuration;
use ace_resource_server::explain::{Question, Servers, Verdict, explain};
use serde_json::Value;

use super::broker_log::Spoken;
use super::counts;
use crate::support::Ctx;

/// Of how many cases one is in the sample.
const SAMPLE: usize = 16;

/// Whether a case is in the sample.
pub fn wants(ctx: &Ctx) -> bool {
    let sum: usize = ctx.name.bytes().map(usize::from).sum();
    sum.is_multiple_of(SAMPLE)
}

/// Asks the program what the library says of a line in the log.
pub fn compare(
    ctx: &Ctx,
    folder: &Path,
    configuration: &Configuration,
    said: &Spoken,
    token: &[u8],
) -> Result<(), String> {
    let at = Timestamp::from_unix_seconds(said.seconds);
    let question = Question { token, client_id: Some(&said.client_id), at, requests: &[] };
    let verdict = explain(configuration, &mut Servers::unasked(configuration), &question).verdict;
    let path = ctx.plugin.with_file_name("ace-mqtt");
    let mut child = Command::new(&path)
        .args(["explain", "--token", "-", "--json", "--client-id", &said.client_id, "--at", &said.seconds.to_string()])
        .arg("--config")
        .arg(folder.join("ace.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}: build ace-mqtt for release as well", path.display()))?;
    // A program that has ended early is told by what it says.
    let _ = child.stdin.take().map(|mut input| input.write_all(token));
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let (outcome, code, exit) = match &verdict {
        Verdict::Admitted => ("admitted", None, 0),
        Verdict::Refused(reason) => ("refused", Some(reason.code()), 1),
        Verdict::Depends(_) => ("depends", None, 2),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Value = serde_json::from_str(&text).unwrap_or_default();
    let told = &report["verdict"];
    counts::program();
    if told["outcome"] == outcome && told["code"].as_str() == code && output.status.code() == Some(exit) {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("ace-mqtt explain says {told} and ends with {:?}, not {outcome} {code:?}: {errors}", output.status))
}
