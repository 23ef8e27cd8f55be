//! The filters with wildcards, as a tree of levels.
//!
//! A literal level is found by one look-up, `+` is a link of the node, `#` a mark on it, and what a filter has behind its
//! last wildcard, its tail, is looked up as a whole. Walking goes from level to level; at a dead end, the node knows where the
//! next `+` was passed by for a literal. No recursion, no stack, no memory, and no node is visited twice, so that neither a
//! deep topic nor a malicious scope costs more than the filters are long.

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
    /// The literal levels, each from a node to a node.
    literals: Literals,
    /// The tails, each from a node to what it permits.
    tails: Literals,
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
    /// More than the longest tail from here has bytes; zero if there is none.
    tails_below: u32,
    /// What the filters that end here permit.
    here: Permissions,
    /// What the filters that go on with `#` permit, for this level and all below.
    below: Permissions,
    /// Whether there are literals that lead on, all of them in the table.
    has_literals: bool,
    /// Whether there is no way on, nor one back.
    is_end: bool,
    /// Whether this node was reached by `+`.
    by_plus: bool,
}

/// What comes of looking at a node.
enum Step<'a> {
    /// A filter with the wanted permission.
    Found,
    /// The next node, and the levels from it on.
    On(&'a Node, &'a [u8]),
    /// No way on from here.
    DeadEnd,
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
        loop {
            if rest.len() < node.tails_below as usize {
                let met = self.tail(node.number, rest).meets(wanted);
                if met || node.is_end {
                    return met;
                }
            }
            match self.step::<FILTER>(node, rest, wanted) {
                Step::Found => return true,
                Step::On(next, further) => (node, rest) = (next, further),
                Step::DeadEnd if node.retreat == NONE => return false,
                Step::DeadEnd => {
                    let Some((retreat, further)) = self.retreat(node, topic) else { return false };
                    if retreat.below.meets(wanted) {
                        return true;
                    }
                    (node, rest) = (retreat, further);
                }
            }
        }
    }

    /// The way from a node by the next level: as a literal, or else by `+`.
    #[inline(always)]
    fn step<'a, const FILTER: bool>(&'a self, node: &Node, rest: &'a [u8], wanted: Permissions) -> Step<'a> {
        // "#" asks for more than "+" gives.
        let has_plus = node.plus != NONE && !(FILTER && rest == b"#");
        if node.has_literals {
            if node.prefix.begins(rest) {
                return self.to(node.prefix_to, rest, node.prefix_length as usize, wanted);
            }
            let (literal, length) = self.literal(node.number, rest);
            if literal != NONE {
                let step = self.to(literal, rest, length + 1, wanted);
                if !has_plus || !matches!(step, Step::DeadEnd) {
                    return step;
                }
            }
            return if has_plus { self.to(node.plus, rest, length + 1, wanted) } else { Step::DeadEnd };
        }
        if has_plus { self.to(node.plus, rest, level_end(rest) + 1, wanted) } else { Step::DeadEnd }
    }

    /// The step to a node by a level that takes so many bytes with the slash behind it.
    #[inline(always)]
    fn to<'a>(&'a self, next: u32, rest: &'a [u8], length: usize, wanted: Permissions) -> Step<'a> {
        let Some(next) = self.nodes.get(next as usize) else { return Step::DeadEnd };
        if next.below.meets(wanted) {
            return Step::Found;
        }
        match rest.get(length..) {
            Some(further) => Step::On(next, further),
            None if next.here.meets(wanted) => Step::Found,
            None => Step::DeadEnd,
        }
    }

    /// Where to go on after a dead end at a node that has a retreat, and with which levels. The topic has the levels that
    /// lead there: they led to the node beside it.
    #[cold]
    #[inline(never)]
    fn retreat<'a>(&self, node: &Node, topic: &'a [u8]) -> Option<(&Node, &'a [u8])> {
        let retreat = self.nodes.get(node.retreat as usize)?;
        if retreat.parent == ROOT && topic.first() == Some(&b'$') {
            return None;
        }
        let further = (0..retreat.depth).fold(topic, |rest, _| rest.get(level_end(rest) + 1..).unwrap_or_default());
        Some((retreat, further))
    }

    /// What the rest of the topic permits as a tail. A function of its own that needs few registers, so that those of the
    /// walk need not be saved.
    #[inline(never)]
    fn tail(&self, node: u32, rest: &[u8]) -> Permissions {
        Permissions::from_bits(self.tails.find(node, Key::of(rest), rest))
    }

    /// Where the next level leads to as a literal, and its length.
    #[inline(never)]
    fn literal(&self, node: u32, rest: &[u8]) -> (u32, usize) {
        let Some(key) = Key::of_short_level(rest) else { return self.other_literal(node, rest) };
        (self.literals.find(node, key, rest), key.length)
    }

    #[inline(never)]
    fn other_literal(&self, node: u32, rest: &[u8]) -> (u32, usize) {
        let key = Key::of_level(rest);
        (self.literals.find(node, key, rest), key.length)
    }
}

/// The tree while it grows.
pub(super) struct Builder {
    nodes: Vec<Node>,
    /// The literal levels (from, text, to), in the order in which they came, so that equal scopes are laid out alike.
    literals: Vec<(u32, Box<str>, u32)>,
    known: HashMap<(u32, Box<str>), u32>,
    tails: Vec<(u32, Box<str>, u32)>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node::below(ROOT, ROOT, 0, true)],
            literals: Vec::new(),
            known: HashMap::new(),
            tails: Vec::new(),
        }
    }

    /// Adds a filter that is not there yet.
    pub(super) fn add(&mut self, filter: &str, permissions: Permissions) {
        let mut at = ROOT;
        let mut rest = filter;
        let tail = filter.rfind(['+', '#']).map_or(0, |last| last + 1);
        // The levels up to the last wildcard.
        while filter.len() - rest.len() < tail {
            let (level, further) = rest.split_once('/').map_or((rest, None), |(level, further)| (level, Some(further)));
            if level != "#" {
                at = self.step(at, level);
            }
            let Some(node) = self.nodes.get_mut(at as usize) else { return };
            match further {
                Some(further) => rest = further,
                None if level == "#" => return node.below = node.below.union(permissions),
                None => return node.here = node.here.union(permissions),
            }
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.tails_below = node.tails_below.max(u32::try_from(rest.len() + 1).unwrap_or(u32::MAX));
            self.tails.push((at, rest.into(), permissions.bits()));
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
                node.is_end = retreat == NONE && node.plus == NONE && !node.has_literals;
            }
        }
        let root = self.nodes.first().copied().unwrap_or(Node::below(ROOT, ROOT, 0, true));
        let dollar_root = Node { plus: NONE, below: Permissions::NONE, ..root };
        Tree {
            nodes: self.nodes,
            root,
            dollar_root,
            literals: Literals::new(&self.literals),
            tails: Literals::new(&self.tails),
        }
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
            tails_below: 0,
            here: Permissions::NONE,
            below: Permissions::NONE,
            has_literals: false,
            is_end: false,
            by_plus,
        }
    }
}
