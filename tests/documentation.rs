//! The documentation keeps up with the code: every reason has its line, every key its description, and the example
//! configurations load.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ace_profile::connect::{AuthenticationData, ChallengeAnswer, Draft00, PskIdentity, encode_username};
use ace_profile::jose::Jwk;
use ace_profile::proof::{EXPORTER_BYTES, EXPORTER_LABEL, Freshness, ProofKey, challenge_message, draft00_message};
use ace_profile::{Refusal, base64url};
use ace_resource_server::config::HeldBounds;
use ace_resource_server::config::{self, Configuration, OnDenied, OtherClients, WhenUnknown};
use ace_resource_server::remote::CacheBounds;
use mosquitto_ace::control;

const KEY_FILES: [&str; 2] = ["as-jwks.json", "client-keys.jwks"];
/// Certificates of authorities, and secrets.
const AUTHORITY_FILES: [&str; 3] = ["login-ca.pem", "partner-ca.pem", "ca-cert.pem"];
const SECRET_FILES: [&str; 3] = ["partner.secret", "broker.secret", "introspection.secret"];
const JWKS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The configurations in the folder of examples.
fn examples() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("mosquitto-conf")).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    found.sort();
    found
}

/// Loads a configuration beside key files of the names that the examples use.
fn load(text: &str) -> Result<Configuration, String> {
    let folder = tempfile::tempdir().unwrap();
    for name in KEY_FILES {
        fs::write(folder.path().join(name), JWKS).unwrap();
    }
    for name in AUTHORITY_FILES {
        let key = rcgen::KeyPair::generate().unwrap();
        let authority = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        fs::write(folder.path().join(name), authority.pem()).unwrap();
    }
    for name in SECRET_FILES {
        fs::write(folder.path().join(name), "secret").unwrap();
    }
    let path = folder.path().join("ace.toml");
    fs::write(&path, text).unwrap();
    Configuration::load(&path).map_err(|error| error.to_string())
}

/// The example with every key set, those that stand as comments too.
fn everything_set() -> toml::Table {
    let text = text("mosquitto-conf/ace.toml");
    let uncommented = text.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') && !key.is_empty() => key,
        _ => line,
    });
    uncommented.collect::<Vec<_>>().join("\n").parse().unwrap()
}

/// The names of all keys and tables, at every depth.
fn names(value: &toml::Table, found: &mut BTreeSet<String>) {
    for (name, value) in value {
        found.insert(name.clone());
        match value {
            toml::Value::Table(table) => names(table, found),
            toml::Value::Array(items) => items.iter().filter_map(toml::Value::as_table).for_each(|it| names(it, found)),
            _ => {}
        }
    }
}

/// The keys that the plugin knows: the fields of the document's structs.
fn known_keys() -> BTreeSet<String> {
    let source = text("crates/ace-resource-server/src/config/document.rs");
    let fields = source.lines().filter_map(|line| line.trim().strip_prefix("pub(super) "));
    fields.filter_map(|field| field.split_once(": ")).map(|(name, _)| name.to_owned()).collect()
}

/// The codes in a function `code` of a source file: `=> "code",`.
fn codes_in(path: &str) -> Vec<String> {
    let source = text(path);
    let function = source.split_once("const fn code(").unwrap_or_else(|| panic!("{path} has no codes")).1;
    let body = function.split_once("\n    }").unwrap().0;
    let arms = body.lines().filter_map(|line| line.trim().strip_suffix("\","));
    arms.filter_map(|arm| arm.rsplit_once("=> \"")).map(|(_, code)| code.to_owned()).collect()
}

#[test]
fn every_reason_has_a_line_that_says_what_to_do() {
    let page = text("docs/troubleshooting.md");
    let mut codes: BTreeSet<String> = Refusal::CODES.iter().map(|code| (*code).to_owned()).collect();
    for (path, one_of_them) in [
        ("crates/ace-resource-server/src/reason.rs", "exporter-resumed"),
        ("crates/ace-resource-server/src/rights/denial.rs", "outside-scope"),
        ("src/control/denial.rs", "control-without-token"),
    ] {
        let found = codes_in(path);
        assert!(found.iter().any(|code| code == one_of_them), "{path}: {found:?}");
        codes.extend(found);
    }
    let has_line = |code: &String| {
        page.lines().any(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            matches!(cells[..], ["", named, meaning, action, ""]
                if named == format!("`{code}`") && !meaning.is_empty() && !action.is_empty())
        })
    };
    let missing: Vec<&String> = codes.iter().filter(|code| !has_line(code)).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md lacks {missing:?}");
    let explained = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let explained = explained.map(|(code, _)| code).filter(|code| code.contains('-') && !code.contains(' '));
    let unknown: Vec<&str> = explained.filter(|code| !codes.contains(*code)).collect();
    assert!(unknown.is_empty(), "docs/troubleshooting.md explains what cannot happen: {unknown:?}");
}

/// Requests that are shown are read as commands, and all that can come back is explained.
#[test]
fn commands_are_described_as_they_are() {
    let page = text("docs/control.md");
    let shown = page.split("```json\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(example, _)| example);
    let mut commands = BTreeSet::new();
    for example in shown {
        for asked in control::read(example.as_bytes()) {
            assert!(asked.command.is_ok(), "{example}: {:?}", asked.command);
            commands.insert(asked.name);
        }
    }
    let known = ["endSession", "endSubject", "flushCaches", "getStatus", "listSessions", "reloadKeys"];
    assert_eq!(commands, known.map(str::to_owned).into());
    assert!(known.iter().all(|command| page.contains(&format!("### {command}\n"))));
    for code in codes_in("src/control/request.rs") {
        assert!(page.contains(&format!("| `{code}` |")), "docs/control.md lacks {code}");
    }
}

#[test]
fn every_key_is_in_the_example_and_described() {
    let (known, mut shown) = (known_keys(), BTreeSet::new());
    names(&everything_set(), &mut shown);
    assert!(known.contains("audience") && known.contains("draft00_window"), "{known:?}");
    let missing: Vec<&String> = known.difference(&shown).collect();
    assert!(missing.is_empty(), "mosquitto-conf/ace.toml lacks {missing:?}");
    let page = text("docs/configuration.md");
    let missing: Vec<&String> = known
        .iter()
        .filter(|key| !page.contains(&format!("| `{key}` |")) && !page.contains(&format!("[{key}]")))
        .collect();
    assert!(missing.is_empty(), "docs/configuration.md lacks {missing:?}");
}

#[test]
fn the_examples_load() {
    let examples = examples();
    assert!(examples.len() >= 2, "{examples:?}");
    for path in examples {
        if let Err(error) = load(&fs::read_to_string(&path).unwrap()) {
            panic!("{}: {error}", path.display());
        }
    }
}

#[test]
fn the_full_example_shows_the_defaults() {
    let example = load(&text("mosquitto-conf/ace.toml")).unwrap();
    let smallest =
        load("audience = \"broker.example\"\n[[authorization_server]]\nissuer = \"x\"\njwks = \"as-jwks.json\"")
            .unwrap();
    for configuration in [example, smallest] {
        let Configuration { state_dir, on_denied_publish, on_denied_delivery, other_clients, .. } = &configuration;
        assert_eq!(*state_dir, None);
        assert_eq!((*on_denied_publish, *on_denied_delivery), (OnDenied::Disconnect, OnDenied::Disconnect));
        assert_eq!(*other_clients, OtherClients::Refuse);
        assert!(
            !configuration.allow_anonymous && !configuration.raw_public_keys && configuration.public.matcher.is_empty()
        );
        assert_eq!(configuration.draft00, config::Draft00 { enabled: true, window: Some(Duration::from_secs(60)) });
        assert_eq!((&configuration.authz_info, configuration.held), (&None, HeldBounds::default()));
        assert!(configuration.introspection.is_empty());
        assert_eq!(configuration.introspection_bounds, CacheBounds::default());
        assert_eq!(configuration.when_unknown, WhenUnknown::Wait { longest: Duration::from_secs(2) });
        let policy = configuration.validator.policy();
        assert_eq!(policy.leeway, Duration::from_secs(5));
        assert!(!policy.allow_bearer && !policy.allow_no_expiry);
    }
}

/// Each broker's example names the plugin's of the same name, each of the plugin's has one, and the folder's page shows both.
#[test]
fn the_examples_are_pairs_that_the_page_shows() {
    let page = text("mosquitto-conf/README.md");
    let mut confs: Vec<String> = fs::read_dir(root().join("mosquitto-conf"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".conf"))
        .collect();
    confs.sort();
    let mut named = BTreeSet::new();
    for conf in &confs {
        let plugin = if conf == "mosquitto.conf" { "ace.toml".to_owned() } else { conf.replace(".conf", ".toml") };
        let line = format!("plugin_opt_config_file /etc/mosquitto/{plugin}");
        let broker = text(&format!("mosquitto-conf/{conf}"));
        assert!(broker.lines().any(|it| it == line), "{conf}: {line}");
        assert!(broker.lines().any(|it| it == "check_retain_source true"), "{conf}");
        for file in [conf, &plugin] {
            assert!(page.contains(&format!("]({file})")), "mosquitto-conf/README.md lacks {file}");
        }
        named.insert(plugin);
    }
    let plugins: BTreeSet<String> =
        examples().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(plugins, named);
    assert!(confs.len() >= 8, "{confs:?}");
    for beside in ["ace-beside-passwords.toml", "ace-beside-certificates.toml"] {
        assert_eq!(load(&text(&format!("mosquitto-conf/{beside}"))).unwrap().other_clients, OtherClients::Defer);
    }
}

/// What the plain example asks to be edited is two lines, and no more is needed beside the server's keys in their file.
#[test]
fn two_edits_make_the_plain_example_ones_own() {
    let example = text("mosquitto-conf/ace.toml");
    assert_eq!(example.matches("EDIT ").count(), 2);
    let edited = example
        .replace("\naudience = \"broker.example\"", "\naudience = \"mqtt.test\"")
        .replace("\nissuer = \"https://as.example\"", "\nissuer = \"https://login.test\"");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ace.toml");
    fs::write(&path, &edited).unwrap();
    let missing = Configuration::load(&path).err().unwrap().to_string();
    assert!(missing.contains("as-jwks.json: cannot be opened"), "{missing}");
    fs::write(folder.path().join("as-jwks.json"), JWKS).unwrap();
    Configuration::load(&path).unwrap();
    let set: Vec<&str> = edited.lines().filter(|line| line.contains(".example")).collect();
    assert!(set.iter().all(|line| line.starts_with('#')), "{set:?}");
}

/// What clients are shown to send is what the plugin would take.
#[test]
fn the_clients_worked_examples_are_right() {
    let page = text("docs/clients.md");
    let key: Vec<u8> = (0..32).collect();
    let key = ProofKey::from_jwk(&Jwk::from_symmetric(&key).unwrap()).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let exported = key.prove(&[7; EXPORTER_BYTES]).unwrap();
    let data = AuthenticationData::WithProof { token: b"aa.bb.cc", proof: &exported }.encode().unwrap();
    let challenge = AuthenticationData::Challenge { token: b"aa.bb.cc" }.encode().unwrap();
    let (broker, client) = ([1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11, 12, 13, 14, 15, 16]);
    let answered = key.prove(&challenge_message(&broker, &client)).unwrap();
    let answer = ChallengeAnswer { client_nonce: client, proof: &answered }.encode();
    let without_blanks = page.replace(' ', "");
    for bytes in [hex(&data), hex(&challenge), hex(&challenge_message(&broker, &client)), hex(&answer)] {
        assert!(without_blanks.contains(&bytes), "docs/clients.md lacks {bytes}");
    }
    let freshness = Freshness { ts: 1_700_000_000, nonce: "AAECAwQFBgcICQoLDA0ODw".to_owned() };
    let message = draft00_message("sensor-1", "broker.example", freshness.ts, &freshness.nonce);
    let shown = String::from_utf8(message.clone()).unwrap().replace('\n', "\\n");
    let timed = base64url::encode(&key.prove(&message).unwrap());
    let mac = base64url::encode(&exported);
    for text in [&shown, &timed, &mac, EXPORTER_LABEL, &encode_username("aa.bb.cc")] {
        assert!(page.contains(text), "docs/clients.md lacks {text}");
    }
    let objects = page.lines().filter(|line| line.starts_with("{\"access_token\""));
    let read: Vec<Draft00> = objects.map(|line| Draft00::parse(line.as_bytes()).unwrap()).collect();
    let is_right = |form: &Draft00, proof: &str, dated: bool| {
        form.token == "aa.bb.cc" && base64url::encode(&form.proof) == proof && form.freshness.is_some() == dated
    };
    assert!(matches!(&read[..], [plain, dated] if is_right(plain, &mac, false) && is_right(dated, &timed, true)));
    assert_eq!(read.last().and_then(|dated| dated.freshness.clone()), Some(freshness));
}

/// The PSK identities that clients are shown name the key that they should.
#[test]
fn the_psk_identities_shown_are_right() {
    let page = text("docs/clients.md");
    let json = r#"{"cnf":{"jwk":{"kty":"oct","kid":"key-7"}}}"#;
    let cbor = [&[0xa1, 8, 0xa1, 1, 0xa2, 1, 4, 2, 0x45][..], b"key-7"].concat();
    for identity in [json.as_bytes(), &cbor, b"key-7"] {
        assert_eq!(PskIdentity::parse(identity), Ok(PskIdentity::KeyId("key-7".into())));
    }
    let hex: String = cbor.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(page.contains(json) && page.replace(' ', "").contains(&hex), "docs/clients.md lacks {hex}");
}

/// How a page calls the section with this heading: as GitHub does.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
    kept.map(|it| if it == ' ' { '-' } else { it.to_ascii_lowercase() }).collect()
}

/// Whether a page has a section that is called so.
fn has_section(page: &str, name: &str) -> bool {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings.map(anchor).any(|anchor| anchor == name)
}

#[test]
fn sections_are_called_as_they_should_be() {
    let page = "# It connects, and then…\n## Lines about a server's keys\n### `[mqtt]`\n";
    for name in ["it-connects-and-then", "lines-about-a-servers-keys", "mqtt"] {
        assert!(has_section(page, name), "{name}");
    }
    assert!(!has_section(page, "it-connects"));
}

/// What the plugin says of servers, and of addresses that it cannot use, is where a reader looks for it.
#[test]
fn what_is_said_of_servers_is_explained() {
    let pages = text("docs/troubleshooting.md") + &text("docs/authorization-servers.md");
    let source = text("crates/ace-resource-server/src/remote/https.rs");
    let said = source.lines().filter_map(|line| line.trim().strip_prefix("#[error(\"")?.strip_suffix("\")]"));
    // The first words of it, up to where a value stands.
    let parts = said.filter_map(|said| said.split(['{', '}', ':', '(']).map(str::trim).find(|part| part.len() > 8));
    let parts: Vec<&str> = parts.collect();
    assert!(parts.len() >= 8, "{parts:?}");
    let missing: Vec<&&str> = parts.iter().filter(|part| !pages.contains(**part)).collect();
    assert!(missing.is_empty(), "neither page has {missing:?}");
}

/// What a reader is to write into ace.toml for each server can be written there.
#[test]
fn what_is_shown_for_each_server_loads() {
    let page = text("docs/authorization-servers.md");
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 7, "{}", blocks.len());
    for block in blocks {
        if let Err(error) = load(&block.replace("/etc/mosquitto/", "")) {
            panic!("{error}\n{block}");
        }
    }
}

/// Links between the project's own pages lead somewhere.
#[test]
fn links_lead_somewhere() {
    let mut pages = vec![PathBuf::from("README.md"), PathBuf::from("CHANGELOG.md")];
    for folder in ["docs", "docs/decisions", "mosquitto-conf"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name();
            pages.push(Path::new(folder).join(name));
        }
    }
    let mut examples = Vec::new();
    example_files(&root().join("examples"), &mut examples);
    pages.extend(examples.iter().map(|file| file.strip_prefix(root()).unwrap().to_owned()));
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    assert!(pages.len() > 8, "{pages:?}");
    for page in pages {
        let text = text(page.to_str().unwrap());
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") {
                continue;
            }
            let target = match file {
                "" => root().join(&page),
                file => root().join(page.parent().unwrap()).join(file),
            };
            assert!(target.exists(), "{}: {link}", page.display());
            if !section.is_empty() {
                assert!(has_section(&fs::read_to_string(target).unwrap(), section), "{}: {link}", page.display());
            }
        }
    }
}

/// The files of the examples, with their folders.
fn example_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let is_installed = ["node_modules", "venv"].iter().any(|name| path.ends_with(name));
        match path.is_dir() {
            true if is_installed => {}
            true => example_files(&path, found),
            false => found.push(path),
        }
    }
}

/// What the page for device developers shows of the programs is in the programs, word for word.
#[test]
fn code_shown_to_device_developers_is_that_of_the_examples() {
    let mut files = Vec::new();
    example_files(&root().join("examples"), &mut files);
    let programs: Vec<(PathBuf, String)> =
        files.into_iter().filter_map(|file| fs::read_to_string(&file).ok().map(|text| (file, text))).collect();
    let page = text("docs/clients.md");
    let mut found = BTreeSet::new();
    for block in page.split("```").skip(1).step_by(2) {
        let (language, code) = block.split_once('\n').unwrap();
        let kinds: &[&str] = match language {
            "rust" => &["rs"],
            "python" => &["py"],
            "js" => &["mjs"],
            "c" => &["c", "h"],
            "cpp" => &["h", "cpp"],
            // Bytes, JSON, and commands that stand for themselves.
            "" | "json" | "sh" => continue,
            other => panic!("docs/clients.md: code in {other:?} that no test runs"),
        };
        let is_of_this_kind = |file: &Path| kinds.iter().any(|kind| file.extension().is_some_and(|its| its == *kind));
        let shown = programs.iter().any(|(file, program)| is_of_this_kind(file) && program.contains(code));
        assert!(shown, "docs/clients.md shows what is in no example:\n{code}");
        found.insert(language);
    }
    assert_eq!(found.len(), 5, "{found:?}");
}

/// Each example says how to run it, and is in the list of them.
#[test]
fn every_example_has_a_readme_and_is_listed() {
    let (list, page) = (text("examples/README.md"), text("docs/clients.md"));
    let folders: Vec<PathBuf> = fs::read_dir(root().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    assert!(folders.len() >= 6, "{folders:?}");
    for folder in folders {
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(text(&format!("examples/{name}/README.md")).contains("(../README.md#the-set-up)"), "{name}");
        assert!(list.contains(&format!("]({name})")) && page.contains(&format!("(../examples/{name})")), "{name}");
    }
}
