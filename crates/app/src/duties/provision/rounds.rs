//! What a round does in each status.

use std::time::Duration;

use foggara_db::{clusters, executions, instances, provision};
use foggara_domain::{
    Result,
    cluster::{Cluster, ClusterStatus, Health, HealthCheck, Instance, Verification},
};
use foggara_engines::{
    failpoint,
    plugin::{HostSize, Look},
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Provision, Round, nodes::Process, nodes::cluster_folder};
use crate::{duties::steps::settle::remove, ops::executions::stop_for_cluster};

/// How long a cluster may take to come up or to scale.
const UP_WITHIN: Duration = Duration::from_secs(300);
/// How often in a row a node may end before it served.
const PATIENCE: u32 = 5;
/// How often a cluster that others run is looked at.
const LOOK_AT_OTHERS: Duration = Duration::from_secs(30);

/// How far the nodes are.
struct Progress {
    /// What was found.
    look: Look,
    /// All nodes up to this tier serve; nothing when not even the first does.
    serving: Option<u8>,
    /// Every node that is started serves.
    all: bool,
    /// Nodes that are to go are left.
    leaving: bool,
    /// Why it cannot go on.
    failed: Option<String>,
}

impl Provision {
    /// One round.
    pub(super) async fn round(&mut self) -> Result<Round> {
        let (cluster, nodes) = {
            let mut conn = self.app.db().read().await?;
            let Some(cluster) = clusters::find(&mut conn, &self.own.cluster).await? else { return Ok(Round::Over) };
            drop(conn);
            let nodes = nodes_of(&self.app, &cluster).await?;
            (cluster, nodes)
        };
        self.read = Some(cluster.status);
        if cluster.status.is_settled() {
            self.since = None;
        } else {
            self.since.get_or_insert_with(Instant::now);
        }
        match cluster.status {
            ClusterStatus::Deleting => self.tear_down(&cluster, &nodes).await,
            ClusterStatus::Error => self.clear(&cluster, &nodes).await,
            ClusterStatus::Active => self.look_after(&cluster, nodes).await,
            ClusterStatus::Scaling
            | ClusterStatus::Decommissioning
            | ClusterStatus::DeletingInstances
            | ClusterStatus::AddingInstances => self.scale(&cluster, nodes).await,
            _ => self.bring_up(&cluster, nodes).await,
        }
    }

    async fn bring_up(&mut self, cluster: &Cluster, nodes: Vec<Instance>) -> Result<Round> {
        let next = match cluster.status {
            ClusterStatus::Validating => {
                if let Err(why) = self.plugin.check(cluster, HostSize::of_this_host()) {
                    return self.fail(&why).await;
                }
                ClusterStatus::InfraUpdating
            }
            ClusterStatus::InfraUpdating => ClusterStatus::Spawning,
            ClusterStatus::Spawning => {
                let wanted: i64 = cluster.node_groups.iter().map(|group| group.count).sum();
                self.begin_step("Create nodes", usize::try_from(wanted).unwrap_or(0)).await?;
                if self.settle_rows(cluster, &nodes).await? {
                    return Ok(Round::Busy);
                }
                self.end_steps(true).await?;
                failpoint::pass("cluster.nodes_created");
                ClusterStatus::Waiting
            }
            ClusterStatus::Waiting | ClusterStatus::Starting => {
                let last = cluster.status == ClusterStatus::Starting;
                let tiers = nodes.iter().filter_map(|node| self.tier(cluster, node)).collect::<Vec<_>>();
                let first = tiers.iter().copied().min();
                let here = if last { tiers.len() } else { tiers.iter().filter(|tier| Some(**tier) == first).count() };
                self.begin_step(if last { "Start all nodes" } else { "Start the first nodes" }, here).await?;
                let progress = self.converge(cluster, nodes, if last { None } else { first }, true).await?;
                if let Some(why) = progress.failed {
                    return self.fail(&why).await;
                }
                let done = if last { progress.all } else { first.is_none_or(|first| progress.serving >= Some(first)) };
                if !done {
                    return self.give_time(&progress.look).await;
                }
                self.end_steps(true).await?;
                if last { ClusterStatus::Active } else { ClusterStatus::Preparing }
            }
            ClusterStatus::Preparing => ClusterStatus::Configuring,
            _ => {
                self.store_info(cluster, &nodes).await?;
                ClusterStatus::Starting
            }
        };
        self.set_status(next, "").await?;
        Ok(Round::Busy)
    }

    async fn scale(&mut self, cluster: &Cluster, nodes: Vec<Instance>) -> Result<Round> {
        if self.settle_rows(cluster, &nodes).await? {
            return Ok(Round::Busy);
        }
        let before = nodes.len();
        let progress = self.converge(cluster, nodes, None, true).await?;
        let status = match (progress.leaving, progress.all) {
            (true, _) if cluster.status == ClusterStatus::Scaling => ClusterStatus::Decommissioning,
            (true, _) => ClusterStatus::DeletingInstances,
            (false, false) => ClusterStatus::AddingInstances,
            (false, true) => ClusterStatus::Active,
        };
        if let Some(why) = progress.failed {
            return self.fail(&why).await;
        }
        match status {
            ClusterStatus::Active => {
                self.end_steps(true).await?;
                self.store_info(cluster, &nodes_of(&self.app, cluster).await?).await?;
                self.set_status(status, "").await?;
                return Ok(Round::Busy);
            }
            ClusterStatus::AddingInstances => self.begin_step("Add nodes", before).await?,
            _ => self.begin_step("Remove nodes", before).await?,
        }
        if status != cluster.status {
            self.set_status(status, "").await?;
            return Ok(Round::Busy);
        }
        self.give_time(&progress.look).await
    }

    /// Nodes that ended are started again; a look at the cluster's health is taken when one is asked for.
    async fn look_after(&mut self, cluster: &Cluster, nodes: Vec<Instance>) -> Result<Round> {
        let asked = {
            let mut conn = self.app.db().read().await?;
            provision::verification(&mut conn, &cluster.id).await?.filter(|last| last.status == Health::Checking)
        };
        if self.settle_rows(cluster, &nodes).await? {
            self.set_status(ClusterStatus::Scaling, "").await?;
            return Ok(Round::Busy);
        }
        let has_processes = nodes.iter().any(|node| self.tier(cluster, node).is_some());
        let due = self.looked.is_none_or(|at| at.elapsed() >= LOOK_AT_OTHERS);
        if !has_processes && asked.is_none() && !due {
            return Ok(Round::Idle);
        }
        let progress = self.converge(cluster, nodes, None, false).await?;
        self.looked = Some(Instant::now());
        if let Some(asked) = asked {
            self.store_verification(asked, &progress.look).await?;
        }
        if let Some(why) = progress.failed {
            return self.fail(&why).await;
        }
        if progress.all {
            self.end_steps(true).await?;
        }
        let trouble = trouble(&progress.look);
        if trouble != cluster.status_description {
            self.set_status(ClusterStatus::Active, &trouble).await?;
        }
        Ok(if progress.all { Round::Idle } else { Round::Busy })
    }

    /// Starts what is not started, tier by tier, and stops what is to go. While a cluster comes up, a node that ends gets another
    /// address; later it keeps its own, since the others know it.
    async fn converge(
        &mut self,
        cluster: &Cluster,
        mut nodes: Vec<Instance>,
        up_to: Option<u8>,
        coming_up: bool,
    ) -> Result<Progress> {
        let mut progress = Progress { look: Look::default(), serving: None, all: false, leaving: false, failed: None };
        for node in nodes.iter().filter(|node| node.leaving) {
            progress.leaving = true;
            if self.tier(cluster, node).is_none() || matches!(self.stop(node).await, Ok(true)) {
                self.remove(cluster, node).await.map_err(foggara_domain::Error::unavailable)?;
            }
        }
        progress.look = self.plugin.look(cluster, &nodes).await;
        let mut tiers: Vec<u8> = nodes.iter().filter_map(|node| self.tier(cluster, node)).collect();
        tiers.sort_unstable();
        tiers.dedup();
        for tier in tiers {
            if up_to.is_some_and(|last| tier > last) {
                return Ok(progress);
            }
            let ids: Vec<_> = nodes
                .iter()
                .filter(|node| !node.leaving && self.tier(cluster, node) == Some(tier))
                .map(|node| node.id.clone())
                .collect();
            let mut all = true;
            for id in &ids {
                let Some(node) = nodes.iter().find(|node| node.id == *id).cloned() else { continue };
                let serves = progress.look.serving.contains(id);
                match self.process(&node).await {
                    Ok(Process::Running) if serves => {
                        self.failures.remove(id);
                        self.record(&node, None).await?;
                    }
                    Ok(Process::Running) => all = false,
                    Ok(Process::Absent) => {
                        all = false;
                        if let Err(why) = self.start(cluster, &mut nodes, id).await {
                            self.note_failure(&node, &why, &mut progress).await?;
                        }
                        failpoint::pass("cluster.node_started");
                    }
                    Ok(Process::Ended(why)) => {
                        all = false;
                        self.begin_step("Restart nodes", 1).await?;
                        self.note_failure(&node, &why, &mut progress).await?;
                        if progress.failed.is_none() {
                            self.again(&node, coming_up).await?;
                        }
                    }
                    Err(error) => {
                        all = false;
                        tracing::warn!(node = %node.name, "cannot be asked: {error}");
                    }
                }
            }
            if !all {
                return Ok(progress);
            }
            progress.serving = Some(tier);
        }
        progress.all = true;
        Ok(progress)
    }

    async fn note_failure(&mut self, node: &Instance, why: &str, progress: &mut Progress) -> Result<()> {
        let times = self.failures.entry(node.id.clone()).or_insert(0);
        *times += 1;
        let times = *times;
        tracing::warn!(node = %node.name, times, "a node failed: {why}");
        self.record(node, Some(why)).await?;
        if times >= PATIENCE {
            progress.failed = Some(format!("node {} failed {times} times in a row, the last time: {why}", node.name));
        }
        Ok(())
    }

    pub(super) async fn fail(&mut self, why: &str) -> Result<Round> {
        self.end_steps(false).await?;
        self.set_status(ClusterStatus::Error, why).await?;
        self.failures.clear();
        Ok(Round::Busy)
    }

    /// Not there yet: go on, or give up.
    async fn give_time(&mut self, look: &Look) -> Result<Round> {
        if self.since.is_some_and(|since| since.elapsed() >= UP_WITHIN) {
            let trouble = trouble(look);
            let why = if trouble.is_empty() { "its nodes do not serve" } else { &trouble };
            return self.fail(&format!("not up within {} s: {why}", UP_WITHIN.as_secs())).await;
        }
        Ok(Round::Busy)
    }

    async fn store_info(&self, cluster: &Cluster, nodes: &[Instance]) -> Result<()> {
        let info = self.plugin.info(cluster, nodes);
        if info == cluster.info {
            return Ok(());
        }
        let (cluster, now) = (Cluster { info, ..cluster.clone() }, self.app.now());
        self.write(move |conn| {
            let cluster = cluster.clone();
            Box::pin(async move { clusters::set_info(conn, &cluster, now).await })
        })
        .await
        .map(|_| ())
    }

    async fn store_verification(&self, asked: Verification, look: &Look) -> Result<()> {
        let now = self.app.now();
        let checks = look.checks.iter().map(|(name, status, description)| HealthCheck {
            id: Uuid::new_v4().to_string(),
            name: name.clone(),
            status: *status,
            description: description.clone(),
            created_at: now,
        });
        let status = Health::of_all(look.checks.iter().map(|(_, health, _)| *health));
        let done = Verification { status, checks: checks.collect(), updated_at: Some(now), ..asked };
        self.write(move |conn| {
            let done = done.clone();
            Box::pin(async move { provision::put_verification(conn, &done).await })
        })
        .await
        .map(|_| ())
    }

    /// Nothing of a cluster in Error runs on.
    async fn clear(&mut self, cluster: &Cluster, nodes: &[Instance]) -> Result<Round> {
        if self.stop_all(cluster, nodes).await? { Ok(Round::Idle) } else { Ok(Round::Busy) }
    }

    /// Stops all nodes and removes those that are gone; true when none is left.
    async fn stop_all(&self, cluster: &Cluster, nodes: &[Instance]) -> Result<bool> {
        for node in nodes {
            if self.tier(cluster, node).is_none() || matches!(self.stop(node).await, Ok(true)) {
                self.remove(cluster, node).await.map_err(foggara_domain::Error::unavailable)?;
            }
        }
        Ok(nodes.is_empty())
    }

    /// The executions first, then the nodes, then the record.
    async fn tear_down(&mut self, cluster: &Cluster, nodes: &[Instance]) -> Result<Round> {
        let (id, now) = (cluster.id.clone(), self.app.now());
        let left = self
            .write(move |conn| {
                let id = id.clone();
                Box::pin(async move {
                    let left = executions::unfinished_of_cluster(conn, &id).await?;
                    for row in &left {
                        stop_for_cluster(conn, row, now).await?;
                    }
                    Ok(left.len() + executions::owed_of_cluster(conn, &id).await?)
                })
            })
            .await?;
        match left {
            None => return Ok(Round::Over),
            Some(0) => {}
            Some(_) => return Ok(Round::Busy),
        }
        if !self.stop_all(cluster, nodes).await? {
            return Ok(Round::Busy);
        }
        remove(&cluster_folder(&self.app, cluster)).await.map_err(foggara_domain::Error::unavailable)?;
        failpoint::pass("cluster.nodes_gone");
        let id = cluster.id.clone();
        self.write(move |conn| {
            let id = id.clone();
            Box::pin(async move { clusters::delete(conn, &id).await })
        })
        .await?;
        self.app.plugins().forget(&cluster.id);
        tracing::info!(cluster = %cluster.name, "the cluster is gone");
        Ok(Round::Over)
    }
}

async fn nodes_of(app: &crate::App, cluster: &Cluster) -> Result<Vec<Instance>> {
    instances::of(&mut app.db().read().await?, &cluster.id).await
}

/// What is not well, in words.
fn trouble(look: &Look) -> String {
    let wrong = look.checks.iter().filter(|(_, health, _)| *health != Health::Green);
    wrong.map(|(name, _, words)| format!("{name}: {words}")).collect::<Vec<_>>().join("; ")
}
