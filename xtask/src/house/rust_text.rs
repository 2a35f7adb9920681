//! Here is a Rust text: which of its characters are code, and which are comment? Not a parser: it knows strings,
//! characters, lifetimes and comments, which is what a search for names must not stumble over.

/// A text in two halves of the same shape: every character stands in one of them, with a space in the other, and every
/// line is a line in both. Strings are in neither, but for their quotes in the code.
pub struct RustText {
    pub code: String,
    pub comments: String,
}

impl RustText {
    pub fn read(text: &str) -> Self {
        let mut reader = Reader {
            rest: text,
            last: ' ',
            code: String::with_capacity(text.len()),
            comments: String::with_capacity(text.len()),
        };
        while !reader.rest.is_empty() {
            reader.step();
        }
        Self {
            code: reader.code,
            comments: reader.comments,
        }
    }
}

/// Which half a character goes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Code,
    Comment,
    Neither,
}

struct Reader<'a> {
    rest: &'a str,
    /// The last character of code.
    last: char,
    code: String,
    comments: String,
}

impl Reader<'_> {
    /// One comment, string or character.
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.take(end, Half::Comment);
        } else if self.rest.starts_with("/*") {
            self.take(block_comment(self.rest), Half::Comment);
        } else if let Some((open, close)) = self.string() {
            self.take(open, Half::Code);
            self.take(close - open - 1, Half::Neither);
            self.take(1, Half::Code);
        } else if let Some(length) = char_literal(self.rest) {
            self.take(length, Half::Neither);
        } else {
            self.take(self.rest.chars().next().map_or(1, char::len_utf8), Half::Code);
        }
    }

    /// Where the string that begins here opens and ends, in bytes.
    fn string(&self) -> Option<(usize, usize)> {
        // `r` at the end of a name opens nothing.
        let in_name = self.last.is_alphanumeric() || self.last == '_';
        let prefix = ["br", "cr", "r", "b", "c", ""]
            .into_iter()
            .find(|prefix| (prefix.is_empty() || !in_name) && self.rest.starts_with(prefix))?;
        let after = &self.rest[prefix.len()..];
        let hashes = after.len() - after.trim_start_matches('#').len();
        let raw = prefix.ends_with('r');
        if !after[hashes..].starts_with('"') || (hashes > 0 && !raw) {
            return None;
        }
        let open = prefix.len() + hashes + 1;
        let body = &self.rest[open..];
        let length = if raw {
            body.find(&format!("\"{}", "#".repeat(hashes)))
                .map(|at| at + hashes + 1)
        } else {
            end_of_string(body)
        };
        Some((open, open + length.unwrap_or(body.len().max(1))))
    }

    fn take(&mut self, length: usize, half: Half) {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        for c in taken.chars() {
            let (code, comment) = match (c, half) {
                ('\n', _) => ('\n', '\n'),
                (_, Half::Code) => (c, ' '),
                (_, Half::Comment) => (' ', c),
                (_, Half::Neither) => (' ', ' '),
            };
            self.code.push(code);
            self.comments.push(comment);
            self.last = if half == Half::Code { c } else { ' ' };
        }
        self.rest = rest;
    }
}

/// How long the comment is that `text` begins with: they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// How long the string's body is, its closing quote included.
fn end_of_string(body: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// How long the character literal is that `text` begins with, if it is one and no lifetime.
fn char_literal(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let mut chars = body.char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        let end = body.get(2..)?.find('\'')? + 2;
        return Some(end + 2);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, code: &str, comments: &str) {
        let read = RustText::read(text);
        assert_eq!((read.code.as_str(), read.comments.as_str()), (code, comments), "{text}");
    }

    #[test]
    fn code_and_comments_are_parted() {
        check("a // b\nc", "a     \nc", "  // b\n ");
        check(
            "a /* b /* c */ d */ e",
            "a                   e",
            "  /* b /* c */ d */  ",
        );
        check("f(\"// a\", b)", "f(\"    \", b)", "            ");
        check("\"\\\"{\" {", "\"   \" {", "       ");
        check("r#\"\"{\"# {", "r#\"   # {", "         ");
        check(
            "b\"{\" '{' b'{' '\\'' '\\u{7d}' 'a str",
            "b\" \"     b                  'a str",
            &" ".repeat(34),
        );
        check("é // é", "é     ", "  // é");
        check("for\"{\"", "for\" \"", "      ");
        check("\"{\n{\" {", "\" \n \" {", "  \n    ");
    }

    #[test]
    fn what_does_not_end_ends_with_the_text() {
        for text in ["\"a", "r#\"a", "/* a", "'\\", "'", "\""] {
            RustText::read(text);
        }
    }
}
