//! What was reported of alerts so far, where the groups alone do not know it: in a repair.

use std::collections::BTreeMap;

use casebook_event::{Alert, DecidedWindow};

/// A window that was decided, with its alert where its correlation raises any.
pub(crate) type Decided = (DecidedWindow, Option<Alert>);

/// What was reported of each alert so far.
pub(crate) struct Revisions<'a> {
    pub(crate) known: &'a BTreeMap<u128, DecidedWindow>,
    pub(crate) reported: &'a BTreeMap<u128, Alert>,
    /// What is final by this repair.
    pub(crate) now: &'a BTreeMap<u128, Decided>,
}

impl Revisions<'_> {
    /// The last revision of an alert, 0 where there is none.
    pub(crate) fn last(&self, alert_id: u128) -> u32 {
        let known = self.known.get(&alert_id).map_or(0, |window| window.revision);
        let reported = self.reported.get(&alert_id).map_or(0, |alert| alert.alert.revision);
        known.max(reported)
    }

    /// Whether the repair makes an alert final.
    pub(crate) fn is_final(&self, alert_id: u128) -> bool {
        self.now.contains_key(&alert_id)
    }
}
