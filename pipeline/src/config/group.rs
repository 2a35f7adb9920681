//! The names of the consumer groups: that of the logs is configured, that of the signals follows from it.

/// The name under which the tables keep the positions of the signals topic, and its consumer group.
pub(crate) fn correlate_group(group: &str) -> String {
    format!("{group}-correlate")
}

/// The group of the logs, of a group of the signals topic.
pub(crate) fn group_of_correlate(group: &str) -> Option<&str> {
    group.strip_suffix("-correlate")
}
