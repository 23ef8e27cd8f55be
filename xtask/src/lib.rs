//! The project's own commands, as a library: `cargo xtask` calls it, tests may read what it leaves.

pub mod brokers;
pub mod paths;
pub mod process;
