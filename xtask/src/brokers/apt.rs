//! An apt of our own: it asks the machine's mirror for other suites and changes nothing on the machine.
//!
//! All its state is in one folder. It takes the machine for empty, so that it brings a package's whole
//! set of libraries, libc included.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::sources::Mirror;
use crate::process;

/// The machine's settings that decide whether and how an archive is reached; all others are ours.
const KEPT_SETTINGS: [&str; 8] = [
    "Acquire::http",
    "Acquire::https",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
    "Acquire::ForceIPv4",
    "Acquire::ForceIPv6",
    "Acquire::AllowInsecureRepositories",
    "Acquire::GzipIndexes",
];

/// A private apt in one folder.
#[derive(Debug)]
pub(crate) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Makes the folder and gets the package lists of these suites.
    ///
    /// # Errors
    /// apt is missing, or one of the suites cannot be had from the mirror.
    pub(crate) fn open(folder: &Path, mirror: &Mirror, suites: &[&str]) -> Result<Self> {
        for part in ["none", "state/lists/partial", "cache/archives/partial", "log"] {
            fs::create_dir_all(folder.join(part)).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let apt = Self { folder: folder.to_path_buf() };
        apt.write("status", "")?;
        apt.write("debian.sources", &source(mirror, suites))?;
        apt.write("apt.conf", &configuration(folder)?)?;
        process::output_of(apt.command("apt-get").args(["update", "--quiet=2", "-o", "APT::Update::Error-Mode=any"]))?;
        Ok(apt)
    }

    /// The newest version of a package in the suites, if any has it.
    ///
    /// # Errors
    /// apt cannot be asked.
    pub(crate) fn candidate(&self, package: &str) -> Result<Option<String>> {
        let policy = process::output_of(self.command("apt-cache").args(["policy", package]))?;
        let line = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:"));
        Ok(line.map(|version| version.trim().to_owned()).filter(|version| version != "(none)"))
    }

    /// How many packages these and everything that they depend on are.
    ///
    /// # Errors
    /// The packages cannot be had together from the suites.
    pub(crate) fn count(&self, packages: &[&str]) -> Result<usize> {
        let uris = process::output_of(self.install("--print-uris").args(packages))?;
        Ok(uris.lines().filter(|line| line.starts_with('\'')).count())
    }

    /// Downloads these packages and everything that they depend on; returns the `.deb` files.
    ///
    /// # Errors
    /// The packages cannot be had together from the suites, or not be downloaded.
    pub(crate) fn download(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        process::output_of(self.install("--download-only").args(packages))?;
        let archives = self.folder.join("cache/archives");
        let entries = fs::read_dir(&archives).with_context(|| format!("cannot read {}", archives.display()))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|ending| ending == "deb"));
        files.sort();
        Ok(files)
    }

    /// Downloads one package without what it depends on; returns the `.deb` file.
    ///
    /// # Errors
    /// The package cannot be downloaded.
    pub(crate) fn download_alone(&self, package: &str) -> Result<PathBuf> {
        let place = self.folder.join("alone");
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        process::output_of(self.command("apt-get").args(["download", "--quiet=2", package]).current_dir(&place))?;
        let entries = fs::read_dir(&place).with_context(|| format!("cannot read {}", place.display()))?;
        let found =
            entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|it| it == "deb"));
        found.with_context(|| format!("apt-get has left no file of {package}"))
    }

    fn install(&self, how: &str) -> Command {
        let mut command = self.command("apt-get");
        command.args(["install", "--yes", "--quiet=2", "--no-install-recommends", how]);
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", self.folder.join("apt.conf"))
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The deb822 source of these suites at the mirror.
pub(crate) fn source(mirror: &Mirror, suites: &[&str]) -> String {
    let mut text = format!("Types: deb\nURIs: {}\nSuites: {}\nComponents: main\n", mirror.uri, suites.join(" "));
    for field in &mirror.trust {
        text.push_str(field);
        text.push('\n');
    }
    text
}

/// What apt reads before everything else: its folders are ours, the machine's hooks and preferences are not read.
fn configuration(folder: &Path) -> Result<String> {
    let architecture = process::output_of(Command::new("dpkg").arg("--print-architecture"))?;
    let folder = folder.display();
    let mut text: String = kept_settings()?.into_iter().map(|line| line + "\n").collect();
    text.push_str(&format!(
        r#"APT::Architecture "{architecture}";
APT::Architectures "{architecture}";
Dir::Etc::Main "{folder}/none/absent";
Dir::Etc::Parts "{folder}/none";
Dir::Etc::Preferences "{folder}/none/absent";
Dir::Etc::PreferencesParts "{folder}/none";
Dir::Etc::SourceList "{folder}/debian.sources";
Dir::Etc::SourceParts "{folder}/none";
Dir::State "{folder}/state";
Dir::State::Status "{folder}/status";
Dir::State::Extended_States "{folder}/extended_states";
Dir::Cache "{folder}/cache";
Dir::Log "{folder}/log";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
"#,
        architecture = architecture.trim(),
    ));
    Ok(text)
}

/// The lines of the machine's apt configuration that decide whether and how an archive is reached.
///
/// # Errors
/// The machine has no apt, or it cannot be asked.
pub(crate) fn kept_settings() -> Result<Vec<String>> {
    let machine = process::output_of(Command::new("apt-config").arg("dump").env("LC_ALL", "C"))?;
    Ok(machine.lines().filter(|line| is_kept(line)).map(str::to_owned).collect())
}

fn is_kept(line: &str) -> bool {
    KEPT_SETTINGS.iter().any(|setting| {
        line.get(..setting.len()).is_some_and(|start| start.eq_ignore_ascii_case(setting))
            && line.get(setting.len()..).is_some_and(|rest| rest.starts_with([' ', ':']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_proxy_is_kept_and_its_hooks_are_not() {
        assert!(is_kept(r#"Acquire::http::Proxy "http://proxy.example:3128";"#));
        assert!(is_kept(r#"Acquire::check-valid-until "false";"#));
        assert!(!is_kept(r#"APT::Update::Post-Invoke:: "rm -f x";"#));
        assert!(!is_kept(r#"Acquire::httpfoo "1";"#));
        assert!(!is_kept("Acquire \"\";"));
    }

    #[test]
    fn the_source_keeps_the_keyring() {
        let mirror = Mirror { uri: "http://mirror.example/debian".into(), trust: vec!["Signed-By: /k.gpg".into()] };
        assert_eq!(
            source(&mirror, &["bookworm", "bookworm-backports"]),
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-backports\nComponents: main\nSigned-By: /k.gpg\n"
        );
    }
}
