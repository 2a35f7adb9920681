//! Functions that make much of little: `repeat('x', 1000000000)`. How much they would make is reckoned before they do.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, resources_err};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// How many bytes a function makes of its arguments, about; `None` where that cannot be said.
type Reckoning = fn(&[ColumnarValue], usize) -> Option<u128>;

/// The functions that may make more than a small multiple of what they are given, by their names.
pub(super) const MULTIPLIERS: &[(&str, Reckoning)] = &[
    ("array_repeat", |args, rows| {
        product(sizes(args.first()?, rows), numbers(args.get(1)?)?, rows)
    }),
    ("array_resize", |args, rows| {
        product(Column::One(8), numbers(args.get(1)?)?, rows)
    }),
    ("generate_series", series),
    ("lpad", |args, rows| {
        product(Column::One(1), numbers(args.get(1)?)?, rows)
    }),
    ("range", series),
    ("repeat", |args, rows| {
        product(lengths(args.first()?)?, numbers(args.get(1)?)?, rows)
    }),
    ("replace", replaced),
    ("rpad", |args, rows| {
        product(Column::One(1), numbers(args.get(1)?)?, rows)
    }),
];

/// A function that refuses to make more than so many bytes of one batch.
#[derive(Debug)]
pub(super) struct Bounded {
    inner: Arc<ScalarUDF>,
    reckoning: Reckoning,
    max_bytes: usize,
}

impl Bounded {
    pub(super) fn new(inner: Arc<ScalarUDF>, reckoning: Reckoning, max_bytes: usize) -> Self {
        Self {
            inner,
            reckoning,
            max_bytes,
        }
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner && self.max_bytes == other.max_bytes
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.inner.evaluate_bounds(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let made = (self.reckoning)(&args.args, rows_of(&args));
        if let Some(made) = made.filter(|made| *made > self.max_bytes as u128) {
            return resources_err!(
                "{} would make {made} bytes at once, more than {}",
                self.name(),
                self.max_bytes
            );
        }
        self.inner.invoke_with_args(args)
    }
}

/// Rows that the function is to answer: one, where all of its arguments are the same for every row.
fn rows_of(args: &ScalarFunctionArgs) -> usize {
    let is_scalar = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
    if args.args.iter().all(is_scalar) {
        1
    } else {
        args.number_rows
    }
}

/// A number for each row.
enum Column {
    One(u64),
    Many(Vec<u64>),
}

impl Column {
    fn at(&self, row: usize) -> u128 {
        u128::from(match self {
            Self::One(number) => *number,
            Self::Many(numbers) => numbers.get(row).copied().unwrap_or(0),
        })
    }
}

fn product(a: Column, b: Column, rows: usize) -> Option<u128> {
    Some(
        (0..rows)
            .map(|row| a.at(row).saturating_mul(b.at(row)))
            .fold(0, u128::saturating_add),
    )
}

/// The argument as an array: of one member, where it is the same for every row.
fn array(argument: &ColumnarValue) -> Option<ArrayRef> {
    argument.to_array(1).ok().filter(|array| !array.is_empty())
}

fn column(argument: &ColumnarValue, numbers: Vec<u64>) -> Column {
    match argument {
        ColumnarValue::Scalar(_) => Column::One(numbers.first().copied().unwrap_or(0)),
        ColumnarValue::Array(_) => Column::Many(numbers),
    }
}

/// Whole numbers; what is less than nothing makes nothing.
fn numbers(argument: &ColumnarValue) -> Option<Column> {
    let numbers = integers(argument)?.into_iter().map(|n| u64::try_from(n).unwrap_or(0));
    Some(column(argument, numbers.collect()))
}

fn integers(argument: &ColumnarValue) -> Option<Vec<i64>> {
    let array = cast(&array(argument)?, &DataType::Int64).ok()?;
    let numbers = array.as_primitive::<Int64Type>();
    Some(numbers.iter().map(Option::unwrap_or_default).collect())
}

/// The texts.
fn texts(argument: &ColumnarValue) -> Option<Vec<String>> {
    let array = cast(&array(argument)?, &DataType::LargeUtf8).ok()?;
    let texts = array.as_string::<i64>();
    Some(texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect())
}

/// Bytes of each text.
fn lengths(argument: &ColumnarValue) -> Option<Column> {
    let array = array(argument)?;
    let of = |length: Option<usize>| length.unwrap_or(0) as u64;
    let lengths = match array.data_type() {
        DataType::Utf8 => array
            .as_string::<i32>()
            .iter()
            .map(|text| of(text.map(str::len)))
            .collect(),
        DataType::LargeUtf8 => array
            .as_string::<i64>()
            .iter()
            .map(|text| of(text.map(str::len)))
            .collect(),
        DataType::Utf8View => array
            .as_string_view()
            .iter()
            .map(|text| of(text.map(str::len)))
            .collect(),
        _ => return None,
    };
    Some(column(argument, lengths))
}

/// Bytes of each value, on the average.
fn sizes(argument: &ColumnarValue, rows: usize) -> Column {
    let bytes = match argument {
        ColumnarValue::Scalar(value) => value.size().saturating_sub(size_of::<ScalarValue>()),
        ColumnarValue::Array(array) => array.get_array_memory_size() / rows.max(1),
    };
    Column::One(bytes.max(8) as u64)
}

/// Members of `range(stop)`, `range(start, stop)` or `range(start, stop, step)` of numbers, eight bytes each.
fn series(args: &[ColumnarValue], rows: usize) -> Option<u128> {
    let columns: Vec<Vec<i64>> = args.iter().map(integers).collect::<Option<_>>()?;
    let at = |n: usize, row: usize| {
        let column = columns.get(n)?;
        column.get(if column.len() == 1 { 0 } else { row }).copied()
    };
    let members = |row: usize| {
        let (start, stop, step) = match columns.len() {
            1 => (0, at(0, row)?, 1),
            _ => (at(0, row)?, at(1, row)?, at(2, row).unwrap_or(1)),
        };
        Some(u128::from(stop.abs_diff(start)) / u128::from(step.unsigned_abs().max(1)) + 1)
    };
    let members = (0..rows).map(|row| members(row).unwrap_or(0));
    Some(members.fold(0, |sum: u128, members| sum.saturating_add(members.saturating_mul(8))))
}

/// What is left of each text, and what comes in place of what is replaced.
fn replaced(args: &[ColumnarValue], rows: usize) -> Option<u128> {
    let [text, from, to] = args else { return None };
    let (length, by) = (lengths(text)?, lengths(to)?);
    // Most that there can be: only where that is much is counted.
    let most = (0..rows).map(|row| {
        length
            .at(row)
            .saturating_add(1)
            .saturating_mul(by.at(row).saturating_add(1))
    });
    let most = most.fold(0, u128::saturating_add);
    if most < 1 << 20 {
        return Some(most);
    }
    let (texts, from) = (texts(text)?, texts(from)?);
    let at = |column: &'_ [String], row: usize| column.get(if column.len() == 1 { 0 } else { row }).cloned();
    let made = |row: usize| {
        let (text, from) = (at(&texts, row)?, at(&from, row)?);
        let places = if from.is_empty() {
            0
        } else {
            text.matches(&from).count()
        };
        Some((text.len() as u128).saturating_add((places as u128).saturating_mul(by.at(row))))
    };
    Some((0..rows).filter_map(made).fold(0, u128::saturating_add))
}
