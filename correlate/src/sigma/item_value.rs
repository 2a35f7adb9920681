//! One value of a field, with what the modifiers make of it → the tests that an event must pass.

use regex::RegexBuilder;

use super::backtracking::is_catastrophic;
use super::date::DatePart;
use super::encoding;
use super::modifier::{Comparison, Encoding, Key};
use super::pattern::Pattern;
use super::value::{Expression, Number, Order, Relation, Test};
use super::yaml::{Data, Node};
use crate::diagnostic::{Mark, Report, code};
use crate::limits::{
    MAX_REGEX_COMPILED_BYTES, MAX_REGEX_DEPTH, MAX_SPELLED_BYTES, MAX_VALUE_BYTES, MAX_WILDCARD_RUN_CHARS,
    MAX_WINDASH_VARIANTS,
};

/// The spellings of one value; `None` if it is an error.
pub(super) fn value(key: &Key<'_>, node: &Node, report: &mut Report<'_>) -> Option<Vec<Test>> {
    let text = node.scalar_text();
    if text.is_some_and(|text| text.len() > MAX_VALUE_BYTES) {
        report.add(
            code::BAD_VALUE,
            node.mark,
            format!("the value is longer than {MAX_VALUE_BYTES} bytes"),
        );
        return None;
    }
    let test = match (key.comparison, &node.data) {
        (Comparison::Exists, Data::Bool(flag)) => Test::Exists(*flag),
        (Comparison::Exists, _) => return bad(node, report, "`exists` takes true or false"),
        (Comparison::Plain(Relation::Equals), Data::Null) if key.field.is_some() && key.encodings.is_empty() => {
            Test::Null
        }
        (_, Data::Null | Data::Seq(_) | Data::Map(_)) => return bad(node, report, "a text or a number belongs here"),
        (Comparison::Number(order), _) => number(key.date_part, order, node, report)?,
        (Comparison::Cidr, _) => network(text.unwrap_or_default(), node.mark, report)?,
        (
            Comparison::Regex {
                insensitive,
                multi_line,
                dot_all,
            },
            _,
        ) => {
            let flags = [(insensitive, 'i'), (multi_line, 'm'), (dot_all, 's')];
            return compile(text?, flags, node.mark, report).map(|test| vec![Test::Regex(test)]);
        }
        (Comparison::Plain(relation), _) if key.field_reference => Test::Field {
            name: text?.to_owned(),
            relation,
            cased: key.cased,
        },
        (Comparison::Plain(Relation::Equals), Data::Number(text))
            if key.field.is_some() && key.encodings.is_empty() =>
        {
            match Number::parse(text) {
                Some(number) => Test::Number(number),
                None => Test::Text {
                    pattern: Pattern::literal(text),
                    cased: key.cased,
                },
            }
        }
        (Comparison::Plain(relation), _) => {
            let relation = if key.field.is_none() {
                Relation::Contains
            } else {
                relation
            };
            return texts(key, text?, relation, node.mark, report);
        }
    };
    Some(vec![test])
}

fn bad<T>(node: &Node, report: &mut Report<'_>, wanted: &str) -> Option<T> {
    report.add(code::BAD_VALUE, node.mark, format!("{wanted}, not {}", node.kind()));
    None
}

/// A number to compare with, or with the part of a date.
fn number(part: Option<DatePart>, order: Option<Order>, node: &Node, report: &mut Report<'_>) -> Option<Test> {
    let text = node.scalar_text();
    let Some(part) = part else {
        return match (order, text.and_then(Number::parse)) {
            (Some(order), Some(than)) => Some(Test::Compare { order, than }),
            (None, Some(number)) => Some(Test::Number(number)),
            (_, None) => bad(node, report, "a number belongs here"),
        };
    };
    let Some(than) = text.and_then(|text| text.parse().ok()) else {
        return bad(node, report, "a whole number belongs here");
    };
    if !part.range().contains(&than) {
        let (least, most) = part.range().into_inner();
        let message = format!("`{}` is between {least} and {most}", part.name());
        report.add(code::BAD_VALUE, node.mark, message);
        return None;
    }
    Some(Test::Date { part, order, than })
}

fn network(text: &str, mark: Mark, report: &mut Report<'_>) -> Option<Test> {
    let found = parse_network(text);
    if found.is_none() {
        let message = format!("`{text}` is no network such as 10.0.0.0/8 or fe80::/10");
        report.add(code::BAD_VALUE, mark, message);
    }
    found.map(Test::Cidr)
}

fn parse_network(text: &str) -> Option<ipnet::IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from))
}

/// A text with its encodings, checked.
fn texts(key: &Key<'_>, text: &str, relation: Relation, mark: Mark, report: &mut Report<'_>) -> Option<Vec<Test>> {
    let front = matches!(relation, Relation::EndsWith | Relation::Contains);
    let end = matches!(relation, Relation::StartsWith | Relation::Contains);
    let test = |pattern: Pattern| Test::Text {
        pattern: pattern.open(front, end),
        cased: key.cased,
    };
    let patterns = encoded(key, text, mark, report)?;
    if patterns.iter().any(|p| p.longest_open_run() > MAX_WILDCARD_RUN_CHARS) {
        let message = format!("more than {MAX_WILDCARD_RUN_CHARS} characters with a `?` among them and no `*`");
        report.add(code::BAD_VALUE, mark, message);
        return None;
    }
    let spelled: usize = patterns.iter().map(Pattern::text_bytes).sum();
    if !key.encodings.is_empty() && !report.spell(spelled) {
        let message = format!("the modifiers make more than {MAX_SPELLED_BYTES} bytes of the values of this rule");
        report.add(code::TOO_MANY, mark, message);
        return None;
    }
    Some(patterns.into_iter().map(test).collect())
}

/// The patterns that the encodings of a key make of a text, one after another.
fn encoded(key: &Key<'_>, text: &str, mark: Mark, report: &mut Report<'_>) -> Option<Vec<Pattern>> {
    let mut patterns = vec![Pattern::parse(text)];
    let mut bytes: Option<Vec<u8>> = None;
    for encoding in &key.encodings {
        if *encoding == Encoding::Windash {
            patterns = windash(&patterns, mark, report)?;
            continue;
        }
        let [pattern] = patterns.as_slice() else {
            report.add(
                code::MODIFIER_CONFLICT,
                mark,
                "nothing can be encoded after `windash` or `base64offset`",
            );
            return None;
        };
        let Some(literal) = pattern.as_literal() else {
            report.add(code::BAD_VALUE, mark, "a value with wildcards cannot be encoded");
            return None;
        };
        let plain = bytes.take().unwrap_or_else(|| literal.as_bytes().to_vec());
        let as_text = |plain: &[u8]| std::str::from_utf8(plain).map(str::to_owned).unwrap_or_default();
        match encoding {
            Encoding::Windash => {}
            Encoding::Utf16Le => bytes = Some(encoding::utf16(&as_text(&plain), true, false)),
            Encoding::Utf16Be => bytes = Some(encoding::utf16(&as_text(&plain), false, false)),
            Encoding::Utf16 => bytes = Some(encoding::utf16(&as_text(&plain), true, true)),
            Encoding::Base64 => patterns = vec![Pattern::literal(&encoding::base64(&plain))],
            Encoding::Base64Offset => {
                patterns = encoding::base64_offsets(&plain)
                    .iter()
                    .map(|text| Pattern::literal(text))
                    .collect();
            }
        }
    }
    if let Some(bytes) = bytes {
        let Ok(text) = String::from_utf8(bytes) else {
            let message = "this value in UTF-16 is no text that a log could hold";
            report.add_help(
                code::BAD_VALUE,
                mark,
                message,
                "encode it further with `base64` or `base64offset`",
            );
            return None;
        };
        patterns = vec![Pattern::literal(&text)];
    }
    Some(patterns)
}

/// The spellings of patterns with each of the dashes that a flag may have.
fn windash(patterns: &[Pattern], mark: Mark, report: &mut Report<'_>) -> Option<Vec<Pattern>> {
    let spelled = patterns
        .iter()
        .map(|p| p.spellings(MAX_WINDASH_VARIANTS, encoding::windash));
    let all = spelled.collect::<Option<Vec<_>>>();
    if all.is_none() {
        let message = format!("`windash` would make more than {MAX_WINDASH_VARIANTS} spellings of the value");
        let help = "split it into several values with `contains|all`";
        report.add_help(code::TOO_MANY, mark, message, help);
    }
    Some(all?.into_iter().flatten().collect())
}

/// A regular expression, with its flags.
fn compile(source: &str, flags: [(bool, char); 3], mark: Mark, report: &mut Report<'_>) -> Option<Expression> {
    let set: String = flags.iter().filter(|(on, _)| *on).map(|(_, flag)| flag).collect();
    let source = if set.is_empty() {
        source.to_owned()
    } else {
        format!("(?{set}){source}")
    };
    let built = RegexBuilder::new(&source)
        .size_limit(MAX_REGEX_COMPILED_BYTES)
        .dfa_size_limit(MAX_REGEX_COMPILED_BYTES)
        .nest_limit(MAX_REGEX_DEPTH)
        .build();
    match built {
        Ok(regex) => {
            if is_catastrophic(&source) {
                let message = "a repetition within a repetition: engines that backtrack may take forever over it";
                let help = "it is fast here; `(a+)+` finds what `a+` finds";
                report.add_help(code::NESTED_REPETITION, mark, message, help);
            }
            Some(Expression { source, regex })
        }
        Err(regex::Error::CompiledTooBig(_)) => {
            let message = format!("the expression takes more than {MAX_REGEX_COMPILED_BYTES} bytes when compiled");
            report.add_help(
                code::REGEX_TOO_LARGE,
                mark,
                message,
                "use smaller repetition counts, or (?-u) for \\w and \\d",
            );
            None
        }
        Err(error) => {
            let error = error.to_string();
            let reason = error
                .lines()
                .next_back()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();
            let help =
                "look-around and back-references are not part of Sigma's expressions: use a filter selection instead";
            report.add_help(
                code::BAD_REGEX,
                mark,
                format!("the expression does not parse: {reason}"),
                help,
            );
            None
        }
    }
}
