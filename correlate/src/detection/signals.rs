//! From a rule's match to its signals: one for each alert and each correlation that the match concerns.

use casebook_event::{Event, EventRef, MAX_GROUP_VALUE_BYTES, Signal, bounded_text, cluster_text};
use compact_str::{CompactString, format_compact};

use crate::entity::{cluster_of_group, identifiers_of};
use crate::rule_set::{Output, RuleSet, Shard, ValueExpr};
use crate::sigma::correlation::comparison::Fixed;

/// Appends the signals of one match.
pub(super) fn emit_signals(
    rules: &RuleSet,
    rule: usize,
    event: &Event,
    cited: &mut Option<EventRef>,
    out: &mut Vec<Signal>,
) {
    let detection = rules.detection(rule);
    for output in &detection.outputs {
        let (mut value, mut shard, mut entity) = (None, None, Vec::new());
        let mut rule_version = CompactString::default();
        let (rule_id, group) = match output {
            Output::Alert => (&detection.id, Some(Vec::new())),
            Output::Member {
                correlation_id,
                version,
                group_by,
                by_cluster,
                value: value_expr,
                entity: kind,
                shard: meeting,
            } => {
                shard = meeting.as_ref();
                rule_version.clone_from(version);
                if let Some(kind) = kind {
                    identifiers_of(event, *kind, &mut entity);
                    if entity.is_empty() {
                        continue;
                    }
                }
                value = value_expr.as_ref().map(|expr| evaluate(expr, event));
                let group = group_by.iter().map(|path| path.text(event).map(group_value));
                // Unlike a part that the rule names, it may be unknown.
                let cluster = by_cluster.then(|| Some(cluster_text(cluster_of_group(event))));
                (correlation_id, group.chain(cluster).collect())
            }
        };
        // What lacks a part of the group, or the required value, does not count.
        let (Some(group), Some(value)) = (group, value.map_or(Some(None), |value| value.map(Some))) else {
            continue;
        };
        let event = cited.get_or_insert_with(|| EventRef::new(event)).clone();
        let shard = shard.map(|Shard { root, group: parts }| {
            Signal::shard_of(root, parts.iter().filter_map(|&part| group.get(part)))
        });
        out.push(Signal {
            shard,
            entity,
            rule_id: rule_id.clone(),
            rule_version,
            matched_rule_id: detection.id.clone(),
            group,
            value,
            event,
        });
    }
}

/// What the event has for a correlation's value: a text, or a number as text.
fn evaluate(value: &ValueExpr, event: &Event) -> Option<CompactString> {
    match value {
        ValueExpr::Number(path) => Some(format_compact!("{}", path.text(event)?.parse::<Fixed>().ok()?)),
        ValueExpr::Text(paths) => {
            let texts: Option<Vec<CompactString>> = paths.iter().map(|path| path.text(event)).collect();
            // The separator of ASCII's units: as good as never in a value, and a value that has it is only one value less.
            Some(group_value(texts?.join("\u{1f}").into()))
        }
    }
}

/// A value of a group, bounded: of a longer one, the beginning and a hash of the whole.
pub(super) fn group_value(text: CompactString) -> CompactString {
    match bounded_text(&text, MAX_GROUP_VALUE_BYTES) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(short) => short.into(),
    }
}
