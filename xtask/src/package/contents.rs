//! What is in which package, and in the archive. This is the list to change when a file is to be delivered.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::manual::{self, Title};
use super::programs::Programs;
use super::release::Release;
use super::stage::Stage;
use super::third_party;
use crate::{paths, process};

/// The documentation that is for those who use it, not for those who change it.
const DOCUMENTS: [&str; 6] =
    ["authorization-servers.md", "clients.md", "configuration.md", "install.md", "security.md", "troubleshooting.md"];

/// The Debian packages, and which package of the workspace each is of.
pub(super) const PACKAGES: [&str; 3] = ["mosquitto-ace", "ace-as", "ace-mqtt"];

/// Puts all that is in a Debian package into its stage.
///
/// # Errors
/// A file is missing, or cannot be made.
pub(super) fn fill(package: &str, release: &Release, programs: &Programs, stage: &Stage) -> Result<()> {
    let root = paths::root();
    let doc = format!("usr/share/doc/{package}");
    stage.file(&root.join("packaging/copyright"), &format!("{doc}/copyright"))?;
    stage.gzipped(&third_party::licences(&[package])?, &format!("{doc}/THIRD-PARTY-LICENSES.gz"))?;
    stage.gzipped(&read("CHANGELOG.md")?, &format!("{doc}/changelog.gz"))?;
    stage.gzipped(&debian_changelog(release)?, &format!("{doc}/changelog.Debian.gz"))?;
    match package {
        "mosquitto-ace" => fill_plugin(release, programs, stage, &doc),
        "ace-as" => fill_server(release, programs, stage, &doc),
        "ace-mqtt" => fill_client(programs, stage, &doc),
        other => bail!("no package {other}"),
    }
}

fn fill_plugin(release: &Release, programs: &Programs, stage: &Stage, doc: &str) -> Result<()> {
    let root = paths::root();
    // Where Debian keeps Mosquitto's plugins from 2.1 on; and under a name that is the same on every architecture.
    let multiarch = &release.multiarch;
    stage.file(&programs.plugin(), &format!("usr/lib/{multiarch}/mosquitto/libmosquitto_ace.so"))?;
    stage.link(&format!("../{multiarch}/mosquitto/libmosquitto_ace.so"), "usr/lib/mosquitto/libmosquitto_ace.so")?;
    // Not in conf.d: the broker reads that folder, and must not change by an installation.
    stage.file(&root.join("mosquitto-conf/mosquitto.conf"), "etc/mosquitto/ace.conf")?;
    stage.file(&root.join("mosquitto-conf/ace.toml"), "etc/mosquitto/ace.toml")?;
    stage.folder(&root.join("mosquitto-conf"), &format!("{doc}/examples"))?;
    stage.file(&root.join("README.md"), &format!("{doc}/README.md"))?;
    for name in DOCUMENTS {
        stage.file(&root.join("docs").join(name), &format!("{doc}/{name}"))?;
    }
    for (name, text) in plugin_pages(release)? {
        stage.gzipped(&text, &format!("usr/share/man/{}", in_section(&name, ".gz")?))?;
    }
    Ok(())
}

fn fill_server(release: &Release, programs: &Programs, stage: &Stage, doc: &str) -> Result<()> {
    let root = paths::root();
    stage.program(&programs.program("ace-as"), "usr/bin/ace-as")?;
    stage.file(&root.join("packaging/ace-as/ace-as.service"), "usr/lib/systemd/system/ace-as.service")?;
    stage.empty_folder("etc/ace-as")?;
    stage.folder(&root.join("crates/ace-as/examples"), &format!("{doc}/examples"))?;
    stage.file(&root.join("crates/ace-as/README.md"), &format!("{doc}/README.md"))?;
    for (name, text) in server_pages(release)? {
        stage.gzipped(&text, &format!("usr/share/man/{}", in_section(&name, ".gz")?))?;
    }
    of_program(programs, "ace-as", stage)
}

fn fill_client(programs: &Programs, stage: &Stage, doc: &str) -> Result<()> {
    stage.program(&programs.program("ace-mqtt"), "usr/bin/ace-mqtt")?;
    stage.file(&paths::root().join("crates/ace-mqtt/README.md"), &format!("{doc}/README.md"))?;
    stage.file(&paths::root().join("docs/clients.md"), &format!("{doc}/clients.md"))?;
    of_program(programs, "ace-mqtt", stage)
}

/// The pages and completions that a program makes of itself.
fn of_program(programs: &Programs, name: &str, stage: &Stage) -> Result<()> {
    for (page, text) in program_pages(programs, name)? {
        stage.gzipped(&text, &format!("usr/share/man/{}", in_section(&page, ".gz")?))?;
    }
    for (shell, place) in [
        ("bash", format!("usr/share/bash-completion/completions/{name}")),
        ("zsh", format!("usr/share/zsh/vendor-completions/_{name}")),
        ("fish", format!("usr/share/fish/vendor_completions.d/{name}.fish")),
    ] {
        stage.text(&completions(programs, name, shell)?, &place)?;
    }
    Ok(())
}

/// Puts all that is in the archive into its stage.
///
/// # Errors
/// A file is missing, or cannot be made.
pub(super) fn fill_archive(release: &Release, programs: &Programs, stage: &Stage) -> Result<()> {
    let root = paths::root();
    stage.file(&programs.plugin(), "libmosquitto_ace.so")?;
    stage.folder(&root.join("mosquitto-conf"), "examples")?;
    stage.folder(&root.join("crates/ace-as/examples"), "examples/ace-as")?;
    for name in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        stage.file(&root.join(name), name)?;
    }
    for name in DOCUMENTS {
        stage.file(&root.join("docs").join(name), &format!("docs/{name}"))?;
    }
    stage.text(&third_party::licences(&PACKAGES)?, "THIRD-PARTY-LICENSES")?;
    stage.file(&root.join("packaging/ace-as/ace-as.service"), "systemd/ace-as.service")?;
    let mut pages = plugin_pages(release)?;
    pages.extend(server_pages(release)?);
    for name in ["ace-as", "ace-mqtt"] {
        stage.program(&programs.program(name), name)?;
        pages.extend(program_pages(programs, name)?);
        for shell in ["bash", "zsh", "fish"] {
            stage.text(&completions(programs, name, shell)?, &format!("completions/{name}.{shell}"))?;
        }
    }
    for (name, text) in pages {
        stage.text(&text, &in_section(&name, "").map(|place| format!("man/{place}"))?)?;
    }
    stage.checksums()
}

/// The plugin's pages: what is configured, and how to switch it on.
fn plugin_pages(release: &Release) -> Result<Vec<(String, String)>> {
    let source = format!("mosquitto-ace {}", release.version);
    let day = day(release)?;
    let title = |name, section, purpose| Title { name, section, purpose, source: &source, date: &day };
    Ok(vec![
        (
            "ace.toml.5".to_owned(),
            manual::page(
                title("ace.toml", "5", "configuration of the plugin mosquitto-ace"),
                &read("docs/configuration.md")?,
                "mosquitto-ace(7), mosquitto.conf(5)",
            ),
        ),
        (
            "mosquitto-ace.7".to_owned(),
            manual::page(
                title("mosquitto-ace", "7", "access tokens for the Mosquitto broker"),
                &read("packaging/mosquitto-ace/mosquitto-ace.7.md")?,
                "ace.toml(5), mosquitto.conf(5), mosquitto(8), ace-as(1), ace-mqtt(1)",
            ),
        ),
    ])
}

fn server_pages(release: &Release) -> Result<Vec<(String, String)>> {
    let source = format!("ace-as {}", release.version);
    let day = day(release)?;
    let readme = read("crates/ace-as/README.md")?;
    let keys = manual::chapter(&readme, "as.toml").context("crates/ace-as/README.md has no chapter about as.toml")?;
    let title = |name, section, purpose| Title { name, section, purpose, source: &source, date: &day };
    Ok(vec![
        (
            "as.toml.5".to_owned(),
            manual::page(
                title("as.toml", "5", "configuration of the server ace-as"),
                keys,
                "ace-as(1), ace-as.service(8)",
            ),
        ),
        (
            "ace-as.service.8".to_owned(),
            manual::page(
                title("ace-as.service", "8", "the server ace-as as a service of the system"),
                &read("packaging/ace-as/ace-as.service.8.md")?,
                "ace-as(1), ace-as-init(1), as.toml(5), systemd.exec(5)",
            ),
        ),
    ])
}

fn program_pages(programs: &Programs, name: &str) -> Result<Vec<(String, String)>> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    process::output_of(Command::new(programs.program(name)).arg("man").arg(folder.path()))?;
    let mut pages = Vec::new();
    for path in files_in(folder.path())? {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        pages.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text));
    }
    ensure!(!pages.is_empty(), "{name} made no manual page");
    Ok(pages)
}

fn completions(programs: &Programs, name: &str, shell: &str) -> Result<String> {
    process::output_of(Command::new(programs.program(name)).args(["completions", shell]))
}

/// `man1/ace-as.1` of `ace-as.1`.
fn in_section(page: &str, ending: &str) -> Result<String> {
    let (_, section) = page.rsplit_once('.').with_context(|| format!("no section in {page}"))?;
    Ok(format!("man{section}/{page}{ending}"))
}

/// The packaging's own changelog: each release is one entry, and the project's changelog has the rest.
pub(super) fn debian_changelog(release: &Release) -> Result<String> {
    Ok(format!(
        "mosquitto-ace ({}) unstable; urgency=medium\n\n  * Release {}: see changelog.gz.\n\n -- {}  {}\n",
        release.debian_version(),
        release.version,
        release.maintainer,
        release.date()?
    ))
}

fn day(release: &Release) -> Result<String> {
    let mut date = Command::new("date");
    date.args(["--utc", "--iso-8601", "--date"]).arg(format!("@{}", release.epoch));
    Ok(process::output_of(&mut date)?.trim().to_owned())
}

fn read(name: &str) -> Result<String> {
    let path = paths::root().join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The files of a folder, in the order of their names.
pub(super) fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_to_their_sections() {
        assert_eq!(in_section("ace.toml.5", ".gz").unwrap(), "man5/ace.toml.5.gz");
        assert!(in_section("page", "").is_err());
    }

    #[test]
    fn all_documents_are_there() {
        for name in DOCUMENTS {
            assert!(paths::root().join("docs").join(name).is_file(), "{name}");
        }
    }
}
