//! The part with SQL: a table over a file of ours and what a query says of it, where something on this host runs SQL.

use std::{fs, path::Path, time::Instant};

use anyhow::Result;
use foggara_engines::local::{Local, LocalSettings, SqlEngine};
use serde_json::json;

use super::Session;
use crate::cmd::{output::rows_table, print};

const ORDERS: &str = include_str!("../../../examples/sql/orders.csv");
const SCRIPT: &str = include_str!("../../../examples/sql/orders.sql");
/// What the query gives.
const COLUMNS: [&str; 4] = ["town", "orders", "pieces", "revenue"];

impl Session<'_> {
    /// Runs the query and prints its table, or says how to get an engine. Spark takes its time to start, and is used only when the
    /// user asked for it.
    pub(super) async fn query_a_file(&self, dir: &Path, settings: &LocalSettings, with_spark: bool) -> Result<()> {
        let engine = match Local::sql_engine(settings) {
            Ok(SqlEngine::Spark) if !with_spark => {
                return print(
                    "SQL         not now: `quickstart --spark` runs it on Spark, `foggara-sql` beside this program in a moment\n",
                );
            }
            Ok(engine) => engine,
            Err(missing) => return print(&format!("SQL         not now: {missing}\n")),
        };
        let began = Instant::now();
        let folder = dir.join("files/quickstart/orders");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("orders.csv"), ORDERS)?;
        let main = self.binary("orders.sql", SCRIPT).await?;
        let template = self.template("orders", "SparkScript", &[main], &[]).await?;
        let configs = json!({"foggara.sql.engine": engine.name()});
        let params = json!({"place": folder});
        let execution = self.execute(&template, json!({"job_configs": {"configs": configs, "params": params}})).await?;
        let status = self.wait("SQL", &execution, &["SUCCEEDED"]).await?;
        let by = match engine {
            SqlEngine::Embedded => "the embedded engine",
            SqlEngine::Spark => "Spark",
        };
        print(&format!(
            "SQL         {status} after {:.1} s by {by} (SparkScript, execution {execution})\n",
            began.elapsed().as_secs_f64()
        ))?;
        let (rows, _) = self.client.log(&execution, "stdout", 0).await?;
        let text = String::from_utf8_lossy(&rows);
        let cells = text.lines().map(|line| line.split('\t').map(str::to_owned).collect());
        let table = rows_table(&COLUMNS, cells);
        let lines: Vec<String> = table.lines().map(|line| format!("            {line}\n")).collect();
        print(&lines.concat())
    }
}
