//! What is documented of the metrics, and shown by the dashboard, is what the plugin tells: nothing more, nothing less.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mosquitto_ace::broker::fake::Fake;
use mosquitto_ace::metrics::{Family, Kind, PREFIX};
use mosquitto_ace::plugin::Plugin;
use serde_json::Value;

fn text(path: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the plugin tells. Fetched keys, revocation lists and asked servers are configured, so that they have numbers.
fn families() -> Vec<Family> {
    let folder = tempfile::tempdir().unwrap();
    let config = "audience = \"broker\"\n[[authorization_server]]\nissuer = \"https://localhost:1\"\n\
                  jwks = \"https://localhost:1/jwks\"\n\
                  [authorization_server.introspection]\nurl = \"https://localhost:1/introspect\"\n\
                  [authorization_server.revocation_list]\nurl = \"https://localhost:1/trl\"\n";
    let path = folder.path().join("ace.toml");
    fs::write(&path, config).unwrap();
    let fake: Fake<Plugin> =
        Fake::load(&[("config_file", path.to_str().unwrap())]).unwrap_or_else(|(_, log)| panic!("{log:?}"));
    fake.plugin().metrics()
}

/// The names of the plugin's metrics in a text, without what they all begin with.
fn named_in(text: &str) -> BTreeSet<String> {
    let after = text.split(PREFIX).skip(1);
    after
        .map(|rest| rest.chars().take_while(|it| *it == '_' || it.is_ascii_lowercase()).collect())
        .filter(|name: &String| !name.is_empty())
        .collect()
}

/// The names that Prometheus has for the numbers of a family.
fn series(family: &Family) -> Vec<String> {
    match family.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", family.name)).into(),
        Kind::Counter | Kind::Gauge => vec![family.name.to_owned()],
    }
}

#[test]
fn each_metric_is_documented_with_its_type_and_labels() {
    let page = text("docs/metrics.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .filter(|cells: &Vec<&str>| cells.len() == 5)
        .collect();
    let families = families();
    assert!(families.len() > 30);
    for family in &families {
        let name = format!("`{}`", family.name);
        let row = rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("docs/metrics.md lacks {name}"));
        assert_eq!(row[1], family.kind.name(), "{name}");
        let documented: BTreeSet<String> =
            row[2].split(", ").map(|label| label.trim_matches('`').to_owned()).filter(|it| !it.is_empty()).collect();
        let told: BTreeSet<String> =
            family.samples.iter().flat_map(|sample| sample.labels().map(|(name, _)| (*name).to_owned())).collect();
        // Ages are missing until there is something that has one.
        if !family.samples.is_empty() {
            assert_eq!(documented, told, "{name}");
        }
        assert!(!row[3].is_empty(), "{name}");
    }
    for row in &rows {
        let known = families.iter().any(|family| row[0] == format!("`{}`", family.name));
        assert!(known, "docs/metrics.md explains what is not told: {}", row[0]);
    }
    // Each value of a label that is not open has its word, the codes of reasons theirs in docs/troubleshooting.md.
    for family in families {
        for (label, value) in family.samples.iter().flat_map(|sample| sample.labels()) {
            if !["code", "issuer", "le", "version", "broker"].contains(label) {
                assert!(
                    page.contains(&format!("`{value}`")),
                    "docs/metrics.md lacks {label} {value} of {}",
                    family.name
                );
            }
        }
    }
}

#[test]
fn alerts_are_about_what_is_told() {
    let known: BTreeSet<String> = families().iter().flat_map(series).collect();
    let named = named_in(&text("docs/metrics.md"));
    let unknown: Vec<&String> = named.difference(&known).collect();
    assert!(named.len() > 5 && unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_dashboard_shows_what_is_told() {
    let dashboard: Value = serde_json::from_str(&text("docs/grafana-dashboard.json")).unwrap();
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 36));
    assert!(dashboard["title"].is_string() && dashboard["uid"].is_string() && dashboard["time"]["from"].is_string());
    assert!(dashboard.get("id").is_none_or(Value::is_null), "an id would be that of one Grafana");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let sources: Vec<_> = variables.iter().filter(|variable| variable["type"] == "datasource").collect();
    assert!(matches!(sources[..], [source] if source["query"] == "prometheus" && source["name"] == "datasource"));
    let (mut shown, mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let panels = dashboard["panels"].as_array().unwrap();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is another's");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + w <= 24 && w > 0 && h > 0, "{title}");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{title} lies over another");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        assert!(panel["description"].as_str().is_some_and(|it| !it.is_empty()), "{title}");
        let targets = panel["targets"].as_array().unwrap();
        let letters: BTreeSet<_> = targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
        assert!(!targets.is_empty() && letters.len() == targets.len(), "{title}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            let named = named_in(target["expr"].as_str().unwrap());
            assert!(!named.is_empty(), "{title}");
            shown.extend(named);
        }
    }
    for variable in variables.iter().filter_map(|variable| variable["definition"].as_str()) {
        shown.extend(named_in(variable));
    }
    let known: BTreeSet<String> = families().iter().flat_map(series).collect();
    let unknown: Vec<&String> = shown.difference(&known).collect();
    assert!(unknown.is_empty(), "the plugin does not tell {unknown:?}");
    let missing: Vec<&String> = known.difference(&shown).collect();
    assert!(missing.is_empty(), "no panel shows {missing:?}");
}
