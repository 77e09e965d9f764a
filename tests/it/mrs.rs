//! MRS's surface against the real program: the same executions in V1.1 and V2 (mrs-v1.1.md, mrs-v2.md).

mod clusters;
mod flow;
mod jobs;
mod legacy;
mod sequences;
mod sql;

use anyhow::{Context, Result};
use foggara_testkit::{api::Answer, wait};
use reqwest::Method;
use serde_json::Value;

use crate::world::{LONG, On, World};

/// A server with the simulated engine, which takes every type; a job runs until its control file says how it ends.
pub struct Sim {
    pub world: World,
    pub cluster: String,
    control: tempfile::TempDir,
}

impl Sim {
    pub async fn start(more: &str) -> Result<Self> {
        let control = tempfile::tempdir()?;
        let file = control.path().join("control.json");
        std::fs::write(&file, r#"{"run": "SUCCEEDED"}"#)?;
        let settings = format!("{more}\n[sim]\nenabled = true\ncontrol_file = \"{}\"\n", file.display());
        let world = World::start(On::Sqlite, &settings).await?;
        let cluster = world.api.cluster("sim").await?;
        Ok(Self { world, cluster, control })
    }

    /// What the jobs that start from now on do.
    pub fn plays(&self, control: &Value) -> Result<()> {
        std::fs::write(self.control.path().join("control.json"), control.to_string())?;
        Ok(())
    }

    /// A call of V2 below the cluster.
    pub async fn v2(&self, method: Method, path: &str, body: Option<Value>) -> Result<Answer> {
        v2(&self.world, method, &self.cluster, path, body).await
    }

    /// Submits by V2; gives the id.
    pub async fn submit(&self, body: Value) -> Result<String> {
        let answer = self.v2(Method::POST, "/job-executions", Some(body)).await?.expect(200)?;
        assert_eq!(answer["job_submit_result"]["state"], "COMPLETE");
        Ok(answer["job_submit_result"]["job_id"].as_str().context("no id")?.to_owned())
    }

    /// A job as V2 shows it.
    pub async fn job(&self, id: &str) -> Result<Value> {
        let mut shown = self.v2(Method::GET, &format!("/job-executions/{id}"), None).await?.expect(200)?;
        Ok(shown["job_detail"].take())
    }

    /// Waits for a state of V2.
    pub async fn wait(&self, id: &str, state: &str) -> Result<Value> {
        wait::until(&format!("{id} is {state}"), LONG, || async {
            let job = self.job(id).await.ok()?;
            (job["job_state"] == state).then_some(job)
        })
        .await
    }
}

/// A call of V2 below a cluster.
pub async fn v2(world: &World, method: Method, cluster: &str, path: &str, body: Option<Value>) -> Result<Answer> {
    let path = format!("/v2/{}/clusters/{cluster}{path}", world.api.project);
    let bytes = body.map(|body| body.to_string().into_bytes());
    world.api.raw(method, &path, &[("Content-Type", "application/json")], bytes).await
}

/// The code of a refusal, with its status; the body has to be MRS's.
pub fn code(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert!(body["error_msg"].as_str().is_some_and(|text| !text.is_empty()), "{}", answer.text());
    assert!(answer.headers.contains_key("x-request-id"), "{}", answer.text());
    (answer.status.as_u16(), body["error_code"].as_str().unwrap_or_default().to_owned())
}
