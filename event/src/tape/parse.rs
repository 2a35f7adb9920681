//! The parser that writes a tape.

use super::escape::unescape;
use super::nodes::{Kind, Node, Tape};
use crate::Value;
use crate::json::special;

/// Objects and arrays within one another: what `serde_json` takes.
pub(super) const MAX_DEPTH: usize = 127;

/// Longest text that is parsed, in bytes: places are 32-bit.
pub(super) const MAX_TEXT_BYTES: usize = u32::MAX as usize / 2;

impl Tape {
    /// Parses the object that `text` begins with; the place after it comes with it. `None` where `text` begins with
    /// anything else, or is not plain enough: a slower parser then says what it is.
    pub fn parse_object(text: &str) -> Option<(Self, usize)> {
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let mut parser = Parser::<false>::new(text);
        parser.object(&mut [0; MAX_DEPTH])?;
        Some((parser.tape, parser.at))
    }
}

/// The objects and arrays that are open, by the numbers of their nodes.
pub(super) type Open = [u32; MAX_DEPTH];

/// With `RECOVER`, what is plainly a value of JSON and cannot be one of ours is read as far as it can be, and it is noted where
/// the text ended too early: see [`Tape::recover_object`].
pub(super) struct Parser<'a, const RECOVER: bool> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) tape: Tape,
    /// Nodes up to the end of the last whole value, or of the last bracket that opened one.
    pub(super) whole: usize,
    /// How many objects and arrays are open.
    pub(super) depth: usize,
    /// Values that could not be read as they are written.
    pub(super) odd: u32,
    /// The text ended where more had to come.
    pub(super) ended: bool,
    /// Where the text begins, after its quote, within which that was.
    pub(super) half: Option<usize>,
}

impl<'a, const RECOVER: bool> Parser<'a, RECOVER> {
    pub(super) fn new(text: &'a str) -> Self {
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

    /// The next byte after white space.
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

    pub(super) fn object(&mut self, open: &mut Open) -> Option<()> {
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
            // After it: the end of whatever ends here, or a comma.
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

    /// A text, after its opening quote.
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
                    unescape(self.text.get(from..self.at)?, false)
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

    /// A number, after its first byte.
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
                Ok(Value::Int(number)) => Node::bits(Kind::Int, number.cast_unsigned()),
                Ok(Value::Float(number)) => Node::bits(Kind::Float, number.to_bits()),
                Err(_) if RECOVER => self.too_large(from)?,
                _ => return None,
            }
        };
        self.tape.nodes.push(node);
        Some(())
    }
}
