//! The filters with wildcards, as a tree of levels.
//!
//! A literal level is found by one look-up, `+` is a link of the node, `#` a mark on it. Walking goes from level to level; at
//! a dead end, the node knows where the next `+` was passed by for a literal. No recursion, no stack, no memory, and no node is
//! visited twice, so that neither a deep topic nor a malicious scope costs more than the filters are long.

use std::collections::HashMap;

use super::literals::{Literals, NONE};
use super::permission::Permissions;
use super::words::{Key, Prefix, level_end};

const ROOT: u32 = 0;

/// The compiled tree.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The first of the nodes, from which all topics start but those of the next.
    root: Node,
    /// The root for topics that begin with `$`: a leading wildcard does not lead to them (MQTT 5 §4.7.2).
    dollar_root: Node,
    literals: Literals,
}

/// One level of one or more filters.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// The literal that leads on, if there is one only and it is short, with the slash behind it. The table has it, too:
    /// this is the shorter way for topics that go on behind it.
    prefix: Prefix,
    /// The length of the prefix.
    prefix_length: u32,
    /// Where the prefix leads.
    prefix_to: u32,
    /// The node below by `+`, or [`NONE`].
    plus: u32,
    /// Where to go on when nothing is found from here on: below the `+` beside the nearest literal that led here, this node
    /// included; or [`NONE`].
    retreat: u32,
    /// The place among all nodes.
    number: u32,
    parent: u32,
    /// How many levels lead here.
    depth: u32,
    /// What the filters that end here permit.
    here: Permissions,
    /// What the filters that go on with `#` permit, for this level and all below.
    below: Permissions,
    /// Whether there are literals that lead on, all of them in the table.
    has_literals: bool,
    /// Whether this node was reached by `+`.
    by_plus: bool,
}

impl Tree {
    /// Whether there is no filter in it.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.len() == 1 && self.root.below.is_empty()
    }

    /// Looks for one filter with the wanted permission that matches the topic name or, where `FILTER`, covers the filter.
    #[inline(never)]
    pub(super) fn walk<const FILTER: bool>(&self, topic: &[u8], wanted: Permissions) -> bool {
        let Some(first) = topic.first() else { return false };
        let mut node = if *first == b'$' { &self.dollar_root } else { &self.root };
        if node.below.meets(wanted) {
            return true;
        }
        // The levels from this node on; where nothing is left of the topic, that is its last level, an empty one.
        let mut rest = topic;
        'level: loop {
            if node.prefix.begins(rest)
                && let Some(further) = rest.get(node.prefix_length as usize..)
            {
                let Some(next) = self.nodes.get(node.prefix_to as usize) else { return false };
                if next.below.meets(wanted) {
                    return true;
                }
                (node, rest) = (next, further);
                continue;
            }
            let (literal, length) = match Key::of_short_level(rest) {
                Some(key) if node.has_literals => (self.literals.find(node.number, key, rest), key.length),
                Some(key) => (NONE, key.length),
                None => self.long_literal(node, rest),
            };
            // "#" asks for more than "+" gives.
            let plus = if FILTER && rest == b"#" { NONE } else { node.plus };
            for next in [literal, plus] {
                if next == NONE {
                    continue;
                }
                let Some(next) = self.nodes.get(next as usize) else { return false };
                if next.below.meets(wanted) {
                    return true;
                }
                if let Some(further) = rest.get(length + 1..) {
                    (node, rest) = (next, further);
                    continue 'level;
                }
                if next.here.meets(wanted) {
                    return true;
                }
            }
            // A dead end. The topic has the levels that lead to the retreat: they led to the node beside it.
            if node.retreat == NONE {
                return false;
            }
            let Some(retreat) = self.nodes.get(node.retreat as usize) else { return false };
            if retreat.parent == ROOT && *first == b'$' {
                return false;
            }
            if retreat.below.meets(wanted) {
                return true;
            }
            node = retreat;
            rest = (0..node.depth).fold(topic, |rest, _| rest.get(level_end(rest) + 1..).unwrap_or_default());
        }
    }

    /// Where a long level leads to as a literal, and its length. Apart, to keep the usual way short.
    #[cold]
    #[inline(never)]
    fn long_literal(&self, node: &Node, rest: &[u8]) -> (u32, usize) {
        let key = Key::of_level(rest);
        (self.literals.find(node.number, key, rest), key.length)
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
        Self { nodes: vec![Node::below(ROOT, ROOT, 0, true)], literals: Vec::new(), known: HashMap::new() }
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
            let prefix = if node.has_literals { None } else { Prefix::of(level.as_bytes()) };
            (node.prefix, node.prefix_to) = prefix.map_or((Prefix::NEVER, NONE), |prefix| (prefix, child));
            node.prefix_length = u32::try_from(level.len() + 1).unwrap_or(0);
            node.has_literals = true;
            self.literals.push((parent, key.1.clone(), child));
            self.known.insert(key, child);
        }
        self.nodes.push(Node::below(child, parent, depth, by_plus));
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
        let root = self.nodes.first().copied().unwrap_or(Node::below(ROOT, ROOT, 0, true));
        let dollar_root = Node { plus: NONE, below: Permissions::NONE, ..root };
        Tree { nodes: self.nodes, root, dollar_root, literals: Literals::new(&self.literals) }
    }
}

impl Node {
    const fn below(number: u32, parent: u32, depth: u32, by_plus: bool) -> Self {
        Self {
            prefix: Prefix::NEVER,
            prefix_length: 0,
            prefix_to: NONE,
            plus: NONE,
            retreat: NONE,
            number,
            parent,
            depth,
            here: Permissions::NONE,
            below: Permissions::NONE,
            has_literals: false,
            by_plus,
        }
    }
}
