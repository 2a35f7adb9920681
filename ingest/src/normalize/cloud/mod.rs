//! Here is a record of a cloud's activity log, give me its event: CloudTrail, Cloud Audit Logs, Azure's activity log.
//!
//! It owns the clouds' names for actors, resources and outcomes. It never opens an envelope: that was done before.

pub(super) mod azure_activity;
pub(super) mod cloudtrail;
pub(super) mod cloudtrail_action;
pub(super) mod gcp_audit;
pub(super) mod gcp_operation;
