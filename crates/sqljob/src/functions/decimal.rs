//! Division of decimals with the digits that Hive and Spark give.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array},
        datatypes::{DataType, Decimal128Type, Int64Type, i256},
    },
    common::ScalarValue,
    error::Result,
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};

use super::scalar::Scalar;
use crate::fault::Fault;

/// The functions of this module.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        divide(false),
        divide(true),
        Scalar::udf("hive_div", &[DataType::Int64, DataType::Int64], 2, DataType::Int64, div),
    ]
}

/// The division of decimals, of Presto or of the others.
pub fn divide(presto: bool) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Divide { presto, signature: Signature::user_defined(Volatility::Immutable) }))
}

/// Whole numbers, cut towards zero; NULL for a divisor of 0.
fn div(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (left, right) = (columns[0].as_primitive::<Int64Type>(), columns[1].as_primitive::<Int64Type>());
    let values: Int64Array = left
        .iter()
        .zip(right)
        .map(|(left, right)| right.filter(|right| *right != 0).zip(left).map(|(right, left)| left.wrapping_div(right)))
        .collect();
    Ok(Arc::new(values))
}

/// `hive_divide(a, b)`: rounded half up; for a divisor of 0 NULL, in Presto an error.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Divide {
    presto: bool,
    signature: Signature,
}

/// Precision and scale of a quotient: the rule of Hive's and Spark's documentation, with at least six digits behind the point when
/// 38 digits do not hold all.
pub fn quotient(left: (u8, i8), right: (u8, i8)) -> (u8, i8) {
    let (p1, s1, p2, s2) = (i32::from(left.0), i32::from(left.1), i32::from(right.0), i32::from(right.1));
    let scale = 6.max(s1 + p2 + 1);
    let precision = p1 - s1 + s2 + scale;
    if precision <= 38 {
        return (u8::try_from(precision).unwrap_or(38), i8::try_from(scale).unwrap_or(6));
    }
    let whole = precision - scale;
    (38, i8::try_from((38 - whole).max(scale.min(6))).unwrap_or(6))
}

/// The rule of Presto's documentation: the digits of the side that has more.
fn presto_quotient(left: (u8, i8), right: (u8, i8)) -> (u8, i8) {
    let (p1, s1, s2) = (i32::from(left.0), i32::from(left.1), i32::from(right.1));
    let precision = 38.min(p1 + s2 + 0.max(s2 - s1));
    (u8::try_from(precision).unwrap_or(38), i8::try_from(s1.max(s2)).unwrap_or(0))
}

fn sizes(kind: &DataType) -> Result<(u8, i8)> {
    match kind {
        DataType::Decimal128(precision, scale) => Ok((*precision, *scale)),
        other => Err(Fault::new(format!("{other} is not a decimal")).carried()),
    }
}

impl ScalarUDFImpl for Divide {
    fn name(&self) -> &str {
        if self.presto { "presto_divide" } else { "hive_divide" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        Ok(kinds.to_vec())
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        let rule = if self.presto { presto_quotient } else { quotient };
        let (precision, scale) = rule(sizes(&kinds[0])?, sizes(&kinds[1])?);
        Ok(DataType::Decimal128(precision, scale))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let (left, right) = (columns[0].as_primitive::<Decimal128Type>(), columns[1].as_primitive::<Decimal128Type>());
        let ((_, s1), (_, s2)) = (sizes(left.data_type())?, sizes(right.data_type())?);
        let (precision, scale) = sizes(args.return_field.data_type())?;
        let shift = i32::from(scale) - i32::from(s1) + i32::from(s2);
        let factor = i256::from_i128(10).wrapping_pow(u32::try_from(shift.max(0)).unwrap_or(0));
        let bound = i256::from_i128(10_i128.pow(u32::from(precision)));
        let zero = |row: usize| left.is_valid(row) && right.is_valid(row) && right.value(row) == 0;
        if self.presto && (0..left.len()).any(zero) {
            return Err(Fault::new("division by zero").hint("nullif(divisor, 0) gives NULL").carried());
        }
        let values: Decimal128Array = (0..left.len())
            .map(|row| {
                if left.is_null(row) || right.is_null(row) || right.value(row) == 0 {
                    return None;
                }
                let divisor = i256::from_i128(right.value(row));
                let number = i256::from_i128(left.value(row)).checked_mul(factor)?;
                let (whole, rest) = (number.wrapping_div(divisor), number.wrapping_rem(divisor));
                let half = rest.wrapping_abs().wrapping_mul(i256::from_i128(2)) >= divisor.wrapping_abs();
                let sign = if (left.value(row) < 0) == (right.value(row) < 0) { i256::ONE } else { i256::MINUS_ONE };
                let rounded = if half { whole.wrapping_add(sign) } else { whole };
                (rounded.wrapping_abs() < bound).then(|| rounded.to_i128()).flatten()
            })
            .collect();
        let values: ArrayRef = Arc::new(values.with_precision_and_scale(precision, scale)?);
        if scalar && values.len() == 1 {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?));
        }
        Ok(ColumnarValue::Array(values))
    }
}

#[cfg(test)]
mod tests {
    use super::quotient;

    /// Spark's documentation of `DecimalPrecision`.
    #[test]
    fn sizes_of_a_quotient() {
        assert_eq!(quotient((12, 2), (12, 2)), (27, 15));
        assert_eq!(quotient((38, 2), (38, 2)), (38, 6));
        assert_eq!(quotient((2, 1), (2, 1)), (8, 6));
    }
}
