//! A table of the store as DataFusion sees it: exactly the files of one snapshot.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema as ScanSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::functions::matches_query;
use crate::data_file::select_of;
use crate::query::rows_that_match;
use crate::schema::TableSchema;
use crate::table::{DataFile, Snapshot};
use crate::tables::Tables;
use crate::{StoreError, TableName};

#[derive(Debug)]
pub(super) struct TableFiles {
    tables: Arc<Tables>,
    name: TableName,
    url: ObjectStoreUrl,
    snapshot: Arc<Snapshot>,
    /// The columns of the files, and after them the partition column.
    scan: ScanSchema,
}

impl TableFiles {
    pub(super) fn new(tables: Arc<Tables>, name: TableName, url: ObjectStoreUrl, snapshot: Arc<Snapshot>) -> Self {
        let schema = TableSchema::of(name);
        let date: Vec<_> = schema
            .full
            .fields()
            .iter()
            .filter(|field| field.name() == schema.partition)
            .cloned()
            .collect();
        // Old files may lack a column that has come since: every column may be null to a reader.
        let columns: Vec<_> = schema
            .file
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect();
        let scan = ScanSchema::builder(Arc::new(Schema::new(columns)))
            .with_table_partition_cols(date)
            .build();
        Self {
            tables,
            name,
            url,
            snapshot,
            scan,
        }
    }

    /// The files with what is to be read of them: all, or the rows that match every query.
    async fn selected(&self, queries: &[&str]) -> Result<Vec<PartitionedFile>> {
        if queries.is_empty() {
            return self
                .snapshot
                .files
                .values()
                .map(|file| self.partitioned(file))
                .collect();
        }
        let external = |error: StoreError| DataFusionError::External(Box::new(error));
        let found = rows_that_match(&self.tables, &self.snapshot, queries)
            .await
            .map_err(external)?;
        found
            .into_iter()
            .map(|(file, rows)| {
                let total = usize::try_from(file.stats.rows.unwrap_or(0)).unwrap_or(usize::MAX);
                let selection = ParquetRowSelection::new(select_of(rows, total));
                Ok(self.partitioned(&file)?.with_extension(selection))
            })
            .collect()
    }

    fn partitioned(&self, file: &DataFile) -> Result<PartitionedFile> {
        let schema = TableSchema::of(self.name);
        let date = file
            .add
            .partition_values
            .get(schema.partition)
            .and_then(Option::as_deref);
        let value = match date {
            Some(text) => ScalarValue::Utf8(Some(text.to_owned())).cast_to(&arrow::datatypes::DataType::Date32)?,
            None => ScalarValue::Date32(None),
        };
        let mut partitioned = PartitionedFile::new(
            format!("{}/{}", self.name.name(), file.path),
            file.add.size.unsigned_abs(),
        );
        partitioned.partition_values = vec![value];
        Ok(partitioned)
    }
}

#[async_trait]
impl TableProvider for TableFiles {
    fn schema(&self) -> SchemaRef {
        self.scan.table_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // The index answers some conditions. The others prune row groups and pages here, and are applied once more after
        // the scan.
        let support = |filter: &&Expr| match matches_query(filter) {
            Some(_) if self.name == TableName::Events => TableProviderFilterPushDown::Exact,
            _ => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut source = ParquetSource::new(self.scan.clone());
        let (asked, filters): (Vec<&Expr>, Vec<&Expr>) = filters
            .iter()
            .partition(|filter| self.name == TableName::Events && matches_query(filter).is_some());
        let queries: Vec<&str> = asked.into_iter().filter_map(matches_query).collect();
        if let Some(filter) = conjunction(filters.into_iter().cloned()) {
            let schema = DFSchema::try_from(self.schema())?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let width = state.config().target_partitions().max(1);
        let mut groups = vec![Vec::new(); width.min(self.snapshot.files.len()).max(1)];
        let count = groups.len();
        for (n, file) in self.selected(&queries).await?.into_iter().enumerate() {
            groups[n % count].push(file);
        }
        let config = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(groups.into_iter().map(FileGroup::new).collect())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
