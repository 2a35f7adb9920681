//! `casebook sql`: SQL over the tables, a statement or a prompt.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use casebook_store::limits::{MAX_ANSWER_ROWS, MAX_SQL_BYTES};
use casebook_store::{SqlLimits, Store, StoreError, resident_bytes};

use crate::args::SqlArgs;
use crate::exit_code;
use crate::exit_code::usage;
use crate::output::{self, Rows, escape, notice};
use crate::resolve::stores;

/// Statements that are remembered.
const HISTORY: usize = 200;
/// Longest file of remembered statements that is read, in bytes.
const MAX_HISTORY_BYTES: usize = 4 << 20;

pub async fn run(args: SqlArgs) -> Result<ExitCode> {
    let store = stores::open_existing(&args.store).await?;
    let nothing = || usage("there is no statement: give one, or pipe one in");
    if let Some(query) = &args.query {
        if query.trim_matches([' ', '\t', '\r', '\n', ';']).is_empty() {
            return Err(nothing());
        }
        answer(&store, query, &args).await?;
    } else if std::io::stdin().is_terminal() {
        prompt(&store, &args).await?;
    } else {
        let mut query = String::new();
        let limit = MAX_SQL_BYTES as u64 + 1;
        std::io::stdin().lock().take(limit).read_to_string(&mut query)?;
        if query.trim().is_empty() {
            return Err(nothing());
        }
        answer(&store, query.trim().trim_end_matches(';'), &args).await?;
    }
    Ok(exit_code::OK)
}

async fn answer(store: &Store, query: &str, args: &SqlArgs) -> Result<()> {
    let answer = match store.sql_within(query, limits(args)).await {
        Err(error @ StoreError::SqlLimit(_)) => {
            let (memory, time) = (args.memory_limit_mib, args.timeout);
            bail!("{error}; --memory-limit-mib (now {memory}) and --timeout (now {time:?}) let it have more");
        }
        answer => answer?,
    };
    let cut = answer.rows.len() >= args.limit.min(MAX_ANSWER_ROWS);
    output::print(
        &Rows {
            columns: answer.columns,
            rows: answer.rows,
        },
        args.output.output,
    )?;
    if cut {
        notice!(
            "casebook: the first {} rows; --limit shows more",
            args.limit.min(MAX_ANSWER_ROWS)
        );
    }
    Ok(())
}

fn limits(args: &SqlArgs) -> SqlLimits {
    SqlLimits {
        rows: args.limit,
        memory_bytes: (args.memory_limit_mib as usize) << 20,
        time: args.timeout,
    }
}

/// Reads statements until the end of input. A statement ends with a semicolon; its errors end nothing.
async fn prompt(store: &Store, args: &SqlArgs) -> Result<()> {
    notice!(
        "Tables: events, alerts, dead_letters, signals, bindings. A statement ends with ; and may take several lines."
    );
    notice!("SHOW COLUMNS FROM events; lists columns; WHERE matches('user:alice \"kube-system\"') asks the index.");
    notice!("\\h lists earlier statements, \\3 runs the third of them again, Ctrl-C stops a statement, Ctrl-D ends.");
    let mut history = History::read();
    let mut statement = String::new();
    loop {
        let line = read_line(&mut statement).await?;
        if line.is_empty() {
            notice!("");
            return Ok(());
        }
        let line = match line.trim().strip_prefix('\\') {
            Some("h") => {
                history.list();
                continue;
            }
            Some(number) => match history.get(number) {
                Some(earlier) => {
                    notice!("{}", escape(earlier));
                    format!("{earlier};")
                }
                None => {
                    notice!("casebook: `\\{}` is none: \\h lists earlier statements", escape(number));
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
        let held = resident_bytes();
        // An interrupted statement ends, and not the prompt.
        let answered = tokio::select! {
            biased;
            answered = answer(store, &query, args) => answered,
            _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
        };
        if let Err(error) = answered {
            notice!("casebook: {error:#}");
            give_back(held, args).await?;
        }
    }
}

/// Waits for the memory of a statement that was stopped: a function that does not end keeps what it has, and the prompt could
/// not bound what the next statement takes.
async fn give_back(held_before: Option<u64>, args: &SqlArgs) -> Result<()> {
    let limit = held_before
        .unwrap_or(0)
        .saturating_add((limits(args).memory_bytes / 2) as u64);
    for _ in 0..100 {
        if resident_bytes().is_none_or(|held| held <= limit) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(anyhow!("the statement holds on to its memory; the prompt ends with it"))
}

/// The next line, with its prompt; without one at the end of input. An interrupt begins the statement anew.
async fn read_line(statement: &mut String) -> Result<String> {
    // A thread of its own may wait: nothing else is done meanwhile.
    let mut line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    loop {
        let prompt = if statement.is_empty() {
            "casebook> "
        } else {
            "      ... "
        };
        let mut out = std::io::stderr();
        out.write_all(prompt.as_bytes())?;
        out.flush()?;
        tokio::select! {
            line = &mut line => return Ok(line??),
            _ = tokio::signal::ctrl_c() => {
                statement.clear();
                notice!("");
            }
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
            // Without a history, or with one that cannot be read, it begins anew.
            casebook_pipeline::read_text_file(file, MAX_HISTORY_BYTES).ok()
        });
        let statements = text.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
        Self { file, statements }
    }

    fn list(&self) {
        for (n, statement) in self.statements.iter().enumerate() {
            notice!("{:>4}  {}", n + 1, escape(statement));
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
            notice!("casebook: the history is not kept: {error}");
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
