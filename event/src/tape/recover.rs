//! Reading on where a strict parser stops: a text that ends too early, as far as it goes; and a value that JSON can write and
//! nothing here can hold.
//!
//! A text is *cut* where its end comes while it is still JSON. Anything else that is no JSON is broken, and is not read. Of a cut
//! text, what may have gone on is left out: half a text, half a number (`12` may have been `120`), a key whose value is missing,
//! an object or array of which nothing is known but that it began. What is left is in the whole one too, with the same value.
//!
//! What cannot be held is kept as text, so that it costs no more than itself: a lone surrogate is U+FFFD, an escape that JSON does
//! not have stays as it is written, and so do a number beyond `f64` and what is nested too deep.

use super::{Kind, Node, Open, Parser, Tape};

/// What could be read of an object that a strict parser refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The values.
    pub tape: Tape,
    /// The place behind the object, or behind the text where that was cut.
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
        if text.len() > super::MAX_TEXT_BYTES {
            return None;
        }
        let mut parser = Parser::<true>::new(text);
        let mut open = [0; super::MAX_DEPTH];
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

    /// An object or array below the last level that is taken apart, behind its bracket: it stays text.
    pub(super) fn too_deep(&mut self) -> Option<()> {
        let from = self.at - 1;
        let mut depth = 1usize;
        while depth > 0 {
            match self.next()? {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b'"' => self.skip_string()?,
                _ => {}
            }
        }
        self.odd += 1;
        self.tape.nodes.push(Node {
            kind: Kind::Text,
            from: from as u32,
            to: (self.at - from) as u32,
        });
        Some(())
    }

    fn skip_string(&mut self) -> Option<()> {
        loop {
            let Some(found) = self.text.as_bytes().get(self.at..).and_then(super::special) else {
                self.ended = true;
                return None;
            };
            self.at += found;
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                b'\n' => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
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

/// A text without its escapes. Half a pair of surrogates is U+FFFD, and an escape that JSON does not have stays as it is. Of a
/// text that was cut, half an escape at its end is left out.
pub(super) fn unescape(text: &str, cut: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match Escape::at(rest) {
            Escape::Char(c, length) => {
                out.push(c);
                rest = &rest[length..];
            }
            Escape::Unfinished | Escape::HalfPair if cut => return out,
            Escape::HalfPair => {
                out.push(char::REPLACEMENT_CHARACTER);
                rest = &rest[6..];
            }
            Escape::Unfinished | Escape::None => {
                out.push('\\');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// What a backslash begins.
enum Escape {
    /// A character, and how many bytes its escape has.
    Char(char, usize),
    /// The text ends before it does.
    Unfinished,
    /// The first of two surrogates, and the text ends before the second does.
    HalfPair,
    /// None that JSON has.
    None,
}

impl Escape {
    fn at(text: &str) -> Self {
        let c = match text.as_bytes().get(1) {
            None => return Self::Unfinished,
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return Self::unicode(text),
            Some(_) => return Self::None,
        };
        Self::Char(c, 2)
    }

    fn unicode(text: &str) -> Self {
        let unit = match unit(text) {
            Ok(unit) => unit,
            Err(unfinished) => return if unfinished { Self::Unfinished } else { Self::None },
        };
        let high = match unit {
            0xd800..=0xdbff => u32::from(unit) - 0xd800,
            unit => return Self::Char(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
        };
        let behind = &text[6..];
        let low = match behind.as_bytes() {
            [] | [b'\\'] => return Self::HalfPair,
            [b'\\', b'u', ..] => unit_or_unfinished(behind),
            _ => Ok(None),
        };
        match low {
            Err(Cut) => Self::HalfPair,
            Ok(Some(low @ 0xdc00..=0xdfff)) => {
                let point = 0x1_0000 + (high << 10) + (u32::from(low) - 0xdc00);
                Self::Char(char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
            }
            Ok(_) => Self::Char(char::REPLACEMENT_CHARACTER, 6),
        }
    }
}

/// The text ends too early.
struct Cut;

/// The four digits of the `\uXXXX` that `text` begins with; else whether the text may have ended too early for them.
fn unit(text: &str) -> Result<u16, bool> {
    let digits = text.as_bytes().get(2..).unwrap_or_default();
    let digits = digits.get(..4).unwrap_or(digits);
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(false);
    }
    if digits.len() < 4 {
        return Err(true);
    }
    text.get(2..6)
        .and_then(|digits| u16::from_str_radix(digits, 16).ok())
        .ok_or(false)
}

fn unit_or_unfinished(text: &str) -> Result<Option<u16>, Cut> {
    match unit(text) {
        Ok(unit) => Ok(Some(unit)),
        Err(true) => Err(Cut),
        Err(false) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
