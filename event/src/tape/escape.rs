//! The escapes of JSON (RFC 8259, section 7), also those that are broken or cut off.

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
        let after = &text[6..];
        let low = match after.as_bytes() {
            [] | [b'\\'] => return Self::HalfPair,
            [b'\\', b'u', ..] => unit_or_unfinished(after),
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
