//! Plugin `spark`: a Spark standalone cluster. Managed when its node groups say of what: one master and workers, each a supervised
//! process of this host. External when its settings give the address of a master that somebody else runs. Jobs go in client
//! mode, where their driver is a supervised process of this host, or with `deploy = rest` in cluster mode, where it runs on a
//! worker (lifecycle.md's launch table; [`rest`]).

mod rest;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use foggara_domain::{
    cluster::{Cluster, Health, Instance, NodeAddress},
    node_group::NodeGroup,
    plan::{Plan, PlanKind},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    WHILE_ALL_LIVE,
    metastore::{METASTORE, METASTORE_TEXT, metastore},
};
use crate::{
    Ability, Engine,
    local::{Local, LocalSettings, SparkCluster, SqlSettings, spark_home},
    plugin::{Binding, ConfigItem, ConfigKind, Description, HostSize, Look, Plugin, Proof, setting},
    remote::{Remote, RemoteSettings, reach, rest::broken},
    spark_rest::{self, SparkRest},
};

const TARGET: &str = "spark";
const MASTER: &str = "master";
const WORKER: &str = "slave";
/// MiB that the processes of a node need for themselves: measured 255 and 236 (spec/engines.md section 2).
const DAEMON_MB: u64 = 256;
/// MiB that a worker gives to jobs when nobody says.
const WORKER_MB: u64 = 1024;
/// Jobs that run at once when nobody says.
const JOBS: u64 = 4;
/// The largest number of nodes of a cluster on one host.
const NODES: i64 = 64;
/// How long a look at a master may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The plugin.
pub struct SparkPlugin {
    settings: LocalSettings,
    remote: RemoteSettings,
    description: Description,
    any: Local,
    http: reqwest::Client,
}

/// What a master says of itself at `/json/`; other members are of no interest.
#[derive(Deserialize)]
struct MasterState {
    url: String,
    status: String,
    #[serde(default)]
    workers: Vec<WorkerState>,
}

#[derive(Deserialize)]
struct WorkerState {
    host: String,
    port: u16,
    state: String,
}

impl SparkPlugin {
    /// Makes the folder of attempts.
    pub fn new(settings: LocalSettings, remote: RemoteSettings) -> io::Result<Self> {
        let item = |name, text, kind, default: Value, of_node| ConfigItem {
            target: TARGET,
            name,
            text,
            kind,
            default,
            of_node,
            operator: false,
        };
        let number = ConfigKind::Number;
        let text = ConfigKind::Text;
        let description = Description {
            title: "Apache Spark",
            text: "Spark standalone: a managed cluster of supervised processes on this host, or one that already runs elsewhere",
            // 2.3 is what clients written for Sahara ask for; the cluster runs the Spark that this host has, as `doctor` shows it.
            versions: vec!["2.3".to_owned()],
            processes: vec![("HDFS", &["namenode", "datanode"]), ("Spark", &[MASTER, WORKER])],
            configs: vec![
                item("cores", "Cores that each worker of the group offers to jobs", number, json!(1), true),
                item(
                    "memory_mb",
                    "MiB of memory that each worker of the group offers to jobs",
                    number,
                    json!(WORKER_MB),
                    true,
                ),
                item("max_running", "Jobs that run at once; further ones wait", number, json!(JOBS), false),
                item(METASTORE, METASTORE_TEXT, text, Value::Null, false),
                item(
                    "master",
                    "Address of a master that runs elsewhere, spark://host:port: nothing is started then",
                    text,
                    Value::Null,
                    false,
                ),
                item(
                    "web_ui",
                    "Address of that master's web page, http://host:port: it is looked at to see whether the master is alive",
                    text,
                    Value::Null,
                    false,
                ),
                item(
                    rest::DEPLOY,
                    "Where the driver of a job runs: client, a process of this host, or rest, on a worker",
                    text,
                    json!(rest::CLIENT),
                    false,
                ),
                item(
                    rest::REST,
                    "With deploy = rest and a master elsewhere: address of its submission server, http://host:6066, several \
                     with commas",
                    text,
                    Value::Null,
                    false,
                ),
                item(
                    rest::SHARED_FILES,
                    "With deploy = rest and a master elsewhere: true where the workers see this server's files by the same paths",
                    text,
                    Value::Null,
                    false,
                ),
                ConfigItem {
                    operator: true,
                    ..item(
                        rest::ARTIFACTS,
                        "With deploy = rest and a master elsewhere: a url of a store, where files of jobs are put for the workers",
                        text,
                        Value::Null,
                        false,
                    )
                },
                ConfigItem {
                    operator: true,
                    ..item(
                        rest::SECRET_FILE,
                        "With deploy = rest and a master elsewhere: file with the secretKey of the JWSFilter before its \
                         submission server",
                        text,
                        Value::Null,
                        false,
                    )
                },
                ConfigItem {
                    target: "HDFS",
                    name: "dfs.replication",
                    text: "Known to clients written for Sahara; without effect, since no HDFS is started",
                    kind: number,
                    default: json!(1),
                    of_node: false,
                    operator: false,
                },
            ],
        };
        let http = reach::client().timeout(PATIENCE).build().map_err(io::Error::other)?;
        Ok(Self { any: Local::new(settings.clone())?, settings, remote, description, http })
    }

    fn external(cluster: &Cluster) -> Option<&str> {
        cluster.config(TARGET, "master").and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    fn web_ui(cluster: &Cluster) -> Option<&str> {
        cluster.config(TARGET, "web_ui").and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    fn check_external(cluster: &Cluster, master: &str) -> Result<(), String> {
        let hosts = master.strip_prefix("spark://").unwrap_or_default();
        let good = !hosts.is_empty()
            && hosts.split(',').all(|host| {
                host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok())
            });
        if !good {
            return Err(format!(
                "the setting spark.master is '{master}'; it looks like spark://host:7077, several hosts with commas"
            ));
        }
        if rest::is_on(cluster)? {
            rest::check_external(cluster)?;
        }
        if let Some(page) = Self::web_ui(cluster)
            && !page.starts_with("http://")
        {
            return Err(format!("the setting spark.web_ui is '{page}'; it looks like http://host:8080"));
        }
        for page in Self::web_ui(cluster).into_iter().flat_map(|pages| pages.split(',')) {
            let url =
                Url::parse(page.trim()).map_err(|error| format!("the setting spark.web_ui: '{page}': {error}"))?;
            reach::check(&url).map_err(|why| format!("the setting spark.web_ui: {why}"))?;
        }
        if cluster.node_groups.iter().any(|group| group.count > 0 && (group.runs(MASTER) || group.runs(WORKER))) {
            return Err("the setting spark.master names a cluster that runs elsewhere, so its node groups can start no master and no \
                        slave: leave out either"
                .to_owned());
        }
        Ok(())
    }

    fn check_managed(&self, cluster: &Cluster, host: HostSize) -> Result<(), String> {
        let count = |process: &str| -> i64 {
            cluster.node_groups.iter().filter(|group| group.runs(process)).map(|group| group.count).sum()
        };
        let (masters, workers) = (count(MASTER), count(WORKER));
        if masters != 1 {
            return Err(format!(
                "a Spark cluster has exactly 1 node with the process {MASTER}, and here are {masters}"
            ));
        }
        if workers < 1 {
            return Err(format!("a Spark cluster has at least 1 node with the process {WORKER}, and here are none"));
        }
        if masters + workers > NODES {
            return Err(format!("{} nodes are more than the {NODES} that one host carries", masters + workers));
        }
        if rest::is_on(cluster)? {
            rest::check_managed(cluster)?;
        }
        let mut memory = DAEMON_MB;
        for group in cluster.node_groups.iter().filter(|group| group.runs(WORKER)) {
            setting(cluster, Some(group), TARGET, "cores", 1)?;
            let each = setting(cluster, Some(group), TARGET, "memory_mb", WORKER_MB)? + DAEMON_MB;
            memory = memory.saturating_add(each.saturating_mul(u64::try_from(group.count).unwrap_or(0)));
        }
        if memory > host.memory_mb {
            return Err(format!(
                "the nodes need {memory} MiB of memory ({DAEMON_MB} MiB for each process, and what the slaves offer to jobs), and \
                 this host has {} MiB: ask for fewer slaves or less memory_mb",
                host.memory_mb
            ));
        }
        match self.any.ability(PlanKind::Spark) {
            Ability::Lacks(what) => Err(what),
            _ => Ok(()),
        }
    }

    /// The master of a managed cluster, once its address is chosen.
    fn master<'a>(cluster: &Cluster, nodes: &'a [Instance]) -> Option<&'a NodeAddress> {
        let runs =
            |node: &&Instance| cluster.node_groups.iter().any(|group| group.id == node.group && group.runs(MASTER));
        nodes.iter().find(runs)?.address.as_ref()
    }

    async fn ask(&self, page: &str) -> Result<MasterState, String> {
        let url = format!("{}/json/", page.trim_end_matches('/'));
        reach::check(&Url::parse(&url).map_err(|error| format!("{url}: {error}"))?)?;
        let broken = |error: reqwest::Error| broken("the Spark master", &url, &error).to_string();
        let answer = self.http.get(&url).send().await.map_err(broken)?;
        let status = answer.status();
        let text = answer.text().await.map_err(broken)?;
        serde_json::from_str(&text)
            .map_err(|_| format!("{url} does not answer as a Spark master does ({status}): is the address right?"))
    }

    async fn look_external(&self, cluster: &Cluster, master: &str) -> Look {
        let (health, words) = match Self::web_ui(cluster) {
            Some(pages) => {
                // Several masters: the one that leads speaks for all, and where none does, the last one says why.
                let mut outcome = (Health::Red, "no page of the master is given".to_owned());
                for page in pages.split(',').map(str::trim).filter(|page| !page.is_empty()) {
                    outcome = match self.ask(page).await {
                        Ok(state) if state.status == "ALIVE" => {
                            let alive = state.workers.iter().filter(|worker| worker.state == "ALIVE").count();
                            let health = if alive > 0 { Health::Green } else { Health::Yellow };
                            (health, format!("the master {} is alive and has {alive} workers", state.url))
                        }
                        Ok(state) => (Health::Red, format!("the master {} is {}", state.url, state.status)),
                        Err(why) => (Health::Red, why),
                    };
                    if outcome.0 != Health::Red {
                        break;
                    }
                }
                outcome
            }
            None => {
                let mut outcome = (Health::Red, String::new());
                for host in master.trim_start_matches("spark://").split(',') {
                    outcome = match tokio::time::timeout(PATIENCE, reach::connect(host)).await {
                        Ok(Ok(_)) => (Health::Green, format!("{host} takes connections")),
                        Ok(Err(error)) => (Health::Red, format!("the master {host} cannot be reached: {error}")),
                        Err(_) => {
                            let seconds = PATIENCE.as_secs();
                            (Health::Red, format!("the master {host} cannot be reached: no answer within {seconds} s"))
                        }
                    };
                    if outcome.0 == Health::Green {
                        break;
                    }
                }
                outcome
            }
        };
        Look { serving: BTreeSet::new(), checks: vec![("Spark master".to_owned(), health, words)] }
    }

    async fn look_managed(&self, cluster: &Cluster, nodes: &[Instance]) -> Look {
        let mut look = Look::default();
        let Some(address) = Self::master(cluster, nodes) else {
            look.checks.push(("Spark master".to_owned(), Health::Red, "it is not started yet".to_owned()));
            return look;
        };
        let state = self.ask(&format!("http://{}:{}", address.host, address.web_port)).await;
        // Another program may have taken the port: the master that answers must be ours.
        let ours = |state: &MasterState| state.url == master_url(address) && state.status == "ALIVE";
        let state = match state {
            Ok(state) if ours(&state) => state,
            Ok(state) => {
                let words = format!("{} answers and is {}", state.url, state.status);
                look.checks.push(("Spark master".to_owned(), Health::Red, words));
                return look;
            }
            Err(why) => {
                look.checks.push(("Spark master".to_owned(), Health::Red, why));
                return look;
            }
        };
        look.checks.push(("Spark master".to_owned(), Health::Green, format!("{} is alive", state.url)));
        let (mut serving, mut wanted) = (0, 0);
        for node in nodes.iter().filter(|node| !node.leaving) {
            let Some(group) = cluster.node_groups.iter().find(|group| group.id == node.group) else { continue };
            if group.runs(WORKER) {
                wanted += 1;
                let listed = |worker: &WorkerState| {
                    worker.state == "ALIVE"
                        && node.address.as_ref().is_some_and(|address| {
                            worker.port == worker_port(group, address) && worker.host == address.host
                        })
                };
                if !state.workers.iter().any(listed) {
                    continue;
                }
                serving += 1;
            }
            look.serving.insert(node.id.clone());
        }
        let health = match serving {
            0 => Health::Red,
            some if some < wanted => Health::Yellow,
            _ => Health::Green,
        };
        look.checks.push(("Spark workers".to_owned(), health, format!("{serving} of {wanted} workers serve")));
        look
    }
}

/// MiB that the smallest kind of worker offers to jobs.
fn smallest_worker(cluster: &Cluster) -> Result<Option<u64>, String> {
    let workers = cluster.node_groups.iter().filter(|group| group.runs(WORKER) && group.count > 0);
    let sizes = workers.map(|group| setting(cluster, Some(group), TARGET, "memory_mb", WORKER_MB));
    Ok(sizes.collect::<Result<Vec<_>, _>>()?.into_iter().min())
}

fn master_url(address: &NodeAddress) -> String {
    format!("spark://{}:{}", address.host, address.port)
}

/// A node that is master and worker has one address: the worker's ports follow the master's.
fn worker_port(group: &NodeGroup, address: &NodeAddress) -> u16 {
    if group.runs(MASTER) { address.web_port.wrapping_add(1) } else { address.port }
}

#[async_trait]
impl Plugin for SparkPlugin {
    fn name(&self) -> &'static str {
        "spark"
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        match kind {
            PlanKind::Program | PlanKind::Spark | PlanKind::Sql | PlanKind::Presto | PlanKind::DistCp => {
                self.any.ability(kind)
            }
            _ => Ability::Never,
        }
    }

    /// A cluster elsewhere that is used by REST needs no Spark on this host.
    fn ability_of(&self, cluster: &Cluster, kind: PlanKind) -> Ability {
        match (rest::is_on(cluster), Self::external(cluster), kind) {
            (Ok(true), None, PlanKind::Spark) | (Ok(false) | Err(_), ..) => self.ability(kind),
            (Ok(true), ..) => spark_rest::ability(kind),
        }
    }

    fn proof(&self, _: PlanKind) -> Proof {
        Proof::Real
    }

    fn refusal(&self, _: PlanKind) -> &'static str {
        "a cluster of Spark runs Spark, SQL, Shell and copies"
    }

    fn binding(&self) -> Binding {
        Binding::Host
    }

    fn check(&self, cluster: &Cluster, host: HostSize) -> Result<(), String> {
        setting(cluster, None, TARGET, "max_running", JOBS)?;
        metastore(cluster, TARGET)?;
        match Self::external(cluster) {
            Some(master) => Self::check_external(cluster, master),
            None => self.check_managed(cluster, host),
        }
    }

    fn engine(&self, cluster: &Cluster) -> Result<Arc<dyn Engine>, String> {
        let jobs = setting(cluster, None, TARGET, "max_running", JOBS)?;
        if rest::is_on(cluster)? {
            let jobs = usize::try_from(jobs).unwrap_or(usize::MAX);
            let settings = match Self::external(cluster) {
                Some(master) => rest::external(cluster, master, jobs)?,
                None => rest::managed(cluster, &self.settings, jobs)?,
            };
            return Ok(Arc::new(Remote::new(SparkRest::new(settings)?, self.remote.clone())));
        }
        let master = match Self::external(cluster) {
            Some(master) => Some(master.to_owned()),
            // Jobs are started only while the cluster is Active, and then its address is known.
            None => cluster
                .info
                .get("Spark")
                .and_then(|spark| spark.get("Master"))
                .and_then(Value::as_str)
                .map(str::to_owned),
        };
        let least = smallest_worker(cluster)?;
        let settings = LocalSettings {
            plugin: "spark",
            max_running: usize::try_from(jobs).unwrap_or(usize::MAX),
            spark_cluster: master.map(|master| SparkCluster { master, executor_mb: least }),
            sql: SqlSettings { metastore: metastore(cluster, TARGET)?, ..self.settings.sql.clone() },
            ..self.settings.clone()
        };
        Ok(Arc::new(Local::new(settings).map_err(|error| format!("the local engine: {error}"))?))
    }

    fn tier(&self, group: &NodeGroup) -> Option<u8> {
        if group.runs(MASTER) {
            Some(0)
        } else if group.runs(WORKER) {
            Some(1)
        } else {
            None
        }
    }

    fn node(&self, cluster: &Cluster, nodes: &[Instance], node: &Instance, folder: &Path) -> Result<Plan, String> {
        let group = cluster.node_groups.iter().find(|group| group.id == node.group);
        let group = group.ok_or_else(|| format!("{} belongs to no node group", node.name))?;
        let address = node.address.as_ref().ok_or_else(|| format!("{} has no address", node.name))?;
        let master = Self::master(cluster, nodes).ok_or("the master has no address")?;
        let home = spark_home(&self.settings)?;
        let class = home.home.join("bin/spark-class").display().to_string();
        let mut script = String::from("#!/bin/sh\n# Written for each start of this node.\n");
        let mut line = |process: &str, args: &[String]| {
            let _ = write!(script, "\"{class}\" org.apache.spark.deploy.{process}");
            for arg in args {
                let _ = write!(script, " '{}'", arg.replace('\'', "'\\''"));
            }
            let _ = writeln!(script, " &\npids=\"$pids $!\"");
        };
        let arg = |name: &str, value: &dyn std::fmt::Display| [format!("--{name}"), value.to_string()];
        if group.runs(MASTER) {
            let args = [arg("host", &address.host), arg("port", &address.port), arg("webui-port", &address.web_port)];
            let mut args = args.as_flattened().to_vec();
            if rest::is_on(cluster)? {
                args.extend(arg("properties-file", &rest::put_guard(folder, address)?.display()));
            }
            line("master.Master", &args);
        }
        if group.runs(WORKER) {
            let cores = setting(cluster, Some(group), TARGET, "cores", 1)?;
            let memory = setting(cluster, Some(group), TARGET, "memory_mb", WORKER_MB)?;
            let port = worker_port(group, address);
            let web_port = if group.runs(MASTER) { 0 } else { address.web_port };
            let work = folder.join("work").display().to_string();
            let args = [
                arg("host", &address.host),
                arg("port", &port),
                arg("webui-port", &web_port),
                arg("cores", &cores),
                arg("memory", &format!("{memory}m")),
                arg("work-dir", &work),
            ];
            let mut args = args.as_flattened().to_vec();
            args.push(master_url(master));
            line("worker.Worker", &args);
        }
        script.push_str(WHILE_ALL_LIVE);
        let main = folder.join("node.sh");
        let failed = |error: io::Error| format!("{}: {error}", main.display());
        std::fs::write(&main, script).map_err(failed)?;
        std::fs::set_permissions(&main, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let mut env = BTreeMap::from([
            ("SPARK_HOME".to_owned(), home.home.display().to_string()),
            ("SPARK_LOCAL_IP".to_owned(), address.host.clone()),
            ("SPARK_DAEMON_MEMORY".to_owned(), format!("{DAEMON_MB}m")),
            // A taken port is an error, and not a reason to listen on another that nobody knows of. The submission server has the
            // same port on every master and asks nobody who he is, unless a file of settings says otherwise.
            (
                "SPARK_DAEMON_JAVA_OPTS".to_owned(),
                if rest::is_on(cluster)? && group.runs(MASTER) {
                    "-Dspark.port.maxRetries=0".to_owned()
                } else {
                    "-Dspark.port.maxRetries=0 -Dspark.master.rest.enabled=false".to_owned()
                },
            ),
            ("SPARK_PUBLIC_DNS".to_owned(), address.host.clone()),
        ]);
        if let Some(java) = home.java_home {
            env.insert("JAVA_HOME".to_owned(), java.display().to_string());
        }
        Ok(Plan::Program { main, args: Vec::new(), env })
    }

    async fn look(&self, cluster: &Cluster, nodes: &[Instance]) -> Look {
        match Self::external(cluster) {
            Some(master) => self.look_external(cluster, master).await,
            None => self.look_managed(cluster, nodes).await,
        }
    }

    fn info(&self, cluster: &Cluster, nodes: &[Instance]) -> Map<String, Value> {
        let mut spark = Map::new();
        match (Self::external(cluster), Self::master(cluster, nodes)) {
            (Some(master), _) => {
                spark.insert("Master".to_owned(), json!(master));
                spark.extend(Self::web_ui(cluster).map(|page| ("Web UI".to_owned(), json!(page))));
            }
            (None, Some(address)) => {
                spark.insert("Master".to_owned(), json!(master_url(address)));
                spark.insert("Web UI".to_owned(), json!(format!("http://{}:{}", address.host, address.web_port)));
                if rest::is_on(cluster) == Ok(true) {
                    spark.insert(rest::INFO.to_owned(), json!(rest::url(address)));
                }
            }
            (None, None) => return Map::new(),
        }
        Map::from_iter([("Spark".to_owned(), Value::Object(spark))])
    }
}
