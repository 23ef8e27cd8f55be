//! The filters with wildcards, as a tree of levels.
//!
//! A literal level is found by one look-up, `+` is a link of the node, `#` a mark on it. Walking goes from level to level; at
//! a dead end, the node knows where the next `+` was passed by for a literal. No recursion, no stack, no memory, and no node is
//! visited twice, so that neither a deep topic nor a malicious scope costs more than the filters are long.

use std::collections::HashMap;

use super::literals::{Literals, NONE};
use super::permission::Permissions;
use super::words::{Key, Level};

const ROOT: u32 = 0;

/// The compiled tree.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    literals: Literals,
}

/// One level of one or more filters.
#[derive(Debug, Clone, Copy)]
struct Node {
    parent: u32,
    /// How many levels lead here.
    depth: u32,
    /// The node below by `+`, or [`NONE`].
    plus: u32,
    /// Whether this node was reached by `+`.
    by_plus: bool,
    /// Where to go on when nothing is found from here on: below the `+` beside the nearest literal that led here, this node
    /// included; or [`NONE`].
    retreat: u32,
    /// What the filters that end here permit.
    here: Permissions,
    /// What the filters that go on with `#` permit, for this level and all below.
    below: Permissions,
    /// Which literals lead on.
    literals: Onward,
}

/// The literal levels that lead on from a node.
#[derive(Debug, Clone, Copy)]
enum Onward {
    /// None.
    Nowhere,
    /// A single one, short enough to be known by its key.
    One { key: Key, to: u32 },
    /// More, or a longer one: in the table.
    Table,
}

impl Tree {
    /// Whether there is no filter in it.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.len() == 1 && self.nodes.first().is_none_or(|root| root.below.is_empty())
    }

    /// Looks for one filter with the wanted permission that matches the topic name or, where `FILTER`, covers the filter.
    #[inline]
    pub(super) fn walk<const FILTER: bool>(&self, topic: &[u8], wanted: Permissions) -> bool {
        let (Some(first), Some(root)) = (topic.first(), self.nodes.first()) else { return false };
        // A leading wildcard does not lead to topics that begin with "$" (MQTT 5 §4.7.2).
        let leading_plus = if *first == b'$' { NONE } else { root.plus };
        if *first != b'$' && root.below.meets(wanted) {
            return true;
        }
        if FILTER && topic == b"#" && self.is_open_below(leading_plus, wanted) {
            // "+/#" covers "#" too: there is no topic without a first level.
            return true;
        }
        let (mut here, mut node) = (ROOT, root);
        let mut start = 0;
        'level: loop {
            if node.leads_on() {
                let level = Level::read(topic, start);
                let last = level.end >= topic.len();
                let plus = if here == ROOT { leading_plus } else { node.plus };
                // "#" asks for more than "+" gives.
                let plus = if FILTER && topic.get(start..) == Some(b"#") { NONE } else { plus };
                for next in [self.literal(here, node, topic, start, level), plus] {
                    if next == NONE {
                        continue;
                    }
                    let Some(below) = self.nodes.get(next as usize) else { return false };
                    if below.below.meets(wanted) || (last && below.here.meets(wanted)) {
                        return true;
                    }
                    if !last {
                        (here, node, start) = (next, below, level.end + 1);
                        continue 'level;
                    }
                }
            }
            // A dead end. The topic has the levels that lead to the retreat: they led to the node beside it.
            here = node.retreat;
            let Some(retreat) = self.nodes.get(here as usize).filter(|_| here != NONE) else { return false };
            if retreat.parent == ROOT && leading_plus == NONE {
                return false;
            }
            if retreat.below.meets(wanted) {
                return true;
            }
            node = retreat;
            start = (0..node.depth).fold(0, |start, _| Level::end(topic, start) + 1);
        }
    }

    /// The node that this level leads to as a literal. A wildcard of an asked-for filter is no node's literal.
    #[inline(always)]
    fn literal(&self, from: u32, node: &Node, topic: &[u8], start: usize, level: Level) -> u32 {
        match node.literals {
            Onward::Nowhere => NONE,
            Onward::One { key, to } => {
                if key == level.key {
                    to
                } else {
                    NONE
                }
            }
            Onward::Table => self.literals.find(from, level.key, topic.get(start..level.end).unwrap_or_default()),
        }
    }

    fn is_open_below(&self, node: u32, wanted: Permissions) -> bool {
        node != NONE && self.nodes.get(node as usize).is_some_and(|node| node.below.meets(wanted))
    }
}

/// The tree while it grows.
pub(super) struct Builder {
    nodes: Vec<Node>,
    /// The literal levels (from, text, to), in the order in which they came, so that equal scopes are laid out alike.
    literals: Vec<(u32, Box<str>, u32)>,
    known: HashMap<(u32, Box<str>), u32>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::below(ROOT, 0, true)], literals: Vec::new(), known: HashMap::new() }
    }

    pub(super) fn add(&mut self, filter: &str, permissions: Permissions) {
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
        let Some(node) = self.nodes.get_mut(parent as usize) else { return NONE };
        let depth = node.depth + 1;
        if by_plus {
            if node.plus != NONE {
                return node.plus;
            }
            node.plus = child;
        } else {
            let key = (parent, Box::from(level));
            if let Some(known) = self.known.get(&key) {
                return *known;
            }
            node.literals = match node.literals {
                Onward::Nowhere => match Key::of(level.as_bytes()) {
                    key if key.is_exact() => Onward::One { key, to: child },
                    _ => Onward::Table,
                },
                Onward::One { .. } | Onward::Table => Onward::Table,
            };
            self.literals.push((parent, key.1.clone(), child));
            self.known.insert(key, child);
        }
        self.nodes.push(Node::below(parent, depth, by_plus));
        child
    }

    pub(super) fn finish(mut self) -> Tree {
        // Each node comes after its parent.
        for index in 1..self.nodes.len() {
            let Some(node) = self.nodes.get(index) else { continue };
            let Some(parent) = self.nodes.get(node.parent as usize) else { continue };
            let retreat = if node.by_plus || parent.plus == NONE { parent.retreat } else { parent.plus };
            if let Some(node) = self.nodes.get_mut(index) {
                node.retreat = retreat;
            }
        }
        Tree { nodes: self.nodes, literals: Literals::new(&self.literals) }
    }
}

impl Node {
    /// Whether any node is below this one.
    #[inline(always)]
    const fn leads_on(&self) -> bool {
        self.plus != NONE || !matches!(self.literals, Onward::Nowhere)
    }

    const fn below(parent: u32, depth: u32, by_plus: bool) -> Self {
        Self {
            parent,
            depth,
            plus: NONE,
            by_plus,
            retreat: NONE,
            here: Permissions::NONE,
            below: Permissions::NONE,
            literals: Onward::Nowhere,
        }
    }
}
