//! The plugin as a shared object in a C program that plays a broker of either interface (tests/c_host/): layouts, ownership,
//! and every event in awkward orders, watched by valgrind and by the compiler's sanitizers.
//!
//! What is built here is in C on purpose: the plugin meets its broker as C, and a mistake on the way shows only there.
//! `cargo test --test c_host` takes the plugin that `cargo build --release` has built (`ACE_PLUGIN` names another one).
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets something unexpected should stop there and say so"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, thread};

use ace_profile::jose::jwe::{self, Encryption, Management};
use ace_profile::jose::{Algorithm, Jwk, jws};
use ace_profile::proof::EXPORTER_LABEL;
use ace_profile::random::SystemRandom;
use serde_json::{Value, json};

const ISSUER: &str = "https://as.test";
const AUDIENCE: &str = "broker.test";
/// How long one run of the host may take: it takes a tenth of that under valgrind.
const DEADLINE: Duration = Duration::from_secs(240);
/// What valgrind and the sanitizers end the host with when they find something; the host itself uses 1.
const FINDING: &str = "99";

#[test]
fn the_plugin_keeps_to_the_interface() {
    let folder = tempfile::tempdir().unwrap();
    for broker in BROKERS {
        let host = build(folder.path(), broker, &["-O2"]);
        let output = play(folder.path(), broker, &mut Command::new(host), &[]);
        assert!(output.starts_with("broker 2."), "{output}");
    }
}

#[test]
fn valgrind_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for broker in BROKERS {
        let host = build(folder.path(), broker, &["-O1"]);
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=memcheck", "--quiet", "--leak-check=full", "--num-callers=40"]);
        valgrind.args(["--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]);
        valgrind.arg(format!("--error-exitcode={FINDING}")).arg(host);
        play(folder.path(), broker, &mut valgrind, &[]);
    }
}

#[test]
fn the_sanitizers_find_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let watched = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];
    for broker in BROKERS {
        let host = build(folder.path(), broker, &watched);
        let options = format!("exitcode={FINDING}");
        let address = format!("{options}:detect_leaks=1:strict_string_checks=1");
        let settings = [("ASAN_OPTIONS", address.as_str()), ("UBSAN_OPTIONS", options.as_str())];
        play(folder.path(), broker, &mut Command::new(host), &settings);
    }
}

/// The tools must be able to find something, or finding nothing means nothing.
#[test]
fn the_tools_find_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("mistake.c");
    fs::write(&source, "#include <stdlib.h>\nint main(void) { volatile char *block = malloc(8); return block[8]; }\n")
        .unwrap();
    for (tool, arguments) in [("valgrind", &["-O0"][..]), ("sanitizer", &["-O0", "-fsanitize=address"][..])] {
        let program = folder.path().join(tool);
        run_compiler(Command::new("cc").args(arguments).arg(&source).arg("-o").arg(&program));
        let mut command = if tool == "valgrind" { Command::new("valgrind") } else { Command::new(&program) };
        if tool == "valgrind" {
            command.args(["--quiet", &format!("--error-exitcode={FINDING}")]).arg(&program);
        }
        let output = command.env("ASAN_OPTIONS", format!("exitcode={FINDING}")).output().expect("the tool starts");
        assert_eq!(output.status.code(), Some(99), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A broker's interface, and the file that makes the difference.
const BROKERS: [&str; 2] = ["broker_2_0.c", "broker_2_1.c"];

/// Builds the host for one broker.
fn build(folder: &Path, broker: &str, arguments: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources: Vec<PathBuf> = fs::read_dir(root.join("tests/c_host"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default();
            name == broker || BROKERS.iter().all(|broker| name != *broker)
        })
        .collect();
    sources.sort();
    let host = folder.join(broker).with_extension("host");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-D_GNU_SOURCE", "-g", "-Wall", "-Wextra", "-Wshadow", "-Wconversion"]);
    // The plugin looks the broker's functions up among the program's own: it must offer them.
    compiler.args(["-Wno-sign-conversion", "-Werror", "-pthread", "-rdynamic"]).args(arguments);
    compiler.arg("-I").arg(root.join("include")).args(sources).arg("-o").arg(&host).arg("-ldl");
    run_compiler(&mut compiler);
    host
}

fn run_compiler(compiler: &mut Command) {
    let output = compiler.output().unwrap_or_else(|error| panic!("cc: {error}: run `cargo xtask setup`"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs the host, alone or under a tool, in a folder of its own; gives what it says at the end.
fn play(folder: &Path, broker: &str, command: &mut Command, settings: &[(&str, &str)]) -> String {
    let work = folder.join(broker).with_extension("folder");
    fs::create_dir(&work).unwrap();
    furnish(&work);
    let [out, err] = ["out", "err"].map(|name| work.join(name));
    command.arg(plugin()).arg(&work).envs(settings.iter().copied());
    command.stdin(Stdio::null()).stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let program = command.get_program().to_owned();
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask setup`", program.to_string_lossy()));
    let deadline = Instant::now() + DEADLINE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{broker}: not done after {DEADLINE:?}\n{}", fs::read_to_string(&err).unwrap());
        }
        thread::sleep(Duration::from_millis(20));
    };
    let complaints = String::from_utf8_lossy(&fs::read(&err).unwrap()).into_owned();
    assert!(status.success(), "{broker}: {status}\n{complaints}");
    assert!(complaints.is_empty(), "{broker}:\n{complaints}");
    fs::read_to_string(&out).unwrap()
}

/// The shared object to load.
fn plugin() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let usual = target.join("release/libmosquitto_ace.so");
    let plugin = env::var_os("ACE_PLUGIN").map_or(usual, PathBuf::from);
    fs::canonicalize(&plugin).unwrap_or_else(|error| {
        panic!("{}: {error}: run `cargo build --release` first, or set ACE_PLUGIN to the plugin", plugin.display())
    })
}

/// Keys, tokens and configurations: what tests/c_host/tokens.h says is there.
fn furnish(folder: &Path) {
    let write = |name: &str, content: &[u8]| fs::write(folder.join(name), content).unwrap();
    let symmetric = |kid: &str| Jwk::generate_symmetric(32, &mut SystemRandom).unwrap().with_kid(kid);
    let (signing, shared) = (symmetric("as").with_use("sig"), symmetric("shared").with_use("enc"));
    let (device, hidden) = (symmetric("device"), symmetric("hidden"));
    let jwks = |keys: &[&Jwk]| json!({ "keys": keys.iter().map(|key| key.secret_value()).collect::<Value>() });

    write("as.jwks", jwks(&[&signing, &shared]).to_string().as_bytes());
    write("clients.jwks", jwks(&[&device]).to_string().as_bytes());
    write("device.key", device.symmetric_bytes().unwrap());
    write("hidden.key", hidden.symmetric_bytes().unwrap());
    write("exporter-label", EXPORTER_LABEL.as_bytes());

    let encrypted = jwe::encrypt(
        hidden.secret_value().to_string().as_bytes(),
        &shared,
        Management::A256Kw,
        Encryption::A128Gcm,
        None,
        &mut SystemRandom,
    )
    .unwrap();
    let by_name = json!({ "kid": "device" });
    let day = 86_400;
    for (name, key, subject, cnf, filter, lifetime) in [
        ("bearer", &signing, "bearer", None, "dev/#", day),
        ("nobody", &signing, "", None, "dev/#", day),
        ("operator", &signing, "operator", None, "$CONTROL/ace/#", day),
        ("device", &signing, "device", Some(&by_name), "dev/#", day),
        ("less", &signing, "device", Some(&by_name), "less/#", day),
        ("brief", &signing, "device", Some(&by_name), "dev/#", 600),
        ("brief-bearer", &signing, "bearer", None, "dev/#", 600),
        ("hidden", &signing, "hidden", Some(&json!({ "jwe": encrypted })), "dev/#", day),
        ("other", &signing, "other", Some(&by_name), "dev/#", day),
        ("ended", &signing, "device", Some(&by_name), "dev/#", -3_600),
        ("forged", &symmetric("as"), "device", Some(&by_name), "dev/#", day),
    ] {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "exp": now.saturating_add_signed(lifetime),
            "scope": [[filter, ["pub", "sub"]]],
        });
        if !subject.is_empty() {
            claims["sub"] = json!(subject);
        }
        if let Some(cnf) = cnf {
            claims["cnf"] = cnf.clone();
        }
        let token = jws::sign(claims.to_string().as_bytes(), key, Algorithm::Hs256, Some("JWT")).unwrap();
        write(&format!("{name}.jwt"), token.as_bytes());
    }

    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    write("server.pem", certified.cert.pem().as_bytes());
    write("server.key", certified.signing_key.serialize_pem().as_bytes());

    let config = |top: &str, mqtt: &str, tokens: &str| {
        format!(
            "audience = \"{AUDIENCE}\"\n{top}[[authorization_server]]\nissuer = \"{ISSUER}\"\njwks = \"as.jwks\"\n\
             [mqtt]\npublic_publish = [\"hello/#\"]\npublic_subscribe = [\"hello/#\"]\n{mqtt}\
             [tokens]\nleeway = \"0s\"\nclient_keys = \"clients.jwks\"\n{tokens}"
        )
    };
    let bearer = "allow_bearer = true\n";
    let others = "allow_anonymous = true\nother_clients = \"defer\"\non_denied_publish = \"drop\"\n";
    fs::create_dir(folder.join("state")).unwrap();
    write("ace.toml", config("", "", bearer).as_bytes());
    let topic = "authz_info_topic = \"authz-info\"\nauthz_info_rate = 0\nauthz_info_rate_total = 0\n";
    write("tokens.toml", config("", topic, bearer).as_bytes());
    write("strict.toml", config("", "", "").as_bytes());
    write("open.toml", config("", others, bearer).as_bytes());
    write("state.toml", config("state_dir = \"state\"\n", "", bearer).as_bytes());
    write("broken.toml", b"audience = \n");
}
