//! Here is a statement, give me its rows.
//!
//! Owns what DataFusion sees of the tables, the functions that the query language adds to SQL, and the bounds of a statement. Never
//! writes anything.

mod bounded;
mod functions;
mod guard;
mod provider;
mod value;

use std::sync::Arc;

use casebook_event::Value;
use datafusion::error::DataFusionError;
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};
use futures::StreamExt as _;

use crate::limits::{MAX_ANSWER_ROWS, MAX_SQL_BYTES, MAX_SQL_SPILL_BYTES};
use crate::sql::bounded::{Bounded, MULTIPLIERS};
use crate::sql::functions::{bind_matches, functions};
use crate::sql::provider::TableFiles;
use crate::tables::Tables;
use crate::{StoreError, TableName};

pub use guard::{SqlLimits, resident_bytes};

/// The address under which DataFusion knows a store's files. It leads nowhere else.
pub(crate) const FILES_URL: &str = "casebook://store";

/// The rows that a statement asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlAnswer {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// A value for each column.
    pub rows: Vec<Vec<Value>>,
}

/// Answers one `SELECT` (or `EXPLAIN`, `SHOW COLUMNS FROM …`) over the tables, as they were
/// when the question came.
///
/// # Errors
/// [`StoreError::Sql`] where the statement is not understood or would change something, [`StoreError::SqlLimit`] where it
/// needs more than the limits allow; else a table could not be read.
pub(crate) async fn sql_within(tables: &Arc<Tables>, sql: &str, limits: SqlLimits) -> Result<SqlAnswer, StoreError> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(StoreError::Sql(format!(
            "{} bytes are more than {MAX_SQL_BYTES}",
            sql.len()
        )));
    }
    let (tables, sql) = (tables.clone(), sql.to_owned());
    guard::run(limits, async move { answer(&tables, &sql, limits).await }).await
}

async fn answer(tables: &Arc<Tables>, sql: &str, limits: SqlLimits) -> Result<SqlAnswer, StoreError> {
    let context = sql_context(tables, limits).await?;
    let read_only = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    let frame = plan(&context, sql, read_only).await.map_err(|error| failed(&error))?;
    let columns = frame
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let stream = frame
        .limit(0, Some(limits.rows.min(MAX_ANSWER_ROWS)))
        .map_err(|error| failed(&error))?
        .execute_stream();
    let mut batches = stream.await.map_err(|error| failed(&error))?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|error| failed(&error))?;
        for row in 0..batch.num_rows() {
            let row: Vec<Value> = batch.columns().iter().map(|column| value::at(column, row)).collect();
            bytes += row.iter().map(value::held_bytes).sum::<usize>();
            if bytes > limits.answer_bytes() {
                let message = format!("its answer has more than {} bytes", limits.answer_bytes());
                return Err(StoreError::SqlLimit(message));
            }
            rows.push(row);
        }
    }
    Ok(SqlAnswer { columns, rows })
}

async fn sql_context(tables: &Arc<Tables>, limits: SqlLimits) -> Result<SessionContext, StoreError> {
    let config = SessionConfig::new()
        .with_information_schema(true)
        .set_bool("datafusion.execution.parquet.pushdown_filters", true);
    let runtime = datafusion::execution::runtime_env::RuntimeEnvBuilder::new()
        .with_memory_limit(limits.pool_bytes(), 1.0)
        .with_max_temp_directory_size(MAX_SQL_SPILL_BYTES)
        .build_arc()
        .map_err(|error| failed(&error))?;
    let context = SessionContext::new_with_config_rt(config, runtime);
    let url = ObjectStoreUrl::parse(FILES_URL).map_err(|error| failed(&error))?;
    context.register_object_store(url.as_ref(), tables.files().clone());
    functions()
        .into_iter()
        .for_each(|function| context.register_udf(function));
    for &(name, reckoning) in MULTIPLIERS {
        let inner = context.udf(name).map_err(|error| failed(&error))?;
        let bounded = Bounded::new(inner, reckoning, limits.answer_bytes());
        context.register_udf(ScalarUDF::new_from_impl(bounded));
    }
    for &name in TableName::ALL {
        let snapshot = tables.table(name).snapshot().await?;
        let table = TableFiles::new(tables.clone(), name, url.clone(), snapshot);
        context
            .register_table(name.name(), Arc::new(table))
            .map_err(|error| failed(&error))?;
    }
    Ok(context)
}

async fn plan(context: &SessionContext, sql: &str, allowed: SQLOptions) -> Result<DataFrame, DataFusionError> {
    let state = context.state();
    let dialect = state.config().options().sql_parser.dialect;
    let mut statement = state.sql_to_statement(sql, &dialect)?;
    bind_matches(&mut statement);
    let plan = state.statement_to_plan(statement).await?;
    allowed.verify_plan(&plan)?;
    context.execute_logical_plan(plan).await
}

/// DataFusion's message without the layers it wraps around it.
fn failed(error: &DataFusionError) -> StoreError {
    let root = error.find_root();
    match root {
        // After its first line, it lists what its operators hold.
        DataFusionError::ResourcesExhausted(_) => {
            let text = root.strip_backtrace();
            let first = text.lines().next().unwrap_or_default();
            let first = first.split(" with top memory consumers").next().unwrap_or_default();
            StoreError::SqlLimit(first.to_owned())
        }
        _ => StoreError::Sql(root.strip_backtrace()),
    }
}
