//! `key=value` pairs as Go's loggers write them (logfmt; klog's structured form): values plain or in double quotes, with
//! backslash escapes inside.

use std::borrow::Cow;

/// The pairs of a text, in order. A word without `=` is passed over, so that pairs after a message are found too.
pub(crate) fn pairs(text: &str) -> Pairs<'_> {
    Pairs { rest: text }
}

/// See [`pairs`].
pub(crate) struct Pairs<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() {
                return None;
            }
            if self.rest.starts_with('"') {
                // A quoted message of its own.
                let (_, rest) = quoted(self.rest)?;
                self.rest = rest;
                continue;
            }
            let end = self
                .rest
                .find(|c: char| c == '=' || c.is_ascii_whitespace())
                .unwrap_or(self.rest.len());
            let (key, rest) = self.rest.split_at(end);
            let Some(value) = rest.strip_prefix('=') else {
                self.rest = rest;
                continue;
            };
            let (value, rest) = match quoted(value) {
                Some(quoted) => quoted,
                None => {
                    let end = value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len());
                    (Cow::Borrowed(&value[..end]), &value[end..])
                }
            };
            self.rest = rest;
            if !key.is_empty() {
                return Some((key, value));
            }
        }
    }
}

/// The text in the double quotes that `text` begins with, its escapes resolved, and what follows. Quotes that are never
/// closed go to the end.
pub(crate) fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let inner = text.strip_prefix('"')?;
    let bytes = inner.as_bytes();
    let (mut at, mut escaped) = (0, false);
    while at < bytes.len() && bytes[at] != b'"' {
        escaped |= bytes[at] == b'\\';
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    let end = inner.floor_char_boundary(at.min(inner.len()));
    let rest = inner.get(end + 1..).unwrap_or_default();
    let whole = &inner[..end];
    Some((
        if escaped {
            Cow::Owned(unescape(whole))
        } else {
            Cow::Borrowed(whole)
        },
        rest,
    ))
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(other @ ('"' | '\\')) => out.push(other),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_quoted_and_between_words() {
        let check = |text: &str, want: &[(&str, &str)]| {
            let got: Vec<_> = pairs(text).map(|(key, value)| (key, value.into_owned())).collect();
            let got: Vec<_> = got.iter().map(|(key, value)| (*key, value.as_str())).collect();
            assert_eq!(got, want, "{text}");
        };
        check("a=1 b=two c=", &[("a", "1"), ("b", "two"), ("c", "")]);
        check(
            r#""Some \"msg\"" pod="n/p" err="Get \"x\": no""#,
            &[("pod", "n/p"), ("err", r#"Get "x": no"#)],
        );
        check(
            r#"level=info msg="a\nb\t\q" x"#,
            &[("level", "info"), ("msg", "a\nb\t\\q")],
        );
        check("plain words =x", &[]);
        check(r#"a="open é"#, &[("a", "open é")]);
        check(r#"a="end\"#, &[("a", r"end\")]);
        check(r#"url=http://x/?q=1&r=2"#, &[("url", "http://x/?q=1&r=2")]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_ends(text in r#"[ab= "\\é\n]{0,40}"#) {
            proptest::prop_assert!(pairs(&text).count() <= text.len());
        }
    }
}
