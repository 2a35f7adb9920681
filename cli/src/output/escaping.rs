//! What a terminal might act on, or a person cannot see, written out. The one place: whatever was read from a log, a rule, a
//! file's name, an error or the command line passes here before it reaches a terminal.

use std::borrow::Cow;

/// Whether a character is not to be printed as it is: controls (C0, DEL, C1), characters that no one sees (those that
/// Unicode calls default-ignorable: zero-width spaces and joiners, soft hyphens, variation selectors, tags, fillers),
/// line separators, annotations, and those that reorder text. Two names that differ only in such characters look the same.
pub fn is_dangerous(c: char) -> bool {
    if matches!(c, ' '..='~') {
        return false;
    }
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Whether nothing in the text needs a look: most texts are printable ASCII.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.chars().any(is_dangerous)
}

/// The text with what is dangerous written out as `\n`, `\t`, `\r` or `\u{…}`. Doing it twice changes nothing more.
pub fn escape(text: &str) -> Cow<'_, str> {
    escape_but(text, None)
}

/// The same for a text of several lines of our own.
pub fn escape_lines(text: &str) -> Cow<'_, str> {
    escape_but(text, Some('\n'))
}

fn escape_but(text: &str, kept: Option<char>) -> Cow<'_, str> {
    if is_plain(text) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if Some(c) == kept => escaped.push(c),
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push_str("\\t"),
            '\r' => escaped.push_str("\\r"),
            c if is_dangerous(c) => escaped.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped.into()
}

/// JSON with what is dangerous in its texts written as `\uXXXX`, which means the same to every reader. Line ends between
/// values stay.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    if is_plain(json) {
        return json.into();
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if c == '\n' || !is_dangerous(c) {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each kind that must not reach a terminal.
    const KINDS: &[char] = &[
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{ad}',
        '\u{34f}',
        '\u{61c}',
        '\u{180e}',
        '\u{200b}',
        '\u{200c}',
        '\u{200d}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{206a}',
        '\u{3164}',
        '\u{fe0f}',
        '\u{feff}',
        '\u{fff9}',
        '\u{1d173}',
        '\u{e0001}',
        '\u{e0061}',
        '\u{e0100}',
    ];

    #[test]
    fn a_terminal_obeys_nothing() {
        let check = |text: &str, want: &str| assert_eq!(escape(text), want);
        check("plain é 日本", "plain é 日本");
        check("\u{1b}[2Jgone", "\\u{1b}[2Jgone");
        check("a\nb\u{9b}c\u{7f}", "a\\nb\\u{9b}c\\u{7f}");
        check("\u{202e}txt.exe", "\\u{202e}txt.exe");
        check("ad\u{200b}min", "ad\\u{200b}min");
        assert_eq!(escape_lines("a\n\u{1b}\tb"), "a\n\\u{1b}\\tb");
    }

    #[test]
    fn zero_width_and_bidirectional_characters_are_seen() {
        for &c in KINDS {
            let text = format!("a{c}b");
            let shown = escape(&text);
            assert!(!shown.chars().any(is_dangerous), "{shown:?}");
            assert!(shown.contains(&format!("\\u{{{:x}}}", u32::from(c))), "{shown:?}");
            assert_eq!(escape(&shown), shown, "twice is once");
        }
    }

    #[test]
    fn json_stays_the_same_value() {
        let text: String = KINDS.iter().collect();
        let value = serde_json::json!({ "a": text, "b": ["\n\t\"\\", "日本"] });
        for json in [
            serde_json::to_string(&value).unwrap(),
            serde_json::to_string_pretty(&value).unwrap(),
        ] {
            let escaped = escape_json(&json);
            assert!(!escaped.chars().any(|c| c != '\n' && is_dangerous(c)), "{escaped:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        }
    }
}
