//! The names of the tables of a store.

/// The tables of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableName {
    /// Every event.
    Events,
    /// Every revision of every alert, and the reference to the correlation state.
    Alerts,
    /// What could not become an event.
    DeadLetters,
    /// Matches that were reported to correlation, and windows that it decided.
    Signals,
    /// What names stood for.
    Bindings,
}

impl TableName {
    /// Every table.
    pub const ALL: &[TableName] = &[
        Self::Events,
        Self::Alerts,
        Self::DeadLetters,
        Self::Signals,
        Self::Bindings,
    ];

    /// What correlation keeps, for the time in which late events repair what was decided.
    pub const KEPT: &[TableName] = &[Self::Signals, Self::Bindings];

    /// Where a table is derived (its rows can be made again from others): the version of its schema and of what makes its rows. Each
    /// data file says its own, so that files of several versions may stand side by side until the table is rebuilt.
    pub fn derived_version(self) -> Option<u32> {
        match self {
            Self::Signals | Self::Bindings => Some(1),
            Self::Events | Self::Alerts | Self::DeadLetters => None,
        }
    }

    /// The table's name, which is also its folder in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Alerts => "alerts",
            Self::DeadLetters => "dead_letters",
            Self::Signals => "signals",
            Self::Bindings => "bindings",
        }
    }
}
