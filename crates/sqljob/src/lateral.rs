//! Generators as a part of the plan: the rows of a list or a map next to the row that holds it.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    common::{Column, NullHandling, TableReference, UnnestOptions},
    error::Result,
    logical_expr::{
        Expr, ExprSchemable, LogicalPlanBuilder, lit,
        planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning},
    },
    sql::sqlparser::ast::TableFactor,
};

use crate::{
    fault::Fault,
    rewrite::{Aside, LATERAL},
};

/// Plans what [`crate::rewrite`] put in the place of LATERAL VIEW.
#[derive(Debug)]
pub struct Laterals(pub Arc<Aside>);

impl RelationPlanner for Laterals {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (base, lateral) = match &relation {
            TableFactor::NestedJoin { table_with_joins, alias: Some(alias) }
                if alias.name.value.starts_with(LATERAL) =>
            {
                let laterals = self.0.laterals.lock().expect("no panic while held");
                let Some(lateral) = laterals.get(&alias.name.value).cloned() else {
                    return Ok(RelationPlanning::Original(Box::new(relation)));
                };
                (TableFactor::NestedJoin { table_with_joins: table_with_joins.clone(), alias: None }, lateral)
            }
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        let plan = context.plan(base)?;
        let argument = context.sql_to_expr(lateral.argument, plan.schema())?;
        let kind = argument.get_type(plan.schema())?;
        let mut made: Vec<(Expr, &str)> = Vec::new();
        match &kind {
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => made.push((argument, "col")),
            DataType::Map(..) => {
                made.push((datafusion::functions_nested::map_keys::map_keys_udf().call(vec![argument.clone()]), "key"));
                made.push((datafusion::functions_nested::map_values::map_values_udf().call(vec![argument]), "value"));
            }
            other => {
                return Err(Fault::new(format!("explode takes a list or a map, not {}", crate::kind::show(other)))
                    .hint("split(text, ',') makes a list")
                    .carried());
            }
        }
        if lateral.position {
            let length = datafusion::functions_nested::length::array_length_udf().call(vec![made[0].0.clone()]);
            let last = datafusion::logical_expr::cast(length, DataType::Int64) - lit(1_i64);
            let range = datafusion::functions_nested::range::gen_series_udf().call(vec![lit(0_i64), last]);
            made.insert(0, (range, "pos"));
        }
        if !lateral.columns.is_empty() && lateral.columns.len() != made.len() {
            return Err(Fault::new(format!(
                "the generator gives {} columns, but {} names stand after AS",
                made.len(),
                lateral.columns.len()
            ))
            .carried());
        }
        let table = TableReference::bare(lateral.table.as_str());
        let kept: Vec<Expr> =
            plan.schema().columns().into_iter().filter(|column| column.name != "__one").map(Expr::Column).collect();
        let (mut before, mut after) = (kept.clone(), kept);
        let mut unnested = Vec::new();
        // Making rows loses the name of the table; a name that nothing else has leads to the column until it gets its own.
        for (index, (expr, default)) in made.into_iter().enumerate() {
            let name = lateral.columns.get(index).map_or(default, String::as_str);
            let inner = format!("__made_{}_{index}", lateral.table);
            before.push(expr.alias(&inner));
            after.push(Expr::Column(Column::from_name(&inner)).alias_qualified(Some(table.clone()), name));
            unnested.push(Column::from_name(&inner));
        }
        let options = UnnestOptions {
            null_handling: if lateral.outer { NullHandling::PreserveAndExpandEmpty } else { NullHandling::Drop },
            ..UnnestOptions::default()
        };
        let plan = LogicalPlanBuilder::from(plan)
            .project(before)?
            .unnest_columns_with_options(unnested, options)?
            .project(after)?
            .build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation { plan, alias: None })))
    }
}
