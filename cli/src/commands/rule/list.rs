//! `casebook rule list`: the rules of a set, and which of them are meant.

use std::process::ExitCode;

use anyhow::Result;
use casebook_correlate::RuleInfo;
use casebook_event::{Level, Source, Value};

use crate::args::{RuleFilterArgs, RuleListArgs};
use crate::exit_code::{self, usage};
use crate::output::{self, Rows};
use crate::resolve::rules;

pub fn run(args: &RuleListArgs) -> Result<ExitCode> {
    let wanted = Filter::new(&args.filter)?;
    let set = rules::load(&args.paths, true)?;
    let mut rows = Rows::new(&["id", "level", "type", "logsource", "tags", "title", "file"]);
    for rule in set.rules().filter(|rule| wanted.passes(rule)) {
        rows.rows.push(vec![
            Value::str(&*rule.id),
            Value::str(rule.level.name()),
            Value::str(rule.kind.name()),
            Value::str(&rule.logsource),
            Value::from(rule.tags.join(" ")),
            Value::str(&rule.title),
            Value::str(&rule.file),
        ]);
    }
    output::print(&rows, args.output.output)?;
    Ok(exit_code::OK)
}

/// Which rules are meant.
pub struct Filter {
    source: Option<Source>,
    level: Option<Level>,
    tag: Option<String>,
}

impl Filter {
    pub fn new(args: &RuleFilterArgs) -> Result<Self> {
        let source = args.source.as_deref().map(str::parse::<Source>).transpose();
        let level = args.level.as_deref().map(str::parse::<Level>).transpose();
        Ok(Self {
            source: source.map_err(|error| usage(format!("--source: {error}")))?,
            level: level.map_err(|error| usage(format!("--level: {error}")))?,
            tag: args.tag.as_ref().map(|tag| tag.to_lowercase()),
        })
    }

    pub fn passes(&self, rule: &RuleInfo) -> bool {
        self.source.is_none_or(|source| rule.sources.contains(&source))
            && self.level.is_none_or(|level| rule.level >= level)
            && self
                .tag
                .as_deref()
                .is_none_or(|tag| rule.tags.iter().any(|found| is_below(&found.to_lowercase(), tag)))
    }
}

/// Whether a tag is `wanted` or below it: `attack.t1098.006` is below `attack.t1098` and `t1098`.
fn is_below(tag: &str, wanted: &str) -> bool {
    let within = |tag: &str| {
        tag.strip_prefix(wanted)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    within(tag) || tag.split_once('.').is_some_and(|(_, rest)| within(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_below_one_another() {
        let check = |tag: &str, wanted: &str, want: bool| assert_eq!(is_below(tag, wanted), want, "{tag} {wanted}");
        check("attack.t1098.006", "attack.t1098", true);
        check("attack.t1098.006", "t1098", true);
        check("attack.t1098.006", "attack", true);
        check("attack.t1098", "t1098.006", false);
        check("attack.t1098", "t109", false);
        check("attack.execution", "execution", true);
    }
}
