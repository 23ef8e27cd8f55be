//! A scope compiled for the broker's thread: one answer per message, whatever the number of filters.
//!
//! The filters become a tree of levels. A literal level is found by one look-up in a hash table that all nodes share, and
//! whose longest probe is bounded when it is built; `+` is a link of the node, `#` a mark on it. Walking goes from level
//! to level and, where both a literal and a `+` lead on, comes back through the parent links: no recursion, no stack, no
//! allocation, and no node is visited twice, so that neither a deep topic nor a malicious scope costs more than the
//! tree has nodes.

use std::collections::HashMap;

use super::filter;
use super::permission::{Permission, Permissions};
use super::{Scope, shared_subscription_filter};

/// The longest probe sequence that is accepted when the table is built.
const MAX_PROBES: usize = 4;
/// How many hash multipliers are tried before the table is made larger.
const ATTEMPTS: u64 = 16;
/// How often the table's size may be doubled to keep probes short.
const MAX_DOUBLINGS: u32 = 2;

const ROOT: u32 = 0;
const NONE: u32 = 0;

const SLASHES: u64 = u64::from_le_bytes([b'/'; 8]);
const ONES: u64 = u64::from_le_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// A compiled [`Scope`]. Made once per scope and shared by all sessions that have it.
#[derive(Debug)]
pub struct Matcher {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    labels: Vec<u8>,
    multiplier: u64,
    shift: u32,
    /// The length of the longest probe sequence.
    probes: usize,
}

/// One level of one or more filters.
#[derive(Debug, Clone, Copy)]
struct Node {
    parent: u32,
    /// The node below by `+`, or [`NONE`].
    plus: u32,
    /// Whether this node was reached by `+`.
    by_plus: bool,
    /// What the filters that end here permit.
    here: Permissions,
    /// What the filters that go on with `#` permit, for this level and all below.
    below: Permissions,
}

/// A literal level: an entry of the hash table, empty where `child` is [`NONE`].
#[derive(Debug, Clone, Copy, Default)]
struct Edge {
    word: u64,
    parent: u32,
    child: u32,
    label: u32,
    length: u32,
}

/// A level of the topic that is being looked up: where it ends, and the word that stands for it. Up to eight bytes
/// the word is the level itself; beyond that it is a hash, and the bytes are compared.
#[derive(Clone, Copy)]
struct Level {
    end: usize,
    word: u64,
}

impl Matcher {
    /// Compiles a scope.
    #[must_use]
    pub fn new(scope: &Scope) -> Self {
        let mut builder = Builder::new();
        for entry in scope.entries() {
            builder.add(entry.filter.as_str(), entry.permissions);
        }
        builder.finish()
    }

    /// Whether the scope lets its holder publish to this topic name (rfc9431.md S2).
    #[must_use]
    pub fn may_publish(&self, topic: &[u8]) -> bool {
        self.walk::<false>(topic, Permission::Publish)
    }

    /// Whether the scope lets its holder be given a message of this topic name (rfc9431.md S2).
    #[must_use]
    pub fn may_receive(&self, topic: &[u8]) -> bool {
        self.walk::<false>(topic, Permission::Subscribe)
    }

    /// Whether one filter of the scope covers all that this topic filter can match (rfc9431.md S3); a shared
    /// subscription is judged by the filter in it (S4). A malformed filter is covered by none.
    #[must_use]
    pub fn may_subscribe(&self, asked: &[u8]) -> bool {
        match shared_subscription_filter(asked) {
            Some(asked) => filter::check(asked).is_ok() && self.walk::<true>(asked, Permission::Subscribe),
            None => false,
        }
    }

    /// Looks for one filter with this permission that matches the topic name or, where `FILTER`, covers the filter.
    fn walk<const FILTER: bool>(&self, topic: &[u8], permission: Permission) -> bool {
        let Some((&first, _)) = topic.split_first() else { return false };
        let wildcards_lead = first != b'$';
        let Some(root) = self.nodes.first() else { return false };
        if wildcards_lead && root.below.contains(permission) {
            return true;
        }
        let mut parent = ROOT;
        let mut start = 0;
        loop {
            let level = Level::read(topic, start);
            let last = level.end >= topic.len();
            let bytes = topic.get(start..level.end).unwrap_or_default();
            let (literal, plus) = match bytes {
                b"#" if FILTER => {
                    if parent == ROOT && self.is_covered_below(self.plus(ROOT, wildcards_lead), permission) {
                        // "+/#" covers "#" too: there is no topic without a first level.
                        return true;
                    }
                    (NONE, NONE)
                }
                b"+" if FILTER => (NONE, self.plus(parent, wildcards_lead)),
                _ => (self.literal(parent, level.word, bytes), self.plus(parent, wildcards_lead)),
            };
            let mut next = NONE;
            for candidate in [literal, plus] {
                if candidate == NONE {
                    continue;
                }
                let Some(node) = self.nodes.get(candidate as usize) else { return false };
                if node.below.contains(permission) || (last && node.here.contains(permission)) {
                    return true;
                }
                if next == NONE {
                    next = candidate;
                }
            }
            if next != NONE && !last {
                (parent, start) = (next, level.end + 1);
                continue;
            }
            match self.alternative(topic, parent, start, wildcards_lead) {
                Some(found) => (parent, start) = found,
                None => return false,
            }
        }
    }

    /// Back from a dead end: climbs from `node`, whose children's level starts at `start`, to the nearest node that a
    /// literal led to and that has a sibling by `+`. Gives that sibling and the start of its children's level; its
    /// marks have been looked at when the literal was taken.
    fn alternative(&self, topic: &[u8], mut node: u32, mut start: usize, wildcards_lead: bool) -> Option<(u32, usize)> {
        while node != ROOT {
            let reached = self.nodes.get(node as usize)?;
            if !reached.by_plus {
                let sibling = self.plus(reached.parent, wildcards_lead);
                if sibling != NONE {
                    return Some((sibling, start));
                }
            }
            // The level that led to `node` ends before the slash before `start`.
            let before = topic.get(..start.checked_sub(1)?)?;
            start = before.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
            node = reached.parent;
        }
        None
    }

    /// The node below `parent` by `+`. A leading wildcard does not lead to topics that begin with `$`.
    fn plus(&self, parent: u32, wildcards_lead: bool) -> u32 {
        if parent == ROOT && !wildcards_lead {
            return NONE;
        }
        self.nodes.get(parent as usize).map_or(NONE, |node| node.plus)
    }

    fn is_covered_below(&self, node: u32, permission: Permission) -> bool {
        node != NONE && self.nodes.get(node as usize).is_some_and(|node| node.below.contains(permission))
    }

    /// The node below `parent` by a literal level.
    #[inline]
    fn literal(&self, parent: u32, word: u64, level: &[u8]) -> u32 {
        let mask = self.edges.len().wrapping_sub(1);
        let home = self.slot(parent, word);
        for step in 0..self.probes {
            let Some(edge) = self.edges.get((home + step) & mask) else { return NONE };
            if edge.child == NONE {
                return NONE;
            }
            if edge.word == word && edge.parent == parent && edge.length as usize == level.len() {
                let label = edge.label as usize;
                if level.len() <= 8 || self.labels.get(label..label + level.len()) == Some(level) {
                    return edge.child;
                }
            }
        }
        NONE
    }

    #[inline]
    fn slot(&self, parent: u32, word: u64) -> usize {
        slot(parent, word, self.multiplier, self.shift)
    }
}

#[inline]
fn slot(parent: u32, word: u64, multiplier: u64, shift: u32) -> usize {
    let key = word ^ u64::from(parent).wrapping_mul(MULTIPLIER);
    // Twice, since the lower bits of a product know nothing of the upper bits of its factors.
    let mixed = (key ^ (key >> 32)).wrapping_mul(multiplier);
    ((mixed ^ (mixed >> 29)).wrapping_mul(multiplier) >> shift) as usize
}

impl Level {
    /// Reads the level that starts at `start`: eight bytes at a time up to a slash or the end.
    #[inline]
    fn read(topic: &[u8], start: usize) -> Self {
        let (first, read, found) = next_word(topic, start);
        if found || start + read >= topic.len() {
            return Self { end: start + read, word: first };
        }
        Self::read_long(topic, start + read, first)
    }

    fn read_long(topic: &[u8], mut at: usize, first: u64) -> Self {
        let mut hash = first.wrapping_mul(MULTIPLIER);
        loop {
            let (word, read, found) = next_word(topic, at);
            hash = (hash.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER);
            at += read;
            if found || at >= topic.len() {
                return Self { end: at, word: hash };
            }
        }
    }
}

/// Up to eight bytes from `at`, up to the next slash or the end: as a little-endian word, how many, and whether a slash
/// was met.
#[inline]
fn next_word(topic: &[u8], at: usize) -> (u64, usize, bool) {
    let rest = topic.len().saturating_sub(at);
    let (word, available) = match topic.get(at..).and_then(|tail| tail.first_chunk::<8>()) {
        Some(chunk) => (u64::from_le_bytes(*chunk), 8),
        None => (tail_word(topic, rest), rest),
    };
    // A byte of `zeros` is zero where the word has a slash; the lowest high bit left over marks the first of them.
    let zeros = word ^ SLASHES;
    let marks = zeros.wrapping_sub(ONES) & !zeros & HIGHS;
    if marks == 0 {
        return (word, available, false);
    }
    let length = (marks.trailing_zeros() / 8) as usize;
    (word & !(u64::MAX << (8 * length)), length, true)
}

/// The last `rest` (fewer than eight) bytes of the topic as a word.
#[inline]
fn tail_word(topic: &[u8], rest: usize) -> u64 {
    if rest == 0 {
        return 0;
    }
    if let Some(last) = topic.last_chunk::<8>() {
        return u64::from_le_bytes(*last) >> (8 * (8 - rest));
    }
    let tail = topic.get(topic.len() - rest..).unwrap_or_default();
    tail.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte))
}

/// The tree while it grows.
struct Builder {
    nodes: Vec<Node>,
    /// The literal levels, in the order in which they came, so that equal scopes are laid out alike.
    literals: Vec<(u32, Box<str>, u32)>,
    known: HashMap<(u32, Box<str>), u32>,
}

impl Builder {
    fn new() -> Self {
        Self { nodes: vec![Node::below(ROOT, true)], literals: Vec::new(), known: HashMap::new() }
    }

    fn add(&mut self, filter: &str, permissions: Permissions) {
        let mut at = ROOT;
        for level in filter.split('/') {
            if level == "#" {
                if let Some(node) = self.nodes.get_mut(at as usize) {
                    node.below = node.below.union(permissions);
                }
                return;
            }
            at = self.step(at, level);
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.here = node.here.union(permissions);
        }
    }

    /// The node below `parent` by this level, made if there is none yet.
    fn step(&mut self, parent: u32, level: &str) -> u32 {
        let child = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        let by_plus = level == "+";
        if by_plus {
            let Some(node) = self.nodes.get_mut(parent as usize) else { return NONE };
            if node.plus != NONE {
                return node.plus;
            }
            node.plus = child;
        } else {
            let key = (parent, Box::from(level));
            if let Some(known) = self.known.get(&key) {
                return *known;
            }
            self.literals.push((parent, key.1.clone(), child));
            self.known.insert(key, child);
        }
        self.nodes.push(Node::below(parent, by_plus));
        child
    }

    fn finish(self) -> Matcher {
        let mut labels = Vec::new();
        let mut edges = Vec::with_capacity(self.literals.len());
        for (parent, level, child) in &self.literals {
            edges.push(Edge {
                word: Level::read(level.as_bytes(), 0).word,
                parent: *parent,
                child: *child,
                label: u32::try_from(labels.len()).unwrap_or(u32::MAX),
                length: u32::try_from(level.len()).unwrap_or(u32::MAX),
            });
            labels.extend_from_slice(level.as_bytes());
        }
        let smallest = (edges.len() * 2).next_power_of_two().max(2);
        let table = (0..=MAX_DOUBLINGS)
            .flat_map(|doublings| (0..ATTEMPTS).map(move |attempt| (smallest << doublings, attempt)))
            .find_map(|(size, attempt)| Table::lay_out(&edges, size, attempt, MAX_PROBES))
            // Levels chosen to collide: slower to look up, still right and of bounded size.
            .or_else(|| Table::lay_out(&edges, smallest, 0, smallest))
            .unwrap_or_default();
        Matcher {
            nodes: self.nodes,
            edges: table.edges,
            labels,
            multiplier: table.multiplier,
            shift: table.shift,
            probes: table.probes,
        }
    }
}

impl Node {
    const fn below(parent: u32, by_plus: bool) -> Self {
        Self { parent, plus: NONE, by_plus, here: Permissions::NONE, below: Permissions::NONE }
    }
}

/// A layout of the hash table.
#[derive(Default)]
struct Table {
    edges: Vec<Edge>,
    multiplier: u64,
    shift: u32,
    probes: usize,
}

impl Table {
    /// Places the edges in a table of this size, unless one would end up more than `most` probes away.
    fn lay_out(edges: &[Edge], size: usize, attempt: u64, most: usize) -> Option<Self> {
        let multiplier = MULTIPLIER.wrapping_mul(2 * attempt + 1);
        let shift = u64::BITS - size.trailing_zeros();
        let mut table = Self { edges: vec![Edge::default(); size], multiplier, shift, probes: 1 };
        for edge in edges {
            let home = slot(edge.parent, edge.word, multiplier, shift);
            let (step, place) = (0..most)
                .map(|step| (step, (home + step) & (size - 1)))
                .find(|(_, place)| table.edges.get(*place).is_some_and(|there| there.child == NONE))?;
            *table.edges.get_mut(place)? = *edge;
            table.probes = table.probes.max(step + 1);
        }
        Some(table)
    }
}
