//! `casebook store hold`: times of which nothing expires.

use std::process::ExitCode;

use anyhow::Result;
use casebook_event::{Timestamp, Value};
use casebook_store::Hold;

use crate::args::{HoldAddArgs, HoldCommand, HoldListArgs, HoldReleaseArgs};
use crate::exit_code::{self, usage};
use crate::output::{self, Rows, notice};
use crate::resolve::{stores, time_range};

pub async fn run(command: HoldCommand) -> Result<ExitCode> {
    match command {
        HoldCommand::Add(args) => add(args).await,
        HoldCommand::List(args) => list(args).await,
        HoldCommand::Release(args) => release(args).await,
    }
}

async fn add(args: HoldAddArgs) -> Result<ExitCode> {
    let (from, to) = time_range::parse(&args.time)?;
    let Some(from) = from else {
        return Err(usage("say from when on: --from TIME or --since DURATION"));
    };
    let store = stores::open_existing(&args.store).await?;
    let hold = Hold {
        name: args.name,
        from,
        to: to.unwrap_or(Timestamp::MAX),
        reason: args.reason,
        placed: casebook_pipeline::now(),
    };
    store.place_hold(&hold).await?;
    notice!(
        "casebook: nothing of {} to {} expires until `casebook store hold release {}`",
        hold.from,
        end(&hold),
        output::escape(&hold.name)
    );
    Ok(exit_code::OK)
}

async fn list(args: HoldListArgs) -> Result<ExitCode> {
    let store = stores::open_existing(&args.store).await?;
    let mut rows = Rows::new(&["hold", "from", "to", "placed", "reason"]);
    for hold in store.holds().await? {
        rows.rows.push(vec![
            Value::str(&hold.name),
            Value::from(hold.from.to_string()),
            Value::from(end(&hold)),
            Value::from(hold.placed.to_string()),
            Value::str(&hold.reason),
        ]);
    }
    let is_empty = rows.rows.is_empty();
    output::print(&rows, args.output.output)?;
    if is_empty {
        notice!("casebook: no hold stands: `store expire` takes whatever is old enough");
    }
    Ok(exit_code::OK)
}

async fn release(args: HoldReleaseArgs) -> Result<ExitCode> {
    let store = stores::open_existing(&args.store).await?;
    store.release_hold(&args.name, casebook_pipeline::now()).await?;
    notice!(
        "casebook: `{}` is released; what it held expires with the next `casebook store expire`",
        output::escape(&args.name)
    );
    Ok(exit_code::OK)
}

fn end(hold: &Hold) -> String {
    match hold.to {
        Timestamp::MAX => "whatever comes".to_owned(),
        to => to.to_string(),
    }
}
