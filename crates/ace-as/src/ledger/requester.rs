//! Who may look at the token revocation list, and at which part of it (RFC 9770 §1.1: pertaining tokens).

use std::collections::BTreeSet;

use super::Facts;

/// A registered device or an administrator.
#[derive(Debug, Clone)]
pub(crate) struct Requester {
    /// Its id.
    pub(crate) id: String,
    /// Which tokens pertain to it.
    pub(crate) part: Part,
}

/// Which tokens pertain to a requester.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// A client: its own.
    OfClient,
    /// A resource server: those that are made out to one of its audiences.
    ForAudiences(BTreeSet<String>),
    /// An administrator: all.
    All,
}

impl Requester {
    /// Whether a token pertains to it.
    pub(crate) fn pertains(&self, token: &Facts) -> bool {
        match &self.part {
            Part::OfClient => token.client_id == self.id,
            Part::ForAudiences(audiences) => audiences.contains(&token.audience),
            Part::All => true,
        }
    }
}
