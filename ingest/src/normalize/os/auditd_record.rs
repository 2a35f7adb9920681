//! The fields of one audit record: `key=value` pairs, quoted, hexadecimal or plain.
//!
//! What a process may choose itself (names, paths, arguments) is written in quotes where it is harmless, else in
//! hexadecimal digits (audit's "untrusted strings"). Enriched fields stand after the character 0x1D.

use std::borrow::Cow;

use crate::limits::MAX_AUDITD_FIELDS;

/// The fields of a record, in order; one name may come several times.
#[derive(Debug, Default)]
pub(crate) struct Record<'a> {
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Fields that hold what a process chose: hexadecimal digits without quotes are its bytes.
const UNTRUSTED: &[&str] = &[
    "acct",
    "cgroup",
    "cmd",
    "comm",
    "cwd",
    "data",
    "device",
    "dir",
    "exe",
    "file",
    "grp",
    "key",
    "name",
    "new-disk",
    "new-fs",
    "new_group",
    "ocomm",
    "old-disk",
    "path",
    "proctitle",
    "profile",
    "sw",
    "vm",
    "watch",
];

impl<'a> Record<'a> {
    /// Reads the body of a record of that type.
    pub(crate) fn parse(kind: &str, body: &'a str) -> Self {
        let mut record = Self::default();
        record.read(kind, body);
        record
    }

    fn read(&mut self, kind: &str, body: &'a str) {
        let mut rest = body;
        let mut word = "";
        loop {
            rest = rest
                .trim_start_matches(|c: char| c.is_ascii_whitespace() || matches!(c, '\u{1d}' | '(' | ',' | '{' | '}'));
            if rest.is_empty() || self.fields.len() >= MAX_AUDITD_FIELDS {
                return;
            }
            let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '\u{1d}'));
            let end = end.unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            let Some(value) = after.strip_prefix('=') else {
                // `avc:  denied`, `user`, `old auid=…`: a word of its own.
                if matches!(key, "denied" | "granted") {
                    self.push("seresult", key);
                }
                word = key;
                rest = after;
                continue;
            };
            let (value, after) = match value.as_bytes().first() {
                Some(b'\'') if key == "msg" => {
                    let inner = &value[1..];
                    let end = inner.rfind('\'').unwrap_or(inner.len());
                    self.read(kind, &inner[..end]);
                    rest = inner.get(end + 1..).unwrap_or_default();
                    word = "";
                    continue;
                }
                Some(quote @ (b'"' | b'\'')) => {
                    let inner = &value[1..];
                    let end = inner.find(char::from(*quote)).unwrap_or(inner.len());
                    (Cow::Borrowed(&inner[..end]), inner.get(end + 1..).unwrap_or_default())
                }
                _ => {
                    let end = value.find(|c: char| c.is_ascii_whitespace() || c == '\u{1d}');
                    let (plain, after) = value.split_at(end.unwrap_or(value.len()));
                    // `(null)` and `(none)` stand for nothing; other brackets are the message's.
                    let plain = match plain.starts_with('(') {
                        true => plain,
                        false => plain.trim_end_matches([',', ')', '}']),
                    };
                    (decode(kind, key, plain), after)
                }
            };
            rest = after;
            // Older kernels write `old auid=…` for what is `old-auid=…` today.
            let key = match word {
                "old" | "new" => Cow::Owned(format!("{word}-{key}")),
                _ => Cow::Borrowed(key),
            };
            word = "";
            self.fields.push((key, value));
        }
    }

    fn push(&mut self, key: &'static str, value: &'a str) {
        self.fields.push((key.into(), value.into()));
    }

    /// The first field of that name that says anything.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let named = self.fields.iter().filter(|(key, _)| key == name);
        named
            .map(|(_, value)| value.as_ref())
            .find(|value| says_something(value))
    }

    /// All fields.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }
}

fn says_something(value: &str) -> bool {
    !matches!(value, "" | "?" | "(null)" | "(none)")
}

/// Hexadecimal digits of what a process chose, as text: what is no UTF-8 is replaced.
fn decode<'a>(kind: &str, key: &str, value: &'a str) -> Cow<'a, str> {
    let argument = kind == "EXECVE" && is_argument(key);
    if !(argument || UNTRUSTED.contains(&key)) {
        return Cow::Borrowed(value);
    }
    match hex(value) {
        // The arguments of a title are separated by NULs.
        Some(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        None => Cow::Borrowed(value),
    }
}

/// `a0`, `a12`, `a1[0]`.
pub(crate) fn is_argument(key: &str) -> bool {
    key.strip_prefix('a')
        .is_some_and(|rest| rest.as_bytes().first().is_some_and(u8::is_ascii_digit) && !rest.contains("_len"))
}

/// The bytes that hexadecimal digits stand for; `None` where they are none.
pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || !bytes.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    bytes
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, body: &str, want: &[(&str, &str)]) {
        let record = Record::parse(kind, body);
        assert_eq!(record.iter().collect::<Vec<_>>(), want, "{body}");
    }

    #[test]
    fn quoted_plain_and_hexadecimal() {
        check(
            "SYSCALL",
            r#"syscall=59 comm="ls" exe=2F62696E2F6C73 key=(null)"#,
            &[("syscall", "59"), ("comm", "ls"), ("exe", "/bin/ls"), ("key", "(null)")],
        );
        check(
            "EXECVE",
            r#"argc=2 a0="a" a1=622063 a1_len=9"#,
            &[("argc", "2"), ("a0", "a"), ("a1", "b c"), ("a1_len", "9")],
        );
        check("SYSCALL", "a0=7fff a1=622063", &[("a0", "7fff"), ("a1", "622063")]);
        check("PROCTITLE", "proctitle=6C73002D6C", &[("proctitle", "ls\0-l")]);
        check(
            "SYSCALL",
            "uid=0\u{1d}UID=\"root\" SYSCALL=open",
            &[("uid", "0"), ("UID", "root"), ("SYSCALL", "open")],
        );
    }

    #[test]
    fn messages_within_and_words_between() {
        check(
            "USER_AUTH",
            r#"pid=1 msg='op=PAM acct="root" exe="/x" addr=1.2.3.4 res=failed'UID="root""#,
            &[
                ("pid", "1"),
                ("op", "PAM"),
                ("acct", "root"),
                ("exe", "/x"),
                ("addr", "1.2.3.4"),
                ("res", "failed"),
                ("UID", "root"),
            ],
        );
        check(
            "USER_START",
            r#"user pid=1 msg='PAM: session open acct=root : exe="/c" (hostname=?, addr=?, terminal=cron res=success)'"#,
            &[
                ("pid", "1"),
                ("acct", "root"),
                ("exe", "/c"),
                ("hostname", "?"),
                ("addr", "?"),
                ("terminal", "cron"),
                ("res", "success"),
            ],
        );
        check(
            "LOGIN",
            "login pid=9 old auid=4294967295 new auid=0",
            &[("pid", "9"), ("old-auid", "4294967295"), ("new-auid", "0")],
        );
        check(
            "AVC",
            r#"avc:  denied  { read } for  pid=2 name="m""#,
            &[("seresult", "denied"), ("pid", "2"), ("name", "m")],
        );
    }

    proptest::proptest! {
        #[test]
        fn any_body_ends(body in r#"[a-z0-9= "'{}(),\x1d]{0,60}"#) {
            let _ = Record::parse("EXECVE", &body);
        }
    }
}
