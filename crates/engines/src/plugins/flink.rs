//! Plugin `flink`: a session cluster of Flink. Managed when its node groups say of what: one JobManager and TaskManagers, each a
//! supervised process of this host. External when its settings give the address of a JobManager that somebody else runs. Jobs go
//! by its REST either way.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use foggara_domain::{
    cluster::{Cluster, Health, Instance, NodeAddress},
    node_group::NodeGroup,
    plan::{Plan, PlanKind},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::WHILE_ALL_LIVE;
use crate::{
    Ability, Engine, EngineError,
    flink::{
        Flink, FlinkSettings,
        home::{self, JOB_MANAGER_MB, Memory},
    },
    local::{LocalSettings, flink_home},
    plugin::{Binding, ConfigItem, ConfigKind, Description, HostSize, Look, Plugin, Proof, setting},
    remote::{
        Remote, RemoteSettings,
        rest::{Auth, Rest, RestSettings},
    },
};

const TARGET: &str = "flink";
const JOB_MANAGER: &str = "jobmanager";
const TASK_MANAGER: &str = "taskmanager";
/// What a JobManager takes beside its heap.
const JOB_MANAGER_WHOLE_MB: u64 = JOB_MANAGER_MB + 256;
/// Tasks that run at once on a TaskManager when nobody says.
const SLOTS: u64 = 1;
/// The largest number of nodes of a cluster on one host.
const NODES: i64 = 64;

/// The plugin.
pub struct FlinkPlugin {
    settings: LocalSettings,
    remote: RemoteSettings,
    home: Option<PathBuf>,
    description: Description,
}

/// `GET /overview`
#[derive(Deserialize)]
struct Overview {
    taskmanagers: u64,
    #[serde(rename = "slots-total")]
    slots: u64,
    #[serde(rename = "slots-available")]
    free: u64,
    #[serde(rename = "flink-version")]
    version: String,
}

#[derive(Deserialize)]
struct TaskManagers {
    taskmanagers: Vec<TaskManager>,
}

#[derive(Deserialize)]
struct TaskManager {
    id: String,
}

impl FlinkPlugin {
    /// `home` is where Flink is as configured; nothing for FLINK_HOME or what was installed.
    pub fn new(settings: LocalSettings, remote: RemoteSettings, home: Option<PathBuf>) -> Self {
        let item = |name, text, kind, default: Value, of_node, operator| ConfigItem {
            target: TARGET,
            name,
            text,
            kind,
            default,
            of_node,
            operator,
        };
        let number = ConfigKind::Number;
        let text = ConfigKind::Text;
        let memory = Memory::default();
        let description = Description {
            title: "Apache Flink",
            text: "Flink session cluster: a managed one of supervised processes on this host, or one that already runs elsewhere",
            versions: vec!["2.3".to_owned()],
            processes: vec![("Flink", &[JOB_MANAGER, TASK_MANAGER])],
            configs: vec![
                item(
                    "slots",
                    "Tasks that each TaskManager of the group runs at once",
                    number,
                    json!(SLOTS),
                    true,
                    false,
                ),
                item(
                    "memory_mb",
                    "MiB of heap that each TaskManager of the group gives to tasks",
                    number,
                    json!(memory.tasks),
                    true,
                    false,
                ),
                item(
                    "managed_mb",
                    "MiB that each TaskManager of the group keeps for state and batch operators",
                    number,
                    json!(memory.managed),
                    true,
                    false,
                ),
                item(
                    "rest_url",
                    "Address of the REST of a JobManager that runs elsewhere, http://host:8081, several with commas: nothing is \
                     started then",
                    text,
                    Value::Null,
                    false,
                    false,
                ),
                item("max_running", "Jobs that run at once; further ones wait", number, Value::Null, false, false),
                item(
                    "stop_with_savepoint",
                    "Url of a folder: a job that is cancelled leaves a savepoint there where it can",
                    text,
                    Value::Null,
                    false,
                    false,
                ),
                item(
                    "python",
                    "A Python that has apache-flink of the cluster's version, on all of its hosts: programs in Python run by it. A \
                     JobManager elsewhere has to see the data directory of this server under the same path, and to have \
                     FLINK_OPT_DIR set",
                    text,
                    Value::Null,
                    false,
                    true,
                ),
                item("ca_file", "Certificates (PEM) that are trusted for https", text, Value::Null, false, true),
                item(
                    "token_file",
                    "File with a bearer token for a proxy before the REST",
                    text,
                    Value::Null,
                    false,
                    true,
                ),
            ],
        };
        Self { settings, remote, home, description }
    }

    fn text<'a>(cluster: &'a Cluster, name: &str) -> Option<&'a str> {
        cluster.config(TARGET, name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    fn external(cluster: &Cluster) -> Option<&str> {
        Self::text(cluster, "rest_url")
    }

    fn rest(cluster: &Cluster, urls: &str) -> Result<Rest, String> {
        let auth = match Self::text(cluster, "token_file") {
            Some(file) => Auth::TokenFile(file.into()),
            None => Auth::None,
        };
        Rest::new(RestSettings {
            service: "the Flink JobManager",
            urls: urls.to_owned(),
            ca_file: Self::text(cluster, "ca_file").map(PathBuf::from),
            auth,
        })
    }

    fn check_external(cluster: &Cluster, urls: &str) -> Result<(), String> {
        if cluster
            .node_groups
            .iter()
            .any(|group| group.count > 0 && (group.runs(JOB_MANAGER) || group.runs(TASK_MANAGER)))
        {
            return Err("the setting flink.rest_url names a cluster that runs elsewhere, so its node groups can start no jobmanager \
                        and no taskmanager: leave out either"
                .to_owned());
        }
        Self::rest(cluster, urls).map(|_| ()).map_err(|why| format!("the setting flink.rest_url: {why}"))
    }

    fn memory(cluster: &Cluster, group: &NodeGroup) -> Result<Memory, String> {
        let default = Memory::default();
        Ok(Memory {
            tasks: setting(cluster, Some(group), TARGET, "memory_mb", default.tasks)?,
            managed: setting(cluster, Some(group), TARGET, "managed_mb", default.managed)?,
        })
    }

    fn check_managed(&self, cluster: &Cluster, host: HostSize) -> Result<(), String> {
        let count = |process: &str| -> i64 {
            cluster.node_groups.iter().filter(|group| group.runs(process)).map(|group| group.count).sum()
        };
        let (masters, workers) = (count(JOB_MANAGER), count(TASK_MANAGER));
        if masters != 1 {
            return Err(format!(
                "a Flink cluster has exactly 1 node with the process {JOB_MANAGER}, and here are {masters}; one that runs \
                 elsewhere is named by the setting flink.rest_url"
            ));
        }
        if workers < 1 {
            return Err(format!(
                "a Flink cluster has at least 1 node with the process {TASK_MANAGER}, and here are none"
            ));
        }
        if masters + workers > NODES {
            return Err(format!("{} nodes are more than the {NODES} that one host carries", masters + workers));
        }
        let mut memory = JOB_MANAGER_WHOLE_MB;
        for group in cluster.node_groups.iter().filter(|group| group.runs(TASK_MANAGER)) {
            setting(cluster, Some(group), TARGET, "slots", SLOTS)?;
            let each = Self::memory(cluster, group)?.whole();
            memory = memory.saturating_add(each.saturating_mul(u64::try_from(group.count).unwrap_or(0)));
        }
        if memory > host.memory_mb {
            return Err(format!(
                "the nodes need {memory} MiB of memory, and this host has {} MiB: ask for fewer taskmanagers or less memory_mb",
                host.memory_mb
            ));
        }
        flink_home(&self.settings, self.home.as_deref()).map(|_| ())
    }

    /// The JobManager of a managed cluster, once its address is chosen.
    fn master<'a>(cluster: &Cluster, nodes: &'a [Instance]) -> Option<&'a NodeAddress> {
        let runs = |node: &&Instance| {
            cluster.node_groups.iter().any(|group| group.id == node.group && group.runs(JOB_MANAGER))
        };
        nodes.iter().find(runs)?.address.as_ref()
    }

    async fn look_at(&self, cluster: &Cluster, urls: &str, look: &mut Look) -> Option<BTreeSet<String>> {
        let answer = async {
            let rest = Self::rest(cluster, urls).map_err(EngineError::Unreachable)?;
            let overview: Overview = rest.get("/overview").await?;
            let managers: TaskManagers = rest.get("/taskmanagers").await?;
            Ok::<_, EngineError>((overview, managers))
        };
        match answer.await {
            Ok((overview, managers)) => {
                let health = if overview.slots > 0 { Health::Green } else { Health::Yellow };
                let words = format!(
                    "Flink {} answers and has {} TaskManagers, {} of their {} slots free",
                    overview.version, overview.taskmanagers, overview.free, overview.slots
                );
                look.checks.push(("Flink JobManager".to_owned(), health, words));
                Some(managers.taskmanagers.into_iter().map(|manager| manager.id).collect())
            }
            Err(why) => {
                look.checks.push(("Flink JobManager".to_owned(), Health::Red, why.to_string()));
                None
            }
        }
    }

    async fn look_managed(&self, cluster: &Cluster, nodes: &[Instance]) -> Look {
        let mut look = Look::default();
        let Some(address) = Self::master(cluster, nodes) else {
            look.checks.push(("Flink JobManager".to_owned(), Health::Red, "it is not started yet".to_owned()));
            return look;
        };
        let Some(managers) = self.look_at(cluster, &rest_url(address), &mut look).await else { return look };
        let (mut serving, mut wanted) = (0, 0);
        for node in nodes.iter().filter(|node| !node.leaving) {
            let Some(group) = cluster.node_groups.iter().find(|group| group.id == node.group) else { continue };
            if group.runs(TASK_MANAGER) {
                wanted += 1;
                if !managers.contains(&manager_id(node)) {
                    continue;
                }
                serving += 1;
            }
            look.serving.insert(node.id.clone());
        }
        // The JobManager that answers is ours when it knows a TaskManager of ours; before that another program may have its port.
        let health = match serving {
            0 => Health::Red,
            some if some < wanted => Health::Yellow,
            _ => Health::Green,
        };
        look.checks.push((
            "Flink TaskManagers".to_owned(),
            health,
            format!("{serving} of {wanted} TaskManagers serve"),
        ));
        look
    }
}

fn rest_url(address: &NodeAddress) -> String {
    format!("http://{}:{}", address.host, address.web_port)
}

/// What the JobManager calls the TaskManager of a node.
fn manager_id(node: &Instance) -> String {
    node.id.to_string()
}

#[async_trait]
impl Plugin for FlinkPlugin {
    fn name(&self) -> &'static str {
        "flink"
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        if kind == PlanKind::Flink { Ability::Yes } else { Ability::Never }
    }

    fn proof(&self, _: PlanKind) -> Proof {
        Proof::Real
    }

    fn refusal(&self, _: PlanKind) -> &'static str {
        "a cluster of Flink runs programs for Flink: jars, SQL and Python"
    }

    fn binding(&self) -> Binding {
        Binding::Host
    }

    fn check(&self, cluster: &Cluster, host: HostSize) -> Result<(), String> {
        if cluster.config(TARGET, "max_running").is_some() {
            setting(cluster, None, TARGET, "max_running", 1)?;
        }
        match Self::external(cluster) {
            Some(urls) => Self::check_external(cluster, urls),
            None => self.check_managed(cluster, host),
        }
    }

    fn engine(&self, cluster: &Cluster) -> Result<Arc<dyn Engine>, String> {
        // Jobs are started only while the cluster is Active, and then the address of a managed one is known.
        let info = || cluster.info.get("Flink").and_then(|flink| flink.get("REST")).and_then(Value::as_str);
        let urls = Self::external(cluster).or_else(info).ok_or("the cluster's JobManager has no address yet")?;
        let max_running = match cluster.config(TARGET, "max_running") {
            None => None,
            Some(_) => usize::try_from(setting(cluster, None, TARGET, "max_running", 1)?).ok(),
        };
        let settings = FlinkSettings {
            data_dir: self.remote.data_dir.clone(),
            log_limit: self.remote.log_limit,
            max_running,
            stop_with_savepoint: Self::text(cluster, "stop_with_savepoint").map(str::to_owned),
            // On a public cluster it would be that of other projects' jobs too.
            shows_stdout: !cluster.is_public.is_on(),
            python: Self::text(cluster, "python").map(PathBuf::from),
        };
        Ok(Arc::new(Remote::new(Flink::new(Self::rest(cluster, urls)?, settings), self.remote.clone())))
    }

    fn tier(&self, group: &NodeGroup) -> Option<u8> {
        if group.runs(JOB_MANAGER) {
            Some(0)
        } else if group.runs(TASK_MANAGER) {
            Some(1)
        } else {
            None
        }
    }

    fn node(&self, cluster: &Cluster, nodes: &[Instance], node: &Instance, folder: &Path) -> Result<Plan, String> {
        let group = cluster.node_groups.iter().find(|group| group.id == node.group);
        let group = group.ok_or_else(|| format!("{} belongs to no node group", node.name))?;
        let master = Self::master(cluster, nodes).ok_or("the JobManager has no address")?;
        let java = flink_home(&self.settings, self.home.as_deref())?;
        let settings = home::Settings {
            host: master.host.clone(),
            rpc: master.port,
            rest: master.web_port,
            slots: setting(cluster, Some(group), TARGET, "slots", SLOTS)?,
            memory: Self::memory(cluster, group)?,
            folder: folder.to_owned(),
        };
        home::write(&settings).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut script = String::from("#!/bin/sh\n# Written for each start of this node.\n");
        let mut line = |words: &[String], out: &str| {
            for word in words {
                let _ = write!(script, "'{}' ", word.replace('\'', "'\\''"));
            }
            // Appended: logs of jobs are read from there by offset.
            let out = folder.join(out).display().to_string().replace('\'', "'\\''");
            let _ = writeln!(script, ">>'{out}' 2>&1 &\npids=\"$pids $!\"");
        };
        if group.runs(JOB_MANAGER) {
            line(&home::job_manager(&java, &settings), "jobmanager.out");
        }
        if group.runs(TASK_MANAGER) {
            line(&home::task_manager(&java, &settings, &manager_id(node)), "taskmanager.out");
        }
        script.push_str(WHILE_ALL_LIVE);
        let main = folder.join("node.sh");
        let failed = |error: io::Error| format!("{}: {error}", main.display());
        std::fs::write(&main, script).map_err(failed)?;
        std::fs::set_permissions(&main, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let plugins = folder.join("plugins").display().to_string();
        // Where the driver of programs in Python is.
        let opt = java.home.join("opt").display().to_string();
        let env = BTreeMap::from([("FLINK_PLUGINS_DIR".to_owned(), plugins), ("FLINK_OPT_DIR".to_owned(), opt)]);
        Ok(Plan::Program { main, args: Vec::new(), env })
    }

    async fn look(&self, cluster: &Cluster, nodes: &[Instance]) -> Look {
        match Self::external(cluster) {
            Some(urls) => {
                let mut look = Look::default();
                self.look_at(cluster, urls, &mut look).await;
                look
            }
            None => self.look_managed(cluster, nodes).await,
        }
    }

    fn info(&self, cluster: &Cluster, nodes: &[Instance]) -> Map<String, Value> {
        let master = Self::master(cluster, nodes).map(rest_url);
        let Some(url) = Self::external(cluster).map(str::to_owned).or(master) else { return Map::new() };
        let flink = json!({ "REST": url, "Web UI": url });
        Map::from_iter([("Flink".to_owned(), flink)])
    }
}
