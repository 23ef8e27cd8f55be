//! What people have written down: the requirements' names, and where the stock broker cannot do what is asked
//! (`docs/conformance-deviations.toml`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::brokers::release::RELEASES;

const FILE: &str = "docs/conformance-deviations.toml";

/// The hand-written file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// What each requirement asks, in a few words; by its number.
    pub requirements: BTreeMap<String, String>,
    /// Where the stock broker cannot do it.
    #[serde(default, rename = "deviation")]
    pub deviations: Vec<Deviation>,
}

/// One thing that the stock broker cannot do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// The requirement's number.
    pub requirement: String,
    /// The broker releases, as `cargo xtask brokers` names them.
    pub versions: Vec<String>,
    /// What the broker lacks.
    pub lacks: String,
    /// What happens instead.
    pub instead: String,
}

/// Reads the file of this checkout.
///
/// # Errors
/// The file cannot be read, or names a requirement or a broker release that there is not.
pub fn read(root: &Path) -> Result<Declared> {
    let path = root.join(FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| FILE.to_owned())
}

fn parse(text: &str) -> Result<Declared> {
    let declared: Declared = toml::from_str(text)?;
    for deviation in &declared.deviations {
        if !declared.requirements.contains_key(&deviation.requirement) {
            bail!("a deviation from {}, which is not among the requirements", deviation.requirement);
        }
        for version in &deviation.versions {
            if !RELEASES.iter().any(|release| release.name == version) {
                bail!("a deviation of {version}, which is not a broker release that is tested");
            }
        }
    }
    Ok(declared)
}

/// The order in which people read requirements: by their letters, then by their number.
#[must_use]
pub fn reading_order(requirement: &str) -> (String, u32) {
    let letters: String = requirement.chars().take_while(|c| !c.is_ascii_digit()).collect();
    let number = requirement.get(letters.len()..).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    (letters, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_checkouts_file_is_sound() {
        let declared = read(&crate::paths::root()).unwrap();
        assert!(declared.requirements.len() >= 25);
    }

    #[test]
    fn a_deviation_must_be_from_something() {
        let of = |requirement: &str, version: &str| {
            parse(&format!(
                "[requirements]\nC1 = \"x\"\n[[deviation]]\nrequirement = \"{requirement}\"\nversions = [\"{version}\"]\n\
                 lacks = \"l\"\ninstead = \"i\"\n"
            ))
        };
        assert!(of("C1", "2.0.11").is_ok());
        assert!(of("C2", "2.0.11").is_err());
        assert!(of("C1", "1.6").is_err());
    }

    #[test]
    fn ten_comes_after_nine() {
        let mut names = ["T1", "C10", "C9", "AS1"];
        names.sort_by_key(|name| reading_order(name));
        assert_eq!(names, ["AS1", "C9", "C10", "T1"]);
    }
}
