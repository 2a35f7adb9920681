//! Tokens into a query.
//!
//! ```text
//! query  = all ("OR" all)*                        all  = some (["AND"] some)*
//! some   = ("NOT" | "-" | "!" | "+") some | one   one  = "(" query ")" | [field ":"] value | field ":(" values ")"
//! ```

use casebook_event::{FieldId, ip_address};
use compact_str::CompactString;
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};

use super::ast::{Query, Target, TextTest, ValueTest};
use super::field::{Named, resolve};
use super::lexer::{Spanned, Token, Word, tokens};
use super::range::{Bound, Range, parse_time};
use super::wildcard::{Piece, Wildcard};
use crate::QueryError;
use crate::data_file::Column;
use crate::index::is_prose;
use crate::index::tokenizer::fold;
use crate::limits::{
    MAX_QUERY_BYTES, MAX_QUERY_DEPTH, MAX_QUERY_EXPRESSIONS, MAX_QUERY_TERMS, MAX_REGEX_BYTES, MAX_REGEX_DEPTH,
};

/// Parses a query. An empty one, and `*`, mean every event.
///
/// # Errors
/// What is not understood, and where.
pub(crate) fn parse(text: &str) -> Result<Query, QueryError> {
    if text.len() > MAX_QUERY_BYTES {
        let at = text.floor_char_boundary(MAX_QUERY_BYTES);
        return Err(QueryError::new(
            at,
            format!("a query has at most {MAX_QUERY_BYTES} bytes"),
        ));
    }
    let tokens = tokens(text)?;
    check_terms(&tokens)?;
    if tokens.is_empty() {
        return Ok(Query::All);
    }
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        end: text.len(),
        depth: 0,
    };
    let query = parser.any(None)?;
    match parser.peek() {
        None => Ok(query),
        Some(_) => Err(parser.error("this parenthesis has no partner")),
    }
}

/// Whether there are no more terms, and expressions among them, than allowed. Operators, parentheses and names are none.
fn check_terms(tokens: &[Spanned]) -> Result<(), QueryError> {
    let is_term = |token: &Token| match token {
        Token::Word(_) | Token::Phrase(_) | Token::Regex(_) | Token::Compare { .. } | Token::Range { .. } => true,
        Token::Open | Token::Close | Token::And | Token::Or | Token::Not | Token::Plus | Token::Field(_) => false,
    };
    let check = |most: usize, what: &str, counts: &dyn Fn(&Token) -> bool| match tokens
        .iter()
        .filter(|(_, token)| counts(token))
        .nth(most)
    {
        None => Ok(()),
        Some((offset, _)) => Err(QueryError::new(*offset, format!("a query has at most {most} {what}"))),
    };
    check(MAX_QUERY_TERMS, "terms", &is_term)?;
    let is_regex = |token: &Token| matches!(token, Token::Regex(_));
    check(MAX_QUERY_EXPRESSIONS, "regular expressions", &is_regex)
}

struct Parser<'a> {
    tokens: &'a [Spanned],
    at: usize,
    end: usize,
    depth: usize,
}

/// The field that values stand for inside of `field:( … )`.
type Field<'f> = Option<&'f (CompactString, Option<Meaning>)>;

/// What a known field name stands for.
#[derive(Debug, Clone)]
enum Meaning {
    Time,
    Columns(Target),
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |(offset, _)| *offset)
    }

    fn error(&self, message: &str) -> QueryError {
        QueryError::new(self.offset(), message)
    }

    fn any(&mut self, field: Field<'_>) -> Result<Query, QueryError> {
        let mut parts = vec![self.all(field)?];
        while self.peek() == Some(&Token::Or) {
            self.at += 1;
            parts.push(self.all(field)?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Query::Or(parts)
        })
    }

    fn all(&mut self, field: Field<'_>) -> Result<Query, QueryError> {
        let mut parts = vec![self.some(field)?];
        loop {
            match self.peek() {
                None | Some(Token::Or | Token::Close) => break,
                Some(Token::And) => {
                    self.at += 1;
                    parts.push(self.some(field)?);
                }
                Some(_) => parts.push(self.some(field)?),
            }
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Query::And(parts)
        })
    }

    fn some(&mut self, field: Field<'_>) -> Result<Query, QueryError> {
        self.depth += 1;
        if self.depth > MAX_QUERY_DEPTH {
            return Err(self.error(&format!("a query is at most {MAX_QUERY_DEPTH} levels deep")));
        }
        let query = match self.peek() {
            Some(Token::Not) => {
                self.at += 1;
                Query::Not(Box::new(self.some(field)?))
            }
            Some(Token::Plus) => {
                self.at += 1;
                self.some(field)?
            }
            _ => self.one(field)?,
        };
        self.depth -= 1;
        Ok(query)
    }

    fn one(&mut self, field: Field<'_>) -> Result<Query, QueryError> {
        let offset = self.offset();
        let Some(token) = self.peek() else {
            return Err(self.error("a term is expected here"));
        };
        match token {
            Token::Open => self.group(field),
            Token::Field(name) => {
                if field.is_some() {
                    return Err(self.error("a field within the values of another field"));
                }
                self.at += 1;
                let meaning = match resolve(name) {
                    Named::Time => Some(Meaning::Time),
                    Named::Columns(target) => Some(Meaning::Columns(target)),
                    Named::Unknown => None,
                };
                let field = (CompactString::from(name.as_str()), meaning);
                match self.peek() {
                    Some(Token::Open) => self.group(Some(&field)),
                    Some(Token::Field(_)) | None => Err(self.error("a value is expected after the colon")),
                    Some(value) => {
                        let at = self.offset();
                        self.at += 1;
                        field_query(&field, value, at)
                    }
                }
            }
            Token::And | Token::Or => Err(self.error("a term is expected before this operator")),
            Token::Close => Err(self.error("a term is expected before this parenthesis")),
            value => {
                self.at += 1;
                match field {
                    Some(field) => field_query(field, value, offset),
                    None => text_query(value, offset),
                }
            }
        }
    }

    fn group(&mut self, field: Field<'_>) -> Result<Query, QueryError> {
        let open = self.offset();
        self.at += 1;
        let query = self.any(field)?;
        if self.peek() != Some(&Token::Close) {
            return Err(QueryError::new(open, "this parenthesis has no partner"));
        }
        self.at += 1;
        Ok(query)
    }
}

fn folded(text: &str) -> String {
    fold(text).into_owned()
}

fn wildcard(word: &Word, offset: usize) -> Result<Wildcard, QueryError> {
    let pieces = word
        .pieces
        .iter()
        .map(|piece| match piece {
            Piece::Literal(text) => Piece::Literal(folded(text)),
            other => other.clone(),
        })
        .collect();
    Wildcard::new(pieces).map_err(|error| QueryError::new(offset, error))
}

fn regex(pattern: &str, offset: usize) -> Result<Regex, QueryError> {
    RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(MAX_REGEX_BYTES)
        .dfa_size_limit(MAX_REGEX_BYTES)
        .nest_limit(MAX_REGEX_DEPTH)
        .build()
        .map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            QueryError::new(offset, format!("regular expression: {reason}"))
        })
}

/// A value without a field: looked for in the text of the record.
fn text_query(value: &Token, offset: usize) -> Result<Query, QueryError> {
    Ok(match value {
        Token::Word(word) if word.pieces == [Piece::Any] => Query::All,
        Token::Word(word) if word.is_pattern() => Query::Text(TextTest::Wildcard(wildcard(word, offset)?)),
        Token::Word(word) => Query::Text(TextTest::Phrase(folded(&word.text))),
        Token::Phrase(text) => Query::Text(TextTest::Phrase(folded(text))),
        Token::Regex(pattern) => Query::Text(TextTest::Regex(regex(pattern, offset)?)),
        _ => {
            return Err(QueryError::new(
                offset,
                "a comparison needs a field, as in status:>=400",
            ));
        }
    })
}

fn field_query(field: &(CompactString, Option<Meaning>), value: &Token, offset: usize) -> Result<Query, QueryError> {
    match &field.1 {
        Some(Meaning::Time) => time_query(value, offset),
        Some(Meaning::Columns(target)) => {
            let (Target::First(columns) | Target::Any(columns)) = target else {
                return Err(QueryError::new(offset, "this field has no column"));
            };
            let prose = columns
                .iter()
                .all(|column| matches!(column, Column::Field(id) if is_prose(*id)));
            let test = value_test(value, prose, offset)?;
            // An address may be written in more than one way; logs use one.
            let address = match &test {
                ValueTest::Equals(text) if text.contains(':') && columns.iter().all(|column| is_address(*column)) => {
                    ip_address(text)
                        .map(|ip| ip.to_canonical().to_string())
                        .filter(|canonical| canonical != text)
                }
                _ => None,
            };
            let asked = Query::Field(target.clone(), test);
            Ok(match address {
                Some(canonical) => Query::Or(vec![asked, Query::Field(target.clone(), ValueTest::Equals(canonical))]),
                None => asked,
            })
        }
        None => {
            let native = Query::Field(Target::Native(field.0.to_string()), value_test(value, false, offset)?);
            // The name may be no field at all: `nginx:1.25` is looked for as it stands, too.
            Ok(match value {
                Token::Word(word) if !word.is_pattern() => {
                    let text = folded(&format!("{}:{}", field.0, word.text));
                    Query::Or(vec![native, Query::Text(TextTest::Phrase(text))])
                }
                _ => native,
            })
        }
    }
}

/// Whether a column holds addresses.
fn is_address(column: Column) -> bool {
    use FieldId::{ClaimedIps, DestinationIp, HostIp, KubernetesPodIp, RelatedIps, SourceIp};
    matches!(
        column,
        Column::Field(SourceIp | DestinationIp | HostIp | KubernetesPodIp | RelatedIps | ClaimedIps)
    )
}

fn value_test(value: &Token, prose: bool, offset: usize) -> Result<ValueTest, QueryError> {
    Ok(match value {
        Token::Word(word) if word.pieces == [Piece::Any] => ValueTest::Exists,
        Token::Word(word) if word.is_pattern() => ValueTest::Wildcard(wildcard(word, offset)?),
        Token::Word(word) => {
            let text = folded(&word.text);
            match text.parse::<IpNet>() {
                Ok(network) if text.contains('/') => ValueTest::Network(network, text),
                _ if prose => ValueTest::Phrase(text),
                _ => ValueTest::Equals(text),
            }
        }
        Token::Phrase(text) if prose => ValueTest::Phrase(folded(text)),
        Token::Phrase(text) => ValueTest::Equals(folded(text)),
        Token::Regex(pattern) => ValueTest::Regex(regex(pattern, offset)?),
        Token::Compare { .. } | Token::Range { .. } => ValueTest::Range(range(value)),
        _ => return Err(QueryError::new(offset, "a value is expected here")),
    })
}

fn range(value: &Token) -> Range {
    match value {
        Token::Compare { less, inclusive, value } => {
            let bound = Some(Bound {
                text: folded(value),
                inclusive: *inclusive,
            });
            if *less {
                Range::new(None, bound)
            } else {
                Range::new(bound, None)
            }
        }
        Token::Range {
            low,
            low_inclusive,
            high,
            high_inclusive,
        } => {
            let bound = |text: &Option<String>, inclusive: bool| {
                text.as_ref().map(|text| Bound {
                    text: folded(text),
                    inclusive,
                })
            };
            Range::new(bound(low, *low_inclusive), bound(high, *high_inclusive))
        }
        _ => Range::new(None, None),
    }
}

fn time_query(value: &Token, offset: usize) -> Result<Query, QueryError> {
    let no_time = |text: &str| {
        QueryError::new(
            offset,
            format!("`{text}` is no time; write 2024-05-01 or 2024-05-01T10:00:00Z"),
        )
    };
    match value {
        Token::Compare { .. } | Token::Range { .. } => {
            let (from, to) = range(value).times().map_err(|text| no_time(&text))?;
            Ok(Query::Time(from, to))
        }
        Token::Word(word) if word.pieces == [Piece::Any] => Ok(Query::All),
        Token::Word(Word { text, .. }) | Token::Phrase(text) => {
            let from = parse_time(text).ok_or_else(|| no_time(text))?;
            // A date means its whole day.
            let whole_day = text.len() == 10;
            let nanos = if whole_day { 86_400_000_000_000 } else { 1 };
            Ok(Query::Time(Some(from), Some(from.saturating_add_nanos(nanos))))
        }
        _ => Err(QueryError::new(
            offset,
            "time takes a time or a range: time:>=2024-05-01T10:00:00Z",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(query: &Query) -> String {
        let list = |parts: &[Query]| parts.iter().map(show).collect::<Vec<_>>().join(" ");
        match query {
            Query::All => "*".into(),
            Query::And(parts) => format!("(and {})", list(parts)),
            Query::Or(parts) => format!("(or {})", list(parts)),
            Query::Not(part) => format!("(not {})", show(part)),
            Query::Text(TextTest::Phrase(phrase)) => format!("'{phrase}'"),
            Query::Text(TextTest::Wildcard(wildcard)) => format!("~{:?}", wildcard.pieces().len()),
            Query::Text(TextTest::Regex(regex)) => format!("/{regex}/"),
            Query::Field(target, test) => {
                let name = match target {
                    Target::First(columns) => format!("{columns:?}"),
                    Target::Any(columns) => format!("any{columns:?}"),
                    Target::Native(path) => path.clone(),
                };
                let test = match test {
                    ValueTest::Exists => "exists".into(),
                    ValueTest::Equals(text) => format!("={text}"),
                    ValueTest::Phrase(text) => format!("has {text}"),
                    ValueTest::Wildcard(wildcard) => format!("~{}", wildcard.prefix()),
                    ValueTest::Regex(regex) => format!("/{regex}/"),
                    ValueTest::Range(_) => "range".into(),
                    ValueTest::Network(network, _) => format!("in {network}"),
                };
                format!("{}{test}", name.replace("Field(", "").replace(")]", "]"))
            }
            Query::Time(from, to) => {
                let time = |t: &Option<casebook_event::Timestamp>| t.map_or("*".into(), |t| t.to_string());
                format!("time {}..{}", time(from), time(to))
            }
        }
    }

    #[test]
    fn queries() {
        let check = |text: &str, want: &str| {
            let got = parse(text).map_or_else(|error| error.to_string(), |query| show(&query));
            assert_eq!(got, want, "{text}");
        };
        check("", "*");
        check("*", "*");
        check("Curl", "'curl'");
        check("a b OR c", "(or (and 'a' 'b') 'c')");
        check("a AND (b OR NOT c)", "(and 'a' (or 'b' (not 'c')))");
        check("a -b !c +d", "(and 'a' (not 'b') (not 'c') 'd')");
        check("a - b", "(and 'a' '-' 'b')");
        check(r#""curl http" -"x y""#, "(and 'curl http' (not 'x y'))");
        check("user.name:Alice", "[UserName]=alice");
        check(
            "verb:exec AND namespace:prod",
            "(and any[EventAction]=exec any[OrchestratorNamespace]=prod)",
        );
        check(
            "verb:(get OR -list)",
            "(or any[EventAction]=get (not any[EventAction]=list))",
        );
        check("Image:/bin/sh", "[ProcessExecutable), ProcessName]=/bin/sh");
        check("message:failed", "[Message]has failed");
        check("source.ip:fe80\\:\\:1", "[SourceIp]=fe80::1");
        check("claimed_ip:10.0.0.1", "any[ClaimedIps]=10.0.0.1");
        check(
            "source.ip:FE80:0::1%eth0",
            "(or [SourceIp]=fe80:0::1%eth0 [SourceIp]=fe80::1)",
        );
        check("user:*", "any[UserName]exists");
        check("user:sys*", "any[UserName]~sys");
        check(r"user:a\*b", "any[UserName]=a*b");
        check("source.ip:10.0.0.0/8", "[SourceIp]in 10.0.0.0/8");
        check("status:>=400", "any[HttpResponseStatusCode]range");
        check("status:[400 TO 499}", "any[HttpResponseStatusCode]range");
        check("/fail(ed|ure)/", "/fail(ed|ure)/");
        check("/usr/bin/curl", "'/usr/bin/curl'");
        check(r"user:/^a\/b$/", "any[UserName]/^a/b$/");
        check(
            "objectRef.resource:pods",
            "(or objectRef.resource=pods 'objectref.resource:pods')",
        );
        check("system:serviceaccount:prod:app", "'system:serviceaccount:prod:app'");
        check("https://x.example/y?z", "~3");
        check("fe80::1", "'fe80::1'");
        check("12:30", "'12:30'");
        check("time:2024-05-01", "time 2024-05-01T00:00:00Z..2024-05-02T00:00:00Z");
        check(
            "@timestamp:>2024-05-01T00:00:00Z",
            "time 2024-05-01T00:00:00.000000001Z..*",
        );
        check("source:auth", "[Source]=auth");
    }

    #[test]
    fn errors_point_at_the_character() {
        let check = |text: &str, offset: usize, part: &str| {
            let error = parse(text).expect_err(text);
            assert_eq!(error.offset, offset, "{text}: {error}");
            assert!(error.message.contains(part), "{text}: {error}");
        };
        check(r#"a "b"#, 2, "partner");
        check("a (b", 2, "partner");
        check("a) b", 1, "partner");
        check("a AND", 5, "expected");
        check("OR a", 0, "before this operator");
        check("user: x", 5, "right after");
        check("user:", 5, "value");
        check("user:(a b:c)", 8, "within");
        check("status:>", 8, "value");
        check("status:[1 2]", 7, "a TO b");
        check("user:/a(/", 5, "regular expression");
        check("time:soon", 5, "no time");
        check(r"a\", 1, "backslash");
        check(&"(".repeat(100), 64, "levels");
        check(&"x".repeat(9000), 8192, "bytes");
        check("user:/(a{1000}){1000}/", 5, "regular expression");
    }

    #[test]
    fn terms_are_counted_and_operators_are_not() {
        let terms = |n: usize, between: &str| vec!["a"; n].join(between);
        for between in [" ", " OR ", " AND ", " -", " +"] {
            assert!(parse(&terms(MAX_QUERY_TERMS, between)).is_ok(), "{between}");
            let error = parse(&terms(MAX_QUERY_TERMS + 1, between)).unwrap_err();
            assert!(error.message.contains("1024 terms"), "{error}");
        }
        assert!(parse(&format!("verb:({})", terms(MAX_QUERY_TERMS, " OR "))).is_ok());
        let field = |n: usize| (0..n).map(|n| format!("pid:{n}")).collect::<Vec<_>>().join(" ");
        assert!(parse(&field(800)).is_ok());
        let expressions = |n: usize| vec!["/a+/"; n].join(" OR ");
        assert!(parse(&expressions(MAX_QUERY_EXPRESSIONS)).is_ok());
        let error = parse(&expressions(MAX_QUERY_EXPRESSIONS + 1)).unwrap_err();
        assert!(error.message.contains("64 regular expressions"), "{error}");
    }

    #[test]
    fn nesting_is_refused_beyond_its_bound_whatever_nests() {
        let deep = |open: &str, close: &str, n: usize| format!("{}a{}", open.repeat(n), close.repeat(n));
        for (open, close) in [("(", ")"), ("NOT ", ""), ("-", ""), ("+(", ")"), ("NOT (", ")")] {
            let levels = if open.len() > 1 && close == ")" { 2 } else { 1 };
            assert!(
                parse(&deep(open, close, (MAX_QUERY_DEPTH - 1) / levels)).is_ok(),
                "{open}"
            );
            let error = parse(&deep(open, close, 1_000)).unwrap_err();
            assert!(error.message.contains("64 levels deep"), "{open}: {error}");
        }
        let error = parse(&format!("/{}a{}/", "(".repeat(500), ")".repeat(500))).unwrap_err();
        assert!(error.message.contains("regular expression"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_at_a_character(text in "\\PC{0,60}") {
            if let Err(error) = parse(&text) {
                proptest::prop_assert!(text.is_char_boundary(error.offset));
            }
        }

        #[test]
        fn any_syntax_is_parsed_or_refused(text in r#"([a-c:()\[\]{}"/*?<>=!+\\-]| |AND|OR|NOT|user:| TO ){0,20}"#) {
            let _ = parse(&text);
        }
    }
}
