//! `--count`, `--histogram` and `--top`.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::Result;
use casebook_event::Value;
use casebook_store::{FilesRead, SearchRequest, Store, Tally, TallyBy};

use crate::args::{SearchArgs, SearchFormat};
use crate::exit_code::usage;
use crate::output::{self, Rows, histogram, notice};
use crate::unreadable;

/// Most bars that are drawn.
const MAX_BARS: i64 = 5_000;

/// Counts, prints the counts, and says how many events match.
pub async fn print(args: &SearchArgs, store: &Store, request: SearchRequest) -> Result<(u64, FilesRead)> {
    if args.count {
        let answer = store.search(SearchRequest { limit: 0, ..request }).await?;
        unreadable::tell(&answer.unreadable);
        match args.output {
            SearchFormat::Table => writeln!(output::lines(), "{}", answer.matched)?,
            format => {
                let mut rows = Rows::new(&["count"]);
                rows.rows.push(vec![number(answer.matched)]);
                output::print(&rows, format.of_rows()?)?;
            }
        }
        return Ok((answer.matched, answer.files));
    }
    let by = TallyBy {
        span: args.histogram.as_deref().map(span).transpose()?,
        fields: args.top.clone(),
        most: Some(args.limit),
    };
    let tally = store.tally(request, by.clone()).await?;
    unreadable::tell(&tally.unreadable);
    match (by.span, args.output) {
        (Some(span), SearchFormat::Table) if by.fields.is_empty() => draw(&tally, span)?,
        (_, format) => output::print(&rows(&tally, &by, args.limit), format.of_rows()?)?,
    }
    notice!("casebook: {} events match", tally.matched);
    if tally.untold > 0 {
        notice!(
            "casebook: {} of them have values that are not counted one by one, since there are too many",
            tally.untold
        );
    }
    let told = (tally.rows.len()).min(args.limit) as u64;
    if told < tally.groups && !by.fields.is_empty() {
        notice!("casebook: {told} of {} groups; --limit shows more", tally.groups);
    }
    Ok((tally.matched, tally.files))
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

fn number(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn draw(tally: &Tally, span: i64) -> Result<()> {
    let counts: BTreeMap<i64, u64> = tally
        .rows
        .iter()
        .filter_map(|row| Some((row.time?.as_nanos().div_euclid(span), row.count)))
        .collect();
    if let (Some((first, _)), Some((last, _))) = (counts.first_key_value(), counts.last_key_value())
        && last - first >= MAX_BARS
    {
        return Err(usage(format!(
            "--histogram: that are {} bars from the first event to the last: choose a longer span, or a shorter time with --from and --to",
            last - first + 1
        )));
    }
    let mut text = Vec::new();
    histogram::write_counts(&counts, span, &mut text)?;
    let mut out = output::lines();
    out.write_all(&text)?;
    Ok(out.flush()?)
}

fn rows(tally: &Tally, by: &TallyBy, limit: usize) -> Rows {
    let time = by.span.map(|_| "time".to_owned());
    let columns = time
        .into_iter()
        .chain(by.fields.iter().cloned())
        .chain(["count".to_owned()])
        .collect();
    let limit = if by.fields.is_empty() { usize::MAX } else { limit };
    let rows = tally
        .rows
        .iter()
        .take(limit)
        .map(|row| {
            let time = row.time.map(|time| Value::from(time.to_string()));
            let values = row.values.iter().map(|value| match value {
                Some(value) => Value::str(value),
                None => Value::Null,
            });
            time.into_iter().chain(values).chain([number(row.count)]).collect()
        })
        .collect();
    Rows { columns, rows }
}
