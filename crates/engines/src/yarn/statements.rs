//! Statements of SQL on a YARN cluster: they go to its HiveServer2 by the engine of [`crate::hive`], in a folder of attempts of the
//! cluster's own, which tells whose a job is. A session carries our tags, so that applications which the server starts for it are in
//! the ResourceManager's list like those of any other job. Such a job has ended when its session is closed *and* no application with
//! its tag goes on; whoever stops it stops both.

use std::sync::Arc;

use async_trait::async_trait;
use foggara_domain::{
    Tag,
    execution::Progress,
    plan::{Plan, PlanKind},
};
use tokio::sync::Notify;

use super::Yarn;
use crate::{
    Ability, Engine, EngineError, JobRef, Launch, Launched, LogPiece, Observed, Results, Stop, Stream, Voided,
    hive::Hive, local::TAG_KEYS, remote::Remote,
};

/// A YARN cluster with a HiveServer2.
pub(crate) struct WithStatements {
    yarn: Remote<Yarn>,
    hive: Hive,
    /// Tag of all applications of this installation.
    installation: String,
}

impl WithStatements {
    /// `hive` has a data directory that no other engine has.
    pub fn new(yarn: Remote<Yarn>, hive: Hive, installation: String) -> Self {
        Self { yarn, hive, installation }
    }

    /// Whether a job is one of statements that was launched.
    async fn is_statements(&self, job: JobRef<'_>) -> Result<bool, EngineError> {
        Ok(self.hive.find(job).await?.is_some())
    }

    /// Whether the ResourceManager has an application of the job that is not over, by a list that is begun now.
    async fn has_application(&self, tag: &Tag) -> Result<bool, EngineError> {
        Ok(self.yarn.list(tag.as_str()).await?.contains(tag))
    }

    /// The plan with our tags among the settings of its session.
    fn tagged(&self, plan: &Plan, tag: &Tag) -> Plan {
        let mut plan = plan.clone();
        if let Plan::Sql { settings, .. } = &mut plan {
            let tags = format!("{},{tag}", self.installation);
            settings.extend(TAG_KEYS.map(|key| (key.to_owned(), tags.clone())));
        }
        plan
    }
}

#[async_trait]
impl Engine for WithStatements {
    fn plugin(&self) -> &'static str {
        self.yarn.plugin()
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        if kind == PlanKind::Sql { self.hive.ability(kind) } else { self.yarn.ability(kind) }
    }

    fn max_running(&self) -> Option<usize> {
        self.yarn.max_running()
    }

    fn launch_limit(&self) -> std::time::Duration {
        self.yarn.launch_limit()
    }

    fn opens_urls(&self) -> bool {
        true
    }

    /// The processes of statements ring when they end; the ResourceManager never does.
    fn changed(&self) -> Arc<Notify> {
        self.hive.changed()
    }

    async fn find(&self, job: JobRef<'_>) -> Result<Option<Launched>, EngineError> {
        match self.hive.find(job).await? {
            Some(launched) => Ok(Some(launched)),
            None => self.yarn.find(job).await,
        }
    }

    async fn launch(&self, launch: Launch<'_>) -> Result<Launched, EngineError> {
        let Some(plan) = launch.plan.filter(|plan| plan.kind() == PlanKind::Sql) else {
            return self.yarn.launch(launch).await;
        };
        let plan = self.tagged(plan, launch.tag);
        self.hive.launch(Launch { plan: Some(&plan), ..launch }).await
    }

    /// Which of the two would have launched it is not known here: it is ruled out at both.
    async fn void(&self, job: JobRef<'_>, why: &str) -> Result<Voided, EngineError> {
        let statements = self.hive.void(job, why).await?;
        let others = self.yarn.void(job, why).await?;
        Ok(if statements == Voided::Yes { others } else { statements })
    }

    async fn observe(&self, job: JobRef<'_>) -> Result<Observed, EngineError> {
        match self.hive.observe(job).await? {
            Observed::Absent { .. } => self.yarn.observe(job).await,
            Observed::Ended(_) if self.has_application(job.tag).await? => {
                Ok(Observed::Running { state: Some("its session is closed, an application of it goes on".to_owned()) })
            }
            observed => Ok(observed),
        }
    }

    async fn progress(&self, job: JobRef<'_>) -> Option<Progress> {
        self.yarn.progress(job).await
    }

    /// First the session, so that it starts no further application.
    async fn stop(&self, job: JobRef<'_>, how: Stop) -> Result<(), EngineError> {
        if !self.is_statements(job).await? {
            return self.yarn.stop(job, how).await;
        }
        let closed = self.hive.stop(job, how).await;
        // Also when the server does not answer.
        self.yarn.stop(JobRef::from(job.tag), how).await?;
        closed
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Tag>, EngineError> {
        let mut listed = self.yarn.list(prefix).await?;
        for tag in self.hive.list(prefix).await? {
            // Its list has every process of ours on this host, also those of other clusters.
            if self.is_statements(JobRef::from(&tag)).await? {
                listed.push(tag);
            }
        }
        listed.sort();
        listed.dedup();
        Ok(listed)
    }

    async fn logs(&self, job: JobRef<'_>, stream: Stream, offset: u64, limit: usize) -> Result<LogPiece, EngineError> {
        if self.is_statements(job).await? {
            return self.hive.logs(job, stream, offset, limit).await;
        }
        self.yarn.logs(job, stream, offset, limit).await
    }

    async fn results(&self, tag: &Tag) -> Result<Option<Results>, EngineError> {
        self.hive.results(tag).await
    }

    async fn forget(&self, job: JobRef<'_>) -> Result<(), EngineError> {
        self.hive.forget(job).await?;
        self.yarn.forget(job).await
    }
}
