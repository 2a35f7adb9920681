//! Reading on where a strict parser stops: a text that ends too early, as far as it goes; and a value that JSON can write and
//! nothing here can hold.
//!
//! A text is *cut* where its end comes while it is still JSON. Anything else that is no JSON is broken, and is not read. Of a cut
//! text, what may have gone on is left out: half a text, half a number (`12` may have been `120`), a key whose value is missing,
//! an object or array of which nothing is known but that it began. What is left is in the whole one too, with the same value.
//!
//! What cannot be held is kept as text, so that it costs no more than itself: a lone surrogate is U+FFFD, an escape that JSON does
//! not have stays as it is written, and so do a number beyond `f64` and what is nested too deep.

use super::escape::unescape;
use super::nodes::{Kind, Node, Tape};
use super::parse::{MAX_DEPTH, MAX_TEXT_BYTES, Open, Parser};
use crate::json::{Scanner, Token};

/// What could be read of an object that a strict parser refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The values.
    pub tape: Tape,
    /// The place after the object, or after the text where that was cut.
    pub end: usize,
    /// Whether the text ended before the object did.
    pub cut: bool,
    /// How many values could not be read as they are written.
    pub odd_count: u32,
}

impl Tape {
    /// Reads the object that `text` begins with as far as it can be read. A text within which a cut text ends is kept, as far as
    /// it goes, where `keep_half` says so of its path, in which an array is an empty key. `None` where `text` begins with
    /// anything else, is too long, or breaks JSON's grammar before its end.
    pub fn recover_object(text: &str, keep_half: &dyn Fn(&[&str]) -> bool) -> Option<Recovered> {
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let mut parser = Parser::<true>::new(text);
        let mut open = [0; MAX_DEPTH];
        let cut = parser.object(&mut open).is_none();
        if cut {
            parser.close_at_end(&open, keep_half)?;
        }
        Some(Recovered {
            end: if cut { text.len() } else { parser.at },
            tape: parser.tape,
            cut,
            odd_count: parser.odd,
        })
    }
}

impl Parser<'_, true> {
    /// Ends all that is open where the text does. `None` where it was not its end that stopped the parser.
    fn close_at_end(&mut self, open: &Open, keep_half: &dyn Fn(&[&str]) -> bool) -> Option<()> {
        let open = open.get(..self.depth)?;
        if !self.ended || open.is_empty() {
            return None;
        }
        if let Some(from) = self.half.filter(|_| self.is_value(open))
            && self.path(open).is_some_and(|path| keep_half(&path))
        {
            let half = unescape(self.text.get(from..)?, true);
            self.push_unescaped(&half)?;
        } else {
            self.tape.nodes.truncate(self.whole);
        }
        for (depth, &at) in open.iter().enumerate().rev() {
            let at = at as usize;
            let end = self.tape.nodes.len();
            if end == at + 1 && depth > 0 {
                // That it began says nothing of what it holds. Its key goes too.
                let keyed = usize::from(self.is_map(*open.get(depth - 1)?));
                self.tape.nodes.truncate(at.checked_sub(keyed)?);
            } else {
                self.tape.nodes.get_mut(at)?.to = u32::try_from(end).ok()?;
            }
        }
        Some(())
    }

    fn is_map(&self, at: u32) -> bool {
        self.tape
            .nodes
            .get(at as usize)
            .is_some_and(|node| node.kind == Kind::Map)
    }

    /// Whether the text that has no end is a value, and no key.
    fn is_value(&self, open: &[u32]) -> bool {
        open.last()
            .is_some_and(|at| !self.is_map(*at) || self.tape.nodes.len() > self.whole)
    }

    /// The keys that lead to the value under way.
    fn path(&self, open: &[u32]) -> Option<Vec<&str>> {
        let under_way = u32::try_from(self.tape.nodes.len()).ok()?;
        let inner = open.iter().skip(1).chain(std::iter::once(&under_way));
        open.iter()
            .zip(inner)
            .map(|(outer, inner)| {
                if !self.is_map(*outer) {
                    return Some("");
                }
                let key = self.tape.nodes.get(inner.checked_sub(1)? as usize)?;
                let whole = if key.kind == Kind::Text {
                    self.text
                } else {
                    &self.tape.unescaped
                };
                whole.get(key.from as usize..key.from as usize + key.to as usize)
            })
            .collect()
    }

    fn push_unescaped(&mut self, text: &str) -> Option<()> {
        let from = u32::try_from(self.tape.unescaped.len()).ok()?;
        self.tape.unescaped.push_str(text);
        self.tape.nodes.push(Node {
            kind: Kind::Unescaped,
            from,
            to: u32::try_from(text.len()).ok()?,
        });
        Some(())
    }
}

impl<const RECOVER: bool> Parser<'_, RECOVER> {
    /// A number that JSON allows and `f64` cannot hold, which stays the text that it is.
    pub(super) fn too_large(&mut self, from: usize) -> Option<Node> {
        let text = self.text.get(from..self.at)?;
        if !is_number(text) {
            return None;
        }
        self.odd += 1;
        Some(Node {
            kind: Kind::Text,
            from: from as u32,
            to: text.len() as u32,
        })
    }

    /// An object or array below the last level that is taken apart, after its bracket: it stays text.
    pub(super) fn too_deep(&mut self) -> Option<()> {
        let from = self.at - 1;
        let mut scanner = Scanner::of_lines(self.at);
        let mut depth = 1usize;
        while depth > 0 {
            match scanner.next(self.text.as_bytes()) {
                None => {
                    self.ended = true;
                    return None;
                }
                Some(Token::Open(_)) => depth += 1,
                Some(Token::Close(_)) => depth -= 1,
                Some(Token::Stray(b'\n')) => return None,
                Some(_) => {}
            }
        }
        self.at = scanner.at();
        self.odd += 1;
        self.tape.nodes.push(Node {
            kind: Kind::Text,
            from: from as u32,
            to: (self.at - from) as u32,
        });
        Some(())
    }
}

/// Whether a text is a number as JSON writes it (RFC 8259, section 6).
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}
