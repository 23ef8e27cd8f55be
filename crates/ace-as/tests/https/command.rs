//! The program itself: init, check, serve, stop.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::trial::{agent, basic};

const PATIENCE: Duration = Duration::from_secs(20);

fn ace_as(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ace-as")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A server that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `ace-as serve` on a free port; gives its port, and a channel with what it logs afterwards.
fn serve(config: &Path, arguments: &[&str]) -> (Running, u16, mpsc::Receiver<String>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ace-as"))
        .args(["serve", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()])
        .args(arguments)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, lines) = mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let running = Running(child);
    let first = lines.recv_timeout(PATIENCE).expect("a first line");
    let port = first.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(':').next()).unwrap().parse().unwrap();
    (running, port, lines)
}

fn wait(running: &mut Running) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "still running");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn init_serve_token_stop() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new/trial");
    let made = ace_as(&[
        "init",
        folder.to_str().unwrap(),
        "--client",
        "lamp:lamps/1/state:lamps/1/set",
        "--token-lifetime",
        "5m",
    ]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let said = text(&made.stdout);
    assert!(said.contains("as.toml") && said.contains("ace-as serve --config"), "{said}");
    let secret = fs::read_to_string(folder.join("lamp.secret")).unwrap().trim_end().to_owned();
    assert!(!said.contains(&secret));

    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let public = ["-cert.pem", ".toml", ".conf", "-public-key.jwk"].iter().any(|end| name.ends_with(end));
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert!(public || mode == 0o600, "{name} has mode {mode:o}");
    }
    let check = ace_as(&["check", "--config", folder.join("as.toml").to_str().unwrap()]);
    assert!(check.status.success(), "{}", text(&check.stderr));
    assert!(!text(&check.stdout).contains("warning"), "{}", text(&check.stdout));
    assert!(text(&check.stdout).contains("as-state.jsonl: good: 0 token(s) out, 0 revoked"), "{}", text(&check.stdout));

    let (mut running, port, lines) = serve(&folder.join("as.toml"), &[]);
    let agent = agent(&folder.join("ca-cert.pem"));
    for host in ["localhost", "127.0.0.1"] {
        let mut answer = agent
            .post(format!("https://{host}:{port}/token"))
            .header("authorization", basic("lamp", &secret))
            .send_form([("grant_type", "client_credentials")])
            .unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        assert_eq!(answer["expires_in"], 300);
        let line = lines.recv_timeout(PATIENCE).unwrap();
        assert!(
            line.contains(r#"POST /token"#) && line.contains(r#"client="lamp" audience="broker.example" status=200"#),
            "{line}"
        );
        assert!(!line.contains(&secret) && !line.contains(answer["access_token"].as_str().unwrap()));
    }
    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(wait(&mut running), Some(0));
    let rest: Vec<String> = lines.iter().collect();
    assert!(rest.iter().any(|line| line.ends_with("stopping on SIGTERM")), "{rest:?}");
}

#[test]
fn an_interrupt_stops_it_too_and_quiet_is_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert!(ace_as(&["init", path]).status.success());
    let (mut running, _, lines) = serve(&folder.path().join("as.toml"), &["-v"]);
    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(wait(&mut running), Some(0));
    assert!(lines.iter().any(|line| line.ends_with("stopping on SIGINT")));

    let config = folder.path().join("as.toml");
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap().to_string();
    let refused = ace_as(&["serve", "-q", "--config", config.to_str().unwrap(), "--listen", &address]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.starts_with(&format!("ace-as: cannot listen on {address}")) && said.lines().count() == 1, "{said}");
}

#[test]
fn init_twice_changes_nothing_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert!(ace_as(&["init", path]).status.success());
    let read = || {
        let mut files: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect::<Vec<_>>()
    };
    let before = read();
    let again = ace_as(&["init", path]);
    assert_eq!(again.status.code(), Some(1));
    let said = text(&again.stderr);
    assert!(said.contains("--force") && said.contains("signing-key.jwk"), "{said}");
    assert_eq!(read(), before);

    // One file in the way is enough, and the others are not written beside it.
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("ace.toml"), "mine").unwrap();
    assert_eq!(ace_as(&["init", other.path().to_str().unwrap()]).status.code(), Some(1));
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);

    assert!(ace_as(&["init", path, "--force"]).status.success());
    let after = read();
    assert_eq!(after.len(), before.len());
    let secret = |files: &[(std::path::PathBuf, Vec<u8>)]| {
        files.iter().find(|(path, _)| path.ends_with("sensor.secret")).map(|(_, contents)| contents.clone())
    };
    assert_ne!(secret(&after), secret(&before));
}

#[test]
fn init_refuses_what_cannot_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let path = path.to_str().unwrap();
    for arguments in [
        &["--token-lifetime", "0"][..],
        &["--client", "a::", "--client", "a::"],
        &["--client", "broker::"],
        &["--client", "administrator::"],
        &["--host", "not a name"],
        &["--audience", ""],
        &["--issuer", "http://plain.example"],
    ] {
        let refused = ace_as(&[&["init", path], arguments].concat());
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}: {}", text(&refused.stdout));
        assert!(!Path::new(path).exists() || fs::read_dir(path).unwrap().count() == 0, "{arguments:?}");
    }
}

#[test]
fn hosts_are_certified_and_the_broker_listens_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let plugin = "/opt/x/libmosquitto_ace.so";
    assert!(
        ace_as(&["init", path, "--host", "broker.lan", "--host", "192.0.2.7", "--plugin", plugin]).status.success()
    );
    let conf = fs::read_to_string(folder.path().join("mosquitto.conf")).unwrap();
    assert!(conf.contains("\nlistener 8883\n") && conf.contains(&format!("\nplugin {plugin}\n")), "{conf}");
    let pem = fs::read(folder.path().join("broker-cert.pem")).unwrap();
    let der =
        <rustls::pki_types::CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(&pem).unwrap();
    let holds = |needle: &[u8]| der.windows(needle.len()).any(|window| window == needle);
    assert!(holds(b"broker.lan") && holds(&[192, 0, 2, 7]) && holds(b"localhost"));
}

#[test]
fn ports_of_ones_own_are_in_every_file_and_in_the_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let made = ace_as(&["init", path, "--listen", "127.0.0.1:18443", "--broker-port", "18883"]);
    assert!(made.status.success());
    let file = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(file("mosquitto.conf").contains("\nlistener 18883 localhost\n"));
    assert!(file("as.toml").contains("127.0.0.1:18443") && file("ace.toml").contains("https://localhost:18443"));
    let said = text(&made.stdout);
    assert!(said.contains("-p 18883 ") && !said.contains("-p 8883 "), "{said}");
}

#[test]
fn man_pages_and_completions_are_made() {
    let man = ace_as(&["man"]);
    assert!(text(&man.stdout).contains(".TH ace-as"), "{}", text(&man.stdout));
    let folder = tempfile::tempdir().unwrap();
    assert!(ace_as(&["man", folder.path().to_str().unwrap()]).status.success());
    assert!(folder.path().join("ace-as-init.1").exists());
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&ace_as(&["completions", shell]).stdout).contains("ace-as"));
    }
}

#[test]
fn a_reader_that_has_left_ends_every_printing_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path().to_str().unwrap(), folder.path().join("as.toml"));
    for arguments in [
        &["init", path][..],
        &["check", "--config", config.to_str().unwrap()],
        &["completions", "bash"],
        &["man"],
        &["--help"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ace-as"));
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{arguments:?}");
    }
}
