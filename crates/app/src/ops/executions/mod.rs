//! Job executions: submit, read, cancel, change, delete.

mod cancel;
mod delete;
mod direct;
mod explain;
mod flow;
mod logs;
mod submit;

pub(crate) use cancel::stop_for_cluster;
pub use cancel::{cancel, update};
pub use delete::{delete, delete_many};
pub(crate) use direct::words_of;
pub use direct::{Refusal, search, submit_direct};
pub use explain::explain;
pub use flow::run_flow;
pub use logs::logs;
use std::sync::Arc;

use foggara_db::{clusters, events, executions};
use foggara_domain::{
    Caller, ClusterId, DataSourceId, Error, Execution, ExecutionId, Result,
    execution::Event,
    page::{ListQuery, Page},
    status::Phase,
};
use foggara_engines::Engine;
pub use foggara_engines::{LogPiece, Results, Stream};
use serde_json::{Map, Value};
pub use submit::submit;

use crate::App;

/// Body of `POST /jobs/{id}/execute`, checked against its schema (sahara-v1.1.md section 8.1).
#[derive(Clone, Debug, Default)]
pub struct Submit {
    /// Where to run.
    pub cluster: Option<ClusterId>,
    /// Input data source.
    pub input: Option<DataSourceId>,
    /// Output data source.
    pub output: Option<DataSourceId>,
    /// `job_configs` as sent, null members removed (decision 7); nothing when the request had none.
    pub job_configs: Option<Map<String, Value>>,
    /// Values for the template's interface; nothing when the request had no such key.
    pub interface: Option<Map<String, Value>>,
}

/// Body of `PATCH /job-executions/{id}`.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// New flag.
    pub is_public: Option<bool>,
    /// New flag.
    pub is_protected: Option<bool>,
    /// `info.status`: `suspend` or `cancel`.
    pub status: Option<String>,
    /// Asked by v2, which has no rule about the cluster's status nor against other members (sahara-v2.md section 4).
    pub by_v2: bool,
}

/// Why an execution is where it is (`GET /api/v1/executions/{id}/explain`).
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The execution.
    pub execution: Execution,
    /// One sentence: "waiting: cluster `local` runs 4 of 4, place 3".
    pub text: String,
    /// Which server works on it at present, if one does.
    pub owner: Option<String>,
    /// Its events in order.
    pub events: Vec<Event>,
}

/// One execution that the caller may see: the project's own, or a public one.
pub async fn get(app: &App, caller: &Caller, id: &ExecutionId) -> Result<Execution> {
    let row = executions::live(&mut app.db().read().await?, id, app.settings().sahara_strict).await?;
    row.filter(|row| row.project == caller.project || row.is_public).ok_or_else(|| Error::no_such_id(id))
}

/// A page of the executions that the caller may see.
pub async fn list(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<Execution>> {
    executions::list(&mut app.db().read().await?, &caller.project, query, app.settings().sahara_strict).await
}

/// The execution after its engine was asked, if its owner is this server and answers in time (`refresh-status`). The owner
/// polls by itself; this only saves the wait for its next poll.
pub async fn refresh(app: &App, caller: &Caller, id: &ExecutionId) -> Result<Execution> {
    let row = get(app, caller, id).await?;
    if row.phase == Phase::Ended {
        return Ok(row);
    }
    app.poll_now(&row.cluster).await;
    get(app, caller, id).await
}

/// What happened to an execution, in order.
pub async fn history(app: &App, caller: &Caller, id: &ExecutionId) -> Result<Vec<Event>> {
    get(app, caller, id).await?;
    events::of_execution(&mut app.db().read().await?, id).await
}

/// The rows of an SQL job's statements; nothing when its job kept none.
pub async fn results(app: &App, caller: &Caller, id: &ExecutionId) -> Result<Option<Results>> {
    let row = get(app, caller, id).await?;
    let Some(tag) = &row.tag else { return Ok(None) };
    let engine = engine_of(app, &row).await?;
    let engine = engine.as_deref().unwrap_or_else(|| app.plugins().nodes());
    engine.results(tag).await.map_err(|error| Error::unavailable(format!("results of {id}: {error}")))
}

/// The engine of an execution's cluster. What an ended job left outlives the cluster; then it lies where all logs of this host
/// do.
async fn engine_of(app: &App, row: &Execution) -> Result<Option<Arc<dyn Engine>>> {
    let cluster = clusters::find(&mut app.db().read().await?, &row.cluster).await?;
    Ok(cluster.and_then(|cluster| app.plugins().engine(&cluster).ok()))
}

/// The execution for an op that changes it. A public one of another project is given too, so that the refusal can say whose
/// it is (sahara-v1.1.md section 2.1).
async fn load_for_change(app: &App, caller: &Caller, id: &ExecutionId) -> Result<Execution> {
    let row = executions::live(&mut app.db().read().await?, id, false).await?;
    row.filter(|row| row.project == caller.project || row.is_public).ok_or_else(|| Error::no_such_id(id))
}

/// Whether the engine may have, or may yet get, a job of this row.
fn may_still_run(row: &Execution) -> bool {
    row.launch_sent_at.is_some() && row.gone_at.is_none()
}
