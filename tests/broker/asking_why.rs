//! `ace-mqtt explain --online` and `ace-mqtt check-config` against servers that a case decides about. What explain says offline is compared
//! with the brokers in every other case: [`crate::explained`].

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::case::cases;
use crate::support::pki::pki;
use crate::support::{Answer, Authority, Ctx, Device, HttpsServer, Introspector, Key, Setup};

cases! {
    Accept "" explain_online_asks_about_opaque_tokens;
    Refuse "" explain_online_believes_no_server_that_cannot_be_verified;
    Accept "" explain_online_fetches_keys;
    Refuse "" explain_online_looks_for_revoked_tokens;
    Accept "" check_config_asks_every_server;
}

/// A folder as a broker would have it.
fn folder(setup: &Setup) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    setup.write(folder.path());
    folder
}

fn run(ctx: &Ctx, folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(ctx.plugin.with_file_name("ace-mqtt"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ace-mqtt, built for release");
    // One that reads nothing may have ended.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    child.wait_with_output().expect("its end")
}

/// The verdict's outcome, its code or what it depends on, the exit code, and all that was said.
fn explained(ctx: &Ctx, folder: &Path, device: &Device) -> (String, String, Option<i32>, Value) {
    let arguments = ["explain", "--config", "ace.toml", "--online", "--json", "--token", "-", "--publish", "dev/a"];
    let output = run(ctx, folder, &arguments, &device.token);
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert!(!String::from_utf8_lossy(&output.stdout).contains(&device.token), "the token was printed");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let verdict = &report["verdict"];
    let why = if verdict["code"].is_null() { &verdict["depends_on"][0]["what"] } else { &verdict["code"] };
    (text(&verdict["outcome"]), text(why), output.status.code(), report)
}

fn explain_online_asks_about_opaque_tokens(ctx: &Ctx) {
    let server = Introspector::start();
    let folder = folder(&server.setup(&[]));
    let device = server.device("sensor");
    let (outcome, why, exit, report) = explained(ctx, folder.path(), &device);
    assert_eq!((outcome.as_str(), why.as_str(), exit), ("admitted", "", Some(0)), "{report}");
    assert_eq!(report["requests"][0]["outcome"], "allowed", "{report}");
    assert_eq!(server.asked_about(&device), 1, "once");
    server.revoke(&device);
    let (outcome, why, exit, report) = explained(ctx, folder.path(), &device);
    assert_eq!((outcome.as_str(), why.as_str(), exit), ("refused", "token-inactive", Some(1)), "{report}");
    server.answer(|_| Answer::status(500));
    let (outcome, why, exit, report) = explained(ctx, folder.path(), &device);
    assert_eq!((outcome.as_str(), why.as_str(), exit), ("depends", "introspection", Some(2)), "{report}");
    assert!(report["troubles"][0].as_str().is_some_and(|trouble| trouble.contains("500")), "{report}");
}

fn trusting(setup: Setup) -> Setup {
    setup.file("as-ca.pem", &pki().authority).server("ca_file = \"{dir}/as-ca.pem\"")
}

fn publishing(authority: &Authority) -> HttpsServer {
    let keys = authority.jwks();
    HttpsServer::start(move |_| Answer::ok("application/json", keys.clone().into_bytes()))
}

fn explain_online_believes_no_server_that_cannot_be_verified(ctx: &Ctx) {
    let authority = Authority::new();
    let server = publishing(&authority);
    // Without its authority.
    let folder = folder(&Setup::with(authority.clone()).keys_by_url(Some(&server.url("/jwks"))));
    let device = Device::new(&authority, "sensor", Key::ed25519(), |claims| claims);
    let (outcome, why, exit, report) = explained(ctx, folder.path(), &device);
    assert_eq!((outcome.as_str(), why.as_str(), exit), ("depends", "keys", Some(2)), "{report}");
    assert!(report["troubles"][0].as_str().is_some_and(|trouble| trouble.contains("TLS failed")), "{report}");
}

fn explain_online_fetches_keys(ctx: &Ctx) {
    let authority = Authority::new();
    let server = publishing(&authority);
    let folder = folder(&trusting(Setup::with(authority.clone())).keys_by_url(Some(&server.url("/jwks"))));
    let device = Device::new(&authority, "sensor", Key::ed25519(), |claims| claims);
    let (outcome, _, exit, report) = explained(ctx, folder.path(), &device);
    assert_eq!((outcome.as_str(), exit), ("admitted", Some(0)), "{report}");
    let foreign = Authority::signing_with(Key::ed25519().named("another"));
    let device = Device::new(&foreign, "sensor", Key::ed25519(), |claims| claims);
    let (outcome, why, exit, report) = explained(ctx, folder.path(), &device);
    assert_eq!((outcome.as_str(), why.as_str(), exit), ("refused", "key-unknown", Some(1)), "{report}");
}

/// A list of one revoked token, or of none.
fn listing(url: &str, authority: &Authority) -> Setup {
    Setup::with(authority.clone())
        .file("as-ca.pem", &pki().authority)
        .server("[authorization_server.revocation_list]")
        .server(&format!("url = \"{url}\""))
        .server("ca_file = \"{dir}/as-ca.pem\"")
}

fn explain_online_looks_for_revoked_tokens(ctx: &Ctx) {
    let authority = Authority::new();
    let [good, revoked] = ["good", "revoked"].map(|id| Device::new(&authority, id, Key::ed25519(), |claims| claims));
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, revoked.token.as_bytes());
    let list = [&[0xa1, 0x00, 0x81, 0x58, 33, 0x01][..], hash.as_ref()].concat();
    let server = HttpsServer::start(move |_| Answer::ok("application/ace-trl+cbor", list.clone()));
    let folder = folder(&listing(&server.url("/trl"), &authority));
    let (outcome, _, exit, report) = explained(ctx, folder.path(), &good);
    assert_eq!((outcome.as_str(), exit), ("admitted", Some(0)), "{report}");
    let (outcome, why, exit, report) = explained(ctx, folder.path(), &revoked);
    assert_eq!((outcome.as_str(), why.as_str(), exit), ("refused", "token-revoked", Some(1)), "{report}");
    drop(server);
    let (outcome, why, exit, report) = explained(ctx, folder.path(), &good);
    assert_eq!((outcome.as_str(), why.as_str(), exit), ("depends", "revocation", Some(2)), "{report}");
}

fn check_config_asks_every_server(ctx: &Ctx) {
    let authority = Authority::new();
    let keys = publishing(&authority);
    let asked = Introspector::start();
    let list = HttpsServer::start(|_| Answer::ok("application/ace-trl+cbor", vec![0xa1, 0x00, 0x80]));
    let setup = trusting(Setup::with(authority)).keys_by_url(Some(&keys.url("/jwks")));
    let setup = setup
        .introspecting(&asked.server.url("/introspect"))
        .server("[authorization_server.revocation_list]")
        .server(&format!("url = \"{}\"", list.url("/trl")))
        .server("ca_file = \"{dir}/as-ca.pem\"");
    let folder = folder(&setup);
    let check = |more: &[&str]| {
        let output = run(ctx, folder.path(), &[&["check-config", "ace.toml"], more].concat(), "");
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    };
    let (text, exit) = check(&[]);
    assert_eq!((text.matches("\nok: ").count(), exit), (3, Some(0)), "{text}");
    assert!(text.contains("1 key: as-key") && text.contains("knows the broker") && text.contains(" ms)"), "{text}");
    drop(list);
    asked.answer(|_| Answer::status(401));
    let (text, exit) = check(&[]);
    assert_eq!((text.matches("\nFAILED: ").count(), exit), (2, Some(1)), "{text}");
    assert!(text.contains("refuses the broker's own credentials"), "{text}");
    let before = keys.connections();
    let (text, exit) = check(&["--offline"]);
    assert_eq!((exit, keys.connections()), (Some(0), before), "{text}");
}
