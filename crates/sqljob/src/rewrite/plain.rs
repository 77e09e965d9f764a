//! Operators, casts and literals that DataFusion reads in another way.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DataType as SqlType, Expr, FunctionArg,
    FunctionArgExpr, FunctionArguments, Spanned, Subscript, TimezoneInfo, UnaryOperator, Value,
};

use super::{Rewriter, form};
use crate::{
    fault::{Fault, Outcome},
    functions::table::PARTS,
};

impl Rewriter {
    /// Operators and literals that DataFusion reads in another way.
    pub fn plain(&self, expr: &mut Expr) -> Outcome<()> {
        let place = expr.span().start;
        match expr {
            Expr::Value(value) if self.presto() => {
                if let Value::Number(number, _) = &value.value
                    && number.contains(['e', 'E'])
                {
                    *expr = form(&format!("CAST('{number}' AS DOUBLE)"), &[])?;
                }
            }
            Expr::TypedString(typed)
                if !matches!(typed.data_type, SqlType::Date | SqlType::Timestamp(None, TimezoneInfo::None)) =>
            {
                return Err(Fault::new(format!("a literal of the type {} does not run here", typed.data_type))
                    .at(place)
                    .hint("DATE '..' and TIMESTAMP '..' do; use CAST for others"));
            }
            Expr::Value(value) => match &value.value {
                Value::DoubleQuotedString(text) => value.value = Value::SingleQuotedString(text.clone()),
                Value::Number(number, _) if number.contains(['e', 'E']) => {
                    *expr = form(&format!("hive_cast('{number}', 'double')"), &[])?
                }
                _ => {}
            },
            Expr::Cast {
                kind: CastKind::Cast | CastKind::TryCast | CastKind::DoubleColon,
                expr: inner,
                data_type,
                format,
                ..
            } if !self.presto() => {
                if format.is_some() {
                    return Err(Fault::new("CAST .. FORMAT does not run here").at(place));
                }
                let word = data_type.to_string();
                let kind = crate::kind::parse(&word).map_err(|fault| fault.at(place))?;
                let text = match crate::kind::length(&word) {
                    Some(length) => {
                        format!("hive_substring(hive_cast(__0, 'string'), CAST(1 AS BIGINT), CAST({length} AS BIGINT))")
                    }
                    None => format!("hive_cast(__0, '{}')", crate::kind::show(&kind)),
                };
                *expr = form(&text, &[(**inner).clone()])?;
            }
            Expr::Cast { kind: CastKind::Cast | CastKind::TryCast, expr: inner, data_type, .. } => {
                // Presto: fractions are rounded; a bad text is an error, which DataFusion has too.
                let word = data_type.to_string();
                let kind = crate::kind::parse(&word).map_err(|fault| fault.at(place))?;
                let (inner, length) = ((**inner).clone(), crate::kind::length(&word));
                if kind.is_integer() {
                    let text = "hive_whole(__0)";
                    if let Expr::Cast { expr: inner_expr, .. } = expr {
                        **inner_expr = form(text, &[inner])?;
                    }
                } else if kind == datafusion::arrow::datatypes::DataType::Utf8 {
                    let text = match length {
                        Some(length) => {
                            format!("hive_substring(hive_words(__0), CAST(1 AS BIGINT), CAST({length} AS BIGINT))")
                        }
                        None => "hive_words(__0)".to_owned(),
                    };
                    *expr = form(&text, &[inner])?;
                }
            }
            Expr::UnaryOp { op: op @ UnaryOperator::BangNot, .. } => *op = UnaryOperator::Not,
            Expr::Like { expr: inner, .. } if !self.presto() => {
                **inner = form("hive_text(__0)", std::slice::from_ref(inner))?;
            }
            Expr::Extract { field, .. } if !PARTS.contains(&field.to_string().to_uppercase().as_str()) => {
                return Err(Fault::new(format!("EXTRACT of {field} does not run here")).at(place).hint(
                    "YEAR, QUARTER, MONTH, WEEK, DAY, DOY, HOUR and MINUTE do; use dayofweek or second for others",
                ));
            }
            Expr::BinaryOp { left, op: BinaryOperator::Spaceship, right } => {
                *expr = Expr::IsNotDistinctFrom(left.clone(), right.clone());
            }
            Expr::BinaryOp { left, op: BinaryOperator::MyIntegerDivide, right } => {
                let sides = [(**left).clone(), (**right).clone()];
                *expr = form("hive_div(hive_cast(__0, 'bigint'), hive_cast(__1, 'bigint'))", &sides)?;
            }
            Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } if !self.presto() => {
                // One call for a chain: types of calls inside of each other are computed again at each step.
                if let Expr::Function(function) = &mut **left
                    && function.name.to_string() == "concat"
                    && let FunctionArguments::List(list) = &mut function.args
                {
                    let right = form("hive_text(__0)", std::slice::from_ref(right))?;
                    list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(right)));
                    *expr = std::mem::replace(&mut **left, Expr::Value(Value::Null.into()));
                    return Ok(());
                }
                *expr = form("concat(hive_text(__0), hive_text(__1))", &[(**left).clone(), (**right).clone()])?;
            }
            // Apart, so that each comparison is read with the types of its own sides.
            Expr::Between { expr: inner, negated, low, high } if !self.presto() => {
                let text = if *negated { "(__0 < __1 OR __0 > __2)" } else { "(__0 >= __1 AND __0 <= __2)" };
                *expr = form(text, &[(**inner).clone(), (**low).clone(), (**high).clone()])?;
            }
            Expr::InList { expr: inner, list, negated } if !self.presto() => {
                let inner = (**inner).clone();
                let parts: Outcome<Vec<Expr>> =
                    list.iter().map(|item| form("__0 = __1", &[inner.clone(), item.clone()])).collect();
                if let Some(parts) = any(parts?) {
                    *expr = form(if *negated { "(NOT (__0))" } else { "(__0)" }, &[parts])?;
                }
            }
            Expr::Case { operand: operand @ Some(_), conditions, .. } if !self.presto() => {
                if let Some(inner) = operand.take() {
                    for CaseWhen { condition, .. } in conditions {
                        *condition = form("(__0 = __1)", &[(*inner).clone(), condition.clone()])?;
                    }
                }
            }
            Expr::RLike { negated, expr: inner, pattern, .. } => {
                let text =
                    if *negated { "(NOT hive_rlike(hive_text(__0), __1))" } else { "hive_rlike(hive_text(__0), __1)" };
                *expr = form(text, &[(**inner).clone(), (**pattern).clone()])?;
            }
            Expr::Substring { expr: inner, substring_from, substring_for, .. } => {
                let mut arguments = vec![(**inner).clone()];
                arguments.extend(substring_from.iter().map(|from| (**from).clone()));
                arguments.extend(substring_for.iter().map(|length| (**length).clone()));
                *expr = self.known("substring", &arguments, place)?;
            }
            Expr::Ceil { expr: inner, field: CeilFloorKind::DateTimeField(_) } => {
                *expr = self.known("ceil", &[(**inner).clone()], place)?
            }
            Expr::Floor { expr: inner, field: CeilFloorKind::DateTimeField(_) } => {
                *expr = self.known("floor", &[(**inner).clone()], place)?
            }
            Expr::Position { expr: inner, r#in } => {
                *expr = form("CAST(strpos(__1, __0) AS INT)", &[(**inner).clone(), (**r#in).clone()])?;
            }
            // Lists begin with 0 in Hive and Spark, with 1 in DataFusion.
            Expr::CompoundFieldAccess { access_chain, .. } if !self.presto() => {
                for access in access_chain {
                    match access {
                        AccessExpr::Subscript(Subscript::Index { index }) => {
                            if !matches!(index, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
                            {
                                *index = form(
                                    "CASE WHEN hive_cast(__0, 'bigint') >= 0 THEN hive_cast(__0, 'bigint') + 1 END",
                                    std::slice::from_ref(index),
                                )?;
                            }
                        }
                        AccessExpr::Subscript(_) => {
                            return Err(Fault::new("a part of a list with [a:b] does not run here").at(place));
                        }
                        AccessExpr::Dot(_) => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Conditions joined by OR, as a tree that is as flat as can be.
fn any(mut parts: Vec<Expr>) -> Option<Expr> {
    if parts.len() < 2 {
        return parts.pop();
    }
    let right = parts.split_off(parts.len() / 2);
    let (left, right) = (any(parts)?, any(right)?);
    Some(Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::Or,
        right: Box::new(right),
    })))
}
