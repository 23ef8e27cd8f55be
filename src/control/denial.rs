//! Why a client's commands are not looked at.

use std::cell::Cell;

/// Who may not command, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It is not connected with a token: it is anonymous, left to the broker's other plugins, a bridge, or known to another plugin only.
    WithoutToken,
    /// Its token has expired.
    TokenExpired,
    /// Its session is about to end.
    SessionEnding,
    /// Its token does not let it publish to `$CONTROL/ace/v1`.
    OutsideScope,
    /// Its token does not let it be given what comes on `$CONTROL/ace/v1/response`.
    ResponseOutsideScope,
}

impl Denied {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::WithoutToken, Self::TokenExpired, Self::SessionEnding, Self::OutsideScope, Self::ResponseOutsideScope];

    /// A short name that stays the same over versions.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::WithoutToken => "control-without-token",
            Self::TokenExpired => "token-expired",
            Self::SessionEnding => "session-ending",
            Self::OutsideScope => "control-outside-scope",
            Self::ResponseOutsideScope => "control-response-outside-scope",
        }
    }
}

/// How often each has happened since the start.
#[derive(Debug, Default)]
pub struct Denials([Cell<u64>; Denied::ALL.len()]);

impl Denials {
    /// Notes one.
    pub fn count(&self, denied: Denied) {
        if let Some(count) = self.0.get(denied as usize) {
            count.set(count.get().saturating_add(1));
        }
    }

    /// Those that have happened, by their codes.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Denied::ALL.into_iter().zip(&self.0).map(|(denied, count)| (denied.code(), count.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_by_itself() {
        let denials = Denials::default();
        for (number, denied) in Denied::ALL.into_iter().enumerate() {
            (0..=number).for_each(|_| denials.count(denied));
        }
        let counts: Vec<_> = denials.all().collect();
        assert_eq!(counts.len(), Denied::ALL.len());
        for (number, (denied, counted)) in Denied::ALL.into_iter().zip(counts).enumerate() {
            assert_eq!(counted, (denied.code(), number as u64 + 1));
        }
    }
}
