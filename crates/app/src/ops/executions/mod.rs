//! Job executions: submit, read, cancel, change, delete.

use foggara_domain::{
    Caller, ClusterId, DataSourceId, Execution, ExecutionId, JobId, Result,
    execution::Event,
    page::{ListQuery, Page},
};
use serde_json::{Map, Value};

#[allow(unused_imports)]
use crate::App;

/// Body of `POST /jobs/{id}/execute`, checked against its schema (sahara-v1.1.md section 8.1).
#[derive(Clone, Debug, Default)]
pub struct Submit {
    /// Where to run.
    pub cluster: Option<ClusterId>,
    /// Input data source.
    pub input: Option<DataSourceId>,
    /// Output data source.
    pub output: Option<DataSourceId>,
    /// `job_configs` as sent, null members removed (decision 7); nothing when the request had none.
    pub job_configs: Option<Map<String, Value>>,
    /// Values for the template's interface; nothing when the request had no such key.
    pub interface: Option<Map<String, Value>>,
    /// `Idempotency-Key` or `X-Client-Token` of the request.
    pub idempotency_key: Option<String>,
}

/// Body of `PATCH /job-executions/{id}`.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// New flag.
    pub is_public: Option<bool>,
    /// New flag.
    pub is_protected: Option<bool>,
    /// `info.status`: `suspend` or `cancel`.
    pub status: Option<String>,
}

/// Names that lists and our own API show beside an execution.
#[derive(Clone, Debug, PartialEq)]
pub struct Names {
    /// Name of the cluster, if it still exists.
    pub cluster: Option<String>,
}

/// Why an execution is where it is (`GET /api/v1/executions/{id}/explain`).
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The execution.
    pub execution: Execution,
    /// One sentence: "waiting: cluster `local` runs 4 of 4, place 3".
    pub text: String,
    /// Which server works on it at present, if one does.
    pub owner: Option<String>,
    /// Its events in order.
    pub events: Vec<Event>,
}
