//! The table as a page of the documentation.

use std::fmt::Write as _;

use super::declared::Declared;
use super::table::{Table, Verdict};

const BEFORE: &str = "\
# Conformance

What each tested Mosquitto release does with the plugin, requirement by requirement. Written by `cargo xtask test` from
what its tests against real, unpatched brokers have shown; do not edit it by hand. The names of the requirements and the
deviations come from [conformance-deviations.toml](conformance-deviations.toml).

A cell says whether the requirement is met, and how many accepting and refusing tests have shown it. *Deviates* means that
the stock broker does not let a plugin do all that is asked: the note says what happens instead, and a test holds it to that.
";

/// The whole page.
pub(super) fn document(table: &Table, declared: &Declared) -> String {
    let mut text = format!("{BEFORE}\n| | Requirement |");
    for release in table.releases() {
        let _ = write!(text, " {release} |");
    }
    text.push_str("\n| --- | --- |");
    text.push_str(&" --- |".repeat(table.releases().count()));
    for (requirement, name) in table.requirements() {
        let _ = write!(text, "\n| {requirement} | {name} |");
        for release in table.releases() {
            let counts = table.counts(requirement, release);
            let _ = match table.verdict(requirement, release) {
                Verdict::Met => write!(text, " met {counts} |"),
                Verdict::Deviates(footnotes) => {
                    let links: Vec<String> =
                        footnotes.iter().map(|footnote| format!("[{footnote}](#deviation-{footnote})")).collect();
                    write!(text, " deviates {counts} ({}) |", links.join(", "))
                }
                Verdict::Unproved => write!(text, " not proved |"),
                Verdict::Failed(_) => write!(text, " failed |"),
            };
        }
    }
    text.push('\n');
    if !declared.deviations.is_empty() {
        text.push_str("\n## Deviations\n");
    }
    for (index, deviation) in declared.deviations.iter().enumerate() {
        let _ = write!(
            text,
            "\n### Deviation {}\n\n{} on {}. {} {}\n",
            index + 1,
            deviation.requirement,
            deviation.versions.join(", "),
            deviation.lacks,
            deviation.instead
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::declared::Deviation;

    #[test]
    fn a_deviation_is_linked_and_explained() {
        let declared = Declared {
            requirements: [("C1".to_owned(), "the method".to_owned())].into(),
            deviations: vec![Deviation {
                requirement: "C1".into(),
                versions: vec!["2.1".into()],
                lacks: "It lacks this.".into(),
                instead: "That happens.".into(),
            }],
        };
        let text = document(&Table::new(&declared, &[], &[]), &declared);
        assert!(text.contains("| C1 | the method |"));
        assert!(text.contains("### Deviation 1\n\nC1 on 2.1. It lacks this. That happens.\n"));
    }
}
