//! The project's own commands, as a library: `cargo xtask` calls it, tests may read what it leaves.

pub mod abi;
pub mod bindings;
pub mod brokers;
pub mod cargo;
pub mod clients;
pub mod conformance;
mod debian;
pub mod demo;
pub mod deny;
pub mod docker;
pub mod package;
pub mod paths;
pub mod process;
pub mod promtool;
pub mod servers;
pub mod setup;
pub mod test;
pub mod trees;
