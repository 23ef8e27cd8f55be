//! How many tokens are held.

/// How many tokens are held. Beyond either bound, those that expire first are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldBounds {
    /// How many, and
    pub tokens: usize,
    /// how many bytes they may take, about.
    pub bytes: usize,
}

impl Default for HeldBounds {
    fn default() -> Self {
        Self { tokens: 65_536, bytes: 64 * 1024 * 1024 }
    }
}
