//! `casebook sql`: SQL over the tables, a statement or a prompt.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use casebook_store::Store;

use crate::args::SqlArgs;
use crate::exit_code::usage;
use crate::output::{self, Rows, escape};
use crate::{exit_code, stores};

/// Statements that are remembered.
const HISTORY: usize = 200;
/// Longest file of remembered statements that is read, in bytes.
const MAX_HISTORY_BYTES: u64 = 4 << 20;

pub async fn run(args: SqlArgs) -> Result<ExitCode> {
    let store = stores::open_existing(&args.store).await?;
    if let Some(query) = &args.query {
        answer(&store, query, &args).await?;
    } else if std::io::stdin().is_terminal() {
        prompt(&store, &args).await?;
    } else {
        let mut query = String::new();
        std::io::stdin().lock().read_to_string(&mut query)?;
        if query.trim().is_empty() {
            return Err(usage("there is no statement: give one, or pipe one in"));
        }
        answer(&store, query.trim().trim_end_matches(';'), &args).await?;
    }
    Ok(exit_code::OK)
}

async fn answer(store: &Store, query: &str, args: &SqlArgs) -> Result<()> {
    let answer = store.sql(query, args.limit).await?;
    let cut = answer.rows.len() >= args.limit;
    output::print(
        &Rows {
            columns: answer.columns,
            rows: answer.rows,
        },
        args.output.output,
    )?;
    if cut {
        eprintln!("casebook: the first {} rows; --limit shows more", args.limit);
    }
    Ok(())
}

/// Reads statements until the end of input. A statement ends with a semicolon; its errors end nothing.
async fn prompt(store: &Store, args: &SqlArgs) -> Result<()> {
    eprintln!(
        "Tables: events, alerts, dead_letters, signals, bindings. A statement ends with ; and may take several lines.\n\
         SHOW COLUMNS FROM events; lists columns; WHERE matches('user:alice \"kube-system\"') asks the index.\n\
         \\h lists earlier statements, \\3 runs the third of them again, Ctrl-D ends."
    );
    let mut history = History::read();
    let mut statement = String::new();
    loop {
        eprint!(
            "{}",
            if statement.is_empty() {
                "casebook> "
            } else {
                "      ... "
            }
        );
        std::io::stderr().flush()?;
        // A thread of its own may wait: nothing else is done meanwhile.
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        });
        let line = line.await??;
        if line.is_empty() {
            eprintln!();
            return Ok(());
        }
        let line = match line.trim().strip_prefix('\\') {
            Some("h") => {
                history.list();
                continue;
            }
            Some(number) => match history.get(number) {
                Some(earlier) => {
                    eprintln!("{}", escape(earlier));
                    format!("{earlier};")
                }
                None => {
                    eprintln!("casebook: `\\{}` is none: \\h lists earlier statements", escape(number));
                    continue;
                }
            },
            None => line,
        };
        statement.push_str(&line);
        let Some(query) = statement.trim().strip_suffix(';') else {
            if statement.trim().is_empty() {
                statement.clear();
            }
            continue;
        };
        let query = query.trim().to_owned();
        statement.clear();
        history.add(&query);
        if let Err(error) = answer(store, &query, args).await {
            eprintln!("casebook: {}", escape(&format!("{error:#}")));
        }
    }
}

/// Statements of this and earlier prompts, the last of them last.
struct History {
    file: Option<PathBuf>,
    statements: Vec<String>,
}

impl History {
    fn read() -> Self {
        let file = history_file();
        let text = file.as_ref().and_then(|file| {
            let length = std::fs::metadata(file).ok()?.len();
            (length <= MAX_HISTORY_BYTES).then(|| std::fs::read_to_string(file).ok())?
        });
        let statements = text.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
        Self { file, statements }
    }

    fn list(&self) {
        for (n, statement) in self.statements.iter().enumerate() {
            eprintln!("{:>4}  {}", n + 1, escape(statement));
        }
    }

    fn get(&self, number: &str) -> Option<&String> {
        self.statements.get(number.parse::<usize>().ok()?.checked_sub(1)?)
    }

    /// Remembers a statement, on one line.
    fn add(&mut self, statement: &str) {
        let statement = statement.replace('\n', " ");
        self.statements.retain(|earlier| *earlier != statement);
        self.statements.push(statement);
        let surplus = self.statements.len().saturating_sub(HISTORY);
        self.statements.drain(..surplus);
        let Some(file) = &self.file else { return };
        let folder = file.parent().map(std::path::Path::to_owned).unwrap_or_default();
        let kept = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(file, self.statements.join("\n")));
        if let Err(error) = kept {
            eprintln!("casebook: the history is not kept: {error}");
            self.file = None;
        }
    }
}

/// `sql_history` in the user's state.
fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    Some(state.join("casebook/sql_history"))
}
