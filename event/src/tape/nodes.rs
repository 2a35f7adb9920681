//! A tape: the nodes of a JSON text in one block, and a cursor over them.

/// The values of a JSON text by their places in it. Reading it needs the text again, and with another one the texts of the
/// values are wrong, but nothing worse.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tape {
    pub(super) nodes: Vec<Node>,
    /// Texts that were written with escapes, without them.
    pub(super) unescaped: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Where the text begins; the low half of a number's bits.
    pub(super) from: u32,
    /// How many bytes the text has; the high half of a number's bits; the number of the node after a list or a map.
    pub(super) to: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    True,
    False,
    Int,
    Float,
    /// A text of the JSON text.
    Text,
    /// A text of `unescaped`.
    Unescaped,
    List,
    Map,
}

impl Node {
    pub(super) const fn of(kind: Kind) -> Self {
        Self { kind, from: 0, to: 0 }
    }

    pub(super) const fn bits(kind: Kind, bits: u64) -> Self {
        Self {
            kind,
            from: bits as u32,
            to: (bits >> 32) as u32,
        }
    }

    pub(crate) const fn as_bits(self) -> u64 {
        self.from as u64 | (self.to as u64) << 32
    }
}

/// A cursor over a run of nodes: those that are left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    tape: &'a Tape,
    text: &'a str,
    at: u32,
    end: u32,
}

impl<'a> Cursor<'a> {
    fn node(&self) -> Option<Node> {
        if self.at >= self.end {
            return None;
        }
        self.tape.nodes.get(self.at as usize).copied()
    }

    pub(crate) fn text_of(&self, node: Node) -> &'a str {
        let whole = if node.kind == Kind::Text {
            self.text
        } else {
            &self.tape.unescaped
        };
        let from = node.from as usize;
        whole.get(from..from + node.to as usize).unwrap_or_default()
    }

    /// Goes to the value after the next key that is `key`; whether there is one.
    pub(crate) fn find(&mut self, key: &str) -> bool {
        while let Some(node) = self.node() {
            self.at += 1;
            if node.to as usize == key.len() && self.text_of(node) == key {
                return true;
            }
            self.skip_value();
        }
        false
    }

    /// The next node as a key.
    pub(crate) fn next_key(&mut self) -> Option<&'a str> {
        let node = self.node()?;
        self.at += 1;
        Some(self.text_of(node))
    }

    /// The next node, and what is inside it.
    pub(crate) fn next_node(&mut self) -> Option<(Node, Cursor<'a>)> {
        let node = self.node()?;
        let inner = Cursor {
            at: self.at + 1,
            end: node.to,
            ..*self
        };
        self.step(node);
        Some((node, inner))
    }

    /// Goes on after the next value.
    fn skip_value(&mut self) {
        if let Some(node) = self.node() {
            self.step(node);
        }
    }

    fn step(&mut self, node: Node) {
        self.at = match node.kind {
            Kind::List | Kind::Map => node.to,
            _ => self.at + 1,
        };
    }
}

impl Tape {
    /// A cursor over all nodes; `text` must be the one that was parsed.
    pub(crate) fn cursor<'a>(&'a self, text: &'a str) -> Cursor<'a> {
        Cursor {
            tape: self,
            text,
            at: 0,
            end: u32::try_from(self.nodes.len()).unwrap_or(u32::MAX),
        }
    }
}
