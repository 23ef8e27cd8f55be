//! The table requirement × broker release: what the tests have shown, against what is declared.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::declared::{Declared, reading_order};
use super::results::{End, Kind, Outcome};
use crate::brokers::Broker;
use crate::brokers::release::RELEASES;

/// How a broker release stands to a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Accepting and refusing tests have passed.
    Met,
    /// The stock broker cannot do all of it, as declared; tests pin down what happens instead. Holds the footnotes,
    /// which are numbers of deviations, counted from one.
    Deviates(Vec<usize>),
    /// No accepting or no refusing test has run; and not only tests of a declared deviation.
    Unproved,
    /// Tests have failed. Holds their names.
    Failed(Vec<String>),
}

/// One requirement on one release.
#[derive(Clone, Debug, Default)]
struct Cell {
    accepting: usize,
    refusing: usize,
    pinning: usize,
    failed: Vec<String>,
}

/// The whole table.
#[derive(Debug)]
pub struct Table {
    /// The columns: names of releases, with the exact version that was tested.
    columns: Vec<(&'static str, String)>,
    /// The rows in reading order: number and name.
    rows: Vec<(String, String)>,
    cells: BTreeMap<(String, &'static str), Cell>,
    deviations: BTreeMap<(String, &'static str), Vec<usize>>,
    undeclared: Vec<String>,
}

impl Table {
    /// Counts the outcomes on these brokers.
    #[must_use]
    pub fn new(declared: &Declared, outcomes: &[Outcome], brokers: &[Broker]) -> Self {
        let release_of =
            |version: &str| RELEASES.iter().find(|release| release.takes(version)).map(|release| release.name);
        let columns =
            brokers.iter().filter_map(|broker| Some((release_of(&broker.version)?, broker.version.clone()))).collect();
        let mut rows: Vec<(String, String)> =
            declared.requirements.iter().map(|(number, name)| (number.clone(), name.clone())).collect();
        rows.sort_by_key(|(number, _)| reading_order(number));

        let mut cells: BTreeMap<(String, &'static str), Cell> = BTreeMap::new();
        let mut undeclared = Vec::new();
        for outcome in outcomes {
            let Some(release) = release_of(&outcome.version) else { continue };
            if !declared.requirements.contains_key(&outcome.requirement) {
                undeclared.push(format!("{} ({})", outcome.requirement, outcome.name));
            }
            let cell = cells.entry((outcome.requirement.clone(), release)).or_default();
            match (outcome.outcome, outcome.kind) {
                (End::Failed, _) => cell.failed.push(outcome.name.clone()),
                (End::Passed, Kind::Accept) => cell.accepting += 1,
                (End::Passed, Kind::Refuse) => cell.refusing += 1,
                (End::Passed, Kind::Pin) => cell.pinning += 1,
            }
        }
        let mut deviations: BTreeMap<(String, &'static str), Vec<usize>> = BTreeMap::new();
        for (index, deviation) in declared.deviations.iter().enumerate() {
            for release in RELEASES.iter().filter(|release| deviation.versions.iter().any(|name| name == release.name))
            {
                deviations.entry((deviation.requirement.clone(), release.name)).or_default().push(index + 1);
            }
        }
        Self { columns, rows, cells, deviations, undeclared }
    }

    /// The releases, in the order of the columns.
    pub fn releases(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.columns.iter().map(|(release, _)| *release)
    }

    /// The requirements in reading order: number and name.
    #[must_use]
    pub fn requirements(&self) -> &[(String, String)] {
        &self.rows
    }

    /// How a release stands to a requirement.
    #[must_use]
    pub fn verdict(&self, requirement: &str, release: &'static str) -> Verdict {
        let key = (requirement.to_owned(), release);
        let cell = self.cell(&key);
        // What the stock broker lets no plugin do has nothing to accept or to refuse.
        let is_beyond_plugins = cell.accepting == 0 && cell.refusing == 0 && cell.pinning > 0;
        if !cell.failed.is_empty() {
            Verdict::Failed(cell.failed)
        } else if let Some(footnotes) = self.deviations.get(&key).filter(|_| is_beyond_plugins) {
            Verdict::Deviates(footnotes.clone())
        } else if cell.accepting == 0 || cell.refusing == 0 {
            Verdict::Unproved
        } else if let Some(footnotes) = self.deviations.get(&key) {
            Verdict::Deviates(footnotes.clone())
        } else {
            Verdict::Met
        }
    }

    /// How many accepting and refusing tests have passed, as `3/5`.
    #[must_use]
    pub fn counts(&self, requirement: &str, release: &'static str) -> String {
        let cell = self.cell(&(requirement.to_owned(), release));
        format!("{}/{}", cell.accepting, cell.refusing)
    }

    fn cell(&self, key: &(String, &'static str)) -> Cell {
        self.cells.get(key).cloned().unwrap_or_default()
    }

    /// Everything that is wrong; nothing if the table holds. `whole`: every test was to run.
    #[must_use]
    pub fn complaints(&self, whole: bool) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.columns.is_empty() {
            complaints.push("no broker was tested".to_owned());
        }
        for name in &self.undeclared {
            complaints.push(format!("{name} is not among the declared requirements"));
        }
        for (requirement, _) in &self.rows {
            for (release, version) in &self.columns {
                self.complain(requirement, release, version, whole, &mut complaints);
            }
        }
        complaints
    }

    fn complain(&self, requirement: &str, release: &'static str, version: &str, whole: bool, into: &mut Vec<String>) {
        let cell = self.cell(&(requirement.to_owned(), release));
        match self.verdict(requirement, release) {
            Verdict::Failed(names) => into.push(format!("{requirement} on {version} failed: {}", names.join(", "))),
            Verdict::Unproved if whole => into.push(format!(
                "{requirement} on {version} is not proved: it has {} accepting and {} refusing tests",
                cell.accepting, cell.refusing
            )),
            Verdict::Deviates(_) if whole && cell.pinning == 0 => into.push(format!(
                "{requirement} on {version} is declared to deviate, and no test pins down what happens instead"
            )),
            Verdict::Unproved | Verdict::Deviates(_) | Verdict::Met => {}
        }
        let declared = self.deviations.keys().any(|(deviating, _)| deviating == requirement);
        if cell.pinning > 0 && !declared {
            into.push(format!("{requirement} on {version} has a test of a deviation, and none is declared"));
        }
    }

    /// The table as people read it on a terminal; unless it is whole, only the rows of which something has run.
    #[must_use]
    pub fn for_terminal(&self, whole: bool) -> String {
        let has_run = |requirement: &str| self.cells.keys().any(|(run, _)| run == requirement);
        let width = self.rows.iter().map(|(_, name)| name.chars().count()).max().unwrap_or(0);
        let mut text = format!("{:<5}{:<width$}", "", "accepting/refusing tests");
        for (_, version) in &self.columns {
            let _ = write!(text, "  {version:<16}");
        }
        text = text.trim_end().to_owned();
        for (requirement, name) in self.rows.iter().filter(|(requirement, _)| whole || has_run(requirement)) {
            let mut line = format!("{requirement:<5}{name:<width$}");
            for release in self.releases() {
                let word = match self.verdict(requirement, release) {
                    Verdict::Met => "met",
                    Verdict::Deviates(_) => "deviates",
                    Verdict::Unproved => "not proved",
                    Verdict::Failed(_) => "FAILED",
                };
                let _ = write!(line, "  {:<16}", format!("{word} {}", self.counts(requirement, release)));
            }
            let _ = write!(text, "\n{}", line.trim_end());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::declared::Deviation;

    fn declared(deviating: &[&str]) -> Declared {
        let deviation = |version: &&str| Deviation {
            requirement: "C1".into(),
            versions: vec![(*version).to_owned()],
            lacks: "l".into(),
            instead: "i".into(),
        };
        Declared {
            requirements: [("C1".to_owned(), "the method".to_owned())].into(),
            deviations: deviating.iter().map(deviation).collect(),
        }
    }

    fn broker(version: &str) -> Broker {
        Broker {
            version: version.into(),
            debian_version: String::new(),
            suite: String::new(),
            launcher: "/".into(),
            mosquitto_pub: "/".into(),
            mosquitto_sub: "/".into(),
            mosquitto_passwd: "/".into(),
            include: "/".into(),
            root: "/".into(),
        }
    }

    fn outcome(kind: Kind, version: &str, outcome: End) -> Outcome {
        Outcome {
            requirement: "C1".into(),
            kind,
            name: "c1_x".into(),
            version: version.into(),
            outcome,
            whole_run: true,
        }
    }

    #[test]
    fn a_requirement_is_met_by_an_accepting_and_a_refusing_test() {
        let outcomes = [outcome(Kind::Accept, "2.1.2", End::Passed), outcome(Kind::Refuse, "2.1.2", End::Passed)];
        let table = Table::new(&declared(&[]), &outcomes, &[broker("2.1.2")]);
        assert_eq!(table.verdict("C1", "2.1"), Verdict::Met);
        assert!(table.complaints(true).is_empty());
        assert!(table.for_terminal(true).contains("met 1/1"));
        assert!(Table::new(&declared(&[]), &[], &[broker("2.1.2")]).for_terminal(true).contains("not proved 0/0"));
        assert!(!Table::new(&declared(&[]), &[], &[broker("2.1.2")]).for_terminal(false).contains("C1"));

        let table = Table::new(&declared(&[]), &outcomes[..1], &[broker("2.1.2")]);
        assert_eq!(table.verdict("C1", "2.1"), Verdict::Unproved);
        assert_eq!(table.complaints(true).len(), 1);
        assert!(table.complaints(false).is_empty(), "a partial run proves nothing and claims nothing");
    }

    #[test]
    fn one_failure_is_enough() {
        let outcomes = [
            outcome(Kind::Accept, "2.0.11", End::Passed),
            outcome(Kind::Refuse, "2.0.11", End::Passed),
            outcome(Kind::Refuse, "2.0.11", End::Failed),
        ];
        let table = Table::new(&declared(&["2.0.11"]), &outcomes, &[broker("2.0.11")]);
        assert_eq!(table.verdict("C1", "2.0.11"), Verdict::Failed(vec!["c1_x".into()]));
        assert!(table.complaints(false).iter().any(|complaint| complaint.contains("c1_x")));
    }

    #[test]
    fn a_deviation_must_be_pinned_and_a_pin_declared() {
        let mut outcomes =
            vec![outcome(Kind::Accept, "2.0.11", End::Passed), outcome(Kind::Refuse, "2.0.11", End::Passed)];
        let table = Table::new(&declared(&["2.0.11"]), &outcomes, &[broker("2.0.11")]);
        assert!(table.complaints(true).iter().any(|complaint| complaint.contains("pins down")));
        outcomes.push(outcome(Kind::Pin, "2.0.11", End::Passed));
        let table = Table::new(&declared(&["2.0.11"]), &outcomes, &[broker("2.0.11")]);
        assert_eq!(table.verdict("C1", "2.0.11"), Verdict::Deviates(vec![1]));
        assert!(table.complaints(true).is_empty());
        let table = Table::new(&declared(&[]), &outcomes, &[broker("2.0.11")]);
        assert!(table.complaints(true).iter().any(|complaint| complaint.contains("none is declared")));
    }

    #[test]
    fn what_no_plugin_can_do_is_pinned_and_declared_and_no_more() {
        let pinned = [outcome(Kind::Pin, "2.0.11", End::Passed)];
        let table = Table::new(&declared(&["2.0.11"]), &pinned, &[broker("2.0.11")]);
        assert_eq!(table.verdict("C1", "2.0.11"), Verdict::Deviates(vec![1]));
        assert!(table.complaints(true).is_empty());
        // Not where no deviation is declared, nor beside one of two sides.
        let table = Table::new(&declared(&["2.1"]), &pinned, &[broker("2.0.11")]);
        assert_eq!(table.verdict("C1", "2.0.11"), Verdict::Unproved);
        let half = [pinned[0].clone(), outcome(Kind::Accept, "2.0.11", End::Passed)];
        let table = Table::new(&declared(&["2.0.11"]), &half, &[broker("2.0.11")]);
        assert_eq!(table.verdict("C1", "2.0.11"), Verdict::Unproved);
        let failed = [outcome(Kind::Pin, "2.0.11", End::Failed)];
        let table = Table::new(&declared(&["2.0.11"]), &failed, &[broker("2.0.11")]);
        assert!(matches!(table.verdict("C1", "2.0.11"), Verdict::Failed(_)));
    }

    #[test]
    fn an_unknown_requirement_is_told() {
        let mut stray = outcome(Kind::Accept, "2.0.11", End::Passed);
        stray.requirement = "X9".into();
        let table = Table::new(&declared(&[]), &[stray], &[broker("2.0.11")]);
        assert!(table.complaints(false).iter().any(|complaint| complaint.contains("X9")));
        assert_eq!(Table::new(&declared(&[]), &[], &[]).complaints(true), ["no broker was tested"]);
    }
}
