//! Whether a JSON value that spans lines is whole (RFC 8259), found as its lines come, and noticed early where it never will be.
//! Scalars are not looked into: the parser does that later.

use casebook_event::json::{Scanner, Token};

use crate::limits::MAX_JSON_DEPTH;

/// What a scan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// The value is whole; [`JsonScan::at`] is just after it.
    Whole,
    /// So far so good: more bytes are needed.
    More,
    /// No continuation makes JSON of it.
    Broken,
}

/// What the grammar allows next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    FirstMember,
    FirstKey,
    Key,
    Colon,
    After,
}

/// The scan of one value. The bytes before [`JsonScan::at`] are never read again.
#[derive(Debug)]
pub(crate) struct JsonScan {
    scanner: Scanner,
    /// `[` or `{` of each open level; bounded by [`MAX_JSON_DEPTH`].
    stack: Vec<u8>,
    state: State,
    at: usize,
    /// Where the members of the top-level array, or of an array directly inside the top-level object, begin.
    members_start: usize,
    /// After the last whole one of them.
    members_end: usize,
    members: u32,
}

impl JsonScan {
    /// A scan of the value that begins at `at`.
    pub(crate) fn new(at: usize) -> Self {
        Self {
            scanner: Scanner::of_lines(at),
            stack: Vec::new(),
            state: State::Value,
            at,
            members_start: at,
            members_end: at,
            members: 0,
        }
    }

    /// How far the scan has come: after the value where it is whole, and where it breaks where it is broken.
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
        self.scanner.rebase(self.members_end);
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
        while let Some(token) = self.scanner.next(buffer) {
            if !self.accept(token, buffer) {
                self.at = match token {
                    Token::String { start, .. } => start - 1,
                    Token::Scalar { start, .. } => start,
                    Token::Stray(b'\n') => self.scanner.at(),
                    _ => self.scanner.at() - 1,
                };
                return Scanned::Broken;
            }
            if self.stack.is_empty() && self.state == State::After {
                self.at = self.scanner.at();
                return Scanned::Whole;
            }
        }
        // What has begun must be allowed here, whatever its end will be.
        if let Some(start) = self.scanner.pending()
            && !self.may_begin(buffer.get(start).copied().unwrap_or_default())
        {
            self.at = start;
            return Scanned::Broken;
        }
        self.at = buffer.len();
        Scanned::More
    }

    /// Whether a string or a scalar may stand here that begins with `first`.
    fn may_begin(&self, first: u8) -> bool {
        match self.state {
            State::Value | State::FirstMember => matches!(first, b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'),
            State::FirstKey | State::Key => first == b'"',
            State::Colon | State::After => false,
        }
    }

    /// Goes on by a token; `false` where the grammar does not allow it.
    fn accept(&mut self, token: Token, buffer: &[u8]) -> bool {
        match token {
            Token::String { .. } if matches!(self.state, State::FirstKey | State::Key) => self.state = State::Colon,
            Token::String { end, .. } if self.may_begin(b'"') => self.close(end + 1),
            Token::Scalar { start, end } if self.may_begin(buffer.get(start).copied().unwrap_or_default()) => {
                self.close(end);
            }
            Token::Colon if self.state == State::Colon => self.state = State::Value,
            Token::Comma if self.state == State::After => {
                self.state = if self.stack.last() == Some(&b'{') {
                    State::Key
                } else {
                    State::Value
                }
            }
            Token::Open(byte) => return self.open(byte),
            Token::Close(b']') if matches!(self.state, State::FirstMember | State::After) => return self.pop(b'['),
            Token::Close(b'}') if matches!(self.state, State::FirstKey | State::After) => return self.pop(b'{'),
            _ => return false,
        }
        true
    }

    /// A value has ended at `end`.
    fn close(&mut self, end: usize) {
        self.state = State::After;
        if self.in_members() {
            self.members_end = end;
            self.members += 1;
        }
    }

    fn open(&mut self, byte: u8) -> bool {
        if !matches!(self.state, State::Value | State::FirstMember) || self.stack.len() >= MAX_JSON_DEPTH {
            return false;
        }
        self.stack.push(byte);
        self.state = if byte == b'{' {
            State::FirstKey
        } else {
            State::FirstMember
        };
        if self.in_members() && self.members == 0 {
            self.members_start = self.scanner.at();
            self.members_end = self.scanner.at();
        }
        true
    }

    fn pop(&mut self, opened_by: u8) -> bool {
        if self.stack.last() != Some(&opened_by) {
            return false;
        }
        self.stack.pop();
        self.close(self.scanner.at());
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
