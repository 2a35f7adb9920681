//! The members of a JSON array as slices of the text, found by brackets and quotes alone.
//!
//! Nothing is validated: each member is parsed on its own afterwards, so that a broken one costs itself only, and so
//! that each event keeps exactly its own bytes.

use super::scanner::{Scanner, Token};

/// An array that holds events: its members, and what stands after it.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    rest: &'a str,
}

impl<'a> Members<'a> {
    /// The members of the array that `text` begins with (`[`).
    pub fn of_array(text: &'a str) -> Option<Self> {
        text.strip_prefix('[').map(|rest| Self { rest })
    }

    /// The members of the first array that the object `text` holds under one of `keys`, at its top level.
    pub fn of_object(text: &'a str, keys: &[&str]) -> Option<Self> {
        let mut rest = text.strip_prefix('{')?;
        loop {
            rest = rest.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
            if !rest.starts_with('"') {
                return None;
            }
            let key_end = value_end(rest)?;
            let key = &rest[1..key_end - 1];
            rest = rest[key_end..].trim_ascii_start().strip_prefix(':')?.trim_ascii_start();
            if keys.contains(&key) && rest.starts_with('[') {
                return Self::of_array(rest);
            }
            rest = &rest[value_end(rest)?..];
        }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a str;

    /// The next member; the last one may be cut off.
    fn next(&mut self) -> Option<&'a str> {
        self.rest = self
            .rest
            .trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
        if self.rest.is_empty() || self.rest.starts_with(']') {
            return None;
        }
        // A stray closing brace is no member, but must not stop the ones after it from being seen.
        let end = value_end(self.rest).unwrap_or(self.rest.len()).max(1);
        let (member, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(member)
    }
}

/// Where the value that `text` begins with ends; `None` where it is cut off.
pub fn value_end(text: &str) -> Option<usize> {
    let mut scanner = Scanner::new(0);
    let mut depth = 0usize;
    while let Some(token) = scanner.next(text.as_bytes()) {
        match token {
            Token::String { .. } if depth == 0 => return Some(scanner.at()),
            Token::Open(_) => depth += 1,
            Token::Close(_) if depth == 1 => return Some(scanner.at()),
            Token::Close(_) | Token::Comma if depth == 0 => return Some(scanner.at() - 1),
            Token::Close(_) => depth -= 1,
            _ => {}
        }
    }
    (depth == 0 && !scanner.is_in_string()).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use crate::json::tests::json;

    #[test]
    fn members_are_slices() {
        let check = |text: &str, want: &[&str]| {
            let members = match text.starts_with('[') {
                true => Members::of_array(text),
                false => Members::of_object(text, &["Records"]),
            };
            assert_eq!(
                members.map(|m| m.collect::<Vec<_>>()).unwrap_or_default(),
                want,
                "{text}"
            );
        };
        check(r#"[]"#, &[]);
        check(
            r#"[{"a":"]}\"" } , {"b":[1,{}]}]"#,
            &[r#"{"a":"]}\"" }"#, r#"{"b":[1,{}]}"#],
        );
        check(
            r#"{"x":{"Records":[9]},"Records": [ 1,"two", {} ],"y":1}"#,
            &["1", r#""two""#, "{}"],
        );
        check(r#"[{"a":1},{"b":"#, &[r#"{"a":1}"#, r#"{"b":"#]);
        check(r#"[{"a":},{"b":2}]"#, &[r#"{"a":}"#, r#"{"b":2}"#]);
        check(r#"[{"a":1}}},{"b":2}]"#, &[r#"{"a":1}"#, "}", "}", r#"{"b":2}"#]);
        check(r#"{"Records":"#, &[]);
        check(r#"{"Records":1}"#, &[]);
        check(r#"{"a":1"#, &[]);
        check(r#"["a\"#, &[r#""a\"#]);
    }

    /// Some JSON, written with and without white space.
    fn texts(value: &Value) -> [String; 2] {
        [
            serde_json::to_string(value).unwrap(),
            serde_json::to_string_pretty(value).unwrap(),
        ]
    }

    proptest::proptest! {
        #[test]
        fn a_value_ends_where_serde_json_says(value in json(), rest in r#"[,\]} ]{0,3}"#) {
            for text in texts(&value) {
                let scalar = !text.starts_with(['{', '[', '"']);
                let around = format!("{text}{rest}");
                let mut values = serde_json::Deserializer::from_str(&around).into_iter::<Value>();
                values.next().unwrap().unwrap();
                let end = value_end(&around).unwrap();
                // A scalar goes on up to the mark that ends it.
                let end = if scalar { around[..end].trim_end().len() } else { end };
                proptest::prop_assert_eq!(end, values.byte_offset(), "{}", around);
                for cut in (1..text.len()).filter(|cut| text.is_char_boundary(*cut) && !scalar) {
                    proptest::prop_assert_eq!(value_end(&text[..cut]), None, "{} of {}", cut, text);
                }
            }
        }

        #[test]
        fn members_are_those_of_serde_json(values in proptest::collection::vec(json(), 0..6), others in json()) {
            let list = Value::List(values.clone());
            let object = Value::Map(vec![
                ("others".into(), others),
                ("Records".into(), list.clone()),
                ("more".into(), Value::Null),
            ]);
            let read = |members: Members<'_>| -> Vec<Value> {
                members.map(|member| serde_json::from_str(member.trim_end()).unwrap()).collect()
            };
            // Written and read, a number may differ in its last bit.
            let values: Vec<Value> = serde_json::from_str(&serde_json::to_string(&list).unwrap()).unwrap();
            for text in texts(&list) {
                proptest::prop_assert_eq!(&read(Members::of_array(&text).unwrap()), &values, "{}", text);
            }
            for text in texts(&object) {
                let members = Members::of_object(&text, &["Records"]).unwrap();
                proptest::prop_assert_eq!(&read(members), &values, "{}", text);
            }
        }

        #[test]
        fn any_text_ends(text in r#"[\[\]{}",:a\\ é]{0,40}"#) {
            for start in ["[", "{"] {
                let text = format!("{start}{text}");
                let members = Members::of_array(&text).or_else(|| Members::of_object(&text, &["a", ""]));
                for member in members.into_iter().flatten() {
                    proptest::prop_assert!(!member.is_empty());
                }
            }
        }
    }
}
