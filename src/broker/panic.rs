//! Panics stop here: unwinding into the broker's C code would be undefined behaviour, and aborting would take all
//! clients down with the one whose packet found our mistake.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::functions::{Broker, Level};

/// Runs `body`; if it panics, logs that and gives `denial` instead.
///
/// The panic's message is not logged: it could hold a piece of what was being looked at, and that may be a token.
pub(super) fn contained<T>(broker: Option<&Broker>, denial: T, body: impl FnOnce() -> T) -> T {
    // Interior state may be left half-changed by a panic; all of it is in cells that hold plain maps, whose invariants do
    // not depend on one another for safety, and whose answer when something is missing is a denial.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(answer) => answer,
        Err(payload) => {
            // Dropping a payload can panic in its turn; there is no use for it.
            std::mem::forget(payload);
            if let Some(broker) = broker {
                broker.log(Level::Error, "ace: internal error: a panic was stopped and answered with a denial");
            }
            denial
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_denial() {
        assert_eq!(contained(None, 12, || 0), 0);
        assert_eq!(contained(None, 12, || -> i32 { panic!("in a callback") }), 12);
    }
}
