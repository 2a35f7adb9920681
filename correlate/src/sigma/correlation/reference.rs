//! How a correlation names the rules that it is about.

use crate::diagnostic::{Mark, Report, code};
use crate::sigma::yaml::Node;

/// The name or id of a rule, where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) rule: String,
    pub(crate) mark: Mark,
}

/// The rule that a node names; an error is reported.
pub(super) fn reference(node: &Node, report: &mut Report<'_>) -> Option<Reference> {
    match node.scalar_text() {
        Some(text) => Some(Reference {
            rule: text.trim().to_owned(),
            mark: node.mark,
        }),
        None => {
            report.add(
                code::BAD_SHAPE,
                node.mark,
                format!("a rule is named by its id or name, not by {}", node.kind()),
            );
            None
        }
    }
}
