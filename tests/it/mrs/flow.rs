//! `run-job-flow`: a cluster with a job, and its end.

use anyhow::{Context, Result};
use foggara_testkit::wait;
use reqwest::Method;
use serde_json::{Value, json};

use super::{code, sql::with_sql};
use crate::world::{LONG, World};

fn flow(name: &str, job: Value) -> Value {
    json!({"cluster_name": name, "cluster_version": "MRS 1.9.2", "billing_type": 12, "master_node_num": 1,
        "core_node_num": 2, "safe_mode": 0, "add_jobs": [job]})
}

fn job(shuts_down: bool) -> Value {
    // "show tables;" in the form of V1.1.
    json!({"job_name": "first", "job_type": 7, "hql": "gc2hvdyB0YWLsZXM7", "submit_job_once_cluster_run": true,
        "shutdown_cluster": shuts_down})
}

async fn ended(world: &World, cluster: &str) -> Result<Value> {
    wait::until("its job has ended", LONG, || async {
        let found = world.api.get(&format!("/job-exes?cluster_id={cluster}")).await.ok()?;
        let row = found["job_executions"][0].clone();
        (row["job_final_status"].as_i64()? > 0).then_some(row)
    })
    .await
}

#[tokio::test]
async fn a_transient_cluster_goes_after_its_job_also_over_a_crash() -> Result<()> {
    let (mut world, _, _dir) = with_sql().await?;
    let made = world.api.call(Method::POST, "/run-job-flow", Some(flow("flow-1", job(true)))).await?.expect(200)?;
    assert_eq!((&made["result"], &made["msg"]), (&json!(true), &json!("")));
    let cluster = made["cluster_id"].as_str().context("no id")?.to_owned();
    // The job is there at once, whatever the cluster is doing.
    let found = world.api.get(&format!("/job-exes?cluster_id={cluster}")).await?;
    assert_eq!((&found["totalRecord"], &found["job_executions"][0]["job_name"]), (&json!(1), &json!("first")));
    world.restart_hard().await?;
    let row = ended(&world, &cluster).await?;
    assert_eq!(row["job_final_status"], 2, "{row}");
    wait::until("the cluster is gone", LONG, || async {
        let answer = world.api.call(Method::GET, &format!("/clusters/{cluster}"), None).await.ok()?;
        (answer.status.as_u16() == 404).then_some(())
    })
    .await?;
    // What it did can still be read.
    world.api.get(&format!("/job-exes/{}", row["id"].as_str().context("no id")?)).await.map(|_| ())
}

#[tokio::test]
async fn a_lasting_cluster_stays() -> Result<()> {
    let (world, _, _dir) = with_sql().await?;
    let path = format!("/v2/{}/run-job-flow", world.api.project);
    let step = json!({"job_execution": {"job_name": "s", "job_type": "SparkSql", "arguments": ["show tables"]}});
    let body = |name: &str, delete: bool| json!({"cluster_name": name, "cluster_version": "MRS 3.1.0", "delete_when_no_steps": delete, "steps": [step]});
    let post = async |body: Value| world.api.raw(Method::POST, &path, &[], Some(body.to_string().into_bytes())).await;
    let stays = post(body("stays", false)).await?.expect(200)?["cluster_id"].as_str().context("no id")?.to_owned();
    let goes = post(body("goes", true)).await?.expect(200)?["cluster_id"].as_str().context("no id")?.to_owned();
    ended(&world, &stays).await?;
    wait::until("the other is gone", LONG, || async {
        let answer = world.api.call(Method::GET, &format!("/clusters/{goes}"), None).await.ok()?;
        (answer.status.as_u16() == 404).then_some(())
    })
    .await?;
    let shown = world.api.get(&format!("/cluster_infos/{stays}")).await?;
    assert_eq!(shown["cluster"]["clusterState"], "running");
    // The name is taken, and nothing of the second try is left.
    assert_eq!(code(&post(body("stays", false)).await?), (400, "12000002".to_owned()));
    assert_eq!(world.api.get("/cluster_infos?clusterName=stays").await?["clusterTotal"], 1);
    let mut two = body("two", false);
    two["steps"] = json!([step, step]);
    assert_eq!(code(&post(two).await?), (400, "12000054".to_owned()));
    Ok(())
}

#[tokio::test]
async fn flows_that_are_wrong_leave_nothing() -> Result<()> {
    let (world, _, _dir) = with_sql().await?;
    let with = |member: &str, value: Value| {
        let mut job = job(true);
        job[member] = value;
        flow("wrong", job)
    };
    let mut kerberos = flow("wrong", job(true));
    kerberos["safe_mode"] = json!(1);
    let mut two = flow("wrong", job(true));
    two["add_jobs"] = json!([job(true), job(true)]);
    for (body, wanted) in [
        (flow("wrong name", job(true)), "12000002"),
        (with("job_name", json!("a b")), "12000009"),
        (with("hql", json!("!")), "12000009"),
        (with("job_type", json!(2)), "12000081"),
        (with("submit_job_once_cluster_run", json!("maybe")), "12000009"),
        (kerberos, "12000054"),
        (two, "12000009"),
    ] {
        let answer = world.api.call(Method::POST, "/run-job-flow", Some(body.clone())).await?;
        assert_eq!(code(&answer), (400, wanted.to_owned()), "{body}");
    }
    assert_eq!(world.api.get("/cluster_infos?clusterName=wrong").await?["clusterTotal"], 0);
    Ok(())
}

#[tokio::test]
async fn a_transient_cluster_of_sahara_goes_too() -> Result<()> {
    let world = World::plain().await?;
    let body = json!({"name": "short", "plugin_name": "local", "hadoop_version": "1.0", "is_transient": true});
    let id = world.api.post("/clusters", body).await?["cluster"]["id"].as_str().context("no id")?.to_owned();
    let template = world.shell("t", "true").await?;
    let run = world.api.post(&format!("/jobs/{template}/execute"), json!({"cluster_id": id})).await?;
    let run = run["job_execution"]["id"].as_str().context("no id")?.to_owned();
    world.wait(&run, &["SUCCEEDED"]).await?;
    wait::until("the cluster is gone", LONG, || async {
        let answer = world.api.call(Method::GET, &format!("/clusters/{id}"), None).await.ok()?;
        (answer.status.as_u16() == 404).then_some(())
    })
    .await
}
