//! What is counted as it happens, on the broker's thread: a cell for each number, made when the plugin is loaded. To count takes no
//! memory and waits for nobody.

use std::cell::Cell;

use ace_resource_server::rights::Denial;

use super::labels::{End, Outcome, WayIn, Wish};

/// Numbers of a fixed number of things.
#[derive(Debug)]
pub struct Tally<const N: usize>([Cell<u64>; N]);

impl<const N: usize> Default for Tally<N> {
    fn default() -> Self {
        Self([const { Cell::new(0) }; N])
    }
}

impl<const N: usize> Tally<N> {
    /// One more of the thing with this number.
    #[inline]
    pub fn count(&self, thing: usize) {
        if let Some(cell) = self.0.get(thing) {
            cell.set(cell.get().wrapping_add(1));
        }
    }

    /// How many there were of it.
    #[must_use]
    pub fn of(&self, thing: usize) -> u64 {
        self.0.get(thing).map_or(0, Cell::get)
    }
}

/// Numbers by a reason's code.
#[derive(Debug)]
pub struct ByCode {
    /// In order of the codes.
    counted: Box<[(&'static str, Cell<u64>)]>,
}

impl ByCode {
    /// None of each of these.
    #[must_use]
    pub fn new(codes: impl Iterator<Item = &'static str>) -> Self {
        let mut codes: Vec<_> = codes.collect();
        codes.sort_unstable();
        codes.dedup();
        Self { counted: codes.into_iter().map(|code| (code, Cell::new(0))).collect() }
    }

    /// One more with this code. One that is not known is not counted: a test holds the list complete.
    pub fn count(&self, code: &str) {
        let place = self.counted.binary_search_by(|(known, _)| (*known).cmp(code));
        if let Some((_, cell)) = place.ok().and_then(|place| self.counted.get(place)) {
            cell.set(cell.get().wrapping_add(1));
        }
    }

    /// All of them, in order.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counted.iter().map(|(code, cell)| (*code, cell.get()))
    }
}

/// Why something is denied, by number: those of [`Denial`], and one more.
pub const DENIALS: [&str; 7] = [
    Denial::TokenExpired.code(),
    Denial::OutsideScope.code(),
    Denial::SessionEnding.code(),
    Denial::AuthzInfoOnly.code(),
    Denial::AuthzInfoPublishOnly.code(),
    Denial::AuthzInfoWill.code(),
    "no-session",
];

/// The number of what has no session: a client that never came to us, or the publisher of a retained message whose token has ended.
const NO_SESSION: usize = DENIALS.len() - 1;

#[inline]
const fn number_of(denial: Denial) -> usize {
    match denial {
        Denial::TokenExpired => 0,
        Denial::OutsideScope => 1,
        Denial::SessionEnding => 2,
        Denial::AuthzInfoOnly => 3,
        Denial::AuthzInfoPublishOnly => 4,
        Denial::AuthzInfoWill => 5,
    }
}

/// All that is counted on the broker's thread since the plugin was loaded.
#[derive(Debug)]
pub struct Counters {
    connections: [Tally<{ Outcome::COUNT }>; WayIn::COUNT],
    denials: [Tally<{ DENIALS.len() }>; Wish::COUNT],
    ends: Tally<{ End::COUNT }>,
    /// Clients that were not let in, by why.
    pub refusals: ByCode,
    /// Tokens from the `authz-info` topic that were not taken, by why.
    pub token_refusals: ByCode,
    /// Tokens from there that were taken.
    pub tokens_taken: Tally<1>,
}

impl Counters {
    /// Nothing of anything. `codes` are those that refusals can have.
    #[must_use]
    pub fn new(codes: impl Iterator<Item = &'static str> + Clone) -> Self {
        Self {
            connections: [const { Tally([const { Cell::new(0) }; Outcome::COUNT]) }; WayIn::COUNT],
            denials: [const { Tally([const { Cell::new(0) }; DENIALS.len()]) }; Wish::COUNT],
            ends: Tally::default(),
            refusals: ByCode::new(codes.clone()),
            token_refusals: ByCode::new(codes),
            tokens_taken: Tally::default(),
        }
    }

    /// A client has come this way.
    pub fn connection(&self, way: WayIn, outcome: Outcome) {
        if let Some(tally) = self.connections.get(way as usize) {
            tally.count(outcome as usize);
        }
    }

    /// A client was denied something.
    #[inline]
    pub fn denial(&self, wish: Wish, denial: Denial) {
        if let Some(tally) = self.denials.get(wish as usize) {
            tally.count(number_of(denial));
        }
    }

    /// Something was denied that has no session.
    pub fn denial_without_session(&self, wish: Wish) {
        if let Some(tally) = self.denials.get(wish as usize) {
            tally.count(NO_SESSION);
        }
    }

    /// A session ends.
    pub fn end(&self, why: End) {
        self.ends.count(why as usize);
    }

    /// How many clients have come, by way and outcome.
    pub fn connections(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        WayIn::ALL.iter().zip(&self.connections).flat_map(|(way, tally)| {
            Outcome::ALL.iter().map(|outcome| (way.label(), outcome.label(), tally.of(*outcome as usize)))
        })
    }

    /// How much was denied, by wish and code.
    pub fn denials(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        Wish::ALL.iter().zip(&self.denials).flat_map(|(wish, tally)| {
            DENIALS.iter().enumerate().map(|(number, code)| (wish.label(), *code, tally.of(number)))
        })
    }

    /// How many sessions have ended, by why.
    pub fn ends(&self) -> impl Iterator<Item = (&'static str, u64)> {
        End::ALL.iter().map(|end| (end.label(), self.ends.of(*end as usize)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_counted_where_it_belongs() {
        let counters = Counters::new(["b", "a", "b"].into_iter());
        counters.connection(WayIn::Psk, Outcome::Refused);
        counters.connection(WayIn::Psk, Outcome::Refused);
        counters.denial(Wish::Will, Denial::OutsideScope);
        counters.denial_without_session(Wish::Receive);
        counters.end(End::StrayAnswer);
        counters.refusals.count("b");
        counters.refusals.count("unknown");
        let counted = |all: Vec<(&'static str, &'static str, u64)>| -> Vec<_> {
            all.into_iter().filter(|(.., number)| *number > 0).collect()
        };
        assert_eq!(counted(counters.connections().collect()), [("psk", "refused", 2)]);
        let denials = counted(counters.denials().collect());
        assert_eq!(denials, [("receive", "no-session", 1), ("will", "outside-scope", 1)]);
        assert_eq!(counters.ends().filter(|(_, number)| *number > 0).collect::<Vec<_>>(), [("stray-answer", 1)]);
        assert_eq!(counters.refusals.all().collect::<Vec<_>>(), [("a", 0), ("b", 1)]);
        assert_eq!(counters.connections().count(), WayIn::COUNT * Outcome::COUNT);
        for denial in [Denial::TokenExpired, Denial::AuthzInfoWill] {
            assert_eq!(DENIALS[number_of(denial)], denial.code());
        }
    }
}
