//! One row of the table: a requirement, what is asked of the broker, and the code that asks.

use std::path::PathBuf;

use super::brokers::Version;

/// What a case shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the requirement allows is let through.
    Accept,
    /// What the requirement forbids is refused.
    Refuse,
    /// The stock broker cannot do what the RFC asks: the case pins down what happens instead.
    Pin,
}

impl Kind {
    /// The word in `results.json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Refuse => "refuse",
            Self::Pin => "pin",
        }
    }
}

/// One case, run on each broker version.
pub struct Case {
    /// The requirement's number: `C3`. Empty for the suite's checks of itself.
    pub requirement: &'static str,
    /// What it shows.
    pub kind: Kind,
    /// Its name, which begins with the requirement.
    pub name: &'static str,
    /// Passes by returning, fails by panicking.
    pub run: fn(&Ctx),
}

/// Where a case runs.
pub struct Ctx {
    /// The broker to start.
    pub version: Version,
    /// The plugin to load into it.
    pub plugin: PathBuf,
    /// The case's name.
    pub name: &'static str,
}

/// Lists cases as `Kind "requirement" function`; the function's name is the case's.
macro_rules! cases {
    ($($kind:ident $requirement:literal $run:ident;)*) => {
        /// The cases of this file.
        pub const CASES: &[$crate::support::Case] = &[$(
            $crate::support::Case {
                requirement: $requirement,
                kind: $crate::support::Kind::$kind,
                name: stringify!($run),
                run: $run,
            },
        )*];
    };
}
pub(crate) use cases;
