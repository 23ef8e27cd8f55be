//! What an operator should know about a configuration that is valid: what is risky in it, and whether its servers answer.

mod reach;
mod warning;

pub use reach::{Reached, Resource, reach};
pub use warning::{Warning, warnings};
