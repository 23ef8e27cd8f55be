//! The command line `ace-mqtt`. Everything that it does with the network is in the library of the same name.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
