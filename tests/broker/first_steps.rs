//! docs/first-steps.md, typed as it stands: what it says that the reader will see is seen.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::broker::{free_port, log_folder};
use crate::support::case::cases;
use crate::support::page::{FIRST, Step, is_shown, steps};
use crate::support::terminal::Terminal;
use crate::support::{Ctx, secrets};

cases! {
    Accept "" first_steps_lead_where_the_page_says;
    Refuse "" first_steps_see_what_is_missing;
}

/// How long all of it may take beside the build; a reader types for most of the ten minutes that there are.
const AT_MOST: Duration = Duration::from_secs(60);

fn page() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/first-steps.md");
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What a reader may have to change: two ports, and where broker and plugin are.
fn own(text: &str, replacements: &[(&str, String)]) -> String {
    // By way of characters that are in no text, so that nothing is replaced twice.
    let mark = |number: usize| char::from_u32(0xe000 + number as u32).expect("a private character").to_string();
    let marked = replacements
        .iter()
        .enumerate()
        .fold(text.to_owned(), |text, (number, (from, _))| text.replace(from, &mark(number)));
    replacements.iter().enumerate().fold(marked, |text, (number, (_, to))| text.replace(&mark(number), to))
}

fn first_steps_lead_where_the_page_says(ctx: &Ctx) {
    let home = tempfile::tempdir().expect("a home");
    let programs = home.path().join("bin");
    std::fs::create_dir(&programs).expect("a folder");
    for name in ["ace-as", "ace-mqtt"] {
        std::os::unix::fs::symlink(ctx.plugin.with_file_name(name), programs.join(name)).expect("a program");
    }
    let replacements = [
        ("8443", free_port().to_string()),
        ("8883", free_port().to_string()),
        ("/usr/lib/mosquitto/libmosquitto_ace.so", ctx.plugin.display().to_string()),
        ("/usr/sbin/mosquitto", ctx.version.launcher.display().to_string()),
    ];
    let mut terminals: BTreeMap<usize, Terminal> = BTreeMap::new();
    let (mut typed, mut seen, mut failed) = (0, 0, 0);
    let begin = Instant::now();
    for step in steps(&page()) {
        match step {
            // This is done: the programs are built.
            Step::Install { text } => {
                for line in ["cargo build --release --workspace", "install -m 755 target/release/ace-as"] {
                    assert!(text.contains(line), "{text}");
                }
            }
            Step::Typed { terminal: number, fails, text } => {
                let terminal = terminals.entry(number).or_insert_with(|| {
                    let name = format!("{}-{}.terminal-{number}.out", ctx.name, ctx.version.number);
                    let output = log_folder().join(name);
                    secrets::register_log(output.clone());
                    Terminal::open(home.path(), &programs, output, number)
                });
                terminal.type_in(&own(&text, &replacements));
                if number == FIRST {
                    assert_eq!(terminal.ended().success(), !fails, "{text}\n{}", terminal.shown());
                }
                (typed, failed) = (typed + 1, failed + usize::from(fails));
            }
            Step::Seen { terminal, lines } => {
                let lines: Vec<String> = lines.iter().map(|line| own(line, &replacements)).collect();
                terminals.get_mut(&terminal).expect("a terminal in which something was typed").expect(&lines);
                seen += lines.len();
            }
        }
    }
    assert!(begin.elapsed() < AT_MOST, "{:?}", begin.elapsed());
    assert!(typed >= 10 && seen >= 15 && failed >= 2 && terminals.len() >= 4, "{typed} {seen} {failed}");
}

/// The test of the page would notice if a line did not come, came in another order, or if something failed that should not.
fn first_steps_see_what_is_missing(_: &Ctx) {
    assert!(is_shown("…: ace: admitted client \"…\" at", "12: ace: admitted client \"x\" at"));
    assert!(is_shown("good: …", "good: ") && is_shown("a…b…c", "a1b2c") && is_shown("as it is", "as it is"));
    for (shown, line) in [("a…b", "ab c"), ("a…b…c", "acb"), ("…x", "y"), ("as it is", "as it is not"), ("x…", "y")]
    {
        assert!(!is_shown(shown, line), "{shown} {line}");
    }
    let page =
        "```sh\none\ntwo\n```\n\n<!-- fails -->\n```sh\nthree\n```\n<!-- seen in terminal 2 -->\n```text\nfour\n```\n";
    let typed = |fails, text: &str| Step::Typed { terminal: FIRST, fails, text: text.to_owned() };
    let seen = Step::Seen { terminal: 2, lines: vec!["four".to_owned()] };
    assert_eq!(steps(page), [typed(false, "one\ntwo"), typed(true, "three"), seen]);
    let home = tempfile::tempdir().expect("a home");
    let mut terminal = Terminal::open(home.path(), home.path(), home.path().join("shown"), FIRST);
    terminal.type_in("mkdir deep\ncd deep");
    assert!(terminal.ended().success());
    terminal.type_in("pwd\nfalse\necho never");
    assert!(!terminal.ended().success(), "it stops at what fails");
    assert_eq!(terminal.shown().trim_end(), home.path().join("deep").display().to_string());
}
