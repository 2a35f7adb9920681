//! `casebook alert evidence`: the events that an alert cites, whole.

use std::process::ExitCode;

use anyhow::Result;
use casebook_investigate::alerts::{self, CitedEvents, short_id};

use crate::args::EvidenceArgs;
use crate::hints::Hints;
use crate::output::answers::alert::CitedLayout;
use crate::output::{AnswerFormat, counted, escape, notice, print_answer};
use crate::resolve::stores;
use crate::{exit_code, missing, unreadable};

pub async fn run(args: EvidenceArgs) -> Result<ExitCode> {
    let store = stores::open_existing(&args.store).await?;
    let archive = stores::archive(&store);
    let Some(answer) = alerts::evidence(&archive, &args.id).await? else {
        missing::report_alert(&args.id);
        return Ok(exit_code::NO.into());
    };
    unreadable::report(&archive.unreadable());
    print_answer(&answer, &CitedLayout(&answer.data), args.output.output)?;
    let CitedEvents { alert, events, .. } = &answer.data;
    report_missing(&answer.data);
    if events.is_empty() {
        return Ok(exit_code::NO.into());
    }
    if alert.evidence_total > alert.evidence.len() as u64 {
        notice!(
            "casebook: the alert joins {} events and cites the first {}",
            alert.evidence_total,
            alert.evidence.len()
        );
    }
    let mut hints = Hints::new(&args.store);
    if args.output.output == AnswerFormat::Table {
        hints.add(&["alert", "evidence", short_id(alert), "--output", "json"]);
    }
    hints.add(&["timeline", &format!("alert:{}", short_id(alert))]);
    hints.print();
    Ok(exit_code::OK)
}

fn report_missing(cited: &CitedEvents) {
    if cited.missing.is_empty() {
        return;
    }
    notice!(
        "casebook: {} of {} not in the store: expired, or not committed yet (then ask again in a minute)",
        cited.missing.len(),
        counted(cited.alert.evidence.len(), "cited event"),
    );
    for evidence in &cited.missing {
        notice!(
            "  {} {} {} {}",
            evidence.event_id,
            evidence.time,
            evidence.source,
            escape(&evidence.position.to_string())
        );
    }
}
