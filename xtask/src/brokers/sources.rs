//! Which Debian mirror this machine uses: read from its own apt sources, so that none is written down here.
//!
//! Both formats are read: one-line (`sources.list`, `*.list`) and deb822 (`*.sources`).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A Debian archive, and how apt is to trust it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The archive's address, as apt takes it.
    pub uri: String,
    /// Further deb822 fields that belong to it, each a whole line or more: `Signed-By`, `Trusted`.
    pub trust: Vec<String>,
}

/// One place that apt gets packages from.
#[derive(Debug, Default)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    trust: Vec<String>,
}

/// Suites that only a Debian archive has, beside the machine's own.
const DEBIAN_SUITES: [&str; 9] =
    ["bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable", "oldoldstable"];

/// Finds the Debian mirror in the apt configuration below `etc_apt` (`/etc/apt`).
///
/// # Errors
/// The machine has no apt sources, or none of a Debian archive; the error says what to do.
pub fn mirror(etc_apt: &Path) -> Result<Mirror> {
    let files = source_files(etc_apt);
    if files.is_empty() {
        bail!(
            "this machine is not Debian-like: it has no apt sources in {}.\n\
             The brokers come from Debian's packages; run this on Debian 12 or newer (a container will do).",
            etc_apt.display()
        );
    }
    let mut candidates = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let sources = match file.extension() {
            Some(ending) if ending == "sources" => deb822(&text),
            _ => text.lines().filter_map(one_line).collect(),
        };
        candidates.extend(sources.into_iter().filter_map(debian_archive));
    }
    // Other archives have suites called "stable", too; Debian's own are nearly always at …/debian.
    let usual = candidates.iter().position(|mirror| mirror.uri.trim_end_matches('/').ends_with("/debian"));
    let chosen = usual.unwrap_or_default();
    if chosen < candidates.len() {
        return Ok(candidates.swap_remove(chosen));
    }
    bail!(
        "no Debian mirror in the apt sources of this machine ({}).\n\
         Name one with `cargo xtask brokers --mirror URI`; the package debian-archive-keyring must be installed.",
        files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
    )
}

fn source_files(etc_apt: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(etc_apt.join("sources.list.d"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "list" || ending == "sources"))
        .collect();
    files.push(etc_apt.join("sources.list"));
    files.retain(|path| path.is_file());
    files.sort();
    files
}

fn debian_archive(source: Source) -> Option<Mirror> {
    let debian = source.suites.iter().any(|suite| DEBIAN_SUITES.contains(&suite.as_str()));
    let main = source.components.iter().any(|component| component == "main");
    let uri = source.uris.into_iter().find(|uri| !uri.starts_with("cdrom:") && !uri.contains("security"))?;
    (debian && main).then_some(Mirror { uri, trust: source.trust })
}

/// Reads `deb [signed-by=… trusted=yes] uri suite component…`; anything else is none.
fn one_line(line: &str) -> Option<Source> {
    let line = line.split_once('#').map_or(line, |(before, _)| before).trim();
    let mut rest = line.strip_prefix("deb")?.strip_prefix(char::is_whitespace)?.trim_start();
    let mut trust = Vec::new();
    if let Some(inside) = rest.strip_prefix('[') {
        let (options, after) = inside.split_once(']')?;
        for option in options.split_whitespace() {
            if let Some((name, value)) = option.split_once('=')
                && let Some(field) = trust_field(name)
            {
                trust.push(format!("{field}: {}", value.replace(',', " ")));
            }
        }
        rest = after;
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source { uris: vec![words.next()?], suites: vec![words.next()?], components: words.collect(), trust })
}

/// Reads the stanzas of a `.sources` file that are enabled and give binary packages.
fn deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut stanza: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            sources.extend(source_of_stanza(&std::mem::take(&mut stanza)));
        } else if line.starts_with('#') {
            continue;
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            stanza.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sources
}

fn source_of_stanza(stanza: &[(String, String)]) -> Option<Source> {
    let words = |wanted: &str| -> Vec<String> {
        let values = stanza.iter().filter(|(name, _)| name == wanted);
        values.flat_map(|(_, value)| value.split_whitespace().map(str::to_owned)).collect()
    };
    let disabled = words("enabled").iter().any(|word| matches!(word.as_str(), "no" | "false" | "off" | "0"));
    if disabled || !words("types").iter().any(|kind| kind == "deb") {
        return None;
    }
    let trust =
        stanza.iter().filter_map(|(name, value)| trust_field(name).map(|field| format!("{field}: {value}"))).collect();
    Some(Source { uris: words("uris"), suites: words("suites"), components: words("components"), trust })
}

/// The deb822 name of an option that says how the archive is trusted.
fn trust_field(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "signed-by" => Some("Signed-By"),
        "trusted" => Some("Trusted"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apt(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sources.list.d")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn deb822_sources_are_read() {
        let machine = apt(&[(
            "sources.list.d/debian.sources",
            "Types: deb\n# a remark\nURIs: http://mirror.example/security\nSuites: bookworm-security\nComponents: main\n\n\
             Types: deb deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n\
             Components: main contrib\nSigned-By: /usr/share/keyrings/some.gpg\n",
        )]);
        let found = mirror(machine.path()).unwrap();
        assert_eq!(found.uri, "http://mirror.example/debian");
        assert_eq!(found.trust, ["Signed-By: /usr/share/keyrings/some.gpg"]);
    }

    #[test]
    fn a_key_inside_the_source_is_kept_whole() {
        let machine = apt(&[(
            "sources.list.d/debian.sources",
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\nComponents: main\nSigned-By:\n -----BEGIN\n .\n mQ\n -----END\n",
        )]);
        assert_eq!(mirror(machine.path()).unwrap().trust, ["Signed-By: \n -----BEGIN\n .\n mQ\n -----END"]);
    }

    #[test]
    fn one_line_sources_are_read() {
        let machine = apt(&[(
            "sources.list",
            "# deb http://old.example/debian bookworm main\ndeb-src http://mirror.example/debian trixie main\n\
             deb cdrom:[Debian]/ trixie main\ndeb http://other.example/apt stable contrib\n\
             deb [arch=amd64 signed-by=/k.gpg trusted=yes] http://mirror.example/debian trixie main # mine\n",
        )]);
        let found = mirror(machine.path()).unwrap();
        assert_eq!(found.uri, "http://mirror.example/debian");
        assert_eq!(found.trust, ["Signed-By: /k.gpg", "Trusted: yes"]);
    }

    #[test]
    fn disabled_and_foreign_sources_are_passed_over() {
        let machine = apt(&[
            (
                "sources.list.d/a.sources",
                "Enabled: no\nTypes: deb\nURIs: http://a.example/\nSuites: sid\nComponents: main\n",
            ),
            ("sources.list.d/b.list", "deb http://b.example/ubuntu noble main\n"),
        ]);
        let error = mirror(machine.path()).unwrap_err().to_string();
        assert!(error.contains("no Debian mirror") && error.contains("--mirror"), "{error}");
    }

    #[test]
    fn another_archive_with_a_stable_suite_is_not_taken_for_debian() {
        let machine = apt(&[
            ("sources.list.d/browser.list", "deb https://b.example/browser/deb/ stable main\n"),
            ("sources.list.d/debian.list", "deb https://m.example/debian/ trixie main\n"),
        ]);
        assert_eq!(mirror(machine.path()).unwrap().uri, "https://m.example/debian/");
    }

    #[test]
    fn a_machine_without_apt_is_told_so() {
        let error = mirror(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(error.contains("not Debian-like"), "{error}");
    }
}
