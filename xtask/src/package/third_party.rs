//! The licences of the libraries that are compiled into what is delivered, with their copyright notices, in one text.
//!
//! Which they are, cargo says; their texts are in their sources. That they are ones that we may use, `cargo xtask deny` checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cargo;

/// How files with licences and notices begin, in capitals.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// The text about all libraries of these packages of the workspace.
///
/// # Errors
/// Cargo cannot be asked, or a library is without any licence.
pub(super) fn licences(packages: &[&str]) -> Result<String> {
    let libraries = cargo::libraries(packages)?;
    let mut text = String::from(
        "What was compiled into these programs, each under the licence that is named; the texts are below.\n\n",
    );
    // Each text once, with all that it is for.
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for library in &libraries {
        let name = format!("{} {}", library.name, library.version);
        let licence = library.license.as_deref().unwrap_or("see its text");
        text.push_str(&format!("{name}: {licence}\n"));
        let found = texts_in(&library.folder)?;
        if found.is_empty() && library.license.is_none() {
            bail!("{name} is without a licence");
        }
        for one in found {
            texts.entry(one).or_default().push(name.clone());
        }
    }
    let mut texts: Vec<(String, Vec<String>)> = texts.into_iter().collect();
    texts.sort_by(|one, other| one.1.cmp(&other.1).then_with(|| one.0.cmp(&other.0)));
    for (licence, names) in texts {
        text.push_str(&format!("\n{}\n{}\n\n{}\n", "=".repeat(80), names.join(", "), licence.trim_end()));
    }
    Ok(text)
}

/// The licences and notices of one library.
fn texts_in(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        NAMES.iter().any(|start| name.starts_with(start))
    });
    files.sort();
    files
        .iter()
        .map(|path| {
            let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cryptographic_librarys_notice_is_in_it() {
        let text = licences(&["ace-mqtt"]).unwrap();
        let listed = |name: &str| text.lines().any(|line| line.starts_with(&format!("{name} ")) && line.contains(": "));
        assert!(listed("aws-lc-sys") && listed("rustls") && listed("clap"), "{text}");
        assert!(!listed("ace-profile") && !listed("proptest"), "only what others have written and is delivered");
        assert!(text.contains("The OpenSSL Project"), "the notice that OpenSSL's licence asks for");
    }

    #[test]
    fn only_licences_and_notices_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("LICENSE-MIT", "a\r\nb"), ("licence.md", "c"), ("README.md", "d"), ("NOTICE", "e")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(texts_in(folder.path()).unwrap(), ["a\nb", "e", "c"]);
    }
}
