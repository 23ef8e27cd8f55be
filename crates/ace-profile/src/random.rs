//! Where random bytes come from: always an argument, so that tests can hand in known ones.

use crate::jose::KeyError;

/// A source of unpredictable bytes.
pub trait Random {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`KeyError::RandomUnavailable`] if there are none to be had; `bytes` must not be used then.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), KeyError>;
}

/// The cryptographic library's own generator, seeded by the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), KeyError> {
        aws_lc_rs::rand::fill(bytes).map_err(|_| KeyError::RandomUnavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (mut one, mut other) = ([0; 32], [0; 32]);
        SystemRandom.fill(&mut one).unwrap();
        SystemRandom.fill(&mut other).unwrap();
        assert_ne!(one, other);
    }
}
