//! Flink's list of jobs in the shape of its documentation, of any length, for measurements. Tests use a real Flink.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::service::{Port, Service};

/// The list; its service ends when it is dropped.
#[derive(Debug)]
pub struct FlinkList {
    address: SocketAddr,
    jobs: Arc<Mutex<Vec<Value>>>,
    _service: Service,
}

fn lock(jobs: &Mutex<Vec<Value>>) -> MutexGuard<'_, Vec<Value>> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FlinkList {
    /// Starts it on a free port, with a running job for each id.
    pub fn start(ids: impl Iterator<Item = String>) -> io::Result<Self> {
        let tasks = json!({"running": 2, "canceling": 0, "canceled": 0, "total": 2, "created": 0, "scheduled": 0, "deploying": 0,
            "reconciling": 0, "finished": 0, "initializing": 0, "failed": 0});
        let jobs = ids.map(|id| {
            json!({"jid": id, "name": "a job", "start-time": 1_700_000_000_000_i64, "end-time": -1, "duration": 60_000,
                "state": "RUNNING", "last-modification": 1_700_000_000_000_i64, "tasks": tasks.clone()})
        });
        let jobs = Arc::new(Mutex::new(jobs.collect()));
        let port = Port::free()?;
        let address = port.address;
        let service = port.serve(Router::new().fallback(answer).with_state(Arc::clone(&jobs)))?;
        Ok(Self { address, jobs, _service: service })
    }

    /// Address of the JobManager.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A job shows another state.
    pub fn set_state(&self, id: &str, state: &str) {
        if let Some(job) = lock(&self.jobs).iter_mut().find(|job| job["jid"] == id) {
            job["state"] = json!(state);
        }
    }
}

async fn answer(State(jobs): State<Arc<Mutex<Vec<Value>>>>, request: Request) -> Response {
    match request.uri().path() {
        "/jobs/overview" => Json(json!({"jobs": *lock(&jobs)})).into_response(),
        "/jobmanager/config" => Json(json!([{"key": "web.tmpdir", "value": "/tmp/flink-web-1"}])).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
