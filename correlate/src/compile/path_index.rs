//! Paths into a source's own record, found in one walk through it.
//!
//! A path is found exactly where [`ValueRef::visit_path`] finds it: arrays on the way are entered, and a key may hold dots
//! itself. So from `a.b.c` a walk may go on at the keys `a`, `a.b` and `a.b.c`.

use std::collections::BTreeMap;

use casebook_event::ValueRef;

/// Paths, each with a number of the caller's.
#[derive(Debug, Default)]
pub(crate) struct PathIndex {
    /// What has been read of a path decides what may follow; the first of these has read nothing.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// The keys that may follow, by length and then text, with the nodes after them.
    children: Vec<(Box<str>, usize)>,
    /// A bit for each length of them: that alone rules out most keys of a record.
    lengths: u64,
    /// The paths that end here.
    ends: Vec<usize>,
}

impl Node {
    fn child(&self, key: &str) -> Option<usize> {
        if self.lengths & length_bit(key) == 0 {
            return None;
        }
        let found = self
            .children
            .binary_search_by(|(own, _)| (own.len(), &**own).cmp(&(key.len(), key)));
        found.ok().map(|at| self.children[at].1)
    }
}

fn length_bit(key: &str) -> u64 {
    1 << (key.len() & 63)
}

impl PathIndex {
    /// Of paths and their numbers.
    pub(crate) fn new<'a>(paths: impl IntoIterator<Item = (&'a str, usize)>) -> Self {
        let mut index = Self {
            nodes: vec![Node::default()],
        };
        // What has been read, and the node for it.
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        for (path, number) in paths {
            // Where what has been read ends, and where what is left begins.
            let mut begins = vec![(0, 0)];
            let dots = path.match_indices('.').map(|(at, _)| at);
            for end in dots.chain([path.len()]) {
                let node = *known.entry(&path[..end]).or_insert_with(|| {
                    index.nodes.push(Node::default());
                    index.nodes.len() - 1
                });
                for &(from, begin) in &begins {
                    index.nodes[from].children.push((path[begin..end].into(), node));
                }
                if end == path.len() {
                    index.nodes[node].ends.push(number);
                }
                begins.push((node, end + 1));
            }
        }
        for node in &mut index.nodes {
            node.children
                .sort_unstable_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
            node.children.dedup();
            node.lengths = node.children.iter().fold(0, |bits, (key, _)| bits | length_bit(key));
        }
        index
    }

    /// Calls `found` with every value that each path names, in the order of the record.
    pub(crate) fn walk(&self, record: ValueRef<'_>, found: &mut dyn FnMut(usize, ValueRef<'_>)) {
        if let Some(node) = self.nodes.first().filter(|node| !node.children.is_empty()) {
            self.walk_from(node, record, found);
        }
    }

    fn walk_from(&self, node: &Node, value: ValueRef<'_>, found: &mut dyn FnMut(usize, ValueRef<'_>)) {
        match value {
            ValueRef::Map(entries) => {
                for (key, value) in entries {
                    let Some(child) = node.child(key).map(|child| &self.nodes[child]) else {
                        continue;
                    };
                    for &number in &child.ends {
                        value.visit_members(&mut |member| {
                            found(number, member);
                            false
                        });
                    }
                    if !child.children.is_empty() {
                        self.walk_from(child, value, found);
                    }
                }
            }
            ValueRef::List(items) => items.for_each(|item| self.walk_from(node, item, found)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use casebook_event::Value;
    use proptest::prelude::*;

    use super::*;

    /// What each path names, by the walk and one by one.
    fn check(paths: &[&str], record: &str) {
        let record: Value = serde_json::from_str(record).unwrap();
        let index = PathIndex::new(paths.iter().enumerate().map(|(number, path)| (*path, number)));
        let mut walked = vec![Vec::new(); paths.len()];
        index.walk(record.as_ref(), &mut |number, value| {
            walked[number].push(value.to_value())
        });
        for (path, walked) in paths.iter().zip(walked) {
            let mut visited = Vec::new();
            record.visit_path(path, &mut |value| {
                visited.push(value.to_value());
                false
            });
            assert_eq!(walked, visited, "{path} of {paths:?} in {record:?}");
        }
    }

    #[test]
    fn a_walk_finds_what_a_path_names() {
        let record = r#"{"a":{"b":{"c":1},"b.c":2,"":3},"a.b":{"c":[4,[5]]},"a.b.c":6,"b":7,"":{"a":8},"l":[{"b":9},[{"b":10}]],"e":[]}"#;
        check(
            &["a.b.c", "a.b", "b", "a", "l.b", "e", "", ".a", "a.", "x", "a.b.c"],
            record,
        );
        check(&[], record);
        check(&["a"], "[]");
        check(&["a"], "1");
    }

    proptest! {
        #[test]
        fn any_paths_in_any_record(
            paths in prop::collection::vec("[ab]{0,1}(\\.[ab]{0,1}){0,3}", 0..6),
            keys in prop::collection::vec("[ab.]{0,3}", 4),
        ) {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let [a, b, c, d] = &keys[..] else { unreachable!() };
            check(&paths, &format!(r#"{{"{a}":{{"{b}":[1,{{"{c}":{{"{d}":2}}}}],"{c}":3}},"{b}":{{"{d}":[]}},"{d}":4}}"#));
        }
    }
}
