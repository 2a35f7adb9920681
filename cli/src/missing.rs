//! What is said where an alert or an event is not there.

use crate::output::{escape, notice};

/// No alert has an id that begins so.
pub fn report_alert(id: &str) {
    notice!(
        "casebook: no alert has an id that begins with `{}`; `casebook alert list` lists them",
        escape(id)
    );
}

/// No event has an id that begins so.
pub fn report_event(id: &str) {
    notice!(
        "casebook: no event has an id that begins with `{}`; it may have expired",
        escape(id)
    );
}
