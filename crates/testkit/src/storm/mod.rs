//! A fake of Storm: the REST of its UI with the documented answers (STORM-UI-REST-API.md of Apache Storm), and a stand-in for its client
//! that submits by a route of the fake's own. It keeps state and can be told to misbehave. No Storm was to be had for the tests: what
//! only a real one shows (Nimbus's Thrift, workers, the log viewer) is not in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::service::{Port, Service, broken};

/// The stand-in: `storm jar [-c k=v].. [--jars J] JAR CLASS NAME ARGS..` as Storm's client takes it, with words for its JVM in
/// `STORM_JAR_JVM_OPTS`. Its class is not run; it submits a topology of the name, which for Pyleus stands in the jar.
const CLIENT: &str = r#"#!/usr/bin/env python3
import json, os, re, shlex, sys, urllib.error, urllib.parse, urllib.request, zipfile
words, told = sys.argv[1:], {"conf": [], "jars": "", "argv": " ".join(sys.argv)}
for word in shlex.split(os.environ.get("STORM_JAR_JVM_OPTS", "")):
    # As Java's launcher: a file of words, of which each is a property.
    assert word.startswith("@") and os.stat(word[1:]).st_mode & 0o777 == 0o600
    name, options = open(word[1:]).read().strip().split("=", 1)
    assert name == "-Dstorm.options"
    told["conf"] = [urllib.parse.unquote_plus(option) for option in options.split(",")]
assert words.pop(0) == "jar"
while words[0].startswith("-"):
    option, value = words.pop(0), words.pop(0)
    if option == "-c":
        told["conf"].append(value)
    else:
        told["jars"] = value
jar, told["class"] = words.pop(0), words.pop(0)
if told["class"] == "no.such.Class":
    sys.exit("Error: Could not find or load main class no.such.Class\nCaused by: java.lang.ClassNotFoundException: no.such.Class")
if told["class"].endswith("PyleusTopologyBuilder"):
    spec = zipfile.ZipFile(jar).read("resources/pyleus_topology.yaml").decode()
    told["name"] = json.loads(re.search(r"(?m)^name: (.*)$", spec).group(1))
else:
    told["name"] = words.pop(0)
told["args"] = words
request = urllib.request.Request("ADDRESS/fake/submit", json.dumps(told).encode(), {"Content-Type": "application/json"})
try:
    urllib.request.urlopen(request).read()
except urllib.error.HTTPError as error:
    sys.exit("Exception in thread \"main\" " + error.read().decode())
except Exception as error:
    sys.exit("Exception in thread \"main\" org.apache.storm.thrift.transport.TTransportException: %s" % error)
print("Finished submitting topology: " + told["name"])
"#;

/// What happens to the next submission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Submission {
    /// It is accepted.
    #[default]
    Accepted,
    /// It is accepted; neither the client nor whoever asks next is answered.
    AnswerLost,
    /// The client is not answered, and it is accepted when [`FakeStorm::effect`] is called.
    Late,
}

#[derive(Debug)]
struct Topology {
    id: String,
    status: String,
    /// When it goes.
    dies: Option<Instant>,
    told: Value,
    /// Ports of its workers.
    workers: BTreeSet<u16>,
}

#[derive(Debug, Default)]
struct Held {
    topologies: BTreeMap<String, Topology>,
    made: u32,
    submission: Submission,
    late: Option<Value>,
    /// Answers of the UI that are lost.
    lost: u32,
    deaf: bool,
    unauthorized: bool,
    leaderless: bool,
    /// Operations that were asked for.
    asked: Vec<String>,
    /// The logs of workers by their file, as the log viewer has them.
    logs: BTreeMap<String, String>,
    address: Option<SocketAddr>,
}

/// The fake; it ends when it is dropped.
#[derive(Debug)]
pub struct FakeStorm {
    address: SocketAddr,
    held: Arc<Mutex<Held>>,
    _service: Service,
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeStorm {
    /// Starts it on a free port, on a thread of its own.
    pub fn start() -> io::Result<Self> {
        let held = Arc::new(Mutex::new(Held::default()));
        let port = Port::free()?;
        let address = port.address;
        lock(&held).address = Some(address);
        let service = port.serve(Router::new().fallback(answer).with_state(Arc::clone(&held)))?;
        Ok(Self { address, held, _service: service })
    }

    /// Address of the UI.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts the stand-in for the client into a folder; gives what is Storm's home then.
    pub fn put_client(&self, folder: &Path) -> io::Result<PathBuf> {
        let home = folder.join("storm-home");
        fs::create_dir_all(home.join("bin"))?;
        let client = home.join("bin/storm");
        fs::write(&client, CLIENT.replace("ADDRESS", &self.url()))?;
        fs::set_permissions(&client, fs::Permissions::from_mode(0o755))?;
        Ok(home)
    }

    /// What happens to the next submission.
    pub fn next_submission(&self, submission: Submission) {
        lock(&self.held).submission = submission;
    }

    /// A submission that was late is accepted now.
    pub fn effect(&self) {
        let mut held = lock(&self.held);
        if let Some(told) = held.late.take() {
            held.accept(told);
        }
    }

    /// From now on nothing is answered, or again.
    pub fn set_deaf(&self, deaf: bool) {
        lock(&self.held).deaf = deaf;
    }

    /// The next request of the UI is answered with 401.
    pub fn refuse_once(&self) {
        lock(&self.held).unauthorized = true;
    }

    /// No Nimbus leads, or one does again.
    pub fn set_leaderless(&self, leaderless: bool) {
        lock(&self.held).leaderless = leaderless;
    }

    /// Takes topologies with these names.
    pub fn fill(&self, names: impl Iterator<Item = String>) {
        let mut held = lock(&self.held);
        names.for_each(|name| held.accept(json!({"name": name})));
    }

    /// Gives a topology a status.
    pub fn set_status(&self, name: &str, status: &str) {
        if let Some(topology) = lock(&self.held).topologies.get_mut(name) {
            status.clone_into(&mut topology.status);
        }
    }

    /// A worker of a topology writes into its log; from then on the topology has that worker.
    pub fn write(&self, name: &str, port: u16, text: &str) {
        let mut held = lock(&self.held);
        let Held { topologies, logs, .. } = &mut *held;
        if let Some(topology) = topologies.get_mut(name) {
            topology.workers.insert(port);
            logs.entry(format!("{}/{port}/worker.log", topology.id)).or_default().push_str(text);
        }
    }

    /// The log of a worker of the topology with an id grows when the topology is gone already.
    pub fn write_last(&self, id: &str, port: u16, text: &str) {
        lock(&self.held).logs.entry(format!("{id}/{port}/worker.log")).or_default().push_str(text);
    }

    /// What the client told of a topology: `class`, `args`, `conf`, `jars`, and its command line as `argv`.
    pub fn told(&self, name: &str) -> Option<Value> {
        lock(&self.held).topologies.get(name).map(|topology| topology.told.clone())
    }

    /// The operations that were asked for, as `kill/10`.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.held).asked.clone()
    }
}

impl Held {
    fn accept(&mut self, told: Value) {
        self.made += 1;
        let name = told["name"].as_str().unwrap_or_default().to_owned();
        let id = format!("{name}-{}-1700000000", self.made);
        self.topologies
            .insert(name, Topology { id, status: "ACTIVE".to_owned(), dies: None, told, workers: BTreeSet::new() });
    }

    fn submit(&mut self, told: Value) -> Response {
        let name = told["name"].as_str().unwrap_or_default();
        if self.topologies.contains_key(name) {
            let said = format!("java.lang.RuntimeException: Topology with name `{name}` already exists on cluster");
            return (StatusCode::CONFLICT, said).into_response();
        }
        match std::mem::take(&mut self.submission) {
            Submission::Accepted => {
                self.accept(told);
                StatusCode::OK.into_response()
            }
            Submission::AnswerLost => {
                self.accept(told);
                self.lost = 1;
                broken()
            }
            Submission::Late => {
                self.late = Some(told);
                broken()
            }
        }
    }

    fn operate(&mut self, id: &str, operation: &str) -> Response {
        self.asked.push(operation.to_owned());
        let Some(topology) = self.topologies.values_mut().find(|topology| topology.id == id) else {
            return failed("NotAliveException", &format!("{id} is not alive"));
        };
        match operation.split_once('/').unwrap_or((operation, "")) {
            ("kill", wait) => {
                let wait = wait.parse().unwrap_or(30);
                "KILLED".clone_into(&mut topology.status);
                topology.dies = Some(Instant::now() + Duration::from_secs(wait));
            }
            ("deactivate", _) => "INACTIVE".clone_into(&mut topology.status),
            _ => return StatusCode::NOT_FOUND.into_response(),
        }
        let operation = operation.split('/').next();
        Json(json!({"topologyOperation": operation, "topologyId": id, "status": "success"})).into_response()
    }
}

fn failed(error: &str, message: &str) -> Response {
    let body = json!({"error": format!("500 Server Error: {error}"), "errorMessage": message});
    (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
}

/// The page of a topology; its log viewer is the fake too.
fn page(held: &Held, topology: &Topology) -> Value {
    let address = held.address.map(|address| address.to_string()).unwrap_or_default();
    let workers = topology.workers.iter().map(|port| {
        let link = format!("http://{address}/api/v1/log?file={}%2F{port}%2Fworker.log", topology.id);
        json!({"supervisorId": "s", "host": "one", "port": port, "topologyId": topology.id, "workerLogLink": link,
               "executorsTotal": 1, "uptime": "5s", "uptimeSeconds": 5})
    });
    json!({"id": topology.id, "status": topology.status, "workers": workers.collect::<Vec<_>>(), "spouts": [], "bolts": []})
}

async fn answer(State(held): State<Arc<Mutex<Held>>>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let query = request.uri().query().map(str::to_owned);
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap_or_default();
    let mut held = lock(&held);
    if path == "/fake/submit" {
        return held.submit(serde_json::from_slice(&body).unwrap_or_default());
    }
    if held.deaf || held.lost > 0 {
        held.lost = held.lost.saturating_sub(1);
        return broken();
    }
    if std::mem::take(&mut held.unauthorized) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if path == "/api/v1/download" {
        let file =
            query.as_deref().and_then(|query| query.strip_prefix("file=")).unwrap_or_default().replace("%2F", "/");
        return held.logs.get(&file).map_or(StatusCode::NOT_FOUND.into_response(), |log| log.clone().into_response());
    }
    if held.leaderless {
        return failed("NimbusLeaderNotFoundException", "Could not find leader nimbus from seed hosts [localhost]");
    }
    let now = Instant::now();
    held.topologies.retain(|_, topology| topology.dies.is_none_or(|dies| dies > now));
    match (&method, path.strip_prefix("/api/v1/topology/")) {
        (&Method::GET, Some("summary")) => {
            let all = held.topologies.iter().map(|(name, topology)| {
                json!({"id": topology.id, "encodedId": topology.id, "name": name, "status": topology.status,
                       "uptime": "5s", "uptimeSeconds": 5, "tasksTotal": 4, "workersTotal": 1, "executorsTotal": 4})
            });
            Json(json!({"topologies": all.collect::<Vec<_>>(), "schedulerDisplayResource": false})).into_response()
        }
        (&Method::GET, Some(id)) => match held.topologies.values().find(|topology| topology.id == id) {
            Some(topology) => Json(page(&held, topology)).into_response(),
            None => failed("NotAliveException", &format!("{id} is not alive")),
        },
        (&Method::POST, Some(rest)) => match rest.split_once('/') {
            Some((id, operation)) => held.operate(id, operation),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ if path == "/api/v1/cluster/summary" => Json(json!({"stormVersion": "2.6.0", "supervisors": 1,
            "topologies": held.topologies.len(), "slotsTotal": 4, "slotsUsed": 1, "slotsFree": 3}))
        .into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
