//! Job executions: `/job-executions` in v1.1 (sahara-v1.1.md section 8), `/jobs` in v2.

use axum::response::Response;
use foggara_app::ops::executions::{self, Change};
use foggara_domain::{Code, Execution, ExecutionId};
use serde_json::{Map, Value, json};

use super::{members, view::View};
use crate::{
    call::Call,
    fault::{Fault, Outcome},
    reply,
};

/// `GET /job-executions`
pub async fn list(call: Call) -> Outcome<Response> {
    let query = call.list()?;
    let found = executions::list(&call.app, &call.caller, &query).await?;
    Ok(reply::ok(call.view.list("job_executions", found, query.marker.is_some(), |row| show(&row))))
}

/// `GET /job-executions/{id}`; in v2 `refresh_status=true` asks the engine first.
pub async fn get(call: Call) -> Outcome<Response> {
    let refresh = call.view == View::V2
        && call.query.get("refresh_status").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if refresh && !call.is_head() {
        return self::refresh(call).await;
    }
    let row = executions::get(&call.app, &call.caller, &call.id()).await?;
    call.check_params()?;
    Ok(answer(&call, &row))
}

/// `GET /job-executions/{id}/refresh-status`; HEAD only looks.
pub async fn refresh(call: Call) -> Outcome<Response> {
    let id: ExecutionId = call.id();
    let row = match call.is_head() {
        true => executions::get(&call.app, &call.caller, &id).await?,
        false => executions::refresh(&call.app, &call.caller, &id).await?,
    };
    Ok(reply::never_stored(answer(&call, &row)))
}

/// `GET /job-executions/{id}/cancel`: the answer shows the execution as it was before; HEAD only looks.
pub async fn cancel(call: Call) -> Outcome<Response> {
    let id: ExecutionId = call.id();
    let row = match call.is_head() {
        true => executions::get(&call.app, &call.caller, &id).await?,
        false => executions::cancel(&call.app, &call.caller, &id).await?,
    };
    Ok(reply::never_stored(answer(&call, &row)))
}

/// `PATCH /job-executions/{id}`
pub async fn update(mut call: Call) -> Outcome<Response> {
    let id: ExecutionId = call.id();
    executions::get(&call.app, &call.caller, &id).await?;
    let mut body = call.body("job_execution_update")?;
    let status = match members::object(&mut body, "info") {
        None => None,
        Some(mut info) => Some(members::text(&mut info, "status").ok_or_else(|| {
            Fault::refused(Code::InvalidJobStatus, "Invalid status parameter: info has to hold a status")
        })?),
    };
    let change = Change {
        is_public: members::flag(&mut body, "is_public"),
        is_protected: members::flag(&mut body, "is_protected"),
        status,
        by_v2: call.view == View::V2,
    };
    let row = executions::update(&call.app, &call.caller, &id, change).await?;
    Ok(reply::accepted(call.view.under("job_execution", show(&row))))
}

/// `DELETE /job-executions/{id}`
pub async fn delete(call: Call) -> Outcome<Response> {
    call.check_params()?;
    executions::delete(&call.app, &call.caller, &call.id()).await?;
    Ok(reply::nothing())
}

fn answer(call: &Call, row: &Execution) -> Response {
    reply::ok(call.view.under("job_execution", show(row)))
}

/// The execution as section 8.2 shows it.
pub fn show(row: &Execution) -> Value {
    json!({
        "id": row.id,
        "tenant_id": row.project,
        // Never null: a job of MRS has no template (spec/README.md conflict 3).
        "job_id": row.job.as_ref().map_or("", |job| job.as_str()),
        "cluster_id": row.cluster,
        "input_id": row.input,
        "output_id": row.output,
        "info": info(row),
        "start_time": reply::time(row.start_time),
        "end_time": reply::time(row.end_time),
        // One value under both names (spec/README.md conflict 2).
        "engine_job_id": row.engine_ref,
        "oozie_job_id": row.engine_ref,
        "return_code": row.return_code,
        "job_configs": row.job_configs,
        "data_source_urls": row.data_source_urls,
        "is_public": row.is_public,
        "is_protected": row.is_protected,
        "created_at": row.created_at.sahara(),
        "updated_at": reply::time(row.updated_at),
    })
}

/// Always an object with a status; why it failed or was killed stands beside it (decision 3).
fn info(row: &Execution) -> Value {
    let mut info = Map::from_iter([("status".to_owned(), json!(row.status()))]);
    if let Some(reason) = &row.reason {
        info.insert("reason".to_owned(), json!(reason));
    }
    Value::Object(info)
}
