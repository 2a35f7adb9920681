//! What a name without a kind is, by what the store has seen of it.

use casebook_event::Confidence;
use casebook_store::StoreError;

use super::name::{EntityName, Kind};
use super::query::by_name;
use crate::answer::{Candidate, Grade, Statement};
use crate::archive::{Archive, Scope};

/// What was meant by a name without a kind.
#[derive(Debug)]
pub struct Identified {
    /// What it is taken for.
    pub entity: EntityName,
    /// How many events or alerts name it.
    pub count: u64,
    /// What else it may be, and how many events or alerts say so.
    pub others: Vec<(EntityName, u64)>,
}

impl Identified {
    /// That a name is taken for this.
    pub fn statement(&self, text: &str) -> Statement {
        let one = std::iter::once((&self.entity, self.count));
        let all = one.chain(self.others.iter().map(|(entity, count)| (entity, *count)));
        let grade = match (self.count, self.others.as_slice()) {
            (0, _) => Grade::Unknown,
            (_, []) => Confidence::Guessed.into(),
            (_, _) => Grade::Ambiguous {
                candidates: all
                    .map(|(entity, count)| Candidate {
                        name: entity.to_string(),
                        events: Some(count),
                    })
                    .collect(),
            },
        };
        Statement {
            about: text.to_owned(),
            is: (self.count > 0).then(|| self.entity.to_string()),
            grade,
            by: Vec::new(),
        }
    }
}

/// Asks the store what a name is seen as. Of the guesses the one with most events is taken; where there is none, the first.
///
/// # Errors
/// A log or the table of alerts cannot be read.
pub async fn identify(
    archive: &Archive<'_>,
    guesses: Vec<EntityName>,
    scope: &Scope,
) -> Result<Option<Identified>, StoreError> {
    let mut counted: Vec<(EntityName, u64)> = Vec::new();
    for entity in guesses {
        let count = match entity.kind {
            Kind::Alert => match archive.store().alert(&entity.value).await {
                Ok(found) => u64::from(found.is_some()),
                Err(StoreError::Ambiguous { count, .. }) => count as u64,
                Err(error) => return Err(error),
            },
            _ => archive.count(&by_name(&entity), scope).await?,
        };
        counted.push((entity, count));
    }
    // The first of those with the most: a stable sort keeps the likelier guess before.
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut counted = counted.into_iter();
    let Some((entity, count)) = counted.next() else {
        return Ok(None);
    };
    let others = counted.filter(|(_, count)| *count > 0).collect();
    Ok(Some(Identified { entity, count, others }))
}
