//! Sigma's text patterns: `*` for any run of characters, `?` for exactly one, `\` before either to mean itself.
//!
//! Specification: Sigma rules 2.1, "String Wildcard" and "Escape Character".

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Piece {
    /// These characters. Never empty.
    Text(String),
    /// `*`: any run of characters, none too. Never twice in a row.
    Many,
    /// `?`: exactly one character.
    One,
}

/// A text with wildcards, matched against the whole of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Pattern {
    pieces: Vec<Piece>,
}

impl Pattern {
    /// Reads a value of a rule. A backslash before anything but `*`, `?` and `\` is itself.
    pub(crate) fn parse(value: &str) -> Self {
        let mut pattern = Self::default();
        let mut chars = value.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next_if(|next| matches!(next, '*' | '?' | '\\')) {
                    Some(escaped) => pattern.push_char(escaped),
                    None => pattern.push_char('\\'),
                },
                '*' => pattern.push(Piece::Many),
                '?' => pattern.push(Piece::One),
                other => pattern.push_char(other),
            }
        }
        pattern
    }

    /// A text without wildcards.
    pub(crate) fn literal(text: &str) -> Self {
        let mut pattern = Self::default();
        text.chars().for_each(|c| pattern.push_char(c));
        pattern
    }

    /// The parts, in order.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The text, if there are no wildcards.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Bytes of its texts.
    pub(crate) fn text_bytes(&self) -> usize {
        let texts = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Many | Piece::One => 1,
        });
        texts.sum()
    }

    /// Characters of the longest part between two `*` that has a `?` in it.
    pub(crate) fn longest_open_run(&self) -> usize {
        let chars = |piece: &Piece| match piece {
            Piece::Text(text) => text.chars().count(),
            Piece::Many | Piece::One => 1,
        };
        let runs = self.pieces.split(|piece| *piece == Piece::Many);
        let open = runs.filter(|run| run.contains(&Piece::One));
        open.map(|run| run.iter().map(chars).sum()).max().unwrap_or(0)
    }

    /// The pattern with `*` in front, at the end, or both.
    pub(crate) fn open(mut self, front: bool, end: bool) -> Self {
        if front && self.pieces.first() != Some(&Piece::Many) {
            self.pieces.insert(0, Piece::Many);
        }
        if end {
            self.push(Piece::Many);
        }
        self
    }

    /// The pattern with every text replaced by all that `spell` makes of it; `None` if there were more than `limit`.
    pub(crate) fn spellings(&self, limit: usize, spell: impl Fn(&str) -> Vec<String>) -> Option<Vec<Self>> {
        let mut all = vec![Self::default()];
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => {
                    let spellings = spell(text);
                    if all.len().saturating_mul(spellings.len()) > limit {
                        return None;
                    }
                    all = all
                        .iter()
                        .flat_map(|pattern| {
                            spellings.iter().map(move |text| {
                                let mut longer = pattern.clone();
                                text.chars().for_each(|c| longer.push_char(c));
                                longer
                            })
                        })
                        .collect();
                }
                other => all.iter_mut().for_each(|pattern| pattern.push(other.clone())),
            }
        }
        Some(all)
    }

    fn push(&mut self, piece: Piece) {
        if piece != Piece::Many || self.pieces.last() != Some(&Piece::Many) {
            self.pieces.push(piece);
        }
    }

    fn push_char(&mut self, c: char) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            _ => self.pieces.push(Piece::Text(c.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_the_specification() {
        let check = |value: &str, want: &[&str]| {
            let shown: Vec<_> = Pattern::parse(value)
                .pieces()
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Many => "<many>".to_owned(),
                    Piece::One => "<one>".to_owned(),
                })
                .collect();
            assert_eq!(shown, want, "{value}");
        };
        check("", &[]);
        check(r"C:\Windows\cmd.exe", &[r"C:\Windows\cmd.exe"]);
        check(r"\\server\share", &[r"\server\share"]);
        check("prog?.exe", &["prog", "<one>", ".exe"]);
        check("a**b", &["a", "<many>", "b"]);
        check(r"a\*b", &["a*b"]);
        check(r"a\\*b", &[r"a\", "<many>", "b"]);
        check(r"a\\\*b", &[r"a\*b"]);
        check(r"a\\\\b", &[r"a\\b"]);
        check(r"a\\\b", &[r"a\\b"]);
        check(r"ends\", &[r"ends\"]);
    }
}
