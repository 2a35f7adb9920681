//! The scanner against `serde_json`: the same tokens, in one go and across chunks, at every level of strings in strings.

use proptest::prelude::*;

use super::*;
use crate::Value;

/// Any JSON.
pub(crate) fn json() -> impl Strategy<Value = Value> {
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

/// What a token is, with the text of those that have one.
fn tokens(text: &str, level: usize) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut scanner = Scanner::of_level(0, level);
    let mut all = Vec::new();
    while let Some(token) = scanner.next(bytes).or_else(|| scanner.finish(bytes)) {
        all.push(shown(text, token));
    }
    assert_eq!(scanner.at(), text.len());
    all
}

fn shown(text: &str, token: Token) -> String {
    match token {
        Token::Open(byte) | Token::Close(byte) | Token::Stray(byte) => char::from(byte).to_string(),
        Token::Comma => ",".to_owned(),
        Token::Colon => ":".to_owned(),
        Token::String { start, end } => format!("\"{}\"", &text[start..end]),
        Token::Scalar { start, end } => text[start..end].to_owned(),
    }
}

/// The tokens that a value is written in.
fn written(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::List(items) => {
            out.push("[".to_owned());
            for (n, item) in items.iter().enumerate() {
                out.extend((n > 0).then(|| ",".to_owned()));
                written(item, out);
            }
            out.push("]".to_owned());
        }
        Value::Map(entries) => {
            out.push("{".to_owned());
            for (n, (key, value)) in entries.iter().enumerate() {
                out.extend((n > 0).then(|| ",".to_owned()));
                out.push(serde_json::to_string(key.as_str()).unwrap());
                out.push(":".to_owned());
                written(value, out);
            }
            out.push("}".to_owned());
        }
        scalar => out.push(serde_json::to_string(scalar).unwrap()),
    }
}

proptest! {
    #[test]
    fn tokens_are_those_that_were_written(value in json()) {
        let mut want = Vec::new();
        written(&value, &mut want);
        for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
            prop_assert_eq!(&tokens(&text, 0), &want, "{}", text);
        }
    }

    #[test]
    fn tokens_are_the_same_across_chunks(text in r#"[\[\]{}",:a1.\\ \n\u{e9}]{0,40}"#, lines: bool) {
        let bytes = text.as_bytes();
        let scanner = |lines| if lines { Scanner::of_lines(0) } else { Scanner::new(0) };
        let (mut whole, mut chunked) = (scanner(lines), scanner(lines));
        let mut want = Vec::new();
        while let Some(token) = whole.next(bytes) {
            want.push((token, whole.at()));
        }
        let mut got = Vec::new();
        for end in 0..=bytes.len() {
            while let Some(token) = chunked.next(&bytes[..end]) {
                got.push((token, chunked.at()));
            }
        }
        prop_assert_eq!(got, want);
        prop_assert_eq!(chunked.pending(), whole.pending());
        prop_assert_eq!(chunked.finish(bytes), whole.finish(bytes));
    }

    #[test]
    fn a_text_in_strings_has_the_same_tokens(value in json()) {
        let mut want = Vec::new();
        written(&value, &mut want);
        let mut text = serde_json::to_string(&value).unwrap();
        for level in LEVELS.iter().take(4) {
            // Scalars and marks are as they are; strings are escaped once more a level.
            let got = tokens(&text, *level);
            prop_assert_eq!(got.len(), want.len(), "{} at {}", text, level);
            for (got, want) in got.iter().zip(&want) {
                prop_assert!(got == want || got.starts_with('"') && want.starts_with('"'), "{} is not {}", got, want);
            }
            let string = serde_json::to_string(&text).unwrap();
            text = string[1..string.len() - 1].to_owned();
        }
    }

    #[test]
    fn a_string_ends_alike_for_the_scanner_and_by_its_quotes(text in r#"[a"\\\n\u{e9}]{0,20}"#) {
        let text = format!("\"{text}");
        let mut scanner = Scanner::new(0);
        let token = scanner.next(text.as_bytes()).or_else(|| scanner.finish(text.as_bytes()));
        let end = string_end(text.as_bytes(), 1, 0);
        prop_assert_eq!(token, Some(Token::String { start: 1, end }));
    }
}

#[test]
fn a_line_s_end_within_a_string_is_seen_where_it_is_asked_for() {
    let text = b"{\"a\n\": 1";
    let mut scanner = Scanner::of_lines(0);
    assert_eq!(scanner.next(text), Some(Token::Open(b'{')));
    assert_eq!(scanner.next(text), Some(Token::Stray(b'\n')));
    assert_eq!(scanner.at(), 3);
    let mut scanner = Scanner::new(0);
    scanner.next(text);
    assert_eq!(scanner.next(text), Some(Token::String { start: 2, end: 4 }));
}

#[test]
fn what_was_taken_away_is_followed() {
    let mut scanner = Scanner::new(0);
    let text = b"[1,\"ab";
    while scanner.next(text).is_some() {}
    assert_eq!(scanner.pending(), Some(3));
    scanner.rebase(3);
    assert_eq!(scanner.next(b"\"abc\"]"), Some(Token::String { start: 1, end: 4 }));
}
