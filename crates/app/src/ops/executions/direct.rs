//! Jobs that come in one call, without a template (mrs-v1.1.md section 3, mrs-v2.md section 2): checked, masked, one row. From
//! then on they are executions like all others.

use std::collections::BTreeMap;

use foggara_db::{Conn, clusters, executions};
use foggara_domain::{
    Caller, ClusterId, Code, Error, Execution, ExecutionId, Result, Secret, Timestamp,
    cluster::{Cluster, ClusterStatus},
    direct::{Order, Search, secret, task},
};
use foggara_engines::Ability;
use serde_json::{Map, Value, json};

use super::submit::{Orders, check_cap, insert, store};
use crate::App;

/// Name among an execution's sealed values of the words with their secrets.
pub(crate) const SECRET_WORDS: &str = "args";

/// Why a job is refused, where MRS has a code for the reason.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The cluster does not exist, or belongs to another project.
    NoCluster(ClusterId),
    /// The cluster takes no jobs at present.
    ClusterState(ClusterStatus),
    /// The cluster never runs such jobs, or lacks something: what, and how to get it.
    Unsupported(String),
    /// The words or properties are wrong: which, and why.
    Wrong(String),
    /// Everything else.
    Other(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Submits a job. When this returns, the wish is durable.
pub async fn submit_direct(
    app: &App,
    caller: &Caller,
    token: &Secret,
    order: Order,
) -> std::result::Result<Execution, Refusal> {
    let task = read(&order)?;
    let cluster = clusters::get(&mut app.db().read().await?, &caller.project, &order.cluster).await?;
    let Some(cluster) = cluster else { return Err(Refusal::NoCluster(order.cluster)) };
    if !takes_jobs(&cluster) {
        return Err(Refusal::ClusterState(cluster.status));
    }
    check_ability(app, &order, &task, &cluster.name, &cluster.plugin, Some(&cluster))?;
    let id = ExecutionId::new();
    let now = app.now();
    let filling = Filling { app: app.clone(), caller: caller.clone(), order, id: id.clone(), now, waits: false };
    Ok(store(app, caller, token, id, filling).await?)
}

/// Reads an order's words.
pub(super) fn read(order: &Order) -> std::result::Result<task::Task, Refusal> {
    let read = task::Task::read(order.direct.kind, &order.args, &order.properties);
    read.map_err(|error| match error {
        Error::Refused { message, .. } => Refusal::Wrong(message),
        other => Refusal::Other(other),
    })
}

/// Whether a cluster of a plugin runs such jobs; without one that exists already, whether such clusters do.
pub(super) fn check_ability(
    app: &App,
    order: &Order,
    task: &task::Task,
    cluster: &str,
    plugin: &str,
    existing: Option<&Cluster>,
) -> std::result::Result<(), Refusal> {
    let name = order.direct.kind.v2_name();
    let ability = app.plugins().get(plugin).map_or(Ability::Never, |plugin| match existing {
        Some(existing) => plugin.ability_of(existing, task.plan_kind()),
        None => plugin.ability(task.plan_kind()),
    });
    match ability {
        Ability::Yes => Ok(()),
        Ability::Never => {
            let why = app.plugins().refusal(plugin, task.plan_kind());
            Err(Refusal::Unsupported(format!("cluster '{cluster}' does not run {name} jobs: {why}")))
        }
        Ability::Lacks(what) => {
            Err(Refusal::Unsupported(format!("cluster '{cluster}' cannot run {name} jobs: {what}")))
        }
    }
}

/// MRS takes jobs only for clusters that run.
fn takes_jobs(cluster: &Cluster) -> bool {
    cluster.status == ClusterStatus::Active
}

/// Executions of any kind that the caller may see and that match, with the number of all matches.
pub async fn search(app: &App, caller: &Caller, search: &Search) -> Result<(u64, Vec<Execution>)> {
    executions::search(&mut app.db().read().await?, &caller.project, search, app.settings().sahara_strict).await
}

#[derive(Clone)]
pub(super) struct Filling {
    pub app: App,
    pub caller: Caller,
    pub order: Order,
    pub id: ExecutionId,
    pub now: Timestamp,
    /// The job may wait for its cluster, which is being made with it.
    pub waits: bool,
}

impl Orders for Filling {
    async fn fill(self, conn: &mut Conn) -> Result<Execution> {
        let Order { name, cluster, args, properties, direct } = self.order;
        let caller = &self.caller;
        let found = clusters::get(conn, &caller.project, &cluster).await?;
        if !found.is_some_and(|cluster| self.waits || takes_jobs(&cluster)) {
            return Err(Error::refused(Code::InvalidReference, format!("cluster '{cluster}' takes no jobs any more")));
        }
        check_cap(&self.app, conn, &caller.project).await?;
        let (shown_words, secret_words) = secret::hide(&args);
        let (shown_properties, mut secrets) = task::hide_properties(&properties);
        let mut secret_configs: Map<String, Value> =
            std::mem::take(&mut secrets).into_iter().map(|(key, value)| (key, Value::from(value))).collect();
        if secret_words {
            secret_configs.insert(SECRET_WORDS.to_owned(), json!(args));
        }
        let row = Execution {
            user_name: Some(caller.user_name.clone()),
            job_type: direct.kind.job_type().to_owned(),
            job_name: name,
            job_configs: json!({"configs": shown_properties, "args": shown_words, "job_execution_info": {}}),
            secret_configs,
            direct: Some(direct),
            ..Execution::waiting(self.id, caller.project.clone(), caller.user.clone(), cluster, self.now)
        };
        insert(conn, &row).await?;
        Ok(row)
    }
}

/// The words and properties of a job with their secrets, for staging; and whether a word holds one.
pub(crate) fn words_of(row: &Execution) -> (Vec<String>, BTreeMap<String, String>, bool) {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let secret = row.secret_configs.get(SECRET_WORDS);
    let words = secret.or_else(|| row.job_configs.get("args")).map(texts).unwrap_or_default();
    let shown = row.job_configs.get("configs").and_then(Value::as_object).into_iter().flatten();
    let sealed = row.secret_configs.iter().filter(|(key, _)| *key != SECRET_WORDS);
    let all = shown.chain(sealed).filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    (words, all.collect(), secret.is_some())
}
