//! `/clusters/{id}/sql-execution` (mrs-v2.md section 6): one statement of Presto's SQL as an execution. The answer comes at
//! once as QUEUED; rows are in `content`, also those of a select, since nothing is archived here.

use std::collections::BTreeMap;

use axum::response::Response;
use foggara_app::ops::executions;
use foggara_domain::{
    Execution,
    direct::{Direct, Kind, Order, Origin, rules},
    status::Phase,
};
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt;

use super::{
    asked::Members,
    error::{self, Code, Shape},
    job_exes,
    jobs_v2::{cluster_of, job_of, refused},
};
use crate::{call::Call, fault::Outcome, reply};

/// The largest result that is put into an answer, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;
/// The longest statement.
const LONGEST: usize = 64 * 1024;

/// A statement that failed before it was one.
pub fn failed(message: &str) -> Map<String, Value> {
    let shown = json!({
        "id": "", "sql_id": "", "message": message, "statement": "", "status": "FAILED", "result_location": "", "content": [],
    });
    if let Value::Object(shown) = shown { shown } else { Map::new() }
}

/// `POST /clusters/{id}/sql-execution`
pub async fn submit(mut call: Call) -> Outcome<Response> {
    let submitted = async {
        let members = Members::of(call.json.take())?;
        let order = order(&members, &call)?;
        let row = executions::submit_direct(&call.app, &call.caller, &call.token, order).await;
        row.map_err(|refusal| refused(Kind::Presto, refusal))
    };
    match submitted.await {
        Ok(row) => Ok(reply::ok(show(&row, Vec::new(), None))),
        Err(fault) => Err(error::of(&fault, true).shaped(Shape::Statement).into()),
    }
}

fn order(members: &Members, call: &Call) -> Outcome<Order> {
    let kind = members.needed("sql_type")?;
    if kind != "presto" {
        return Err(Code::SqlCondition.fault(format!("sql_type is '{kind}': it has to be presto")));
    }
    let statement = members.needed("sql_content")?;
    if statement.chars().count() > LONGEST {
        return Err(Code::SqlCheck.fault(format!("sql_content has more than {LONGEST} characters")));
    }
    if statement.contains(';') {
        return Err(Code::SqlCondition.fault("sql_content has to be one statement, without ';'"));
    }
    if !members.text("archive_path")?.is_empty() {
        let text = "archive_path: results are not archived here; leave it out, and the rows are in content";
        return Err(Code::SqlCondition.fault(text));
    }
    let database = match members.text("database")? {
        empty if empty.is_empty() => "default".to_owned(),
        database => database,
    };
    let args = vec![statement, database];
    rules::words(Kind::Presto, &args[1..])?;
    let direct = Direct { kind: Kind::Presto, origin: Origin::Sql, shown: Map::new() };
    Ok(Order { name: "presto".to_owned(), cluster: cluster_of(call), args, properties: BTreeMap::new(), direct })
}

/// `GET /clusters/{id}/sql-execution/{sql}`
pub async fn get(call: Call) -> Outcome<Response> {
    let row = statement_of(&call).await?;
    if row.status() != "SUCCEEDED" {
        return Ok(reply::ok(show(&row, Vec::new(), None)));
    }
    let found = executions::results(&call.app, &call.caller, &row.id).await;
    let found = found.map_err(|error| Code::ReadResult.because(error.to_string()).shaped(Shape::Statement))?;
    let Some(results) = found else { return Ok(reply::ok(show(&row, Vec::new(), None))) };
    let mut text = Vec::new();
    let read = results.body.take(LARGEST + 1).read_to_end(&mut text).await;
    read.map_err(|error| Code::ReadResult.because(error.to_string()).shaped(Shape::Statement))?;
    if text.len() as u64 > LARGEST {
        let message = format!("the result has more than {LARGEST} bytes; ask for fewer rows");
        return Ok(reply::ok(show(&row, Vec::new(), Some(message))));
    }
    let columns = results.answer.statements.first().and_then(|statement| statement.columns.clone());
    let rows = columns.map(|columns| rows(&text, &columns)).unwrap_or_default();
    Ok(reply::ok(show(&row, rows, None)))
}

/// The rows of the only statement as lists in the order of its columns.
fn rows(text: &[u8], columns: &[String]) -> Vec<Value> {
    let document: Value = serde_json::from_slice(text).unwrap_or_default();
    let rows = document["sql_results"]["0"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| columns.iter().map(|column| row[column].clone()).collect()).collect()
}

async fn statement_of(call: &Call) -> Outcome<Execution> {
    let found = job_of(call, "sql").await;
    let row = found.map_err(|fault| error::of(&fault, true).shaped(Shape::Statement))?;
    if Kind::of_job_type(&row.job_type) == Some(Kind::Presto) {
        return Ok(row);
    }
    Err(Code::NoJob.because(format!("{} is no SQL statement", row.id)).shaped(Shape::Statement).into())
}

/// `POST /clusters/{id}/sql-execution/{sql}/cancel`: an ended statement is no mistake.
pub async fn cancel(call: Call) -> Outcome<Response> {
    let cancelled = async {
        let row = statement_of(&call).await?;
        Ok(executions::cancel(&call.app, &call.caller, &row.id).await?)
    };
    match cancelled.await {
        Ok(_) => Ok(reply::ok(json!({"status": "SUCCEED"}))),
        Err(fault) => Err(error::of(&error::ruled(fault, Code::Kill), true).shaped(Shape::Cancel).into()),
    }
}

/// The statement as section 6 shows it, its id under both names.
pub fn show(row: &Execution, content: Vec<Value>, message: Option<String>) -> Value {
    let status = match (row.phase, row.status()) {
        (_, "SUCCEEDED") => "FINISHED",
        (Phase::Ended, _) => "FAILED",
        (Phase::Waiting, _) => "QUEUED",
        (Phase::Staging, _) => "PLANNING",
        (Phase::Launching, _) => "STARTING",
        (Phase::Settling, _) => "FINISHING",
        (Phase::Running | Phase::Stopping, _) => "RUNNING",
    };
    json!({
        "id": row.id,
        "sql_id": row.id,
        "message": message.or_else(|| row.reason.clone()).unwrap_or_default(),
        "statement": job_exes::words(row).first().cloned().unwrap_or_default(),
        "status": status,
        "result_location": "",
        "content": content,
    })
}
