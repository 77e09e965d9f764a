//! `spark.deploy = rest`: the settings of clusters whose drivers run on workers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use foggara_domain::{
    Secret,
    cluster::{Cluster, NodeAddress},
};
use serde_json::Value;
use url::Url;

use super::{TARGET, WORKER, smallest_worker};
use crate::{
    local::{LocalSettings, private, python_of_spark},
    plugin::setting,
    remote::{reach, rest::Auth},
    spark_rest::{Files, SparkRestSettings, new_secret, token},
};

pub(super) const DEPLOY: &str = "deploy";
pub(super) const CLIENT: &str = "client";
pub(super) const REST: &str = "rest";
pub(super) const SHARED_FILES: &str = "shared_files";
pub(super) const ARTIFACTS: &str = "artifacts";
pub(super) const SECRET_FILE: &str = "secret_file";
/// Its name among a cluster's `info`.
pub(super) const INFO: &str = "REST";
/// The master's settings, and the token that they take, in the folder of the master's node; both of mode 0600.
const GUARD: &str = "master.properties";
const TOKEN: &str = "rest-token";
/// The setting of the master's secret.
const KEY: &str = "spark.org.apache.spark.ui.JWSFilter.param.secretKey";
/// MiB of a driver when the job does not say. Spark refuses drivers and executors of less than 450 MiB.
const DRIVER_MB: u64 = 512;

fn text<'a>(cluster: &'a Cluster, name: &str) -> Option<&'a str> {
    cluster.config(TARGET, name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Whether drivers run on workers.
pub(super) fn is_on(cluster: &Cluster) -> Result<bool, String> {
    match cluster.config(TARGET, DEPLOY) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::String(word)) if word == CLIENT || word.is_empty() => Ok(false),
        Some(Value::String(word)) if word == REST => Ok(true),
        Some(other) => Err(format!(
            "the setting spark.deploy is {other}; it is client (the driver is a process of this host) or rest (it runs on a worker)"
        )),
    }
}

fn files(cluster: &Cluster) -> Result<Files, String> {
    let shared = match cluster.config(TARGET, SHARED_FILES) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(shared)) => *shared,
        Some(Value::String(word)) if word == "true" => true,
        Some(Value::String(word)) if word == "false" || word.is_empty() => false,
        Some(other) => return Err(format!("the setting spark.shared_files is {other}; it is true or false")),
    };
    match text(cluster, ARTIFACTS) {
        Some(url) if !shared => Ok(Files::Artifacts(url.to_owned())),
        Some(_) => Err("spark.artifacts and spark.shared_files = true are two ways for one thing: leave out either".to_owned()),
        None if shared => Ok(Files::Shared),
        None => Err("spark.deploy = rest on a cluster elsewhere needs a way for files of jobs to its workers: spark.shared_files = true \
                     where they see this server's data directory by the same path, or spark.artifacts in the operator's configuration"
            .to_owned()),
    }
}

/// Checks the settings for a master that runs elsewhere.
pub(super) fn check_external(cluster: &Cluster) -> Result<(), String> {
    for (name, like) in [(REST, "http://host:6066"), ("web_ui", "http://host:8080")] {
        let given = text(cluster, name).ok_or_else(|| {
            format!("spark.deploy = rest on a cluster elsewhere needs the setting spark.{name}; it looks like {like}")
        })?;
        let is_http = |url: &str| Url::parse(url.trim()).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !given.split(',').all(is_http) {
            return Err(format!("the setting spark.{name} is '{given}'; it looks like {like}"));
        }
        for url in given.split(',').filter_map(|url| Url::parse(url.trim()).ok()) {
            reach::check(&url).map_err(|why| format!("the setting spark.{name}: {why}"))?;
        }
    }
    files(cluster).map(|_| ())
}

/// The driver of a job takes a core and memory of a worker, and its executors must find some beside it.
pub(super) fn check_managed(cluster: &Cluster) -> Result<(), String> {
    let mut cores = 0u64;
    for group in cluster.node_groups.iter().filter(|group| group.runs(WORKER)) {
        let each = setting(cluster, Some(group), TARGET, "cores", 1)?;
        cores = cores.saturating_add(each.saturating_mul(u64::try_from(group.count).unwrap_or(0)));
    }
    if cores < 2 {
        return Err("with spark.deploy = rest the driver of a job takes a core of the slaves and its executors need another: the \
                    slaves have 1 core in all, so give them cores = 2 or more"
            .to_owned());
    }
    if let Some(least) = smallest_worker(cluster)?.filter(|least| *least < 2 * DRIVER_MB) {
        return Err(format!(
            "with spark.deploy = rest a slave carries a driver of {DRIVER_MB} MiB and an executor of as much, and here one has \
             memory_mb = {least}: give it {} or more",
            2 * DRIVER_MB
        ));
    }
    Ok(())
}

/// A cluster that runs elsewhere.
pub(super) fn external(cluster: &Cluster, master: &str, max_running: usize) -> Result<SparkRestSettings, String> {
    check_external(cluster)?;
    let auth = match text(cluster, SECRET_FILE) {
        Some(file) => {
            let secret =
                std::fs::read_to_string(file).map_err(|error| format!("spark.secret_file: {file}: {error}"))?;
            Auth::Bearer(token(&secret).map_err(|why| format!("spark.secret_file: {file}: {why}"))?)
        }
        None => Auth::None,
    };
    Ok(SparkRestSettings {
        master: master.to_owned(),
        rest: text(cluster, REST).unwrap_or_default().to_owned(),
        web_ui: text(cluster, "web_ui").unwrap_or_default().to_owned(),
        auth,
        files: files(cluster)?,
        is_here: false,
        python: None,
        defaults: BTreeMap::from([("spark.ui.enabled".to_owned(), "false".to_owned())]),
        max_running,
    })
}

/// A cluster of this host's processes. Jobs are started only while it is Active, and then its addresses are known.
pub(super) fn managed(
    cluster: &Cluster,
    settings: &LocalSettings,
    max_running: usize,
) -> Result<SparkRestSettings, String> {
    let info = |name: &str| {
        let text = cluster.info.get("Spark").and_then(|spark| spark.get(name)).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| format!("the cluster has no address of its {name} yet"))
    };
    let nodes = std::path::absolute(settings.data_dir.join("clusters").join(cluster.id.as_str()))
        .map_err(|error| format!("the data directory: {error}"))?;
    let mut defaults = BTreeMap::from([("spark.ui.enabled".to_owned(), "false".to_owned())]);
    if let Some(least) = smallest_worker(cluster)? {
        let rest = least.saturating_sub(DRIVER_MB).max(DRIVER_MB);
        defaults.insert("spark.driver.memory".to_owned(), format!("{DRIVER_MB}m"));
        defaults.insert("spark.executor.memory".to_owned(), format!("{rest}m"));
    }
    Ok(SparkRestSettings {
        master: info("Master")?,
        rest: info(INFO)?,
        web_ui: info("Web UI")?,
        auth: Auth::TokenFile(token_file(&nodes)?),
        files: Files::Shared,
        is_here: true,
        python: python_of_spark(settings),
        defaults,
        max_running,
    })
}

/// The token in the folder of the cluster's master.
fn token_file(nodes: &Path) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", nodes.display());
    for node in std::fs::read_dir(nodes).map_err(failed)? {
        let file = node.map_err(failed)?.path().join(TOKEN);
        if file.is_file() {
            return Ok(file);
        }
    }
    Err(format!("no node in {} has a token for the submission server: is its master started?", nodes.display()))
}

/// The port of a master's submission server: beside those of its web page, and of the worker that may be on the same node.
fn port(address: &NodeAddress) -> u16 {
    address.web_port.wrapping_add(2)
}

/// The submission server of a master.
pub(super) fn url(address: &NodeAddress) -> String {
    format!("http://{}:{}", address.host, port(address))
}

/// Writes the settings of a master whose submission server takes drivers from nobody but us. Gives the file.
pub(super) fn put_guard(folder: &Path, address: &NodeAddress) -> Result<PathBuf, String> {
    let file = folder.join(GUARD);
    // A master of this folder may run already.
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    let known = known.lines().find_map(|line| line.strip_prefix(KEY)?.strip_prefix('='));
    let secret = match known.filter(|secret| token(secret).is_ok()) {
        Some(secret) => Secret::new(secret),
        None => new_secret()?,
    };
    let words = format!(
        "spark.master.rest.enabled=true\nspark.master.rest.host={}\nspark.master.rest.port={}\n\
         spark.master.rest.filters=org.apache.spark.ui.JWSFilter\n\
         {KEY}={}\n",
        address.host,
        port(address),
        secret.reveal()
    );
    private(&file, words.as_bytes())?;
    private(&folder.join(TOKEN), token(secret.reveal())?.reveal().as_bytes())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_guard_is_private_and_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = NodeAddress { host: "127.0.0.1".to_owned(), port: 7000, web_port: 8000 };
        let file = put_guard(folder.path(), &address).expect("written");
        let first = std::fs::read_to_string(&file).expect("read");
        assert!(first.contains("spark.master.rest.port=8002\n"), "{first}");
        put_guard(folder.path(), &address).expect("written again");
        assert_eq!(std::fs::read_to_string(&file).expect("read"), first, "a master that runs knows this secret");
        let secret = first.lines().find_map(|line| line.strip_prefix(KEY)?.strip_prefix('=')).expect("a secret");
        let token_file = folder.path().join(TOKEN);
        let kept = std::fs::read_to_string(&token_file).expect("read");
        assert_eq!(kept, token(secret).expect("a token").reveal());
        for file in [file, token_file] {
            let mode = std::fs::metadata(&file).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
    }
}
