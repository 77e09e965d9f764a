//! Plugin `kubernetes`: Spark jobs as pods of a cluster of Kubernetes that somebody else runs. All of its settings are the
//! operator's: they say with whose rights pods are made, and which.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use foggara_domain::{
    cluster::{Cluster, Health, Instance},
    plan::PlanKind,
};
use serde_json::{Map, Value, json};

use crate::{
    Ability, Engine, EngineError,
    kubernetes::{IN_CLUSTER, Kubernetes, KubernetesSettings},
    plugin::{Binding, ConfigItem, ConfigKind, Description, HostSize, Look, Plugin, setting},
    remote::{Remote, RemoteSettings},
};

const TARGET: &str = "kubernetes";
/// Jobs that run at once when nobody says.
const JOBS: u64 = 100;
/// Minutes that the pod of an ended job stays when nobody says.
const KEEP_MINUTES: u64 = 60;
/// How long each watch of the pods goes on.
const WATCH: Duration = Duration::from_secs(30);
/// How Kubernetes may get images.
const PULLS: [&str; 3] = ["Always", "IfNotPresent", "Never"];

/// The plugin.
pub struct KubernetesPlugin {
    remote: RemoteSettings,
    description: Description,
}

impl KubernetesPlugin {
    /// For the clusters of an installation.
    pub fn new(remote: RemoteSettings) -> Self {
        let item = |name, text, kind, default: Value| ConfigItem {
            target: TARGET,
            name,
            text,
            kind,
            default,
            of_node: false,
            operator: true,
        };
        let text = ConfigKind::Text;
        let number = ConfigKind::Number;
        let configs = vec![
            item(
                "server",
                "Address of the API server, https://host:port; or in-cluster for the one where this server is a pod",
                text,
                Value::Null,
            ),
            item("ca_file", "File with the certificate (PEM) of the API server's CA", text, Value::Null),
            item("token_file", "File with the token for the API server; read anew for each request", text, Value::Null),
            item("namespace", "Namespace of the jobs", text, json!("default")),
            item(
                "service_account",
                "Account of the drivers, which makes executors: it needs Spark's usual rights",
                text,
                json!("default"),
            ),
            item("image", "Image with Spark for driver and executors; a job may name another", text, Value::Null),
            item("image_pull_policy", "Always, IfNotPresent or Never", text, json!("IfNotPresent")),
            item(
                "pod_template",
                "What drivers' pods have beside ours, as a pod in YAML or JSON: labels, nodeSelector, tolerations, volumes",
                text,
                Value::Null,
            ),
            item(
                "artifacts",
                "Url of a store that pods can read, where the files of jobs are put; without it they have to be small",
                text,
                Value::Null,
            ),
            item("max_running", "Jobs that run at once; further ones wait", number, json!(JOBS)),
            item("keep_minutes", "Minutes that the pod of an ended job stays", number, json!(KEEP_MINUTES)),
        ];
        let description = Description {
            title: "Spark on Kubernetes",
            text: "Runs Spark jobs as pods of a cluster of Kubernetes that runs elsewhere",
            versions: vec!["1.0".to_owned()],
            processes: vec![("Jobs", &["kubernetes"])],
            configs,
        };
        Self { remote, description }
    }

    /// The settings of a cluster. The error is for the user.
    fn settings(&self, cluster: &Cluster) -> Result<KubernetesSettings, String> {
        let text = |name: &str| -> Result<Option<String>, String> {
            match cluster.config(TARGET, name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
                Some(other) => Err(format!("the setting {TARGET}.{name} is {other}; it has to be text")),
            }
        };
        let needed = |name: &str, what: &str| -> Result<String, String> {
            text(name)?.ok_or_else(|| format!("the setting {TARGET}.{name} is missing: {what}"))
        };
        let server = needed("server", &format!("https://host:port of the API server, or {IN_CLUSTER}"))?;
        let named = |name: &str| -> Result<String, String> {
            let value = text(name)?.unwrap_or_else(|| "default".to_owned());
            let good =
                |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-' || letter == '.';
            if value.len() > 253 || !value.chars().all(good) {
                return Err(format!("the setting {TARGET}.{name} is '{value}', which is no name in Kubernetes"));
            }
            Ok(value)
        };
        let pull_policy = text("image_pull_policy")?.unwrap_or_else(|| "IfNotPresent".to_owned());
        if !PULLS.contains(&pull_policy.as_str()) {
            return Err(format!(
                "the setting {TARGET}.image_pull_policy is '{pull_policy}'; it is one of {}",
                PULLS.join(", ")
            ));
        }
        let minutes = setting(cluster, None, TARGET, "keep_minutes", KEEP_MINUTES)?;
        let jobs = setting(cluster, None, TARGET, "max_running", JOBS)?;
        Ok(KubernetesSettings {
            server,
            ca_file: text("ca_file")?.map(PathBuf::from),
            token_file: text("token_file")?.map(PathBuf::from),
            namespace: named("namespace")?,
            service_account: named("service_account")?,
            image: needed("image", "an image with Spark, like apache/spark:4.0.1")?,
            pull_policy,
            pod_template: template(cluster)?,
            artifacts: text("artifacts")?,
            max_running: usize::try_from(jobs).unwrap_or(usize::MAX),
            keep_ended: Duration::from_secs(minutes.saturating_mul(60)),
            watch_for: WATCH,
            remote: self.remote.clone(),
        })
    }
}

/// The template of drivers' pods: an object, or text that holds one in YAML, as people have it.
fn template(cluster: &Cluster) -> Result<Map<String, Value>, String> {
    let given = cluster.config(TARGET, "pod_template");
    let bad = |why: &str| {
        format!("the setting {TARGET}.pod_template {why}; it is a pod in YAML or JSON, {{\"spec\": {{...}}}}")
    };
    match given {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(template)) => Ok(template.clone()),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(Map::new()),
        // JSON is YAML too.
        Some(Value::String(text)) => match serde_yaml_ng::from_str(text) {
            Ok(Value::Object(template)) => Ok(template),
            Ok(_) => Err(bad("is no object")),
            Err(error) => Err(bad(&format!("cannot be read ({error})"))),
        },
        Some(_) => Err(bad("is neither an object nor text")),
    }
}

#[async_trait]
impl Plugin for KubernetesPlugin {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        match kind {
            PlanKind::Spark => Ability::Yes,
            _ => Ability::Never,
        }
    }

    fn refusal(&self, _: PlanKind) -> &'static str {
        "on Kubernetes run Spark's jars and Python programs"
    }

    fn binding(&self) -> Binding {
        Binding::Anywhere
    }

    fn check(&self, cluster: &Cluster, _: HostSize) -> Result<(), String> {
        Kubernetes::new(self.settings(cluster)?).map(|_| ())
    }

    fn engine(&self, cluster: &Cluster) -> Result<Arc<dyn Engine>, String> {
        let service = Kubernetes::new(self.settings(cluster)?)?;
        Ok(Arc::new(Remote::new(service, self.remote.clone())))
    }

    async fn look(&self, cluster: &Cluster, nodes: &[Instance]) -> Look {
        let mut look = Look { serving: nodes.iter().map(|node| node.id.clone()).collect(), ..Look::default() };
        let mut say = |what: &str, health, words: String| look.checks.push((what.to_owned(), health, words));
        let service = match self.settings(cluster).and_then(Kubernetes::new) {
            Ok(service) => service,
            Err(why) => {
                say("Kubernetes settings", Health::Red, why);
                return look;
            }
        };
        match service.version().await {
            Ok(version) => say("Kubernetes API server", Health::Green, format!("it answers as Kubernetes {version}")),
            Err(error) => {
                say("Kubernetes API server", Health::Red, error.to_string());
                return look;
            }
        }
        match service.lacks().await {
            Ok(lacks) if lacks.is_empty() => {
                say("Kubernetes rights", Health::Green, "the account may do all that is needed".to_owned());
            }
            Ok(lacks) => {
                let words = format!(
                    "the account may not {} in the namespace: give it the Role that docs/engines/kubernetes.md shows",
                    lacks.join(", ")
                );
                say("Kubernetes rights", Health::Red, words);
            }
            Err(error) => say("Kubernetes rights", Health::Red, error.to_string()),
        }
        match service.rehearse().await {
            Ok(()) => say("Kubernetes driver pod", Health::Green, "a driver's pod would be taken (dry run)".to_owned()),
            // Which our own jobs may fill; those that come wait.
            Err(EngineError::Full(why)) => say("Kubernetes driver pod", Health::Yellow, why),
            Err(error) => say("Kubernetes driver pod", Health::Red, error.to_string()),
        }
        look
    }

    fn info(&self, cluster: &Cluster, _: &[Instance]) -> Map<String, Value> {
        let Ok(settings) = self.settings(cluster) else { return Map::new() };
        let shown = json!({"Server": settings.server, "Namespace": settings.namespace, "Image": settings.image});
        Map::from_iter([("Kubernetes".to_owned(), shown)])
    }
}

#[cfg(test)]
mod tests {
    use foggara_domain::Timestamp;
    use foggara_testkit::kubernetes::{ACCOUNT, FakeKubernetes, NAMESPACE};

    use super::*;

    fn cluster(configs: &Value) -> Cluster {
        let configs = configs.as_object().cloned().expect("settings");
        Cluster::of_program("k8s", TARGET, configs, Timestamp::from_micros(0))
    }

    fn plugin() -> KubernetesPlugin {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let remote =
            RemoteSettings { prefix: "fg-test-".to_owned(), data_dir: std::env::temp_dir(), log_limit: 1 << 20 };
        KubernetesPlugin::new(remote)
    }

    #[test]
    fn wrong_settings_are_named() {
        let good = json!({"server": "https://k8s:6443", "image": "spark:1", "pod_template": {"spec": {}}});
        let check = |change: Value| {
            let mut configs = good.clone();
            configs.as_object_mut().expect("an object").extend(change.as_object().cloned().expect("an object"));
            plugin().check(&cluster(&configs), HostSize { cores: 1, memory_mb: 1 })
        };
        assert_eq!(check(json!({})), Ok(()));
        assert_eq!(check(json!({"pod_template": "{\"metadata\": {\"labels\": {\"a\": \"b\"}}}"})), Ok(()));
        let yaml = "# a pod\nmetadata:\n  labels: {team: a}\nspec:\n  nodeSelector:\n    disk: ssd\n";
        assert_eq!(check(json!({"pod_template": yaml})), Ok(()));
        for (change, words) in [
            (json!({"server": null}), "kubernetes.server is missing"),
            (json!({"server": "k8s:6443"}), "no address of a web service"),
            (json!({"image": ""}), "kubernetes.image is missing"),
            (json!({"ca_file": "/nowhere/ca.pem"}), "/nowhere/ca.pem"),
            (json!({"namespace": "Jobs/x"}), "kubernetes.namespace is 'Jobs/x'"),
            (json!({"image_pull_policy": "Sometimes"}), "'Sometimes'"),
            (json!({"max_running": 0}), "kubernetes.max_running is 0"),
            (json!({"pod_template": "spec: {"}), "kubernetes.pod_template cannot be read"),
            (json!({"pod_template": "spec"}), "kubernetes.pod_template is no object"),
            (json!({"pod_template": "spec: {containers: [{name: more}]}"}), "containers beside"),
            (json!({"pod_template": {"spec": {"containers": [{"name": "more"}]}}}), "containers beside"),
        ] {
            let refused = check(change).expect_err(words);
            assert!(refused.contains(words), "{words}: {refused}");
        }
        assert!(plugin().description().configs.iter().all(|item| item.operator), "with whose rights is not for users");
    }

    #[tokio::test]
    async fn a_look_says_what_is_wrong() {
        let fake = FakeKubernetes::start().expect("a server");
        let configs =
            json!({"server": fake.url(), "image": "spark:1", "namespace": NAMESPACE, "service_account": ACCOUNT});
        let look = async |configs: &Value| plugin().look(&cluster(configs), &[]).await.checks;
        let all = look(&configs).await;
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|(_, health, _)| *health == Health::Green), "{all:?}");
        fake.deny("get pods/log");
        let mut other = configs.clone();
        other["service_account"] = json!("nobody");
        let bad: Vec<String> =
            look(&other).await.into_iter().filter(|one| one.1 == Health::Red).map(|one| one.2).collect();
        assert!(bad[0].contains("may not get pods/log"), "{bad:?}");
        assert!(bad[1].contains("serviceaccount \"nobody\" not found"), "{bad:?}");
        drop(fake);
        let gone = look(&configs).await;
        assert!(gone.len() == 1 && gone[0].2.contains("cannot be reached"), "{gone:?}");
    }
}
