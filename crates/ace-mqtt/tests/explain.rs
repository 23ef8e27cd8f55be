//! `ace-mqtt explain` and `check-config` as a user meets them: the examples in docs/explain.md are what the program prints, exit codes, JSON,
//! and that nothing secret is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use ace_mqtt::Credentials;
use ace_profile::{
    base64url,
    jose::{Algorithm, Jwk, jws},
};
use serde_json::{Value, json};

/// When the examples' tokens are good, in seconds since 1970.
const NOW: u64 = 1_700_000_000;
const AT: &str = "2023-11-14T22:15:00Z";

const CONFIGURATION: &str = r#"audience = "broker.example"

[[authorization_server]]
issuer = "https://as.example"
jwks = "as-jwks.json"

[mqtt]
public_subscribe = ["news/#"]
"#;

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        let server = Jwk::ed25519_from_seed(&[1; 32]).unwrap().with_kid("as-1");
        bench.write("as-jwks.json", &json!({"keys": [server.public_value().unwrap()]}).to_string());
        bench.write("ace.toml", CONFIGURATION);
        let asked = "\n[authorization_server.introspection]\nurl = \"https://as.example/introspect\"\n";
        bench.write("opaque.toml", &CONFIGURATION.replace("\n[mqtt]", &format!("{asked}\n[mqtt]")));
        bench.write(
            "placeholders.toml",
            &CONFIGURATION.replace("as-jwks.json\"", "as-jwks.json\"\nscope_placeholders = true"),
        );
        bench.write("broken.toml", &CONFIGURATION.replace("public_subscribe", "public_subscribes"));
        let sign =
            |claims: &Value| jws::sign(claims.to_string().as_bytes(), &server, Algorithm::EdDsa, Some("JWT")).unwrap();
        let good = bench.claims();
        bench.write("sensor.jwt", &(sign(&good) + "\n"));
        let mut stray = good.clone();
        stray["aud"] = json!("other.example");
        stray["nbf"] = json!(NOW + 3600);
        stray["scope"] = json!([["sensors/#", ["read"]]]);
        bench.write("stray.jwt", &sign(&stray));
        let mut own = good.clone();
        own["scope"] = json!([["rooms/{client_id}/#", ["pub"]]]);
        bench.write("own.jwt", &sign(&own));
        for (name, key) in [("sensor", bench.key()), ("stranger", Jwk::ed25519_from_seed(&[9; 32]).unwrap())] {
            Credentials::new(&sign(&good), Some(key))
                .unwrap()
                .save(&bench.path(&format!("{name}.credentials")))
                .unwrap();
        }
        bench
    }

    fn key(&self) -> Jwk {
        Jwk::ed25519_from_seed(&[3; 32]).unwrap()
    }

    fn claims(&self) -> Value {
        json!({
            "iss": "https://as.example",
            "sub": "sensor-7",
            "aud": "broker.example",
            "iat": NOW - 10,
            "exp": NOW + 3600,
            "cnf": {"jwk": self.key().public_value().unwrap()},
            "scope": [["sensors/+/temperature", ["pub"]], ["commands/#", ["sub"]]],
            "client_id": "sensor-7",
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ace-mqtt"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).output().unwrap()
    }

    fn explain(&self, token: &[&str], more: &[&str]) -> (Value, Option<i32>) {
        let output = self.run(&[&["explain", "--config", "ace.toml", "--json", "--at", AT], token, more].concat());
        (serde_json::from_slice(&output.stdout).unwrap_or_default(), output.status.code())
    }
}

/// The words of a command, of which some are quoted.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for character in command.chars() {
        match character {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words
}

/// The page with each example's output as the program prints it, and how many there are.
fn regenerated(page: &str, bench: &Bench) -> (String, usize) {
    let (mut written, mut lines, mut examples) = (String::new(), page.lines(), 0);
    while let Some(line) = lines.next() {
        writeln!(written, "{line}").unwrap();
        if line != "```console" {
            continue;
        }
        let command = lines.next().unwrap();
        let words = words(command.strip_prefix("$ ace-mqtt ").unwrap());
        let output = bench.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8(printed).unwrap();
        writeln!(written, "{command}\n{}", printed.trim_end()).unwrap();
        writeln!(written, "```").unwrap();
        lines.find(|line| *line == "```").unwrap();
        examples += 1;
    }
    (written, examples)
}

/// `ACE_WRITE_DOCS=1 cargo test -p ace-mqtt --test explain` writes the page anew.
#[test]
fn the_page_shows_what_is_printed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/explain.md");
    let page = fs::read_to_string(&path).unwrap();
    let (regenerated, examples) = regenerated(&page, &Bench::new());
    assert!(examples >= 5, "{examples} examples");
    if std::env::var_os("ACE_WRITE_DOCS").is_some() {
        fs::write(&path, regenerated).unwrap();
    } else {
        assert_eq!(
            page, regenerated,
            "docs/explain.md shows something else than is printed: ACE_WRITE_DOCS=1 writes it anew"
        );
    }
}

#[test]
fn exit_codes_tell_yes_no_and_unknown() {
    let bench = Bench::new();
    let sensor = ["--token", "sensor.jwt"];
    let exit = |token: &[&str], more: &[&str]| bench.explain(token, more).1;
    assert_eq!(exit(&sensor, &[]), Some(0));
    assert_eq!(exit(&sensor, &["--publish", "sensors/1/temperature", "--receive", "news/x"]), Some(0));
    assert_eq!(exit(&sensor, &["--publish", "sensors/1/temperature", "--publish", "news/x"]), Some(1));
    assert_eq!(exit(&["--token", "stray.jwt"], &[]), Some(1));
    assert_eq!(exit(&["--credentials", "sensor.credentials"], &[]), Some(0));
    assert_eq!(exit(&["--credentials", "stranger.credentials"], &[]), Some(1));
    assert_eq!(exit(&["--token", "2YotnFZFEjr1zCsicMWpAA"], &[]), Some(1));
    assert_eq!(exit(&["--token", "sensor.jwt", "--config", "ace.toml"], &[]), Some(2), "twice");
    assert_eq!(exit(&sensor, &["--publish", "a/+"]), Some(2));
    assert_eq!(exit(&sensor, &["--subscribe", "a/#/b"]), Some(2));
    assert_eq!(exit(&["--token", "sensor.credentials"], &[]), Some(2), "a file of another kind");
    assert_eq!(exit(&[], &[]), Some(2));
    let with = |configuration: &str, more: &[&str]| {
        bench.run(&[&["explain", "--at", AT, "--config", configuration], more].concat()).status.code()
    };
    assert_eq!(with("opaque.toml", &["--token", "2YotnFZFEjr1zCsicMWpAA"]), Some(2));
    assert_eq!(with("placeholders.toml", &["--token", "own.jwt"]), Some(2), "whose?");
    assert_eq!(
        with("placeholders.toml", &["--token", "own.jwt", "--client-id", "7", "--publish", "rooms/7/x"]),
        Some(0)
    );
    assert_eq!(
        with("placeholders.toml", &["--token", "own.jwt", "--client-id", "7", "--publish", "rooms/8/x"]),
        Some(1)
    );
    assert_eq!(with("placeholders.toml", &["--token", "own.jwt", "--client-id", "a/b"]), Some(1));
    assert_eq!(with("broken.toml", &["--token", "sensor.jwt"]), Some(2));
    assert_eq!(bench.run(&["check-config", "ace.toml", "--offline"]).status.code(), Some(0));
    assert_eq!(bench.run(&["check-config", "broken.toml", "--offline"]).status.code(), Some(1));
    assert_eq!(bench.run(&["check-config"]).status.code(), Some(2));
}

/// What machines rely on.
#[test]
fn json_has_its_members() {
    let bench = Bench::new();
    let (report, _) = bench.explain(
        &["--token", "sensor.jwt"],
        &["--publish", "sensors/1/temperature", "--publish", "sensors/1/humidity"],
    );
    assert_eq!(report["at"], AT);
    assert_eq!(report["token"]["form"], "signed JWT");
    assert_eq!(report["token"]["is_believed"], true);
    assert_eq!(report["verdict"]["outcome"], "admitted");
    assert_eq!(report["verdict"]["user_name"], "sensor-7");
    assert_eq!(report["not_looked_at"], json!(["\"client_id\""]));
    assert_eq!(report["scope"][0], json!({"filter": "commands/#", "permissions": ["subscribe"]}));
    let [allowed, denied] = [&report["requests"][0], &report["requests"][1]];
    assert_eq!(
        *allowed,
        json!({"access": "publish", "topic": "sensors/1/temperature", "outcome": "allowed", "by": "sensors/+/temperature", "of": "scope"})
    );
    assert_eq!((&denied["outcome"], &denied["code"]), (&json!("denied"), &json!("outside-scope")));
    assert_eq!(denied["nearest"]["filter"], "sensors/+/temperature");
    let (report, _) = bench.explain(&["--token", "stray.jwt"], &["--publish", "a"]);
    assert_eq!(report["verdict"]["code"], "audience-foreign");
    assert_eq!(report["requests"][0]["outcome"], "not-admitted");
    let faults: Vec<&Value> =
        report["claims"].as_array().unwrap().iter().filter_map(|claim| claim["fault"].get("code")).collect();
    assert_eq!(faults, ["audience-foreign", "token-not-yet-valid", "scope-unknown-permission"]);
    let (report, _) = bench.explain(&["--credentials", "stranger.credentials"], &[]);
    assert_eq!((&report["verdict"]["code"], &report["verdict"]["key_fits"]), (&json!("proof-wrong"), &json!(false)));
}

#[test]
fn no_secret_is_printed() {
    let bench = Bench::new();
    let token = fs::read_to_string(bench.path("sensor.jwt")).unwrap();
    let signature = token.trim().rsplit('.').next().unwrap().to_owned();
    let private = bench.key().secret_value()["d"].as_str().unwrap().to_owned();
    for json in [&[][..], &["--json"]] {
        let asked = ["explain", "--config", "ace.toml", "--credentials", "sensor.credentials", "--at", AT];
        let output = bench.run(&[&asked, json].concat());
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(printed.contains("sensor-7"), "{printed}");
        for secret in [&signature, &private, &base64url::encode(token.trim().as_bytes())] {
            assert!(!printed.contains(secret.as_str()), "{secret} in {printed}");
        }
    }
}
