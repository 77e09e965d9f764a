//! The nodes of a cluster: rows that agree with the counts, and a supervised process behind each whose plugin runs one.

use std::{collections::BTreeMap, net::TcpListener, path::PathBuf};

use foggara_db::instances;
use foggara_domain::{
    InstanceId, Result, Tag,
    cluster::{Cluster, Instance, NodeAddress, instance_name},
    node_group::NodeGroup,
};
use foggara_engines::{Engine, EngineError, JobRef, Launch, Observed, Stop, Stream, Voided};

use super::Provision;
use crate::{App, duties::steps};

/// Address of the nodes of managed clusters: they serve this host alone.
const HERE: &str = "127.0.0.1";
/// How much of a node's log is told when it fails.
const TOLD: usize = 2000;

/// How a node's process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// It runs.
    Running,
    /// It ended; in words.
    Ended(String),
    /// It was never started in this attempt.
    Absent,
}

impl Provision {
    fn engine(&self) -> &dyn Engine {
        self.app.plugins().nodes().as_ref()
    }

    fn tag(&self, node: &Instance) -> Tag {
        Tag::of_node(&self.app.settings().installation, &node.id, node.attempt)
    }

    /// The group of a node.
    pub(super) fn group<'a>(cluster: &'a Cluster, node: &Instance) -> Option<&'a NodeGroup> {
        cluster.node_groups.iter().find(|group| group.id == node.group)
    }

    /// When a node is started; nothing where nothing is.
    pub(super) fn tier(&self, cluster: &Cluster, node: &Instance) -> Option<u8> {
        self.plugin.tier(Self::group(cluster, node)?)
    }

    /// Makes the rows agree with the counts: missing nodes are added, of too many the last ones are to go.
    pub(super) async fn settle_rows(&self, cluster: &Cluster, nodes: &[Instance]) -> Result<bool> {
        let now = self.app.now();
        let (mut added, mut leaving) = (Vec::new(), Vec::new());
        for group in &cluster.node_groups {
            let mut here: Vec<&Instance> =
                nodes.iter().filter(|node| node.group == group.id && !node.leaving).collect();
            here.sort_by_key(|node| std::cmp::Reverse(number(&node.name)));
            let many = i64::try_from(here.len()).unwrap_or(i64::MAX);
            let surplus = usize::try_from(many - group.count).unwrap_or(0);
            leaving.extend(here.iter().take(surplus).map(|node| Instance { leaving: true, ..(*node).clone() }));
            let names = (1..).map(|number| instance_name(&cluster.name, &group.name, number));
            let free = names.filter(|name| !nodes.iter().any(|node| node.name == *name));
            for name in free.take(usize::try_from(group.count - many).unwrap_or(0)) {
                added.push(Instance {
                    id: InstanceId::new(),
                    cluster: cluster.id.clone(),
                    group: group.id.clone(),
                    name,
                    attempt: 1,
                    address: None,
                    leaving: false,
                    created_at: now,
                    updated_at: None,
                });
            }
        }
        if added.is_empty() && leaving.is_empty() {
            return Ok(false);
        }
        self.write(move |conn| {
            let (added, leaving) = (added.clone(), leaving.clone());
            Box::pin(async move {
                for node in &added {
                    instances::insert(conn, node).await?;
                }
                for node in &leaving {
                    instances::update(conn, node, now).await?;
                }
                Ok(())
            })
        })
        .await?;
        Ok(true)
    }

    /// How a node's process is at present.
    pub(super) async fn process(&self, node: &Instance) -> Result<Process, EngineError> {
        let tag = self.tag(node);
        Ok(match self.engine().observe(JobRef::from(&tag)).await? {
            Observed::Queued { .. } | Observed::Running { .. } => Process::Running,
            Observed::Absent { .. } => Process::Absent,
            Observed::Ended(ended) => {
                let reason = ended.reason.unwrap_or_else(|| "it ended".to_owned());
                Process::Ended(format!("{reason}{}", self.last_words(&tag).await))
            }
        })
    }

    /// The last line that a node wrote.
    async fn last_words(&self, tag: &Tag) -> String {
        for stream in [Stream::Stderr, Stream::Stdout] {
            let size = self.engine().logs(JobRef::from(tag), stream, 0, 0).await.map_or(0, |piece| piece.size);
            let from = size.saturating_sub(TOLD as u64);
            let Ok(piece) = self.engine().logs(JobRef::from(tag), stream, from, TOLD).await else { continue };
            let text = String::from_utf8_lossy(&piece.bytes).into_owned();
            // A Java trace ends with frames; the line that says what is wrong stands before them.
            let line = text
                .lines()
                .rev()
                .map(str::trim)
                .find(|line| !line.is_empty() && !line.starts_with("at ") && !line.starts_with("..."));
            if let Some(line) = line {
                return format!(": {line}");
            }
        }
        String::new()
    }

    /// Stores that a node is started anew, at another address if `move_on`.
    pub(super) async fn again(&self, node: &Instance, move_on: bool) -> Result<()> {
        let address = node.address.clone().filter(|_| !move_on);
        self.save(Instance { attempt: node.attempt + 1, address, ..node.clone() }).await
    }

    async fn save(&self, node: Instance) -> Result<()> {
        let now = self.app.now();
        self.write(move |conn| {
            let node = node.clone();
            Box::pin(async move { instances::update(conn, &node, now).await })
        })
        .await
        .map(|_| ())
    }

    /// Starts a node that was never started in this attempt. Its address is stored first, so that nobody starts it at two.
    pub(super) async fn start(&self, cluster: &Cluster, nodes: &mut [Instance], id: &InstanceId) -> Result<(), String> {
        let node = nodes.iter_mut().find(|node| node.id == *id).ok_or("the node is gone")?;
        if node.address.is_none() {
            node.address = Some(free_address()?);
            self.save(node.clone()).await.map_err(|error| error.to_string())?;
        }
        let node = node.clone();
        let folder = folder(&self.app, cluster, &node);
        let made = std::fs::create_dir_all(&folder);
        made.map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let plan = self.plugin.node(cluster, nodes, &node, &folder)?;
        let tag = self.tag(&node);
        let launch = Launch {
            urls: &BTreeMap::new(),
            tag: &tag,
            job_type: "node",
            job_name: &node.name,
            plan: Some(&plan),
            workspace: folder,
            logs: steps::stage::logs_folder(&self.app, &tag),
            kill_grace: self.app.settings().kill_grace,
        };
        self.engine().launch(launch).await.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Stops a node; true when no process of it is left.
    pub(super) async fn stop(&self, node: &Instance) -> Result<bool, EngineError> {
        let tag = self.tag(node);
        if self.engine().void(JobRef::from(&tag), "the node is to go").await? == Voided::Yes {
            return Ok(true);
        }
        match self.engine().observe(JobRef::from(&tag)).await? {
            Observed::Ended(_) | Observed::Absent { .. } => Ok(true),
            _ => {
                self.engine().stop(JobRef::from(&tag), Stop::Gently).await?;
                Ok(false)
            }
        }
    }

    /// Removes a node that is gone, with its files.
    pub(super) async fn remove(&self, cluster: &Cluster, node: &Instance) -> Result<(), String> {
        for attempt in 1..=node.attempt {
            let tag = Tag::of_node(&self.app.settings().installation, &node.id, attempt);
            self.engine().forget(JobRef::from(&tag)).await.map_err(|error| error.to_string())?;
            steps::settle::remove(&steps::stage::logs_folder(&self.app, &tag)).await?;
        }
        steps::settle::remove(&folder(&self.app, cluster, node)).await?;
        let id = node.id.clone();
        let removed = self.write(move |conn| {
            let id = id.clone();
            Box::pin(async move { instances::delete(conn, &id).await })
        });
        removed.await.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// The folder of a cluster's nodes.
pub(super) fn cluster_folder(app: &App, cluster: &Cluster) -> PathBuf {
    app.settings().data_dir.join("clusters").join(cluster.id.as_str())
}

fn folder(app: &App, cluster: &Cluster, node: &Instance) -> PathBuf {
    cluster_folder(app, cluster).join(node.id.as_str())
}

/// The number at the end of a node's name.
fn number(name: &str) -> i64 {
    name.rsplit_once('-').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

/// Two ports that are free at the moment. Should one be taken before the node listens, the node fails and gets others.
fn free_address() -> Result<NodeAddress, String> {
    let failed = |error: std::io::Error| format!("no port is free on {HERE}: {error}");
    let bound = [TcpListener::bind((HERE, 0)).map_err(failed)?, TcpListener::bind((HERE, 0)).map_err(failed)?];
    let [port, web_port] = bound.map(|listener| listener.local_addr().map(|address| address.port()));
    Ok(NodeAddress { host: HERE.to_owned(), port: port.map_err(failed)?, web_port: web_port.map_err(failed)? })
}

/// Stops node processes of this host that no row wants: the row of their cluster is gone, or names a later attempt.
pub(in crate::duties) async fn sweep(app: &App) -> Result<(), String> {
    let installation = &app.settings().installation;
    let engine = app.plugins().nodes();
    let tags = engine.list(&Tag::prefix_of_nodes(installation)).await.map_err(|error| error.to_string())?;
    for tag in tags {
        let Some((id, attempt)) = tag.parse_node(installation) else { continue };
        let mut conn = app.db().read().await.map_err(|error| error.to_string())?;
        let node = instances::find(&mut conn, &id).await.map_err(|error| error.to_string())?;
        if node.is_some_and(|node| node.attempt == attempt) {
            continue;
        }
        tracing::warn!(%tag, "a node that no cluster wants is being stopped");
        engine.stop(JobRef::from(&tag), Stop::Gently).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_address_has_two_ports() {
        let address = free_address().expect("two free ports");
        assert!(address.port > 0 && address.web_port > 0 && address.port != address.web_port);
    }

    #[test]
    fn names_end_with_a_number() {
        assert_eq!((number("c-workers-12"), number("x")), (12, 0));
    }
}
