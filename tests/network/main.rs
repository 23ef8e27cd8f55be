//! Clients of a broker and an authorization server somewhere on the network, as a device is one: everything over the
//! wire, nothing but addresses, a CA and secrets at hand.
//!
//! In a container the environment says where the two are (see [`site::Site::from_environment`]). Without it, under plain
//! `cargo test --test network`, both are started on this machine, from the same trial set as in the containers: it takes
//! the programs of `cargo build --release --workspace` and a broker of `cargo xtask brokers`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets something unexpected should stop there and say so"
)]

mod authorization_server;
mod connecting;
mod lifetimes;
mod own;
mod site;
mod topics;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use crate::site::Site;

/// A test: passes by returning, fails by panicking.
type Case = (&'static str, fn(&Site));

const CASES: &[&[Case]] = &[connecting::CASES, topics::CASES, lifetimes::CASES, authorization_server::CASES];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They mostly wait for others.
    arguments.test_threads.get_or_insert(4);
    let site = if arguments.list { Ok(None) } else { Site::find().map(Some) };
    let site = match site {
        Ok(site) => Arc::new(site),
        Err(reason) => {
            eprintln!("error: {reason}");
            return ExitCode::FAILURE;
        }
    };
    let trials = CASES.iter().copied().flatten().map(|(name, case)| {
        let site = Arc::clone(&site);
        Trial::test(*name, move || match site.as_ref() {
            Some(site) => catch_unwind(AssertUnwindSafe(|| case(site))).map_err(|panic| words(&*panic).into()),
            None => Err("only listed".into()),
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if conclusion.has_failed()
        && let Some(site) = site.as_ref()
    {
        eprintln!("the end of the broker's log:\n{}", site.end_of_log());
    }
    conclusion.exit_code()
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

/// Lists cases; a function's name is the case's.
macro_rules! cases {
    ($($run:ident;)*) => {
        /// The cases of this file.
        pub(crate) const CASES: &[crate::Case] = &[$((stringify!($run), $run),)*];
    };
}
pub(crate) use cases;
