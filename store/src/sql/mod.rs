//! SQL over the tables, by DataFusion.

mod functions;
mod provider;
mod value;

use std::sync::Arc;

use casebook_event::Value;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};

use crate::limits::{MAX_SQL_BYTES, MAX_SQL_MEMORY_BYTES};
use crate::sql::functions::{bind_matches, functions};
use crate::sql::provider::TableFiles;
use crate::{Store, StoreError, TableName};

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

impl Store {
    /// Answers one `SELECT` (or `EXPLAIN`, `SHOW COLUMNS FROM …`) over the tables, as they were when the question came; at
    /// most `limit` rows.
    ///
    /// # Errors
    /// [`StoreError::Sql`] where the statement is not understood, would change something, or needs more memory than
    /// [`MAX_SQL_MEMORY_BYTES`]; else a table could not be read.
    pub async fn sql(&self, sql: &str, limit: usize) -> Result<SqlAnswer, StoreError> {
        if sql.len() > MAX_SQL_BYTES {
            return Err(StoreError::Sql(format!(
                "{} bytes are more than {MAX_SQL_BYTES}",
                sql.len()
            )));
        }
        let context = self.sql_context().await?;
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
        let batches = frame
            .limit(0, Some(limit))
            .map_err(|error| failed(&error))?
            .collect()
            .await
            .map_err(|error| failed(&error))?;
        let mut rows = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                rows.push(batch.columns().iter().map(|column| value::at(column, row)).collect());
            }
        }
        Ok(SqlAnswer { columns, rows })
    }

    async fn sql_context(&self) -> Result<SessionContext, StoreError> {
        let config = SessionConfig::new()
            .with_information_schema(true)
            .set_bool("datafusion.execution.parquet.pushdown_filters", true);
        let runtime = datafusion::execution::runtime_env::RuntimeEnvBuilder::new()
            .with_memory_limit(MAX_SQL_MEMORY_BYTES, 1.0)
            .build_arc()
            .map_err(|error| failed(&error))?;
        let context = SessionContext::new_with_config_rt(config, runtime);
        let url = ObjectStoreUrl::parse(FILES_URL).map_err(|error| failed(&error))?;
        context.register_object_store(url.as_ref(), self.location.files.clone());
        functions()
            .into_iter()
            .for_each(|function| context.register_udf(function));
        for &name in TableName::ALL {
            let snapshot = self.table(name).snapshot().await?;
            let table = TableFiles::new(self.clone(), name, url.clone(), snapshot);
            context
                .register_table(name.name(), Arc::new(table))
                .map_err(|error| failed(&error))?;
        }
        Ok(context)
    }
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
    StoreError::Sql(error.find_root().strip_backtrace())
}
