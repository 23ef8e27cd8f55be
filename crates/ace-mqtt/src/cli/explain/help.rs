//! Where a reason is explained: the section of docs/troubleshooting.md that has its code.

const PAGE: &str = include_str!("../../../../../docs/troubleshooting.md");
const PLACE: &str = "docs/troubleshooting.md";

/// The page, and its section as in a link.
pub(super) fn place(code: &str) -> String {
    match section(code) {
        Some(heading) => format!("{PLACE}#{}", anchor(heading)),
        None => PLACE.to_owned(),
    }
}

/// The heading above the first row that has this code.
fn section(code: &str) -> Option<&'static str> {
    let row = format!("| `{code}` |");
    let mut heading = None;
    for line in PAGE.lines() {
        if let Some(text) = line.strip_prefix("## ") {
            heading = Some(text);
        }
        if line.starts_with(&row) {
            return heading;
        }
    }
    None
}

/// A heading as a link has it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-'));
    kept.flat_map(char::to_lowercase).map(|character| if character == ' ' { '-' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use ace_profile::Refusal;

    use super::*;

    #[test]
    fn every_refusal_has_a_section() {
        for code in Refusal::CODES.iter().chain(&["token-revoked", "user-name-unusable", "server-unavailable"]) {
            assert!(section(code).is_some(), "{code} is in no table of {PLACE}");
        }
        assert_eq!(place("token-expired"), "docs/troubleshooting.md#refusals-the-token");
        assert_eq!(place("confirmation-malformed"), "docs/troubleshooting.md#refusals-the-key-in-the-token-cnf");
    }
}
