//! Clusters, their templates, plugins and images over HTTP, in the three versions of the API; clusters of the plugin `local`, and
//! managed ones whose Spark is a stand-in that comes up when the test says so.

mod delete;
mod life;
mod scale;
mod templates;
mod wrong;

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use foggara_testkit::{
    api::{Answer, Api},
    wait,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{LONG, On, World};

/// An id that nothing has.
pub(crate) const NOBODY: &str = "00000000-0000-4000-8000-000000000404";

/// A request below `/<version>/<project>`.
pub(crate) async fn ask(api: &Api, version: &str, method: Method, path: &str, body: Option<Value>) -> Result<Answer> {
    let path = format!("/{version}/{}{path}", api.project);
    let bytes = body.map(|body| body.to_string().into_bytes());
    let headers: &[(&str, &str)] = if bytes.is_some() { &[("Content-Type", "application/json")] } else { &[] };
    api.raw(method, &path, headers, bytes).await
}

/// A request of v1.1 that is refused; gives the name of the error and what it says.
pub(crate) async fn refusal(api: &Api, method: Method, path: &str, body: Option<Value>) -> Result<(String, String)> {
    let answer = ask(api, "v1.1", method.clone(), path, body).await?;
    let json = answer.json();
    assert_eq!(answer.status.as_u16(), 400, "{method} {path}: {}", answer.text());
    assert_eq!(json["error_code"], 400, "{method} {path}: {json}");
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    Ok((text("error_name"), text("error_message")))
}

/// The text behind a key.
pub(crate) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// A cluster of the plugin `local`: some nodes, each with a slot.
pub(crate) fn local(name: &str, count: i64) -> Value {
    json!({"name": name, "plugin_name": "local", "hadoop_version": "1.0", "node_groups": [group("workers", count)]})
}

/// A node group of the plugin `local`.
pub(crate) fn group(name: &str, count: i64) -> Value {
    json!({"name": name, "count": count, "flavor_id": "1", "node_processes": ["local"]})
}

/// Makes a cluster; gives its id.
pub(crate) async fn make(api: &Api, body: Value) -> Result<String> {
    let made = api.post("/clusters", body).await?;
    Ok(made["cluster"]["id"].as_str().context("no id")?.to_owned())
}

/// A cluster as it is.
pub(crate) async fn cluster(api: &Api, id: &str) -> Result<Value> {
    Ok(api.get(&format!("/clusters/{id}?show_progress=true")).await?["cluster"].take())
}

/// Waits until a cluster has a status; gives the cluster. Error ends the wait.
pub(crate) async fn settles(world: &World, id: &str, wanted: &str) -> Result<Value> {
    let seen = wait::until(&format!("cluster {id} in {wanted}"), LONG, || async {
        let found = cluster(&world.api, id).await.ok()?;
        (found["status"] == wanted || found["status"] == "Error").then_some(found)
    })
    .await;
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => {
            let now = cluster(&world.api, id).await.map_or_else(|error| error.to_string(), |found| found.to_string());
            return Err(error.context(format!("it is {now}; server: {}", world.server.log())));
        }
    };
    anyhow::ensure!(seen["status"] == wanted, "{seen}; server: {}", world.server.log());
    Ok(seen)
}

/// Waits until a cluster is not there any more.
pub(crate) async fn vanishes(world: &World, id: &str) -> Result<()> {
    let path = format!("/clusters/{id}");
    let what = format!("cluster {id} gone");
    let gone = wait::until(&what, LONG, || async {
        let answer = world.api.call(Method::GET, &path, None).await.ok()?;
        (answer.status.as_u16() == 404).then_some(())
    });
    gone.await.with_context(|| format!("server: {}", world.server.log()))
}

/// What is left on the disk of any cluster.
pub(crate) fn folders(world: &World) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(world.server.dir.join("clusters")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Names of all nodes of a cluster, in order.
pub(crate) fn nodes(cluster: &Value) -> Vec<String> {
    let groups = cluster["node_groups"].as_array().into_iter().flatten();
    let nodes = groups.flat_map(|group| group["instances"].as_array().into_iter().flatten());
    let mut names: Vec<String> = nodes.map(|node| text(node, "instance_name")).collect();
    names.sort();
    names
}

/// Runs a template on a cluster; gives the id of the execution.
pub(crate) async fn execute_on(api: &Api, cluster: &str, template: &str, mut body: Value) -> Result<String> {
    body["cluster_id"] = json!(cluster);
    let row = api.post(&format!("/jobs/{template}/execute"), body).await?;
    Ok(row["job_execution"]["id"].as_str().context("no id")?.to_owned())
}

/// What stands in for a Spark: a master that answers as one at `/json/` once the file `gate` is there, and workers that it lists
/// as long as they live. It holds its answer back while there is a file `hold`, and lists no worker while there is one `hide`.
const STAND_IN: &str = r#"#!/usr/bin/env python3
import http.server, json, os, sys, time
base = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
opts, rest = {}, []
args = iter(sys.argv[2:])
for arg in args:
    if arg.startswith('--'):
        opts[arg[2:]] = next(args)
    else:
        rest.append(arg)
if not sys.argv[1].endswith('master.Master'):
    folder = os.path.join(base, 'workers-' + rest[0].rsplit(':', 1)[1])
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, str(os.getpid()) + '.new'), 'w') as file:
        json.dump({'host': opts['host'], 'port': int(opts['port']), 'state': 'ALIVE'}, file)
    os.rename(file.name, file.name[:-4])
    while True:
        time.sleep(60)
folder = os.path.join(base, 'workers-' + opts['port'])
os.makedirs(folder, exist_ok=True)
while not os.path.exists(os.path.join(base, 'gate')):
    time.sleep(0.02)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        while os.path.exists(os.path.join(base, 'hold')):
            open(os.path.join(base, 'held'), 'w').close()
            time.sleep(0.01)
        alive = [n for n in os.listdir(folder) if n.isdigit() and os.path.exists('/proc/' + n + '/cwd')]
        if os.path.exists(os.path.join(base, 'hide')):
            alive = []
        workers = [json.load(open(os.path.join(folder, n))) for n in alive]
        url = 'spark://' + opts['host'] + ':' + opts['port']
        body = json.dumps({'url': url, 'status': 'ALIVE', 'workers': workers}).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer((opts['host'], int(opts['webui-port'])), Page).serve_forever()
"#;

/// Puts the stand-in for Spark, and for the Java that it wants, below a folder.
fn put_stand_in(dir: &Path) -> Result<PathBuf> {
    let (spark, java) = (dir.join("stand-in"), dir.join("stand-in-java"));
    for bin in [spark.join("bin"), java.join("bin")] {
        std::fs::create_dir_all(bin)?;
    }
    let files = [
        (spark.join("bin/spark-submit"), "#!/bin/sh\nexit 1\n"),
        (spark.join("bin/spark-class"), STAND_IN),
        (java.join("bin/java"), "#!/bin/sh\nexit 1\n"),
    ];
    for (file, content) in files {
        std::fs::write(&file, content)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
    }
    std::fs::write(java.join("release"), "JAVA_VERSION=\"17.0.1\"\n")?;
    Ok(spark)
}

/// A server whose Spark is the stand-in, with its gate open or not.
pub(crate) async fn with_stand_in(on: On, settings: &str, open: bool) -> Result<World> {
    let mut world = World::start(on, settings).await?;
    let home = put_stand_in(&world.server.dir)?;
    world.server.set("SPARK_HOME", &home.display().to_string());
    world.server.set("JAVA_HOME", &world.server.dir.join("stand-in-java").display().to_string());
    if open {
        open_gate(&world)?;
    }
    world.restart_hard().await?;
    Ok(world)
}

/// Lets masters of the stand-in answer.
pub(crate) fn open_gate(world: &World) -> Result<()> {
    Ok(std::fs::write(world.server.dir.join("stand-in/gate"), "")?)
}

/// A managed Spark cluster: a master and workers.
pub(crate) fn spark(name: &str, workers: i64, memory_mb: i64) -> Value {
    let node = |name: &str, count: i64, process: &str| {
        json!({"name": name, "count": count, "flavor_id": "1", "node_processes": [process],
               "node_configs": {"spark": {"memory_mb": memory_mb}}})
    };
    let groups = [node("master", 1, "master"), node("workers", workers, "slave")];
    json!({"name": name, "plugin_name": "spark", "hadoop_version": "2.3", "node_groups": groups})
}

/// Living processes of the nodes of the clusters of a data directory: the lines that started them.
pub(crate) fn node_processes(dir: &Path) -> Vec<String> {
    let folder = dir.join("clusters");
    let found = foggara_testkit::processes::tagged("fgn-").into_iter().filter_map(|pid| {
        // The folder may be deleted already; then the kernel says so behind its name.
        let place = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        place.starts_with(&folder).then(|| String::from_utf8_lossy(&line).replace('\0', " "))
    });
    found.collect()
}

/// Ends whatever a server has started, and the server, when a test ends: a test that failed leaves no cluster behind.
pub(crate) struct Sweep(PathBuf);

impl Sweep {
    /// For the server of a test. It has to be dropped before the server's folder is, so it is made after the world.
    pub(crate) fn of(world: &World) -> Self {
        Self(world.server.dir.clone())
    }

    /// Processes that name the folder or work in it.
    fn pids(&self) -> Vec<i32> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let name = self.0.display().to_string();
        let own = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let place = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&name) || place.starts_with(&self.0)
        };
        pids.filter(own).collect()
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        // What is started while this looks is found by the next look.
        for _ in 0..10 {
            for pid in self.pids().into_iter().filter_map(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
