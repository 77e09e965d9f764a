//! `/clusters/{id}/job-executions` of V2 (mrs-v2.md sections 2 to 5).

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use foggara_app::{
    App,
    ops::executions::{self, Refusal},
};
use foggara_domain::{
    ClusterId, Execution, ExecutionId, Timestamp,
    direct::{Direct, Kind, Order, Origin, Search, rules},
    status::{Outcome as End, Phase},
};
use serde_json::{Map, Value, json};
use tokio_util::io::ReaderStream;

use super::{
    asked::{self, Members},
    clusters,
    error::{self, Code, Shape},
    job_exes, state,
};
use crate::{
    call::Call,
    fault::{Fault, Outcome},
    reply,
};

/// Says that rows were left out of a result (decision 18).
const TRUNCATED: HeaderName = HeaderName::from_static("x-foggara-truncated");
/// The queue of every job: a cluster of ours has one.
const QUEUE: &str = "default";
/// The largest number of jobs of one delete.
const MOST_IDS: usize = 1000;

/// The cluster in the path.
pub fn cluster_of(call: &Call) -> ClusterId {
    call.parameter("id").to_owned().into()
}

/// The job in the path, if it is one of the cluster's. A job outlives its cluster; without a job the cluster has to be there.
pub async fn job_of(call: &Call, name: &str) -> Outcome<Execution> {
    let (cluster, id) = (cluster_of(call), ExecutionId::from(call.parameter(name).to_owned()));
    let found = executions::get(&call.app, &call.caller, &id).await;
    match found {
        Ok(row) if row.cluster == cluster => Ok(row),
        Ok(_) | Err(foggara_domain::Error::NotFound { .. }) => {
            clusters::known(call, &cluster).await?;
            Err(Code::NoJob.fault(format!("Job {id} on cluster {cluster}")))
        }
        Err(other) => Err(other.into()),
    }
}

/// `POST /clusters/{id}/job-executions`
pub async fn submit(mut call: Call) -> Outcome<Response> {
    let submitted = async {
        let members = Members::of(call.json.take())?;
        let order = order(&members, cluster_of(&call))?;
        let kind = order.direct.kind;
        let row = executions::submit_direct(&call.app, &call.caller, &call.token, order).await;
        row.map_err(|refusal| refused(kind, refusal))
    };
    match submitted.await {
        Ok(row) => Ok(reply::ok(submitted_answer(&row.id))),
        Err(fault) => Err(error::of(&fault, true).shaped(Shape::Submit).into()),
    }
}

/// The answer to a submit.
pub fn submitted_answer(id: &ExecutionId) -> Value {
    json!({"job_submit_result": {"job_id": id, "state": "COMPLETE"}})
}

/// The job that the members of a request ask for.
pub fn order(members: &Members, cluster: ClusterId) -> Outcome<Order> {
    let name = members.text("job_name")?;
    rules::name(&name)?;
    let word = members.needed("job_type")?;
    let kind = Kind::of_v2_name(&word).ok_or_else(|| {
        Code::Parameter.fault(
            "job_type: it has to be MapReduce, SparkSubmit, SparkPython, HiveScript, HiveSql, DistCp, SparkScript, SparkSql \
             or Flink",
        )
    })?;
    // Two samples of the documents have `arg` in the place of `arguments`.
    let args = match members.texts("arguments")? {
        Some(args) => args,
        None => members.texts("arg")?.unwrap_or_default(),
    };
    rules::words(kind, &args)?;
    let properties = members.map("properties")?;
    rules::properties(&properties)?;
    let direct = Direct { kind, origin: Origin::V2, shown: Map::new() };
    Ok(Order { name, cluster, args, properties, direct })
}

/// What is said when a job is not taken.
pub fn refused(kind: Kind, refusal: Refusal) -> Fault {
    match refusal {
        Refusal::NoCluster(id) => clusters::unknown(&id),
        Refusal::ClusterState(status) => Code::ClusterStateV2.fault(format!("It is {}", status.name())),
        Refusal::Unsupported(why) => match kind {
            Kind::Spark | Kind::SparkScript | Kind::SparkSql => Code::NoSparkV2.fault(why),
            Kind::HiveScript | Kind::HiveSql => Code::NoHive.fault(why),
            Kind::Flink => Code::NoFlink.fault(why),
            Kind::MapReduce | Kind::DistCp => Code::SubmitV2.fault(why),
            Kind::Presto => Code::SqlCondition.fault(why),
        },
        Refusal::Wrong(why) => Code::Parameter.fault(why),
        Refusal::Other(error) => error::ruled(error.into(), Code::SubmitV2),
    }
}

/// `GET /clusters/{id}/job-executions`
pub async fn list(call: Call) -> Outcome<Response> {
    let query = &call.query;
    let cluster = cluster_of(&call);
    let wrong = |text: &str| Code::Parameter.fault(text);
    let text = |name: &str| asked::given(query, name).map(str::to_owned);
    let job_type = match asked::given(query, "job_type") {
        None => None,
        Some(word) => {
            let kind = Kind::of_v2_name(word).ok_or_else(|| wrong("job_type: there is no such type"))?;
            Some(kind.job_type().to_owned())
        }
    };
    let (by_state, by_result) = (asked::given(query, "job_state"), asked::given(query, "job_result"));
    let statuses = match (by_state, by_result) {
        (None, None) => None,
        (by_state, by_result) => Some(
            state::of_words(by_state, by_result)
                .ok_or_else(|| wrong("job_state or job_result: there is no such word"))?,
        ),
    };
    let ascending = match asked::given(query, "sort_by") {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => return Err(wrong("sort_by: it has to be asc or desc")),
    };
    let other_queue = asked::given(query, "queue").is_some_and(|queue| queue != QUEUE);
    let offset = asked::number(query, "offset", 1, 1, u64::from(u32::MAX))?;
    let search = Search {
        cluster: Some(cluster.clone()),
        id: text("job_id"),
        name: text("job_name"),
        user: text("user"),
        job_type,
        statuses: if other_queue { Some(Vec::new()) } else { statuses },
        submitted_from: asked::millis(query, "submitted_time_begin")?,
        submitted_to: asked::millis(query, "submitted_time_end")?,
        ascending,
        skip: offset - 1,
        limit: asked::number(query, "limit", 10, 1, u64::from(u32::MAX))?,
    };
    let found = executions::search(&call.app, &call.caller, &search).await;
    let (total, rows) = found.map_err(|error| error::ruled(error.into(), Code::List))?;
    if total == 0 {
        clusters::known(&call, &cluster).await?;
    }
    let rows: Vec<Value> = rows.iter().map(|row| show(&call.app, row)).collect();
    Ok(reply::ok(json!({"total_record": total, "job_list": rows})))
}

/// `GET /clusters/{id}/job-executions/{job}`
pub async fn get(call: Call) -> Outcome<Response> {
    let row = job_of(&call, "job").await.map_err(|fault| error::ruled(fault, Code::Show))?;
    Ok(reply::ok(json!({"job_detail": show(&call.app, &row)})))
}

/// The execution as section 4 shows it. Times that are not reached are 0.
fn show(app: &App, row: &Execution) -> Value {
    let (state, result) = state::words(row.status());
    let millis = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_millis);
    let elapsed = match (row.start_time, row.end_time) {
        (Some(start), end) => end.unwrap_or_else(|| app.now()).since(start).as_millis(),
        (None, _) => 0,
    };
    let configs = row.job_configs.get("configs").and_then(Value::as_object);
    json!({
        "job_id": row.id,
        "user": row.user_name.as_deref().unwrap_or(row.user.as_str()),
        "job_name": row.job_name,
        "job_type": Kind::of_job_type(&row.job_type).map_or(row.job_type.as_str(), |kind| kind.v2_name()),
        "job_state": state,
        "job_result": result,
        "job_progress": row.percent(),
        "submitted_time": row.created_at.as_millis(),
        "started_time": millis(row.start_time),
        "finished_time": millis(row.end_time),
        "elapsed_time": u64::try_from(elapsed).unwrap_or(u64::MAX),
        "arguments": printed(&job_exes::words(row)),
        "properties": printed_map(configs),
        "launcher_id": row.engine_ref,
        "app_id": row.engine_ref,
        "tracking_url": null,
        "queue": QUEUE,
    })
}

/// A list as MRS prints it.
fn printed(words: &[String]) -> String {
    format!("[{}]", words.join(", "))
}

/// A map as MRS prints it.
fn printed_map(members: Option<&Map<String, Value>>) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs = members.into_iter().flatten().map(|(key, value)| format!("{key}={}", text(value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

/// `POST /clusters/{id}/job-executions/{job}/kill`: an ended job is no mistake.
pub async fn kill(call: Call) -> Outcome<Response> {
    let row = job_of(&call, "job").await?;
    let cancelled = executions::cancel(&call.app, &call.caller, &row.id).await;
    cancelled.map_err(|error| error::ruled(error.into(), Code::Kill))?;
    Ok(reply::accepted(json!({"result": "succeeded"})))
}

/// `POST /clusters/{id}/job-executions/batch-delete`: all or none; ids that name no job are passed over (decision 10).
pub async fn batch_delete(mut call: Call) -> Outcome<Response> {
    let members = Members::of(call.json.take())?;
    let ids = members.texts("job_id_list")?.unwrap_or_default();
    if ids.is_empty() || ids.iter().any(|id| id.trim().is_empty()) {
        return Err(Code::NoJobIds.fault("job_id_list has to hold ids"));
    }
    if ids.len() > MOST_IDS {
        return Err(Code::Parameter.fault(format!("job_id_list: {} ids, and at most {MOST_IDS} are taken", ids.len())));
    }
    let ids = ids.into_iter().map(ExecutionId::from).collect();
    let deleted = executions::delete_many(&call.app, &call.caller, &cluster_of(&call), ids).await;
    deleted.map_err(|error| error::ruled(error.into(), Code::BatchDelete))?;
    Ok(reply::nothing())
}

/// `GET /clusters/{id}/job-executions/{job}/sql-result`
pub async fn sql_result(call: Call) -> Outcome<Response> {
    let row = job_of(&call, "job").await?;
    let kind = Kind::of_job_type(&row.job_type);
    if !matches!(kind, Some(Kind::SparkSql | Kind::SparkScript)) {
        return Err(Code::NotSql.fault(format!("It is {}", kind.map_or(row.job_type.as_str(), |kind| kind.v2_name()))));
    }
    match (row.phase, row.outcome) {
        (Phase::Waiting | Phase::Staging | Phase::Launching, _) => return Err(Code::Submitting.fault("")),
        (Phase::Running | Phase::Stopping | Phase::Settling, _) => return Err(Code::Running.fault("")),
        (Phase::Ended, Some(End::Succeeded)) => {}
        (Phase::Ended, _) => return Err(Code::SqlCollect.fault(row.reason.unwrap_or_default())),
    }
    let found = executions::results(&call.app, &call.caller, &row.id).await;
    let found = found.map_err(|error| Code::ReadResult.fault(error.to_string()))?;
    let results = found.ok_or_else(|| Code::NoResult.fault(""))?;
    let cut = results.answer.statements.iter().any(|statement| statement.truncated);
    let mut response = (StatusCode::OK, Body::from_stream(ReaderStream::new(results.body))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if cut {
        headers.insert(TRUNCATED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_maps_as_mrs_prints_them() {
        assert_eq!(printed(&["a".to_owned(), "b c".to_owned()]), "[a, b c]");
        assert_eq!((printed(&[]).as_str(), printed_map(None).as_str()), ("[]", "{}"));
        let Value::Object(map) = json!({"k": "v", "n": 2}) else { panic!("an object") };
        assert_eq!(printed_map(Some(&map)), "{k=v, n=2}");
    }

    #[test]
    fn arguments_have_an_alias() {
        let members = Members::of(json!({"job_name": "n", "job_type": "SparkSql", "arg": ["show tables"]}));
        let order = order(&members.expect("an object"), "c".into()).expect("an order");
        assert_eq!(order.args, ["show tables"]);
    }
}
