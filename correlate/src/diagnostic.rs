//! What the loader has to say about a rule file: where, what, and what to do.

use std::fmt;

use crate::limits::MAX_SPELLED_BYTES;

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The rule cannot be used.
    Error,
    /// The rule works, but probably not as meant, or not as well as it could.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A place in a rule file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Mark {
    /// The beginning of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// One finding about a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the rule can be used.
    pub severity: Severity,
    /// A stable word for the kind of finding, explained in `docs/rules/lints.md`.
    pub code: &'static str,
    /// The file, as it was named to the loader.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it; empty where the message says it all.
    pub help: String,
}

impl fmt::Display for Diagnostic {
    /// `file:line:column: severity[code]: message`, and the help on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}[{}]: {}",
            self.file, self.line, self.column, self.severity, self.code, self.message
        )?;
        if self.help.is_empty() {
            Ok(())
        } else {
            write!(f, "\n  help: {}", self.help)
        }
    }
}

/// Declares every code with its severity and one line about it, so that none is used without being documented.
macro_rules! codes {
    ($($name:ident $code:literal $severity:ident $summary:literal;)*) => {
        /// The codes that this crate uses.
        pub(crate) mod code {
            use super::{Code, Severity};
            $(#[doc = $summary] pub(crate) const $name: Code = Code { code: $code, severity: Severity::$severity };)*
        }

        /// Every code with its severity and one line about it, as `docs/rules/lints.md` lists them.
        pub const LINTS: &[(&str, Severity, &str)] = &[$(($code, Severity::$severity, $summary),)*];
    };
}

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) code: &'static str,
    pub(crate) severity: Severity,
}

codes! {
    YAML_SYNTAX "yaml-syntax" Error "the file is not YAML";
    YAML_LIMIT "yaml-limit" Error "the file is too large, too deep or has too many nodes";
    YAML_DUPLICATE_KEY "yaml-duplicate-key" Error "a mapping has a key twice: YAML would keep only one of the values";
    BAD_SHAPE "bad-shape" Error "a key has a value of the wrong kind, such as a list where a text belongs";
    NOT_A_RULE "not-a-rule" Error "the document is neither a detection nor a correlation rule";
    MISSING_KEY "missing-key" Error "a key that every rule of its kind needs is absent";
    UNSUPPORTED "unsupported" Error "a part of Sigma that is not supported yet";
    DUPLICATE_ID "duplicate-id" Error "two rules have the same id";
    DUPLICATE_NAME "duplicate-name" Error "two rules have the same name";
    BAD_VALUE "bad-value" Error "a value that its key or modifier cannot take";
    UNKNOWN_MODIFIER "unknown-modifier" Error "a field modifier that Sigma does not have";
    UNKNOWN_PLACEHOLDER "unknown-placeholder" Error "a placeholder that no mapping document gives values";
    MODIFIER_CONFLICT "modifier-conflict" Error "field modifiers that do not go together, or not in this order";
    BAD_REGEX "bad-regex" Error "a regular expression that does not parse, or uses look-around or back-references";
    REGEX_TOO_LARGE "regex-too-large" Error "a regular expression that takes too much memory when compiled";
    BAD_CONDITION "bad-condition" Error "the condition does not parse";
    UNKNOWN_SELECTION "unknown-selection" Error "the condition names a selection that the rule does not have";
    BAD_TIMESPAN "bad-timespan" Error "a timespan that is not a positive number with s, m, h, d or w";
    UNKNOWN_RULE "unknown-rule" Error "a correlation or filter names a rule that is not in the set";
    BAD_CHAIN "bad-chain" Error "a correlation of correlations that builds on itself, too deep, or on a field their alerts lack";
    BAD_ALIAS "bad-alias" Error "an alias that does not cover the rules of its correlation, or covers others";
    UNKNOWN_EXTENSION_KEY "unknown-extension-key" Error "a key under `casebook:` that does not exist";
    BAD_TEST "bad-test" Error "a test of a rule that cannot be run";
    TOO_MANY "too-many" Error "more values, members, tests, rules or filters than the limit";
    UNKNOWN_KEY "unknown-key" Warning "a key that Sigma does not have: probably a misspelling";
    MISSING_ID "missing-id" Warning "the rule has no id: its alerts change identity when its name or title does";
    MISSING_LEVEL "missing-level" Warning "the rule has no level: its alerts count as medium";
    MISSING_TAGS "missing-tags" Warning "the rule has no tags: its alerts map to no ATT&CK technique";
    MISSING_TESTS "missing-tests" Warning "the rule has no tests under `casebook:`";
    BAD_STATUS "bad-status" Warning "a status that Sigma does not have";
    UNUSED_SELECTION "unused-selection" Warning "a selection that the condition never looks at";
    ALWAYS_TRUE "always-true" Warning "the rule matches every event of its logsource, or the condition holds of any count";
    NEVER_TRUE "never-true" Warning "the condition can hold of no event or count: the rule never fires";
    INVERTED_FILTER "inverted-filter" Warning "a filter whose condition has no `not`: it keeps what it names, and leaves out the rest";
    UNUSED_FILTER "unused-filter" Warning "a filter that does not narrow a rule that it names, or none at all";
    UNKNOWN_FIELD "unknown-field" Warning "no event of the rule's logsource has a field by that name";
    BROAD_RULE "broad-rule" Warning "the rule asks so little that it matches most events of its logsource";
    NESTED_REPETITION "nested-repetition" Warning "a regular expression that engines which backtrack may take forever over";
    ALL_OF_ONE "all-of-one" Warning "`all` on a single value does nothing";
    NULL_IN_LIST "null-in-list" Warning "`null` among other values: Sigma wants a selection of its own for it";
    CLUSTERS_APART "clusters-apart" Warning "a correlation of a cloud's log and of a cluster's, whose events do not meet where clusters are named";
    NO_SOURCE "no-source" Warning "no source has this logsource: the rule never fires";
}

/// Collects the findings about one file.
pub(crate) struct Report<'a> {
    file: &'a str,
    findings: &'a mut Vec<Diagnostic>,
    errors: usize,
    /// Bytes of the texts that were made of values so far.
    spelled_bytes: usize,
}

impl<'a> Report<'a> {
    pub(crate) fn new(file: &'a str, findings: &'a mut Vec<Diagnostic>) -> Self {
        Self {
            file,
            findings,
            errors: 0,
            spelled_bytes: 0,
        }
    }

    /// Counts texts that were made of a value; whether there are no more of them than allowed.
    pub(crate) fn spell(&mut self, bytes: usize) -> bool {
        self.spelled_bytes = self.spelled_bytes.saturating_add(bytes);
        self.spelled_bytes <= MAX_SPELLED_BYTES
    }

    /// Adds a finding.
    pub(crate) fn add(&mut self, code: Code, mark: Mark, message: impl Into<String>) {
        self.push(code, mark, message.into(), String::new());
    }

    /// Adds a finding that says what to do.
    pub(crate) fn add_help(&mut self, code: Code, mark: Mark, message: impl Into<String>, help: impl Into<String>) {
        self.push(code, mark, message.into(), help.into());
    }

    fn push(&mut self, code: Code, mark: Mark, message: String, help: String) {
        self.errors += usize::from(code.severity == Severity::Error);
        self.findings.push(Diagnostic {
            severity: code.severity,
            code: code.code,
            file: self.file.to_owned(),
            line: mark.line,
            column: mark.column,
            message,
            help,
        });
    }

    /// How many errors were added so far; a part that adds none is usable.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rules/lints.md");
        let text = std::fs::read_to_string(path).unwrap();
        for (code, severity, summary) in LINTS {
            let heading = format!("### {code} ({severity:?})");
            assert!(text.contains(&heading), "{path} lacks `{heading}`: {summary}");
        }
    }
}
