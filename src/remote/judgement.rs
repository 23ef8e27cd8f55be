//! A token is judged by what is known, or it is said what has to be found out first: docs/decisions/0016-attempts-that-wait-for-a-server.md.

use ace_profile::revocation::TokenHash;
use ace_profile::token::ValidatedToken;

use super::introspection::Lease;

/// What is to be said about a token now.
#[derive(Debug)]
pub enum Judgement {
    /// It is good.
    Good(Box<ValidatedToken>),
    /// That depends on what is being asked for.
    Needs(Inquiry),
}

/// Something that has been asked for, and on which judgements wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inquiry {
    /// What a server says about a token.
    Token {
        /// Which.
        token: TokenHash,
        /// The number of the inquiry.
        number: u64,
    },
    /// The keys of a server, fetched anew.
    Keys {
        /// Whose.
        issuer: Box<str>,
        /// The number of the fetch.
        fetch: u64,
    },
}

/// How far an inquiry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Not answered, and within its time.
    UnderWay,
    /// It is time to judge again.
    Settled,
    /// There is no answer that could be used.
    Failed,
}

/// What confirms that a token is still good, beside its own end.
#[derive(Debug)]
pub enum Confirmed {
    /// Nothing has to: it speaks for itself.
    NotNeeded,
    /// An answer of its server. As long as the lease lives, the server is asked again before the answer runs out.
    By(Lease),
    /// Nothing any more: it has to be judged again.
    Lapsed,
}
