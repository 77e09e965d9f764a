//! Plugin `yarn`: a YARN cluster that runs elsewhere. Its jobs are looked after from the host whose programs submitted them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use foggara_domain::{
    cluster::{Cluster, Health, Instance},
    plan::PlanKind,
};
use serde_json::{Map, Value, json};

use crate::{
    Ability, Engine,
    hive::Hive,
    local::{LocalSettings, YarnClients, ability_on_yarn},
    plugin::{Binding, ConfigItem, ConfigKind, Description, HostSize, Look, Plugin, setting},
    plugins::hive::HivePlugin,
    remote::{
        Remote, RemoteSettings,
        rest::{Auth, RestSettings},
        spnego::{CACHE_VARIABLE, Spnego, SpnegoSettings},
    },
    yarn::{MARGIN, WithStatements, Yarn, YarnSettings},
};

const TARGET: &str = "yarn";
/// Jobs that run at once when nobody says: YARN has queues of its own.
const JOBS: u64 = 100;
/// Seconds that handing a job over may take.
const SUBMIT: u64 = 300;
/// A log is fetched in pieces from its beginning or its end, which takes the longer the larger it is.
const LOG_LIMIT: u64 = 32 << 20;

/// The plugin.
pub struct YarnPlugin {
    local: LocalSettings,
    remote: RemoteSettings,
    /// What knows the settings of a HiveServer2.
    hive: HivePlugin,
    description: Description,
}

/// Settings of the cluster's HiveServer2: those of plugin `hive` behind this word.
const HIVE: [&str; 4] = ["hive_url", "hive_server", "hive_user", "hive_password_file"];
/// What to say of statements on a cluster without the first of them.
const NO_HIVE: &str = "statements need the cluster's HiveServer2: its setting yarn.hive_url names it \
     (jdbc:hive2://host:10000/default)";

impl YarnPlugin {
    /// `local` is what this host starts programs with.
    pub fn new(local: LocalSettings, remote: RemoteSettings) -> Self {
        let item = |name, text, default: Value, operator| ConfigItem {
            target: TARGET,
            name,
            text,
            kind: if default.is_number() { ConfigKind::Number } else { ConfigKind::Text },
            default,
            of_node: false,
            operator,
        };
        let none = Value::Null;
        let hive = HivePlugin::new(local.clone());
        let mut configs = vec![
            item(
                "resource_manager",
                "Addresses of the ResourceManagers, http://host:8088, with commas",
                none.clone(),
                false,
            ),
            item(
                "history_server",
                "Address of the history server, http://host:19888: it has logs of ended jobs",
                none.clone(),
                false,
            ),
            item("queue", "Queue of jobs that name none", none.clone(), false),
            item("max_running", "Jobs that run at once; further ones wait here", json!(JOBS), false),
            item("spark_archive", "Where the cluster has Spark's jars (spark.yarn.archive)", none.clone(), false),
            item("submit_timeout", "Seconds that handing a Spark job over may take", json!(SUBMIT), false),
            item(
                "submit_margin",
                "Seconds that a submission which was cut off may still take effect",
                json!(MARGIN.as_secs()),
                false,
            ),
            item("auth", "How to log in: simple, kerberos or token", json!("simple"), true),
            item("user", "The user that jobs run as; without it the one who logs in", none.clone(), true),
            item("impersonate", "true: log in by Kerberos or token and act for yarn.user", json!("false"), true),
            item("token_file", "File with a token for a gateway before the cluster", none.clone(), true),
            item("credential_cache", "Kerberos' ticket cache, as KRB5CCNAME names it", none.clone(), true),
            item(
                "keytab",
                "File with the key of yarn.principal; without it others renew the ticket",
                none.clone(),
                true,
            ),
            item("principal", "Kerberos' name of this service", none.clone(), true),
            item("ca_file", "Certificates (PEM) to trust beside the system's", none.clone(), true),
            item("hadoop_conf_dir", "Folder with core-site.xml and yarn-site.xml of the cluster", none.clone(), true),
            item("hadoop_home", "Hadoop, for jobs that need its client; else `hadoop` on PATH", none.clone(), true),
            item("pig_home", "Pig; else `pig` on PATH", none, true),
        ];
        for name in HIVE {
            let of_hive = hive.description().configs.iter().find(|item| name.strip_prefix("hive_") == Some(item.name));
            configs.extend(of_hive.map(|item| ConfigItem { target: TARGET, name, ..item.clone() }));
        }
        let description = Description {
            title: "Apache Hadoop YARN",
            text: "A YARN cluster that runs elsewhere: Spark jobs in cluster mode, and jobs of Hadoop's and Pig's clients",
            versions: vec!["3".to_owned()],
            processes: Vec::new(),
            configs,
        };
        Self { local, remote, hive, description }
    }

    /// The cluster's HiveServer2 as a cluster of plugin `hive`; nothing where the settings name none.
    fn hive_of(cluster: &Cluster) -> Option<Cluster> {
        text(cluster, "hive_url")?;
        let named = |name: &&str| Some((name.strip_prefix("hive_")?.to_owned(), cluster.config(TARGET, name)?.clone()));
        let configs = HIVE.iter().filter_map(named).collect();
        Some(Cluster::of_program(&cluster.name, "hive", configs, cluster.created_at))
    }

    fn service(&self, cluster: &Cluster) -> Result<Yarn, String> {
        let seconds = |name, default| setting(cluster, None, TARGET, name, default).map(Duration::from_secs);
        let text = |name| text(cluster, name);
        let path = |name| text(name).map(PathBuf::from);
        let urls = text("resource_manager").ok_or(
            "the setting yarn.resource_manager is missing: the address of the ResourceManager's web service, http://host:8088",
        )?;
        let conf_dir = path("hadoop_conf_dir").ok_or(
            "the setting yarn.hadoop_conf_dir is missing: the folder with the cluster's core-site.xml and yarn-site.xml. It names a \
             folder of this host, so the operator gives it ([clusters.NAME] in the configuration)",
        )?;
        let user = text("user");
        let impersonate = match text("impersonate").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => return Err(format!("the setting yarn.impersonate is '{other}'; it is true or false")),
        };
        let LogIn { auth, spnego, mut env } = self.log_in(cluster, user.as_deref())?;
        let acts_for = match (impersonate, &auth) {
            (false, _) => None,
            (true, Auth::HadoopUser(_)) => {
                return Err("yarn.impersonate needs yarn.auth kerberos or token: with simple the cluster believes yarn.user anyway"
                    .to_owned());
            }
            (true, _) => Some(user.clone().ok_or("yarn.impersonate needs yarn.user: for whom to act")?),
        };
        env.extend(acts_for.iter().map(|user| ("HADOOP_PROXY_USER".to_owned(), user.clone())));
        let rest = |service, urls| RestSettings { service, urls, ca_file: path("ca_file"), auth: auth.clone() };
        let jobs = setting(cluster, None, TARGET, "max_running", JOBS)?;
        let settings = YarnSettings {
            resource_manager: rest("the ResourceManager", urls),
            history_server: text("history_server").map(|urls| rest("the history server", urls)),
            margin: seconds("submit_margin", MARGIN.as_secs())?,
            spnego,
            acts_for,
            max_running: usize::try_from(jobs).ok(),
            prefix: self.remote.prefix.clone(),
            clients: YarnClients {
                conf_dir,
                hadoop_home: path("hadoop_home"),
                pig_home: path("pig_home"),
                queue: text("queue"),
                spark_archive: text("spark_archive"),
                installation: self.remote.prefix.trim_end_matches('-').to_owned(),
                env,
                submit_timeout: seconds("submit_timeout", SUBMIT)?,
            },
        };
        let local = LocalSettings { plugin: TARGET, memory_mb: None, spark_cluster: None, ..self.local.clone() };
        Yarn::new(settings, local)
    }

    /// How we log in, and the variables by which Hadoop's clients do.
    fn log_in(&self, cluster: &Cluster, user: Option<&str>) -> Result<LogIn, String> {
        let path = |name| text(cluster, name).map(PathBuf::from);
        match text(cluster, "auth").as_deref().unwrap_or("simple") {
            "simple" => {
                let user = user.unwrap_or(TARGET).to_owned();
                let env = BTreeMap::from([("HADOOP_USER_NAME".to_owned(), user.clone())]);
                Ok(LogIn { auth: Auth::HadoopUser(user), spnego: None, env })
            }
            "token" => {
                let file =
                    path("token_file").ok_or("yarn.auth token needs yarn.token_file: the file with the token")?;
                Ok(LogIn { auth: Auth::TokenFile(file), spnego: None, env: BTreeMap::new() })
            }
            "kerberos" => {
                let keytab = match (path("keytab"), text(cluster, "principal")) {
                    (None, _) => None,
                    (Some(keytab), Some(principal)) => Some((keytab, principal)),
                    (Some(_), None) => return Err("yarn.keytab needs yarn.principal: whose key it is".to_owned()),
                };
                let cache = text(cluster, "credential_cache").or_else(|| {
                    // A cache of our own, where the ticket is ours.
                    keytab.as_ref().map(|_| format!("FILE:{}", self.local.data_dir.join("yarn.ccache").display()))
                });
                let env = cache.iter().map(|cache| (CACHE_VARIABLE.to_owned(), cache.clone())).collect();
                let spnego = Arc::new(Spnego::new(SpnegoSettings {
                    curl: PathBuf::from("curl"),
                    kinit: PathBuf::from("kinit"),
                    cache,
                    keytab,
                    ca_file: path("ca_file"),
                }));
                Ok(LogIn { auth: Auth::Kerberos(Arc::clone(&spnego)), spnego: Some(spnego), env })
            }
            other => Err(format!("the setting yarn.auth is '{other}'; it is simple, kerberos or token")),
        }
    }
}

/// How we log in.
struct LogIn {
    /// To web services.
    auth: Auth,
    /// Who keeps the ticket.
    spnego: Option<Arc<Spnego>>,
    /// How Hadoop's clients do: variables of theirs.
    env: BTreeMap<String, String>,
}

/// What is said of a setting of plugin `hive`, as this one calls it.
fn of_yarn(why: String) -> String {
    why.replace("setting hive.", "setting yarn.hive_")
}

/// A setting as text; nothing where it is empty.
fn text(cluster: &Cluster, name: &str) -> Option<String> {
    match cluster.config(TARGET, name)? {
        Value::Null => None,
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    }
}

#[async_trait]
impl Plugin for YarnPlugin {
    fn name(&self) -> &'static str {
        TARGET
    }

    fn description(&self) -> &Description {
        &self.description
    }

    /// The clients of Hadoop and Pig are a matter of the cluster's settings: what is missing is said when a job is launched.
    fn ability(&self, kind: PlanKind) -> Ability {
        let clients = YarnClients::default();
        if kind == PlanKind::Sql {
            return Ability::Yes;
        }
        match (kind, ability_on_yarn(kind, &self.local, &clients)) {
            (PlanKind::Spark, ability) | (_, ability @ (Ability::Yes | Ability::Never)) => ability,
            (_, Ability::Lacks(_)) => Ability::Yes,
        }
    }

    fn ability_of(&self, cluster: &Cluster, kind: PlanKind) -> Ability {
        match kind {
            PlanKind::Sql if Self::hive_of(cluster).is_none() => Ability::Lacks(NO_HIVE.to_owned()),
            _ => self.ability(kind),
        }
    }

    fn refusal(&self, kind: PlanKind) -> &'static str {
        match kind {
            PlanKind::Presto => {
                "the statements of a cluster go to its HiveServer2, which does not speak Presto's words"
            }
            PlanKind::Program => "a script is no application of YARN",
            _ => "it is no application of YARN",
        }
    }

    /// A submission or a client that is under way is a process of a host.
    fn binding(&self) -> Binding {
        Binding::Host
    }

    fn check(&self, cluster: &Cluster, _: HostSize) -> Result<(), String> {
        if cluster.node_groups.iter().any(|group| group.count > 0) {
            return Err("a YARN cluster runs elsewhere: it takes no node groups".to_owned());
        }
        if let Some(hive) = Self::hive_of(cluster) {
            HivePlugin::settings(&hive).map_err(of_yarn)?;
        }
        self.service(cluster).map(|_| ())
    }

    fn engine(&self, cluster: &Cluster) -> Result<Arc<dyn Engine>, String> {
        let log_limit = self.remote.log_limit.min(LOG_LIMIT);
        let yarn = Remote::new(self.service(cluster)?, RemoteSettings { log_limit, ..self.remote.clone() });
        let Some(hive) = Self::hive_of(cluster) else { return Ok(Arc::new(yarn)) };
        let folder = self.remote.data_dir.join(TARGET).join(cluster.id.as_str());
        let local = LocalSettings { data_dir: folder, ..self.local.clone() };
        let hive = Hive::new(HivePlugin::settings(&hive).map_err(of_yarn)?, local);
        let hive = hive.map_err(|error| format!("the statements of the cluster: {error}"))?;
        let installation = self.remote.prefix.trim_end_matches('-').to_owned();
        Ok(Arc::new(WithStatements::new(yarn, hive, installation)))
    }

    async fn look(&self, cluster: &Cluster, _: &[Instance]) -> Look {
        let mut look = Look::default();
        let described = match self.service(cluster) {
            Ok(service) => service.described().await.map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        let (health, words) = described.map_or_else(|why| (Health::Red, why), |words| (Health::Green, words));
        look.checks.push(("ResourceManager".to_owned(), health, words));
        if let Some(folder) = text(cluster, "hadoop_conf_dir").map(PathBuf::from) {
            let there = folder.join("yarn-site.xml").is_file();
            let words =
                if there { "holds the cluster's settings" } else { "holds no yarn-site.xml: nothing can be submitted" };
            let health = if there { Health::Green } else { Health::Red };
            look.checks.push(("Hadoop settings".to_owned(), health, format!("{} {words}", folder.display())));
        }
        if let Some(hive) = Self::hive_of(cluster) {
            look.checks.extend(self.hive.look(&hive, &[]).await.checks);
        }
        look
    }

    fn info(&self, cluster: &Cluster, _: &[Instance]) -> Map<String, Value> {
        let mut yarn = Map::new();
        yarn.extend(text(cluster, "resource_manager").map(|urls| ("ResourceManager".to_owned(), json!(urls))));
        yarn.extend(text(cluster, "history_server").map(|url| ("History server".to_owned(), json!(url))));
        Map::from_iter([("YARN".to_owned(), Value::Object(yarn))])
    }
}
