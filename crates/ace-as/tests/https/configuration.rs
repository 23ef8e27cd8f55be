//! Mistakes in `as.toml`: each is refused with file, line and reason, and no secret in it.

use std::fs;

use ace_as::Config;
use ace_as::init::{self, Options};

/// The place and reason of the mistake that one replacement makes; the first line of `to` must be to blame.
fn mistake(from: &str, to: &str) -> (usize, String) {
    let folder = tempfile::tempdir().unwrap();
    init::init(&Options::new(folder.path())).unwrap();
    let path = folder.path().join("as.toml");
    let good = fs::read_to_string(&path).unwrap();
    assert!(good.contains(from), "{from}");
    fs::write(&path, good.replacen(from, to, 1)).unwrap();
    let error = Config::load(&path).expect_err(to);
    assert_eq!(error.file, path);
    let text = error.to_string();
    assert!(text.starts_with(&format!("{}:{}: ", path.display(), error.line.unwrap())), "{text}");
    (error.line.unwrap(), error.reason)
}

#[track_caller]
fn refused(from: &str, to: &str, words: &str) {
    let (_, reason) = mistake(from, to);
    assert!(reason.contains(words), "{to}: {reason}");
}

#[test]
fn the_line_is_told() {
    let (line, reason) = mistake("issuer = ", "surprise = 1\nissuer = ");
    assert_eq!(line, 4, "{reason}");
    assert!(reason.contains("surprise"), "{reason}");
}

#[test]
fn unknown_keys_are_refused_everywhere() {
    refused("[tls]\n", "[tls]\nciphers = \"weak\"\n", "ciphers");
    refused("[[audience]]\n", "[[audience]]\nnick = \"b\"\n", "nick");
    refused("[[resource_server]]\n", "[[resource_server]]\nnick = \"b\"\n", "nick");
    refused("[[client]]\n", "[[client]]\nnick = \"b\"\n", "nick");
    refused("[[administrator]]\n", "[[administrator]]\nnick = \"b\"\n", "nick");
    refused("[tls]\n", "[surprise]\n[tls]\n", "surprise");
}

#[test]
fn values_are_checked() {
    refused("https://localhost:8443", "http://localhost:8443", "https");
    refused("https://localhost:8443", "https://", "https");
    refused("https://localhost:8443", "https://localhost/?a", "https");
    refused("127.0.0.1:8443", "localhost", "address");
    refused("\"1h\"", "\"1 hour\"", "duration");
    refused("\"1h\"", "\"0\"", "duration");
    refused("\"1h\"", "3600", "string");
    refused("[\"sensors/#\"]", "[\"sensors/#/x\"]", "topic filter");
    refused("audiences = [\"broker.example\"]", "audiences = [\"elsewhere\"]", "elsewhere");
    refused("audiences = [\"broker.example\"]", "audiences = []", "at least one");
    refused("id = \"dashboard\"", "id = \"sensor\"", "already");
    refused("id = \"dashboard\"", "id = \"broker\"", "already");
    refused("id = \"dashboard\"", "id = \"administrator\"", "already");
    refused("id = \"administrator\"", "id = \"broker\"", "already");
    refused("id = \"dashboard\"", "id = \"\"", "name");
    refused("[[resource_server]]", "[[resource_server]]\nmay_revoke = \"yes\"", "boolean");
    refused("\"as-state.jsonl\"", "\"\"", "not the name of a file");
    refused("\"as-state.jsonl\"", "\".\"", "not the name of a file");
    refused("\"as-state.jsonl\"", "\"none/as-state.jsonl\"", "no such folder");
    refused("[[audience]]", "[[audience]]\nname = \"broker.example\"\n[[audience]]", "already");
    refused("[[audience]]", "[[audience]]\ntoken_format = \"cwt\"", "token_format");
    refused("[[audience]]", "[[audience]]\nkey_management = \"RSA-OAEP\"", "key_management");
    refused("[[audience]]", "[[audience]]\nkey_management = \"dir\"\ncontent_encryption = \"A128GCM\"", "key");
}

#[test]
fn files_are_checked() {
    refused("signing-key.jwk", "missing.jwk", "missing.jwk");
    refused("signing-key.jwk", "as-cert.pem", "as-cert.pem");
    refused("signing-key.jwk", "broker-shared-key.jwk", "symmetric");
    refused("signing-key.jwk", "broker-public-key.jwk", "private half");
    refused("broker-shared-key.jwk", "signing-key.jwk", "symmetric");
    refused("broker-public-key.jwk", "signing-key.jwk", "public key");
    refused("broker-public-key.jwk", "broker-shared-key.jwk", "public key");
    refused("as-cert.pem", "as-key.pem", "no certificate");
    refused("key = \"as-key.pem\"", "key = \"broker-key.pem\"", "certificate and key");
    refused("key = \"as-key.pem\"", "key = \"as-cert.pem\"", "as-cert.pem");
    refused("sensor.secret", "no.secret", "no.secret");
    let published = |rest: &str| format!("[[published_key]]\n{rest}\n[tls]");
    refused("[tls]", &published("file = \"missing.jwk\""), "missing.jwk");
    refused("[tls]", &published("file = \"broker-shared-key.jwk\""), "symmetric");
    refused("[tls]", &published("file = \"signing-key.jwk\""), "already");
    for until in ["2030-01-31", "12:00:00", "2030-01-31T12:00:00", "1969-01-01T00:00:00Z"] {
        refused("[tls]", &published(&format!("file = \"broker-public-key.jwk\"\nuntil = {until}")), "offset");
    }
    refused("[tls]", &published("file = \"broker-public-key.jwk\"\nuntil = \"soon\""), "");
}

#[test]
fn there_is_exactly_one_secret_and_it_is_not_shown() {
    let secret = "hush-hush-hush-hush";
    for (to, words) in [
        ("", "exactly one"),
        (&format!("secret = \"{secret}\"\nsecret_file = \"sensor.secret\""), "exactly one"),
        ("secret = \"\"", "empty"),
        ("secret = 123456", "text in quotes"),
        (&format!("secret = [\"{secret}\"]"), "text in quotes"),
        (&format!("secret_sha256 = \"{secret}\""), "hexadecimal"),
        (&format!("secret = \"{secret}"), ""),
        (&format!("secrets = \"{secret}\""), "secrets"),
    ] {
        let (_, reason) = mistake("secret_file = \"sensor.secret\"", to);
        assert!(reason.contains(words), "{to}: {reason}");
        assert!(!reason.contains(secret) && !reason.contains("123456"), "{reason}");
    }
}

#[test]
fn a_file_that_is_missing_or_not_text_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("as.toml");
    let error = Config::load(&path).unwrap_err();
    assert_eq!((error.file.as_path(), error.line), (path.as_path(), None));
    fs::write(&path, b"issuer = \"\xff\"").unwrap();
    assert!(Config::load(&path).unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn what_is_unwise_is_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    init::init(&Options::new(folder.path())).unwrap();
    let path = folder.path().join("as.toml");
    assert!(Config::load(&path).unwrap().warnings.is_empty());
    fs::write(folder.path().join("sensor.secret"), "short\n").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(folder.path().join("signing-key.jwk"), open).unwrap();
    let warnings = Config::load(&path).unwrap().warnings.join("\n");
    assert!(warnings.contains("\"sensor\"") && warnings.contains("signing-key.jwk"), "{warnings}");
    assert!(!warnings.contains("short\""), "{warnings}");
}

#[test]
fn the_examples_are_good() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut count = 0;
    for entry in fs::read_dir(examples).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        init::init(&Options::new(folder.path())).unwrap();
        for secret in text.lines().filter_map(|line| line.strip_prefix("secret_file = ")) {
            let name = secret.trim_matches('"');
            fs::copy(folder.path().join("sensor.secret"), folder.path().join("copy")).unwrap();
            fs::rename(folder.path().join("copy"), folder.path().join(name)).unwrap();
        }
        let path = folder.path().join("as.toml");
        fs::write(&path, text).unwrap();
        assert_eq!(Config::load(&path).unwrap().warnings, Vec::<String>::new());
        count += 1;
    }
    assert_eq!(count, 2);
}

/// The table of keys in the README has every key that there is, by the reader's own account of them.
#[test]
fn the_readme_knows_every_key() {
    let readme = fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for table in
        ["[tls]", "[[audience]]", "[[resource_server]]", "[[client]]", "[[administrator]]", "[[published_key]]"]
    {
        // Not every table is in the sample, and two of a name may be.
        let rest = if table == "[tls]" { "" } else { "[tls]\n" };
        let (_, reason) = mistake("[tls]\n", &format!("{table}\nsurprise = 1\n{rest}"));
        let (_, known) = reason.split_once("expected").unwrap_or_else(|| panic!("{reason}"));
        for key in known.split('`').skip(1).step_by(2) {
            assert!(readme.contains(&format!("`{key}`")), "{key} of {table}");
        }
    }
}
