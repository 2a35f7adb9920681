//! The words of a log record.
//!
//! A record's **text** is its raw text, with JSON's backslash escapes resolved, in lower case. A **word** is a longest
//! run of letters and digits of it; each ideograph is a word by itself, since their scripts put no spaces between words.
//! A query's phrase is looked for in the text, at the edges of words; the words in it must therefore be words of the text,
//! which is how the index finds candidates. Paths, image names, ARNs and `key=value` pairs are thus found whole and in part.
//!
//! The index leaves out what helps no search, by the form of the word alone, so that a query knows it too
//! ([`is_indexed`]): single ASCII letters and digits, numbers of two digits, and the fractions that times end in. It adds
//! IPv4 addresses as one word, since their parts are common numbers, and takes UUIDs as one word instead of five.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::limits::MAX_TOKEN_BYTES;

/// The text of a raw record, which a search tests.
pub(crate) fn record_text(raw: &str) -> Cow<'_, str> {
    let unescaped = if raw.contains('\\') {
        Cow::Owned(unescape(raw))
    } else {
        Cow::Borrowed(raw)
    };
    match unescaped {
        Cow::Borrowed(text) => fold(text),
        Cow::Owned(text) => match fold(&text) {
            Cow::Borrowed(_) => Cow::Owned(text),
            Cow::Owned(folded) => Cow::Owned(folded),
        },
    }
}

/// A text in the form in which texts are compared: lower case.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Owned(text.to_ascii_lowercase());
        }
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.to_lowercase())
}

/// Resolves the escapes of RFC 8259 section 7; anything else after a backslash stays as it is.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (char, used) = match tail.as_bytes().first() {
            Some(b'"') => ('"', 1),
            Some(b'\\') => ('\\', 1),
            Some(b'/') => ('/', 1),
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(b'u') => unicode_escape(tail).unwrap_or(('\\', 0)),
            _ => ('\\', 0),
        };
        out.push(char);
        rest = &tail[used..];
    }
    out.push_str(rest);
    out
}

/// `uXXXX`, or the pair that stands for one character beyond the basic plane.
fn unicode_escape(tail: &str) -> Option<(char, usize)> {
    let unit = |text: &str| {
        let digits = text.strip_prefix('u')?.get(..4)?;
        digits
            .bytes()
            .all(|b| b.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let high = unit(tail)?;
    if (0xd800..0xdc00).contains(&high)
        && let Some(low) = tail[5..].strip_prefix('\\').and_then(unit)
        && (0xdc00..0xe000).contains(&low)
    {
        return Some((char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))?, 11));
    }
    Some((char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 5))
}

/// What a character is to the division into words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Separator,
    Letter,
    Ideograph,
}

fn class(c: char) -> Class {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() {
            Class::Letter
        } else {
            Class::Separator
        };
    }
    match u32::from(c) {
        // Hiragana, katakana, CJK ideographs with extensions and compatibility forms.
        0x3041..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff => Class::Ideograph,
        _ if c.is_alphanumeric() => Class::Letter,
        _ => Class::Separator,
    }
}

/// Whether a character joins with its like into a word.
pub(crate) fn is_letter(c: char) -> bool {
    class(c) == Class::Letter
}

/// The characters of [`is_letter`], as the inside of a class of the regex crate. Spelled out, since that crate's tables may
/// be of another version of Unicode than the standard library's.
pub(crate) static LETTERS: LazyLock<String> = LazyLock::new(|| {
    let mut class = String::new();
    let mut start: Option<char> = None;
    let mut last = '\0';
    let mut end = |start: char, last: char| {
        let _ = write!(class, "\\x{{{:x}}}-\\x{{{:x}}}", u32::from(start), u32::from(last));
    };
    for c in '\0'..=char::MAX {
        if is_letter(c) {
            start.get_or_insert(c);
            last = c;
        } else if let Some(start) = start.take() {
            end(start, last);
        }
    }
    class
});

/// Whether two adjacent characters are within one word.
pub(crate) fn joins(left: char, right: char) -> bool {
    class(left) == Class::Letter && class(right) == Class::Letter
}

/// The words of a folded text, with the byte at which each begins.
pub(crate) fn words(text: &str) -> Words<'_> {
    Words { text, at: 0 }
}

/// See [`words`].
pub(crate) struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        let mut start = None;
        while self.at < bytes.len() {
            let byte = bytes[self.at];
            if byte.is_ascii() {
                if byte.is_ascii_alphanumeric() {
                    start.get_or_insert(self.at);
                } else if let Some(start) = start {
                    return Some((start, &self.text[start..self.at]));
                }
                self.at += 1;
                continue;
            }
            let Some(c) = self.text[self.at..].chars().next() else {
                break;
            };
            match (class(c), start) {
                (Class::Letter, _) => {
                    start.get_or_insert(self.at);
                }
                (_, Some(start)) => return Some((start, &self.text[start..self.at])),
                (Class::Separator, None) => {}
                (Class::Ideograph, None) => {
                    let start = self.at;
                    self.at += c.len_utf8();
                    return Some((start, &self.text[start..self.at]));
                }
            }
            self.at += c.len_utf8();
        }
        start.map(|start| (start, &self.text[start..]))
    }
}

/// Whether a word of this form is in the index by itself.
pub(crate) fn is_indexed(word: &str) -> bool {
    let bytes = word.as_bytes();
    match bytes {
        [] => false,
        [byte] => !byte.is_ascii(),
        [a, b] if a.is_ascii_digit() && b.is_ascii_digit() => false,
        // The hour of an RFC 3339 time, with its day: `01t10`.
        [a, b, b't', c, d] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()) => false,
        [digits @ .., b'z'] => !digits.iter().all(u8::is_ascii_digit),
        _ => true,
    }
}

/// A word as the index holds it: at most [`MAX_TOKEN_BYTES`] long.
pub(crate) fn clip(word: &str) -> &str {
    if word.len() <= MAX_TOKEN_BYTES {
        word
    } else {
        &word[..word.floor_char_boundary(MAX_TOKEN_BYTES)]
    }
}

/// Whether the index may hold this clipped word for a longer one.
pub(crate) fn may_be_clipped(term: &str) -> bool {
    // A character of four bytes may have been cut off whole.
    term.len() + 3 >= MAX_TOKEN_BYTES
}

/// Length of a UUID's text.
pub(crate) const UUID_BYTES: usize = 36;

/// The lengths of a UUID's five words.
const UUID_WORDS: [usize; 5] = [8, 4, 4, 4, 12];

/// The UUID that begins at `at`, if the word there begins one.
pub(crate) fn uuid_at(text: &str, at: usize) -> Option<&str> {
    let uuid = text.as_bytes().get(at..at + UUID_BYTES)?;
    for (n, &byte) in uuid.iter().enumerate() {
        let right = match n {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        };
        if !right {
            return None;
        }
    }
    let end = at + UUID_BYTES;
    let next = text[end..].chars().next();
    next.is_none_or(|next| !joins('a', next)).then(|| &text[at..end])
}

/// Whether the index may hold this word only within a UUID.
pub(crate) fn may_be_in_uuid(word: &str) -> bool {
    UUID_WORDS.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The IPv4 address that begins at `at`, if four numbers of at most three digits do so, joined by dots.
pub(crate) fn ipv4_at(text: &str, at: usize) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut end = at;
    for part in 0..4 {
        if part > 0 {
            if bytes.get(end) != Some(&b'.') {
                return None;
            }
            end += 1;
        }
        let digits = bytes[end..]
            .iter()
            .take(4)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 || digits > 3 {
            return None;
        }
        end += digits;
    }
    let next = text[end..].chars().next();
    next.is_none_or(|next| !joins('0', next)).then(|| &text[at..end])
}

/// A term that the index holds for a text: for every phrase found in the text, each of the phrase's own terms is one of
/// the text's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextTerm<'a> {
    /// Where it begins.
    pub at: usize,
    /// The term, not yet clipped.
    pub text: &'a str,
}

/// Calls `visit` with every term that the index holds for a folded text.
pub(crate) fn visit_terms<'a>(text: &'a str, visit: &mut dyn FnMut(TextTerm<'a>)) {
    let mut skip_to = 0;
    for (at, word) in words(text) {
        if at < skip_to {
            continue;
        }
        if word.len() == 8
            && let Some(uuid) = uuid_at(text, at)
        {
            visit(TextTerm { at, text: uuid });
            skip_to = at + uuid.len();
            continue;
        }
        if word.len() <= 3
            && word.as_bytes()[0].is_ascii_digit()
            && let Some(address) = ipv4_at(text, at)
        {
            visit(TextTerm { at, text: address });
        }
        if is_indexed(word) {
            visit(TextTerm { at, text: word });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, want: &[&str]) {
        let text = record_text(raw);
        let mut found = Vec::new();
        visit_terms(&text, &mut |term| found.push(term.text.to_owned()));
        assert_eq!(found, want, "{raw}");
    }

    #[test]
    fn words_of_logs() {
        check("GET /api/v1/Pods", &["get", "api", "v1", "pods"]);
        check(
            "registry.k8s.io/kube-proxy:v1.29",
            &["registry", "k8s", "io", "kube", "proxy", "v1"],
        );
        check("from 10.0.12.7:443", &["from", "10.0.12.7", "443"]);
        check("v1.10.0.12.7", &["v1", "10.0.12.7"]);
        check(
            "arn:aws:iam::123456789012:role/Admin",
            &["arn", "aws", "iam", "123456789012", "role", "admin"],
        );
        check(
            "uid=0d9e1ca2-5a1f-4c0b-9d2e-0123456789ab!",
            &["uid", "0d9e1ca2-5a1f-4c0b-9d2e-0123456789ab"],
        );
        check(
            "0d9e1ca2-5a1f-4c0b-9d2e-0123456789abc",
            &["0d9e1ca2", "5a1f", "4c0b", "9d2e", "0123456789abc"],
        );
        check("2024-05-01T10:22:33.123456Z ok", &["2024", "ok"]);
        check(r#"{"log":"a\tbc\u00e9 \ud83d\ude00 de"}"#, &["log", "bcé", "de"]);
        check("用户登录 failed", &["用", "户", "登", "录", "failed"]);
        check("Ünïcode ПРИВЕТ", &["ünïcode", "привет"]);
    }

    #[test]
    fn broken_escapes_stay() {
        for raw in [r"\", r"\u12", r"\ud800x", r"a\qb", r"\ud800\u0041"] {
            let _ = record_text(raw);
        }
        assert_eq!(record_text(r"C:\Program\u00"), r"c:\program\u00");
    }

    #[test]
    fn letters_are_the_same_to_the_regex_crate() {
        let class = regex::Regex::new(&format!("^[{}]$", *LETTERS)).unwrap();
        for c in (0..0x4_0000).filter_map(char::from_u32) {
            assert_eq!(
                class.is_match(c.encode_utf8(&mut [0; 4])),
                is_letter(c),
                "{:?} U+{:x}",
                c,
                u32::from(c)
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn terms_of_a_phrase_are_terms_of_the_text(text in "[a-f0-9.é用\\- ]{0,60}", from in 0usize..60, to in 0usize..60) {
            let folded = fold(&text);
            let (from, to) = (folded.floor_char_boundary(from.min(to)), folded.floor_char_boundary(from.max(to)));
            let phrase = &folded[from..to];
            let left = folded[..from].chars().next_back().zip(phrase.chars().next());
            let right = phrase.chars().next_back().zip(folded[to..].chars().next());
            if left.is_some_and(|(a, b)| joins(a, b)) || right.is_some_and(|(a, b)| joins(a, b)) {
                return Ok(());
            }
            let mut terms = Vec::new();
            visit_terms(&folded, &mut |term| terms.push(term.text.to_owned()));
            visit_terms(phrase, &mut |term| {
                let held = terms.iter().any(|t| t == term.text)
                    || may_be_in_uuid(term.text) && terms.iter().any(|t| t.len() == 36 && t.contains(term.text));
                assert!(held, "`{}` of `{phrase}` in `{folded}`", term.text);
            });
        }

        #[test]
        fn any_text_has_words(raw in "\\PC*") {
            visit_terms(&record_text(&raw), &mut |_| ());
        }
    }
}
