//! Keys in job configs with a meaning of their own: credentials that are never shown, and keys that are ours.

use serde_json::{Map, Value};

use crate::{Code, Error, Result};

/// Configs that are credentials: shown as `""`, kept sealed (sahara-v1.1.md section 8.2); the last three are Hadoop's and OBS's.
const CREDENTIALS: [&str; 7] = [
    "fs.swift.service.sahara.username",
    "fs.swift.service.sahara.password",
    "fs.s3a.access.key",
    "fs.s3a.secret.key",
    "fs.s3a.session.token",
    "fs.obs.access.key",
    "fs.obs.secret.key",
];

/// Keys by which we find a job again or decide whether it is run again; a request may not set them (lifecycle.md "Launch
/// without doubles"). On `local` the master is ours too.
const OURS: [&str; 22] = [
    "spark.master",
    "spark.foggara.id",
    "spark.submit.deployMode",
    "spark.driver.supervise",
    "spark.yarn.tags",
    "spark.yarn.maxAppAttempts",
    "spark.yarn.submit.waitAppCompletion",
    "spark.kubernetes.driver.pod.name",
    "spark.kubernetes.driver.label.foggara-id",
    "spark.kubernetes.driver.label.foggara-installation",
    "spark.kubernetes.executor.label.foggara-id",
    "spark.kubernetes.executor.label.foggara-installation",
    "spark.kubernetes.namespace",
    "spark.app.id",
    "spark.kubernetes.submission.waitAppCompletion",
    "mapreduce.job.tags",
    "tez.application.tags",
    "pipeline.global-job-parameters",
    "FOGGARA_TAG",
    "topology.name",
    "nimbus.seeds",
    "nimbus.host",
];

/// Flink keeps settings with this prefix to itself, the id of the job among them.
const INTERNAL_OF_FLINK: &str = "$internal.";

/// Spark hands keys with this prefix on to Hadoop without it, so that one setting has two spellings.
const FOR_HADOOP: &str = "spark.hadoop.";

/// Endings of the names by which file systems take their keys, with or without the name of a bucket in the middle.
const SECRET_ENDINGS: [&str; 5] = [".access.key", ".secret.key", ".session.token", ".delegation.token", ".password"];

/// Whether the value of a config is a secret.
pub fn is_credential(key: &str) -> bool {
    let key = key.strip_prefix(FOR_HADOOP).unwrap_or(key);
    CREDENTIALS.contains(&key) || (key.starts_with("fs.") && SECRET_ENDINGS.iter().any(|ending| key.ends_with(ending)))
}

/// Refuses the keys that are ours, with their name.
pub fn refuse_identity_keys(job_configs: &Map<String, Value>) -> Result<()> {
    for map in ["configs", "params"] {
        let keys = job_configs.get(map).and_then(Value::as_object).into_iter().flat_map(|map| map.keys());
        for key in keys {
            refuse_identity_key(&format!("job_configs.{map}"), key)?;
        }
    }
    Ok(())
}

/// Refuses one key if it is ours; `place` is where it stands.
pub fn refuse_identity_key(place: &str, key: &str) -> Result<()> {
    if OURS.contains(&key.strip_prefix(FOR_HADOOP).unwrap_or(key)) || key.starts_with(INTERNAL_OF_FLINK) {
        let text = format!("'{key}' in {place} is set by the service and cannot be given by a job");
        return Err(Error::refused(Code::InvalidData, text));
    }
    Ok(())
}

/// Cuts `job_configs` in two: what is shown, with credentials as `""`, and the credentials. Scheduled execution is not
/// reachable over HTTP, so `job_execution_info` is always empty.
pub fn hide_credentials(mut job_configs: Map<String, Value>) -> (Value, Map<String, Value>) {
    let mut secrets = Map::new();
    if let Some(Value::Object(configs)) = job_configs.get_mut("configs") {
        for (key, value) in configs.iter_mut().filter(|(key, _)| is_credential(key)) {
            secrets.insert(key.clone(), std::mem::replace(value, Value::from("")));
        }
    }
    job_configs.insert("job_execution_info".to_owned(), Value::Object(Map::new()));
    (Value::Object(job_configs), secrets)
}
