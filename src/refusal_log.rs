//! How many lines about refusals the log is given in a minute: of each client, of each address, and of all together.
//!
//! A client is known by its id and its address. Whoever is refused can choose the ids, and many have many addresses: so each of
//! the three has its bound, and what is remembered of them has one, too. What is left out is counted, and told when the minute is over.

use std::collections::HashMap;
use std::ffi::CStr;
use std::fmt;
use std::hash::Hash;
use std::time::{Duration, Instant};

use ace_profile::Quoted;

use crate::broker::Client;

/// For how long lines are counted.
const MINUTE: Duration = Duration::from_secs(60);
/// How many times the lines of a client an address has: several clients may be behind it,
const OF_ADDRESS: u32 = 20;
/// and how many times all together.
const OF_ALL: u32 = 100;
/// How many clients and addresses are remembered, each. Others are judged by the address, or with all.
const REMEMBERED: usize = 4096;
/// How much of a name is remembered, in bytes.
const NAME_BYTES: usize = 128;

/// What is to be told at the end of a minute.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// About whom.
    pub(crate) whom: Whom,
    /// How many lines.
    pub(crate) lines: u64,
}

/// Whose lines were left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Whom {
    /// A client's.
    Client {
        /// Its id.
        id: Box<str>,
        /// Its address.
        address: Box<str>,
    },
    /// All those of clients at this address, beside what is told of single ones.
    Address(Box<str>),
    /// Everybody's else.
    All,
}

/// As the log says it.
impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { id, address } => write!(f, "client {} at {}", Quoted::new(id), address.escape_debug()),
            Self::Address(address) => write!(f, "clients at {}", address.escape_debug()),
            Self::All => f.write_str("clients at many addresses"),
        }
    }
}

/// The lines of somebody in the current minute.
#[derive(Debug)]
struct Lines {
    since: Instant,
    told: u32,
    left_out: u64,
}

impl Lines {
    const fn new(now: Instant) -> Self {
        Self { since: now, told: 0, left_out: 0 }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= MINUTE
    }

    /// Whether one more may be told. Where nothing was left out, a new minute begins with the line.
    fn has_room(&mut self, most: u32, now: Instant) -> bool {
        if self.left_out == 0 && self.is_over(now) {
            *self = Self::new(now);
        }
        self.told < most
    }
}

/// The log of refusals.
#[derive(Debug)]
pub(crate) struct RefusalLog {
    per_minute: u32,
    clients: HashMap<(Box<str>, Box<str>), Lines>,
    addresses: HashMap<Box<str>, Lines>,
    all: Lines,
    /// Since the plugin was loaded.
    left_out: u64,
    swept: Instant,
}

impl RefusalLog {
    /// With so many lines a minute for each client; 0 for any number.
    pub(crate) fn new(per_minute: u32, now: Instant) -> Self {
        Self {
            per_minute,
            clients: HashMap::new(),
            addresses: HashMap::new(),
            all: Lines::new(now),
            left_out: 0,
            swept: now,
        }
    }

    /// With so many from now on.
    pub(crate) const fn set_per_minute(&mut self, per_minute: u32) {
        self.per_minute = per_minute;
    }

    /// How many lines were left out since the plugin was loaded.
    pub(crate) const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether a line about this client is to be written. If not, it is counted.
    pub(crate) fn may_tell(&mut self, client: &Client<'_>, now: Instant) -> bool {
        if self.per_minute == 0 {
            return true;
        }
        self.note(&name(client.id()), &name(client.address()), now)
    }

    /// The same where nothing but the client's id is known any more.
    pub(crate) fn may_tell_late(&mut self, client_id: &CStr, now: Instant) -> bool {
        self.per_minute == 0 || self.note(&name(Some(client_id)), &name(None), now)
    }

    fn note(&mut self, id: &str, address: &str, now: Instant) -> bool {
        let Self { per_minute, clients, addresses, .. } = self;
        if let Some(client) = lines_of((id.into(), address.into()), clients, now) {
            if !client.has_room(*per_minute, now) {
                client.left_out += 1;
                self.left_out += 1;
                return false;
            }
            client.told += 1;
        }
        if let Some(address) = lines_of(address.into(), addresses, now) {
            if !address.has_room(per_minute.saturating_mul(OF_ADDRESS), now) {
                address.left_out += 1;
                self.left_out += 1;
                return false;
            }
            address.told += 1;
        }
        let has_room = self.all.has_room(per_minute.saturating_mul(OF_ALL), now);
        if has_room {
            self.all.told += 1;
        } else {
            self.all.left_out += 1;
            self.left_out += 1;
        }
        has_room
    }

    /// What was left out in minutes that are over by now; forgets those of whom nothing is to be said any more. Looks once a second.
    ///
    /// Such a line counts as the others do: whoever has none left is told of with his address, or with all.
    pub(crate) fn take_left_out(&mut self, now: Instant) -> Vec<LeftOut> {
        if now.saturating_duration_since(self.swept) < Duration::from_secs(1) {
            return Vec::new();
        }
        self.swept = now;
        self.take(now, |lines| lines.is_over(now))
    }

    /// The same of minutes that are not over, at the end of the plugin.
    pub(crate) fn take_all_left_out(&mut self, now: Instant) -> Vec<LeftOut> {
        self.take(now, |_| true)
    }

    fn take(&mut self, now: Instant, is_over: impl Fn(&Lines) -> bool) -> Vec<LeftOut> {
        let Self { per_minute, clients, addresses, all, .. } = self;
        let mut told = Vec::new();
        let mut may_tell = |all: &mut Lines, whom: Whom, lines: u64| {
            // Without a bound, as after a new configuration, all that there is to be told is told.
            if *per_minute == 0 || all.has_room(per_minute.saturating_mul(OF_ALL), now) {
                all.told += 1;
                told.push(LeftOut { whom, lines });
            } else {
                all.left_out += lines;
            }
        };
        clients.retain(|(id, address), lines| {
            if is_over(lines) && lines.left_out > 0 {
                let of_address = addresses.get_mut(address);
                match of_address {
                    Some(of_address) if of_address.left_out > 0 => of_address.left_out += lines.left_out,
                    _ => may_tell(all, Whom::Client { id: id.clone(), address: address.clone() }, lines.left_out),
                }
            }
            !is_over(lines)
        });
        addresses.retain(|address, lines| {
            if is_over(lines) && lines.left_out > 0 {
                may_tell(all, Whom::Address(address.clone()), lines.left_out);
            }
            !is_over(lines)
        });
        if is_over(all) {
            if all.left_out > 0 {
                told.push(LeftOut { whom: Whom::All, lines: all.left_out });
            }
            *all = Lines::new(now);
        }
        told
    }
}

/// The lines of somebody; `None` if too many others are remembered.
fn lines_of<K: Eq + Hash>(whom: K, of: &mut HashMap<K, Lines>, now: Instant) -> Option<&mut Lines> {
    let is_full = of.len() >= REMEMBERED && !of.contains_key(&whom);
    (!is_full).then(|| of.entry(whom).or_insert(Lines::new(now)))
}

/// As much of a name as is remembered.
fn name(name: Option<&CStr>) -> String {
    let bytes = name.map_or(&b"unknown"[..], CStr::to_bytes);
    String::from_utf8_lossy(bytes.get(..NAME_BYTES).unwrap_or(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(told: &[LeftOut]) -> u64 {
        told.iter().map(|it| it.lines).sum()
    }

    fn client(id: &str, address: &str) -> Whom {
        Whom::Client { id: id.into(), address: address.into() }
    }

    #[test]
    fn a_client_has_so_many_lines_a_minute_and_then_a_sum() {
        let start = Instant::now();
        let mut log = RefusalLog::new(10, start);
        let told = (0..200).filter(|_| log.note("a", "1.1.1.1", start)).count();
        assert_eq!(told, 10);
        assert!(log.note("b", "1.1.1.1", start), "another one at the same address");
        assert!(log.note("a", "2.2.2.2", start), "one of the same name elsewhere");
        assert_eq!(log.take_left_out(start + Duration::from_secs(59)), []);
        let over = start + MINUTE;
        assert_eq!(log.take_left_out(over), [LeftOut { whom: client("a", "1.1.1.1"), lines: 190 }]);
        assert!(log.clients.is_empty() && log.addresses.is_empty());
        assert_eq!(log.left_out(), 190);
        let _ = (0..12).filter(|_| log.note("c", "1.1.1.1", over)).count();
        assert_eq!(log.take_all_left_out(over), [LeftOut { whom: client("c", "1.1.1.1"), lines: 2 }], "at the end");
        assert!(log.note("a", "1.1.1.1", over), "a new minute");
    }

    #[test]
    fn one_address_does_not_fill_the_log_with_many_names() {
        let start = Instant::now();
        let mut log = RefusalLog::new(10, start);
        let told = (0..1000).filter(|n| log.note(&n.to_string(), "1.1.1.1", start)).count();
        assert_eq!(told, 200);
        assert!(log.note("b", "2.2.2.2", start), "others are told of");
        let left_out = log.take_left_out(start + MINUTE);
        assert_eq!(left_out, [LeftOut { whom: Whom::Address("1.1.1.1".into()), lines: 800 }]);
    }

    #[test]
    fn many_addresses_do_not_fill_it_either() {
        let start = Instant::now();
        let mut log = RefusalLog::new(10, start);
        let told = (0..20_000).filter(|n| log.note("a", &n.to_string(), start)).count();
        assert_eq!(told, 1000);
        assert_eq!((log.clients.len(), log.addresses.len()), (REMEMBERED, REMEMBERED));
        assert_eq!(log.take_left_out(start + MINUTE), [LeftOut { whom: Whom::All, lines: 19_000 }]);
        assert!(log.note("a", "1", start + MINUTE));
    }

    /// However many clients there are, the sums take no more lines than the rest, and nothing is lost of them.
    #[test]
    fn sums_are_bounded_and_right() {
        let start = Instant::now();
        let mut log = RefusalLog::new(1, start);
        let mut told = 0;
        for n in 0..3000 {
            for _ in 0..3 {
                told += u64::from(log.note(&n.to_string(), &(n % 300).to_string(), start));
            }
        }
        let sums_told = log.take_left_out(start + MINUTE);
        assert_eq!(told + sums(&sums_told), 9000, "{told}");
        assert_eq!(log.left_out(), sums(&sums_told));
        assert!(sums_told.len() <= 201 && told <= 100, "{} {told}", sums_told.len());
    }

    #[test]
    fn whoever_goes_on_is_told_of_again_each_minute() {
        let start = Instant::now();
        let mut log = RefusalLog::new(2, start);
        let (mut told, mut left_out) = (0, 0);
        for second in 0..300 {
            let now = start + Duration::from_secs(second);
            told += u64::from(log.note("a", "1.1.1.1", now));
            left_out += sums(&log.take_left_out(now));
        }
        left_out += sums(&log.take_left_out(start + Duration::from_secs(400)));
        assert_eq!(told + left_out, 300);
        assert!((10..=12).contains(&told), "{told}");
    }

    #[test]
    fn who_is_told_of_is_quoted() {
        assert_eq!(client("a\"b\n", "x\n").to_string(), "client \"a\\\"b\\n\" at x\\n");
        assert_eq!(Whom::Address("::1".into()).to_string(), "clients at ::1");
        assert_eq!(name(Some(&std::ffi::CString::new("n".repeat(500)).unwrap())).len(), NAME_BYTES);
    }
}
