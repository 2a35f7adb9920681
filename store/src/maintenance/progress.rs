//! How far a piece of maintenance has come.

/// How far a piece of maintenance has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MaintenanceProgress {
    /// Bytes of the data files that were gone through.
    pub done_bytes: u64,
    /// Bytes of all data files that are to be, as far as is known.
    pub total_bytes: u64,
}

/// Is called with how far a piece of maintenance has come.
pub type OnProgress<'a> = &'a mut (dyn FnMut(MaintenanceProgress) + Send);
