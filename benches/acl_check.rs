//! What one whole `ACL_CHECK` costs: from the broker's call to the return code, by the number of filters in the client's
//! scope, and by where the filter that matters stands among them.
//!
//! `cargo bench --bench acl_check` prints two tables: nanoseconds with their ratios to the scope of 16 filters, and, where
//! valgrind is installed, instructions, which are the same each time.
//!
//! Other work on the machine only ever adds to a time, so the times are the shortest of many rounds. The scopes take turns
//! within a round, and a ratio is the median of each round's own, so that what slows a round down does so on both sides.

use std::ffi::{CStr, CString};
use std::process::{Command, ExitCode};
use std::time::Instant;

use ace_profile::Timestamp;
use ace_profile::scope::{Permissions, Scope, TopicFilter};
use ace_resource_server::rights::Access;
use mosquitto_ace::broker::fake::{AclCheckCall, Fake, FakeClient};
use mosquitto_ace::plugin::Plugin;

const FILTERS: [usize; 4] = [1, 16, 256, 4096];
const REFERENCE: usize = 16;
const ROUNDS: usize = 101;
const CALLS_PER_ROUND: u32 = 20_000;
/// In the instruction count, the difference between two numbers of calls leaves out what is not a call.
const COUNTED_CALLS: [u32; 2] = [1_000, 11_000];

/// What the filters of the scope are like.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Filters {
    /// `plant/line00001/temperature`: one topic each.
    Topics,
    /// `plant/line00001/#`: all below.
    Subtrees,
    /// `plant/+/kind00001`: a wildcard in the middle.
    Wildcards,
}

/// Where the filter that matches stands in the scope.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Position {
    First,
    Last,
    Absent,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Case(Filters, Position);

const CASES: [Case; 9] = [
    Case(Filters::Topics, Position::First),
    Case(Filters::Topics, Position::Last),
    Case(Filters::Topics, Position::Absent),
    Case(Filters::Subtrees, Position::First),
    Case(Filters::Subtrees, Position::Last),
    Case(Filters::Subtrees, Position::Absent),
    Case(Filters::Wildcards, Position::First),
    Case(Filters::Wildcards, Position::Last),
    Case(Filters::Wildcards, Position::Absent),
];

impl Case {
    fn name(self) -> String {
        format!("{:?} {:?}", self.0, self.1).to_lowercase()
    }

    fn topic(self, filters: usize) -> CString {
        let number = match self.1 {
            Position::First => 0,
            Position::Last => filters - 1,
            Position::Absent => filters + 1,
        };
        let topic = match self.0 {
            Filters::Topics | Filters::Subtrees => format!("plant/line{number:05}/temperature"),
            Filters::Wildcards => format!("plant/line00000/kind{number:05}"),
        };
        CString::new(topic).unwrap_or_default()
    }

    fn expected(self) -> i32 {
        if self.1 == Position::Absent { 12 } else { 0 }
    }

    /// So many filters.
    fn scope(self, filters: usize) -> Scope {
        let filters = (0..filters).map(|number| match self.0 {
            Filters::Topics => format!("plant/line{number:05}/temperature"),
            Filters::Subtrees => format!("plant/line{number:05}/#"),
            Filters::Wildcards => format!("plant/+/kind{number:05}"),
        });
        Scope::new(filters.filter_map(|text| Some((TopicFilter::parse(&text).ok()?, Permissions::BOTH))))
    }
}

struct Subject {
    fake: Fake<Plugin>,
    #[expect(clippy::vec_box, reason = "a client is known by its address, which must not change")]
    clients: Vec<Box<FakeClient>>,
    _folder: tempfile::TempDir,
}

impl Subject {
    /// A plugin with a few hundred other clients.
    fn new() -> Self {
        let Ok(folder) = tempfile::tempdir() else { fail("no temporary folder") };
        let jwks = r#"{"keys":[{"kty":"oct","kid":"1","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]}"#;
        let config = "audience = \"broker\"\n[[authorization_server]]\nissuer = \"as\"\njwks = \"jwks.json\"\n";
        let path = folder.path().join("ace.toml");
        let written =
            std::fs::write(folder.path().join("jwks.json"), jwks).and_then(|()| std::fs::write(&path, config));
        if written.is_err() {
            fail("the temporary folder cannot be written to");
        }
        let Ok(fake) = Fake::<Plugin>::load(&[("config_file", &path.to_string_lossy())]) else { fail("no plugin") };
        let mut clients = Vec::new();
        for number in 0..500 {
            let mut client = FakeClient::new(&format!("bystander-{number}"));
            fake.plugin().admit_with_scope(&mut client, &CASES[0].scope(2), Timestamp::MAX);
            clients.push(client);
        }
        Self { fake, clients, _folder: folder }
    }

    fn client(&self, case: Case, filters: usize) -> Box<FakeClient> {
        let mut client = FakeClient::new("measured-client-0001");
        self.fake.plugin().admit_with_scope(&mut client, &case.scope(filters), Timestamp::MAX);
        client
    }

    fn prepare<'a>(&self, client: &'a mut FakeClient, topic: &'a CStr, case: Case) -> AclCheckCall<'a> {
        // At QoS 1 a denied client stays connected.
        let mut call = self.fake.prepare_acl_check(client, Access::Publish, topic, 1);
        if call.call() != case.expected() {
            fail("the decision is wrong");
        }
        call
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, filters, case, calls] = arguments.as_slice()
        && flag == "--calls"
    {
        return call_only(filters, case, calls);
    }
    let subject = Subject::new();
    println!("One ACL_CHECK (publish, three levels), with {} other clients.\n", subject.clients.len());
    print_times(&subject);
    print_instructions();
    ExitCode::SUCCESS
}

fn print_times(subject: &Subject) {
    println!(
        "Nanoseconds (shortest of {ROUNDS} rounds of {CALLS_PER_ROUND} calls), and the median of the rounds' ratios to \
         {REFERENCE} filters"
    );
    print_heading(18);
    for case in CASES {
        let mut clients: Vec<_> = FILTERS.map(|filters| (subject.client(case, filters), case.topic(filters))).into();
        let mut calls: Vec<_> =
            clients.iter_mut().map(|(client, topic)| subject.prepare(client, topic, case)).collect();
        let rounds: Vec<Vec<f64>> = (0..ROUNDS).map(|_| calls.iter_mut().map(time).collect()).collect();
        let reference = FILTERS.iter().position(|filters| *filters == REFERENCE).unwrap_or(0);
        let cells: String = (0..FILTERS.len())
            .map(|column| {
                let shortest = rounds.iter().map(|round| round[column]).fold(f64::INFINITY, f64::min);
                let mut ratios: Vec<f64> = rounds.iter().map(|round| round[column] / round[reference]).collect();
                ratios.sort_by(f64::total_cmp);
                format!("{shortest:>9.1} ({:>5.2}×)", ratios[ROUNDS / 2])
            })
            .collect();
        println!("{:>18} {cells}", case.name());
    }
}

fn print_heading(width: usize) {
    println!("{:>18} {}", "filters:", FILTERS.map(|filters| format!("{filters:>width$}")).concat());
}

/// Nanoseconds per call.
fn time(call: &mut AclCheckCall<'_>) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS_PER_ROUND {
        std::hint::black_box(call.call());
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS_PER_ROUND)
}

fn print_instructions() {
    println!("\nInstructions (valgrind --tool=callgrind)");
    print_heading(8);
    for case in CASES {
        let cells: Option<String> =
            FILTERS.into_iter().map(|filters| Some(format!("{:>8}", instructions(filters, case)?))).collect();
        match cells {
            Some(cells) => println!("{:>18} {cells}", case.name()),
            None => return println!("valgrind is not installed, or did not count"),
        }
    }
}

/// Instructions per call: this program again, under valgrind, with two numbers of calls.
fn instructions(filters: usize, case: Case) -> Option<u64> {
    let count = |calls: u32| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().ok()?)
            .args(["--calls", &filters.to_string(), &case.name(), &calls.to_string()])
            .output()
            .ok()?;
        let report = String::from_utf8_lossy(&output.stderr).into_owned();
        report.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse::<u64>().ok())
    };
    let [few, many] = COUNTED_CALLS;
    Some(count(many)?.checked_sub(count(few)?)? / u64::from(many - few))
}

fn call_only(filters: &str, case: &str, calls: &str) -> ExitCode {
    let case = CASES.into_iter().find(|known| known.name() == case);
    let (Ok(filters), Some(case), Ok(calls)) = (filters.parse(), case, calls.parse::<u32>()) else {
        fail("--calls FILTERS CASE CALLS");
    };
    let subject = Subject::new();
    let (mut client, topic) = (subject.client(case, filters), case.topic(filters));
    let mut call = subject.prepare(&mut client, &topic, case);
    for _ in 0..calls {
        std::hint::black_box(call.call());
    }
    ExitCode::SUCCESS
}

fn fail(reason: &str) -> ! {
    eprintln!("acl_check: {reason}");
    std::process::exit(1);
}
