//! `--count`, `--histogram` and `--top`.

use anyhow::Result;
use casebook_investigate::archive::Archive;
use casebook_investigate::search::{count, tally};
use casebook_store::{SearchRequest, TallyBy};

use super::outcome::Outcome;
use crate::args::{SearchArgs, SearchFormat};
use crate::exit_code::usage;
use crate::output::answers::events::{CountLayout, CountsLayout};
use crate::output::{notice, print_answer};
use crate::unreadable;

/// Most bars that are drawn.
const MAX_BARS: i64 = 5_000;

/// Counts, prints the counts, and says how many events match.
pub async fn print(args: &SearchArgs, archive: &Archive<'_>, request: SearchRequest) -> Result<Outcome> {
    if args.count {
        let answer = count(archive, request).await?;
        unreadable::report(&archive.unreadable());
        print_answer(&answer, &CountLayout(&answer.data), args.output.of_rows()?)?;
        return Ok(Outcome {
            matched: answer.data.matched,
            files: answer.data.files,
            coverage: answer.coverage,
        });
    }
    let by = TallyBy {
        span: args.histogram.as_deref().map(span).transpose()?,
        fields: args.top.clone(),
        most: Some(args.limit),
    };
    let span_nanos = by.span;
    let answer = tally(archive, request, by).await?;
    unreadable::report(&archive.unreadable());
    let counts = &answer.data;
    let layout = CountsLayout {
        counts,
        limit: args.limit,
        span_nanos,
    };
    if let (Some(span), SearchFormat::Table) = (span_nanos, args.output)
        && counts.fields.is_empty()
    {
        bound_bars(&layout, span)?;
    }
    print_answer(&answer, &layout, args.output.of_rows()?)?;
    notice!("casebook: {} events match", counts.matched);
    if counts.other_count > 0 {
        notice!(
            "casebook: {} of them have values that are not counted one by one, since there are too many",
            counts.other_count
        );
    }
    let shown = counts.groups.len().min(args.limit) as u64;
    if shown < counts.total_groups && !counts.fields.is_empty() {
        notice!(
            "casebook: {shown} of {} groups; --limit shows more",
            counts.total_groups
        );
    }
    Ok(Outcome {
        matched: counts.matched,
        files: counts.files,
        coverage: answer.coverage,
    })
}

fn span(text: &str) -> Result<i64> {
    let duration = casebook_pipeline::parse_duration(text).filter(|duration| !duration.is_zero());
    duration
        .and_then(|duration| i64::try_from(duration.as_nanos()).ok())
        .ok_or_else(|| {
            usage(format!(
                "--histogram: `{text}` is no span: write a number and s, m, h, d or w, as in 5m"
            ))
        })
}

/// Refuses more bars than anybody reads.
fn bound_bars(layout: &CountsLayout<'_>, span: i64) -> Result<()> {
    let counts = layout.by_span(span);
    let (Some((first, _)), Some((last, _))) = (counts.first_key_value(), counts.last_key_value()) else {
        return Ok(());
    };
    if last - first < MAX_BARS {
        return Ok(());
    }
    Err(usage(format!(
        "--histogram: that are {} bars from the first event to the last: choose a longer span, or a shorter time with --from and --to",
        last - first + 1
    )))
}
