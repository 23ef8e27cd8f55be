//! Which of the process's plugins this one is: with `per_listener_settings` the broker loads one for each listener.

use std::cell::RefCell;
use std::collections::BTreeSet;

thread_local! {
    static LOADED: RefCell<BTreeSet<usize>> = const { RefCell::new(BTreeSet::new()) };
}

/// A plugin's number, counted from 1 in the order in which the broker loads them.
#[derive(Debug)]
pub struct Instance(usize);

impl Instance {
    /// The next one.
    #[must_use]
    pub fn next() -> Self {
        LOADED.with_borrow_mut(|loaded| {
            let free = (1..).find(|number| !loaded.contains(number)).unwrap_or_default();
            loaded.insert(free);
            Self(free)
        })
    }

    /// The number.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.0
    }

    /// Whether there is no other.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        LOADED.try_with(|loaded| loaded.borrow().len() <= 1).unwrap_or(true)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // The thread may be ending, and its memory gone.
        let _ = LOADED.try_with(|loaded| loaded.borrow_mut().remove(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again() {
        let one = Instance::next();
        assert!(one.number() == 1 && one.is_alone());
        let two = Instance::next();
        assert!(two.number() == 2 && !two.is_alone() && !one.is_alone());
        drop(one);
        assert!(two.is_alone());
        assert_eq!(Instance::next().number(), 1);
    }
}
