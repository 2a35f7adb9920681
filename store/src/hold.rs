//! Holds: times of which nothing expires, since somebody still needs what happened then.
//!
//! A hold is a `domainMetadata` action of the alerts table, which no expiry touches (Delta protocol, "Domain Metadata"): it is in the
//! log and its checkpoints, and every worker and every command reads the same ones.

use casebook_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::limits::{MAX_HOLD_NAME_BYTES, MAX_HOLD_REASON_BYTES, MAX_HOLDS};
use crate::table::{DomainMetadata, Proposal, Snapshot};
use crate::tables::Tables;
use crate::{CommitError, StoreError, TableName};

/// What the domains of holds begin with.
const DOMAIN: &str = "casebook.hold/";

/// A time of which nothing expires: no row of any table whose date it touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What it is called: letters, digits, `.`, `_`, `-`; 64 bytes at most.
    pub name: String,
    /// The first moment that is held.
    pub from: Timestamp,
    /// The first moment after it that is not.
    pub to: Timestamp,
    /// Why, for people; 512 bytes at most.
    pub reason: String,
    /// When it was placed.
    pub placed: Timestamp,
}

/// A hold as its domain says it.
#[derive(Serialize, Deserialize)]
struct Written {
    from: String,
    to: String,
    reason: String,
    placed: String,
}

impl Hold {
    /// Whether it touches a date, `YYYY-MM-DD` (UTC). One that is no date is touched by all.
    pub(crate) fn touches(&self, date: &str) -> bool {
        let Some(begin) = Timestamp::parse_rfc3339(&format!("{date}T00:00:00Z")) else {
            return true;
        };
        let end = begin.saturating_add_nanos(86_400_000_000_000);
        self.from < end && self.to > begin
    }

    fn of(domain: &DomainMetadata) -> Option<Self> {
        let name = domain.domain.strip_prefix(DOMAIN)?;
        let written: Option<Written> = serde_json::from_str(&domain.configuration).ok();
        let time = |text: &str| Timestamp::parse_rfc3339(text);
        let known = written.and_then(|written| {
            Some(Self {
                name: name.to_owned(),
                from: time(&written.from)?,
                to: time(&written.to)?,
                placed: time(&written.placed)?,
                reason: written.reason,
            })
        });
        // What a newer version writes otherwise holds everything until it is understood.
        Some(known.unwrap_or_else(|| Self {
            name: name.to_owned(),
            from: Timestamp::MIN,
            to: Timestamp::MAX,
            placed: Timestamp::MIN,
            reason: "written by another version of Casebook, and not understood".into(),
        }))
    }

    fn action(&self) -> DomainMetadata {
        let written = Written {
            from: self.from.to_string(),
            to: self.to.to_string(),
            reason: self.reason.clone(),
            placed: self.placed.to_string(),
        };
        DomainMetadata {
            domain: format!("{DOMAIN}{}", self.name),
            configuration: serde_json::to_string(&written).unwrap_or_default(),
            removed: false,
        }
    }
}

/// Whether a domain of the alerts table is that of a hold.
pub(crate) fn is_hold(domain: &str) -> bool {
    domain.starts_with(DOMAIN)
}

fn refused(reason: String) -> StoreError {
    StoreError::Refused {
        table: TableName::Alerts.name(),
        reason,
    }
}

fn holds_of(snapshot: &Snapshot) -> Vec<Hold> {
    snapshot.domains.values().filter_map(Hold::of).collect()
}

/// The holds that stand, by name.
///
/// # Errors
/// The alerts table cannot be read.
pub(crate) async fn holds(tables: &Tables) -> Result<Vec<Hold>, StoreError> {
    Ok(holds_of(&*tables.alerts.snapshot().await?))
}

/// Places a hold.
///
/// # Errors
/// [`StoreError::Refused`] where its name, its span or its reason is none, one of that name stands, or too many do; else the alerts
/// table cannot be written.
pub(crate) async fn place_hold(tables: &Tables, hold: &Hold) -> Result<(), StoreError> {
    let is_named = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(1..=MAX_HOLD_NAME_BYTES).contains(&hold.name.len()) || !hold.name.bytes().all(is_named) {
        return Err(refused(format!(
            "a hold's name has letters, digits, `.`, `_`, `-`, and {MAX_HOLD_NAME_BYTES} of them at most"
        )));
    }
    if hold.from >= hold.to {
        return Err(refused("a hold begins before it ends".into()));
    }
    if hold.reason.len() > MAX_HOLD_REASON_BYTES {
        return Err(refused(format!(
            "a hold's reason has {MAX_HOLD_REASON_BYTES} bytes at most"
        )));
    }
    let is_new = |snapshot: &Snapshot| {
        let standing = holds_of(snapshot);
        if standing.iter().any(|other| other.name == hold.name) {
            return Err(refused(format!(
                "the hold `{}` stands: release it first, or choose another name",
                hold.name
            ))
            .into());
        }
        if standing.len() >= MAX_HOLDS {
            return Err(refused(format!("{MAX_HOLDS} holds stand, which is the most that may")).into());
        }
        Ok(())
    };
    write(tables, hold.action(), hold.placed, &is_new).await
}

/// Releases a hold.
///
/// # Errors
/// [`StoreError::Refused`] where none of that name stands; else the alerts table cannot be written.
pub(crate) async fn release_hold(tables: &Tables, name: &str, now: Timestamp) -> Result<(), StoreError> {
    let stands = |snapshot: &Snapshot| match holds_of(snapshot).iter().any(|hold| hold.name == name) {
        true => Ok(()),
        false => Err(refused(format!(
            "no hold `{name}` stands: `casebook store hold list` names those that do"
        ))
        .into()),
    };
    let action = DomainMetadata {
        domain: format!("{DOMAIN}{name}"),
        configuration: String::new(),
        removed: true,
    };
    write(tables, action, now, &stands).await
}

async fn write(
    tables: &Tables,
    action: DomainMetadata,
    now: Timestamp,
    check: &(dyn Fn(&Snapshot) -> Result<(), CommitError> + Sync),
) -> Result<(), StoreError> {
    let proposal = Proposal {
        domains: vec![action],
        now,
        ..Proposal::default()
    };
    match tables.alerts.commit(proposal, check).await {
        Ok(_) => Ok(()),
        Err(CommitError::Store(error)) => Err(error),
        // Nothing here asks for offsets.
        Err(fenced) => Err(refused(fenced.to_string())),
    }
}
