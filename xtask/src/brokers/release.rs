//! The Mosquitto versions that the plugin is made for, and the Debian suites that have them.

/// A Mosquitto release line that is tested, and where Debian keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// How people name it on the command line and in messages: `2.0.11`, `2.1`.
    pub name: &'static str,
    /// Places to look, in this order. Each is a set of suites that are used together.
    pub suites: &'static [&'static [&'static str]],
    /// The last part of the lowest version that will do.
    lowest_patch: u32,
    /// Whether a higher last part will do, too.
    or_newer: bool,
}

/// Every release that the tests run on, oldest first.
pub const RELEASES: [Release; 3] = [
    Release { name: "2.0.11", suites: &[&["bookworm"]], lowest_patch: 11, or_newer: false },
    Release {
        name: "2.0.21",
        suites: &[&["trixie"], &["bookworm", "bookworm-backports"]],
        lowest_patch: 21,
        or_newer: false,
    },
    Release { name: "2.1", suites: &[&["forky"], &["sid"]], lowest_patch: 2, or_newer: true },
];

impl Release {
    /// Whether this Mosquitto version (`2.1.3`) is one of this release line that will do.
    #[must_use]
    pub fn takes(&self, version: &str) -> bool {
        let line: Vec<&str> = self.name.splitn(3, '.').take(2).collect();
        let parts: Vec<&str> = version.split('.').collect();
        let [major, minor, patch] = parts.as_slice() else {
            return false;
        };
        let Ok(patch) = patch.parse::<u32>() else {
            return false;
        };
        line == [*major, *minor] && (patch == self.lowest_patch || (self.or_newer && patch > self.lowest_patch))
    }
}

/// Mosquitto's own version in the version of Debian's package: `2.0.21` of `2.0.21-1~bpo12+1`.
#[must_use]
pub fn upstream(debian_version: &str) -> &str {
    let without_epoch = debian_version.split_once(':').map_or(debian_version, |(_, rest)| rest);
    without_epoch.rsplit_once('-').map_or(without_epoch, |(upstream, _)| upstream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_version_is_cut_out() {
        assert_eq!(upstream("2.0.11-1.2+deb12u2"), "2.0.11");
        assert_eq!(upstream("2.0.21-1~bpo12+1"), "2.0.21");
        assert_eq!(upstream("1:2.1.2-3"), "2.1.2");
        assert_eq!(upstream("2.1.2"), "2.1.2");
    }

    #[test]
    fn a_release_takes_its_own_versions_only() {
        let takers = |version: &str| -> Vec<&str> {
            RELEASES.iter().filter(|release| release.takes(version)).map(|release| release.name).collect()
        };
        assert_eq!(takers("2.0.11"), ["2.0.11"]);
        assert_eq!(takers("2.0.21"), ["2.0.21"]);
        assert_eq!(takers("2.1.2"), ["2.1"]);
        assert_eq!(takers("2.1.10"), ["2.1"]);
        for other in ["2.0.12", "2.1.1", "2.2.0", "2.1", "", "2.1.x", "12.1.2"] {
            assert!(takers(other).is_empty(), "{other}");
        }
    }
}
