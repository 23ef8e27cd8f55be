//! `cargo xtask brokers`: real Mosquitto brokers of several Debian suites, side by side, installed nowhere.
//!
//! They are kept in `target/brokers/<version>/` (see `tree.rs`) and listed in `target/brokers/brokers.json`
//! (see [`index`]). Nothing outside of `target/` changes, and no rights are needed beyond the caller's.

pub mod index;
pub mod release;
pub mod sources;

pub(crate) mod apt;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub use index::Broker;
use release::{RELEASES, Release, upstream};
use sources::Mirror;

use crate::{paths, process};

/// What of a Mosquitto version is fetched: the broker, its clients, and the headers for the ABI check.
const PACKAGES: [&str; 4] = ["mosquitto", "mosquitto-clients", "libmosquitto-dev", "mosquitto-dev"];

/// Makes sure that the wanted releases are there, and returns all brokers that are there, oldest first.
///
/// `force` fetches those again that are there. `mirror` names a Debian archive instead of the machine's own.
/// Progress goes to the standard error.
///
/// # Errors
/// The machine has no apt, its sources name no Debian mirror, or a release cannot be had from there.
pub fn fetch(wanted: &[Release], force: bool, mirror: Option<&str>) -> Result<Vec<Broker>> {
    let folder = paths::brokers();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let missing: Vec<&Release> = wanted
        .iter()
        .filter(|release| force || !present(&folder).iter().any(|broker| release.takes(&broker.version)))
        .collect();
    if !missing.is_empty() {
        remove_abandoned(&folder);
        let mirror = match mirror {
            Some(uri) => named_mirror(uri)?,
            None => sources::mirror(Path::new("/etc/apt"))?,
        };
        for program in ["apt-get", "apt-cache", "apt-config", "dpkg", "dpkg-deb"] {
            if !process::exists(program) {
                bail!(
                    "this machine is not Debian-like: `{program}` is missing. The brokers come from Debian's packages."
                );
            }
        }
        for release in missing {
            fetch_one(&folder, release, &mirror)?;
        }
    }
    let brokers = present(&folder);
    index::write(&paths::broker_index(), &brokers)?;
    Ok(brokers)
}

/// The brokers that a version on the command line means: `2.0.11`, `2.1`, `2.1.2`; all without one.
///
/// # Errors
/// No tested release is meant.
pub fn releases_named(names: &[String]) -> Result<Vec<Release>> {
    if names.is_empty() {
        return Ok(RELEASES.to_vec());
    }
    names
        .iter()
        .map(|name| {
            let found = RELEASES.iter().find(|release| release.name == name || release.takes(name));
            found.copied().with_context(|| {
                let known: Vec<&str> = RELEASES.iter().map(|release| release.name).collect();
                format!("no broker {name}: there are {}", known.join(", "))
            })
        })
        .collect()
}

/// The newest broker of each of these releases, as far as it is there.
#[must_use]
pub fn of_releases(brokers: &[Broker], wanted: &[Release]) -> Vec<Broker> {
    wanted.iter().filter_map(|release| brokers.iter().rfind(|broker| release.takes(&broker.version))).cloned().collect()
}

/// An archive that the caller named; trusted by Debian's keyring where that is installed, else by apt's own rules.
fn named_mirror(uri: &str) -> Result<Mirror> {
    if uri.contains(char::is_whitespace) || !uri.contains(':') {
        bail!("--mirror takes the address of a Debian archive, as in an apt source; got {uri:?}");
    }
    let keyrings = ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];
    let keyring = keyrings.iter().find(|path| Path::new(path).is_file());
    Ok(Mirror { uri: uri.to_owned(), trust: keyring.map(|path| format!("Signed-By: {path}")).into_iter().collect() })
}

/// All finished brokers in the folder, oldest first.
fn present(folder: &Path) -> Vec<Broker> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut brokers: Vec<Broker> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|entry| tree::open(&entry.path()))
        .collect();
    brokers.sort_by_key(|broker| {
        broker.version.split('.').map(|part| part.parse::<u32>().unwrap_or(0)).collect::<Vec<_>>()
    });
    brokers
}

fn fetch_one(folder: &Path, release: &Release, mirror: &Mirror) -> Result<()> {
    let mut refusals = Vec::new();
    for suites in release.suites {
        let work = WorkFolder::new(folder)?;
        match fetch_from(folder, &work.0, release, mirror, suites) {
            Ok(()) => return Ok(()),
            Err(error) => {
                eprintln!("{}: not from {}: {}", release.name, suites.join("+"), first_line(&error));
                refusals.push(format!("from {}: {error:#}", suites.join("+")));
            }
        }
    }
    bail!("cannot fetch Mosquitto {}:\n{}", release.name, refusals.join("\n"))
}

fn first_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().to_owned()
}

fn fetch_from(folder: &Path, work: &Path, release: &Release, mirror: &Mirror, suites: &[&str]) -> Result<()> {
    let name = release.name;
    let suite = suites.last().copied().unwrap_or_default();
    eprintln!("{name}: reading the package lists of Debian {}", suites.join(" and "));
    let apt = apt::Apt::open(&work.join("apt"), mirror, suites)?;
    let candidate = apt.candidate("mosquitto")?.context("the suite has no package mosquitto")?;
    // A backport is no candidate by itself; asking for the suite by name makes it one.
    let wanted: Vec<String> = PACKAGES.iter().map(|package| format!("{package}/{suite}")).collect();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let count = apt
        .count(&wanted)
        .with_context(|| format!("the suite has mosquitto {candidate}, but not all that it needs"))?;
    eprintln!("{name}: downloading {count} packages");
    let packages = apt.download(&wanted)?;
    let debian_version = version_of(&packages)?;
    let version = upstream(&debian_version);
    if !release.takes(version) {
        bail!("the suite has mosquitto {debian_version} now");
    }
    eprintln!("{name}: unpacking mosquitto {debian_version}");
    let made = work.join("tree");
    tree::build(&made, &packages, &debian_version, suite)?;
    let place = folder.join(version);
    if place.exists() {
        fs::rename(&place, work.join("old")).with_context(|| format!("cannot replace {}", place.display()))?;
    }
    fs::rename(&made, &place).with_context(|| format!("cannot make {}", place.display()))
}

/// The version of the package `mosquitto` among these files.
fn version_of(packages: &[PathBuf]) -> Result<String> {
    let package = packages
        .iter()
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("mosquitto_")))
        .context("apt did not download the package mosquitto")?;
    let version =
        process::output_of(std::process::Command::new("dpkg-deb").arg("--field").arg(package).arg("Version"))?;
    Ok(version.trim().to_owned())
}

/// How the folders of downloads are named; the id of the process follows.
const WORK: &str = ".work-";

/// A folder for one download; removed with everything in it.
pub(crate) struct WorkFolder(PathBuf);

/// Removes what downloads have left that were cut off: folders of processes that are no more.
pub(crate) fn remove_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(id) = name.strip_prefix(WORK) else { continue };
        if !Path::new("/proc").join(id).exists()
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            eprintln!("cannot remove {}: {error}", entry.path().display());
        }
    }
}

impl WorkFolder {
    pub(crate) fn new(parent: &Path) -> Result<Self> {
        let path = parent.join(format!("{WORK}{}", std::process::id()));
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_named_by_line_or_version() {
        let named =
            |name: &str| releases_named(&[name.to_owned()]).map(|found| found.first().map(|release| release.name));
        assert_eq!(named("2.0.11").unwrap(), Some("2.0.11"));
        assert_eq!(named("2.1").unwrap(), Some("2.1"));
        assert_eq!(named("2.1.2").unwrap(), Some("2.1"));
        assert!(named("1.6").unwrap_err().to_string().contains("2.0.11, 2.0.21, 2.1"));
        assert_eq!(releases_named(&[]).unwrap().len(), RELEASES.len());
    }

    #[test]
    fn only_folders_of_dead_processes_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let own = WorkFolder::new(folder.path()).unwrap();
        // Above the highest process id that Linux gives.
        let dead = folder.path().join(format!("{WORK}4194305"));
        let broker = folder.path().join("2.0.11");
        for path in [&dead, &broker] {
            fs::create_dir(path).unwrap();
        }
        remove_abandoned(folder.path());
        assert!(own.0.exists() && broker.exists() && !dead.exists());
    }

    #[test]
    fn a_named_mirror_must_look_like_an_address() {
        assert!(named_mirror("http://mirror.example/debian").is_ok());
        assert!(named_mirror("mirror").is_err());
        assert!(named_mirror("http://mirror.example/debian\nTrusted: yes").is_err());
    }
}
