//! Hive, and MRS's SQL types: a script among the mains, or statements among the args.

use std::collections::BTreeMap;

use super::{Staged, invalid, text};
use crate::{
    Result,
    direct::task::SQL_ENGINE,
    plan::{Plan, SqlScript},
    sql::SqlDialect,
};

/// Sahara's Hive: the script sees params, and the data sources as `${INPUT}` and `${OUTPUT}`.
pub(super) fn hive(staged: &Staged) -> Result<Plan> {
    let mut variables = params(staged);
    for (name, path) in [("INPUT", &staged.input), ("OUTPUT", &staged.output)] {
        if let Some(path) = path {
            variables.entry(name.to_owned()).or_insert_with(|| path.clone());
        }
    }
    Ok(plan(staged, SqlScript::File(staged.main()?.path.clone()), SqlDialect::Hive, variables))
}

/// MRS's hql: the statements are the args.
pub(super) fn hql(staged: &Staged) -> Result<Plan> {
    Ok(plan(staged, statements(staged)?, SqlDialect::Hive, BTreeMap::new()))
}

/// MRS's SparkScript: the first main, which sees params too.
pub(super) fn spark_script(staged: &Staged) -> Result<Plan> {
    Ok(plan(staged, SqlScript::File(staged.main()?.path.clone()), SqlDialect::Spark, params(staged)))
}

/// MRS's SparkSql: the statements are the args.
pub(super) fn spark_sql(staged: &Staged) -> Result<Plan> {
    Ok(plan(staged, statements(staged)?, SqlDialect::Spark, BTreeMap::new()))
}

fn params(staged: &Staged) -> BTreeMap<String, String> {
    staged.params.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn statements(staged: &Staged) -> Result<SqlScript> {
    let text = staged.args.join(" ");
    if text.trim().is_empty() {
        return invalid("args: the text of the statements is missing");
    }
    Ok(SqlScript::Text(text))
}

fn plan(staged: &Staged, script: SqlScript, dialect: SqlDialect, variables: BTreeMap<String, String>) -> Plan {
    let mut settings = staged.own_configs();
    let engine = settings.remove(SQL_ENGINE);
    Plan::Sql { script, dialect, database: None, variables, settings, engine, project: staged.project.clone() }
}
