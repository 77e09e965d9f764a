//! LATERAL VIEW and generators among the columns, as tables of the query.

use datafusion::sql::sqlparser::{
    ast::{
        Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator,
        ObjectName, Select, SelectItem, Spanned, TableAlias, TableFactor, TableWithJoins, VisitMut,
    },
    parser::Parser,
};
use foggara_domain::sql::SqlDialect;
use std::ops::ControlFlow;

use super::{LATERAL, Lateral, Rewriter};
use crate::{
    dialect::Words,
    fault::{Fault, Outcome},
    functions::table::GENERATORS,
};

impl Rewriter {
    /// Takes generators out of the columns and LATERAL VIEWs off the query; both become tables.
    pub fn generators(&mut self, select: &mut Select) -> Outcome<()> {
        let mut laterals = Vec::new();
        for view in std::mem::take(&mut select.lateral_views) {
            let place = view.lateral_view.span().start;
            let Expr::Function(function) = &view.lateral_view else {
                return Err(Fault::new("LATERAL VIEW needs explode or posexplode").at(place));
            };
            let name = function.name.to_string().to_lowercase();
            if !GENERATORS.contains(&name.as_str()) {
                return Err(Fault::new(format!("LATERAL VIEW {name} does not run here"))
                    .at(place)
                    .hint("explode and posexplode run"));
            }
            laterals.push(Lateral {
                argument: single(&function.args, &name).map_err(|fault| fault.at(place))?,
                position: name.starts_with("pos"),
                outer: view.outer || name.ends_with("_outer"),
                table: view.lateral_view_name.to_string().to_lowercase(),
                columns: view.lateral_col_alias.iter().map(|name| name.value.to_lowercase()).collect(),
            });
        }
        for item in &mut select.projection {
            let (expr, names): (&Expr, Vec<String>) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, Vec::new()),
                SelectItem::ExprWithAlias { expr, alias } => (expr, vec![alias.value.to_lowercase()]),
                SelectItem::ExprWithAliases { expr, aliases } => {
                    (expr, aliases.iter().map(|name| name.value.to_lowercase()).collect())
                }
                _ => continue,
            };
            let Expr::Function(function) = expr else { continue };
            let name = function.name.to_string().to_lowercase();
            if !GENERATORS.contains(&name.as_str()) {
                continue;
            }
            let place = expr.span().start;
            if !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty()) {
                return Err(Fault::new(format!("{name} next to GROUP BY does not run here"))
                    .at(place)
                    .hint("use LATERAL VIEW or a subquery"));
            }
            let table = format!("__rows_{}", self.next());
            laterals.push(Lateral {
                argument: single(&function.args, &name).map_err(|fault| fault.at(place))?,
                position: name.starts_with("pos"),
                outer: name.ends_with("_outer"),
                table: table.clone(),
                columns: names,
            });
            *item = SelectItem::QualifiedWildcard(
                datafusion::sql::sqlparser::ast::SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![
                    Ident::new(table),
                ])),
                Default::default(),
            );
        }
        for mut lateral in laterals {
            if let ControlFlow::Break(fault) = lateral.argument.visit(self) {
                return Err(fault);
            }
            let name = format!("{LATERAL}{}", self.next());
            let mut from = std::mem::take(&mut select.from).into_iter();
            let mut base = match from.next() {
                Some(first) => first,
                None => one_row()?,
            };
            for table in from {
                let cross = JoinOperator::CrossJoin(JoinConstraint::None);
                base.joins.push(Join { relation: table.relation, global: false, join_operator: cross });
                base.joins.extend(table.joins);
            }
            let alias = TableAlias { explicit: true, name: Ident::new(&name), columns: Vec::new(), at: None };
            let relation = TableFactor::NestedJoin { table_with_joins: Box::new(base), alias: Some(alias) };
            select.from = vec![TableWithJoins { relation, joins: Vec::new() }];
            self.aside.laterals.lock().expect("no panic while held").insert(name, lateral);
        }
        Ok(())
    }
}

/// The only argument of a generator.
fn single(arguments: &FunctionArguments, name: &str) -> Outcome<Expr> {
    match arguments {
        FunctionArguments::List(list) => match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] => Ok(argument.clone()),
            _ => Err(Fault::new(format!("{name} takes one argument"))),
        },
        _ => Err(Fault::new(format!("{name} takes one argument"))),
    }
}

/// A table of one row without meaning, for a query without FROM.
fn one_row() -> Outcome<TableWithJoins> {
    let words = Words(SqlDialect::Hive);
    Ok(Parser::new(&words).try_with_sql("(SELECT 1 AS __one) __one")?.parse_table_and_joins()?)
}
