//! A JSON text, parsed once into a flat list of places in it: what native fields are read from without a tree.
//!
//! A place is twelve bytes in one block of memory, and a text without escapes is not copied. The parser takes a part of what
//! RFC 8259 allows and leaves the rest to the slower one: what it accepts it must read as `serde_json` does, and what it
//! refuses says nothing about the text.

mod recover;

use crate::ValueRef;
use crate::value_ref::{Entries, Items};
pub use recover::Recovered;

/// Objects and arrays within one another: what `serde_json` takes.
const MAX_DEPTH: usize = 127;

/// Longest text that is parsed, in bytes: places are 32-bit.
const MAX_TEXT_BYTES: usize = u32::MAX as usize / 2;

/// The values of a JSON text by their places in it. Reading it needs the text again, and with another one the texts of the
/// values are wrong, but nothing worse.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tape {
    nodes: Vec<Node>,
    /// Texts that were written with escapes, without them.
    unescaped: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    kind: Kind,
    /// Where the text begins; the low half of a number's bits.
    from: u32,
    /// How many bytes the text has; the high half of a number's bits; the number of the node behind a list or a map.
    to: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
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
    const fn of(kind: Kind) -> Self {
        Self { kind, from: 0, to: 0 }
    }

    const fn bits(kind: Kind, bits: u64) -> Self {
        Self {
            kind,
            from: bits as u32,
            to: (bits >> 32) as u32,
        }
    }

    const fn as_bits(self) -> u64 {
        self.from as u64 | (self.to as u64) << 32
    }
}

impl Tape {
    /// Parses the object that `text` begins with; the place behind it comes with it. `None` where `text` begins with
    /// anything else, or is not plain enough: a slower parser then says what it is.
    pub fn parse_object(text: &str) -> Option<(Self, usize)> {
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let mut parser = Parser::<false>::new(text);
        parser.object(&mut [0; MAX_DEPTH])?;
        Some((parser.tape, parser.at))
    }

    /// The value of the whole text, which must be the one that was parsed.
    pub fn root<'a>(&'a self, text: &'a str) -> ValueRef<'a> {
        let mut all = Places {
            tape: self,
            text,
            at: 0,
            end: u32::try_from(self.nodes.len()).unwrap_or(u32::MAX),
        };
        all.next_value().unwrap_or(ValueRef::Null)
    }
}

/// What is left of a run of nodes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'a> {
    tape: &'a Tape,
    text: &'a str,
    at: u32,
    end: u32,
}

impl<'a> Places<'a> {
    fn node(&self) -> Option<Node> {
        if self.at >= self.end {
            return None;
        }
        self.tape.nodes.get(self.at as usize).copied()
    }

    fn text_of(&self, node: Node) -> &'a str {
        let whole = if node.kind == Kind::Text {
            self.text
        } else {
            &self.tape.unescaped
        };
        let from = node.from as usize;
        whole.get(from..from + node.to as usize).unwrap_or_default()
    }

    /// The value behind the next key that is `key`; what is left is what follows it.
    pub(crate) fn value_of(&mut self, key: &str) -> Option<ValueRef<'a>> {
        while let Some(node) = self.node() {
            self.at += 1;
            if node.to as usize == key.len() && self.text_of(node) == key {
                return self.next_value();
            }
            self.skip_value();
        }
        None
    }

    /// The next node as a key.
    pub(crate) fn next_key(&mut self) -> Option<&'a str> {
        let node = self.node()?;
        self.at += 1;
        Some(self.text_of(node))
    }

    /// The next value.
    pub(crate) fn next_value(&mut self) -> Option<ValueRef<'a>> {
        let node = self.node()?;
        let inner = Places {
            at: self.at + 1,
            end: node.to,
            ..*self
        };
        self.step(node);
        Some(match node.kind {
            Kind::Null => ValueRef::Null,
            Kind::True => ValueRef::Bool(true),
            Kind::False => ValueRef::Bool(false),
            Kind::Int => ValueRef::Int(node.as_bits().cast_signed()),
            Kind::Float => ValueRef::Float(f64::from_bits(node.as_bits())),
            Kind::Text | Kind::Unescaped => ValueRef::Str(self.text_of(node)),
            Kind::List => ValueRef::List(Items::of_tape(inner)),
            Kind::Map => ValueRef::Map(Entries::of_tape(inner)),
        })
    }

    /// Goes on behind the next value.
    pub(crate) fn skip_value(&mut self) {
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

/// The objects and arrays that are open, by the numbers of their nodes.
type Open = [u32; MAX_DEPTH];

/// With `RECOVER`, what is plainly a value of JSON and cannot be one of ours is read as far as it can be, and it is noted where
/// the text ended too early: see [`Tape::recover_object`].
struct Parser<'a, const RECOVER: bool> {
    text: &'a str,
    at: usize,
    tape: Tape,
    /// Nodes up to the end of the last whole value, or of the last bracket that opened one.
    whole: usize,
    /// How many objects and arrays are open.
    depth: usize,
    /// Values that could not be read as they are written.
    odd: u32,
    /// The text ended where more had to come.
    ended: bool,
    /// Where the text begins, behind its quote, within which that was.
    half: Option<usize>,
}

impl<'a, const RECOVER: bool> Parser<'a, RECOVER> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            tape: Tape {
                nodes: Vec::with_capacity(text.len() / 12 + 8),
                unescaped: String::new(),
            },
            whole: 0,
            depth: 0,
            odd: 0,
            ended: false,
            half: None,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte behind white space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let Some(byte) = self.peek() else {
                self.ended = true;
                return None;
            };
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
        }
    }

    fn object(&mut self, open: &mut Open) -> Option<()> {
        let mut depth = 0;
        let mut byte = self.next().filter(|byte| *byte == b'{')?;
        loop {
            // A value begins with `byte`.
            let begins = match byte {
                b'{' | b'[' if RECOVER && depth == MAX_DEPTH => {
                    self.too_deep()?;
                    false
                }
                b'{' | b'[' => {
                    let kind = if byte == b'{' { Kind::Map } else { Kind::List };
                    *open.get_mut(depth)? = self.tape.nodes.len() as u32;
                    depth += 1;
                    self.tape.nodes.push(Node::of(kind));
                    true
                }
                byte => {
                    self.scalar(byte)?;
                    false
                }
            };
            if RECOVER {
                self.whole = self.tape.nodes.len();
                self.depth = depth;
            }
            // Behind it: the end of whatever ends here, or a comma.
            byte = self.next()?;
            let mut first = begins;
            loop {
                let at = *open.get(depth.checked_sub(1)?)? as usize;
                let in_map = self.tape.nodes.get(at)?.kind == Kind::Map;
                let closing = if in_map { b'}' } else { b']' };
                if byte == closing {
                    let end = self.tape.nodes.len() as u32;
                    self.tape.nodes.get_mut(at)?.to = end;
                    depth -= 1;
                    if depth == 0 {
                        return Some(());
                    }
                    if RECOVER {
                        self.depth = depth;
                    }
                    first = false;
                    byte = self.next()?;
                    continue;
                }
                if !first {
                    if byte != b',' {
                        return None;
                    }
                    byte = self.next()?;
                }
                if in_map {
                    if byte != b'"' {
                        return None;
                    }
                    self.string()?;
                    if self.next()? != b':' {
                        return None;
                    }
                    byte = self.next()?;
                }
                break;
            }
        }
    }

    fn scalar(&mut self, byte: u8) -> Option<()> {
        match byte {
            b'"' => self.string(),
            b'n' => self.word("ull", Kind::Null),
            b't' => self.word("rue", Kind::True),
            b'f' => self.word("alse", Kind::False),
            b'-' | b'0'..=b'9' => self.number(byte),
            _ => None,
        }
    }

    fn word(&mut self, rest: &str, kind: Kind) -> Option<()> {
        let bytes = self.text.as_bytes().get(self.at..)?;
        if !bytes.starts_with(rest.as_bytes()) {
            self.ended = rest.as_bytes().starts_with(bytes);
            return None;
        }
        self.at += rest.len();
        self.tape.nodes.push(Node::of(kind));
        Some(())
    }

    /// A text, behind its opening quote.
    fn string(&mut self) -> Option<()> {
        let from = self.at;
        let mut escaped = false;
        let mut odd = false;
        loop {
            let Some(found) = self.text.as_bytes().get(self.at..).and_then(special) else {
                self.ended = true;
                self.half = Some(from);
                return None;
            };
            self.at += found;
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                // A control character, which no writer of JSON leaves as it is. A line ends with its text, though.
                byte if RECOVER && byte != b'\n' => {
                    odd = true;
                    self.at += 1;
                }
                _ => return None,
            }
        }
        let node = if escaped {
            let unescaped: String = match serde_json::from_str(self.text.get(from - 1..=self.at)?) {
                Ok(unescaped) => unescaped,
                Err(_) if RECOVER => {
                    odd = true;
                    recover::unescape(self.text.get(from..self.at)?, false)
                }
                Err(_) => return None,
            };
            let start = self.tape.unescaped.len();
            self.tape.unescaped.push_str(&unescaped);
            Node {
                kind: Kind::Unescaped,
                from: u32::try_from(start).ok()?,
                to: unescaped.len() as u32,
            }
        } else {
            Node {
                kind: Kind::Text,
                from: from as u32,
                to: (self.at - from) as u32,
            }
        };
        self.at += 1;
        self.odd += u32::from(odd);
        self.tape.nodes.push(node);
        Some(())
    }

    /// A number, behind its first byte.
    fn number(&mut self, first: u8) -> Option<()> {
        let from = self.at - 1;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = self.text.get(from..self.at)?;
        let fraction = matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        // Eighteen digits always fit; a zero stands in front of a point only, or alone.
        let plain = !fraction && first != b'-' && digits.len() <= 18 && (first != b'0' || digits.len() == 1);
        if RECOVER && !fraction && self.at == self.text.len() {
            // More digits may have followed.
            self.ended = true;
            return None;
        }
        let node = if plain {
            let number = digits.bytes().fold(0u64, |n, digit| n * 10 + u64::from(digit - b'0'));
            Node::bits(Kind::Int, number)
        } else {
            while matches!(self.peek(), Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
                self.at += 1;
            }
            if RECOVER && self.at == self.text.len() {
                self.ended = true;
                return None;
            }
            match serde_json::from_str(self.text.get(from..self.at)?) {
                Ok(crate::Value::Int(number)) => Node::bits(Kind::Int, number.cast_unsigned()),
                Ok(crate::Value::Float(number)) => Node::bits(Kind::Float, number.to_bits()),
                Err(_) if RECOVER => self.too_large(from)?,
                _ => return None,
            }
        };
        self.tape.nodes.push(node);
        Some(())
    }
}

/// Where the first quote, backslash or control character stands. Eight bytes at a time: a subtraction sets the high bit of a
/// byte that is below what is subtracted, and the first that is set is right.
fn special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let mut chunks = bytes.chunks_exact(8);
    let mut at = 0;
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().ok()?);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        if found & HIGH != 0 {
            return Some(at + (found & HIGH).trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = chunks.remainder();
    let found = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    Some(at + found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Value;

    /// What is accepted is what `serde_json` reads; returns whether it was.
    fn agrees(text: &str) -> bool {
        let Some((tape, end)) = Tape::parse_object(text) else {
            return false;
        };
        let value: Value = serde_json::from_str(&text[..end]).unwrap_or_else(|error| panic!("{text}: {error}"));
        let read = tape.root(text);
        assert_eq!(read.to_value(), value, "{text}");
        assert_eq!(
            serde_json::to_string(&read).unwrap(),
            serde_json::to_string(&value).unwrap(),
            "{text}"
        );
        true
    }

    #[test]
    fn plain_objects_are_read() {
        for text in [
            "{}",
            " {\n} ",
            r#"{"a":1,"b":[],"c":{},"d":[1,[2,{"e":null}],true,false]}"#,
            r#"{"a":"","b":"xé☃","c":"a long text of more than eight bytes","":0}"#,
            r#"{"a":"q\"\\\/\b\n\u00e9\ud83d\ude00","k\u0061":1}"#,
            r#"{"a":-1,"b":1.5,"c":-0,"d":1e3,"e":123456789012345678,"f":9223372036854775807,"g":18446744073709551615,"h":0}"#,
            r#"{"a" : 1 , "b" : [ 1 , 2 ] }"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":1} behind"#,
        ] {
            assert!(agrees(text), "{text} is refused");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "",
            "[]",
            "1",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{,}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":[,1]}"#,
            r#"{"a":[1 2]}"#,
            r#"{"a":[1}"#,
            r#"{"a":01}"#,
            r#"{"a":-}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":nul}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\ud800"}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":"#,
            r#"{"a":"x"#,
            r#"{"a":"x\"#,
            r#"{1:2}"#,
        ] {
            assert!(!agrees(text), "{text} is accepted");
        }
        let deep = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(agrees(&deep(MAX_DEPTH)));
        assert!(Tape::parse_object(&deep(MAX_DEPTH + 1)).is_none());
    }

    #[test]
    fn another_text_gives_wrong_texts_and_nothing_worse() {
        let (tape, _) = Tape::parse_object(r#"{"key":"value","n":1}"#).unwrap();
        assert_eq!(tape.root("é").get("n").and_then(ValueRef::as_i64), None);
        assert_eq!(tape.root("").to_text(), r#"{"":"","":1}"#);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-1e6..1e6f64).prop_map(Value::Float),
            "[a-z\"\\\\\n\u{1}é/ ]{0,20}".prop_map(|text| Value::str(&text)),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
                prop::collection::vec(("[a-z.\"é]{0,9}", inner), 0..5).prop_map(|entries| {
                    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(value in json()) {
            let value = Value::Map(vec![("root".into(), value)]);
            let text = serde_json::to_string(&value).unwrap();
            prop_assert!(agrees(&text), "{} is refused", text);
        }

        #[test]
        fn a_path_reads_alike(value in json(), path in "[a-z]{1,2}(\\.[a-z]){0,2}") {
            let value = Value::Map(vec![("a".into(), value)]);
            let text = serde_json::to_string(&value).unwrap();
            // Written and read, a number may differ in its last bit.
            let value: Value = serde_json::from_str(&text).unwrap();
            let (tape, _) = Tape::parse_object(&text).unwrap();
            let seen = |root: ValueRef<'_>| {
                let mut seen = Vec::new();
                root.visit_path(&format!("a.{path}"), &mut |value| {
                    seen.push(value.to_value());
                    false
                });
                root.visit_leaves(&mut |value| {
                    seen.push(value.to_value());
                    false
                });
                seen
            };
            prop_assert_eq!(seen(tape.root(&text)), seen(value.as_ref()));
        }

        #[test]
        fn broken_text_is_refused_or_read_right(text in r#"\{[\[\]{}",:a1e.\-+ntrufals\\ é]{0,40}"#) {
            agrees(&text);
        }

        #[test]
        fn the_first_special_byte_is_found(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let want = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(special(&bytes), want);
        }
    }
}
