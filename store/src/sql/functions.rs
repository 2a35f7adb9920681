//! Functions of the SQL of this store: `matches('query')`, which the index answers, and `native(raw, 'path')`.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, visit_expressions_mut,
};

use crate::query::{native_values, parse_native};

/// The name of the function that asks the index.
const MATCHES: &str = "matches";

/// A column that only the events table has. `matches` is given it, so that whatever moves conditions to their tables moves
/// it there, and takes it for no constant.
const EVENT_COLUMN: &str = "event_id";

/// Every function.
pub(super) fn functions() -> [ScalarUDF; 2] {
    [ScalarUDF::from(Matches::new()), ScalarUDF::from(NativeField::new())]
}

/// Gives each `matches('query')` of a statement the column of the events table that it stands for. Where a statement has
/// several such tables, the column is to be written: `matches(e.event_id, 'query')`.
pub(super) fn bind_matches(statement: &mut Statement) {
    match statement {
        Statement::Statement(statement) => {
            let _: ControlFlow<()> = visit_expressions_mut(statement.as_mut(), |expr| {
                if let SqlExpr::Function(function) = expr
                    && function.name.to_string().eq_ignore_ascii_case(MATCHES)
                    && let FunctionArguments::List(list) = &mut function.args
                    && list.args.len() == 1
                {
                    let column = SqlExpr::Identifier(Ident::new(EVENT_COLUMN));
                    list.args.insert(0, FunctionArg::Unnamed(FunctionArgExpr::Expr(column)));
                }
                ControlFlow::Continue(())
            });
        }
        Statement::Explain(explain) => bind_matches(&mut explain.statement),
        _ => {}
    }
}

/// The query of a condition that is `matches(column, 'query')`.
pub(super) fn matches_query(condition: &Expr) -> Option<&str> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = condition else {
        return None;
    };
    match args.as_slice() {
        [
            Expr::Column(_),
            Expr::Literal(ScalarValue::Utf8(Some(query)) | ScalarValue::Utf8View(Some(query)), _),
        ] if func.name() == MATCHES => Some(query),
        _ => None,
    }
}

/// Stands for a query of the query language. It is taken out of the plan where the table is read; one that is left cannot be
/// answered by an index.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Matches {
    signature: Signature,
}

impl Matches {
    fn new() -> Self {
        Self {
            signature: Signature::new(
                TypeSignature::Exact(vec![DataType::Utf8, DataType::Utf8]),
                Volatility::Immutable,
            ),
        }
    }
}

impl ScalarUDFImpl for Matches {
    fn name(&self) -> &str {
        MATCHES
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!(
            "matches('query') stands in WHERE, joined to other conditions by AND, with its query written out; OR and NOT belong into the query itself"
        )
    }
}

/// A field of the source's own record: the text of its first value.
#[derive(Debug, PartialEq, Eq, Hash)]
struct NativeField {
    signature: Signature,
}

impl NativeField {
    fn new() -> Self {
        Self {
            signature: Signature::new(
                TypeSignature::Exact(vec![DataType::Utf8, DataType::Utf8]),
                Volatility::Immutable,
            ),
        }
    }
}

impl ScalarUDFImpl for NativeField {
    fn name(&self) -> &'static str {
        "native"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [records, path] = args.args.as_slice() else {
            return plan_err!("native(raw, 'path') takes a record and a path");
        };
        let ColumnarValue::Scalar(ScalarValue::Utf8(Some(path))) = path else {
            return plan_err!("the path of native(raw, 'path') is to be written out");
        };
        let records = records.to_array(rows)?;
        let records = records.as_string::<i32>();
        let mut out = StringBuilder::new();
        for record in records {
            out.append_option(record.and_then(|record| first_value(record, path)));
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish()) as ArrayRef))
    }
}

fn first_value(record: &str, path: &str) -> Option<String> {
    let record = parse_native(record);
    let mut found = None;
    native_values(&record, path, &mut |value| {
        if !value.is_null() {
            found = Some(value.to_text().into_owned());
        }
        found.is_some()
    });
    found
}
