//! What a command line names as an entity: identified, aloud where it was guessed, and with all its names.

use anyhow::Result;
use casebook_investigate::answer::{Grade, Statement};
use casebook_investigate::archive::{Archive, Scope};
use casebook_investigate::coverage::Dropped;
use casebook_investigate::entity::{EntityName, Identified, Interpretation, Kind, Subject, identify, parse, subject};

use crate::args::StoreArgs;
use crate::exit_code::usage;
use crate::hints::Hints;
use crate::output::{counted, escape, notice};
use crate::{missing, unreadable};

/// Most clusters that are named.
const MOST_CLUSTERS: usize = 8;

/// An entity, and how it was found out which is meant.
pub struct Named {
    /// The entity.
    pub entity: EntityName,
    /// That a name without a kind was taken for it.
    pub statement: Option<Statement>,
}

/// The entity that is meant; what was guessed is said on stderr, with the commands for what else it could be. `None` where
/// nothing is seen as any of the guesses, which is said, too.
pub async fn named(
    archive: &Archive<'_>,
    text: &str,
    scope: &Scope,
    place: &StoreArgs,
    command: &str,
) -> Result<Option<Named>> {
    let guesses = match parse(text).map_err(usage)? {
        Interpretation::Explicit(entity) => {
            return Ok(Some(Named {
                entity,
                statement: None,
            }));
        }
        Interpretation::Guesses(guesses) => guesses,
    };
    let identified = identify(archive, guesses, scope).await?;
    unreadable::report(&archive.unreadable());
    let Some(identified) = identified else {
        return Ok(None);
    };
    if identified.count == 0 {
        notice!(
            "casebook: nothing is known of `{}`; say the kind where it is another one (pod:, user:, node:, ip:, …), or look for the word: casebook search '\"{}\"'",
            escape(text),
            escape(&text.replace(['"', '\''], " "))
        );
        return Ok(None);
    }
    report_guess(&identified, text, place, command);
    let statement = Some(identified.statement(text));
    let entity = identified.entity;
    Ok(Some(Named { entity, statement }))
}

fn report_guess(identified: &Identified, text: &str, place: &StoreArgs, command: &str) {
    let what = match identified.entity.kind {
        Kind::Alert => "alert",
        _ => "event",
    };
    notice!(
        "casebook: `{}` is taken for {} ({})",
        escape(text),
        escape(&identified.entity.to_string()),
        counted(usize::try_from(identified.count).unwrap_or(usize::MAX), what)
    );
    if identified.others.is_empty() {
        return;
    }
    let mut hints = Hints::new(place);
    hints.head = "It is also seen as:".to_owned();
    for (other, count) in &identified.others {
        let other = other.to_string();
        let words: Vec<&str> = command.split(' ').chain([other.as_str()]).collect();
        hints.add_with(&words, &format!("# {count}"));
    }
    hints.print();
}

/// What concerns an entity; `None` where it is an alert or an event that is not there, which is said.
pub async fn with_all_names(archive: &Archive<'_>, entity: EntityName, scope: &Scope) -> Result<Option<Subject>> {
    let (kind, name) = (entity.kind, entity.value.clone());
    let found = subject(archive, entity, scope).await?;
    unreadable::report(&archive.unreadable());
    let Some(subject) = found else {
        match kind {
            Kind::Alert => missing::report_alert(&name),
            _ => missing::report_event(&name),
        }
        return Ok(None);
    };
    for dropped in &subject.dropped {
        match dropped {
            Dropped::Bindings { .. } => notice!(
                "casebook: its other names are learned from the latest events alone; --from and --to narrow them"
            ),
            Dropped::Names => notice!("casebook: it has more names than one query takes; some are left out"),
            Dropped::Events { .. } | Dropped::Sorted { .. } => {}
        }
    }
    Ok(Some(subject))
}

/// Says where the name stands for a thing in each of several clusters.
pub fn report_clusters(entity: &EntityName, statements: &[Statement]) {
    let about = entity.to_string();
    let of_clusters = statements
        .iter()
        .find(|statement| statement.about == about && statement.is.is_none());
    let Some(Grade::Ambiguous { candidates }) = of_clusters.map(|statement| &statement.grade) else {
        return;
    };
    let shown: Vec<String> = candidates
        .iter()
        .take(MOST_CLUSTERS)
        .map(|one| {
            let name = if one.name.is_empty() {
                "no cluster named".into()
            } else {
                escape(&one.name)
            };
            let events = usize::try_from(one.events.unwrap_or_default()).unwrap_or(usize::MAX);
            format!("{name} ({})", counted(events, "event"))
        })
        .collect();
    let more = match candidates.len().saturating_sub(MOST_CLUSTERS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let one = candidates
        .iter()
        .find(|one| !one.name.is_empty())
        .map_or("NAME", |one| &one.name);
    notice!(
        "casebook: {} is ambiguous: {} clusters have one, {}{more}; --cluster {} names one alone",
        escape(&about),
        candidates.len(),
        shown.join(", "),
        escape(one)
    );
}
