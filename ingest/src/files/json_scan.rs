//! A resumable scan over JSON's grammar (RFC 8259), to find where a value that spans lines ends, and to notice early that
//! it never will. Scalars are not looked into: the parser does that later.

use crate::limits::MAX_JSON_DEPTH;

/// What a scan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// The value is whole; [`JsonScan::at`] is just behind it.
    Whole,
    /// So far so good: more bytes are needed.
    More,
    /// No continuation makes JSON of it.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    FirstMember,
    FirstKey,
    Key,
    Colon,
    After,
    Scalar,
    Text { key: bool },
    Escape { key: bool },
}

/// The scan of one value. The bytes before [`JsonScan::at`] are never looked at again.
#[derive(Debug)]
pub(crate) struct JsonScan {
    /// `[` or `{` of each open level; bounded by [`MAX_JSON_DEPTH`].
    stack: Vec<u8>,
    state: State,
    at: usize,
    /// Where the members of the top-level array, or of an array directly inside the top-level object, begin.
    members_start: usize,
    /// Behind the last whole one of them.
    members_end: usize,
    members: u32,
}

impl JsonScan {
    /// A scan of the value that begins at `at`.
    pub(crate) fn new(at: usize) -> Self {
        Self {
            stack: Vec::new(),
            state: State::Value,
            at,
            members_start: at,
            members_end: at,
            members: 0,
        }
    }

    /// How far the scan has come.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The whole members of an array of events that were passed since the last [`JsonScan::forget`], and their count.
    pub(crate) fn members(&self) -> (std::ops::Range<usize>, u32) {
        (
            self.members_start..self.members_end.max(self.members_start),
            self.members,
        )
    }

    /// Forgets those members; the caller removes the bytes up to their end from the buffer.
    pub(crate) fn forget(&mut self) {
        self.at -= self.members_end;
        self.members_start = 0;
        self.members_end = 0;
        self.members = 0;
    }

    fn in_members(&self) -> bool {
        matches!(self.stack.as_slice(), [b'['] | [b'{', b'['])
    }

    /// Scans on over `buffer`.
    pub(crate) fn advance(&mut self, buffer: &[u8]) -> Scanned {
        while self.at < buffer.len() {
            let byte = buffer[self.at];
            match self.state {
                State::Text { key } => match buffer[self.at..].iter().position(|b| matches!(b, b'"' | b'\\' | b'\n')) {
                    None => {
                        self.at = buffer.len();
                        return Scanned::More;
                    }
                    Some(offset) => {
                        self.at += offset;
                        match buffer[self.at] {
                            b'"' if key => self.state = State::Colon,
                            b'"' => self.close(self.at + 1),
                            b'\\' => self.state = State::Escape { key },
                            _ => return Scanned::Broken,
                        }
                    }
                },
                State::Escape { key } => self.state = State::Text { key },
                State::Scalar => match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.' => {}
                    _ => {
                        self.close(self.at);
                        continue;
                    }
                },
                _ if byte.is_ascii_whitespace() => {}
                _ => {
                    if !self.structure(byte) {
                        return Scanned::Broken;
                    }
                    if self.stack.is_empty() && self.state == State::After {
                        self.at += 1;
                        return Scanned::Whole;
                    }
                }
            }
            self.at += 1;
        }
        Scanned::More
    }

    /// A value has ended at `end`.
    fn close(&mut self, end: usize) {
        self.state = State::After;
        if self.in_members() {
            self.members_end = end;
            self.members += 1;
        }
    }

    fn structure(&mut self, byte: u8) -> bool {
        match (self.state, byte) {
            (State::Value | State::FirstMember, b'{' | b'[') => {
                if self.stack.len() >= MAX_JSON_DEPTH {
                    return false;
                }
                self.stack.push(byte);
                self.state = if byte == b'{' {
                    State::FirstKey
                } else {
                    State::FirstMember
                };
                if self.in_members() && self.members == 0 {
                    self.members_start = self.at + 1;
                    self.members_end = self.at + 1;
                }
            }
            (State::Value | State::FirstMember, b'"') => self.state = State::Text { key: false },
            (State::Value | State::FirstMember, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => self.state = State::Scalar,
            (State::FirstKey | State::Key, b'"') => self.state = State::Text { key: true },
            (State::Colon, b':') => self.state = State::Value,
            (State::After, b',') => {
                self.state = if self.stack.last() == Some(&b'{') {
                    State::Key
                } else {
                    State::Value
                }
            }
            (State::FirstMember | State::After, b']') if self.stack.last() == Some(&b'[') => return self.pop(),
            (State::FirstKey | State::After, b'}') if self.stack.last() == Some(&b'{') => return self.pop(),
            _ => return false,
        }
        true
    }

    fn pop(&mut self) -> bool {
        self.stack.pop();
        self.close(self.at + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_they_end() {
        let check = |text: &str, want: Scanned, at: usize| {
            let mut scan = JsonScan::new(0);
            assert_eq!(scan.advance(text.as_bytes()), want, "{text}");
            assert_eq!(scan.at(), at, "{text}");
            // In any pieces it is the same.
            let mut scan = JsonScan::new(0);
            let mut got = Scanned::More;
            for end in 1..=text.len() {
                got = scan.advance(&text.as_bytes()[..end]);
                if got != Scanned::More {
                    break;
                }
            }
            assert_eq!((got, scan.at()), (want, at), "{text} in pieces");
        };
        check(r#"{"a":[1,{"b":"}\""}],"c":null} x"#, Scanned::Whole, 30);
        check("[]", Scanned::Whole, 2);
        check("[-1.5e3,true]", Scanned::Whole, 13);
        check(r#"{"a":1,"#, Scanned::More, 7);
        check(r#"{"a":1,{"#, Scanned::Broken, 7);
        check("{\"a\n", Scanned::Broken, 3);
        check("[2024-01-01 0", Scanned::Broken, 12);
        check("[ERROR]", Scanned::Broken, 1);
        check("[1}", Scanned::Broken, 2);
        check(&"[".repeat(129), Scanned::Broken, 128);
    }

    #[test]
    fn members_are_counted() {
        let check = |text: &str, want: &str, count: u32| {
            let mut scan = JsonScan::new(0);
            scan.advance(text.as_bytes());
            let (range, members) = scan.members();
            assert_eq!((&text[range], members), (want, count), "{text}");
        };
        check(r#"{"k":1,"Records":[{"a":1},{"b":2},{"c""#, r#"{"a":1},{"b":2}"#, 2);
        check(r#"[1,"x",[2]"#, r#"1,"x",[2]"#, 3);
        check(r#"{"a":{"b":[1,2]"#, "", 0);
    }
}
