//! The plugin in real, unpatched brokers, over real TLS, with exact packets.
//!
//! `cargo test --test broker` runs each case on each Mosquitto version that `cargo xtask brokers`
//! has fetched (`ACE_BROKERS` names another list), with the plugin that `cargo build --release` has
//! built (`ACE_PLUGIN` names another one). A case is named by its requirement; the outcomes go to
//! `target/conformance/results.json`, the brokers' logs to `target/broker-logs/`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets something unexpected should stop there and say so"
)]
#![allow(unreachable_pub, reason = "a test program exports nothing")]

mod acl;
mod afterwards;
mod asking_why;
mod attacks;
mod authorization_server;
mod authz_info;
mod client_connecting;
mod client_control;
mod client_reauthentication;
mod client_renewal;
mod connecting;
mod control;
mod crowd;
mod cwt;
mod discovery;
mod encrypted_tokens;
mod endurance;
mod examples;
mod examples_behind_proxy;
mod examples_of_configuration;
mod expiry;
mod explained;
mod extended_master_secret;
mod first_steps;
mod flood;
mod glewlwyd;
mod harness;
mod harness_https_server;
mod held;
mod hostile;
mod interplay;
mod introspection;
mod late_wills;
mod live_keys;
mod load;
mod metrics;
mod metrics_listener;
mod metrics_topics;
mod mqtt311;
mod mutual_tls;
mod oidc_provider;
mod operating;
mod psk;
mod raw_keys;
mod reauthentication;
mod refusal_log;
mod relative_expiry;
mod restarts;
mod revocation;
mod scope_formats;
mod scopes;
mod shown_keys;
mod support;
mod tokens;
mod waiting;
mod websockets;
mod wills;

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{cell::RefCell, env, fs};

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use support::broker::{log_folder, target_folder};
use support::brokers::Version;
use support::{Case, Ctx, Kind, brokers, results, secrets};

/// Tests mostly wait for brokers: a few more threads than cores.
const THREADS: usize = 4;

static CASES: &[&[Case]] = &[
    harness::CASES,
    harness_https_server::CASES,
    asking_why::CASES,
    connecting::CASES,
    mqtt311::CASES,
    tokens::CASES,
    encrypted_tokens::CASES,
    scopes::CASES,
    scope_formats::CASES,
    shown_keys::CASES,
    acl::CASES,
    expiry::CASES,
    reauthentication::CASES,
    afterwards::CASES,
    hostile::CASES,
    endurance::CASES,
    examples_of_configuration::CASES,
    examples_behind_proxy::CASES,
    attacks::CASES,
    authz_info::CASES,
    first_steps::CASES,
    flood::CASES,
    interplay::CASES,
    operating::CASES,
    websockets::CASES,
    discovery::CASES,
    wills::CASES,
    extended_master_secret::CASES,
    load::CASES,
    crowd::CASES,
    cwt::CASES,
    held::CASES,
    late_wills::CASES,
    relative_expiry::CASES,
    restarts::CASES,
    revocation::CASES,
    live_keys::CASES,
    introspection::CASES,
    client_connecting::CASES,
    client_reauthentication::CASES,
    client_renewal::CASES,
    psk::CASES,
    mutual_tls::CASES,
    raw_keys::CASES,
    authorization_server::CASES,
    oidc_provider::CASES,
    glewlwyd::CASES,
    waiting::CASES,
    control::CASES,
    examples::CASES,
    metrics::CASES,
    metrics_listener::CASES,
    metrics_topics::CASES,
    refusal_log::CASES,
    client_control::CASES,
];
static STARTED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// What this thread's case stumbled over.
    static FAILURE: RefCell<String> = const { RefCell::new(String::new()) };
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let (versions, plugin) = match surroundings() {
        Ok(found) => found,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    let trials = trials(&versions, &plugin);
    let all = trials.len();
    if arguments.list {
        libtest_mimic::run(&arguments, trials).exit();
    }
    raise_open_files();
    std::panic::set_hook(Box::new(note_failure));
    prepare_logs();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let whole = STARTED.load(Ordering::Relaxed) == all;
    let file = target_folder().join("conformance/results.json");
    if let Err(error) = results::write(&file, whole) {
        eprintln!("{}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    explained::print();
    // Of the run as a whole, whatever the filter was.
    let asked = move || if whole { explained::require(versions.len()).map_err(Failed::from) } else { Ok(()) };
    let afterwards = vec![
        Trial::test("explain_was_asked_as_well", asked),
        Trial::test("no_secret_in_any_log", no_secret_in_any_log),
        Trial::test("every_requirement_is_shown_from_both_sides", every_requirement_is_shown_from_both_sides),
    ];
    let afterwards = libtest_mimic::run(&Arguments::default(), afterwards);
    if conclusion.has_failed() || afterwards.has_failed() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Of how many open files a process may need: a thousand clients of each broker at a time, and a broker has as many.
const OPEN_FILES: u64 = 8192;

/// Raises the limit of open files as far as it is needed and may be raised, for this process and the brokers that it starts.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let enough = limit.maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < enough) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(enough), ..limit }).expect("more open files");
    }
}

/// The brokers and the plugin to test.
fn surroundings() -> Result<(Vec<Version>, PathBuf), String> {
    let path = |name: &str, usual: &str| env::var_os(name).map_or_else(|| target_folder().join(usual), PathBuf::from);
    let versions = brokers::read(&path("ACE_BROKERS", "brokers/brokers.json"))?;
    let plugin = path("ACE_PLUGIN", "release/libmosquitto_ace.so");
    let plugin = fs::canonicalize(&plugin).map_err(|error| {
        format!("{}: {error}: run `cargo build --release` first, or set ACE_PLUGIN to the plugin", plugin.display())
    })?;
    Ok((versions, plugin))
}

/// Each case on each version.
fn trials(versions: &[Version], plugin: &Path) -> Vec<Trial> {
    let mut trials = Vec::new();
    for version in versions {
        for case in CASES.iter().copied().flatten() {
            let ctx = Ctx { version: version.clone(), plugin: plugin.to_owned(), name: case.name };
            let name = format!("{}::{}", version.number, case.name);
            trials.push(Trial::test(name, move || run(case, &ctx)));
        }
    }
    trials
}

fn run(case: &Case, ctx: &Ctx) -> Result<(), Failed> {
    STARTED.fetch_add(1, Ordering::Relaxed);
    let outcome = catch_unwind(AssertUnwindSafe(|| (case.run)(ctx)));
    let failure = outcome.err().map(|_| FAILURE.take());
    let wrong = explained::disagreements(ctx);
    // What has failed may have said anything.
    let failure = failure.or_else(|| (!wrong.is_empty()).then(|| wrong.join("\n")));
    results::record(case, &ctx.version.number, failure.as_deref());
    failure.map_or(Ok(()), |text| Err(text.into()))
}

/// Keeps what a panic says, and where, for the summary instead of printing it in between.
fn note_failure(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a panic without words");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    FAILURE.set(format!("{text}\n   at {place}"));
}

/// Starts with an empty folder: old logs would tell of other runs.
fn prepare_logs() {
    let folder = log_folder();
    // Fails only if there is none yet.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for the logs");
}

/// What has been built, and so must be shown by at least one accepting and one refusing case.
const REQUIREMENTS: &[&str] = &[
    "A1", "A2", "A3", "A4", "A5", "AS1", "AS2", "AS3", "AS4", "AS5", "AS7", "C1", "C2", "C3", "C4", "C5", "C6", "C7",
    "C8", "C9", "C10", "E1", "E2", "E3", "E4", "K1", "L1", "L2", "L3", "L4", "L5", "L6", "R1", "R2", "R3", "R4", "S1",
    "S2", "S3", "S4", "S5", "S6", "T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "V1", "V2", "V3", "V4", "V5", "",
];

/// What no stock broker lets a plugin do: there is nothing to accept or to refuse, but a case must pin down what happens instead.
const BEYOND_PLUGINS: [&str; 1] = ["A6"];

/// The table has no holes, and no case for a requirement that the lists do not know.
fn every_requirement_is_shown_from_both_sides() -> Result<(), Failed> {
    let all: Vec<_> = CASES.iter().copied().flatten().collect();
    let is_shown = |requirement, kind| all.iter().any(|case| case.requirement == requirement && case.kind == kind);
    for requirement in REQUIREMENTS.iter().copied() {
        for kind in [Kind::Accept, Kind::Refuse] {
            if !is_shown(requirement, kind) {
                return Err(format!("{requirement}: no case to {}", kind.word()).into());
            }
        }
    }
    for requirement in BEYOND_PLUGINS {
        if !is_shown(requirement, Kind::Pin) {
            return Err(format!("{requirement}: no case to {}", Kind::Pin.word()).into());
        }
        if is_shown(requirement, Kind::Accept) || is_shown(requirement, Kind::Refuse) {
            return Err(format!("{requirement}: a case shows what no plugin can do").into());
        }
    }
    let is_known = |requirement| REQUIREMENTS.contains(requirement) || BEYOND_PLUGINS.contains(requirement);
    match all.iter().find(|case| !is_known(&case.requirement)) {
        Some(case) => Err(format!("{}: unknown requirement {}", case.name, case.requirement).into()),
        None => Ok(()),
    }
}

/// No token, key, secret or MAC of the run is in any broker's log, and the search can find one.
fn no_secret_in_any_log() -> Result<(), Failed> {
    let planted = log_folder().join("planted-to-be-found.log");
    let marker = support::key::random(32);
    secrets::register(&marker);
    fs::write(&planted, format!("a line\nwith {} in it\n", support::encode(&marker)))?;
    secrets::register_log(planted.clone());
    let mut found = secrets::found_in_logs();
    let before = found.len();
    found.retain(|(log, _)| *log != planted);
    if before == found.len() {
        return Err("the search did not find the secret that was planted".into());
    }
    if found.is_empty() {
        return Ok(());
    }
    let places: Vec<_> = found.iter().map(|(log, at)| format!("{} from byte {at}", log.display())).collect();
    Err(format!("secrets in logs: {}", places.join(", ")).into())
}
