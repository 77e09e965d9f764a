//! Operators with the meaning of Hive and Spark: `/` gives a fraction and NULL for 0, text next to a number is read as a number.

use datafusion::{
    arrow::datatypes::DataType,
    common::{DFSchema, ScalarValue},
    error::Result,
    logical_expr::{
        BinaryExpr, Expr, ExprSchemable, Operator, ScalarUDF, cast, lit,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};
use foggara_domain::sql::SqlDialect;
use std::sync::Arc;

use crate::{
    fault::Fault,
    functions::{cast as casts, decimal},
    kind,
};

/// Plans operators.
#[derive(Debug)]
pub struct Operators {
    dialect: SqlDialect,
    cast: Arc<ScalarUDF>,
    divide: Arc<ScalarUDF>,
    nullif: Arc<ScalarUDF>,
}

impl Operators {
    /// For a dialect; Presto's operators are those of DataFusion but for decimals.
    pub fn new(dialect: SqlDialect) -> Self {
        Self {
            dialect,
            cast: Arc::clone(&casts::functions()[0]),
            divide: decimal::divide(dialect == SqlDialect::Presto),
            nullif: datafusion::functions::core::nullif(),
        }
    }

    /// CAST as a script's own.
    fn to(&self, value: Expr, kind: &DataType) -> Expr {
        self.cast.call(vec![value, lit(kind::show(kind))])
    }

    /// NULL instead of 0.
    fn not_zero(&self, value: Expr, kind: &DataType) -> Result<Expr> {
        let zero = ScalarValue::Int64(Some(0)).cast_to(kind)?;
        Ok(self.nullif.call(vec![value, Expr::Literal(zero, None)]))
    }

    fn divide(&self, left: Expr, right: Expr, kinds: (&DataType, &DataType)) -> Result<Expr> {
        let as_decimal = |value: &Expr, kind: &DataType| match kind {
            DataType::Decimal128(..) => Some(kind.clone()),
            _ => digits(value, kind).map(|digits| DataType::Decimal128(digits, 0)),
        };
        let exact = matches!(kinds.0, DataType::Decimal128(..)) || matches!(kinds.1, DataType::Decimal128(..));
        if exact && let (Some(left_kind), Some(right_kind)) = (as_decimal(&left, kinds.0), as_decimal(&right, kinds.1))
        {
            return Ok(self.divide.call(vec![cast(left, left_kind), cast(right, right_kind)]));
        }
        let (left, right) = (self.to(left, &DataType::Float64), self.to(right, &DataType::Float64));
        Ok(binary(left, Operator::Divide, self.not_zero(right, &DataType::Float64)?))
    }
}

/// Digits of a whole number; those of a literal are counted, as Spark does.
fn digits(value: &Expr, kind: &DataType) -> Option<u8> {
    if let Expr::Literal(literal, _) = value
        && kind.is_integer()
    {
        let text = literal.to_string();
        return u8::try_from(text.trim_start_matches('-').len()).ok();
    }
    match kind {
        DataType::Int8 => Some(3),
        DataType::Int16 => Some(5),
        DataType::Int32 => Some(10),
        DataType::Int64 => Some(20),
        _ => None,
    }
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// Types between which text is read as the other one.
fn scalar(kind: &DataType) -> bool {
    kind.is_numeric() || matches!(kind, DataType::Boolean | DataType::Date32 | DataType::Timestamp(..))
}

fn interval(kind: &DataType) -> bool {
    matches!(kind, DataType::Interval(_) | DataType::Duration(_))
}

/// Whether a quotient is a decimal.
fn decimals(left: &DataType, right: &DataType) -> bool {
    let decimal = |kind: &DataType| matches!(kind, DataType::Decimal128(..));
    (decimal(left) || decimal(right)) && (decimal(left) || left.is_integer()) && (decimal(right) || right.is_integer())
}

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (left, right) = (raw.left.get_type(schema)?, raw.right.get_type(schema)?);
        if raw.op == BinaryOperator::Minus && left.is_temporal() && right.is_temporal() && !interval(&right) {
            return Err(Fault::new("a time minus a time does not run here")
                .hint("datediff counts days, unix_timestamp seconds")
                .carried());
        }
        if self.dialect == SqlDialect::Presto {
            return match raw.op {
                BinaryOperator::Divide if decimals(&left, &right) => {
                    Ok(PlannerResult::Planned(self.divide(raw.left, raw.right, (&left, &right))?))
                }
                _ => Ok(PlannerResult::Original(raw)),
            };
        }
        let (left_text, right_text) = (left.is_string(), right.is_string());
        let number = |kind: &DataType| kind.is_numeric() || kind.is_string();
        match raw.op {
            BinaryOperator::Divide if number(&left) && number(&right) => {
                Ok(PlannerResult::Planned(self.divide(raw.left, raw.right, (&left, &right))?))
            }
            BinaryOperator::Modulo if number(&left) && number(&right) => {
                let (mut a, mut b, mut kind) = (raw.left, raw.right, right);
                if left_text {
                    a = self.to(a, &DataType::Float64);
                }
                if right_text {
                    b = self.to(b, &DataType::Float64);
                    kind = DataType::Float64;
                }
                Ok(PlannerResult::Planned(binary(a, Operator::Modulo, self.not_zero(b, &kind)?)))
            }
            BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply
                if (left_text && number(&right)) || (right_text && number(&left)) =>
            {
                let op = match raw.op {
                    BinaryOperator::Plus => Operator::Plus,
                    BinaryOperator::Minus => Operator::Minus,
                    _ => Operator::Multiply,
                };
                let side = |value: Expr, text: bool| if text { self.to(value, &DataType::Float64) } else { value };
                Ok(PlannerResult::Planned(binary(side(raw.left, left_text), op, side(raw.right, right_text))))
            }
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
                if (left_text && scalar(&right)) || (right_text && scalar(&left)) =>
            {
                let other = if left_text { &right } else { &left };
                // Spark reads text as the other type, Hive numbers as DOUBLE.
                let target = match other {
                    DataType::Decimal128(..) | DataType::Decimal256(..) => DataType::Float64,
                    kind if kind.is_numeric() && self.dialect == SqlDialect::Hive => DataType::Float64,
                    DataType::Timestamp(..) => kind::TIMESTAMP,
                    kind => kind.clone(),
                };
                let side = |value: Expr, text: bool| {
                    if text || (target == DataType::Float64 && *other != target) {
                        self.to(value, &target)
                    } else {
                        value
                    }
                };
                let (left, right) = (side(raw.left, left_text), side(raw.right, right_text));
                Ok(PlannerResult::Original(RawBinaryExpr { op: raw.op, left, right }))
            }
            _ => Ok(PlannerResult::Original(raw)),
        }
    }
}
