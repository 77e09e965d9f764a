//! What a cluster can be: a plugin describes itself to clients, checks what a cluster of it is made of, says what runs on its
//! nodes, and gives the engine that runs its jobs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use foggara_domain::{
    ClusterId, InstanceId,
    cluster::{Cluster, Health, Instance},
    node_group::NodeGroup,
    plan::{Plan, PlanKind},
};
use serde_json::{Map, Value};

use crate::{Ability, Engine, missing::Missing};

/// A plugin as clients read it (sahara-v1.1.md section 9).
#[derive(Clone, Debug)]
pub struct Description {
    /// Title.
    pub title: &'static str,
    /// What it does, in a sentence.
    pub text: &'static str,
    /// Its versions, the newest first.
    pub versions: Vec<String>,
    /// Processes of nodes by service.
    pub processes: Vec<(&'static str, &'static [&'static str])>,
    /// Settings of clusters and node groups.
    pub configs: Vec<ConfigItem>,
}

/// A setting of a cluster or of a node group.
#[derive(Clone, Debug)]
pub struct ConfigItem {
    /// Under what it stands in `cluster_configs` and `node_configs`.
    pub target: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What it does.
    pub text: &'static str,
    /// What it can be.
    pub kind: ConfigKind,
    /// What it is when nobody sets it.
    pub default: Value,
    /// Whether it is set for a node group rather than for the cluster.
    pub of_node: bool,
    /// Whether only the operator's configuration (`[clusters.NAME]`) may set it: it names a file of this host.
    pub operator: bool,
}

/// Kinds of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigKind {
    /// Text.
    Text,
    /// A whole number, also as text.
    Number,
}

/// Where a plugin's clusters are looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Jobs are processes of a host: each host has its own owner.
    Host,
    /// From any server.
    Anywhere,
}

/// What a host has, for the checks of a cluster that is to run on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostSize {
    /// Cores.
    pub cores: u64,
    /// Memory in MiB.
    pub memory_mb: u64,
}

/// How far it is proven that a plugin runs a kind of plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Tests run it on the real engine.
    Real,
    /// Tests run it with a fake of the engine, or with a stand-in of its client.
    Fake,
}

/// What a look at a cluster's services found.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Nodes that serve.
    pub serving: BTreeSet<InstanceId>,
    /// What was looked at, what came of it, and in words.
    pub checks: Vec<(String, Health, String)>,
}

/// A kind of cluster.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// Name on the wire.
    fn name(&self) -> &'static str;

    /// The plugin as clients read it.
    fn description(&self) -> &Description;

    /// Whether its clusters run this kind of plan.
    fn ability(&self, kind: PlanKind) -> Ability;

    /// The same of one cluster, whose settings may lack what some kinds need.
    fn ability_of(&self, cluster: &Cluster, kind: PlanKind) -> Ability {
        let _ = cluster;
        self.ability(kind)
    }

    /// How it is proven that it runs this kind of plan, where it does; for the table in `docs/engines.md`.
    fn proof(&self, kind: PlanKind) -> Proof {
        let _ = kind;
        Proof::Fake
    }

    /// Why its clusters never run this kind of plan, in a few words that can follow a colon.
    fn refusal(&self, kind: PlanKind) -> &'static str {
        let _ = kind;
        "it is not made for such jobs"
    }

    /// Where its clusters are looked after.
    fn binding(&self) -> Binding;

    /// Checks what a cluster is made of. The error is for the user: what is wrong, with numbers, and what to do.
    fn check(&self, cluster: &Cluster, host: HostSize) -> Result<(), String>;

    /// Makes the engine for the jobs of a cluster.
    fn engine(&self, cluster: &Cluster) -> Result<Arc<dyn Engine>, String>;

    /// When nodes of a group are started: all of a tier serve before the next is begun. Nothing where nothing is started.
    fn tier(&self, group: &NodeGroup) -> Option<u8> {
        let _ = group;
        None
    }

    /// What runs on a node whose address is chosen. `folder` is its own, made already.
    fn node(&self, cluster: &Cluster, nodes: &[Instance], node: &Instance, folder: &Path) -> Result<Plan, String> {
        let _ = (cluster, nodes, folder);
        Err(format!("nothing is started on {}", node.name))
    }

    /// Looks at the cluster's services: those that it started, or those that its settings name.
    async fn look(&self, cluster: &Cluster, nodes: &[Instance]) -> Look;

    /// What users may want to know of a cluster whose services were looked at: addresses, web pages.
    fn info(&self, cluster: &Cluster, nodes: &[Instance]) -> Map<String, Value> {
        let _ = (cluster, nodes);
        Map::new()
    }
}

/// The plugins of this server, and the engines of its clusters.
#[derive(Clone)]
pub struct Plugins(Arc<Inner>);

/// Engines that were made, with the revision of the cluster that they were made for.
type Made = BTreeMap<ClusterId, (i64, Arc<dyn Engine>)>;

struct Inner {
    nodes: Arc<dyn Engine>,
    plugins: BTreeMap<&'static str, Arc<dyn Plugin>>,
    engines: Mutex<Made>,
}

impl Plugins {
    /// These plugins. `nodes` supervises the processes of managed clusters, and knows the logs of jobs whose cluster is gone.
    pub fn new(nodes: Arc<dyn Engine>, plugins: impl IntoIterator<Item = Arc<dyn Plugin>>) -> Self {
        let plugins = plugins.into_iter().map(|plugin| (plugin.name(), plugin)).collect();
        Self(Arc::new(Inner { nodes, plugins, engines: Mutex::default() }))
    }

    /// What supervises the processes of managed clusters.
    pub fn nodes(&self) -> &Arc<dyn Engine> {
        &self.0.nodes
    }

    /// A plugin by its name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Plugin>> {
        self.0.plugins.get(name)
    }

    /// All of them by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Plugin>> {
        self.0.plugins.values()
    }

    /// Why clusters of a plugin never run a kind of plan, and clusters of which plugins do, to follow a colon.
    pub fn refusal(&self, plugin: &str, kind: PlanKind) -> String {
        let others = self.iter().filter(|other| other.name() != plugin && other.ability(kind) != Ability::Never);
        let others: Vec<&str> = others.map(|other| other.name()).collect();
        let why = self.get(plugin).map_or("this server has no such plugin", |plugin| plugin.refusal(kind));
        match others.as_slice() {
            [] => format!("{why}, and no other plugin of this server runs them"),
            others => format!("{why}; clusters of plugin {} run them", others.join(", ")),
        }
    }

    /// The engine of a cluster as it is at present; the same as long as its revision stays. One that cannot be made, because the
    /// cluster's settings are wrong, has a stand-in that says so.
    pub fn engine(&self, cluster: &Cluster) -> Result<Arc<dyn Engine>, String> {
        let plugin =
            self.get(&cluster.plugin).ok_or_else(|| format!("this server has no plugin '{}'", cluster.plugin))?;
        let mut engines = self.0.engines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((revision, engine)) = engines.get(&cluster.id)
            && *revision == cluster.revision
        {
            return Ok(Arc::clone(engine));
        }
        let engine = plugin.engine(cluster).unwrap_or_else(|why| Arc::new(Missing::new(plugin.name(), why)));
        engines.insert(cluster.id.clone(), (cluster.revision, Arc::clone(&engine)));
        Ok(engine)
    }

    /// The cluster is gone.
    pub fn forget(&self, cluster: &ClusterId) {
        self.0.engines.lock().unwrap_or_else(PoisonError::into_inner).remove(cluster);
    }
}

/// A whole number among settings; it may be written as text.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A number of a node group's settings, else of the cluster's, else what is given. Wrong ones are named.
pub(crate) fn setting(
    cluster: &Cluster,
    group: Option<&NodeGroup>,
    target: &str,
    name: &str,
    default: u64,
) -> Result<u64, String> {
    let of_group = group.and_then(|group| group.settings.node_configs.get(target)?.get(name));
    match of_group.or_else(|| cluster.config(target, name)) {
        None => Ok(default),
        Some(value) => number(value).filter(|number| *number > 0).ok_or_else(|| {
            format!("the setting {target}.{name} is {value}; it has to be a whole number greater than 0")
        }),
    }
}

impl HostSize {
    /// What this host has, or what its control group leaves.
    pub fn of_this_host() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = meminfo
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
        let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
        let limit = limit.and_then(|text| text.trim().parse::<u64>().ok()).map(|bytes| bytes / (1024 * 1024));
        let total = total.map_or(u64::MAX, |kib| kib / 1024);
        Self { cores, memory_mb: limit.map_or(total, |limit| limit.min(total)) }
    }
}
