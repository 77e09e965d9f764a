//! What a driver's pod and its Secret are made of. The pod runs its image's entry point with `driver`, which is spark-submit in
//! client mode; all settings are in the Secret, so that they stand on no command line and in no pod.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use foggara_domain::plan::Plan;
use serde_json::{Map, Value, json};

use super::{
    CONTAINER, ID, INSTALLATION, KubernetesSettings,
    files::{self, Content, FOLDER},
    pods::Meta,
};
use crate::{
    Launch,
    local::{launcher, properties},
};

/// The volume with the Secret.
const VOLUME: &str = "foggara";
/// The API server as every pod reaches it.
const MASTER: &str = "k8s://https://kubernetes.default.svc";
/// The file with the settings.
const PROPERTIES: &str = "spark.properties";
/// The file with arguments that are secret.
const WORDS: &str = "words";
/// MiB that Spark adds to a driver's memory at least.
const LEAST_OVERHEAD: u64 = 384;
/// MiB of a driver that asks for nothing.
const MEMORY: u64 = 1024;

/// The objects of a job.
pub(super) struct Parts {
    pub pod: Value,
    name: String,
    labels: Value,
    content: Content,
}

impl Parts {
    /// The Secret of a pod, which goes with it.
    pub fn secret(&self, pod: &Meta) -> Value {
        let data: Map<String, Value> =
            self.content.values().enumerate().map(|(at, bytes)| (key(at), json!(STANDARD.encode(bytes)))).collect();
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
            "metadata": {
                "name": self.name,
                "labels": self.labels,
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": self.name, "uid": pod.uid}],
            },
            "data": data,
        })
    }
}

/// Keys of a Secret take few letters; the paths are the volume's.
fn key(at: usize) -> String {
    format!("file-{at}")
}

/// The objects of a launch. The error is for the user.
pub(super) fn parts(settings: &KubernetesSettings, installation: &str, launch: &Launch<'_>) -> Result<Parts, String> {
    let Some(plan @ Plan::Spark { main_class, args, secret_args, conf, .. }) = launch.plan else {
        return Err("a cluster of Kubernetes runs Spark jobs only".to_owned());
    };
    let tag = launch.tag.as_str();
    let mut placed = files::place(plan, launch.urls)?;
    let mut conf = conf.clone();
    let mut content = std::mem::take(&mut placed.content);
    let mut main = placed.main.clone();
    let mut class = main_class.clone();
    let mut words = args.clone();
    let is_python = std::path::Path::new(&main).extension().is_some_and(|extension| extension == "py");
    if *secret_args {
        let text = if is_python {
            let path = files::local_path(&main).ok_or_else(|| hidden_needs_secret(&main))?;
            let text = launcher::python_words(path, args);
            content.insert("launch.py".to_owned(), launcher::PYTHON.into());
            main = format!("file://{FOLDER}/launch.py");
            text
        } else {
            let jar =
                files::local_path(&main).or(class.as_ref().map(|_| "")).ok_or_else(|| hidden_needs_secret(&main))?;
            let text = launcher::java_words(class.as_deref(), jar, args);
            content.insert("launcher/io/foggara/Launch.class".to_owned(), launcher::JAVA.into());
            let others = conf.remove("spark.driver.extraClassPath").map(|others| format!(":{others}"));
            let path = format!("{FOLDER}/launcher{}", others.unwrap_or_default());
            conf.insert("spark.driver.extraClassPath".to_owned(), path);
            class = Some(launcher::CLASS.to_owned());
            text
        };
        content.insert(WORDS.to_owned(), text.into());
        words = vec![format!("{FOLDER}/{WORDS}")];
    }
    let mut argv = vec!["--properties-file".to_owned(), format!("{FOLDER}/{PROPERTIES}")];
    argv.extend(class.into_iter().flat_map(|class| ["--class".to_owned(), class]));
    argv.push(main);
    argv.extend(words);
    let image = ["spark.kubernetes.driver.container.image", "spark.kubernetes.container.image"];
    let image = image.iter().find_map(|key| conf.get(*key)).unwrap_or(&settings.image).clone();
    let resources = resources(&conf, is_python)?;

    for (key, list) in
        [("spark.jars", &placed.jars), ("spark.submit.pyFiles", &placed.py_files), ("spark.files", &placed.files)]
    {
        let given = conf.remove(key).filter(|given| !given.is_empty());
        let all: Vec<String> = given.into_iter().chain(list.iter().cloned()).collect();
        if !all.is_empty() {
            conf.insert(key.to_owned(), all.join(","));
        }
    }
    for (key, value) in [
        ("spark.app.name", launch.job_name),
        ("spark.kubernetes.container.image", &settings.image),
        ("spark.kubernetes.container.image.pullPolicy", &settings.pull_policy),
    ] {
        conf.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    // Ours, whatever a job says.
    conf.extend(ours(settings, installation, tag).map(|(key, value)| (key.to_owned(), value)));
    content.insert(PROPERTIES.to_owned(), properties(&conf).into());

    let labels = labels(installation, tag);
    let grace = launch.kill_grace.as_secs().max(1);
    let pod = pod(settings, tag, &labels, &Driver { image, argv, resources, grace, content: &content });
    Ok(Parts { pod, name: tag.to_owned(), labels, content })
}

/// A pod as a job's, of a small job without files.
pub(super) fn rehearsal(settings: &KubernetesSettings, installation: &str) -> Value {
    let name = "foggara-rehearsal";
    let content = Content::from([(PROPERTIES.to_owned(), Vec::new())]);
    let resources = resources(&BTreeMap::new(), false).unwrap_or_default();
    let argv = vec!["--version".to_owned()];
    let driver = Driver { image: settings.image.clone(), argv, resources, grace: 1, content: &content };
    pod(settings, name, &labels(installation, name), &driver)
}

/// By these the job is found, and nothing of it is where we do not look.
fn ours(settings: &KubernetesSettings, installation: &str, tag: &str) -> [(&'static str, String); 8] {
    [
        ("spark.master", MASTER.to_owned()),
        ("spark.submit.deployMode", "client".to_owned()),
        ("spark.foggara.id", tag.to_owned()),
        ("spark.app.id", tag.to_owned()),
        ("spark.kubernetes.namespace", settings.namespace.clone()),
        // Executors belong to this pod and go with it.
        ("spark.kubernetes.driver.pod.name", tag.to_owned()),
        ("spark.kubernetes.executor.label.foggara-id", tag.to_owned()),
        ("spark.kubernetes.executor.label.foggara-installation", installation.to_owned()),
    ]
}

fn labels(installation: &str, tag: &str) -> Value {
    json!({INSTALLATION: installation, ID: tag, "spark-role": "driver", "spark-app-selector": tag})
}

fn hidden_needs_secret(main: &str) -> String {
    format!("the arguments of this job hold secrets, and its main file {main} is at a url: name its main class")
}

struct Driver<'a> {
    image: String,
    argv: Vec<String>,
    resources: Value,
    grace: u64,
    content: &'a Content,
}

fn pod(settings: &KubernetesSettings, name: &str, labels: &Value, driver: &Driver<'_>) -> Value {
    // A kubelet replaces $(NAME) in arguments, and a doubled dollar by one.
    let mut args = ["driver", "--conf", "spark.driver.host=$(SPARK_DRIVER_BIND_ADDRESS)"].map(str::to_owned).to_vec();
    args.extend(driver.argv.iter().map(|word| word.replace('$', "$$")));
    let items: Vec<Value> =
        driver.content.keys().enumerate().map(|(at, path)| json!({"key": key(at), "path": path})).collect();
    let ours = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": settings.service_account,
            "terminationGracePeriodSeconds": driver.grace,
            "containers": [{
                "name": CONTAINER,
                "image": driver.image,
                "imagePullPolicy": settings.pull_policy,
                "args": args,
                "env": [
                    {"name": "SPARK_DRIVER_BIND_ADDRESS", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
                    {"name": "SPARK_APPLICATION_ID", "value": name},
                ],
                "resources": driver.resources,
                "volumeMounts": [{"name": VOLUME, "mountPath": FOLDER, "readOnly": true}],
            }],
            "volumes": [{"name": VOLUME, "secret": {"secretName": name, "items": items}}],
        },
    });
    let mut pod = Value::Object(settings.pod_template.clone());
    lay_over(&mut pod, ours);
    pod
}

/// Puts what is ours over a template: our values win, and of two lists of named things those of one name become one.
fn lay_over(template: &mut Value, ours: Value) {
    match (template, ours) {
        (Value::Object(template), Value::Object(ours)) => {
            for (key, value) in ours {
                match template.get_mut(&key) {
                    Some(there) => lay_over(there, value),
                    None => {
                        template.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(template), Value::Array(ours)) if ours.iter().all(|one| one.get("name").is_some()) => {
            for one in ours {
                match template.iter_mut().find(|there| there.get("name") == one.get("name")) {
                    Some(there) => lay_over(there, one),
                    None => template.push(one),
                }
            }
        }
        (template, ours) => *template = ours,
    }
}

/// Checks a template of drivers' pods: what it can say is what a job can be lived with. The error is for the operator.
pub(super) fn check_template(template: &Map<String, Value>) -> Result<(), String> {
    let bad = |what: &str| Err(format!("the setting kubernetes.pod_template {what}"));
    let known = |map: &Map<String, Value>, keys: &[&str]| map.keys().find(|key| !keys.contains(&key.as_str())).cloned();
    if let Some(key) = known(template, &["apiVersion", "kind", "metadata", "spec"]) {
        return bad(&format!("has '{key}', which no pod has: it has metadata and spec"));
    }
    if let Some(metadata) = template.get("metadata") {
        let Some(metadata) = metadata.as_object() else { return bad("has a metadata that is no object") };
        if let Some(key) = known(metadata, &["labels", "annotations"]) {
            return bad(&format!("has metadata.{key}: it can give labels and annotations only"));
        }
    }
    let Some(spec) = template.get("spec") else { return Ok(()) };
    let Some(spec) = spec.as_object() else { return bad("has a spec that is no object") };
    let others = spec.get("containers").map_or(Some(&[][..]), |list| list.as_array().map(Vec::as_slice));
    let Some(others) = others else { return bad("has containers that are no list") };
    if others.iter().any(|container| container.get("name").and_then(Value::as_str) != Some(CONTAINER)) {
        // The pod would live as long as they do.
        return bad(&format!("has containers beside '{CONTAINER}': a job would not end before they do"));
    }
    Ok(())
}

/// What the driver asks for and may use, as Spark reckons it.
fn resources(conf: &BTreeMap<String, String>, is_python: bool) -> Result<Value, String> {
    let size = |key: &str| conf.get(key).map(|text| mib(key, text)).transpose();
    let memory = size("spark.driver.memory")?.unwrap_or(MEMORY);
    let overhead = match size("spark.driver.memoryOverhead")? {
        Some(overhead) => overhead,
        None => {
            let key = "spark.driver.memoryOverheadFactor";
            let factor = match conf.get(key) {
                Some(text) => text.trim().parse::<f64>().ok().filter(|factor| (0.0..=100.0).contains(factor)),
                None => Some(if is_python { 0.4 } else { 0.1 }),
            };
            let factor = factor.ok_or_else(|| format!("the setting {key} is no number from 0 to 100"))?;
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "MiB"
            )]
            let share = (memory as f64 * factor) as u64;
            share.max(LEAST_OVERHEAD)
        }
    };
    let cores = conf.get("spark.driver.cores").map_or("1", String::as_str);
    let cores = conf.get("spark.kubernetes.driver.request.cores").map_or(cores, String::as_str);
    let memory = format!("{}Mi", memory.saturating_add(overhead));
    let mut limits = json!({"memory": memory});
    if let Some(limit) = conf.get("spark.kubernetes.driver.limit.cores") {
        limits["cpu"] = json!(limit);
    }
    Ok(json!({"requests": {"cpu": cores, "memory": memory}, "limits": limits}))
}

/// A size of memory in Spark's words; a bare number is MiB.
fn mib(key: &str, text: &str) -> Result<u64, String> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: Option<u64> = digits.parse().ok();
    let size = number.and_then(|number| match &text[digits.len()..] {
        "" | "m" | "mb" => Some(number),
        "k" | "kb" => Some(number.div_ceil(1024)),
        "b" => Some(number.div_ceil(1024 * 1024)),
        "g" | "gb" => number.checked_mul(1024),
        "t" | "tb" => number.checked_mul(1024 * 1024),
        _ => None,
    });
    size.ok_or_else(|| format!("the setting {key} is '{text}'; it is a size like 512m or 2g"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_laid_under() {
        let mut template = json!({
            "metadata": {"labels": {"team": "a", "spark-role": "none"}},
            "spec": {
                "restartPolicy": "Always", "nodeSelector": {"disk": "ssd"},
                "containers": [{"name": CONTAINER, "args": ["x"], "env": [{"name": "A", "value": "1"}]}],
            },
        });
        let ours = json!({
            "metadata": {"labels": {"spark-role": "driver"}},
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": CONTAINER, "args": ["driver"], "env": [{"name": "B", "value": "2"}]}],
                "volumes": [{"name": VOLUME}],
            },
        });
        lay_over(&mut template, ours);
        let wanted = json!({
            "metadata": {"labels": {"team": "a", "spark-role": "driver"}},
            "spec": {
                "restartPolicy": "Never", "nodeSelector": {"disk": "ssd"},
                "containers": [{
                    "name": CONTAINER, "args": ["driver"],
                    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                }],
                "volumes": [{"name": VOLUME}],
            },
        });
        assert_eq!(template, wanted);
    }

    #[test]
    fn a_template_that_would_hide_a_job_is_refused() {
        for (template, word) in [
            (json!({"spec": {"containers": [{"name": "sidecar"}]}}), "beside"),
            (json!({"metadata": {"name": "mine"}}), "metadata.name"),
            (json!({"metadata": {"finalizers": ["x"]}}), "metadata.finalizers"),
            (json!({"nodeSelector": {}}), "nodeSelector"),
        ] {
            let template = template.as_object().cloned().expect("an object");
            let refused = check_template(&template).expect_err("refused");
            assert!(refused.contains(word) && refused.contains("kubernetes.pod_template"), "{refused}");
        }
    }

    #[test]
    fn memory_is_reckoned_as_spark_does() {
        let memory = |conf: &[(&str, &str)], python| {
            let conf = conf.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            resources(&conf, python).map(|all| all["limits"]["memory"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(memory(&[], false).as_deref(), Ok("1408Mi"));
        assert_eq!(memory(&[("spark.driver.memory", "8g")], false).as_deref(), Ok("9011Mi"));
        assert_eq!(memory(&[("spark.driver.memory", "2048")], true).as_deref(), Ok("2867Mi"));
        let both = [("spark.driver.memory", "512m"), ("spark.driver.memoryOverhead", "64m")];
        assert_eq!(memory(&both, false).as_deref(), Ok("576Mi"));
        assert!(memory(&[("spark.driver.memory", "lots")], false).expect_err("no size").contains("'lots'"));
    }
}
