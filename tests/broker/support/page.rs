//! What a page has the reader type, and what it says that they will see.
//!
//! A block of `sh` is typed, one of `text` is seen. Comments in front of a block say more: `<!-- terminal 2 -->` that it is typed in
//! another terminal than the first, where it goes on; `<!-- fails -->` that it fails; `<!-- seen in terminal 2 -->` where it is
//! seen, if not where something was typed last; `<!-- install -->` that it is for the machine, not for the trial.

/// A step of the page's.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// To be typed in this terminal; whether it fails.
    Typed { terminal: usize, fails: bool, text: String },
    /// To be seen in this terminal, line by line.
    Seen { terminal: usize, lines: Vec<String> },
    /// Builds and installs.
    Install { text: String },
}

/// The first terminal, in which each command ends before the next is typed.
pub const FIRST: usize = 1;

/// The steps of a page, in order.
pub fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = page.lines();
    let (mut remark, mut typed_last) = (None, FIRST);
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            remark = Some(text);
            continue;
        }
        let Some(language) = line.strip_prefix("```") else { continue };
        let block: Vec<String> = lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect();
        let said = remark.take();
        let number = |prefix: &str| said.and_then(|text| text.strip_prefix(prefix)?.parse().ok());
        let step = match (language, said) {
            ("sh", Some("install")) => Step::Install { text: block.join("\n") },
            ("sh", _) => {
                let fails = said == Some("fails");
                let terminal = number("terminal ");
                assert!(said.is_none() || fails || terminal.is_some(), "{said:?}");
                typed_last = terminal.unwrap_or(FIRST);
                Step::Typed { terminal: typed_last, fails, text: block.join("\n") }
            }
            ("text", _) => {
                let terminal = number("seen in terminal ");
                assert!(said.is_none() || terminal.is_some(), "{said:?}");
                Step::Seen { terminal: terminal.unwrap_or(typed_last), lines: block }
            }
            other => panic!("a block that is neither typed nor seen: {other:?}"),
        };
        steps.push(step);
    }
    assert_eq!(remark, None, "a remark without a block");
    steps
}

/// Whether a line is as the page shows it, where `…` stands for anything.
pub fn is_shown(shown: &str, line: &str) -> bool {
    let Some((first, rest)) = shown.split_once('…') else { return shown == line };
    let Some(mut left) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}
