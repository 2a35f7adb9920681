//! `casebook alert show`: one alert with its evidence.

use std::process::ExitCode;

use anyhow::Result;
use casebook_investigate::alerts;

use crate::args::AlertShowArgs;
use crate::exit_code;
use crate::hints::Hints;
use crate::missing;
use crate::output::answers::alert::AlertLayout;
use crate::output::{AnswerFormat, print_answer};
use crate::resolve::stores;

pub async fn run(args: AlertShowArgs) -> Result<ExitCode> {
    let store = stores::open_existing(&args.store).await?;
    let archive = stores::archive(&store);
    let Some(answer) = alerts::by_id(&archive, &args.id).await? else {
        missing::report_alert(&args.id);
        return Ok(exit_code::NO.into());
    };
    print_answer(&answer, &AlertLayout(&answer.data), args.output.output)?;
    if args.output.output == AnswerFormat::Table {
        let id = alerts::short_id(&answer.data);
        let mut hints = Hints::new(&args.store);
        hints.add(&["alert", "evidence", id]);
        hints.add(&["timeline", &format!("alert:{id}")]);
        hints.print();
    }
    Ok(exit_code::OK)
}
