//! The members of a JSON array as slices of the text, found by brackets and quotes alone.
//!
//! Nothing is validated: each member is parsed on its own afterwards, so that a broken one costs itself only, and so
//! that each event keeps exactly its own bytes.

/// An array that holds events: its members, and what stands behind it.
pub(crate) struct Members<'a> {
    rest: &'a str,
}

impl<'a> Members<'a> {
    /// The members of the array that `text` begins with (`[`).
    pub(crate) fn of_array(text: &'a str) -> Option<Self> {
        text.strip_prefix('[').map(|rest| Self { rest })
    }

    /// The members of the first array that the object `text` holds under one of `keys`, at its top level.
    pub(crate) fn of_object(text: &'a str, keys: &[&str]) -> Option<Self> {
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
        // A stray closing brace is no member, but must not stop the ones behind it from being seen.
        let end = value_end(self.rest).unwrap_or(self.rest.len()).max(1);
        let (member, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(member)
    }
}

/// Where the value that `text` begins with ends; `None` where it is cut off.
pub(crate) fn value_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at + 1)?;
                if depth == 0 {
                    return Some(at);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return Some(if depth == 1 { at + 1 } else { at }),
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
    (depth == 0).then_some(at)
}

/// Behind the closing quote of a string whose content starts at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += bytes.get(at..)?.iter().position(|b| matches!(b, b'"' | b'\\'))?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    proptest::proptest! {
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
