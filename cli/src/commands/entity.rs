//! `casebook entity show`: what a pod, user, address, … is, by all that logs say of it.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Result;
use casebook_investigate::alerts::short_id;
use casebook_investigate::entity::Kind;
use casebook_investigate::limits::MAX_EVENTS;
use casebook_investigate::profile::{Profile, profile};

use super::subject::{self, Named};
use crate::args::{EntityCommand, EntityShowArgs, StoreArgs};
use crate::exit_code::{self, usage};
use crate::hints::Hints;
use crate::output::answers::profile::ProfileLayout;
use crate::output::{AnswerFormat, escape, notice, print_answer};
use crate::resolve::{stores, time_range};
use crate::unreadable;

pub async fn run(command: EntityCommand) -> Result<ExitCode> {
    match command {
        EntityCommand::Show(args) => show(args).await,
    }
}

async fn show(args: EntityShowArgs) -> Result<ExitCode> {
    if args.output == AnswerFormat::Csv {
        return Err(usage(
            "--output: an entity is shown as table or json; `casebook timeline` prints csv",
        ));
    }
    let scope = time_range::scope(&args.time, &[])?;
    let store = stores::open_existing(&args.store).await?;
    let archive = stores::archive(&store);
    let found = subject::named(&archive, &args.entity, &scope, &args.store, "entity show").await?;
    let Some(Named { entity, statement }) = found else {
        return Ok(exit_code::NO.into());
    };
    let entity = entity.in_cluster(args.cluster.as_deref()).map_err(usage)?;
    if matches!(entity.kind, Kind::Alert | Kind::Event) {
        return Err(usage(format!(
            "{entity} is no entity: `casebook timeline {entity}` shows what happened around it"
        )));
    }
    let Some(subject) = subject::with_all_names(&archive, entity, &scope).await? else {
        return Ok(exit_code::NO.into());
    };
    let mut answer = profile(&archive, &subject, &scope).await?;
    unreadable::report(&archive.unreadable());
    answer.statements.extend(statement);
    if answer.data.is_empty() {
        notice!(
            "casebook: no event concerns {}; `casebook search '\"…\"'` looks for a word",
            escape(&subject.entity.to_string())
        );
        return Ok(exit_code::NO.into());
    }
    print_answer(&answer, &ProfileLayout(&answer.data), args.output)?;
    subject::report_clusters(&subject.entity, &answer.statements);
    if answer.data.cut {
        notice!("casebook: the latest {MAX_EVENTS} events were read, there are more; --from and --to narrow them");
    }
    hint(&answer.data, &args.store);
    Ok(exit_code::OK)
}

/// Commands to go on with.
fn hint(profile: &Profile, place: &StoreArgs) {
    let mut hints = Hints::new(place);
    let words = profile.entity.words();
    let words: Vec<&str> = std::iter::once("timeline")
        .chain(words.iter().map(String::as_str))
        .collect();
    hints.add(&words);
    if let Some(alert) = profile.alerts.first() {
        hints.add(&["alert", "show", short_id(alert)]);
    }
    let mut kinds: BTreeSet<&str> = BTreeSet::new();
    for neighbor in &profile.neighbors {
        if let Some(name) = neighbor.entity().filter(|_| kinds.insert(neighbor.kind)) {
            hints.add(&["entity", "show", &name]);
        }
    }
    hints.print();
}
