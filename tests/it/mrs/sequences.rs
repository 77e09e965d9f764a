//! The requests of Terraform's providers in their order (clients.md section 9), with what each needs from an answer.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;

use super::{Sim, code};

/// huaweicloud_mapreduce_job: V2, the arguments read back from the text `[a, b]`, gone is 404, delete by batch-delete.
#[tokio::test]
async fn huaweicloud_mapreduce_job() -> Result<()> {
    let sim = Sim::start("").await?;
    let words =
        ["--class", "org.App", "--driver-memory", "1g", "--master", "yarn-cluster", "s3a://b/a.jar", "in", "out"];
    let body = json!({"job_name": "tf", "job_type": "SparkSubmit", "arguments": words,
        "properties": {"fs.obs.endpoint": "h", "a": "b"}});
    let id = sim.submit(body).await?;
    let pending = ["NEW", "NEW_SAVING", "ACCEPTED", "SUBMITTED", "RUNNING"];
    let first = sim.job(&id).await?;
    let state = first["job_state"].as_str().context("no state")?.to_owned();
    assert!(pending.contains(&state.as_str()) || state == "FINISHED", "{state}");
    let job = sim.wait(&id, "FINISHED").await?;
    // The provider panics without brackets, and splits at ", ".
    let text = job["arguments"].as_str().context("no text")?;
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).context("no brackets")?;
    assert_eq!(inner.split(", ").collect::<Vec<_>>(), words);
    assert_eq!(job["properties"], "{a=b, fs.obs.endpoint=h}");
    for time in ["started_time", "submitted_time", "finished_time"] {
        assert!(job[time].as_i64().is_some_and(|time| time > 1_000_000_000_000), "{time}: {job}");
    }
    let delete = json!({"job_id_list": [id]});
    sim.v2(Method::POST, "/job-executions/batch-delete", Some(delete.clone())).await?.expect(204)?;
    let gone = sim.v2(Method::GET, &format!("/job-executions/{id}"), None).await?;
    assert_eq!(code(&gone), (404, "0176".to_owned()));
    // A second destroy finds nothing and succeeds.
    sim.v2(Method::POST, "/job-executions/batch-delete", Some(delete)).await?.expect(204).map(|_| ())
}

/// opentelekomcloud_mrs_job_v1: V1.1 submit-job with real booleans, job_state as a number, DELETE with 404 for done.
#[tokio::test]
async fn opentelekomcloud_mrs_job_v1() -> Result<()> {
    let sim = Sim::start("").await?;
    let body = json!({"job_type": 1, "job_name": "tf", "cluster_id": sim.cluster, "jar_path": "s3a://b/a.jar",
        "input": "s3a://b/in/", "output": "s3a://b/out/", "job_log": "s3a://b/log/", "arguments": "wordcount",
        "hive_script_path": "", "is_protected": true, "is_public": true});
    let made = sim.world.api.call(Method::POST, "/jobs/submit-job", Some(body)).await?.expect(200)?;
    let id = made["job_execution"]["id"].as_str().context("no id")?.to_owned();
    let path = format!("/job-exes/{id}");
    sim.wait(&id, "FINISHED").await?;
    let exe = sim.world.api.get(&path).await?["job_execution"].take();
    assert_eq!((&exe["job_state"], &exe["output"]), (&json!(3), &json!("s3a://b/out/")));
    sim.world.api.delete(&format!("/job-executions/{id}")).await?;
    let again = sim.world.api.call(Method::DELETE, &format!("/job-executions/{id}"), None).await?;
    assert_eq!(again.status.as_u16(), 404);
    assert_eq!(sim.world.api.call(Method::GET, &path, None).await?.status.as_u16(), 404);
    Ok(())
}
