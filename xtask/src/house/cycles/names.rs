//! Here is the code of a file: which names does it define, import and use? As far as text says: no macro is expanded.

use std::collections::{HashMap, HashSet};

/// A path with its line: `crate::a::B`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub segments: Vec<String>,
    /// From one.
    pub line: usize,
}

/// One name that a `use` brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// What the name comes from; of a glob, the module.
    pub path: Path,
    /// What it is called here; `*` for a glob, `_` where it has no name.
    pub alias: String,
    /// Handed on by a `pub use`.
    pub is_public: bool,
}

/// What a file says of names.
#[derive(Debug, Default)]
pub struct Names {
    /// The items that it defines itself, outside of other items.
    pub defined: HashSet<String>,
    pub imports: Vec<Import>,
    /// The paths in its code, of two segments at least.
    pub paths: Vec<Path>,
    /// The names in its code that no path goes on from, with the first line of each; imports are no code here.
    pub used: HashMap<String, usize>,
    /// The modules that are compiled for tests alone.
    pub test_modules: HashSet<String>,
}

/// The keywords that a name of an item follows.
const ITEMS: [&str; 9] = [
    "struct",
    "enum",
    "union",
    "fn",
    "trait",
    "type",
    "const",
    "static",
    "macro_rules",
];

impl Names {
    /// The names in `code`, which has neither comments nor texts in it.
    pub fn read(code: &str) -> Self {
        let tokens = tokens(code);
        let mut names = Self::default();
        let mut at = 0;
        let mut depth = 0usize;
        while at < tokens.len() {
            let token = &tokens[at];
            match token.text {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                "#" if is_test_attribute(&tokens[at..]) => {
                    let end = end_of_item(&tokens, at);
                    if let Some(name) = declared_module(&tokens[at..end]) {
                        names.test_modules.insert(name.to_owned());
                    }
                    at = end;
                    continue;
                }
                "use" => {
                    at = names.read_use(&tokens, at);
                    continue;
                }
                // A declaration uses nothing.
                "mod" if text(&tokens, at + 2) == ";" => {
                    at += 3;
                    continue;
                }
                keyword if depth == 0 && ITEMS.contains(&keyword) => {
                    let name = if text(&tokens, at + 1) == "!" { at + 2 } else { at + 1 };
                    names.defined.insert(text(&tokens, name).to_owned());
                }
                name if is_name(name) => {
                    at = names.read_path(&tokens, at);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        names
    }

    /// Reads the path or the name at `at`; returns where the code goes on.
    fn read_path(&mut self, tokens: &[Token<'_>], mut at: usize) -> usize {
        let (first, line) = (at, tokens[at].line);
        let mut segments = vec![tokens[at].text.to_owned()];
        while text(tokens, at + 1) == "::" && is_name(text(tokens, at + 2)) {
            segments.push(tokens[at + 2].text.to_owned());
            at += 2;
        }
        // `pub(in path)` is about who may look, and a name after `::` or `.` is somebody's own.
        let before = first.checked_sub(1).map_or("", |before| tokens[before].text);
        if before != "in" || text(tokens, at + 1) != ")" {
            if segments.len() > 1 && before != "::" {
                self.paths.push(Path { segments, line });
            } else if before != "." && before != "::" {
                self.used.entry(segments.swap_remove(0)).or_insert(line);
            }
        }
        at + 1
    }

    /// Reads the `use` at `at`; returns where the code goes on.
    fn read_use(&mut self, tokens: &[Token<'_>], at: usize) -> usize {
        let before = at.checked_sub(1).map_or("", |before| tokens[before].text);
        // `impl Trait + use<'a>` captures a lifetime.
        if text(tokens, at + 1) == "<" {
            return at + 1;
        }
        let is_public =
            before == "pub" || (before == ")" && tokens[..at].iter().rev().nth(2).is_some_and(|t| t.text == "("));
        let end = at
            + tokens[at..]
                .iter()
                .position(|token| token.text == ";")
                .unwrap_or(tokens.len() - at);
        let mut tree = Tree {
            tokens: &tokens[at + 1..end],
            line: tokens[at].line,
            is_public,
            imports: &mut self.imports,
        };
        tree.read(&[]);
        end + 1
    }
}

/// A `use` under reading.
struct Tree<'a, 'b> {
    tokens: &'a [Token<'a>],
    line: usize,
    is_public: bool,
    imports: &'b mut Vec<Import>,
}

impl<'a> Tree<'a, '_> {
    /// Reads one branch below `prefix`.
    fn read(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        loop {
            match self.next() {
                "::" => {}
                "{" => {
                    while !matches!(self.peek(), "}" | "") {
                        self.read(&path);
                        if self.peek() == "," {
                            self.next();
                        }
                    }
                    self.next();
                    return;
                }
                "as" => {
                    let alias = self.next().to_owned();
                    return self.push(path, alias);
                }
                "*" => return self.push(path, "*".to_owned()),
                // `a::{self}` is `a` itself.
                "self" if !path.is_empty() => {}
                name if is_name(name) => path.push(name.to_owned()),
                _ => return,
            }
            if matches!(self.peek(), "," | "}" | "") {
                let alias = path.last().cloned().unwrap_or_default();
                return self.push(path, alias);
            }
        }
    }

    fn push(&mut self, segments: Vec<String>, alias: String) {
        let path = Path {
            segments,
            line: self.line,
        };
        self.imports.push(Import {
            path,
            alias,
            is_public: self.is_public,
        });
    }

    fn peek(&self) -> &'static str {
        // What a branch may go on with is all that matters here.
        match self.tokens.first().map_or("", |token| token.text) {
            "," => ",",
            "}" => "}",
            "" => "",
            _ => "name",
        }
    }

    fn next(&mut self) -> &'a str {
        let Some((first, rest)) = self.tokens.split_first() else {
            return "";
        };
        self.tokens = rest;
        self.line = first.line;
        first.text
    }
}

#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

fn text<'a>(tokens: &[Token<'a>], at: usize) -> &'a str {
    tokens.get(at).map_or("", |token| token.text)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::`, and single characters.
fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(c) = code[at..].chars().next() {
        let rest = &code[at..];
        let length = if c.is_alphanumeric() || c == '_' {
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            c.len_utf8()
        };
        if !c.is_whitespace() {
            tokens.push(Token {
                text: &rest[..length],
                line,
            });
        }
        line += usize::from(c == '\n');
        at += length;
    }
    tokens
}

/// Whether `#[cfg(test)]` begins here, or `#[cfg(all(test, …))]`.
fn is_test_attribute(tokens: &[Token<'_>]) -> bool {
    let texts: Vec<&str> = tokens.iter().take(7).map(|token| token.text).collect();
    texts.starts_with(&["#", "[", "cfg", "(", "test", ")"])
        || texts.starts_with(&["#", "[", "cfg", "(", "all", "(", "test"])
}

/// Where the item ends whose attributes begin at `at`.
fn end_of_item(tokens: &[Token<'_>], mut at: usize) -> usize {
    while text(tokens, at) == "#" {
        at = closed(tokens, at + 1);
    }
    let head = text(tokens, at);
    let is_use = head == "use" || (head == "pub" && tokens[at..].iter().take(6).any(|token| token.text == "use"));
    let is_item =
        is_use || ["pub", "mod", "impl", "async", "unsafe", "extern"].contains(&head) || ITEMS.contains(&head);
    while at < tokens.len() {
        match tokens[at].text {
            ";" => return at + 1,
            "{" if !is_use => return closed(tokens, at),
            "(" | "[" | "{" => at = closed(tokens, at),
            // The end of the fields or arms that it is one of.
            "}" | ")" => return at,
            "," if !is_item => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// The place after the bracket that closes the one at `at`.
fn closed(tokens: &[Token<'_>], mut at: usize) -> usize {
    let mut depth = 0usize;
    while at < tokens.len() {
        match tokens[at].text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The module that an item declares, where its text is elsewhere.
fn declared_module<'a>(item: &[Token<'a>]) -> Option<&'a str> {
    let at = item.iter().position(|token| token.text == "mod")?;
    (text(item, at + 2) == ";").then(|| text(item, at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(code: &str) -> Vec<String> {
        let shown = |import: &Import| {
            let public = if import.is_public { "pub " } else { "" };
            format!(
                "{public}{} {} {}",
                import.path.segments.join("::"),
                import.alias,
                import.path.line
            )
        };
        Names::read(code).imports.iter().map(shown).collect()
    }

    #[test]
    fn imports_are_read_out_of_their_braces() {
        assert_eq!(imports("use crate::a::B;"), ["crate::a::B B 1"]);
        assert_eq!(imports("pub use a::{B as C, d::*};"), ["pub a::B C 1", "pub a::d * 1"]);
        assert_eq!(
            imports("pub(crate) use super::{\n    self as up,\n    a::{self, B},\n};\nuse c as _;"),
            ["pub super up 2", "pub super::a a 3", "pub super::a::B B 3", "c _ 5"]
        );
        assert_eq!(imports("fn f() -> impl Fn() + use<'a> {}"), [""; 0]);
    }

    #[test]
    fn paths_and_names_are_read_and_tests_are_not() {
        let code = "\
mod child;
#[cfg(test)]
mod tests;
#[cfg(test)]
use crate::only_tests::A;
struct B { #[cfg(test)] seen: crate::only_tests::B, c: super::C }
pub(in crate::hidden) fn f(d: D) { crate::e::f::<G>(x.y, h::i()) }
#[cfg(test)]
impl J { fn k() { crate::only_tests::k() } }
macro_rules! put { () => {} }
";
        let names = Names::read(code);
        let paths: Vec<String> = names.paths.iter().map(|path| path.segments.join("::")).collect();
        assert_eq!(paths, ["super::C", "crate::e::f", "h::i"]);
        assert!(names.imports.is_empty());
        assert_eq!(names.test_modules, HashSet::from(["tests".to_owned()]));
        assert_eq!(names.defined, ["B", "f", "put"].map(str::to_owned).into());
        let has = |name: &str| names.used.contains_key(name);
        assert!(has("D") && has("G") && has("x"));
        assert!(!has("y") && !has("child") && !has("J"));
    }
}
