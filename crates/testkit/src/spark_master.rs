//! A fake of a Spark master in cluster mode: its submission server, its page `/json/` and the log page of its one worker, all at one
//! address. Drivers run only when the test says so. What it stands for is proven against a real master by the engine's contract; it is
//! there for what a real one cannot be asked for cheaply: standing by, recovering, a submission that is neither answered nor obeyed.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::service::{Port, Service, broken};

/// Name of the worker.
const WORKER: &str = "worker-1";

#[derive(Debug)]
struct Driver {
    submitted: u128,
    state: String,
    request: Value,
}

#[derive(Debug)]
struct Held {
    status: String,
    drivers: BTreeMap<String, Driver>,
    /// Submissions are taken, and neither answered nor obeyed.
    holds_back: bool,
    /// Those that were taken so.
    held_back: Vec<Value>,
    /// Bodies of all submissions, those too that were refused.
    creates: Vec<Value>,
    kills: Vec<String>,
    /// How many requests came.
    asked: usize,
}

/// The fake; it ends when it is dropped.
#[derive(Debug)]
pub struct FakeSparkMaster {
    address: SocketAddr,
    held: Arc<Mutex<Held>>,
    _service: Service,
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeSparkMaster {
    /// Starts it on a free port, on a thread of its own. `status` is `ALIVE`, `STANDBY` or `RECOVERING`.
    pub fn start(status: &str) -> io::Result<Self> {
        let held = Arc::new(Mutex::new(Held {
            status: status.to_owned(),
            drivers: BTreeMap::new(),
            holds_back: false,
            held_back: Vec::new(),
            creates: Vec::new(),
            kills: Vec::new(),
            asked: 0,
        }));
        let port = Port::free()?;
        let address = port.address;
        let state = (format!("http://{address}"), Arc::clone(&held));
        let service = port.serve(Router::new().fallback(answer).with_state(state))?;
        Ok(Self { address, held, _service: service })
    }

    /// Address of the submission server and of the page.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it is `ALIVE`, `STANDBY` or `RECOVERING`.
    pub fn set_status(&self, status: &str) {
        status.clone_into(&mut lock(&self.held).status);
    }

    /// From now on submissions are taken, and neither answered nor obeyed.
    pub fn hold_back(&self) {
        lock(&self.held).holds_back = true;
    }

    /// Obeys what was held back, though nobody was answered; from now on submissions are answered too.
    pub fn let_through(&self) {
        let mut held = lock(&self.held);
        held.holds_back = false;
        for request in std::mem::take(&mut held.held_back) {
            held.accept(request);
        }
    }

    /// Gives all drivers that run another state: `FINISHED`, `FAILED`.
    pub fn end_all(&self, state: &str) {
        for driver in lock(&self.held).drivers.values_mut().filter(|driver| driver.state == "RUNNING") {
            state.clone_into(&mut driver.state);
        }
    }

    /// Bodies of all submissions, in their order, those too that were refused or held back.
    pub fn creates(&self) -> Vec<Value> {
        lock(&self.held).creates.clone()
    }

    /// Ids of drivers that were asked to be killed.
    pub fn kills(&self) -> Vec<String> {
        lock(&self.held).kills.clone()
    }

    /// How many requests came so far.
    pub fn asked(&self) -> usize {
        lock(&self.held).asked
    }

    /// States of all drivers, in the order in which they were accepted.
    pub fn states(&self) -> Vec<String> {
        lock(&self.held).drivers.values().map(|driver| driver.state.clone()).collect()
    }
}

impl Held {
    fn accept(&mut self, request: Value) -> String {
        let id = format!("driver-20260101000000-{:04}", self.drivers.len());
        let submitted = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        self.drivers.insert(id.clone(), Driver { submitted, state: "RUNNING".to_owned(), request });
        id
    }

    fn create(&mut self, request: Value) -> Response {
        if self.holds_back {
            self.held_back.push(request);
            return broken();
        }
        let id = self.accept(request);
        said(json!({"success": true, "submissionId": id, "message": format!("Driver successfully submitted as {id}")}))
    }

    fn list(&self, worker: &str) -> Value {
        let all = |active: bool| {
            let drivers = self.drivers.iter().filter(|(_, driver)| (driver.state == "RUNNING") == active);
            let shown = drivers.map(|(id, driver)| {
                json!({"id": id, "starttime": driver.submitted.to_string(), "state": driver.state, "worker": WORKER})
            });
            shown.collect::<Vec<_>>()
        };
        json!({"url": "spark://127.0.0.1:7077", "status": self.status, "workers": [{"id": WORKER, "webuiaddress": worker, "host": "127.0.0.1", "port": 7078, "state": "ALIVE"}],
               "aliveworkers": 1, "cores": 4, "coresused": 0, "memory": 4096, "memoryused": 0, "activeapps": [],
               "activedrivers": all(true), "completeddrivers": all(false)})
    }

    /// The log of a driver: its command line on stderr, with the job's name among the properties, as a worker writes it.
    fn log(&self, query: &str) -> Option<String> {
        let part = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let driver = self.drivers.get(part("driverId")?)?;
        let name = driver.request["sparkProperties"]["spark.foggara.id"].as_str().unwrap_or_default();
        let text = match part("logType")? {
            "stderr" => format!("Launch Command: \"java\" \"-Dspark.foggara.id={name}\" \"Main\"\n"),
            _ => String::new(),
        };
        let from = part("offset")?.parse::<usize>().ok()?.min(text.len());
        let to = from.saturating_add(part("byteLength")?.parse().ok()?).min(text.len());
        Some(format!("==== Bytes {from}-{to} of {} of /var/spark/stderr ====\n{}", text.len(), &text[from..to]))
    }
}

fn said(body: Value) -> Response {
    Json(body).into_response()
}

async fn answer(State((url, held)): State<(String, Arc<Mutex<Held>>)>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap_or_default();
    let mut held = lock(&held);
    held.asked += 1;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if path.ends_with("/create") {
        held.creates.push(body.clone());
    }
    if path.starts_with("/v1/submissions/") && held.status != "ALIVE" {
        let words = format!("Current state is not alive: {}. Can only do this in ALIVE state.", held.status);
        return said(json!({"success": false, "message": words}));
    }
    match (&method, path.trim_end_matches('/')) {
        (&Method::GET, "/json") => said(held.list(&url)),
        (&Method::GET, "/log") => match held.log(&query) {
            Some(text) => text.into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        (&Method::POST, "/v1/submissions/create") => held.create(body),
        (&Method::POST, path) if path.starts_with("/v1/submissions/kill/") => {
            let id = path.rsplit('/').next().unwrap_or_default().to_owned();
            held.kills.push(id.clone());
            let found = held.drivers.get_mut(&id).filter(|driver| driver.state == "RUNNING");
            let success = found.map(|driver| "KILLED".clone_into(&mut driver.state)).is_some();
            said(json!({"success": success, "submissionId": id, "message": format!("Kill request for {id}")}))
        }
        (&Method::GET, path) if path.starts_with("/v1/submissions/status/") => {
            let id = path.rsplit('/').next().unwrap_or_default();
            match held.drivers.get(id) {
                Some(driver) => said(json!({"success": true, "submissionId": id, "driverState": driver.state})),
                None => said(json!({"success": false, "submissionId": id, "driverState": "NOT_FOUND"})),
            }
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
