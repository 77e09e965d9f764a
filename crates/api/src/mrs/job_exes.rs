//! `/job-exes`: executions as V1.1 shows them (mrs-v1.1.md section 4), whatever call they came by.

use axum::response::Response;
use foggara_app::ops::executions;
use foggara_domain::{
    ClusterId, Execution, ExecutionId, Timestamp,
    direct::{Kind, Search},
};
use serde_json::{Map, Value, json};

use super::{asked, clusters, error::Code, state};
use crate::{call::Call, fault::Outcome, reply};

/// In which unit times are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The answer of submit-job.
    Seconds,
    /// Everything else.
    Millis,
}

impl Times {
    /// A time in this unit.
    pub fn of(self, at: Timestamp) -> i64 {
        match self {
            Self::Seconds => at.as_seconds(),
            Self::Millis => at.as_millis(),
        }
    }
}

/// `GET /job-exes`
pub async fn list(call: Call) -> Outcome<Response> {
    let query = &call.query;
    let cluster =
        asked::given(query, "cluster_id").ok_or_else(|| Code::Parameter.fault("cluster_id: it is missing"))?;
    let cluster: ClusterId = cluster.into();
    let size = asked::number(query, "page_size", 10, 1, 100)?;
    let page = asked::number(query, "current_page", 1, 1, u64::from(u32::MAX))?;
    let statuses = match asked::given(query, "state") {
        None => None,
        Some(text) => {
            let found = text.parse().ok().and_then(state::of_number);
            Some(found.ok_or_else(|| Code::Parameter.fault("state: it has to be -1, 1, 2, 3 or 4"))?)
        }
    };
    let search = Search {
        cluster: Some(cluster.clone()),
        id: asked::given(query, "id").map(str::to_owned),
        name: asked::given(query, "job_name").map(str::to_owned),
        statuses,
        skip: size.saturating_mul(page - 1),
        limit: size,
        ..Search::default()
    };
    let (total, rows) = executions::search(&call.app, &call.caller, &search).await?;
    if total == 0 {
        // Executions outlive their cluster; without any it has to be there.
        clusters::known(&call, &cluster).await?;
    }
    let rows: Vec<Value> = rows.iter().map(show).collect();
    Ok(reply::ok(json!({"totalRecord": total, "job_executions": rows})))
}

/// `GET /job-exes/{id}`
pub async fn get(call: Call) -> Outcome<Response> {
    let id: ExecutionId = call.id();
    let row = executions::get(&call.app, &call.caller, &id).await?;
    Ok(reply::ok(reply::under("job_execution", show(&row))))
}

/// The execution as section 4 shows it.
fn show(row: &Execution) -> Value {
    let mut shown = common(row, Times::Millis);
    let millis = |at: Option<Timestamp>| at.map(|at| Times::Millis.of(at));
    let spent = row.start_time.zip(row.end_time).map(|(start, end)| end.since(start).as_secs_f64());
    let more = json!({
        "create_at": Times::Millis.of(row.created_at),
        "update_at": Times::Millis.of(row.updated_at.unwrap_or(row.created_at)),
        "start_time": millis(row.start_time).unwrap_or_else(|| Times::Millis.of(row.created_at)),
        "end_time": millis(row.end_time),
        "spend_time": spent,
        "step_seq": 0,
        "progress": format!("{}%", row.percent().round()),
    });
    if let Value::Object(more) = more {
        shown.extend(more);
    }
    Value::Object(shown)
}

/// The members that the answer of submit-job has too.
pub fn common(row: &Execution, times: Times) -> Map<String, Value> {
    let (state, end) = state::numbers(row.status());
    let shown = |member: &str| {
        let kept = row.direct.as_ref().and_then(|direct| direct.shown.get(member));
        kept.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let arguments = match &row.direct {
        Some(direct) if direct.shown.contains_key("arguments") => shown("arguments"),
        _ => words(row).join(" "),
    };
    let common = json!({
        "id": row.id,
        "tenant_id": row.project,
        // Never null (spec/README.md conflict 3).
        "job_id": row.job.as_ref().map_or("", |job| job.as_str()),
        "job_name": row.job_name,
        "cluster_id": row.cluster,
        "group_id": row.id,
        "jar_path": shown("jar_path"),
        "input": shown("input"),
        "output": shown("output"),
        "job_log": shown("job_log"),
        // Sahara's other types have no number; null, since an empty text is no number for the SDK.
        "job_type": Kind::of_job_type(&row.job_type).and_then(Kind::number),
        "file_action": shown("file_action"),
        "arguments": arguments,
        "hql": shown("hql"),
        "job_state": state,
        "job_final_status": end,
        "hive_script_path": shown("hive_script_path"),
        "create_by": row.user,
        "finished_step": 0,
        "job_main_id": "",
        "job_step_id": "",
        "postpone_at": times.of(row.created_at),
        "step_name": "",
        "step_num": 0,
        "task_num": 0,
        "update_by": row.user,
    });
    if let Value::Object(common) = common { common } else { Map::new() }
}

/// The words of an execution as they are shown: secrets are masked.
pub fn words(row: &Execution) -> Vec<String> {
    let args = row.job_configs.get("args").and_then(Value::as_array).into_iter().flatten();
    args.map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned)).collect()
}
