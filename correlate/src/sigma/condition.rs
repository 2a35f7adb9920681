//! The `condition` of a detection: `or`, `and`, `not`, parentheses, and `1 of` / `all of` with patterns or `them`.
//!
//! Specification: Sigma rules 2.1, "Condition". Words are read without regard to case. `them` leaves out selections that
//! begin with an underscore; a pattern does not.

use crate::diagnostic::{Mark, Report, code};
use crate::limits::{MAX_CONDITION_BYTES, MAX_CONDITION_DEPTH};

/// A condition over selections, which are named by their index in the detection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    Selection(usize),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
}

impl Condition {
    /// Whether it holds where `truth` says which selections do.
    pub(crate) fn value(&self, truth: &impl Fn(usize) -> bool) -> bool {
        match self {
            Self::Selection(at) => truth(*at),
            Self::All(parts) => parts.iter().all(|part| part.value(truth)),
            Self::Any(parts) => parts.iter().any(|part| part.value(truth)),
            Self::Not(part) => !part.value(truth),
        }
    }

    /// The same over selections that stand `by` places later.
    pub(crate) fn shifted(&self, by: usize) -> Self {
        let each = |parts: &[Self]| parts.iter().map(|part| part.shifted(by)).collect();
        match self {
            Self::Selection(at) => Self::Selection(at + by),
            Self::All(parts) => Self::All(each(parts)),
            Self::Any(parts) => Self::Any(each(parts)),
            Self::Not(part) => Self::Not(Box::new(part.shifted(by))),
        }
    }

    /// Whether there is a `not` in it.
    pub(crate) fn negates(&self) -> bool {
        match self {
            Self::Selection(_) => false,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::negates),
            Self::Not(_) => true,
        }
    }

    /// Calls `visit` with every selection named.
    pub(crate) fn visit(&self, visit: &mut impl FnMut(usize)) {
        match self {
            Self::Selection(at) => visit(*at),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.visit(visit)),
            Self::Not(part) => part.visit(visit),
        }
    }
}

/// Reads a condition over the selections `names`; `None` if it is an error.
pub(crate) fn parse(text: &str, names: &[&str], mark: Mark, report: &mut Report<'_>) -> Option<Condition> {
    let problem = if text.len() > MAX_CONDITION_BYTES {
        Problem::new(
            code::BAD_CONDITION,
            format!("the condition is longer than {MAX_CONDITION_BYTES} bytes"),
        )
    } else {
        let mut parser = Parser {
            tokens: tokens(text),
            at: 0,
            names,
            depth: 0,
        };
        match parser.whole() {
            Ok(condition) => return Some(condition),
            Err(problem) => problem,
        }
    };
    match problem.help {
        Some(help) => report.add_help(problem.code, mark, problem.message, help),
        None => report.add(problem.code, mark, problem.message),
    }
    None
}

struct Problem {
    code: crate::diagnostic::Code,
    message: String,
    help: Option<String>,
}

impl Problem {
    fn new(code: crate::diagnostic::Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

fn tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for word in text.split_whitespace() {
        let mut rest = word;
        while let Some(at) = rest.find(['(', ')', '|']) {
            if at > 0 {
                found.push(&rest[..at]);
            }
            found.push(&rest[at..=at]);
            rest = &rest[at + 1..];
        }
        if !rest.is_empty() {
            found.push(rest);
        }
    }
    found
}

struct Parser<'a> {
    tokens: Vec<&'a str>,
    at: usize,
    names: &'a [&'a str],
    depth: usize,
}

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Result<Condition, Problem> {
        let condition = self.any()?;
        match self.peek() {
            None => Ok(condition),
            Some("|") => Err(Problem::new(
                code::UNSUPPORTED,
                "aggregations after `|` are those of old Sigma versions",
            )
            .help("write a correlation rule of type `event_count`")),
            Some(word) => Err(
                Problem::new(code::BAD_CONDITION, format!("`{word}` is not expected here"))
                    .help("selections are joined by `and` or `or`"),
            ),
        }
    }

    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Condition, Problem> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(single_or(parts, Condition::Any))
    }

    fn all(&mut self) -> Result<Condition, Problem> {
        let mut parts = vec![self.not()?];
        while self.take_word("and") {
            parts.push(self.not()?);
        }
        Ok(single_or(parts, Condition::All))
    }

    fn not(&mut self) -> Result<Condition, Problem> {
        self.depth += 1;
        if self.depth > MAX_CONDITION_DEPTH {
            let message = format!("parentheses and `not` are nested more than {MAX_CONDITION_DEPTH} deep");
            return Err(Problem::new(code::BAD_CONDITION, message));
        }
        let condition = if self.take_word("not") {
            Condition::Not(Box::new(self.not()?))
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn primary(&mut self) -> Result<Condition, Problem> {
        let Some(token) = self.peek() else {
            return Err(Problem::new(
                code::BAD_CONDITION,
                "the condition ends where a selection should follow",
            ));
        };
        self.at += 1;
        if token == "(" {
            let inner = self.any()?;
            if !self.take_word(")") {
                return Err(Problem::new(code::BAD_CONDITION, "a `(` is not closed"));
            }
            return Ok(inner);
        }
        if self.peek().is_some_and(|next| next.eq_ignore_ascii_case("of")) {
            self.at += 1;
            return self.quantified(token);
        }
        if [")", "|"].contains(&token) || ["and", "or", "of"].iter().any(|word| token.eq_ignore_ascii_case(word)) {
            let message = format!("`{token}` stands where a selection should be");
            return Err(Problem::new(code::BAD_CONDITION, message));
        }
        match self.names.iter().position(|name| *name == token) {
            Some(at) => Ok(Condition::Selection(at)),
            None => Err(
                Problem::new(code::UNKNOWN_SELECTION, format!("there is no selection `{token}`")).help(self.known()),
            ),
        }
    }

    fn quantified(&mut self, quantifier: &str) -> Result<Condition, Problem> {
        let all = match quantifier.to_ascii_lowercase().as_str() {
            "all" => true,
            "1" | "any" => false,
            other => {
                return Err(
                    Problem::new(code::BAD_CONDITION, format!("`{other} of` is not part of Sigma"))
                        .help("`1 of` and `all of` are"),
                );
            }
        };
        let Some(pattern) = self.peek() else {
            return Err(Problem::new(
                code::BAD_CONDITION,
                "`of` needs a pattern or `them` after it",
            ));
        };
        self.at += 1;
        let them = pattern.eq_ignore_ascii_case("them");
        let parts: Vec<_> = (0..self.names.len())
            .filter(|&at| {
                if them {
                    !self.names[at].starts_with('_')
                } else {
                    glob(pattern, self.names[at])
                }
            })
            .map(Condition::Selection)
            .collect();
        if parts.is_empty() {
            let message = format!("no selection has a name like `{pattern}`");
            return Err(Problem::new(code::UNKNOWN_SELECTION, message).help(self.known()));
        }
        Ok(single_or(parts, if all { Condition::All } else { Condition::Any }))
    }

    fn known(&self) -> String {
        match self.names {
            [] => "the rule has no selections".to_owned(),
            names => format!("the selections are {}", names.join(", ")),
        }
    }
}

fn single_or(mut parts: Vec<Condition>, join: impl FnOnce(Vec<Condition>) -> Condition) -> Condition {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}

/// Whether `name` matches a pattern in which `*` is any run of characters.
fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["selection", "sel_a", "sel_b", "filter_x", "_hidden"];

    fn show(condition: &Condition) -> String {
        let join = |parts: &[Condition], word: &str| {
            format!(
                "({})",
                parts.iter().map(show).collect::<Vec<_>>().join(&format!(" {word} "))
            )
        };
        match condition {
            Condition::Selection(at) => NAMES[*at].to_owned(),
            Condition::All(parts) => join(parts, "and"),
            Condition::Any(parts) => join(parts, "or"),
            Condition::Not(part) => format!("not {}", show(part)),
        }
    }

    #[test]
    fn conditions_are_read_by_precedence() {
        let check = |text: &str, want: &str| {
            let mut findings = Vec::new();
            let condition = parse(text, NAMES, Mark::START, &mut Report::new("f", &mut findings));
            let got = condition.as_ref().map(show).unwrap_or_else(|| findings[0].to_string());
            assert!(got.contains(want), "{text}: {got}");
        };
        check("selection", "selection");
        check("sel_a or sel_b and not filter_x", "(sel_a or (sel_b and not filter_x))");
        check(
            "(sel_a OR sel_b) AND NOT filter_x",
            "((sel_a or sel_b) and not filter_x)",
        );
        check("not not sel_a", "not not sel_a");
        check("1 of sel_*", "(sel_a or sel_b)");
        check("all of s*_b", "sel_b");
        check("all of them", "(selection and sel_a and sel_b and filter_x)");
        check("1 of _*", "_hidden");
        check("selection and not 1 of filter_*", "(selection and not filter_x)");
        check("any of sel*a", "sel_a");
        check("", "ends where a selection should follow");
        check("sel_a sel_b", "`sel_b` is not expected here");
        check("nope", "there is no selection `nope`");
        check("1 of nope*", "no selection has a name like");
        check("2 of sel_*", "`2 of` is not part of Sigma");
        check("(sel_a", "a `(` is not closed");
        check("sel_a)", "`)` is not expected");
        check("and", "stands where a selection should be");
        check("selection | count() > 5", "old Sigma versions");
        check(&"(".repeat(1000), "nested more than");
        check(&"not ".repeat(1000), "nested more than");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(sel_a|not|and|or|\\(|\\)|1 of|all of|them|sel\\*| |\\PC){0,40}") {
            let mut findings = Vec::new();
            let read = parse(&text, NAMES, Mark::START, &mut Report::new("f", &mut findings));
            proptest::prop_assert_eq!(read.is_none(), findings.len() == 1);
        }
    }
}
