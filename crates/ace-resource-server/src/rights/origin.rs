//! Where a token comes from, by which it can be revoked.

use ace_profile::revocation::TokenHashes;
use ace_profile::token::ValidatedToken;

/// By what a token is found in a revocation list: a server's list is about its own tokens only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who has issued it.
    pub issuer: Box<str>,
    /// What it is called there.
    pub hashes: TokenHashes,
}

impl Origin {
    /// That of a token.
    #[must_use]
    pub fn of(token: &ValidatedToken) -> Self {
        Self { issuer: token.issuer.as_str().into(), hashes: token.hashes.clone() }
    }

    /// Some origin, for tests and measurements of what is not about it.
    #[cfg(any(test, feature = "for-tests"))]
    #[must_use]
    pub fn for_test() -> Self {
        Self { issuer: "as".into(), hashes: TokenHashes::of_text("") }
    }
}
