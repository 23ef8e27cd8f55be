//! Reads the plugin's metrics as Prometheus does, and has Prometheus' own program judge the text.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::broker::target_folder;

/// How often to look for a number that must come.
const GLANCE: Duration = Duration::from_millis(100);

/// Asks for a path; gives status and body.
pub fn get(port: u16, path: &str) -> (u16, String) {
    let text = exchange(port, &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head}")), body.to_owned())
}

/// Sends a request as it stands; gives all that comes.
pub fn exchange(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the listener");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

/// Numbers by name and labels, as they stand in the text.
#[derive(Clone, Debug)]
pub struct Metrics {
    text: String,
    numbers: BTreeMap<String, f64>,
}

impl Metrics {
    /// Scrapes once.
    pub fn scrape(port: u16) -> Self {
        let (status, text) = get(port, "/metrics");
        assert_eq!(status, 200, "{text}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let number = |line: &str| {
            let (name, number) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no number: {line}"));
            (name.to_owned(), number.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        };
        let numbers = lines.map(number).collect();
        Self { text, numbers }
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The number of this name and labels, without what all names begin with.
    pub fn of(&self, name: &str) -> f64 {
        self.find(name).unwrap_or_else(|| panic!("there is no {name}:\n{}", self.text))
    }

    /// The same, if there is one.
    pub fn find(&self, name: &str) -> Option<f64> {
        self.numbers.get(&format!("mosquitto_ace_{name}")).copied()
    }

    /// The names of all numbers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.numbers.keys().map(String::as_str)
    }
}

/// Scrapes until the numbers are as they should be.
pub fn wait_for(port: u16, what: &str, is_so: impl Fn(&Metrics) -> bool) -> Metrics {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = Metrics::scrape(port);
        if is_so(&metrics) {
            return metrics;
        }
        assert!(Instant::now() < deadline, "{what}:\n{}", metrics.text);
        sleep(GLANCE);
    }
}

fn promtool() -> PathBuf {
    let program = target_folder().join("tools/promtool");
    assert!(program.is_file(), "{}: run `cargo xtask promtool` first", program.display());
    program
}

/// Has Prometheus' own program judge a file; gives what it says, if it takes it.
pub fn judge_file(arguments: &[&str], text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file.yml");
    std::fs::write(&file, text).unwrap();
    let output = Command::new(promtool()).args(arguments).arg(&file).output().expect("promtool");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool: {said}\n{text}");
    said
}

/// Prometheus' own program finds nothing wrong with the text: not that it cannot be read, nor that names or units are unusual.
pub fn judge(text: &str) {
    let program = promtool();
    let mut child = Command::new(&program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.trim().is_empty(), "promtool: {said}\n{text}");
}
