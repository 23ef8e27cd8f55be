//! What is packaged: version, time, maintainer, architecture. All of them decide about bytes in the packages.

use std::env;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{paths, process};

/// Who stands in `Maintainer:` where neither `DEBFULLNAME` nor `DEBEMAIL` say who makes the packages.
const MAINTAINER: (&str, &str) = ("mosquitto-ace maintainers", "maintainers@mosquitto-ace.invalid");

/// A release, as the packages and the archive name it.
#[derive(Clone, Debug)]
pub(super) struct Release {
    /// The workspace's version, such as `0.1.0`.
    pub(super) version: String,
    /// Seconds since 1970: every file in the packages is this old at most, and the changelog has this date.
    pub(super) epoch: u64,
    /// `Maintainer:`, a name and an address.
    pub(super) maintainer: String,
    /// Debian's name of this machine's architecture, such as `amd64`.
    pub(super) architecture: String,
    /// The folder of this architecture's libraries below `/usr/lib`, such as `x86_64-linux-gnu`.
    pub(super) multiarch: String,
}

impl Release {
    /// What this checkout is.
    ///
    /// The time is `SOURCE_DATE_EPOCH`, or that of the commit.
    ///
    /// # Errors
    /// dpkg cannot be asked, or it is not known how old the sources are.
    pub(super) fn of_checkout() -> Result<Self> {
        let name = env::var("DEBFULLNAME").unwrap_or_else(|_| MAINTAINER.0.to_owned());
        let address = env::var("DEBEMAIL").unwrap_or_else(|_| MAINTAINER.1.to_owned());
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: epoch()?,
            maintainer: format!("{name} <{address}>"),
            architecture: dpkg("DEB_HOST_ARCH")?,
            multiarch: dpkg("DEB_HOST_MULTIARCH")?,
        })
    }

    /// The version of the Debian packages: one that sorts before the release if this is a pre-release.
    pub(super) fn debian_version(&self) -> String {
        format!("{}-1", self.version.replacen('-', "~", 1))
    }

    /// The time of the release as changelogs have it.
    ///
    /// # Errors
    /// `date` cannot be asked.
    pub(super) fn date(&self) -> Result<String> {
        let mut date = Command::new("date");
        date.env("LC_ALL", "C").args(["--utc", "--rfc-email", "--date"]).arg(format!("@{}", self.epoch));
        Ok(process::output_of(&mut date)?.trim().to_owned())
    }
}

fn epoch() -> Result<u64> {
    let text = match env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => {
            let mut git = Command::new("git");
            git.current_dir(paths::root()).args(["log", "-1", "--format=%ct"]);
            process::output_of(&mut git).context("set SOURCE_DATE_EPOCH: there is no commit to take the time from")?
        }
    };
    text.trim().parse().with_context(|| format!("SOURCE_DATE_EPOCH is not a number of seconds: {text:?}"))
}

fn dpkg(variable: &str) -> Result<String> {
    let mut command = Command::new("dpkg-architecture");
    Ok(process::output_of(command.arg(format!("-q{variable}")))?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(version: &str) -> Release {
        Release {
            version: version.into(),
            epoch: 1_700_000_000,
            maintainer: "m <m@example.invalid>".into(),
            architecture: "amd64".into(),
            multiarch: "x86_64-linux-gnu".into(),
        }
    }

    #[test]
    fn a_pre_release_sorts_before_its_release() {
        assert_eq!(release("0.2.0-rc.1").debian_version(), "0.2.0~rc.1-1");
        assert_eq!(release("0.2.0").debian_version(), "0.2.0-1");
    }

    #[test]
    fn the_date_is_the_releases() {
        assert_eq!(release("1.0.0").date().unwrap(), "Tue, 14 Nov 2023 22:13:20 +0000");
    }
}
