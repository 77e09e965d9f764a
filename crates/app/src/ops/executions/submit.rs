//! `POST /jobs/{id}/execute` (sahara-v1.1.md section 8.1): check everything, then one row. Nothing is started here; the
//! cluster's owner takes the row up.

use foggara_db::{Conn, clusters, data_sources, events, executions, job_templates, trusts};
use foggara_domain::{
    Caller, Code, Error, Execution, ExecutionId, JobId, ProjectId, Result, Secret, Timestamp,
    cluster::{Cluster, ClusterStatus},
    data_source::DataSource,
    interface,
    job_template::JobTemplate,
    job_type::{JobType, configs::hide_credentials},
};
use foggara_engines::{Ability, failpoint};
use foggara_identity::keystone::TrustError;
use serde_json::{Map, Value};

use super::Submit;
use crate::{
    App,
    ops::job_templates::{sources_exist, type_of},
};

/// Submits an execution of a job template. When this returns, the wish is durable. With an outside identity service the caller
/// gives a trust by way of `token`, so that the job can act in the caller's name after the token has ended.
pub async fn submit(app: &App, caller: &Caller, token: &Secret, job: &JobId, submit: Submit) -> Result<Execution> {
    let now = app.now();
    let id = ExecutionId::new();
    let order = Order { app: app.clone(), caller: caller.clone(), job: job.clone(), submit, id: id.clone(), now };
    store(app, caller, token, id, order).await
}

/// Something that becomes an execution: all checks and the row, in one transaction.
pub(super) trait Orders: Clone + Send + Sync + 'static {
    fn fill(self, conn: &mut Conn) -> impl Future<Output = Result<Execution>> + Send;
}

/// Makes an order durable.
pub(super) async fn store(
    app: &App,
    caller: &Caller,
    token: &Secret,
    id: ExecutionId,
    order: impl Orders,
) -> Result<Execution> {
    give_trust(app, caller, token, &id).await?;
    failpoint::pass("submit.before_commit");
    foggara_db::once::makes(&id);
    let row = app
        .db()
        .write(move |conn| {
            let order = order.clone();
            Box::pin(async move { order.fill(conn).await })
        })
        .await;
    if row.is_err() && app.trusts().is_some() {
        // When even this cannot be stored, the trust goes back some minutes later.
        let _ = app
            .db()
            .write(move |conn| {
                let id = id.clone();
                Box::pin(async move { trusts::unused(conn, &id).await })
            })
            .await;
    }
    let row = row?;
    failpoint::pass("submit.after_commit");
    app.wake();
    Ok(row)
}

/// A token that may not delegate lets the job run all the same; only what it would do in the caller's name later fails.
async fn give_trust(app: &App, caller: &Caller, token: &Secret, id: &ExecutionId) -> Result<()> {
    let Some(trusts) = app.trusts() else { return Ok(()) };
    let trust = match trusts.create_trust(token, caller).await {
        Ok(trust) => trust,
        Err(TrustError::Unavailable(why)) => return Err(Error::unavailable(why)),
        Err(why) => {
            tracing::info!(execution = %id, "it runs without a trust: {why}");
            return Ok(());
        }
    };
    let (id, now) = (id.clone(), app.now());
    app.db()
        .write(move |conn| {
            let (trust, id) = (trust.clone(), id.clone());
            Box::pin(async move { trusts::insert(conn, &trust, &id, now).await })
        })
        .await
}

#[derive(Clone)]
struct Order {
    app: App,
    caller: Caller,
    job: JobId,
    submit: Submit,
    id: ExecutionId,
    now: Timestamp,
}

impl Orders for Order {
    /// All checks in the order of the specification.
    async fn fill(self, conn: &mut Conn) -> Result<Execution> {
        let project = &self.caller.project;
        let job = job_templates::get(conn, project, &self.job).await?.ok_or_else(|| Error::no_such_id(&self.job))?;
        let job_type = type_of(&job.job_type)?;
        let cluster = self.cluster(conn, job_type).await?;
        let merged = self.merge(conn, &job).await?;
        let (input, output) = self.sources(conn, job_type).await?;
        job_type.check_needs(&job, &merged, input.as_ref(), output.as_ref())?;
        check_cap(&self.app, conn, project).await?;
        let (job_configs, secret_configs) = hide_credentials(merged);
        let row = self.row(&job, cluster, job_configs, secret_configs);
        insert(conn, &row).await?;
        Ok(row)
    }
}

/// The row with its first event.
pub(super) async fn insert(conn: &mut Conn, row: &Execution) -> Result<()> {
    executions::insert(conn, row).await?;
    events::append(conn, &row.id, &row.project, row.created_at, "submitted", row.status(), None).await
}

/// Refuses what would be too many waiting executions of a project.
pub(super) async fn check_cap(app: &App, conn: &mut Conn, project: &ProjectId) -> Result<()> {
    let cap = app.settings().max_waiting;
    let waiting = executions::count_waiting(conn, project).await?;
    if waiting < cap {
        return Ok(());
    }
    let message = format!(
        "{waiting} executions of this project wait already, and [jobs] max_waiting is {cap}: wait for some to start"
    );
    Err(Error::TooMany { message, retry_after_seconds: 10 })
}

impl Order {
    /// The cluster must be visible, and its engine must run the type.
    async fn cluster(&self, conn: &mut Conn, job_type: &JobType) -> Result<Cluster> {
        let refuse = |text: String| Error::refused(Code::InvalidReference, text);
        let Some(id) = &self.submit.cluster else {
            return Err(Error::refused(Code::ValidationError, "'cluster_id' is a required property"));
        };
        let cluster = clusters::get(conn, &self.caller.project, id).await?;
        let cluster = cluster.ok_or_else(|| refuse(format!("Cluster with id '{id}' doesn't exist")))?;
        let unsupported = format!("Cluster with id '{id}' doesn't support job type '{}'", job_type.name);
        if cluster.status == ClusterStatus::Deleting {
            return Err(refuse(format!("Cluster with id '{id}' is being deleted")));
        }
        let Some(plugin) = self.app.plugins().get(&cluster.plugin) else { return Err(refuse(unsupported)) };
        match plugin.ability_of(&cluster, job_type.plan_kind) {
            Ability::Yes => Ok(cluster),
            Ability::Never => {
                let why = self.app.plugins().refusal(&cluster.plugin, job_type.plan_kind);
                Err(refuse(format!("{unsupported}: {why}")))
            }
            Ability::Lacks(what) => Err(refuse(format!("{unsupported}: {what}"))),
        }
    }

    /// `job_configs` with the values of the interface in it.
    async fn merge(&self, conn: &mut Conn, job: &JobTemplate) -> Result<Map<String, Value>> {
        let mut configs = self.submit.job_configs.clone().unwrap_or_default();
        configs.remove("job_execution_info");
        let given = self.submit.interface.as_ref();
        let named = interface::check_values(&job.interface, given, &configs)?;
        sources_exist(conn, &self.caller.project, &named).await?;
        interface::merge(&job.interface, given, &mut configs);
        Ok(configs)
    }

    async fn sources(&self, conn: &mut Conn, job_type: &JobType) -> Result<(Option<DataSource>, Option<DataSource>)> {
        job_type.check_sources(self.submit.input.is_some(), self.submit.output.is_some())?;
        let mut found = Vec::with_capacity(2);
        for id in [&self.submit.input, &self.submit.output] {
            found.push(match id {
                None => None,
                Some(id) => {
                    let source = data_sources::get(conn, &self.caller.project, id).await?;
                    let missing =
                        || Error::refused(Code::InvalidReference, format!("DataSource with id '{id}' doesn't exist"));
                    Some(source.ok_or_else(missing)?)
                }
            });
        }
        let output = found.pop().flatten();
        Ok((found.pop().flatten(), output))
    }

    fn row(
        &self,
        job: &JobTemplate,
        cluster: Cluster,
        job_configs: Value,
        secret_configs: Map<String, Value>,
    ) -> Execution {
        // Both APIs take the flags is_public and is_protected on execute and ignore them (spec/README.md conflict 9).
        let (id, caller) = (self.id.clone(), &self.caller);
        Execution {
            job: Some(job.id.clone()),
            user_name: Some(caller.user_name.clone()),
            job_type: job.job_type.clone(),
            job_name: job.name.clone(),
            input: self.submit.input.clone(),
            output: self.submit.output.clone(),
            job_configs,
            secret_configs,
            ..Execution::waiting(id, caller.project.clone(), caller.user.clone(), cluster.id, self.now)
        }
    }
}
